"""Arguments that the service prints as one text, in the differences of a plan."""

from __future__ import annotations

import pytest

from deployer.model import FieldChange, Phase
from deployer.secrets.references import reference
from testing.plans import decided, job, run


def changes(sent: list[str], desired: list[str]) -> tuple[FieldChange, ...]:
    spec = {"job_type": "SparkSql"}
    before = job("MrsJob", spec={**spec, "arguments": sent})
    change, _ = decided(job("MrsJob", spec={**spec, "arguments": desired}), run(before, Phase.SUCCEEDED))
    return change.fields


def test_an_argument_with_a_comma_is_one_change() -> None:
    before, after = "SELECT a, b FROM t", "SELECT a, c, d FROM t"
    assert changes(["-e", before], ["-e", after]) == (FieldChange("/arguments/1", before, after),)


def test_arguments_that_are_ambiguous_are_shown_as_one_text() -> None:
    field = FieldChange("/arguments", "[SELECT a, b, x]", "[SELECT a, b]")
    assert changes(["SELECT a, b", "x"], ["SELECT a, b"]) == (field,)


@pytest.mark.parametrize(
    "desired",
    [["SELECT a, z", "--password", "hunter2"], ["--password, hunter2, x"], ["--password, x", "a, b"]],
)
@pytest.mark.parametrize("sent", [["SELECT a, b", "--password", "hunter1"], ["--password, hunter1"]])
def test_no_secret_is_joined_to_its_option(sent: list[str], desired: list[str]) -> None:
    assert changes(sent, desired)
    assert "hunter" not in str(changes(sent, desired))


def test_arguments_with_references_are_compared_by_their_pieces() -> None:
    secret = reference("JAR")
    assert changes(["SELECT a, b", "x"], ["SELECT a, b", secret]) == ()
    shown = changes(["SELECT a, b", "x"], ["SELECT a, c", secret])
    assert [field.path for field in shown] == ["/arguments/1"]
    assert changes(["SELECT a, b", "x"], ["SELECT a, b", secret, "--debug"])
