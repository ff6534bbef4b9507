"""The removal of orphaned jobs on the command line: its options, what it must have read, and its confirmation."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli.approval import APPLY, PRUNE_LIMIT, Verb
from deployer.cli.options import Options, known_kinds
from deployer.errors import UsageError
from deployer.escape import printable
from deployer.kinds import KINDS
from deployer.model import Identity, Limit, Live, LiveJob, Note, Plan, Source
from deployer.planning.removal import NO_MANIFEST, Proofs, Removal, judged, whole_kinds, with_prunes
from deployer.project.load import PROJECT_FILE
from deployer.report import text
from deployer.report.terminal import err

if TYPE_CHECKING:
    from deployer.apply.history import History
    from deployer.cli.session import LoadedProject
    from deployer.cloud.client import Client
    from deployer.cloud.inventory import Inventory

MODES = (Removal.RUNS.value, Removal.DELETE.value)
_MAX_FILE = 100_000

INCOMPLETE = "orphaned jobs are not known: something could not be read, and what it has may be theirs"


@dataclass(frozen=True, slots=True)
class Prune:
    """What a command removes of orphaned jobs. `is_confirmed`: no other project has this one's name.

    `whole` are the kinds of which all live jobs may be removed.
    """

    removal: Removal
    is_confirmed: bool = False
    whole: frozenset[str] = frozenset()


def prune_of(
    options: Options, mode: str | None, confirm_project: str | None, whole: Sequence[str] = ()
) -> Prune | None:
    """Return what --prune and its options ask for. Raises UsageError."""
    if mode is None:
        for option, given in (("--confirm-project", confirm_project), ("--prune-all", whole)):
            if given:
                raise UsageError(f"{option} requires --prune")
        return None
    if mode not in MODES:
        expected = "--prune or --prune=delete; it cannot be combined with PATH"
        raise UsageError(f"--prune={mode}: expected {expected}")
    if options.paths or options.select or options.changed_since is not None:
        raise UsageError(
            "--prune cannot be combined with PATH, --select or --changed-since: what they leave out is not orphaned"
        )
    return Prune(Removal(mode), bool(confirm_project), known_kinds("--prune-all", whole))


def require_whole(loaded: LoadedProject, prune: Prune | None, confirm_project: str | None) -> None:
    """Raise UsageError if a prune would not see all manifests, or another project's name was given."""
    if confirm_project not in (None, loaded.project.name):
        raise UsageError(
            f"--confirm-project {confirm_project} does not match the project '{loaded.project.name}'"
        )
    # A saved plan may have a selection too.
    if prune and len(loaded.selected) < len(loaded.jobs):
        raise UsageError("--prune requires a plan of the whole project")


def with_default(limits: Mapping[str, Limit], prune: Prune | None) -> Mapping[str, Limit]:
    """Return the limits with that of a prune, unless there is one already."""
    return {"delete": PRUNE_LIMIT, **limits} if prune else limits


def proofs(client: Client, loaded: LoadedProject, history: History, *, is_confirmed: bool) -> Proofs:
    """Return what proves that a live job is this project's."""
    from deployer.apply.history import deploying_commits, submitted_names
    from deployer.planning.ownership import OwnershipRules

    project = loaded.project
    place = (loaded.target.name, client.project_id, project.name)

    @cache
    def lineage(commit: str) -> str:
        from deployer.apply.provenance import lineage_problem

        return lineage_problem(project.folder, commit)

    @cache
    def has_history() -> bool:
        from deployer.apply import provenance

        return provenance.has_history(project.folder)

    @cache
    def namesake() -> str:
        return "" if is_confirmed else _namesake(project.folder, project.name)

    return Proofs(
        OwnershipRules(project.name, project.records_ownership),
        submitted_names(history, *place),
        lineage,
        namesake,
        is_confirmed,
        loaded.invocation,
        commits=deploying_commits(history, *place),
        has_history=has_history,
    )


def _namesake(folder: Path, name: str) -> str:
    """Return another project file of the checkout that has the name of this project; empty if there is none."""
    from deployer.apply.provenance import git_output

    pattern = re.compile(rf"""\bname["']?\s*:\s*["']?{re.escape(name)}["']?\s*([,}}#]|$)""", re.MULTILINE)
    listed = git_output(folder, "ls-files", "-z", "--", f":(top,glob)**/{PROJECT_FILE}")
    for file in filter(None, listed.split("\0")):
        path = folder / file
        try:
            if path.samefile(folder / PROJECT_FILE) or not path.is_file():
                continue
            with path.open(encoding="utf-8", errors="replace") as opened:
                content = opened.read(_MAX_FILE)
        except OSError:
            continue
        if pattern.search(content):
            return os.path.normpath(file)
    return ""


def with_orphans(
    client: Client, loaded: LoadedProject, plan: Plan, history: History, prune: Prune | None
) -> Plan:
    """Return the plan with its orphaned jobs judged, and with what `prune` does about them; its digest is older."""
    is_confirmed = bool(prune and prune.is_confirmed)
    found = proofs(client, loaded, history, is_confirmed=is_confirmed)
    plan = judged(plan, found, loaded.disabled)
    return with_prunes(plan, prune.removal) if prune else plan


def with_inventory(
    client: Client, loaded: LoadedProject, live: Live, history: History, note: Callable[[str], object]
) -> tuple[Live, list[Note]]:
    """Return the live jobs with those that no manifest names, of all kinds, and what could not be read of them."""
    from deployer.planning.plan import counts_as_unmanaged

    planned = {*loaded.disabled, *(job.identity for job in loaded.jobs)}
    inventory, errors = read_target(
        client,
        loaded,
        history,
        note,
        is_wanted=lambda job: job.identity not in planned and counts_as_unmanaged(job),
    )
    runs = {
        _key(job) for job in live.jobs if job.identity.run
    }  # of jobs with parameters, perhaps under a former name
    found = {_key(job): job for job in inventory.jobs if _key(job) not in runs}
    kept = [job for job in live.jobs if job.identity in planned or _key(job) not in found]
    return replace(live, jobs=(*kept, *found.values())), errors


def with_left(
    client: Client,
    loaded: LoadedProject,
    live: Live,
    history: History,
    kinds: Iterable[str],
    submitted: Container[tuple[str, str]],
) -> Live:
    """Return the live jobs with those of `kinds`, of which no manifest is left, that the project has submitted.

    What cannot be read is left out: an orphaned job that is not reported does no harm.
    """
    from deployer.planning.plan import counts_as_unmanaged

    known = {_key(job) for job in live.jobs}
    inventory, _ = read_target(
        client,
        loaded,
        history,
        str,
        kinds=kinds,
        is_wanted=lambda job: _key(job) in submitted and _key(job) not in known and counts_as_unmanaged(job),
    )
    return replace(live, jobs=(*live.jobs, *inventory.jobs))


def read_target(
    client: Client,
    loaded: LoadedProject,
    history: History,
    note: Callable[[str], object],
    *,
    is_wanted: Callable[[LiveJob], bool],
    kinds: Iterable[str] = tuple(KINDS),
) -> tuple[Inventory, list[Note]]:
    """Return all live jobs of the target that are wanted, and what could not be read of them.

    A cluster that only the journal names may have been deleted: that it cannot be read is no error.
    """
    from deployer.cloud.inventory import listings_of, read_inventory
    from deployer.planning.inventory import known_clusters, place_names

    required = known_clusters(loaded.jobs, loaded.target.clusters.values())
    required |= {identity.place for identity in loaded.disabled if KINDS[identity.kind].path_fields}
    left = clusters_of(history, loaded, client.project_id) - required
    places = place_names(loaded.target.clusters)
    inventory = read_inventory(client, listings_of(kinds, required | left), is_wanted)
    inventory = without_left(inventory, left, places, note)
    errors: list[Note] = []
    for listing, message in inventory.failures.items():
        identity = Identity(listing.kind, listing.place, "*")
        errors.append(Note(identity, Source(PROJECT_FILE, 0), f"cannot be listed: {message}"))
    errors += [
        Note(identity, NO_MANIFEST, f"its tags cannot be read: {message}")
        for identity, message in inventory.untagged.items()
    ]
    return inventory, errors


def _key(live: LiveJob) -> tuple[str, str]:
    return live.identity.kind, live.id


def without_left(
    inventory: Inventory, left: Container[str], places: Mapping[str, str], note: Callable[[str], object]
) -> Inventory:
    """Return an inventory where a cluster of `left` that cannot be read is no failure, but noted.

    They are known from the journal only: a cluster may have been deleted since.
    """
    from deployer.report.inventory import listing_name

    gone = {listing for listing in inventory.failures if listing.place and listing.place in left}
    for listing in inventory.failures:
        if listing in gone:
            note(f"{listing_name(listing, places)}: its jobs are not known: {inventory.failures[listing]}")
    kept = {listing: message for listing, message in inventory.failures.items() if listing not in gone}
    return replace(inventory, failures=kept)


def clusters_of(history: History, loaded: LoadedProject, project_id: str) -> set[str]:
    """Return the clusters in which this project has submitted jobs, by its journal."""
    target = loaded.target.name
    with_clusters = {kind.name for kind in KINDS.values() if kind.path_fields}
    return {
        intent.identity.place
        for intent in history.intents
        if (intent.target, intent.project_id) == (target, project_id)
        and intent.identity.kind in with_clusters
        and intent.identity.place
    }


def is_complete(plan: Plan, prune: Prune | None, verb: Verb) -> bool:
    """Return whether everything was read that a removal must know; reports if not."""
    if prune and plan.errors:
        count = text.count(len(plan.errors), "error")
        err(
            text.error(
                f"orphaned jobs are not known: {count} above, and what could not be read may be theirs"
            )
        )
        err(f"No {verb.objects} were {verb.past}.")
        return False
    return True


def is_consented(
    plan: Plan, prune: Prune | None, verb: Verb, project: str, kept: Collection[str] = ()
) -> bool:
    """Return whether the removal of all live jobs of a kind is wanted, in words; asks at a terminal.

    `kept` are the kinds of which other live jobs remain.
    """
    if not prune:
        return True
    ended = whole_kinds(plan, kept, with_manifests=prune.removal is Removal.ABSENT)
    asked = {kind: number for kind, number in ended.items() if kind not in prune.whole}
    if not asked:
        return True
    what = ", ".join(f"{kind} ({text.count(number, 'job')})" for kind, number in sorted(asked.items()))
    words = f"this {'prune' if verb is APPLY else verb.name} ends all live jobs of a kind that the project has: {what}"
    if not sys.stdin.isatty():
        options = " ".join(f"--prune-all {kind}" for kind in sorted(asked))
        err(text.error(f"{words}; to allow it, use {options}"))
        err(f"No {verb.objects} were {verb.past}.")
        return False
    prompt = f"\n{printable(words[0].upper() + words[1:])}. Enter the name of the project to confirm"
    answer: str = click.prompt(prompt, default="", show_default=False)
    return answer.strip() == project
