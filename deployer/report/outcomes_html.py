"""Outcomes as one page of HTML that needs nothing else, like that of the plan."""

from __future__ import annotations

from deployer import __version__
from deployer.model import Impact, Note
from deployer.report import markup
from deployer.report.html import policy_of
from deployer.report.origin import Origin
from deployer.report.outcomes import Entry, EntryGroup, Outcomes, Part, order
from deployer.report.place_names import place_words
from deployer.report.review import identity_words, title

_MAX_OPEN = 20  # groups that are not folded at first


def outcomes(found: Outcomes, origin: Origin | None = None) -> str:
    """Format outcomes as a page."""
    origin = origin or Origin(__version__)
    shown = order(found)
    style, script = markup.source("plan.css"), markup.source("plan.js")
    groups = [group for section in shown.sections for group in section.groups]
    scope = found.scope
    place = str(scope).partition(" -> ")[2].removeprefix(scope.target).strip()
    return (
        markup.html()
        .get_template("outcomes.html.jinja")
        .render(
            page=_Page(found, origin),
            found=found,
            shown=shown,
            origin=origin,
            policy=policy_of(style, script),
            style=style,
            script=script,
            place=place.removeprefix("(").removesuffix(")"),
            time=f"{origin.time:%Y-%m-%d %H:%M:%S} UTC" if origin.time else "",
            before=[section for section in shown.sections if section.part <= Part.FAILED],
            after=[section for section in shown.sections if section.part > Part.FAILED],
            statuses=[*dict.fromkeys(group.status for group in groups)],
            kinds=sorted({group.changes.kind for group in groups}),
            is_open=len(groups) <= _MAX_OPEN,
            failed=Part.FAILED,
        )
    )


class _Page:
    """What the template asks for."""

    def __init__(self, found: Outcomes, origin: Origin) -> None:
        self._places = found.scope.places
        self._origin = origin

    def title(self, group: EntryGroup) -> str:
        return title(group.changes, self._places).removeprefix(f"{len(group.entries)} x ")

    def impact(self, group: EntryGroup) -> str:
        impact = group.changes.impact
        return str(impact) if impact is not Impact.NONE else ""

    def identity(self, note: Note) -> str:
        return identity_words(note.identity, self._places)

    def place(self, entry: Entry, group: EntryGroup) -> str:
        """Return the place of a job if the jobs of its group have several."""
        if group.changes.place is not None:
            return ""
        return place_words(entry.change.job.identity.place, self._places)

    def link(self, entry: Entry) -> str:
        return self._origin.link(entry.change.job.source)
