"""`deployer unlock`"""

from __future__ import annotations

import click

from deployer.cli import shared_state
from deployer.cli.approval import confirmed
from deployer.cli.examples import examples
from deployer.cli.options import Options, project_command, yes_option
from deployer.cli.shared_state import shared_target
from deployer.errors import DeployerError, Exit, UsageError
from deployer.report.terminal import out
from deployer.state.store import Rejected, Snapshot, Store
from deployer.state.takeover import UNLOCK, taken_over_line

ATTEMPTS = 10  # a holder that is still alive renews its lock meanwhile

EXAMPLES = examples(
    ("Remove the lock of a run on the target prod", "deployer unlock -t prod 0f9c2c487658"),
    ("Show first which run that is", "deployer state show -t prod"),
)


@click.command("unlock", epilog=EXAMPLES)
@yes_option
@click.argument("run", metavar="RUN")
@project_command
def command(options: Options, run: str, *, yes: bool) -> Exit:
    """Remove the shared lock of RUN, without waiting until its lease is over.

    For a RUN that has died. One that is still alive sends nothing more and fails. The next apply looks up what RUN
    may have sent, but waits only for polling.consistencyDelay: a request that RUN sent just before may take effect
    later.
    """
    if not run:
        raise UsageError("RUN must not be empty; 'deployer state show' shows it")
    project, target = shared_target(options)
    shared_state.refuse_fork()
    with shared_state.open_state(project, target) as chain:
        seen = chain.read()
        if seen.lock is None:
            out(f"{chain.name} is not locked.")
            return Exit.DONE
        _check_holder(seen, run)
        if not confirmed(f"Remove the lock of {seen.lock}?", yes=yes):
            out("The lock was not removed.")
            return Exit.ERROR
        _remove(chain, seen, run)
    out(f"The lock of run {run} was removed.")
    return Exit.DONE


def _check_holder(seen: Snapshot, run: str) -> None:
    """Raise DeployerError if another run holds the lock."""
    if seen.lock and seen.lock.run != run:
        raise DeployerError(f"the lock is not held by run {run}, but by {seen.lock}")


def _remove(store: Store, seen: Snapshot, run: str) -> None:
    """Remove the lock of a run. Raises DeployerError."""
    for attempt in range(1, ATTEMPTS + 1):
        if seen.lock is None:
            return
        file = seen.file_of(run)
        runs = {file: seen.runs[file] + taken_over_line(run, UNLOCK)} if file else {}
        try:
            store.swap(seen, None, runs)
        except Rejected:
            if attempt == ATTEMPTS:
                raise
            seen = store.read()
            _check_holder(seen, run)
        else:
            return
