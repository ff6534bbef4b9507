"""The journal as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

import click

from deployer.apply.history import Intent, Takeover
from deployer.clock import utc_text
from deployer.escape import printable
from deployer.model import Result
from deployer.state.takeover import UNLOCK

FORMAT_VERSION = "1.0"

NO_OUTCOME = "outcome not recorded"
_COLOURS = {Result.DONE: "green", Result.FAILED: "red", Result.UNKNOWN: "magenta"}


def text(intents: Iterable[Intent], taken_over: Mapping[str, Takeover]) -> str:
    """Return each apply with its requests, the newest last; `taken_over` has the runs that died."""
    blocks = []
    for _, group in groupby(intents, key=lambda intent: intent.run):
        requests = list(group)
        first = requests[0]
        revision = f", revision {first.revision}" if first.revision else ""
        head = f"{utc_text(first.time)} to {first.target} (project {first.project_id}) by {first.author}{revision}"
        if takeover := taken_over.get(first.run):
            by = takeover.by
            how = "removed (deployer unlock)" if by == UNLOCK else f"taken over by run {by}"
            head += f"; did not end, its lock was {how}"
        blocks.append(
            "\n".join([click.style(printable(head), bold=True), *(_request(request) for request in requests)])
        )
    return "\n\n".join(blocks)


def _request(intent: Intent) -> str:
    result = {"": NO_OUTCOME, Result.UNKNOWN: "outcome unknown"}.get(intent.result, intent.result)
    colour = _COLOURS.get(Result(intent.result)) if intent.result in {*Result} else "magenta"
    ids = ", ".join(
        filter(
            None,
            (
                intent.id and f"id {intent.id}",
                intent.request_id and f"request {intent.request_id}",
                intent.message,
            ),
        )
    )
    planned = ", perhaps not sent" if intent.is_planned and not intent.settled else ""
    action = "" if intent.action == intent.call else f" ({intent.action})"
    return (
        f"  {printable(f'{utc_text(intent.time)} {intent.call}{action} {intent.identity}')}: "
        f"{click.style(printable(result), fg=colour)}{printable(f', {ids}' if ids else '')}{planned}\n"
        f"      {printable(f'{intent.source}: {intent.reason}')}"
    )


def data(intents: Iterable[Intent], taken_over: Mapping[str, Takeover]) -> dict[str, Any]:
    """Return the history as JSON data; `result` is null where no outcome is recorded.

    `planned` is true for a request that a run may have sent before it died.
    """
    requests = [
        {
            "run": intent.run,
            "time": _iso(intent.time),
            "target": intent.target,
            "project": intent.project_id,
            "revision": intent.revision or None,
            "author": intent.author,
            "action": intent.action,
            "call": intent.call,
            "kind": intent.identity.kind,
            "place": intent.identity.place,
            "name": intent.identity.name,
            **({"run_key": intent.identity.run} if intent.identity.run else {}),
            "source": intent.source,
            "reason": intent.reason,
            "id": intent.id or None,
            "result": intent.result or None,
            "ended": _iso(intent.ended) if intent.ended else None,
            "message": intent.message,
            "request_id": intent.request_id or None,
            "planned": intent.is_planned,
            "taken_over_by": taken_over[intent.run].by if intent.run in taken_over else None,
        }
        for intent in intents
    ]
    return {"format_version": FORMAT_VERSION, "requests": requests}


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
