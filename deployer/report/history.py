"""The journal for a person, and for machines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

import click

from deployer.apply.journal import Intent
from deployer.escape import printable
from deployer.model import Result

NO_OUTCOME = "no outcome recorded"
_COLOURS = {Result.DONE: "green", Result.FAILED: "red", Result.UNKNOWN: "magenta"}


def text(intents: Iterable[Intent]) -> str:
    """Each apply with its calls, in the order of the file."""
    blocks = []
    for _, group in groupby(intents, key=lambda intent: intent.run):
        calls = list(group)
        first = calls[0]
        revision = f", revision {first.revision}" if first.revision else ""
        head = (
            f"{_time(first.time)} to {first.target} (project {first.project_id}) by {first.author}{revision}"
        )
        blocks.append("\n".join([click.style(printable(head), bold=True), *(_call(one) for one in calls)]))
    return "\n\n".join(blocks)


def _call(it: Intent) -> str:
    result = {"": NO_OUTCOME, Result.UNKNOWN: "outcome unknown"}.get(it.result, it.result)
    colour = _COLOURS.get(Result(it.result)) if it.result in {*Result} else "magenta"
    ids = ", ".join(
        filter(None, (it.id and f"id {it.id}", it.request_id and f"request {it.request_id}", it.message))
    )
    action = "" if it.action == it.call else f" ({it.action})"
    return (
        f"  {printable(f'{_time(it.time)} {it.call}{action} {it.identity}')}: "
        f"{click.style(printable(result), fg=colour)}{printable(f', {ids}' if ids else '')}\n"
        f"      {printable(f'{it.source}: {it.reason}')}"
    )


def data(intents: Iterable[Intent]) -> list[dict[str, Any]]:
    """Each call as an object of JSON; `result` is null where no outcome is recorded."""
    return [
        {
            "run": it.run,
            "time": _iso(it.time),
            "target": it.target,
            "project": it.project_id,
            "revision": it.revision or None,
            "author": it.author,
            "action": it.action,
            "call": it.call,
            "kind": it.identity.kind,
            "place": it.identity.place,
            "name": it.identity.name,
            "source": it.source,
            "reason": it.reason,
            "id": it.id or None,
            "result": it.result or None,
            "ended": _iso(it.ended) if it.ended else None,
            "message": it.message,
            "request_id": it.request_id or None,
        }
        for it in intents
    ]


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
