"""The jobs that a verb with NAMEs in place of PATHs selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployer.cli import session
from deployer.cli.options import Options
from deployer.errors import MAX_SHOWN, NothingSelected, UsageError, shortened, similar


def selected_by_name(
    options: Options, names: Sequence[str], *, with_manifests: bool = False
) -> session.LoadedProject:
    """Read the whole project, and select the jobs with NAMEs that --select selects. Raises UsageError."""
    if not names and not options.select:
        raise UsageError("no jobs selected: give NAME or --select")
    try:
        loaded = session.load(replace(options, paths=()), with_manifests=with_manifests)
    except NothingSelected:
        raise NothingSelected("--select matches no jobs") from None
    is_valid = not any(problem.severity == "error" for problem in loaded.problems)
    for name in names if is_valid else ():
        _require_job(name, loaded)
    selected = frozenset(job.identity for job in loaded.selected_jobs if not names or job.name in names)
    if not selected and is_valid:
        raise UsageError("NAME and --select match no jobs")
    return replace(loaded, selected=selected)


def _require_job(name: str, loaded: session.LoadedProject) -> None:
    if any(job.name == name for job in loaded.jobs):
        return
    if any(identity.name == name for identity in loaded.disabled):
        raise UsageError(f"{shortened(name)}: its manifest is disabled (enabled: false)")
    hint = similar(name[:MAX_SHOWN], sorted({job.name for job in loaded.jobs}))
    raise UsageError(f"{shortened(name)}: no manifest has this name{hint}")
