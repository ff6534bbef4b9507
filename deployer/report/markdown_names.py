"""The list of new jobs in Markdown: each of them has its name in the comment, whatever else has no room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from deployer.model import Change
from deployer.report import markup
from deployer.report.group_lines import MAX_TITLE, name_lines, short_name
from deployer.report.markdown_table import merged_groups, short_title
from deployer.report.origin import Origin
from deployer.report.place_names import place_words
from deployer.report.review import Group, names_in
from deployer.report.short_values import cut


class NameList:
    """The names of the new jobs of a kind, in at most `most` characters: `text`. `left_out` counts those without room.

    `is_rest`: they are the jobs whose details are left out.
    """

    def __init__(
        self, groups: Sequence[Group], places: Mapping[str, str], most: int, *, is_rest: bool = False
    ) -> None:
        self.groups = groups
        self._is_rest = is_rest
        self._group = merged_groups(groups)
        self._has_places = self._group.place is None
        self._places = places
        most -= self.frame
        # With their files only if that leaves room for more than names.
        names = [*map(short_name, names_in(self._group, places))]
        if (fitting := _fitting(names, most // 3)) < len(names):
            names = [short_name(self._words(change)) for change in self._group.changes]
            fitting = _fitting(names, most)
        lines = [*name_lines(name.replace("`" * 3, "...") for name in names[:fitting])]
        self.left_out: Counter[str] = Counter(name=len(names) - fitting)
        self.text = ""
        if not fitting:
            return
        if fitting < len(names):
            lines.append(f"... and {len(names) - fitting} more")
        self.text = self._text(lines, [])

    @property
    def frame(self) -> int:
        """The characters around the names, with words on how many are left out."""
        return len(self._text([], [])) + 50

    def with_links(self, origin: Origin) -> str:
        """Return the list with a link to the file of each job."""
        return self._text(
            [], [(self._words(change), origin.link(change.job.source)) for change in self._group.changes]
        )

    def _words(self, change: Change) -> str:
        place = change.job.identity.place
        has_place = self._has_places and place
        words = change.job.identity.label
        return cut(f"{words} in {place_words(place, self._places)}" if has_place else words, MAX_TITLE)

    def _text(self, lines: Sequence[str], links: Sequence[tuple[str, str]]) -> str:
        return str(
            markup.markdown().names(  # type: ignore[attr-defined] # a macro
                str(self._group.action),
                len(self._group.changes),
                short_title(self._group, self._places),
                lines,
                links,
                self._is_rest,
            )
        )


def names_size(group: Group, places: Mapping[str, str]) -> int:
    """Return how many characters the names of a group take in a list, at most."""
    names = (
        f"{identity.label} in {place_words(identity.place, places)}" if identity.place else identity.label
        for identity in (change.job.identity for change in group.changes)
    )
    return sum(len(short_name(name)) + 4 for name in names)


def list_frame(groups: Sequence[Group], places: Mapping[str, str]) -> int:
    """Return how many characters a list of names takes without its names."""
    return NameList(groups, places, 0).frame


def _fitting(names: Sequence[str], most: int) -> int:
    """Count how many of the names fit, with what is between them."""
    return sum(end <= most for end in accumulate(len(name) + 3 for name in names))
