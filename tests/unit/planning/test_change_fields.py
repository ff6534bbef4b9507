"""The fields of a change: what decides what runs comes first, and what is sent without a row is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.model import Action, OnChange, Phase
from deployer.planning.change_fields import NOT_IN_REFERENCE
from testing.plans import decided, job, run


def order(kind: str, spec: dict[str, Any]) -> list[str]:
    change, _ = decided(job(kind, spec=spec))
    assert change.action is Action.CREATE
    return [field.path for field in change.fields]


def test_what_decides_what_runs_comes_first() -> None:
    conf = {"a.b": "1", "spark.executor.extraJavaOptions": "-x", "spark.jars": "b.jar", "spark.sql.c": "2"}
    given = {
        "numExecutors": 2,
        "conf": conf,
        "args": ["x"],
        "pyFiles": ["p.py"],
        "jars": ["a.jar"],
        "image": "i",
    }
    paths = order("SparkBatch", given)
    deciding = ["/file", "/args", "/jars", "/pyFiles", "/image", "/conf/spark.jars"]
    assert [path for path in paths if path in deciding] == deciding
    last = paths.index("/conf/spark.executor.extraJavaOptions")
    assert (
        max(map(paths.index, deciding))
        < last
        < min(map(paths.index, ["/conf/a.b", "/conf/spark.sql.c", "/queue"]))
    )


def test_differences_are_in_the_same_order() -> None:
    spec = {"numExecutors": 2, "conf": {"a": "1", "spark.plugins": "x"}, "args": ["x", "y"]}
    wanted = job(spec={**spec, "file": "new.py", "queue": "q"}, on_change=OnChange.SUBMIT)
    live = run(job(spec={"queue": "q"}), Phase.ACTIVE)
    change, _ = decided(wanted, live)
    shown = [field.path for field in change.fields]
    assert (
        shown == ["/file", "/args", "/conf/spark.plugins", "/conf/a", "/numExecutors"] or shown[0] == "/file"
    )
    assert shown.index("/conf/spark.plugins") < shown.index("/conf/a")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_deciding_fields_are_fields_of_the_kind(kind: str) -> None:
    names = {pattern.split("/")[1] for pattern in KINDS[kind].deciding}
    assert names
    if kind.startswith("Spark"):  # both have the same list
        names -= {
            "file",
            "className",
            "args",
            "image",
            "feature",
            "spark_version",
            "kind",
            "execution_agency_urn",
        }
    assert names <= {row.name for row in KINDS[kind].rows}


# --- unknown fields ---------------------------------------------------------------------------------------

UNKNOWN = {
    "priority": 3,
    "groups": [{"name": "g", "resources": [{"name": "a", "typ": "jar"}], "x": {"y": 1}}],
}
NOTED = {"/priority": 3, "/groups/0/resources/0/typ": "jar", "/groups/0/x": {"y": 1}}


def noted(change: Any) -> dict[str, Any]:
    return {field.path: field.desired for field in change.fields if field.note == NOT_IN_REFERENCE}


def test_waived_unknown_fields_of_a_new_job_are_in_its_plan() -> None:
    change, _ = decided(job(spec=UNKNOWN))
    assert noted(change) == NOTED
    paths = [field.path for field in change.fields]
    assert len(paths) == len(set(paths))
    assert {"/file", "/groups"} < set(paths)


def test_waived_unknown_fields_of_a_run_that_is_submitted_again_are_in_its_plan() -> None:
    change, _ = decided(job(spec={**UNKNOWN, "file": "new.py"}), run(job(), Phase.SUCCEEDED))
    assert change.action is Action.RESUBMIT
    assert noted(change) == NOTED


def test_what_is_not_sent_is_not_in_a_plan() -> None:
    spec = {**UNKNOWN, "queue": "q"}
    change, _ = decided(job(spec=spec), run(job(spec=spec), Phase.SUCCEEDED))
    assert change.action is Action.UNCHANGED
    assert noted(change) == {}


def test_an_update_has_the_unknown_fields_inside_of_what_it_sends() -> None:
    config = {"max_slot": 7, "newer": 2}
    wanted = job("FlinkJar", spec={"priority": 3, "resource_config": config})
    live = run(job("FlinkJar"), Phase.STOPPED, differs="main_class", savepoint="obs://a/b")
    change, _ = decided(wanted, live)
    assert change.action is Action.UPDATE
    assert noted(change) == {"/resource_config/newer": 2}


def test_secrets_in_unknown_fields_are_masked() -> None:
    change, _ = decided(
        job(spec={"token_x": ["--password", "hunter2"], "newer": {"password=": "a password=hunter3"}})
    )
    assert "hunter" not in json.dumps(noted(change))
    assert set(noted(change)) == {"/token_x", "/newer"}
