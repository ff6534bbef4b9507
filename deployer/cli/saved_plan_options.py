"""The options that `apply --plan FILE` reads from the file, and those that must be repeated.

The file is untrusted. Options that could add or change something (the target, --set, --values, --rerun) are
only compared; those that narrow the selection (PATH, --select, --changed-since) are read from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deployer.cli import session
from deployer.cli.options import Options, inside
from deployer.errors import NothingSelected, StalePlan, UsageError
from deployer.planning.saved_plan import Inputs, SavedPlan, truncate
from deployer.project.load import find as find_project

if TYPE_CHECKING:
    from deployer.cli.removal import Prune

MAX_COMMAND = 1000


def inputs(
    options: Options, loaded: session.LoadedProject, rerun: Sequence[str], prune: Prune | None = None
) -> Inputs:
    """Return the inputs of a plan with these options."""
    values = [Path(file).as_posix() for file in session.in_project(options.values, loaded.project)]
    return Inputs(
        project=loaded.project.name,
        target=loaded.target.name,
        values=tuple(values),
        settings=_settings(options),
        paths=_paths(options.paths, loaded.project.folder),
        select=tuple(sorted({*options.select})),
        rerun=tuple(sorted({*rerun})),
        changed_since=loaded.comparison.commit if loaded.comparison else "",
        prune=prune.removal.value if prune else "",
        confirm_project=bool(prune and prune.is_confirmed),
    )


def _settings(options: Options) -> tuple[str, ...]:
    return tuple(sorted({setting.partition("=")[0] for setting in options.settings}))


def _paths(paths: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Return PATHs relative to the project's folder; they must be inside of it."""
    root = folder.resolve()
    found = sorted({Path(path).absolute().resolve().relative_to(root).as_posix() for path in paths})
    return () if "." in found else tuple(found)


def load(
    options: Options, saved: SavedPlan, rerun: Sequence[str], prune: Prune | None = None
) -> session.LoadedProject:
    """Load the project like `session.load`, with the selection of a saved plan.

    Raises UsageError if the options differ from those of the plan, and StalePlan if nothing of its selection
    exists any more.
    """
    if saved.inputs.run:
        raise UsageError(f"{saved.file} is a plan of 'deployer run': use deployer run --plan {saved.file}")
    folder = session.project_folder(options)
    narrowed = _narrowed(options, saved, folder)
    try:
        loaded = session.load(narrowed)
    except NothingSelected:
        raise StalePlan(
            f"{saved.file}: none of the jobs selected by this plan exist any more; no changes were applied"
        ) from None
    require_same_inputs(inputs(narrowed, loaded, rerun, prune), saved, loaded)
    return loaded


def _narrowed(options: Options, saved: SavedPlan, folder: Path) -> Options:
    inside(options.paths, folder)
    if options.changed_since is not None:
        raise UsageError(
            f"{saved.file}: the commit of --changed-since is read from the plan; omit the option"
        )
    for what, given, planned in (
        ("PATH", _paths(options.paths, folder), saved.inputs.paths),
        ("--select", tuple(sorted({*options.select})), tuple(sorted({*saved.inputs.select}))),
    ):
        if given and set(given) != set(planned):
            raise UsageError(
                f"{saved.file}: created with {what} {_words(planned)}, not {_words(given)}; "
                f"omit {what}, or create a new plan"
            )
    paths = [folder / path for path in saved.inputs.paths]
    for path, name in zip(paths, saved.inputs.paths, strict=True):
        try:
            path.lstat()
        except (OSError, ValueError):
            words = f"{saved.file}: selected path '{_words([name])}' no longer exists"
            raise StalePlan(f"{words}; no changes were applied") from None
        if find_project(path if path.is_dir() else path.parent) != folder:
            raise UsageError(f"{saved.file}: '{_words([name])}' belongs to another project")
    paths_given, since = tuple(map(str, paths)), saved.inputs.changed_since or None
    return replace(options, paths=paths_given, select=saved.inputs.select, changed_since=since)


def require_same_inputs(given: Inputs, saved: SavedPlan, loaded: session.LoadedProject) -> None:
    """Raise UsageError if options that are not read from a saved plan differ from those that it was made with."""
    planned = saved.inputs
    if given.project != planned.project:
        raise UsageError(f"{saved.file} was created for project '{planned.project}', not '{given.project}'")
    pairs = (
        ("target", [given.target], [planned.target]),
        ("--values", given.values, planned.values),
        ("--set", sorted(given.settings), sorted({*planned.settings})),
        ("--rerun", given.rerun, tuple(sorted({*planned.rerun}))),
        ("--prune", [given.prune], [planned.prune]),
        ("--confirm-project", [*_named(given)], [*_named(planned)]),
    )
    differ = [
        f"{what} is {_words(now)}, but the plan was created with {_words(then)}"
        for what, now, then in pairs
        if list(now) != list(then)
    ]
    if differ:
        command = apply_command(saved.file, planned, loaded)
        # A part of a command is none.
        advice = f"run {command}" if len(command) <= MAX_COMMAND else "repeat those of the plan"
        raise UsageError(
            f"{saved.file}: {'; '.join(differ)}. These options are not read from a saved plan: create a new plan, or "
            f"{advice}"
        )


def apply_command(file: str, planned: Inputs, loaded: session.LoadedProject) -> str:
    """Return the command that applies a saved plan."""
    reached = loaded.invocation
    values = tuple(reached.path(loaded.project.folder / value) for value in planned.values)
    reached = replace(reached, target=planned.target, values=values, settings=planned.settings)
    reruns = [word for expression in planned.rerun for word in ("--rerun", expression)]
    removal = ["--prune" if planned.prune == "runs" else f"--prune={planned.prune}"]
    prunes = [*(removal if planned.prune else []), *(f"--confirm-project={name}" for name in _named(planned))]
    return reached.command("apply", "--plan", reached.path(Path(file)), *reruns, *prunes)


def _named(planned: Inputs) -> Sequence[str]:
    return [planned.project] if planned.confirm_project else []


def _words(names: Sequence[str]) -> str:
    return truncate(", ".join(names)) or "(not set)"
