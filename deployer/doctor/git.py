"""Checks of the project's folder: the repository, its revision, and whether `.deployer/` is kept out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deployer.apply.provenance import git_output, is_tracked, revision
from deployer.doctor.check import Check, failed, ok, skipped, warning
from deployer.project.load import STATE_FOLDER
from deployer.state.git import git_program

GIT = "git"


def repository(folder: Path, environment: Mapping[str, str]) -> Iterator[Check]:
    """Check the repository that a project's folder lies in."""
    if not git_program(environment):
        yield warning(
            GIT,
            "program",
            "git is not in an absolute folder of PATH",
            "install git: without it deployed jobs carry no revision, and a shared state cannot be used",
        )
        return
    found = revision(folder, environment)
    if git_output(folder, "rev-parse", "--is-inside-work-tree").strip() != "true":
        from_ci = f"; revision {found[:12]} is that of the CI job" if found else ""
        yield warning(
            GIT,
            "repository",
            f"the project's folder is not in a git repository, or git refuses to read it{from_ci}",
            "put the project under git; if its owner is another user, see safe.directory of git",
        )
        return
    top = git_output(folder, "rev-parse", "--show-toplevel").strip()
    yield ok(GIT, "repository", top)
    yield _revision(found)
    if git_output(folder, "rev-parse", "--is-shallow-repository").strip() == "true":
        yield ok(GIT, "clone", "shallow: earlier commits are not here, which plan and apply do not need")
    else:
        yield ok(GIT, "clone", "complete")
    yield _state_folder(folder)


def _revision(found: str) -> Check:
    commit, _, dirty = found.partition(" ")
    if not commit:
        return warning(
            GIT, "revision", "no commit yet", "commit the project: deployed jobs carry the revision"
        )
    if dirty:
        return warning(
            GIT,
            "revision",
            f"{commit[:12]} with uncommitted changes",
            "commit or remove them before an apply, so that the revision shows what was deployed",
        )
    return ok(GIT, "revision", f"{commit[:12]}, no uncommitted changes")


def _state_folder(folder: Path) -> Check:
    name = f"{STATE_FOLDER}/ ignored"
    state = folder / STATE_FOLDER
    if is_tracked(state):
        return failed(
            GIT,
            name,
            f"{STATE_FOLDER}/ is tracked by git: every plan and apply refuses it",
            f"git rm -r --cached {STATE_FOLDER}",
        )
    if not state.exists():
        return ok(
            GIT, name, f"{STATE_FOLDER}/ does not exist yet; it is created with a .gitignore of its own"
        )
    if git_output(folder, "check-ignore", f"{STATE_FOLDER}/journal.jsonl"):
        return ok(GIT, name, "yes")
    return warning(
        GIT,
        name,
        f"git does not ignore {STATE_FOLDER}/, which is of this checkout alone",
        f"add {STATE_FOLDER}/ to .gitignore",
    )


def no_shared_state(why: str) -> Check:
    return skipped(GIT, "shared state", why)
