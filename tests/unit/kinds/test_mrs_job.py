"""Reading the listing entry of an MRS job, with values as Java prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.mrs_job import java_list, java_map
from deployer.model import Phase
from testing.entries import MRS, differences, observed


@pytest.mark.parametrize(
    ("result", "phase"),
    [
        ("SUCCEEDED", Phase.SUCCEEDED),
        ("FAILED", Phase.FAILED),
        ("KILLED", Phase.STOPPED),
        ("UNDEFINED", Phase.UNKNOWN),
        (None, Phase.UNKNOWN),
    ],
)
def test_the_result_tells_how_a_finished_mrs_job_ended(result: str | None, phase: Phase) -> None:
    live = observed("MrsJob", job_state="FINISHED", job_result=result)
    assert live.phase is phase
    assert live.state == ("FINISHED" if phase is Phase.UNKNOWN else f"FINISHED {result}")


@pytest.mark.parametrize(("state", "result"), [("Finished", "Succeeded"), (" FINISHED ", "succeeded")])
def test_a_result_in_any_case(state: str, result: str) -> None:
    assert observed("MrsJob", job_state=state, job_result=result).phase is Phase.SUCCEEDED


def test_an_mrs_job_tells_when_it_ended() -> None:
    assert [observed("MrsJob", finished_time=time).finished for time in (0, None, 5, "5")] == [0, 0, 5, 5]


def test_an_mrs_job_without_its_arguments_cannot_be_compared() -> None:
    assert KINDS["MrsJob"].observe({"job_id": "m-1", "job_name": "job"}).spec is None


@pytest.mark.parametrize("arguments", [None, "", "a, b", "[a", 7, {}, [["a"]], {"a": "b"}])
def test_arguments_that_are_not_understood_cannot_be_compared(arguments: Any) -> None:
    assert observed("MrsJob", arguments=arguments).spec is None


@pytest.mark.parametrize("properties", ["k=v", "{k=v", 7, [], ["k=v"], {"k": {}}])
def test_properties_that_are_not_understood_cannot_be_compared(properties: Any) -> None:
    assert observed("MrsJob", properties=properties).spec is None


@pytest.mark.parametrize("properties", [None, ""])
def test_properties_that_are_not_told_cannot_drift(properties: Any) -> None:
    assert (
        differences("MrsJob", {"job_type": "SparkSubmit", "arguments": ["a", "b"]}, properties=properties)
        == {}
    )


def test_real_arrays_and_objects_are_compared_as_their_text() -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["10", "true"], "properties": {"k": "false"}}
    assert differences("MrsJob", desired, arguments=[10, True], properties={"k": False}) == {}


def test_an_mrs_job_without_its_properties_is_compared_by_the_rest() -> None:
    entry = {key: value for key, value in MRS.items() if key != "properties"}
    live = KINDS["MrsJob"].observe(entry)
    assert live.spec == {"job_type": "SparkSubmit", "arguments": ["a", "b"]}
    assert "properties" in live.unobserved


@pytest.mark.parametrize(
    ("job_type", "shown"), [("SparkPython", {}), ("Flink", {"/job_type": ("SparkSubmit", "Flink")})]
)
def test_spark_python_is_listed_as_spark_submit(job_type: str, shown: dict[str, Any]) -> None:
    desired = {"job_type": job_type, "arguments": ["a", "b"], "properties": {"k": "v"}}
    assert differences("MrsJob", desired) == shown


@pytest.mark.parametrize("arguments", ["[a, b, c]", ["a", "b, c"], ["a", "b", "c"]])
def test_arguments_are_compared_as_java_prints_them(arguments: Any) -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["a, b", "c"], "properties": {"k": "v"}}
    assert differences("MrsJob", desired, arguments=arguments) == {}


def test_a_secret_with_a_comma_stays_under_its_name() -> None:
    desired = {"job_type": "SparkSubmit", "arguments": ["a", "b"], "properties": {"db.password": "x, y"}}
    shown = differences("MrsJob", desired, properties="{db.password=x, z}")
    assert shown == {"/properties/db.password": (None, None)}


def test_an_object_and_its_text_are_the_same_properties() -> None:
    assert (
        java_map({"a": "1", "b": "x, y=z"}) == java_map("{y=z, b=x, a=1}") == {"a": "1", "b": "x", "y": "z"}
    )
    assert java_map("{}") == java_map({}) == {}
    assert java_map("{a=1, a=2, 3}") == {"a": "1, a=2, 3"}


pieces = st.sampled_from(["", "a", "b", ",", " ", ", ", "=", "[", "]", "a=b"])


short = st.lists(pieces, max_size=4).map("".join)


def printed_list(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def printed_map(pairs: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}={value}' for key, value in pairs.items())}}}"


@settings(derandomize=True, deadline=None)
@given(st.lists(short, max_size=3), st.lists(short, max_size=3))
def test_lists_are_equal_exactly_if_java_prints_them_alike(first: list[str], other: list[str]) -> None:
    same = printed_list(first) == printed_list(other)
    assert (java_list(printed_list(first)) == java_list(printed_list(other))) is same
    assert java_list(first) == java_list(printed_list(first))


# A key with a comma and a blank in it cannot be told from the end of another value.
short_maps = st.dictionaries(short.filter(lambda key: ", " not in key), short, max_size=3)


@settings(derandomize=True, deadline=None)
@given(short_maps, short_maps, st.randoms(use_true_random=False))
def test_maps_are_equal_exactly_if_java_prints_the_same_entries(
    first: dict[str, str], other: dict[str, str], chance: Any
) -> None:
    shuffled = dict(chance.sample(list(first.items()), len(first)))
    assert java_map(printed_map(first)) == java_map(printed_map(shuffled))
    if java_map(printed_map(first)) == java_map(printed_map(other)):
        # Not the same map, perhaps, but made of the same pieces.
        assert sorted(printed_map(first)[1:-1].split(", ")) == sorted(printed_map(other)[1:-1].split(", "))
