"""The shared state of a project and target, as `state` of deployer.yaml names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from deployer.apply.history import History, parse, read
from deployer.apply.provenance import is_fork
from deployer.cli.options import Options
from deployer.cli.session import Known, LoadedProject, note, project_folder
from deployer.cli.state_folder import require_own_state
from deployer.cloud.credentials import TOKEN_VARIABLES
from deployer.errors import DeployerError, UsageError
from deployer.project.load import STATE_FOLDER, Project, load
from deployer.project.target import Target
from deployer.report import text
from deployer.secrets.store import VARIABLES
from deployer.state.store import LEASE_SECONDS, MAX_LEASE_SECONDS, Snapshot, StateError

if TYPE_CHECKING:
    from deployer.state.chain import Chain

# The clocks of the machines that use a state may differ by so many seconds.
CLOCK_SECONDS = 900.0

# The lease in seconds of the locks that this process takes, for tests.
LEASE_VARIABLE = "DEPLOYER_LOCK_LEASE"


def is_shared(project: Project, target: Target) -> bool:
    """Return whether the state is shared: that of a built-in emulator is always in `.deployer/`."""
    return project.state.uses_git and not target.emulator


@contextmanager
def open_state(project: Project, target: Target) -> Iterator[Chain]:
    """Open the shared state. Raises StateError."""
    from deployer.state.chain import open_chain, ref_name

    ref = ref_name(project.name, target.name, project.state.branch)
    hidden = [
        name.strip()
        for listed in (VARIABLES, TOKEN_VARIABLES)
        for name in os.environ.get(listed, "").split(",")
    ]
    with open_chain(project.folder, project.state.remote, ref, os.environ, hidden) as chain:
        yield chain


def refuse_fork() -> None:
    """Raise DeployerError in the pull request of a fork, which nobody has reviewed: it must not write the state."""
    if is_fork(os.environ):
        raise DeployerError(
            "this is the pull request of a fork, which must not lock or change the shared state; no changes made"
        )


def shared_target(options: Options) -> tuple[Project, Target]:
    """Return the project and the target of a verb about the shared state. Raises UsageError if it is not shared."""
    project = load(project_folder(options))
    target = project.target(options.target)
    if not is_shared(project, target):
        why = "is a built-in emulator" if target.emulator else "has state: local"
        raise UsageError(
            f"target '{target.name}' {why}, so it has no shared lock: its lock ends with the process"
        )
    return project, target


def lease_seconds() -> float:
    """Return the lease of new locks. Raises UsageError."""
    given = os.environ.get(LEASE_VARIABLE, "")
    if not given:
        return LEASE_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= MAX_LEASE_SECONDS:
        raise UsageError(f"{LEASE_VARIABLE}={given}: expected seconds from 1 to {MAX_LEASE_SECONDS:.0f}")
    return seconds


def known(loaded: LoadedProject) -> Known:
    """Return what earlier runs have sent, for a verb that only reads. Raises DeployerError."""
    skew = CLOCK_SECONDS if is_shared(loaded.project, loaded.target) else 0.0
    snapshots = _snapshots(loaded.project, loaded.target)
    found = merged(loaded.project, *snapshots)
    delay = loaded.target.polling.consistency_delay
    return Known(found, delay, skew, lambda: since(snapshots[0]) if snapshots else None)


def history(project: Project, *targets: Target) -> History:
    """Read the journal of this folder and, if the state of `targets` is shared, those of all machines.

    Reports if a shared one cannot be read. Raises DeployerError.
    """
    return merged(project, *_snapshots(project, *targets))


def _snapshots(project: Project, *targets: Target) -> list[Snapshot]:
    """Return the shared states of those of `targets` that have one. Reports what cannot be read."""
    require_own_state(project.folder)
    snapshots: list[Snapshot] = []
    for target in targets:
        if is_shared(project, target):
            try:
                with open_state(project, target) as chain:
                    snapshots.append(chain.read())
                if snapshots[-1].omitted:
                    count = text.count(len(snapshots[-1].omitted), "journal")
                    note(f"{chain.name}: {count} not read: too large")
                if holder := snapshots[-1].lock:
                    note(f"the lock is held by {holder}; its changes may not be shown")
            except StateError as error:
                note(f"{error}; only what was sent from this folder is known")
    return snapshots


def merged(project: Project, *snapshots: Snapshot) -> History:
    """Return the history of shared states and of this folder. Raises DeployerError."""
    shared = [content for snapshot in snapshots for content in snapshot.runs.values()]
    found = read(project.folder / STATE_FOLDER, before=shared)
    holders = {snapshot.lock.run for snapshot in snapshots if snapshot.lock}
    # What the holder of the lock has planned is underway; that of a run that died is in doubt.
    intents = (intent for intent in found.intents if not (intent.is_planned and intent.run in holders))
    return replace(found, intents=tuple(intents))


def since(snapshot: Snapshot) -> datetime | None:
    """Return the time from which a shared state has the requests of all machines; None if it has none.

    Without the journal of this folder, which may be older than the shared one.
    """
    if snapshot.omitted:
        return None
    times = [intent.time for intent in parse(snapshot.runs.values()).intents]
    return min(times) + timedelta(seconds=CLOCK_SECONDS) if times else None
