"""The past runs of a job as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployer.model import Job, LiveJob
from deployer.planning.past_runs import PastRun
from deployer.report.status import times, times_data
from deployer.report.table import Column, table

FORMAT_VERSION = "1.0"
MAX_FIELDS = 3


@dataclass(frozen=True, slots=True)
class JobRuns:
    """The runs of a job, the newest first; `more` were left out.

    The listing has `listed` jobs in all, the oldest of them submitted at `back_to`, None if that is not known.
    """

    job: Job
    runs: Sequence[PastRun]
    more: int
    listed: int
    back_to: datetime | None


def text(found: JobRuns, now: datetime | None, width: int | None) -> str:
    """Return a table; `now` is the service's clock, and `width` that of the terminal."""
    names = [*found.job.parameters]
    columns = [
        *(Column(name.upper(), least=10) for name in names),
        Column("STATE", least=8),
        Column("SUBMITTED (UTC)"),
        Column("FOR"),
        Column("ID", least=8, omit=1),
        Column("DEFINITION", least=12),
    ]
    rows = [_cells(run, names, now) for run in found.runs]
    lines = table(columns, rows, width) if rows else []
    more = [f"... and {found.more} more (see --limit)"] if found.more else []
    return "\n".join([*lines, *more, _extent(found)])


def _cells(run: PastRun, names: Sequence[str], now: datetime | None) -> tuple[str, ...]:
    values = run.values
    return (
        *("?" if values is None else values.get(name, "?") for name in names),
        run.live.state or "-",
        *times(run.live, now),
        run.live.id or "-",
        _definition(run),
    )


def _definition(run: PastRun) -> str:
    word = definition(run)
    if word == "not told":
        return f"not told: {run.reason}"
    if word == "older":
        return f"older ({_names(run.differs or ())})"
    return f"{word} (also had {_names(run.additional)})" if run.additional else word


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MAX_FIELDS} more" if len(paths) > MAX_FIELDS else ""
    return f"{', '.join(paths[:MAX_FIELDS])}{more}"


def definition(run: PastRun) -> str:
    """Return whether a run is of the definition in the manifest: same, older, not comparable or not told."""
    if run.values is None:
        return "not told"
    if run.differs is None:
        return "not comparable"
    return "older" if run.differs else "same"


def _extent(found: JobRuns) -> str:
    jobs = f"{found.listed} {'job' if found.listed == 1 else 'jobs'}"
    back = f", back to {found.back_to:%Y-%m-%d}" if found.back_to else ""
    none = "" if found.runs or found.more else "No runs. "
    return f"{none}The listing holds {jobs}{back}."


def data(
    found: Sequence[JobRuns], now: datetime | None, link: Callable[[LiveJob], str] = lambda _: ""
) -> dict[str, Any]:
    """Return the runs as JSON data; `link` returns the page about a run in the console, or an empty string."""
    return {"format_version": FORMAT_VERSION, "jobs": [_job(one, now, link) for one in found]}


def _job(found: JobRuns, now: datetime | None, link: Callable[[LiveJob], str]) -> dict[str, Any]:
    return {
        "kind": found.job.kind,
        "name": found.job.name,
        "place": found.job.identity.place,
        "source": str(found.job.source),
        "runs": [_row(run, now, link) for run in found.runs],
        "left_out": found.more,
        "listed": found.listed,
        "back_to": f"{found.back_to:%Y-%m-%dT%H:%M:%SZ}" if found.back_to else None,
    }


def _row(run: PastRun, now: datetime | None, link: Callable[[LiveJob], str]) -> dict[str, Any]:
    live = run.live
    return {
        "run": None if run.values is None else dict(run.values),
        "reason": run.reason or None,
        "id": live.id,
        "state": live.state,
        "phase": live.phase,
        **times_data(live, now),
        "definition": definition(run),
        "differs": None if run.differs is None else [*run.differs],
        "additional": [*run.additional],
        "console_url": link(live) or None,
    }
