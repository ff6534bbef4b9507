"""The table at the top of a plan in Markdown: a row for each group, and what differs in a few words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from deployer.escape import value
from deployer.model import Action, FieldChange, Impact
from deployer.planning.paths import path_words
from deployer.report import markup
from deployer.report.field_values import field_values
from deployer.report.review import (
    Group,
    NoteGroup,
    Part,
    Review,
    common_name,
    identity_words,
    natural,
    title,
)
from deployer.report.short_values import cut, differing

MAX_TITLE = 120
_MAX_ROW_FIELDS, _MAX_ROW_NAMES = 3, 40
_MAX_ROWS, _LEAST_ROWS = 50, 3  # in all, and of groups that are alike
_MAX_ERRORS = 10  # rows of what failed to plan
_MAX_WORDS, _MAX_SHORT, _MAX_REASON = 60, 40, 140
_MAX_BLOCKED = 300  # characters of why a job is blocked and what to do
_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: | \(request id [^()]*\)")
_SEVERE = {Impact.STATE_LOST, Impact.DELETES, Impact.CANCELS}


def rows(found: Review, places: Mapping[str, str]) -> list[str]:
    """Return the rows; the last groups of many that are alike are one row, and so are all creates of a kind."""
    severe = [*found.groups(Part.DANGERS, Part.BLOCKED)]
    others = [*found.groups(Part.CHANGES, Part.DRIFT, Part.CREATES, Part.UPCOMING)]
    number = len(buckets([*severe, *others]))
    most = max(_LEAST_ROWS, _MAX_ROWS // number) if number else 0
    return [*_rows(severe, places, most), *_error_rows(found.errors, places), *_rows(others, places, most)]


def _rows(groups: Iterable[Group], places: Mapping[str, str], most_alike: int) -> Iterator[str]:
    for (action, *_), alike in buckets(groups).items():
        most = 0 if action is Action.CREATE else most_alike
        yield from (_row(group, places) for group in alike[:most])
        if rest := alike[most:]:
            merged = rest[0] if len(rest) == 1 else merged_groups(rest)
            yield _row(merged, places, is_rest=most > 0 and len(rest) > 1)


def buckets(groups: Iterable[Group]) -> dict[tuple[Action, Impact, str, bool], list[Group]]:
    """Return the groups by what a row of the table says of them, besides their names and fields."""
    found: dict[tuple[Action, Impact, str, bool], list[Group]] = {}
    for group in groups:
        found.setdefault((group.action, group.impact, group.kind, group.is_drift), []).append(group)
    return found


def merged_groups(groups: Sequence[Group]) -> Group:
    """Return groups that are alike as one, with its jobs in natural order."""
    changes = chain.from_iterable(group.changes for group in groups)
    ordered = sorted(changes, key=lambda change: (natural(change.job.name), change.job.identity))
    return Group(tuple(ordered), "", ())


def short_title(group: Group, places: Mapping[str, str]) -> str:
    """Return the title of a group without the number of its jobs."""
    words = title(group, places)
    return cut(words.removeprefix(f"{len(group.changes)} x "), MAX_TITLE)


def _row(group: Group, places: Mapping[str, str], *, is_rest: bool = False) -> str:
    fields = [*group.fields, *(group.own[0] if group.own else ())]
    if group.action is Action.CREATE:
        names = ", ".join(cut(name, _MAX_WORDS) for name in group.names[:_MAX_ROW_NAMES])
        shown = [cut(names, _MAX_REASON)] if len(group.changes) > 1 else []
    else:
        shown = [_short(field) for field in fields]
    if group.action is Action.BLOCKED and group.reason:
        shown.insert(0, cut(group.reason, _MAX_BLOCKED))
    return _cells(
        str(group.action),
        len(group.changes),
        short_title(group, places),
        str(group.impact) if group.impact is not Impact.NONE else "",
        shown,
        is_rest=is_rest,
        is_severe=group.impact in _SEVERE,
        is_drift=group.is_drift,
    )


def _error_rows(errors: Sequence[NoteGroup], places: Mapping[str, str]) -> Iterator[str]:
    shown = errors if len(errors) <= _MAX_ERRORS else errors[: _MAX_ERRORS - 1]
    for group in shown:
        names = [identity_words(note.identity, places) for note in group.notes]
        yield _cells(
            "failed to plan",
            len(names),
            cut(common_name(names), MAX_TITLE),
            "",
            [cut(_without_request(group.message), _MAX_REASON)],
        )
    if rest := [note for group in errors[len(shown) :] for note in group.notes]:
        yield _cells("failed to plan", len(rest), "jobs", "", [], is_rest=True)


def _without_request(message: str) -> str:
    """Return an error of a service without what was asked, which is in the details: its reason is not cut off."""
    return _REQUEST.sub("", message)


def _cells(
    action: str,
    number: int,
    words: str,
    impact: str,
    shown: Sequence[str],
    *,
    is_rest: bool = False,
    is_severe: bool = False,
    is_drift: bool = False,
) -> str:
    most = _MAX_ROW_FIELDS if len(shown) > _MAX_ROW_FIELDS else len(shown)
    return str(
        markup.markdown().row(  # type: ignore[attr-defined] # a macro
            action, number, words, is_rest, impact, is_severe, is_drift, shown[:most], len(shown) - most
        )
    )


def _short(changed: FieldChange) -> str:
    """Return a field for a cell of the table: of long values the part in which they differ."""
    path = cut(path_words(changed), _MAX_WORDS)
    if changed.sensitive:
        return f"{path} (sensitive value changed)"
    live, desired = field_values(changed)
    if live is None or desired is None:
        words = cut(f"{'+' if live is None else '-'} {desired if live is None else live}", _MAX_WORDS)
    elif changed.live_hidden or len(live) + len(desired) <= _MAX_WORDS:
        words = f"{cut(live, _MAX_WORDS)} → {cut(desired, _MAX_WORDS)}"
    else:
        words = " → ".join(differing(value(changed.live), value(changed.desired), _MAX_SHORT))
    return f"{path} {words}"
