"""The differences between a saved plan and the current plan.

The content of the file is untrusted and only shown: at limited length, and never at the start of a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from deployer import __version__
from deployer.escape import HIDDEN, first_difference, printable, value
from deployer.model import Change, Identity, Plan
from deployer.planning.plan_json import as_data
from deployer.planning.saved_plan import SavedPlan
from deployer.report.text import error

MAX_CHANGES = 50
MAX_FIELDS = 40
MAX_WORDS = 200

_Shown = Mapping[str, Any]


def explanation(saved: SavedPlan, now: Plan) -> Iterator[str]:
    """Yield lines that describe how the current plan differs from the saved one; their digests differ."""
    yield error(f"saved plan {saved.file} is stale: digest {saved.digest}, current digest {now.digest}")
    if saved.made_by != __version__:
        yield f"  created by deployer {_cut(printable(saved.made_by))}; this is {__version__}"
    then = {_identity(change): change for change in saved.changes}
    present = {_identity(change): change for change in as_data(now)["changes"]}
    differences = [
        lines
        for identity in sorted({*then, *present})
        if (lines := list(_difference(identity, then.get(identity), present.get(identity), now)))
    ]
    for lines in differences[:MAX_CHANGES]:
        yield f"  - {lines[0]}"
        yield from (f"    {line}" for line in lines[1:])
    if len(differences) > MAX_CHANGES:
        yield f"  ... and {len(differences) - MAX_CHANGES} more jobs"
    if not differences:
        reasons = [
            lines
            for identity in sorted({*then} & {*present})
            if (lines := list(_reasons(identity, then[identity], present[identity])))
        ]
        for lines in reasons[:MAX_CHANGES]:
            yield from lines
        yield (
            f"  No {'other ' if reasons else ''}visible difference. What changed is the target itself, or "
            "something that a plan does not display: secret references, sensitive values, dependencies, or a "
            "field that the service does not return."
        )


def _reasons(identity: Identity, then: _Shown, now: _Shown) -> Iterator[str]:
    """Yield the reasons that differ: the only difference of a draft that is now started."""
    if then["reason"] != now["reason"]:
        yield f"  - {_cut(printable(str(identity)))}"
        yield f"    planned: {_cut(printable(then['reason']))}"
        yield f"    now: {_cut(printable(now['reason']))}"


def _identity(change: _Shown) -> Identity:
    return Identity(change["kind"], change["place"], change["name"])


def _difference(identity: Identity, then: _Shown | None, now: _Shown | None, plan: Plan) -> Iterator[str]:
    job = _cut(printable(str(identity)))
    if then is None and now is not None:
        yield f"{job}: not in the saved plan; now {now['action']}{_live(now)}"
        yield f"now: {_cut(printable(now['reason']))}"
        return
    if then is not None and now is None:
        yield f"{job}: planned {then['action']}{_live(then)}; now {_current_decision(identity, plan)}"
        return
    if then is None or now is None:
        return
    lines = list(_details(then, now))
    if lines:
        yield f"{job}: planned {then['action']}"
        yield from lines


def _current_decision(identity: Identity, plan: Plan) -> str:
    """Describe the current decision for a job without a change."""
    for note in plan.errors:
        if note.identity == identity:
            return f"failed to plan: {_cut(printable(note.message))}"
    unchanged: Change | None = next(
        (change for change in plan.changes if change.job.identity == identity), None
    )
    if unchanged:
        return f"{unchanged.action}: {_cut(printable(unchanged.reason))}"
    return "not in a selected manifest"


def _details(then: _Shown, now: _Shown) -> Iterator[str]:
    if then["action"] != now["action"]:
        yield f"now {now['action']}: {_cut(printable(now['reason']))}"
    if then["impact"] != now["impact"]:
        yield f"impact: planned {then['impact']}, now {now['impact']}"
    if then["live"] != now["live"]:
        yield f"live job was {_run(then['live'])}, now {_run(now['live'])}"
    if (were := _runs(then)) != (are := _runs(now)):
        yield f"other runs were {_cut(were)}, now {_cut(are)}"
    present = {field["path"]: field for field in now["fields"]}
    # The saved plan may show more than this one may.
    hides = any(map(_is_hidden, now["fields"])) or not now["fields"]
    planned = {field["path"]: {**field, "live_hidden": True} if hides else field for field in then["fields"]}
    paths = [
        path for path in sorted({*planned, *present}) if _is_different(planned.get(path), present.get(path))
    ]
    for path in islice(paths, MAX_FIELDS):
        # Around the first difference: two values that differ after the cut must not look equal.
        before, after = first_difference(_values(planned.get(path)), _values(present.get(path)))
        yield f"- {_cut(printable(path))}  planned {before}, now {after}"
    if len(paths) > MAX_FIELDS:
        yield f"... and {len(paths) - MAX_FIELDS} more fields"


def _is_different(then: _Shown | None, now: _Shown | None) -> bool:
    """Return whether two fields are shown as different. As JSON, since 1 and true are equal in Python."""
    if then and now and (_is_hidden(then) or _is_hidden(now)):
        return value(then["desired"]) != value(now["desired"])
    return _values(then) != _values(now)


def _is_hidden(field: _Shown) -> bool:
    return field.get("live_hidden") is True


def _values(field: _Shown | None) -> str:
    if field is None:
        return "no change"
    if field["sensitive"]:
        return "(sensitive)"
    live = HIDDEN if _is_hidden(field) else value(field["live"])
    return f"{live} -> {value(field['desired'])}"


def _live(change: _Shown) -> str:
    return f" against {_run(change['live'])}" if change["live"] else ""


def _run(live: _Shown | None) -> str:
    return f"{_cut(printable(live['id']))} ({_cut(printable(live['state']))})" if live else "no live job"


def _runs(change: _Shown) -> str:
    """Return the IDs of the other runs, as in the digest."""
    return ", ".join(sorted(printable(run["id"]) for run in change["other_runs"])) or "no other runs"


def _cut(words: str) -> str:
    return words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}... ({len(words) - MAX_WORDS} more)"
