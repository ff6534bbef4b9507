"""Questions about the services that no page answers, and what the responses of one account answer.

A question that needs a write is listed, and not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployer.doctor.contract import Sample
from deployer.doctor.masking import type_name
from deployer.kinds.coerce import json_data
from deployer.kinds.kind import Paging, get_path, text


class Verdict(StrEnum):
    """An answer: `not seen` if no response tells."""

    YES = "yes"
    NO = "no"
    NOT_SEEN = "not seen"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and how responses decide it. `kind` is the kind whose samples `answer` gets, empty for all."""

    id: str
    text: str
    decided_by: str
    kind: str
    answer: Callable[[Sequence[Sample]], tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer; `evidence` has numbers and names of fields only."""

    question: Question
    verdict: Verdict
    evidence: str


def answers(samples: Sequence[Sample]) -> list[Answered]:
    """Answer each question from the samples of its kind."""
    found = []
    for question in QUESTIONS:
        own = [sample for sample in samples if question.kind in ("", sample.kind.name)]
        found.append(Answered(question, *question.answer(own)))
    return found


_NOTHING = (Verdict.NOT_SEEN, "")


def _of(samples: Iterable[Sample], what: str) -> Sample | None:
    """Return the read that was sent for `what`, whether it succeeded or not; of several the first."""
    return next((sample for sample in samples if sample.what == what and sample.place <= 1), None)


def _entries(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    return [entry for sample in samples if sample.what == "page" for entry in sample.entries]


def _seen(yes: int, no: int, what: str) -> tuple[Verdict, str]:
    """Return yes if any was seen, no if only others were."""
    if not yes and not no:
        return _NOTHING
    return (Verdict.YES if yes else Verdict.NO), f"{yes} of {yes + no} {what}"


def _all(yes: int, no: int, what: str) -> tuple[Verdict, str]:
    """Return no if any other was seen."""
    if not yes and not no:
        return _NOTHING
    return (Verdict.NO if no else Verdict.YES), f"{yes} of {yes + no} {what}"


def _echoes(samples: Iterable[Sample]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Yield each batch with its req_body, unchanged and as data; None if that is no object."""
    for entry in _entries(samples):
        given = entry.get("req_body")
        if given not in (None, ""):
            data = json_data(given) if isinstance(given, str) else given
            data = json_data(data) if isinstance(data, str) else data
            yield entry, given, data if isinstance(data, dict) else None


_SIZES = ("driverMemory", "driverCores", "executorMemory", "executorCores", "numExecutors")


def _has_sizes(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    own = [
        data
        for entry, _, data in _echoes(samples)
        if text(entry.get("sc_type")).upper() == "CUSTOMIZED" and data
    ]
    yes = sum(any(name in data for name in _SIZES) for data in own)
    return _all(yes, len(own) - yes, "batches with sc_type CUSTOMIZED have sizes in req_body")


def _has_type(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    own = [
        data
        for entry, _, data in _echoes(samples)
        if text(entry.get("sc_type")).upper() in {"B", "C"} and data
    ]
    yes = sum("sc_type" in data for data in own)
    return _all(yes, len(own) - yes, "batches with sc_type B or C have it in req_body")


def _has_variables(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    texts = [given for _, given, _ in _echoes(samples) if isinstance(given, str)]
    yes = sum("{{" in given for given in texts)
    return (Verdict.YES, f"in {yes} of {len(texts)} req_body") if yes else _NOTHING


def _is_masked(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    texts = [given for _, given, _ in _echoes(samples) if isinstance(given, str)]
    return _seen(
        sum("***" in given for given in texts), sum("***" not in given for given in texts), "have ***"
    )


def _is_cut(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    echoes = [*_echoes(samples)]
    broken = sum(data is None for _, _, data in echoes)
    longest = max((len(given) for _, given, _ in echoes if isinstance(given, str)), default=0)
    verdict, evidence = _seen(broken, len(echoes) - broken, "cannot be read as an object")
    return verdict, f"{evidence}; the longest has {longest} characters" if evidence else ""


def _is_encoded_twice(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    texts = [given for _, given, _ in _echoes(samples) if isinstance(given, str)]
    twice = sum(isinstance(json_data(given), str) for given in texts)
    return _seen(twice, len(texts) - twice, "req_body")


def _refused(sample: Sample) -> tuple[Verdict, str]:
    """Return the answer that a refused read is: no if the service says that it is invalid."""
    reason = " ".join(
        filter(None, (f"HTTP {sample.status}" if sample.status else "", sample.code, sample.problem))
    )
    return (Verdict.NO if sample.status == 400 else Verdict.NOT_SEEN), reason


def _filters_exactly(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    whole, part, page = _of(samples, "by name"), _of(samples, "by part of a name"), _of(samples, "page")
    if whole is None or part is None or page is None:
        return _NOTHING
    if whole.problem or part.problem:
        return _refused(whole if whole.problem else part)
    field = whole.kind.name_field
    if not any(text(entry.get(field)) == whole.asked for entry in whole.entries):
        return Verdict.NOT_SEEN, "the whole name of a listed job finds nothing"
    others = sum(text(entry.get(field)) != part.asked for entry in part.entries)
    if others and whole.total == page.total and others > 1:
        return Verdict.NO, f"the filter is ignored: others found: {others}"
    if others:
        return Verdict.NO, f"a name without its last character also finds others: {others}"
    return Verdict.YES, "a name without its last character finds nothing else"


def _has_large_pages(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page = _of(samples, "large page")
    if page is None:
        return _NOTHING
    if page.problem:
        return _refused(page)
    size, total = page.kind.listing.size, page.total or 0
    count = len(page.entries)
    if total <= size:
        return _NOTHING
    return (Verdict.YES if count > size else Verdict.NO), f"asked for 1000 of {total}, got {count}"


def _times(sample: Sample) -> list[int]:
    field = "submitted_time" if sample.kind.name == "MrsJob" else "create_time"
    found = [entry.get(field) for entry in sample.entries]
    return [time for time in found if isinstance(time, int) and not isinstance(time, bool)]


def _is_newest_first(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page = _of(samples, "page")
    times = _times(page) if page and not page.problem else []
    if len(set(times)) < 2:
        return _NOTHING
    return (Verdict.YES if times == sorted(times, reverse=True) else Verdict.NO), f"of {len(times)} jobs"


def _accepts_order(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page = _of(samples, "oldest first")
    if page is None:
        return _NOTHING
    if page.problem:
        return _refused(page)
    times = _times(page)
    if len(set(times)) < 2:
        return _NOTHING
    return (Verdict.YES if times == sorted(times) else Verdict.NO), f"of {len(times)} jobs"


def _accepts_start(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page, all_jobs = _of(samples, "since a time"), _of(samples, "page")
    if page is None or all_jobs is None:
        return _NOTHING
    if page.problem:
        return _refused(page)
    fewer = page.total is not None and all_jobs.total is not None and page.total < all_jobs.total
    evidence = f"{page.total} of {all_jobs.total} jobs since the newest one was created"
    return (Verdict.YES if fewer else Verdict.NO), evidence


def _offset_counts_as_known(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page, second = _of(samples, "page"), _of(samples, "from the second")
    if page is None or second is None:
        return _NOTHING
    if second.problem:
        return _refused(second)
    identifier = page.kind.listing.id
    ids = [text(entry.get(identifier)) for entry in page.entries]
    first = next((text(entry.get(identifier)) for entry in second.entries), "")
    if first not in ids[1:3]:
        return Verdict.NOT_SEEN, "the list changed in between" if first else "an empty page"
    is_page = ids.index(first) == 2
    unit = "pages" if is_page else "records"
    known = Paging.PAGE if is_page else Paging.RECORD
    return (Verdict.YES if page.kind.listing.paging is known else Verdict.NO), f"it counts {unit}"


def _is_quoted(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    values = [get_path(sample.value, "is_success") for sample in samples]
    known = [value for value in values if value is not None]
    quoted = sum(isinstance(value, str) for value in known)
    return _seen(quoted, len(known) - quoted, "responses to reads")


def _has_equal_names(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    names = [text(entry.get("name")) for entry in _entries(samples) if entry.get("name")]
    equal = len(names) - len(set(names))
    return (Verdict.YES, f"{equal} of {len(names)} jobs") if equal else _NOTHING


def _has_field(*paths: str) -> Callable[[Sequence[Sample]], tuple[Verdict, str]]:
    """Return an answer: whether entries have all of these fields with a value."""

    def answer(samples: Sequence[Sample]) -> tuple[Verdict, str]:
        entries = _entries(samples)
        yes = sum(all(get_path(entry, path) not in (None, "") for path in paths) for entry in entries)
        return _seen(yes, len(entries) - yes, "jobs")

    return answer


def _is_type(path: str, *types: str) -> Callable[[Sequence[Sample]], tuple[Verdict, str]]:
    """Return an answer: whether a field always has one of these types, where it has a value."""

    def answer(samples: Sequence[Sample]) -> tuple[Verdict, str]:
        values = [get_path(entry, path) for entry in _entries(samples)]
        found = [type_name(value) for value in values if value is not None]
        yes = sum(name in types for name in found)
        return _all(yes, len(found) - yes, f"values ({', '.join(sorted(set(found)))})")

    return answer


def _is_json_text(path: str) -> Callable[[Sequence[Sample]], tuple[Verdict, str]]:
    def answer(samples: Sequence[Sample]) -> tuple[Verdict, str]:
        values = [value for entry in _entries(samples) if (value := get_path(entry, path))]
        yes = sum(isinstance(value, str) and isinstance(json_data(value), list | dict) for value in values)
        return _all(yes, len(values) - yes, "values")

    return answer


_JAVA: Mapping[str, tuple[str, str]] = {"arguments": ("[", "]"), "properties": ("{", "}")}


def _is_java(field: str) -> Callable[[Sequence[Sample]], tuple[Verdict, str]]:
    def answer(samples: Sequence[Sample]) -> tuple[Verdict, str]:
        first, last = _JAVA[field]
        values = [value for entry in _entries(samples) if (value := entry.get(field)) not in (None, "")]
        yes = sum(isinstance(value, str) and value[:1] == first and value[-1:] == last for value in values)
        return _all(yes, len(values) - yes, "values")

    return answer


def _has_forbidden_characters(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    shown = [str(entry["arguments"]) for entry in _entries(samples) if entry.get("arguments")]
    yes = sum(any(char in arguments for char in ";|&>'<$!") for arguments in shown)
    return (Verdict.YES, f"in the arguments of {yes} of {len(shown)} jobs") if yes else _NOTHING


def _lists_spark_python(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    types = [text(entry.get("job_type")).casefold() for entry in _entries(samples)]
    yes = types.count("sparkpython")
    return (Verdict.YES, f"{yes} of {len(types)} jobs") if yes else _NOTHING


def _blank_in_memory(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    at = ("jobmanager_resource_spec", "taskmanager_resource_spec")
    found = []
    for entry in _entries(samples):
        config = get_path(entry, "job_config.resource_config")
        config = json_data(config) if isinstance(config, str) else config
        found += [memory for name in at if isinstance(memory := get_path(config, f"{name}.memory"), str)]
    yes = sum(" " in memory.strip() for memory in found)
    return _seen(yes, len(found) - yes, "values")


def _is_withdrawn(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    page = _of(samples, "page")
    if page is None:
        return _NOTHING
    if page.status == 404:
        return Verdict.YES, " ".join(filter(None, ("HTTP 404", page.code)))
    return (Verdict.NO, "the list can be read") if not page.problem else (Verdict.NOT_SEEN, _refused(page)[1])


def _is_limited(samples: Sequence[Sample]) -> tuple[Verdict, str]:
    sent = [sample for sample in samples if sample.status]
    limited = sum(sample.status == 429 for sample in sent)
    return (
        (Verdict.YES, f"{limited} of {len(sent)} reads")
        if limited
        else (Verdict.NOT_SEEN, f"{len(sent)} reads")
    )


def _needs_a_write(_: Sequence[Sample]) -> tuple[Verdict, str]:
    return Verdict.NOT_ASKED, "needs a write"


_BATCH, _SESSION, _FLINK, _MRS = "SparkBatch", "SparkSession", "FlinkJar", "MrsJob"
_NAME_FILTER = "a listed name without its last character finds no other name"
_OFFSET = "two entries from the second record or page on are those expected"

QUESTIONS: tuple[Question, ...] = (
    Question(
        "Q1.1",
        "Does req_body have the sizes of a batch?",
        "batches with sc_type CUSTOMIZED",
        _BATCH,
        _has_sizes,
    ),
    Question("Q1.2", "Does req_body have sc_type?", "batches with sc_type B or C", _BATCH, _has_type),
    Question(
        "Q1.3", "Does req_body have {{variables}} of DLI unchanged?", "{{ in req_body", _BATCH, _has_variables
    ),
    Question("Q1.4", "Are values in req_body masked?", "three asterisks in req_body", _BATCH, _is_masked),
    Question("Q1.5", "Is req_body ever cut?", "req_body that is not a JSON object", _BATCH, _is_cut),
    Question("Q1.6", "Is req_body encoded twice?", "a JSON string in req_body", _BATCH, _is_encoded_twice),
    Question("Q2.1", "Is the filter job_name of batches exact?", _NAME_FILTER, _BATCH, _filters_exactly),
    Question("Q2.2", "Is the filter name of Flink jobs exact?", _NAME_FILTER, _FLINK, _filters_exactly),
    Question("Q2.3", "Is the filter job_name of MRS jobs exact?", _NAME_FILTER, _MRS, _filters_exactly),
    Question(
        "Q2.4",
        "Does a page of batches have more than 100?",
        "size=1000, of more jobs",
        _BATCH,
        _has_large_pages,
    ),
    Question("Q2.5", "Are batches listed newest first?", "create_time on a page", _BATCH, _is_newest_first),
    Question(
        "Q2.6", "Does order=CREATE_TIME_ASC sort batches?", "create_time with it", _BATCH, _accepts_order
    ),
    Question("Q2.7", "Does start limit the list of batches?", "the total with it", _BATCH, _accepts_start),
    Question("Q3", "Does the response to creating a batch have is_success?", "-", _BATCH, _needs_a_write),
    Question(
        "Q4.1", "Can two Flink jobs have the same name?", "equal names on a page", _FLINK, _has_equal_names
    ),
    Question("Q4.2", "Is is_success a string?", "responses about Flink jobs", _FLINK, _is_quoted),
    Question("Q5", "Does an empty string clear a field of a Flink job?", "-", _FLINK, _needs_a_write),
    Question(
        "Q6",
        "Are characters that the page forbids accepted in MRS arguments?",
        "arguments of listed jobs",
        _MRS,
        _has_forbidden_characters,
    ),
    Question(
        "Q7",
        "Does a page of MRS jobs have more than 100?",
        "limit=1000, of more jobs",
        _MRS,
        _has_large_pages,
    ),
    Question("Q8", "Are unknown keys in a body refused?", "-", _BATCH, _needs_a_write),
    Question("Q9", "Are a few dozen reads limited?", "HTTP 429", "", _is_limited),
    Question(
        "T1",
        "Do batches show name, queue and req_body?",
        "a page",
        _BATCH,
        _has_field("name", "queue", "req_body"),
    ),
    Question("T2", "Is appId a string?", "a page", _BATCH, _is_type("appId", "string")),
    Question("T3", "Does from count batches?", _OFFSET, _BATCH, _offset_counts_as_known),
    Question("T4", "Does offset count Flink jobs?", _OFFSET, _FLINK, _offset_counts_as_known),
    Question("T5", "Does offset count pages of MRS jobs, from 1?", _OFFSET, _MRS, _offset_counts_as_known),
    Question(
        "T6",
        "Does a list of Flink jobs have their job_config?",
        "show_detail",
        _FLINK,
        _has_field("job_config"),
    ),
    Question(
        "T7",
        "Is checkpoint_mode a word?",
        "job_config",
        _FLINK,
        _is_type("job_config.checkpoint_mode", "string"),
    ),
    Question(
        "T8", "Is runtime_config JSON text?", "job_config", _FLINK, _is_json_text("job_config.runtime_config")
    ),
    Question("T9", "Has memory in resource_config a blank?", "job_config", _FLINK, _blank_in_memory),
    Question("T10", "Are tags in the list of Flink jobs?", "a page", _FLINK, _has_field("tags")),
    Question("T11", "Are MRS arguments one text in brackets?", "a page", _MRS, _is_java("arguments")),
    Question("T12", "Are MRS properties one text in braces?", "a page", _MRS, _is_java("properties")),
    Question(
        "T13",
        "Are times of MRS jobs numbers?",
        "a page",
        _MRS,
        _is_type("submitted_time", "integer", "number"),
    ),
    Question("T14", "Are SparkPython jobs listed as SparkPython?", "job_type", _MRS, _lists_spark_python),
    Question("T15", "Are sessions withdrawn?", "HTTP 404", _SESSION, _is_withdrawn),
)
