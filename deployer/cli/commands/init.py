"""`deployer init`"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

import click

from deployer.apply.provenance import git_output
from deployer.cli.examples import examples
from deployer.cli.options import change_folder, completed_by
from deployer.errors import DeployerError, Exit
from deployer.escape import printable
from deployer.manifests import scaffold
from deployer.project.load import load, manifest_files
from deployer.report import text
from deployer.report.terminal import err, out

EXAMPLES = examples(
    ("Create a project in the current folder", "deployer init"),
    (
        "Create one with two kinds of job and a GitLab CI pipeline",
        "deployer init shop --kind SparkBatch --kind MrsJob --ci gitlab",
    ),
    ("Create one for jobs that exist, to import them", "deployer init --kind none"),
)


@click.command("init", epilog=EXAMPLES)
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    help="Kind of the example manifest, or none, to import jobs (default: SparkBatch; repeatable).",
    shell_complete=completed_by("kinds"),
)
@click.option("--name", metavar="NAME", help="Project name (default: the folder's name).")
@click.option(
    "--ci",
    type=click.Choice(list(scaffold.CI_FILES)),
    default="github",
    show_default=True,
    help="CI system to write a pipeline file for.",
)
@click.option(
    "-C",
    "folder",
    metavar="DIR",
    help="Run as if started in DIR.",
    shell_complete=completed_by("folders"),
)
@click.argument(
    "where",
    metavar="[DIR]",
    type=click.Path(path_type=Path),
    default=Path(),
    shell_complete=completed_by("folders"),
)
@click.pass_context
def command(
    ctx: click.Context, where: Path, kinds: tuple[str, ...], name: str | None, ci: str, folder: str | None
) -> Exit:
    """Create a project in DIR: deployer.yaml, values, a commented manifest of each KIND, and a CI pipeline.

    Editors get JSON Schemas, and VS Code its settings. The project is ready to plan and apply on a built-in
    emulator. No file is overwritten.
    """
    change_folder(ctx.obj["folder"])
    change_folder(folder)
    target_folder = Path(ctx.obj["folder"] or "", folder or "", where)
    examples_of = () if kinds == ("none",) else kinds or ("SparkBatch",)
    texts = scaffold.files(_name(where) if name is None else name, examples_of, ci)
    written = scaffold.write(where, texts)
    for file in texts:
        shown = printable(str(target_folder / file))
        out(f"wrote {shown}" if file in written else f"kept existing {shown}")
    warnings = (*_warn_ci_location(where, ci), *_warn_other_manifests(where, texts), *_warn_no_remote(where))
    for words in warnings:
        err(text.note(words))
    folder_option = "" if target_folder == Path() else f" -C {printable(shlex.quote(str(target_folder)))}"
    out((_NEXT if examples_of else _NEXT_IMPORT).format(there=folder_option))
    return Exit.DONE


_NEXT = """
The project is ready to run against a built-in emulator:
  deployer plan{there}
Then configure the target prod in deployer.yaml and values/prod.yaml, set the access key in HUAWEICLOUD_SDK_AK and
HUAWEICLOUD_SDK_SK, and run:
  deployer plan{there} -t prod"""

_NEXT_IMPORT = """
Configure the target prod in deployer.yaml, set the access key in HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, and write
manifests for its live jobs:
  deployer import{there} -t prod"""


def _name(folder: Path) -> str:
    try:
        return scaffold.project_name(_real(folder).name)
    except OSError as error:
        raise DeployerError(f"{folder}: {error.strerror}") from None


def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def _warn_ci_location(folder: Path, ci: str) -> Iterator[str]:
    """Warn if the CI file is not in the repository's top folder, the only one where it takes effect."""
    here = _real(folder)
    top = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here)
    if top != here:
        for file in scaffold.CI_FILES[ci]:
            words = f"move it there and add -C {here.relative_to(top)} to its commands"
            yield f"{file} only takes effect in {top}: {words}"


def _warn_no_remote(folder: Path) -> Iterator[str]:
    """Warn if the state of the project is to be in a git remote that the folder does not have."""
    state = load(folder).state
    remote = state.remote
    if not state.uses_git or remote in git_output(folder, "remote").split():
        return
    is_inside = git_output(folder, "rev-parse", "--is-inside-work-tree").strip() == "true"
    missing = (
        f"the repository has no remote '{remote}'" if is_inside else "the folder is in no git repository"
    )
    steps = f"{'' if is_inside else 'git init, '}git remote add {remote} URL"
    yield f"deployer.yaml has 'state: git', but {missing}; before the first apply: {steps}, or 'state: local'"


def _warn_other_manifests(folder: Path, texts: Collection[str]) -> Iterator[str]:
    """Warn if other files of the folder are read as manifests."""
    others = [file for file in manifest_files(load(folder), ()) if file not in texts]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        words = "existing files are treated as manifests of this project"
        yield f"{', '.join(others[:3])}{more}: {words}; 'exclude' in deployer.yaml leaves files out"
