"""The details of a group in Markdown, in as many characters as there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from deployer.model import Impact, Source
from deployer.report import markup
from deployer.report.group_lines import MAX_LINKS, MAX_TITLE, GroupLines
from deployer.report.markdown_table import short_title
from deployer.report.origin import Origin
from deployer.report.review import Group, name_in
from deployer.report.short_values import cut


class Details:
    """The details of a group: `text` is what of them fits, and `left_out` counts what does not.

    Those of a group that `is_listed` have no names and links of its jobs.
    """

    def __init__(
        self, group: Group, places: Mapping[str, str], origin: Origin, *, is_open: bool, is_listed: bool
    ) -> None:
        self.group = group
        self.text = ""
        self.left_out: Counter[str] = Counter()
        self._places = places
        self._is_open = is_open
        self._lines = GroupLines(group, places, has_names=not is_listed)
        self._links = [] if is_listed else [*_links(group, places, origin)]
        self._whole = self._text(self._lines, self._links)

    @property
    def longest(self) -> int:
        """The characters of the longest field."""
        return self._lines.longest

    @property
    def is_complete(self) -> bool:
        """Whether all is there, but for the middle of long values."""
        return bool(self.text) and not any(
            number for noun, number in self.left_out.items() if noun != "value"
        )

    def fit(self, most: int, most_of_field: int | None = None) -> None:
        """Write the details in `most` characters, with values of at most `most_of_field` if not all fit."""
        self.text, self.left_out = self._whole, Counter()
        if most_of_field is None and len(self.text) <= most:
            return
        lines = self._lines.copy()
        if most_of_field is not None:
            if self.longest > most_of_field or len(self.text) > most:
                lines.shorten(most_of_field)
                self.text, self.left_out = self._text(lines, self._links), lines.left_out
            if len(self.text) <= most:
                return
            lines = self._lines.copy()
        links = self._links
        # Where it comes from is not left out, but of many jobs.
        if len(links) > 1 and sum(len(words) + len(url) + 12 for words, url in links) > most // 4:
            links = links[:1]
            lines.left_out["name"] += len(self._links) - 1
        # What is around the lines, with the longest fence.
        frame = len(self._text(lines.bare(), links)) + 4 * lines.ticks
        lines.fit(most - frame)
        self.text, self.left_out = self._text(lines, links), lines.left_out
        if len(self.text) > most or lines.is_empty:
            self.text, self.left_out = "", Counter(change=len(self.group.changes))

    def lengthen(self, most: int) -> None:
        """Write longer values if they have room in `most` characters."""
        before = self.text, self.left_out
        self.fit(most)
        if not self.is_complete or len(self.text) < len(before[0]):
            self.text, self.left_out = before

    def _text(self, lines: GroupLines, links: Sequence[tuple[str, str]]) -> str:
        group = self.group
        return str(
            markup.markdown().group(  # type: ignore[attr-defined] # a macro
                str(group.action),
                len(group.changes),
                short_title(group, self._places),
                str(group.impact) if group.impact is not Impact.NONE else "",
                group.is_drift,
                [*lines.lines()],
                links,
                [*lines.names()],
                self._is_open,
            )
        )


def _links(group: Group, places: Mapping[str, str], origin: Origin) -> Iterator[tuple[str, str]]:
    """Yield the words and the URL of each link: one for each job, or for each file of many jobs."""
    for change in group.changes if len(group.changes) <= MAX_LINKS else ():
        source = change.job.source
        words = str(source) if len(group.changes) == 1 else name_in(group, change, places)
        yield cut(words, MAX_TITLE), origin.link(source)
    for file in group.files[:MAX_LINKS] if len(group.changes) > MAX_LINKS else ():
        yield cut(file, MAX_TITLE), origin.link(Source(file, 0))
