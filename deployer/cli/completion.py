"""Shell completion: the scripts of the shells, and the answers that the scripts ask for.

Completing a verb needs click alone. What the values of options are is in `cli.candidates`, imported on use.
"""

from __future__ import annotations

import contextlib
import os
from importlib import resources
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    shell_complete,
    split_arg_string,
)

VARIABLE = "_DEPLOYER_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the script that a shell has to load."""
    return (resources.files("deployer.cli") / "shells" / f"deployer.{shell}").read_text("utf-8")


def answer(command: click.Command, instruction: str) -> int:
    """Print what a script asked for, and return the exit code.

    Whatever is wrong, with the project for example: nothing else may be printed into somebody's command line.
    """
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, contextlib.redirect_stderr(nothing):
        try:
            return shell_complete(command, {}, "deployer", VARIABLE, instruction)
        except (Exception, KeyboardInterrupt):  # noqa: BLE001 - see above
            return 1


class _WholeArguments(ShellComplete):
    """A shell that replaces the whole argument at the cursor, also `--format=js`."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        option, equals, _ = incomplete.partition("=")
        items = super().get_completions(args, incomplete)
        if not equals or not option.startswith("--"):
            return items
        return [
            CompletionItem(f"{option}={item.value}", help=item.help) if item.type == "plain" else item
            for item in items
        ]


@add_completion_class
class _Bash(_WholeArguments, BashComplete):
    """Bash, which also splits arguments at `=` and `:`, and replaces only the part at the cursor."""

    def get_completion_args(self) -> tuple[list[str], str]:
        # A character at the cursor: then the last word is always the one to complete, even an empty one.
        *args, last = split_arg_string(f"{os.environ['COMP_LINE']}.")
        return args[1:], last.removesuffix(".")

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        kept = incomplete.removesuffix(os.environ["COMP_WORD"].lstrip("\"'"))
        items = super().get_completions(args, incomplete)
        return [CompletionItem(item.value.removeprefix(kept), type=item.type) for item in items]


@add_completion_class
class _Zsh(_WholeArguments, ZshComplete):
    """Zsh."""


@add_completion_class
class _Fish(_WholeArguments, FishComplete):
    """Fish."""
