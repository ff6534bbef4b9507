"""The command line: one module per verb, loaded on use. Only here errors become exit codes.

`--help` needs click alone, so that nothing else is imported before it is used.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import keyword
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer import __version__
from deployer.cli.examples import examples
from deployer.cli.options import common_options
from deployer.errors import DeployerError, Exit, InvalidInput
from deployer.report.terminal import err, prepare

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VERBS: Mapping[str, str] = {
    "validate": "validate all manifests offline",
    "fmt": "format manifests and other project files",
    "render": "print rendered manifests as YAML",
    "plan": "show the changes that apply would make",
    "apply": "plan, confirm and apply changes",
    "run": "submit runs of jobs, for values of their parameters",
    "runs": "show the past runs of a job",
    "list": "list all live jobs, with or without a manifest",
    "status": "show the live state of each job",
    "logs": "show or follow job logs",
    "wait": "wait until jobs are running or have succeeded",
    "cancel": "cancel or stop running jobs",
    "destroy": "cancel or delete jobs that have a manifest",
    "comment": "post a plan on the pull request",
    "history": "show past requests, authors and outcomes",
    "state": "show or compact the shared state",
    "unlock": "remove the shared lock of a run that has died",
    "explain": "describe a kind, a field, a rule or an error code",
    "schema": "generate, check or print the JSON Schemas",
    "init": "create a new project",
    "import": "write manifests for live jobs",
    "doctor": "check project, credentials, network and permissions",
    "emulator": "run the local DLI and MRS emulator",
    "completion": "print the script for completion in a shell",
}


class _Verbs(click.Group):
    """A group that imports a verb's module on use: `validate` loads no HTTP client."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        # A module cannot have the name of a keyword, such as import.
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = importlib.import_module(f"deployer.cli.commands.{module}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        verbs = [
            CompletionItem(verb, help=summary)
            for verb, summary in VERBS.items()
            if verb.startswith(incomplete)
        ]
        # Not that of a group, which imports the modules of all verbs.
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from deployer.cli.other_words import no_such_verb

            raise click.UsageError(no_such_verb(args[0], list(VERBS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


EXAMPLES = examples(
    ("Create a project that runs on an emulator", "deployer init shop"),
    ("Show the changes for the target prod", "deployer plan -t prod"),
    ("Apply it", "deployer apply -t prod"),
)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.version_option(__version__, prog_name="deployer")
@common_options
@click.pass_context
def cli(ctx: click.Context, /, **options: object) -> None:
    """Huawei Cloud big-data jobs under git: plan on the pull request, apply on merge.

    Common options can be given before or after the verb.
    """
    ctx.obj = options | {"started_in": _current_folder()}


def _current_folder() -> str:
    """Return the current folder, before -C changes it; empty if it was removed."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every expected error is reported on stderr."""
    try:
        result = cli.main(list(arguments), prog_name="deployer", standalone_mode=False)
    except click.UsageError as error:
        _show(error)
        return Exit.USAGE
    except click.ClickException as error:
        _show(error)
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        err("interrupted")
        return Exit.INTERRUPTED
    except InvalidInput as error:
        from deployer.cli.source_lines import report_invalid

        report_invalid(error)
        return error.exit_code
    except DeployerError as error:
        from deployer.report import text

        err(text.error(str(error)))
        return error.exit_code
    return result if isinstance(result, int) else Exit.DONE


def _show(error: click.ClickException) -> None:
    """Show an error of click's, which has the arguments as they were given."""
    from deployer.escape import log_lines

    error = _in_our_words(error)
    shown = io.StringIO()
    error.show(shown)
    for line in log_lines(shown.getvalue()):
        err(line)


def _in_our_words(error: click.ClickException) -> click.ClickException:
    """Return an error about an unknown option or command with the nearest name, as other messages have it."""
    from deployer.errors import similar

    if isinstance(error, click.NoSuchOption):
        unknown, word = "option", error.option_name
    elif isinstance(error, click.UsageError) and hasattr(error, "command_name"):  # click 8.4 and newer
        unknown, word = "command", error.command_name
    else:
        return error
    hint = similar(word, getattr(error, "possibilities", None) or ())
    return click.UsageError(f"no such {unknown} '{word}'{hint}", error.ctx)


def main() -> None:
    """Run the `deployer` command."""
    # Thousands of manifests stay until the end, and cycles are rare: looking for them took an eighth of a plan. The
    # collector stays on, for the verbs that run for long.
    gc.set_threshold(200_000)
    prepare()
    # Handled like Ctrl-C: the command cleans up and ends with its exit code.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if instruction := os.environ.get("_DEPLOYER_COMPLETE"):
        from deployer.cli.completion import answer

        sys.exit(answer(cli, instruction))
    try:
        code = run(sys.argv[1:])
    except Exception as error:
        if os.environ.get("DEPLOYER_DEBUG"):
            raise
        where = type(error).__name__
        err(f"internal error: {where}; please report this bug (DEPLOYER_DEBUG=1 shows the traceback)")
        code = Exit.ERROR
    if code == Exit.INTERRUPTED:
        # A thread may still wait for a response; the process does not wait for that thread.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
