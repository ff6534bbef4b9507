"""`deployer completion`"""

from __future__ import annotations

import click

from deployer.cli.completion import SHELLS, script
from deployer.cli.examples import examples
from deployer.errors import Exit
from deployer.report.terminal import out

EXAMPLES = examples(
    (
        "For bash, with the package bash-completion",
        "deployer completion bash > ~/.local/share/bash-completion/completions/deployer",
    ),
    ("For zsh, in a folder of fpath", "deployer completion zsh > ~/.zfunc/_deployer"),
    ("For fish", "deployer completion fish > ~/.config/fish/completions/deployer.fish"),
)


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> Exit:
    """Print the script with which SHELL completes verbs, options, targets, jobs, labels, fields and codes.

    Instead of a file, a shell can load it at each start: eval "$(deployer completion bash)" in ~/.bashrc, the same
    with zsh in ~/.zshrc after compinit, and deployer completion fish | source in ~/.config/fish/config.fish.

    It needs bash 4.4 or newer, zsh or fish, and deployer on PATH. Completion sends nothing and reads no credential.
    """
    out(script(shell), newline=False)
    return Exit.DONE
