"""Quick YAML: the text of one document -> plain data, without the location of each value; or None.

None says nothing but "ask `parse`": whatever is a problem, is rare or comes near a limit is left to its careful reader.
An answer is what that reader would return, and that it would find no problem.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from deployer.documents.reserved import RESERVED
from deployer.documents.scalars import LOADER, cost, find_unprintable, resolve
from deployer.model import Location, Path, usual_text

if TYPE_CHECKING:
    from deployer.documents.parse import YamlText

# Half of those of the careful reader.
MAX_NODES = 50_000
MAX_DEPTH = 32
# In characters: longer texts are read in vain too often, as they may exceed a limit at their end.
MAX_TEXT = 2**18
# Longer scalars are not kept for the next document that has them.
MAX_KEPT = 64


class Read(NamedTuple):
    """A document that has a value; `start` is the location of its first value, `size` what the limits count."""

    value: Any
    start: Location
    size: int


def read(source: YamlText, first_line: int, text: str) -> Read | None:
    """Read `text`, the part of `source` from `first_line` on; None if it has anything special."""
    if len(text) > MAX_TEXT or find_unprintable(text):
        return None
    loader = LOADER(text)
    try:
        loader.get_event()
        first = loader.get_event()
        if first.__class__ is not DocumentStartEvent or first.version or first.tags:
            return None
        reader = _Reader(source, loader.get_event)
        root = loader.get_event()
        value = reader.value(root, 0)
        ends = [loader.get_event().__class__, loader.get_event().__class__]
    except (yaml.YAMLError, ValueError, _Special):
        return None
    finally:
        loader.dispose()
    if value is None or ends != [DocumentEndEvent, StreamEndEvent] or reader.size > MAX_NODES:
        return None
    mark = root.start_mark
    return Read(value, source.location(first_line + mark.line, mark.column), reader.size)


def locate(source: YamlText, first_line: int, text: str, path: Path, *, of_key: bool) -> Location:
    """Return the location of one path in a text that `read` has read, or of its nearest ancestor that has one.

    Of its key with `of_key`. Reads no further than that.
    """
    loader = LOADER(text)
    try:
        loader.get_event()
        loader.get_event()
        mark = _Reader(source, loader.get_event).mark(path, of_key=of_key)
    finally:
        loader.dispose()
    return source.location(first_line + mark.line, mark.column)


class _Special(Exception):
    """What is left to the careful reader."""


@lru_cache(maxsize=8192)
def _kept(text: str) -> Any:
    """Return the value of an unquoted scalar. Keys and words are kept once, instead of once in each document."""
    value = resolve(text)
    if isinstance(value, int | float) and usual_text(value) != text:
        raise _Special
    return value


class _Reader:
    """A reader of the values between the start and the end of a document."""

    __slots__ = ("next_event", "size", "source")

    def __init__(self, source: YamlText, next_event: Any) -> None:
        self.source = source
        self.next_event = next_event
        self.size = 0

    def value(self, event: Any, depth: int) -> Any:
        kind = event.__class__
        if kind is ScalarEvent:
            return self._scalar(event)
        if event.anchor is not None or event.tag is not None or depth >= MAX_DEPTH:
            raise _Special
        self.size += 1
        if kind is MappingStartEvent:
            return self._mapping(depth + 1)
        if kind is SequenceStartEvent:
            return self._sequence(depth + 1)
        raise _Special

    def mark(self, path: Path, *, of_key: bool) -> Any:
        """Return the mark of a path below the next event, or of its nearest ancestor that has one."""
        event = self.next_event()
        mark = event.start_mark
        for step in path:
            found = self._step(event, step)
            if not found:
                break
            key, event = found
            mark = (key if of_key else event).start_mark
        return mark

    def _step(self, event: Any, step: str | int) -> tuple[Any, Any] | None:
        """Return the events of a key, or an index, and of its value; None if the collection does not have it."""
        next_event = self.next_event
        if event.__class__ is MappingStartEvent:
            while (key := next_event()).__class__ is ScalarEvent:
                name, item = self._key(key), next_event()
                if name == step:
                    return key, item
                self.value(item, 0)
        elif event.__class__ is SequenceStartEvent:
            index = 0
            while (item := next_event()).__class__ is not SequenceEndEvent:
                if index == step:
                    return item, item
                self.value(item, 0)
                index += 1
        return None

    def _mapping(self, depth: int) -> dict[str, Any]:
        next_event = self.next_event
        mapping: dict[str, Any] = {}
        while (event := next_event()).__class__ is ScalarEvent:
            key = self._key(event)
            if key in mapping:
                raise _Special
            event = next_event()
            mapping[key] = self._scalar(event) if event.__class__ is ScalarEvent else self.value(event, depth)
        if event.__class__ is not MappingEndEvent:
            raise _Special
        return mapping

    def _sequence(self, depth: int) -> list[Any]:
        next_event = self.next_event
        sequence = []
        while (event := next_event()).__class__ is not SequenceEndEvent:
            sequence.append(self.value(event, depth))
        return sequence

    def _key(self, event: Any) -> str:
        key = self._text(event)
        if key is None:
            key = self.source.fill(event.value, plain=not event.style)
        elif not event.style:
            key = _kept(key) if len(key) <= MAX_KEPT else resolve(key)
            if key == "<<":
                raise _Special
        if not isinstance(key, str):
            raise _Special
        return key

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.anchor is None and event.tag is None and len(text) <= MAX_KEPT and text.isascii():
            self.size += 1
            return text if event.style else _kept(text)
        text = self._text(event)
        if text is None:
            return self._filled(self.source.fill(event.value, plain=not event.style), 0)
        self.size += cost(text)
        return text if event.style else resolve(text)

    def _text(self, event: Any) -> str | None:
        """Return the text of a scalar; None if it has placeholders."""
        if event.anchor is not None or event.tag is not None:
            raise _Special
        text: str = event.value
        # Neither placeholders nor reserved characters are ASCII.
        if not text.isascii():
            if self.source.is_filled(text):
                return None
            if RESERVED.search(text):
                raise _Special
        return text

    def _filled(self, value: Any, depth: int) -> Any:
        """Return a copy of a filled-in value, as the next document may use it too."""
        self.size += cost(value) if isinstance(value, str) else 1
        if depth > MAX_DEPTH or self.size > MAX_NODES:
            raise _Special
        if isinstance(value, dict):
            return {key: self._filled(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, depth + 1) for item in value]
        return value
