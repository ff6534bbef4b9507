"""What `apply --plan FILE` takes from the file, and what must be said again.

The file may be a stranger's. What could add or change something (the target, --set, --values, --rerun) is
never taken from it, only compared; what narrows (PATH, --select) is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deployer.cli import session
from deployer.cli.options import Options, inside
from deployer.errors import NothingSelected, StalePlan, UsageError
from deployer.planning.saved_plan import Inputs, SavedPlan, truncate
from deployer.project import load as project


def inputs(options: Options, loaded: session.LoadedProject, rerun: Sequence[str]) -> Inputs:
    """Returns the inputs of a plan with these options."""
    values = [Path(file).as_posix() for file in session.in_project(options.values, loaded.project)]
    return Inputs(
        project=loaded.project.name,
        target=loaded.target.name,
        values=tuple(values),
        settings=_settings(options),
        paths=_paths(options.paths, loaded.project.folder),
        select=tuple(sorted({*options.select})),
        rerun=tuple(sorted({*rerun})),
    )


def _settings(options: Options) -> tuple[str, ...]:
    return tuple(sorted({setting.partition("=")[0] for setting in options.settings}))


def _paths(paths: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Returns PATHs relative to the project's folder; they must be inside of it."""
    root = folder.resolve()
    found = sorted({Path(path).absolute().resolve().relative_to(root).as_posix() for path in paths})
    return () if "." in found else tuple(found)


def load(options: Options, saved: SavedPlan, rerun: Sequence[str]) -> session.LoadedProject:
    """The project as `session.load` reads it, with the selection of a saved plan.

    Raises UsageError where the options say something else than the plan was made with, and StalePlan where
    what it selects is gone.
    """
    folder = session.project_folder(options)
    narrowed = _narrowed(options, saved, folder)
    try:
        loaded = session.load(narrowed)
    except NothingSelected:
        raise StalePlan(
            f"{saved.file}: no job is left of what this plan selects; nothing was applied"
        ) from None
    _require_same_inputs(inputs(narrowed, loaded, rerun), saved, folder)
    return loaded


def _narrowed(options: Options, saved: SavedPlan, folder: Path) -> Options:
    inside(options.paths, folder)
    for what, given, planned in (
        ("PATH", _paths(options.paths, folder), saved.inputs.paths),
        ("--select", tuple(sorted({*options.select})), tuple(sorted({*saved.inputs.select}))),
    ):
        if given and set(given) != set(planned):
            raise UsageError(
                f"{saved.file}: it was made for {what} {_words(planned)}, and not for {_words(given)}; "
                f"leave {what} out, or plan again"
            )
    paths = [folder / path for path in saved.inputs.paths]
    for path, name in zip(paths, saved.inputs.paths, strict=True):
        try:
            path.lstat()
        except (OSError, ValueError):
            words = f"{saved.file}: this plan selects '{_words([name])}', which is not there any more"
            raise StalePlan(f"{words}; nothing was applied") from None
        if project.find(path if path.is_dir() else path.parent) != folder:
            raise UsageError(f"{saved.file}: '{_words([name])}' belongs to another project")
    return replace(options, paths=tuple(map(str, paths)), select=saved.inputs.select)


def _require_same_inputs(said: Inputs, saved: SavedPlan, folder: Path) -> None:
    planned = saved.inputs
    if said.project != planned.project:
        raise UsageError(f"{saved.file} was made for the project '{planned.project}', not '{said.project}'")
    pairs = (
        ("target", [said.target], [planned.target]),
        ("--values", said.values, planned.values),
        ("--set", sorted(said.settings), sorted({*planned.settings})),
        ("--rerun", said.rerun, tuple(sorted({*planned.rerun}))),
    )
    differ = [
        f"{what} was {_words(then)}, and is {_words(now)} now"
        for what, now, then in pairs
        if list(now) != list(then)
    ]
    if differ:
        raise UsageError(
            f"{saved.file}: {'; '.join(differ)}. None of this is taken from a file: say the same, as in "
            f"{apply_command(saved.file, planned, folder)}, or plan again"
        )


def apply_command(file: str, planned: Inputs, folder: Path) -> str:
    """Returns the command that applies a saved plan."""
    words = ["deployer", "apply", "--plan", file, "-t", planned.target]
    for value in planned.values:
        words += ["--values", os.path.relpath(folder / value)]
    for name in planned.settings:
        words += ["--set", f"{name}=VALUE"]
    for expression in planned.rerun:
        words += ["--rerun", expression]
    return truncate(shlex.join(words))


def _words(names: Sequence[str]) -> str:
    return truncate(", ".join(names)) or "not given"
