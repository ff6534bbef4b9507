"""The command line: one module per verb, loaded when it is used. Errors become exit codes here only."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from deployer import __version__
from deployer.cli.examples import examples
from deployer.cli.options import common_options
from deployer.errors import DeployerError, Exit, InvalidInput
from deployer.report import text
from deployer.report.terminal import err, prepare

VERBS: Mapping[str, str] = {
    "validate": "check all manifests, without network or credentials",
    "render": "print the manifests after templates, as YAML",
    "plan": "show what apply would do",
    "apply": "plan, ask, and carry it out",
    "status": "show the live state of each job",
    "logs": "show the logs of the jobs, or follow them",
    "wait": "wait until the jobs run, or have succeeded",
    "cancel": "end what runs of the selected jobs",
    "history": "show what was sent, by whom, and what came of it",
    "explain": "tell what is known about a kind, a field or a rule",
    "schema": "generate, check or show the JSON Schemas; read vendor pages",
    "init": "start a project that works as it is",
    "emulator": "run the local DLI and MRS in the foreground",
}


class _Verbs(click.Group):
    """A group that imports a verb's module only when needed: `validate` loads no HTTP client."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"deployer.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


EXAMPLES = examples(
    ("Start a project that works on an emulator", "deployer init shop"),
    ("Show what would change in the target prod", "deployer plan -t prod"),
    ("Apply it", "deployer apply -t prod"),
)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.version_option(__version__, prog_name="deployer")
@common_options
@click.pass_context
def cli(ctx: click.Context, /, **options: object) -> None:
    """Huawei Cloud big-data jobs under git: plan on the pull request, apply on merge.

    Common options may stand before or after the verb.
    """
    ctx.obj = options | {"started_in": _current_folder()}


def _current_folder() -> str:
    """Returns the current folder, before -C changes it; empty when it has been removed."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; every expected failure is reported on stderr."""
    try:
        result = cli.main(list(arguments), prog_name="deployer", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        err("interrupted")
        return Exit.INTERRUPTED
    except InvalidInput as error:
        _report(error)
        return error.exit_code
    except DeployerError as error:
        err(text.error(str(error)))
        return error.exit_code
    return result if isinstance(result, int) else Exit.DONE


def _report(error: InvalidInput) -> None:
    from deployer.cli.source_lines import with_source_lines
    from deployer.report import findings

    for line in findings.text(with_source_lines(findings.for_one_target(error.problems), error.folder)):
        err(line)


def main() -> None:
    """Returns the `deployer` command."""
    prepare()
    # As Ctrl-C: what runs ends with its exit code, and leaves nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = run(sys.argv[1:])
    except Exception as error:
        if os.environ.get("DEPLOYER_DEBUG"):
            raise
        where = type(error).__name__
        err(f"internal error: {where}; this is a bug. DEPLOYER_DEBUG=1 shows the traceback.")
        code = Exit.ERROR
    if code == Exit.INTERRUPTED:
        # A thread may still wait for the answer to a call; nobody waits for it any more.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
