"""The names that deployer.yaml gives to places, instead of their ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from deployer.model import Change, FieldChange, Note


def place_words(place: str, places: Mapping[str, str]) -> str:
    """Return the name that deployer.yaml gives a place, or the place itself."""
    return places.get(place, place)


def named_change(change: Change, places: Mapping[str, str]) -> Change:
    """Return a change with the names that deployer.yaml gives to places, in its words and in the values of fields."""
    reason = with_place_names(change.reason, places)
    fields = tuple(_named_place(field, places) for field in change.fields)
    live_only = tuple(_named_place(field, places) for field in change.live_only)
    if reason == change.reason and fields == change.fields and live_only == change.live_only:
        return change
    return replace(change, reason=reason, fields=fields, live_only=live_only)


def named_notes(notes: Iterable[Note], places: Mapping[str, str]) -> Sequence[Note]:
    """Return notes with the names that deployer.yaml gives to places, in what they are about and in their words."""
    return [
        replace(
            note,
            identity=note.identity._replace(place=place_words(note.identity.place, places)),
            message=with_place_names(note.message, places),
        )
        for note in notes
    ]


def _named_place(field: FieldChange, places: Mapping[str, str]) -> FieldChange:
    live, desired = (
        places.get(value, value) if isinstance(value, str) else value for value in (field.live, field.desired)
    )
    # Two places with the same name are no difference that anybody could see.
    if (live, desired) == (field.live, field.desired) or live == desired:
        return field
    return replace(field, live=live, desired=desired)


def with_place_names(words: str, places: Mapping[str, str]) -> str:
    """Return words with the names that deployer.yaml gives to the places in them; URLs stay as they are."""
    for place, name in places.items():
        if place and place in words:
            named = name.replace("\\", r"\\")
            words = re.sub(rf"(?<![\w/-]){re.escape(place)}(?![\w-])", named, words)
    return words
