"""The outcome of an import as text: what was written, what was not and why, and the entries for deployer.yaml.

`places` are the names of clusters by id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployer.adoption.verify import Imported, NotImported
from deployer.apply.marks import Marked
from deployer.escape import printable
from deployer.model import Identity, LiveJob, Result, pointer
from deployer.report.place_names import place_words
from deployer.report.review import identity_words
from deployer.report.text import count, error
from deployer.secrets.store import PREFIX

HEADER = ("NO", "KIND", "NAME", "PLACE", "STATE", "ID")

REVIEW = "Review the files before you commit them: only credentials that can be recognized were replaced."


def choices(jobs: Sequence[LiveJob], places: Mapping[str, str]) -> str:
    """Return a numbered line for each job, to choose from."""
    table = [HEADER, *(_cells(number, job, places) for number, job in enumerate(jobs, start=1))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _cells(number: int, job: LiveJob, places: Mapping[str, str]) -> tuple[str, ...]:
    kind, place, name, _ = job.identity
    place = place_words(place, places)
    return (str(number), *map(printable, (kind, name or "-", place or "-", job.state, job.id)))


def written(file: str, jobs: Sequence[Identity], places: Mapping[str, str]) -> str:
    """Return the line for a file."""
    named = printable(identity_words(jobs[0], places)) if len(jobs) == 1 else count(len(jobs), "job")
    return f"wrote {printable(file)}: {named}"


def marked(found: Marked) -> str:
    """Return the line for a job that was to get ownership tags."""
    identity = printable(str(found.change.job.identity))
    if found.result is Result.DONE:
        return f"marked {identity}"
    return error(f"not marked: {identity}: {printable(found.message)}")


def not_imported(found: NotImported, places: Mapping[str, str]) -> str:
    """Return the line for a live job without a manifest."""
    identity = found.live.identity
    name = identity_words(identity._replace(name=identity.name or "without a name"), places)
    return f"not imported: {printable(name)} ({printable(found.live.id)}): {printable(found.reason)}"


def credentials(imported: Sequence[Imported], places: Mapping[str, str], *, added: bool) -> Iterator[str]:
    """Yield the secrets that deployer.yaml needs, with the fields that refer to them, and what is left to the user.

    `added`: they are in deployer.yaml already.
    """
    yield from _secrets(imported, places, added=added)
    if imported:
        yield REVIEW


def _secrets(imported: Sequence[Imported], places: Mapping[str, str], *, added: bool) -> Iterator[str]:
    fields: dict[str, list[str]] = {}
    for made in imported:
        for found in made.draft.secrets:
            form = f" ({found.form})" if found.form else ""
            where = f"{identity_words(made.live.identity, places)} {pointer(found.path)}{form}"
            fields.setdefault(found.name, []).append(where)
    if not fields:
        return
    if added:
        yield "Credentials were replaced by these secrets of deployer.yaml:"
    else:
        yield "Credentials were replaced by secrets. Add to deployer.yaml, or the manifests are invalid:"
    yield ""
    yield "secrets:"
    for name, found_in in fields.items():
        yield f"  {name}: {{}}  # {printable(', '.join(dict.fromkeys(found_in)))}"
    yield ""
    yield f"Before the first change is applied, set {PREFIX}NAME to the value of each where deployer runs."


def counts(imported: int, refused: int, covered: int, older: int) -> str:
    """Return the counts at the end."""
    parts = [f"{count(imported, 'job')} imported"]
    for number, words in (
        (refused, "not imported"),
        (covered, "already in a manifest"),
        (older, f"older {'run' if older == 1 else 'runs'} left out"),
    ):
        if number:
            parts.append(f"{number} {words}")
    return f"{', '.join(parts)}."


def secret_names(imported: Sequence[Imported]) -> Mapping[str, None]:
    """Return the names of all secrets, in the order in which they are found."""
    return {found.name: None for made in imported for found in made.draft.secrets}
