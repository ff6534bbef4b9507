"""`deployer list`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

import click

from deployer.cli import removal, session, shared_state
from deployer.cli.examples import examples
from deployer.cli.options import (
    Options,
    all_targets_option,
    completed_by,
    format_option,
    known_kinds,
    project_command,
    selector,
)
from deployer.documents.budget import Budget
from deployer.errors import Exit, InvalidInput, UsageError
from deployer.escape import json_text
from deployer.kinds import KINDS
from deployer.model import Job, LiveJob, Source
from deployer.project.console import console_url, service_urls
from deployer.project.load import load as load_project
from deployer.report import text
from deployer.report.terminal import err, out, width

if TYPE_CHECKING:
    from deployer.planning.inventory import InventoryJob

EXAMPLES = examples(
    ("List the live jobs of the target prod", "deployer list -t prod"),
    ("List the Flink jobs without a manifest", "deployer list --unmanaged --kind FlinkJar"),
    ("Print all runs of one job as JSON", "deployer list --all --name 'daily-*' --format json"),
)


@click.command("list", epilog=EXAMPLES)
@click.option("-a", "--all", "with_ended", is_flag=True, help="Also list runs that have ended.")
@click.option(
    "--unmanaged", is_flag=True, help="List jobs without a manifest that this project did not deploy."
)
@click.option("--orphans", is_flag=True, help="List jobs that this project deployed, without a manifest.")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    shell_complete=completed_by("kinds"),
    help="List jobs of this kind only.",
)
@click.option(
    "--name",
    "names",
    metavar="GLOB",
    multiple=True,
    shell_complete=completed_by("names"),
    help="List jobs with such a name only.",
)
@all_targets_option
@format_option("text", "json")
@project_command
def command(
    options: Options,
    style: str,
    *,
    with_ended: bool,
    unmanaged: bool,
    orphans: bool,
    kinds: Sequence[str],
    names: Sequence[str],
) -> Exit:
    """List the live jobs of the target, whether they have a manifest or not. Read-only.

    For each job: its owner by its ownership tags and the journal (ours, another project, nobody; not known for
    other MRS jobs and sessions, which have no tags), and its manifest. MRS jobs are those of the clusters that
    deployer.yaml and the manifests name. Flink jobs are listed in every state, runs of other kinds until they end.
    PATH only selects the project.
    """
    is_selected = _selected(options, kinds, names)
    one = partial(
        _list,
        is_selected=is_selected,
        style=style,
        with_ended=with_ended,
        unmanaged=unmanaged,
        orphans=orphans,
        kinds=kinds,
    )
    if not session.are_several(options):
        return one(options, out)
    from deployer.cli import several

    return several.run(options, "list", style, one)


def _list(
    options: Options,
    show: Callable[[str], object],
    budget: Budget | None = None,
    *,
    is_selected: Callable[[LiveJob], bool],
    style: str,
    with_ended: bool,
    unmanaged: bool,
    orphans: bool,
    kinds: Sequence[str],
) -> Exit:
    """List the jobs of one target, and `show` the report."""
    from deployer.apply.history import submitted_names
    from deployer.cloud.inventory import listings_of, read_inventory
    from deployer.planning.inventory import has_ended, known_clusters, place_names, with_manifests
    from deployer.planning.ownership import OwnershipRules
    from deployer.report import inventory as report

    loaded = _load(options, budget)
    if orphans and not loaded.project.records_ownership:
        raise UsageError("--orphans: this project does not record ownership (marks: false in deployer.yaml)")
    if orphans or unmanaged:
        # A job whose manifest is invalid would be listed as one without.
        session.require_valid(loaded)
    are_valid = _note_invalid(loaded)
    read_kinds = sorted({*kinds} or KINDS)
    clusters = known_clusters(loaded.jobs, loaded.target.clusters.values())
    places = place_names(loaded.target.clusters)

    with session.connected(loaded) as client:
        history = shared_state.known(loaded).history
        left = removal.clusters_of(history, loaded, client.project_id) - clusters if orphans else set()
        listings = listings_of(read_kinds, clusters | left)
        _note_clusters(read_kinds, sorted(clusters | left), places)
        inventory = removal.without_left(
            read_inventory(client, listings, is_selected), left, places, session.note
        )
    ownership = OwnershipRules(loaded.project.name, loaded.project.records_ownership)
    found = with_manifests(
        inventory.jobs,
        loaded.jobs,
        ownership,
        are_valid=are_valid,
        disabled=loaded.disabled,
        submitted=submitted_names(history, loaded.target.name, client.project_id, loaded.project.name),
    )
    if orphans or unmanaged:
        found = _without_manifest(found, orphans=orphans, unmanaged=unmanaged)
    shown = [job for job in found if with_ended or not has_ended(job.live)]
    ended = len(found) - len(shown)
    shown = report.in_order(shown, places)
    if style == "json":
        link = partial(console_url, loaded.target)
        show(json_text(report.data(loaded.target.name, shown, ended, inventory, places, link)))
    elif shown:
        show(report.text(shown, inventory, places, width()))
        if console := service_urls(loaded.target, (job.live.identity.kind for job in shown)):
            show(console)
    elif inventory.totals and not inventory.failures:
        show("No live jobs found.")
    if ended:
        session.note(f"{text.count(ended, 'ended run')} not shown (--all shows them)")
    lines = report.failures(inventory, places)
    for line in lines:
        err(text.error(line))
    return Exit.ERROR if lines else Exit.DONE


def _selected(options: Options, kinds: Sequence[str], names: Sequence[str]) -> Callable[[LiveJob], bool]:
    """Return the test for live jobs that the options make. Raises UsageError."""
    known_kinds("--kind", kinds)
    if any("label." in expression for expression in options.select):
        raise UsageError("--select: live jobs have no labels; use kind= or name=")
    is_selected = selector(options.select)

    def test(live: LiveJob) -> bool:
        name = live.identity.name
        is_named = not names or any(fnmatchcase(name, pattern) for pattern in names)
        return is_named and is_selected(Job(live.identity, Source("", 0), {}))

    return test


def _load(options: Options, budget: Budget | None) -> session.LoadedProject:
    """Read the whole project; one with invalid manifests has those that are valid. Raises InvalidInput."""
    project = load_project(session.project_folder(options))
    everything = replace(options, paths=(), select=())
    try:
        return session.load(everything, budget, project)
    except InvalidInput as error:
        return session.without_manifests(everything, project, error.problems)


def _note_invalid(loaded: session.LoadedProject) -> bool:
    """Return whether all manifests are valid, and report if not."""
    errors = sum(problem.severity == "error" for problem in loaded.problems)
    if errors:
        validate = loaded.invocation.command("validate")
        session.note(
            f"invalid manifests: {text.count(errors, 'error')} (see '{validate}'); whether other jobs have a "
            "manifest is not known"
        )
    return not errors


def _note_clusters(kinds: Iterable[str], clusters: Sequence[str], places: Mapping[str, str]) -> None:
    """Report which clusters are read, for the kinds whose jobs are listed by cluster."""
    for kind in (KINDS[name] for name in kinds if KINDS[name].path_fields):
        if clusters:
            named = (f"{places[each]} ({each})" if each in places else each for each in clusters)
            session.note(
                f"{kind.title}s are listed for {text.count(len(clusters), 'cluster')}: {', '.join(named)}"
            )
        else:
            session.note(
                f"{kind.title}s are not listed: neither deployer.yaml ('clusters' of the target) nor a manifest names "
                "a cluster"
            )


def _without_manifest(found: Iterable[InventoryJob], *, orphans: bool, unmanaged: bool) -> list[InventoryJob]:
    """Return the orphans, the unmanaged jobs or both, and report how many others may be among them."""
    from deployer.planning.inventory import has_ended

    chosen, unclear = [], Counter[str]()
    for job in found:
        answers = (job.is_orphan if orphans else False, job.is_unmanaged if unmanaged else False)
        if True in answers:
            chosen.append(job)
        elif None in answers and not has_ended(job.live):
            unclear[job.live.identity.kind] += 1
    if unclear:
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(unclear.items()))
        session.note(
            f"{text.count(unclear.total(), 'job')} ({counts}) may be among them: the owner or the name is not known"
        )
    return chosen
