"""`deployer schema`"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from deployer.cli.examples import examples
from deployer.cli.options import completed_by, format_option
from deployer.documents.dump import dump
from deployer.errors import DeployerError, Exit, UsageError, nearest
from deployer.escape import json_text, printable, value
from deployer.kinds import KINDS
from deployer.kinds.tables import load_table, operations, schema_folder
from deployer.report.terminal import err, out
from deployer.schema import files
from deployer.schema.stored import EDITOR_FILES, editor_files
from deployer.vendor_pages import Difference, as_table, compare, load_page, tables_of

EXAMPLES = examples(
    ("Print the schema of a kind", "deployer schema show SparkBatch"),
    ("Check that the stored schemas are up to date", "deployer schema check"),
)


@click.group("schema", epilog=EXAMPLES)
def command() -> None:
    """Generate, check and print the JSON Schemas (draft 2020-12) of the parameter tables."""


@command.command(
    "generate",
    epilog=examples(
        ("Write the schemas after a table has changed", "deployer schema generate"),
        ("Then check that all schemas are up to date", "deployer schema check"),
    ),
)
def generate() -> Exit:
    """Generate the schemas from the tables, in the folder of the tables."""
    for name, text in files.generate().items():
        file = Path(str(schema_folder() / name))
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DeployerError(f"cannot write {file}: {error.strerror}") from None
        out(f"wrote {name}")
    return Exit.DONE


@command.command(
    "check",
    epilog=examples(
        ("Check that the stored schemas are up to date", "deployer schema check"),
        (
            "Compare the tables with pages of the vendor",
            "deployer schema check --against batches.html sessions.md",
        ),
    ),
)
@click.option(
    "--against",
    metavar="PAGE...",
    multiple=True,
    help="Compare the tables with vendor pages.",
    shell_complete=completed_by("files"),
)
@click.argument("more", metavar="", nargs=-1, shell_complete=completed_by("files"))
def check(against: tuple[str, ...], more: tuple[str, ...]) -> Exit:
    """Fail if a generated schema is missing or out of date.

    With --against, also list the differences between the tables and vendor pages, and fail if the tables do not
    explain a difference.
    """
    if more and not against:
        raise UsageError(f"unexpected argument {more[0]}: pages follow --against")
    compared = [_compared(path) for path in (*against, *more)]
    stale = files.stale()
    for name in stale:
        err(f"{name} is out of date; run 'deployer schema generate'")
    if not stale:
        out(f"The {len(files.generate())} schemas are up to date.")
    for path, differences in compared:
        for difference in differences:
            out(printable(_line(difference)))
        unexplained = sum(difference.reason is None for difference in differences)
        intentional = len(differences) - unexplained
        out(printable(f"{path}: {unexplained} unexplained and {intentional} intentional differences."))
    is_unexplained = any(difference.reason is None for _, found in compared for difference in found)
    return Exit.ERROR if stale or is_unexplained else Exit.DONE


def _compared(path: str) -> tuple[str, list[Difference]]:
    page = load_page(path)
    if not page.calls:
        raise DeployerError(f"{path} contains no request line such as 'POST /v2.0/{{project_id}}/batches'")
    tables = tables_of(page, [load_table(operation) for operation in operations()])
    if not tables:
        raise DeployerError(f"no table for {', '.join(page.calls)}, documented in {path}")
    return path, [difference for table in tables for difference in compare(table, page)]


def _line(difference: Difference) -> str:
    match difference.column:
        case "missing":
            what = "on the page, not in the table"
        case "extra":
            what = "in the table, not on the page"
        case _:
            what = f"page says {_describe(difference.page)}, table says {_describe(difference.table)}"
    if difference.reason is not None:
        end = f" (intentional: {difference.reason})"
    elif difference.expected:
        end = f" (unexplained: 'page' in the table says {_describe(difference.expected[0])})"
    else:
        end = " (unexplained)"
    subject = f"{difference.operation} {difference.side} {difference.path}"
    return f"{subject}: {difference.column}: {what}{end}"


def _describe(printed: Any) -> str:
    if printed is None:
        return "nothing"
    return printed if isinstance(printed, str) else value(printed)


@command.command(
    "import",
    epilog=examples(
        ("Print a page's tables as YAML", "deployer schema import batches.html"),
        ("Print them as JSON", "deployer schema import --format json batches.html"),
    ),
)
@format_option("yaml", "json")
@click.argument("page", shell_complete=completed_by("files"))
def import_(page: str, style: str) -> Exit:
    """Print the parameter tables of a vendor page, as the start of a table file."""
    table = as_table(load_page(page))
    if style == "json":
        text = json.dumps(table, indent=2, ensure_ascii=False)
        out(text if _is_plain(text) else json_text(table))
    else:
        text = yaml.safe_dump(table, sort_keys=False, allow_unicode=True, width=110)
        out(text if _is_plain(text) else dump(table, allow_unicode=False), newline=False)
    return Exit.DONE


def _is_plain(text: str) -> bool:
    """Return whether nothing in a vendor page's text needs an escape."""
    return all(printable(line) == line for line in text.split("\n"))


@command.command(
    "show",
    epilog=examples(
        (
            "Write the schema of a kind to a file",
            "deployer schema show SparkBatch > SparkBatch.schema.json",
        ),
        ("Print the schema of deployer.yaml", "deployer schema show Project"),
    ),
)
@click.argument("kind", shell_complete=completed_by("schemas"))
def show(kind: str) -> Exit:
    """Print the schema of KIND (or of Project, for deployer.yaml, or Plan, for a saved plan).

    Outcomes is the schema of the JSON report of apply, cancel and destroy. Defaults is the schema
    of _defaults.yaml, the defaults of a folder. EditorManifest and EditorProject are the schemas that 'deployer schema
    write' stores for editors.
    """
    known = [*KINDS, "Project", "Defaults", "Plan", "Outcomes", *EDITOR_FILES]
    if kind not in known:
        raise UsageError(f"unknown kind '{kind}'{nearest(kind, known)}")
    out((schema_folder() / f"{kind}.schema.json").read_text(encoding="utf-8"), newline=False)
    return Exit.DONE


@command.command(
    "write",
    epilog=examples(
        ("Store the schemas for editors in schemas/", "deployer schema write"),
        ("Store them in another folder of the repository", "deployer schema write tools/schemas"),
        ("Check that the stored ones are those of this version", "deployer schema write --check"),
    ),
)
@click.option(
    "--check", is_flag=True, help="Write nothing; fail if a stored schema is missing or out of date."
)
@click.argument("folder", metavar="[FOLDER]", type=click.Path(path_type=Path), default=Path("schemas"))
def write(folder: Path, *, check: bool) -> Exit:
    """Store the schemas for editors in a folder.

    They are manifest.schema.json and deployer.schema.json in FOLDER, or schemas/. 'deployer init' stores them
    too. Run this after an update of deployer, and commit the files, so that editors know the fields of the new version.
    No other file is overwritten.
    """
    texts = editor_files()
    if check:
        return _check_copies(folder, texts)
    if foreign := [str(folder / name) for name in texts if not _is_generated(folder / name)]:
        raise UsageError(f"no files written; not schemas of deployer: {', '.join(foreign)}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    for name, text in texts.items():
        file = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise DeployerError(f"cannot write {file}: {error.strerror}") from None
        out(f"wrote {printable(str(file))}")
    return Exit.DONE


def _check_copies(folder: Path, texts: Mapping[str, str]) -> Exit:
    stale = [folder / name for name, text in texts.items() if not _has(folder / name, text)]
    for file in stale:
        command = shlex.join(
            ["deployer", "schema", "write", *([str(folder)] if folder != Path("schemas") else [])]
        )
        err(printable(f"{file} is missing or not the one of this version; run '{command}'"))
    if not stale:
        out(f"The {len(texts)} schemas for editors in {printable(str(folder))} are up to date.")
    return Exit.ERROR if stale else Exit.DONE


def _has(file: Path, text: str) -> bool:
    try:
        return file.read_bytes().decode().replace("\r\n", "\n") == text
    except (OSError, ValueError):
        return False


def _is_generated(file: Path) -> bool:
    """Return whether a file is a schema that `write` stored, or does not exist."""
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return not file.is_symlink()
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(schema, dict) and str(schema.get("$comment")).startswith("Generated by 'deployer ")
