"""The status of each job as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from deployer.escape import printable
from deployer.model import RUNNING_PHASES, Action, Change, LiveJob, Phase, Plan, utc_time
from deployer.planning.conditions import counts

HEADER = ("KIND", "NAME", "PLACE", "DESIRED", "LIVE", "SINCE (UTC)", "FOR", "ID", "MANIFEST")
MAX_FIELDS = 3

FORMAT_VERSION = "1.0"


def text(changes: Sequence[Change], now: datetime | None) -> str:
    """Return a line per job; `now` is the service's clock."""
    table = [HEADER, *(_cells(change, now) for change in changes)]
    clean = [[printable(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    )


def data(plan: Plan, now: datetime | None) -> dict[str, Any]:
    """Return the status as JSON data, with an object for each job; `now` is the service's clock."""
    return {
        "format_version": FORMAT_VERSION,
        "jobs": [_row(change, now) for change in plan.changes],
        "conditions": counts(plan),
    }


def _cells(change: Change, now: datetime | None) -> tuple[str, ...]:
    job, live = change.job, change.live
    since = _time(live)
    seconds = _seconds(live, now)
    return (
        job.kind,
        job.name,
        job.identity.place or "-",
        job.lifecycle.state,
        live.state if live else "-",
        f"{since:%Y-%m-%d %H:%M:%S}" if since else "-",
        duration(seconds) if seconds is not None else "-",
        live.id if live else "-",
        f"{_word(change)}{_names(_drift(change))}",
    )


def _row(change: Change, now: datetime | None) -> dict[str, Any]:
    job, live = change.job, change.live
    since = _time(live)
    return {
        "kind": job.kind,
        "name": job.name,
        "place": job.identity.place,
        "source": str(job.source),
        "desired": job.lifecycle.state,
        "id": live.id if live else None,
        "state": live.state if live else None,
        "phase": live.phase if live else None,
        "submitted": live.submitted if live else None,
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else None,
        "duration_seconds": _seconds(live, now),
        "manifest": _word(change),
        "drift": _drift(change),
        "next": change.action if change.action is not Action.UNCHANGED else None,
    }


def _word(change: Change) -> str:
    if change.live is None:
        return "not deployed"
    if change.live.spec is None:
        return "not comparable"
    return "differs" if _drift(change) else "same"


def _drift(change: Change) -> list[str] | None:
    """Return the fields that differ, as JSON Pointers; None if the job is not comparable."""
    if change.live is None or change.live.spec is None:
        return None
    return list(dict.fromkeys(field.path for field in change.fields if not field.note))


def _names(drift: Sequence[str] | None) -> str:
    if not drift:
        return ""
    more = f" and {len(drift) - MAX_FIELDS} more" if len(drift) > MAX_FIELDS else ""
    return f": {', '.join(drift[:MAX_FIELDS])}{more}"


def _time(live: LiveJob | None) -> datetime | None:
    """Return when a run was submitted, or a definition started; None if unknown."""
    return utc_time(live.submitted) if live else None


def _seconds(live: LiveJob | None, now: datetime | None) -> int | None:
    """Return how long a run has lasted; None if unknown, as for a draft."""
    since = _time(live)
    if live is None or since is None or live.phase is Phase.DRAFT:
        return None
    if live.phase in RUNNING_PHASES:
        return max(0, int((now - since).total_seconds())) if now else None
    return max(0, live.finished - live.submitted) // 1000 if live.finished else None


def duration(seconds: int) -> str:
    """Return `12s`, `3m12s`, `2h05m`, `4d02h`"""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hours}h{minute:02}m"
    return f"{minutes}m{second:02}s" if minutes else f"{second}s"
