"""`deployer completion`"""

from __future__ import annotations

import click

from deployer.cli.completion import SHELLS, script
from deployer.cli.examples import examples
from deployer.errors import Exit
from deployer.report.terminal import out

EXAMPLES = examples(
    ("Bash, in ~/.bashrc", 'eval "$(deployer completion bash)"'),
    ("Zsh, in ~/.zshrc, after compinit", 'eval "$(deployer completion zsh)"'),
    ("Fish, once", "deployer completion fish > ~/.config/fish/completions/deployer.fish"),
)


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> Exit:
    """Print the script with which SHELL completes verbs, options, targets, jobs, labels, fields and codes.

    The shell runs it when it starts, or loads it from a folder for completions (in bash with the package
    bash-completion: ~/.local/share/bash-completion/completions/deployer; in zsh: a file _deployer in a folder of
    fpath). It needs deployer on PATH, bash 4.4 or newer, zsh or fish. Nothing is sent, and no credential is read.
    """
    out(script(shell), newline=False)
    return Exit.DONE
