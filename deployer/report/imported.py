"""The outcome of an import as text: what was written, what was not and why, and the entries for deployer.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployer.adoption.verify import Imported, NotImported
from deployer.apply.marks import Marked
from deployer.escape import printable
from deployer.model import Identity, LiveJob, Result, pointer
from deployer.report.text import count, error
from deployer.secrets.store import PREFIX

HEADER = ("NO", "KIND", "NAME", "PLACE", "STATE", "ID")


def choices(jobs: Sequence[LiveJob]) -> str:
    """Return a numbered line for each job, to choose from."""
    table = [HEADER, *(_cells(number, job) for number, job in enumerate(jobs, start=1))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _cells(number: int, job: LiveJob) -> tuple[str, ...]:
    kind, place, name, _ = job.identity
    return (str(number), *map(printable, (kind, name or "-", place or "-", job.state, job.id)))


def written(file: str, jobs: Sequence[Identity]) -> str:
    """Return the line for a file."""
    named = printable(str(jobs[0])) if len(jobs) == 1 else count(len(jobs), "job")
    return f"wrote {printable(file)}: {named}"


def marked(found: Marked) -> str:
    """Return the line for a job that was to get ownership tags."""
    identity = printable(str(found.change.job.identity))
    if found.result is Result.DONE:
        return f"marked {identity}"
    return error(f"not marked: {identity}: {printable(found.message)}")


def not_imported(found: NotImported) -> str:
    """Return the line for a live job without a manifest."""
    identity = found.live.identity
    name = str(identity) if identity.name else str(identity._replace(name="without a name"))
    return f"not imported: {printable(name)} ({printable(found.live.id)}): {printable(found.reason)}"


def secrets(imported: Sequence[Imported], *, added: bool) -> Iterator[str]:
    """Yield the secrets that deployer.yaml needs, with the fields that refer to them; nothing without any.

    `added`: they are in deployer.yaml already.
    """
    fields: dict[str, list[str]] = {}
    for made in imported:
        for found in made.draft.secrets:
            form = f" ({found.form})" if found.form else ""
            where = f"{made.live.identity} {pointer(found.path)}{form}"
            fields.setdefault(found.name, []).append(where)
    if not fields:
        return
    if added:
        yield "Credentials were replaced by these secrets of deployer.yaml:"
    else:
        yield "Credentials were replaced by secrets. Add to deployer.yaml, or the manifests are invalid:"
    yield ""
    yield "secrets:"
    for name, places in fields.items():
        yield f"  {name}: {{}}  # {printable(', '.join(dict.fromkeys(places)))}"
    yield ""
    yield f"Before the first change is applied, set {PREFIX}NAME to the value of each where deployer runs."


def counts(imported: int, refused: int, covered: int, older: int) -> str:
    """Return the counts at the end."""
    parts = [f"{count(imported, 'job')} imported"]
    for number, words in (
        (refused, "not imported"),
        (covered, "already in a manifest"),
        (older, "older runs left out"),
    ):
        if number:
            parts.append(f"{number} {words}")
    return f"{', '.join(parts)}."


def secret_names(imported: Sequence[Imported]) -> Mapping[str, None]:
    """Return the names of all secrets, in the order in which they are found."""
    return {found.name: None for made in imported for found in made.draft.secrets}
