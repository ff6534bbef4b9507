"""The status of each job as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from deployer.model import RUNNING_PHASES, Action, Change, LiveJob, Phase, Plan, utc_time
from deployer.planning.conditions import counts
from deployer.planning.paths import pointer_words
from deployer.planning.plan_json import run_values
from deployer.report.place_names import place_words
from deployer.report.review import in_natural_order
from deployer.report.table import Column, table

COLUMNS = (
    Column("KIND"),
    Column("NAME", least=14),
    Column("PLACE", least=8, omit=2),
    Column("DESIRED"),
    Column("LIVE", least=10),
    Column("SINCE (UTC)", is_redundant=True),
    Column("FOR"),
    Column("ID", least=8, omit=1),
    Column("MANIFEST", least=12),
)
HEADER = tuple(column.title for column in COLUMNS)
MAX_FIELDS = 3

FORMAT_VERSION = "1.0"


def text(
    changes: Sequence[Change],
    now: datetime | None,
    width: int | None = None,
    places: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return a line per job in natural order of names; `now` is the service's clock, `width` that of the terminal.

    `places` are the names that deployer.yaml gives to clusters.
    """
    return "\n".join(
        table(COLUMNS, [cells(change, now, places) for change in in_natural_order(changes)], width)
    )


def data(plan: Plan, now: datetime | None, link: Callable[[LiveJob], str] = lambda _: "") -> dict[str, Any]:
    """Return the status as JSON data, with an object for each job.

    `now` is the service's clock, `link` returns the page about a live job in the console, or an empty string.
    """
    return {
        "format_version": FORMAT_VERSION,
        "jobs": [_row(change, now, link) for change in plan.changes],
        "conditions": counts(plan),
    }


def cells(change: Change, now: datetime | None, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return the cells of a job in the table, one for each of HEADER."""
    job, live = change.job, change.live
    return (
        job.kind,
        _label(change),
        place_words(job.identity.place, places) or "-",
        job.lifecycle.state,
        live.state if live else "-",
        *times(live, now),
        live.id if live else "-",
        f"{_word(change)}{_names(_drift(change))}",
    )


def _row(change: Change, now: datetime | None, link: Callable[[LiveJob], str]) -> dict[str, Any]:
    job, live = change.job, change.live
    return {
        "kind": job.kind,
        "name": job.name,
        "place": job.identity.place,
        **run_values((change.live or change.job).identity),
        "source": str(job.source),
        "desired": job.lifecycle.state,
        "id": live.id if live else None,
        "state": live.state if live else None,
        "phase": live.phase if live else None,
        **times_data(live, now),
        "manifest": _word(change),
        "drift": _drift(change),
        "next": change.action if change.action is not Action.UNCHANGED else None,
        "console_url": (live and link(live)) or None,
    }


def _label(change: Change) -> str:
    """Return the name, with the values of the run that is shown."""
    identity = change.live.identity if change.live else change.job.identity
    return f"{change.job.name} {identity.run}" if identity.run else change.job.identity.label


def _word(change: Change) -> str:
    if change.live is None:
        return "not told" if change.may_be else "not deployed"
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
    return f": {', '.join(map(pointer_words, drift[:MAX_FIELDS]))}{more}"


def times(live: LiveJob | None, now: datetime | None) -> tuple[str, str]:
    """Return since when and how long a live job runs, or ran; `now` is the service's clock."""
    since, seconds = _time(live), _seconds(live, now)
    return (
        f"{since:%Y-%m-%d %H:%M:%S}" if since else "-",
        duration(seconds) if seconds is not None else "-",
    )


def times_data(live: LiveJob | None, now: datetime | None) -> dict[str, Any]:
    """Return the same as JSON data, with the time of submission in milliseconds."""
    since = _time(live)
    return {
        "submitted": live.submitted if live else None,
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else None,
        "duration_seconds": _seconds(live, now),
    }


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
