"""`deployer fmt`"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployer.cli.examples import examples
from deployer.cli.options import change_folder, completed_by
from deployer.errors import DeployerError, Exit, Problem
from deployer.escape import printable, without_command_at_start
from deployer.report import text
from deployer.report.terminal import err, out

if TYPE_CHECKING:
    from deployer.formatting.files import Result

EXAMPLES = examples(
    ("Format all files of the project", "deployer fmt"),
    ("Show what would change in one folder", "deployer fmt --diff spark"),
    ("Fail in CI if a file is not formatted", "deployer fmt --check"),
)


@click.command("fmt", epilog=EXAMPLES)
@click.option("--check", is_flag=True, help="Write nothing; exit with 2 if a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; show the changes as unified diffs.")
@click.option(
    "-C",
    "folder",
    metavar="DIR",
    help="Run as if started in DIR.",
    shell_complete=completed_by("folders"),
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, shell_complete=completed_by("files"))
@click.pass_context
def command(
    ctx: click.Context, paths: tuple[str, ...], folder: str | None, *, check: bool, diff: bool
) -> Exit:
    """Format manifests, deployer.yaml and values files: indentation, quotes, order of the top-level keys.

    Comments, empty lines, anchors and expressions stay. A file with template statements, or whose values or comments
    would change, is left as it is and named.
    """
    change_folder(ctx.obj["folder"])
    change_folder(folder)
    try:
        import ruamel.yaml  # noqa: F401
    except ImportError:
        raise DeployerError("fmt requires ruamel.yaml: pip install 'deployer[fmt]'") from None
    from deployer.formatting import files

    chosen, strangers = files.selected(paths)
    for path in strangers:
        err(text.note(f"{path} is not a manifest, values file or project file; left as it is"))
    results = [files.result(file) for file in chosen]
    for found in results:
        if found.alone:
            where = f"{_name(found)}:{found.alone.line}" if found.alone.line else _name(found)
            err(text.note(f"{where}: left as it is: {found.alone.reason}"))
    changed = [found for found in results if found.is_changed]
    if diff or check:
        for found in changed:
            out("\n".join(_diff(found)) if diff else f"not formatted: {printable(_name(found))}")
        written = len(changed)
    else:
        written = sum(map(_write, changed))
    _report([_relocated(problem, found) for found in results for problem in found.problems])
    out(_summary(results, written, verb="to format" if check or diff else "formatted"))
    if written < len(changed):
        return Exit.ERROR
    if any(found.problems for found in results):
        return Exit.INVALID
    return Exit.CHANGES if check and changed else Exit.DONE


def _write(found: Result) -> bool:
    """Write a file; report an error and return False if that is not possible."""
    from deployer.formatting import files

    try:
        files.write(found)
    except DeployerError as error:
        err(text.error(str(error)))
        return False
    out(f"formatted {printable(_name(found))}")
    return True


def _summary(results: Sequence[Result], written: int, *, verb: str) -> str:
    unchanged = sum(found.after is not None and not found.is_changed for found in results)
    invalid = sum(bool(found.problems) for found in results)
    alone = sum(found.alone is not None for found in results)
    counts = [
        f"{written} {verb}",
        f"{unchanged} unchanged",
        f"{alone} left as they are" if alone > 1 else "1 left as it is" if alone else "",
        f"{invalid} invalid" if invalid else "",
    ]
    return f"{text.count(len(results), 'file')}: {', '.join(filter(None, counts))}."


def _name(found: Result) -> str:
    """Return the name of a file, relative to the current folder."""
    return os.path.relpath(found.file.path)


def _relocated(problem: Problem, found: Result) -> Problem:
    return replace(problem, location=problem.location._replace(file=_name(found)))


def _report(problems: Sequence[Problem]) -> None:
    if problems:
        from deployer.cli.source_lines import SourceLines
        from deployer.report import findings

        for line in findings.text(findings.for_one_target(problems), source_of=SourceLines(Path.cwd()).at):
            err(line)


def _diff(found: Result) -> Iterator[str]:
    name = Path(_name(found)).as_posix()
    before, after = (content.decode("utf-8-sig") for content in (found.before, found.after or b""))
    if before.count("\n") == before.count("\r\n"):
        before, after = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
    lines = difflib.unified_diff(
        _lines(before), _lines(after), f"{name} (current)", f"{name} (formatted)", lineterm=""
    )
    for line in lines:
        yield from (without_command_at_start(printable(part)) for part in line.split("\n"))


def _lines(content: str) -> list[str]:
    *lines, rest = content.split("\n")
    return [*lines, f"{rest}\n\\ No newline at end of file"] if rest else lines
