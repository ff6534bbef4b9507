"""What can be read back from a text: its holes, and how wide they are.

A text is *readable* if at most one of its different holes has no fixed width, however often it stands there: then the
lengths alone say where each hole is, and no reading is a choice. Holes are parameters, secrets, variables of DLI and
results of filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.errors import DeployerError
from deployer.model import Parameter
from deployer.parameters import dates, references, types
from deployer.parameters.references import Filtered, Use
from deployer.secrets import references as secret_references

_DLI_VARIABLE = re.compile(r"\{\{[A-Za-z_][A-Za-z0-9_.-]*\}\}")
_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Hole:
    """A part of a text that varies: equal keys have equal texts. `width` is None if it is free.

    `use` is the value of a parameter that can be read from the hole, if it is that.
    """

    key: str
    width: int | None = None
    use: Use | None = None
    words: str = ""


Element = str | Hole


@dataclass(frozen=True, slots=True)
class Layout:
    """The elements of a text with parameters, literal texts and holes."""

    elements: tuple[Element, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(element for element in self.elements if isinstance(element, Hole))

    @property
    def free(self) -> tuple[Hole, ...]:
        """The different holes without a fixed width."""
        found = {hole.key: hole for hole in self.holes if hole.width is None}
        return tuple(found.values())

    @property
    def is_readable(self) -> bool:
        return len(self.free) <= 1

    @property
    def names(self) -> frozenset[str]:
        """The parameters that can be read from the text."""
        uses = (hole.use for hole in self.holes) if self.is_readable else ()
        return frozenset(use.name for use in uses if use)

    def may_be(self, live: str, parameters: Mapping[str, Parameter]) -> bool:
        """Return whether a live text may be this text, as far as its literal beginning and end say."""
        if self.is_readable:
            return self.read(live, parameters) is not None
        first, last = self.elements[0], self.elements[-1]
        begins = not isinstance(first, str) or live.startswith(first)
        return begins and (not isinstance(last, str) or live.endswith(last))

    def read(self, live: str, parameters: Mapping[str, Parameter]) -> dict[str, str] | None:
        """Return the values of the parameters in a live text; None if it cannot be this text."""
        free = sum(hole.width is None for hole in self.holes)
        fixed = sum(
            len(element) if isinstance(element, str) else element.width or 0 for element in self.elements
        )
        rest = len(live) - fixed
        if rest < 0 or (rest % free if free else rest) or not self.is_readable:
            return None
        found: dict[str, str] = {}
        values: dict[str, str] = {}
        at = 0
        for element in self.elements:
            if isinstance(element, str):
                if not live.startswith(element, at):
                    return None
                at += len(element)
                continue
            end = at + (rest // free if element.width is None else element.width)
            text, at = live[at:end], end
            if found.setdefault(element.key, text) != text:
                return None
            if element.use:
                value = _value(element.use, text, parameters)
                if value is None or values.setdefault(element.use.name, value) != value:
                    return None
        return values


def _value(use: Use, text: str, parameters: Mapping[str, Parameter]) -> str | None:
    value = dates.date_in(text, use.form, use.days) if use.form else text
    return value if value is not None and types.is_value(parameters[use.name], value) else None


def layout(text: str, parameters: Mapping[str, Parameter]) -> Layout:
    """Return the layout of a text with marks. A damaged mark makes it unreadable."""
    elements: list[Element] = []
    try:
        for piece, is_secret in _secrets_apart(text):
            if is_secret:
                elements.append(Hole(piece, words=secret_references.display_text(piece)))
                continue
            for part in references.split(piece):
                if isinstance(part, str):
                    elements += _literal(part)
                else:
                    elements.append(_hole(part, parameters))
    except DeployerError:
        return Layout((Hole("damaged", words="a damaged mark"), Hole("damaged, too", words="another one")))
    return Layout(_joined(elements))


def _joined(elements: Sequence[Element]) -> tuple[Element, ...]:
    """Return the elements with literal texts joined; empty ones are left out."""
    joined: list[Element] = []
    for element in elements:
        if isinstance(element, str) and joined and isinstance(joined[-1], str):
            joined[-1] += element
        elif element != "":
            joined.append(element)
    return tuple(joined)


def _hole(part: Use | Filtered, parameters: Mapping[str, Parameter]) -> Hole:
    if isinstance(part, Filtered):
        width = _HASH_LENGTH if part.filter == "sha256" else None
        return Hole(repr(part), width, words=str(part))
    parameter = parameters.get(part.name)
    if parameter is None:
        return Hole(part.mark, words=str(part))
    if not part.form:
        return Hole(part.mark, types.width(parameter), part, f"'{part.name}'")
    use = part if dates.is_whole(part.form) else None
    return Hole(part.mark, dates.width(part.form), use, str(part))


def _literal(text: str) -> list[Element]:
    """Return a literal text; a variable of DLI in it may be listed with its value."""
    elements: list[Element] = []
    at = 0
    for found in _DLI_VARIABLE.finditer(text):
        elements += [text[at : found.start()], Hole(found[0], words=f"the DLI variable {found[0]}")]
        at = found.end()
    return [*elements, text[at:]]


def _secrets_apart(text: str) -> list[tuple[str, bool]]:
    """Return the text and the references to secrets in turn; a reference with its filters is one piece."""
    pieces: list[tuple[str, bool]] = []
    depth = begin = 0
    for found in re.finditer(f"[{secret_references.OPEN}{secret_references.CLOSE}]", text):
        is_open = found[0] == secret_references.OPEN
        if depth == 0:
            pieces.append((text[begin : found.start()], False))
            begin = found.start()
        depth += 1 if is_open else -1
        if depth < 0:
            raise DeployerError("damaged secret reference")
        if depth == 0:
            pieces.append((text[begin : found.end()], True))
            begin = found.end()
    if depth:
        raise DeployerError("damaged secret reference")
    return [*pieces, (text[begin:], False)]
