"""`deployer import`"""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli import session
from deployer.cli.examples import examples
from deployer.cli.options import (
    Options,
    completed_by,
    confirm_option,
    lock_timeout_option,
    project_command,
    selector,
    yes_option,
)
from deployer.cli.session import LoadedProject
from deployer.errors import DeployerError, Exit, InvalidInput, UsageError, nearest
from deployer.kinds import KINDS
from deployer.model import Document, Job, LiveJob, Source
from deployer.project.load import PROJECT_FILE
from deployer.report import text
from deployer.report.terminal import err, out

if TYPE_CHECKING:
    from deployer.adoption.choose import Candidates
    from deployer.adoption.verify import Imported
    from deployer.project.target import Target

DEFAULT_FOLDER = "imported"

EXAMPLES = examples(
    ("Choose from the live jobs of the target prod", "deployer import -t prod"),
    ("Print the manifests of all Flink jobs", "deployer import -t prod --kind FlinkJar --dry-run"),
    ("Import jobs by name, one file for each queue", "deployer import -t prod 'daily-*' --group queue"),
)


@click.command("import", epilog=EXAMPLES)
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    shell_complete=completed_by("kinds"),
    help="Only jobs of KIND (repeatable).",
)
@click.option("--all", "everything", is_flag=True, help="Select all live jobs without a manifest.")
@click.option("--id", "ids", metavar="ID", multiple=True, help="Select the live job with ID (repeatable).")
@click.option(
    "--cluster",
    "clusters",
    metavar="ID",
    multiple=True,
    help="Also read the jobs of this MRS cluster, by ID or by its name in deployer.yaml (repeatable).",
)
@click.option(
    "--out",
    "given_folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    shell_complete=completed_by("folders"),
    help=f"Folder of the project for the manifests (default: {DEFAULT_FOLDER}).",
)
@click.option(
    "--group",
    type=click.Choice(["kind", "queue"]),
    help="Write one file for each kind or queue, instead of one for each job.",
)
@click.option("--dry-run", is_flag=True, help="Print the manifests; write nothing.")
@click.option(
    "--no-update-project", is_flag=True, help="Print the secrets to add to deployer.yaml; do not add them."
)
@click.option(
    "--write-marks",
    is_flag=True,
    help="Also write ownership tags on the imported jobs, and on selected ones that a manifest adopts already, if "
    "their kind has tags; restarts none.",
)
@yes_option
@confirm_option
@lock_timeout_option
@partial(project_command, metavar="[NAME]...", completion=None)
def command(
    options: Options,
    *,
    kinds: tuple[str, ...],
    everything: bool,
    ids: tuple[str, ...],
    clusters: tuple[str, ...],
    given_folder: Path | None,
    group: str | None,
    dry_run: bool,
    no_update_project: bool,
    write_marks: bool,
    yes: bool,
    confirm: str | None,
    lock_timeout: float | None,
) -> Exit:
    """Write manifests for live jobs that have none: those whose name is NAME, or matches it as a pattern.

    Without a selection, the jobs are listed to choose from. A manifest is written only if it plans as unchanged, and
    with lifecycle settings under which apply does not run, stop or delete the job. Credentials become references to
    secrets, whose names are added to deployer.yaml. No other file is overwritten.
    """
    from deployer.adoption.choose import candidates
    from deployer.adoption.verify import Context, verified
    from deployer.cloud.inventory import listings_of, read_inventory
    from deployer.planning.inventory import known_clusters, place_names
    from deployer.project.values import template_values
    from deployer.report import imported as report
    from deployer.report.inventory import failures

    names, update_project = options.paths, not (no_update_project or dry_run)
    _require_known(kinds)
    if everything and (names or ids):
        raise UsageError("--all cannot be combined with NAME or --id")
    asks = not (everything or names or ids or kinds or options.select)
    if asks and not sys.stdin.isatty():
        raise UsageError("no jobs selected: give NAME, --id, --kind or --select, or --all")
    if dry_run and write_marks:
        raise UsageError("--dry-run cannot be combined with --write-marks")
    loaded = _loaded(options)
    approved = write_marks and _approved(loaded, yes=yes, confirm=confirm)
    where = _folder(loaded, given_folder)
    wanted = sorted({*kinds} or KINDS)
    known = loaded.target.clusters
    places = place_names(known)
    given = {known.get(name, name) for name in clusters}
    read = known_clusters(loaded.jobs, {*known.values(), *given})
    if not read and any(KINDS[kind].path_fields for kind in wanted):
        _without_clusters(required=all(KINDS[kind].path_fields for kind in wanted))
    with session.connected(loaded) as client:
        inventory = read_inventory(client, listings_of(wanted, read), lambda _: True)
    for line in failures(inventory, places):
        err(text.error(line))
    managed = {*(job.identity for job in loaded.jobs), *loaded.disabled}
    found = candidates(inventory.jobs, managed)
    covered = [] if asks or not write_marks else _covered(loaded, inventory.jobs, names, ids, options.select)
    adopted = [live for _, live in covered]
    chosen = _chosen(found, inventory.jobs, names, ids, options.select, places, adopted)
    if chosen and asks:
        chosen = _choose(chosen, places)
    target, layers = _as_in(loaded, where)
    values = template_values(loaded.project, target, layers)
    context = Context(loaded.project, target, values, loaded.manifests)
    try:
        imported, refused = verified(context, chosen, inventory.jobs)
    except InvalidInput:
        session.note(
            "with the new manifests the project would be invalid; nothing was written; select other jobs"
        )
        raise
    _write(loaded, imported, where, group, dry_run=dry_run, update_project=update_project)
    for job in refused:
        err(text.error(report.not_imported(job, places)))
    say = err if dry_run else out
    older = sum(found.older.get(made.live.identity, 0) for made in imported)
    say(report.counts(len(imported), len(refused), len(found.covered), older))
    for line in report.credentials(imported, places, added=update_project):
        say(line)
    to_mark = [*((made.job, made.live) for made in imported), *covered]
    marked = _marked(loaded, to_mark, approved=approved, timeout=lock_timeout) if write_marks else Exit.DONE
    return _exit_code(len(imported), marked, is_partial=bool(refused or inventory.failures))


def _exit_code(imported: int, marked: Exit, *, is_partial: bool) -> Exit:
    if marked in {Exit.UNKNOWN, Exit.INTERRUPTED}:
        return marked
    if is_partial or marked is not Exit.DONE:
        return Exit.PARTLY if imported else Exit.ERROR
    return Exit.DONE


def _require_known(kinds: Sequence[str]) -> None:
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"unknown kind '{unknown[0]}'{nearest(unknown[0], list(KINDS))}")


def _loaded(options: Options) -> LoadedProject:
    """Return the valid project, all of it: the arguments are names of live jobs. Raises UsageError, InvalidInput."""
    whole = replace(options, paths=(), select=())
    try:
        session.project_folder(whole)
    except UsageError as error:
        raise UsageError(f"{error}; to create a project: deployer init") from None
    loaded = session.load(whole, with_manifests=True, report=lambda _: None)
    session.require_valid(loaded)
    return loaded


def _folder(loaded: LoadedProject, folder: Path | None) -> str:
    """Return the folder for the files, relative to the project. Raises UsageError if no manifests are read there."""
    top = loaded.project.folder.resolve()
    wanted = (top / DEFAULT_FOLDER if folder is None else folder.absolute()).resolve()
    if not wanted.is_relative_to(top):
        raise UsageError(f"--out {folder} is outside the project {loaded.project.folder}")
    inner = wanted.relative_to(top)
    if hidden := [part for part in inner.parts if part.startswith((".", "_"))]:
        raise UsageError(
            f"--out {folder}: no manifests are read in '{hidden[0]}', as in all names with . or _ first"
        )
    steps = [wanted, *wanted.parents][: len(inner.parts)]
    if any((step / PROJECT_FILE).exists() for step in steps):
        raise UsageError(f"--out {folder} belongs to another project: it has a {PROJECT_FILE}")
    excludes = loaded.project.excludes
    for name, is_folder in ((inner.as_posix(), True), (f"{inner.as_posix()}/job.yaml", False)):
        if excludes and (glob := excludes.of(name, is_folder=is_folder)):
            raise UsageError(f"--out {inner} is excluded by '{glob.text}' ({glob.location})")
    return inner.as_posix()


def _as_in(loaded: LoadedProject, folder: str) -> tuple[Target, Sequence[Document]]:
    """Return the target with the defaults that manifests in a folder have, and the layers of their values."""
    own = loaded.folders.of(f"{folder}/job.yaml") if loaded.folders else None
    if own is None:
        return loaded.target, loaded.values
    return replace(loaded.target, defaults=own.defaults, removable=own.removable), own.layers


def _without_clusters(*, required: bool) -> None:
    words = f"no MRS cluster is known: name it in {PROJECT_FILE} (clusters), or with --cluster"
    if required:
        raise UsageError(words)
    session.note(f"MRS jobs are not read: {words}")


def _covered(
    loaded: LoadedProject,
    jobs: Sequence[LiveJob],
    patterns: Sequence[str],
    ids: Sequence[str],
    select: Sequence[str],
) -> list[tuple[Job, LiveJob]]:
    """Return the selected jobs that only need tags: a manifest adopts them already."""
    from deployer.adoption.covered import adopted

    return adopted(loaded.jobs, jobs, patterns, ids, selector(select))


def _chosen(
    found: Candidates,
    jobs: Sequence[LiveJob],
    patterns: Sequence[str],
    ids: Sequence[str],
    select: Sequence[str],
    places: Mapping[str, str],
    adopted: Sequence[LiveJob] = (),
) -> list[LiveJob]:
    """Return the jobs that the command line selects, of `jobs` by id; without `adopted`. Raises UsageError."""
    from deployer.adoption.choose import matching
    from deployer.adoption.covered import without
    from deployer.report.review import identity_words

    is_selected = selector(select)
    covered = {
        identity.name: f"already in a manifest: {identity_words(identity, places)}"
        for identity in found.covered
    }
    chosen: list[LiveJob] = []
    for wanted in ids:
        job = next((job for job in jobs if job.id == wanted), None)
        if job is None:
            raise UsageError(f"--id {wanted}: no live job has this id")
        if job in adopted:
            continue
        if job.identity in found.covered:
            raise UsageError(f"--id {wanted}: already in a manifest: {identity_words(job.identity, places)}")
        chosen.append(job)
    if patterns or not ids:
        candidates = [job for job in found.jobs if is_selected(Job(job.identity, Source("", 0), {}))]
        left = without(patterns, adopted, candidates)
        if left or not patterns:
            chosen += [job for job in matching(candidates, left, covered) if job not in chosen]
    return chosen


def _choose(jobs: Sequence[LiveJob], places: Mapping[str, str]) -> list[LiveJob]:
    """Let the user choose from a numbered list."""
    from deployer.report import imported as report

    out(report.choices(jobs, places))
    while True:
        answer: str = click.prompt("\nNumbers of the jobs to import, such as 1,3-5, or all", type=str)
        numbers = _numbers(answer, len(jobs))
        if numbers is not None:
            return [jobs[number - 1] for number in numbers]
        err(text.error(f"expected numbers from 1 to {len(jobs)}, such as 1,3-5, or all"))


def _numbers(answer: str, most: int) -> list[int] | None:
    """Return the numbers of an answer in their order; None if it is none."""
    if answer.strip().casefold() == "all":
        return [*range(1, most + 1)]
    numbers: set[int] = set()
    for part in answer.replace(" ", ",").split(","):
        first, dash, last = part.partition("-")
        ends = [first, last if dash else first]
        if not part:
            continue
        if not all(end.isascii() and end.isdecimal() and len(end) < 8 for end in ends):
            return None
        numbers |= {*range(int(ends[0]), min(int(ends[1]), most + 1) + 1)}
    return sorted(numbers) if numbers and min(numbers) >= 1 and max(numbers) <= most else None


def _write(
    loaded: LoadedProject,
    imported: Sequence[Imported],
    folder: str,
    group: str | None,
    *,
    dry_run: bool,
    update_project: bool,
) -> None:
    """Write the manifests, or print them. Raises UsageError if a file exists, and then writes none."""
    from deployer.adoption.files import grouped
    from deployer.manifests.scaffold import manifest_modeline, write
    from deployer.planning.inventory import place_names
    from deployer.report import imported as report

    places = place_names(loaded.target.clusters)
    files = {
        file: (manifest_modeline(loaded.project.folder, file) + content, jobs)
        for file, (content, jobs) in grouped(
            [(made.live, made.text) for made in imported], folder, group, places
        ).items()
    }
    if dry_run:
        out("---\n".join(f"# {file}\n{content}" for file, (content, _) in files.items()), newline=False)
        return
    names = [name for name in report.secret_names(imported) if name not in loaded.target.secrets]
    updated = _updated_project(loaded, names) if update_project and names else ""
    write(loaded.project.folder, {file: content for file, (content, _) in files.items()})
    for file, (_, jobs) in files.items():
        out(report.written(file, jobs, places))
    if updated:
        _replace(loaded.project.folder / PROJECT_FILE, updated)
        out(f"updated {PROJECT_FILE}: {text.count(len(names), 'secret')} added")


def _updated_project(loaded: LoadedProject, names: Sequence[str]) -> str:
    """Return deployer.yaml with more secrets. Raises DeployerError."""
    from deployer.adoption.project_secrets import with_secrets

    try:
        return with_secrets((loaded.project.folder / PROJECT_FILE).read_text(encoding="utf-8"), names)
    except OSError as error:
        raise DeployerError(f"cannot read {PROJECT_FILE}: {error.strerror}; no files written") from None


def _replace(path: Path, content: str) -> None:
    """Replace a file as a whole, or leave it as it is. Raises DeployerError."""
    from deployer.documents.atomic import replace_file

    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        replace_file(path.resolve(), content.encode(), prefix=f".{path.name}-", mode=mode)
    except OSError as error:
        raise DeployerError(f"cannot write {path}: {error.strerror}; the manifests were written") from None


def _approved(loaded: LoadedProject, *, yes: bool, confirm: str | None) -> bool:
    """Return whether the command line approves the tags. Raises UsageError."""
    from deployer.cli.approval import Verb, preapproved

    if not loaded.project.records_ownership:
        raise UsageError(f"--write-marks: 'marks' is false in {PROJECT_FILE}")
    return preapproved(loaded.target, Verb("write tags", "written", "tags"), yes=yes, confirm=confirm)


def _marked(
    loaded: LoadedProject, jobs: Sequence[tuple[Job, LiveJob]], *, approved: bool, timeout: float | None
) -> Exit:
    """Write ownership tags under the lock of the target, and report each job."""
    from deployer.apply import marks
    from deployer.cli import locks
    from deployer.cli.approval import request_approval
    from deployer.cli.interrupts import interruptible
    from deployer.clock import StopSignal
    from deployer.model import Live, Plan, Result
    from deployer.planning.ownership import from_project
    from deployer.report import imported as report

    owner = session.owner(loaded)
    wanted = marks.changes(jobs, owner) if owner else ()
    if not wanted:
        out("No ownership tags to write: the selected jobs have them, or their kind has none.")
        return Exit.DONE
    for change in wanted:
        if change.live and (project := from_project(change.live)):
            session.note(f"{change.job.identity}: its tags make it this project's, taken over{project}")
    question = f"Write ownership tags on {text.count(len(wanted), 'job')} in target {loaded.target.name}?"
    if owner is None or not (approved or request_approval(loaded.target, question)):
        out("No tags were written.")
        return Exit.ERROR
    plan, secrets, stop_signal = Plan(loaded.target.name, wanted), session.secrets(loaded), StopSignal()
    results: list[Result] = []
    with (
        locks.hold(loaded, secrets, "import", timeout, stop_signal) as held,
        session.connected(loaded, secrets, stop_signal, held.require) as client,
    ):
        held.plan(client, lambda **_: (plan, Live(())))
        with interruptible(stop_signal):
            for found in marks.write(client, held.journal_of(client), owner, wanted):
                results.append(found.result)
                (out if found.result is Result.DONE else err)(report.marked(found))
    if stop_signal:
        return Exit.INTERRUPTED
    if Result.UNKNOWN in results:
        return Exit.UNKNOWN
    return Exit.DONE if {*results} <= {Result.DONE} else Exit.PARTLY
