"""Responses against the response tables, and the questions that they answer: no service is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.cli.diagnosis import public_place
from deployer.doctor.contract import MAX_DIFFERENCES, Difference, Sample, compare
from deployer.doctor.questions import QUESTIONS, Verdict, answers
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import operations
from deployer.project.target import Target
from testing.workspace import SHARED, needs_shared

BATCH, FLINK, MRS, SESSION = (KINDS[name] for name in ("SparkBatch", "FlinkJar", "MrsJob", "SparkSession"))

PRIVATE = "endpoints that are not the vendor's"

# Entries as the pages show them.
BATCH_ENTRY = {
    "id": "0a324461-d9d9-45da-a52a-3b3c7a3d809e",
    "name": "daily",
    "state": "success",
    "sc_type": "CUSTOMIZED",
    "create_time": 1_720_000_000_000,
    "req_body": '{"file": "obs://b/a.jar", "driverMemory": "2G"}',
}
FLINK_ENTRY = {
    "job_id": 7,
    "name": "clicks",
    "status": "job_running",
    "job_config": {"checkpoint_mode": "exactly_once"},
}
MRS_ENTRY = {
    "job_id": "431b135e",
    "job_name": "report",
    "job_state": "FINISHED",
    "job_result": "SUCCEEDED",
    "arguments": "[--class, com.example.A]",
    "properties": "{}",
    "submitted_time": 1_720_000_000_000,
}


def batches(*entries: Any, what: str = "page", total: int | None = None, **more: Any) -> Sample:
    value = {"from": 0, "total": len(entries) if total is None else total, "sessions": [*entries]}
    return Sample(BATCH, BATCH.listing.table, what, value, 1, **more)


def streams(*entries: Any, is_success: Any = "true") -> Sample:
    value = {
        "is_success": is_success,
        "message": "",
        "job_list": {"total_count": len(entries), "jobs": [*entries]},
    }
    return Sample(FLINK, FLINK.listing.table, "page", value, 1)


def mrs_jobs(*entries: Any, what: str = "page", **more: Any) -> Sample:
    value = {"total_record": len(entries), "job_list": [*entries]}
    return Sample(MRS, MRS.listing.table, what, value, 1, **more)


def found(*samples: Sample) -> set[tuple[str, str, str]]:
    return {(row.path, row.what, row.seen) for row in compare(samples)[0]}


def answer(identifier: str, *samples: Sample) -> Verdict:
    [answered] = [answered for answered in answers(samples) if answered.question.id == identifier]
    return answered.verdict


def test_what_the_tables_say_is_no_difference() -> None:
    assert found(batches(BATCH_ENTRY), streams(FLINK_ENTRY), mrs_jobs(MRS_ENTRY)) == set()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"priority": 3}, ("sessions[].priority", "unknown field", "integer (1 digits)")),
        ({"log": "a line"}, ("sessions[].log", "other type", "string (length 6, pattern a a{4})")),
        ({"log": ["a", 5]}, ("sessions[].log", "other type", "array of integer or string")),
        ({"create_time": "17"}, ("sessions[].create_time", "other type", "string (length 2, pattern 9{2})")),
        ({"create_time": True}, ("sessions[].create_time", "other type", "boolean")),
        ({"id": None}, ("sessions[].id", "missing", "missing or empty")),
        ({"state": ""}, ("sessions[].(state)", "missing", "missing or empty")),
        ({"state": "hibernating"}, ("(state)", "unknown state", "hibernating")),
        (
            {"state": "10.0.0.1"},
            ("(state)", "unknown state", "(masked: string (length 8, pattern 9{2}.9.9.9))"),
        ),
    ],
)
def test_differences(change: dict[str, Any], difference: tuple[str, str, str]) -> None:
    assert found(batches({**BATCH_ENTRY, **change})) == {difference}


def test_fields_of_objects_in_entries() -> None:
    entry = {**FLINK_ENTRY, "job_config": {"checkpoint_mode": 1, "new_setting": {"private-key": "x"}}}
    assert found(streams(entry)) == {
        ("job_list.jobs[].job_config.checkpoint_mode", "other type", "integer (1 digits)"),
        ("job_list.jobs[].job_config.new_setting", "unknown field", "object (1 fields)"),
    }


def test_documented_states_without_a_phase_are_known() -> None:
    assert found(streams({**FLINK_ENTRY, "status": "job_idle"})) == set()


def test_a_state_of_two_words() -> None:
    entry = {**MRS_ENTRY, "job_state": "PAUSED", "job_result": "UNDEFINED"}
    assert found(mrs_jobs(entry)) == {("(state)", "unknown state", "PAUSED")}


def test_a_list_without_its_entries() -> None:
    sample = Sample(BATCH, BATCH.listing.table, "page", {"batches": []}, 1)
    assert found(sample) == {
        ("batches", "unknown field", "empty array"),
        ("sessions", "missing", "missing or null"),
        ("total", "missing", "missing or null"),
    }


def test_differences_are_counted() -> None:
    odd = {**BATCH_ENTRY, "priority": 3}
    [difference], [coverage] = compare([batches(odd, odd, BATCH_ENTRY), batches(BATCH_ENTRY)])
    assert (difference.count, difference.of) == (2, 4)
    assert (coverage.responses, coverage.entries) == (2, 4)


def test_differences_are_limited() -> None:
    names = ["".join(chr(97 + (number // 26**place) % 26) for place in range(4)) for number in range(500)]
    entry = {**BATCH_ENTRY, **{f"new_{name}": number for number, name in enumerate(names)}}
    assert len(compare([batches(entry)])[0]) == MAX_DIFFERENCES


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "sessions total job_list jobs total_count total_record job_config state status req_body id job_id name "
    "arguments properties job_state resource_config create_time is_success"
)
FIELDS = st.sampled_from(NAMES.split())
ANY = st.recursive(
    JSON_VALUES, lambda inner: st.dictionaries(FIELDS, inner) | st.lists(inner, max_size=3), max_leaves=12
)
READS = [(kind, kind.listing.table) for kind in KINDS.values()] + [
    (kind, kind.operations.get) for kind in KINDS.values() if kind.operations.get
]


@given(
    st.sampled_from(READS), ANY, st.sampled_from(["page", "by name", "by part of a name", "from the second"])
)
def test_any_response_can_be_compared(read: tuple[Kind, str], value: Any, what: str) -> None:
    samples = [Sample(*read, "page", value, 1), Sample(*read, what, value, 1, "x")]
    differences, coverage = compare(samples)
    assert all(row.seen.isascii() and row.path.isascii() for row in differences)
    assert len(coverage) == 1
    assert len(answers(samples)) == len(QUESTIONS)


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (Target("prod", region="cn-north-4"), "region cn-north-4"),
        (Target("prod", region="eu-west-101"), "region eu-west-101"),
        (Target("local", emulator=True), "built-in emulator"),
        (Target("prod", region="acme"), PRIVATE),
        (Target("prod", region="cn-north-4", endpoints={"mrs": "https://mrs.acme.example"}), PRIVATE),
        (Target("prod", endpoints={"dli": "https://dli.acme.example"}), PRIVATE),
    ],
)
def test_the_place_is_published_only_if_it_is_the_vendors(target: Target, place: str) -> None:
    assert public_place(target) == place


# --- questions --------------------------------------------------------------------------------------------


def test_without_responses_nothing_is_answered() -> None:
    assert {answered.verdict for answered in answers([])} == {Verdict.NOT_SEEN, Verdict.NOT_ASKED}


def test_the_questions_have_different_ids() -> None:
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)


def test_the_body_of_a_batch() -> None:
    own = batches(BATCH_ENTRY)
    assert [answer(name, own) for name in ("Q1.1", "Q1.2", "Q1.4", "Q1.5")] == ["yes", "not seen", "no", "no"]
    bare = batches({**BATCH_ENTRY, "req_body": '{"file": "***", "args": ["{{day}}"]}'})
    assert [answer(name, bare) for name in ("Q1.1", "Q1.3", "Q1.4")] == ["no", "yes", "yes"]
    assert answer("Q1.5", batches({**BATCH_ENTRY, "req_body": '{"file": "obs'})) == "yes"
    assert answer("Q1.6", batches({**BATCH_ENTRY, "req_body": json.dumps('{"file": "a"}')})) == "yes"
    typed = {**BATCH_ENTRY, "sc_type": "B"}
    assert answer("Q1.2", batches(typed)) == "no"
    assert answer("Q1.2", batches({**typed, "req_body": '{"sc_type": "B"}'})) == "yes"


def test_the_filter_by_name() -> None:
    page = batches(BATCH_ENTRY, {**BATCH_ENTRY, "name": "other"}, total=2)
    whole = batches(BATCH_ENTRY, what="by name", asked="daily")
    assert answer("Q2.1", page, whole, batches(what="by part of a name", asked="dail")) == "yes"
    assert answer("Q2.1", page, whole, batches(BATCH_ENTRY, what="by part of a name", asked="dail")) == "no"
    assert answer("Q2.1", page, batches(what="by name", asked="daily"), whole) == "not seen"
    refused = batches(what="by name", asked="daily", status=400, code="DLI.0001", problem="refused")
    assert answer("Q2.1", page, refused, batches(what="by part of a name", asked="dail")) == "no"


def test_pages_and_order() -> None:
    older, newer = ({**BATCH_ENTRY, "create_time": time, "id": f"b-{time}"} for time in (1000, 2000))
    page = batches(newer, older)
    assert answer("Q2.5", page) == "yes"
    assert answer("Q2.5", batches(older, newer)) == "no"
    assert answer("Q2.6", page, batches(older, newer, what="oldest first")) == "yes"
    assert answer("Q2.6", page, batches(newer, older, what="oldest first")) == "no"
    assert answer("Q2.7", page, batches(newer, what="since a time")) == "yes"
    assert answer("Q2.7", page, batches(newer, older, what="since a time")) == "no"
    assert answer("Q2.4", batches(*[older] * 150, what="large page", total=150)) == "yes"
    assert answer("Q2.4", batches(*[older] * 100, what="large page", total=150)) == "no"


def test_the_unit_of_an_offset() -> None:
    ids = [{**MRS_ENTRY, "job_id": f"j-{number}"} for number in range(5)]
    assert answer("T5", mrs_jobs(*ids), mrs_jobs(*ids[2:4], what="from the second")) == "yes"
    assert answer("T5", mrs_jobs(*ids), mrs_jobs(*ids[1:3], what="from the second")) == "no"
    assert answer("T5", mrs_jobs(*ids), mrs_jobs(what="from the second")) == "not seen"


def test_types_and_spellings() -> None:
    assert answer("Q4.2", streams(FLINK_ENTRY)) == "yes"
    assert answer("Q4.2", streams(FLINK_ENTRY, is_success=True)) == "no"
    assert answer("Q4.1", streams(FLINK_ENTRY, {**FLINK_ENTRY, "job_id": 8})) == "yes"
    assert answer("T7", streams(FLINK_ENTRY)) == "yes"
    assert answer("T11", mrs_jobs(MRS_ENTRY)) == "yes"
    assert answer("T11", mrs_jobs({**MRS_ENTRY, "arguments": ["a"]})) == "no"
    assert answer("T13", mrs_jobs({**MRS_ENTRY, "submitted_time": "17"})) == "no"
    assert answer("Q6", mrs_jobs({**MRS_ENTRY, "arguments": "[select 1; select 2]"})) == "yes"
    memory = {"jobmanager_resource_spec": {"memory": "4 GB"}}
    assert answer("T9", streams({**FLINK_ENTRY, "job_config": {"resource_config": memory}})) == "yes"


def test_refusals() -> None:
    gone = Sample(SESSION, SESSION.listing.table, "page", None, 1, "", 404, "APIGW.0101", "refused")
    assert answer("T15", gone) == "yes"
    limited = Sample(MRS, MRS.listing.table, "page", None, 1, "", 429, "APIGW.0308", "refused")
    assert answer("Q9", limited) == "yes"


# --- recorded responses -----------------------------------------------------------------------------------


def recorded() -> Iterator[Sample]:
    """The recorded responses about jobs, as reads."""
    by_operation = {operation: (kind, operation) for kind in KINDS.values() for operation in _reads(kind)}
    for row in json.loads((SHARED / "recorded" / "responses.json").read_text("utf-8")):
        if row["api"] in by_operation and row["status"] == 200:
            kind, operation = by_operation[row["api"]]
            yield Sample(
                kind, operation, "page" if operation == kind.listing.table else "job", row["body"], 1
            )


def _reads(kind: Kind) -> Iterator[str]:
    state = f"{kind.listing.table.rpartition('.')[0]}.state"
    yield from (kind.listing.table, kind.operations.get)
    if state in operations():
        yield state


@needs_shared
def test_recorded_responses_differ_only_in_what_an_excerpt_leaves_out() -> None:
    samples = [*recorded()]
    assert len(samples) >= 10
    differences = compare(samples)[0]
    assert {row.what for row in differences} == {"missing"}


@needs_shared
def test_no_value_of_the_recorded_responses_is_shown() -> None:
    """Changed so that every field is unknown: the shapes of all values are shown."""
    for sample in recorded():
        renamed = {"renamed": sample.value} | {f"new_{name}": value for name, value in sample.value.items()}
        for entry in sample.entries:
            renamed |= {f"of_{name}": value for name, value in entry.items()}
        other = Sample(sample.kind, sample.operation, sample.what, renamed, 1)
        differences = compare([other])[0]
        assert len(differences) > 1
        shown = " ".join(f"{row.path} {row.seen}" for row in differences)
        assert [text for text in texts(sample.value) if len(text) > 9 and text in shown] == []


def texts(value: Any) -> Iterator[str]:
    """The texts in a response."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(item)


@needs_shared
def test_recorded_responses_with_another_field() -> None:
    """Each is compared: a field that is added to its first object is found."""
    for sample in recorded():
        changed: dict[str, Any] = {**sample.value, "brand_new": 1}
        other = Sample(sample.kind, sample.operation, sample.what, changed, 1)
        before = {*compare([sample])[0]}
        assert {row.path for row in {*compare([other])[0]} - before} == {"brand_new"}


def test_a_difference_can_be_sorted() -> None:
    rows = [Difference("b", "p", "w", "", "", 1, 1), Difference("a", "p", "w", "", "", 1, 1)]
    assert sorted(rows)[0].operation == "a"
