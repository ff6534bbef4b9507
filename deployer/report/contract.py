"""The report of `doctor --contract` as Markdown and as JSON: without values, so that it can be published."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deployer import __version__
from deployer.doctor.contract import Coverage, Difference, Sample
from deployer.doctor.questions import Answered

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class ContractReport:
    """All that is published. `place` is a public region, or only says that it is none."""

    place: str
    samples: Sequence[Sample]
    differences: Sequence[Difference]
    coverage: Sequence[Coverage]
    answers: Sequence[Answered]

    @property
    def requests(self) -> int:
        """Returns how many requests were sent."""
        return sum(sample.status > 0 or not sample.problem.startswith("not sent") for sample in self.samples)

    @property
    def problems(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.problem]


def data(report: ContractReport) -> dict[str, Any]:
    """Return the report as JSON data."""
    return {
        "format_version": FORMAT_VERSION,
        "deployer": __version__,
        "python": platform.python_version(),
        "place": report.place,
        "requests": report.requests,
        "coverage": [
            {
                "operation": seen.operation,
                "responses": seen.responses,
                "entries": seen.entries,
                "fields_seen": seen.fields_seen,
                "fields": seen.fields,
            }
            for seen in report.coverage
        ],
        "differences": [
            {
                "operation": found.operation,
                "path": found.path,
                "what": found.what,
                "expected": found.expected,
                "seen": found.seen,
                "count": found.count,
                "of": found.of,
            }
            for found in report.differences
        ],
        "questions": [
            {
                "id": answered.question.id,
                "question": answered.question.text,
                "decided_by": answered.question.decided_by,
                "verdict": answered.verdict.value,
                "evidence": answered.evidence,
            }
            for answered in report.answers
        ],
        "not_read": [
            {
                "operation": sample.operation,
                "what": sample.what,
                "status": sample.status,
                "code": sample.code,
                "problem": sample.problem,
            }
            for sample in report.problems
        ],
    }


def markdown(report: ContractReport) -> str:
    """Return the report as Markdown."""
    return "\n".join(_lines(report))


def _lines(report: ContractReport) -> Iterator[str]:
    yield "# What the services return"
    yield ""
    yield (
        f"deployer {__version__}, Python {platform.python_version()}, {report.place}, {report.requests} reads. "
        "Values are masked: types, lengths and patterns stand for them."
    )
    yield ""
    yield "## Differences"
    yield ""
    if report.differences:
        differences = (
            (f"`{d.operation}`", f"`{d.path}`", d.what, d.expected, d.seen, f"{d.count} of {d.of}")
            for d in report.differences
        )
        yield from _table(("operation", "field", "difference", "expected", "seen", "how often"), differences)
    else:
        yield "None: what was seen is as the response tables say."
    yield ""
    yield "## Questions"
    yield ""
    questions = (
        (a.question.id, a.question.text, a.verdict.value, a.evidence, a.question.decided_by)
        for a in report.answers
    )
    yield from _table(("id", "question", "answer", "evidence", "decided by"), questions)
    yield ""
    yield "## What was read"
    yield ""
    coverage = (
        (f"`{c.operation}`", str(c.responses), str(c.entries), f"{c.fields_seen} of {c.fields}")
        for c in report.coverage
    )
    yield from _table(("operation", "responses", "jobs", "fields seen"), coverage)
    if report.problems:
        yield ""
        yield "## What could not be read"
        yield ""
        problems = (
            (f"`{s.operation}`", s.what, f"HTTP {s.status}" if s.status else "-", s.code or "-", s.problem)
            for s in report.problems
        )
        yield from _table(("operation", "read", "status", "code", "problem"), problems)


def _table(header: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(words: str) -> str:
    """Return a cell; what is masked has no sign that Markdown or HTML interprets but these."""
    return words.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
