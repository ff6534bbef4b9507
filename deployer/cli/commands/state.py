"""`deployer state`"""

from __future__ import annotations

import click

from deployer.cli import shared_state
from deployer.cli.approval import confirmed
from deployer.cli.examples import examples
from deployer.cli.options import Options, format_option, project_command, yes_option
from deployer.cli.shared_state import shared_target
from deployer.errors import DeployerError, Exit
from deployer.escape import json_text
from deployer.report import state
from deployer.report.terminal import out

EXAMPLES = examples(
    ("Show the lock and the size of the journal of the target prod", "deployer state show -t prod"),
    ("Replace its history by one commit", "deployer state compact -t prod"),
)


@click.group("state", epilog=EXAMPLES)
def command() -> None:
    """Show or compact the shared state: the lock and the journal that `state: git` keeps on a git remote."""


@command.command(
    "show",
    epilog=examples(
        ("Show who has the lock of the target prod", "deployer state show -t prod"),
        ("Print it as JSON", "deployer state show -t prod --format json"),
    ),
)
@format_option("text", "json")
@project_command
def show(options: Options, style: str) -> Exit:
    """Show where the shared state is, who has the lock, and how many runs its journal has. Read-only."""
    project, target = shared_target(options)
    with shared_state.open_state(project, target) as chain:
        seen = chain.read()
        shown = (chain.name, seen, chain.written_at(seen))
        out(json_text(state.data(*shown)) if style == "json" else state.text(*shown))
    return Exit.DONE


@command.command(
    "compact",
    epilog=examples(
        ("Ask, and replace the history by one commit", "deployer state compact -t prod"),
        ("Do it without confirmation", "deployer state compact -t prod --yes"),
    ),
)
@yes_option
@project_command
def compact(options: Options, *, yes: bool) -> Exit:
    """Replace the commits of the shared state by one: runs of more than 30 days ago are lost.

    Rarely needed, as a host compresses the commits. Fails while the state is locked, or if the host does not allow it.
    """
    project, target = shared_target(options)
    shared_state.refuse_fork()
    with shared_state.open_state(project, target) as chain:
        seen = chain.read()
        if not seen.version:
            out(f"{chain.name} does not exist yet.")
            return Exit.DONE
        if seen.lock:
            raise DeployerError(f"the state is locked by {seen.lock}; nothing was changed")
        if not confirmed(f"Replace the history of {chain.name} by one commit?", yes=yes):
            out("Nothing was changed.")
            return Exit.ERROR
        chain.compact(seen)
        out(f"{chain.name} is one commit now.")
    return Exit.DONE
