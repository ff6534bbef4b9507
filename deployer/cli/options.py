"""The options of every verb, given before or after the verb, and their meaning."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployer.errors import UsageError, nearest, shortened

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from deployer.model import Job
    from deployer.planning.ownership import LiveValues

SELECTORS = ("kind", "name", "label.KEY")


@dataclass(frozen=True, slots=True)
class Options:
    """The common options, from before and after the verb. `paths` are relative to the working folder.

    `started_in` is the working folder before -C changed it; empty if it was removed. `folder` is what -C named.
    `target` is the only one, and None if there are several: `targets`, or with `all_targets` those of deployer.yaml.
    """

    target: str | None
    settings: tuple[str, ...]
    values: tuple[str, ...]
    select: tuple[str, ...]
    paths: tuple[str, ...]
    started_in: str = ""
    folder: Path = Path()
    targets: tuple[str, ...] = ()
    all_targets: bool = False
    changed_since: str | None = None


def completed_by(
    candidates: str,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return click's `shell_complete` of a parameter: a function of `cli.candidates`, imported on use."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
        from deployer.cli import candidates as functions

        function: Callable[[click.Context, str], list[CompletionItem]] = getattr(functions, candidates)
        return function(ctx, incomplete)

    return complete


def _apply_colour(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001
    # The group's counts unless the verb has its own.
    if (value is not None or ctx.parent is None) and not ctx.resilient_parsing:
        from deployer.report.terminal import set_colour

        set_colour(value or "auto")


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a click command."""
    for option in reversed(
        (
            click.option(
                "-C",
                "folder",
                metavar="DIR",
                help="Run as if started in DIR.",
                shell_complete=completed_by("folders"),
            ),
            click.option(
                "-t",
                "--target",
                "targets",
                metavar="TARGET",
                multiple=True,
                help="Target to use (see deployer.yaml).",
                shell_complete=completed_by("targets"),
            ),
            click.option(
                "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set a template value."
            ),
            click.option(
                "--values",
                metavar="FILE",
                multiple=True,
                help="Add a values file.",
                shell_complete=completed_by("files"),
            ),
            click.option(
                "--select",
                metavar="EXPR",
                multiple=True,
                help="Select jobs by kind=KIND, name=GLOB or label.KEY=VALUE (comma: and; repeat the option: or).",
                shell_complete=completed_by("selectors"),
            ),
            click.option(
                "--color",
                type=click.Choice(["auto", "always", "never"]),
                metavar="WHEN",
                help="Colour the output: auto, always or never (default: auto; NO_COLOR: never).",
                callback=_apply_colour,
                expose_value=False,
            ),
        )
    ):
        function = option(function)
    return function


def format_option(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --format, passed to the verb as `style`; the first format is the default."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


# For verbs that only read, and can report on several targets one after the other: see `several`.
all_targets_option = click.option(
    "--all-targets", is_flag=True, help="Report on every target in deployer.yaml; -t can also be repeated."
)

# For verbs that work on manifests: see `changed_since`.
changed_since_option = click.option(
    "--changed-since",
    metavar="REV",
    help="Select jobs whose rendered manifests differ from those in git at the merge base with REV.",
    shell_complete=completed_by("revisions"),
)


def report_option(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --report, passed to the verb as `reports`."""
    return click.option(
        "--report",
        "reports",
        metavar="FORMAT=FILE",
        multiple=True,
        help=f"Also write a report to FILE: {', '.join(formats)} (repeatable).",
        shell_complete=completed_by("reports"),
    )


report_limit_option = click.option(
    "--report-limit",
    type=click.IntRange(4_000),
    metavar="N",
    default=60_000,
    show_default=True,
    help="Maximum characters of the Markdown; dangers, blocked jobs and errors are kept.",
)
summary_option = click.option(
    "--summary",
    is_flag=True,
    help="Append the Markdown to the step summary of GitHub Actions (GITHUB_STEP_SUMMARY).",
)


# For verbs that plan.
rerun_option = click.option(
    "--rerun",
    metavar="EXPR",
    multiple=True,
    help="Rerun the selected jobs that match EXPR, once; blocked if they have not ended.",
    shell_complete=completed_by("selectors"),
)

show_live_option = click.option(
    "--show-live", is_flag=True, help="Also show the live values of jobs that this project did not deploy."
)
hide_live_option = click.option(
    "--hide-live", is_flag=True, help="Hide the live values of all jobs, for a log that anybody can read."
)

# How a verb that changes jobs is confirmed, and what it may exceed: see `approval`.
yes_option = click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
confirm_option = click.option(
    "--confirm",
    metavar="TARGET",
    help="Confirm by target name (required instead of --yes for protected targets).",
)
limit_option = click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=N",
    help="Override a limit of the target.",
    shell_complete=completed_by("limits"),
)


# What a verb removes of orphaned jobs: see `removal`.
prune_option = click.option(
    "--prune",
    is_flag=False,
    flag_value="runs",
    metavar="[=delete]",
    help="Also cancel or stop orphaned jobs that are proved to be this project's; with =delete, also delete "
    "definitions that do not run.",
    shell_complete=completed_by("prune_modes"),
)
prune_all_option = click.option(
    "--prune-all",
    "whole",
    multiple=True,
    metavar="KIND",
    help="Allow to end all live jobs of this kind that the project has.",
    shell_complete=completed_by("kinds"),
)
confirm_project_option = click.option(
    "--confirm-project",
    metavar="NAME",
    help="Confirm that no other project has this one's name, so that the tag of a Flink job proves whose it is.",
)


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Convert a time such as 30s, 5m or 1h."""
    from deployer.project.target import seconds

    try:
        return None if value is None else seconds(value)
    except ValueError:
        raise click.BadParameter(
            f"expected a time such as 30s, 5m or 1h, got '{value}'", ctx, param
        ) from None


retry_blocked_option = click.option(
    "--retry-blocked",
    metavar="TIME",
    callback=_seconds,
    help="Wait so long for runs that block their own jobs' changes to end, then apply these.",
)


lock_timeout_option = click.option(
    "--lock-timeout",
    metavar="TIME",
    callback=_seconds,
    help="Wait so long for another apply to end (default: 5m with a shared state, else 0s).",
)


def project_command(
    function: Callable[..., Any], *, metavar: str = "[PATH]...", completion: str | None = "files"
) -> Callable[..., Any]:
    """Give a verb the common options and PATHs as one `Options`, its first argument.

    With another `metavar` its arguments are no paths; they are in `Options.paths` all the same, and `completion` is the
    function of `cli.candidates` for them.
    """

    @functools.wraps(function)
    @common_options
    @click.argument(
        "paths", metavar=metavar, nargs=-1, shell_complete=completed_by(completion) if completion else None
    )
    @click.pass_context
    def command(ctx: click.Context, /, **given: Any) -> Any:
        merged = {name: (*ctx.obj[name], *given.pop(name)) for name in ("settings", "values", "select")}
        takes_several = "all_targets" in given
        all_targets = given.pop("all_targets", False)
        named = (tuple(filter(None, names)) for names in (given.pop("targets"), ctx.obj["targets"]))
        targets = next(filter(None, named), ())
        if all_targets and targets:
            raise UsageError("--all-targets and -t cannot be combined")
        if len({*targets}) > 1 and not takes_several:
            raise UsageError(
                f"{ctx.info_name} works on one target at a time, not on {', '.join(targets)}: run it once for each"
            )
        paths = given.pop("paths")
        folders = [folder for folder in (ctx.obj["folder"], given.pop("folder")) if folder is not None]
        for folder in folders:
            change_folder(folder)
        if len(paths) > 1 and not takes_several:
            _require_one_project(paths, ctx.info_name)
        options = Options(
            target=targets[0] if len({*targets}) == 1 else None,
            paths=paths,
            started_in=ctx.obj["started_in"],
            folder=Path(*folders),
            targets=targets,
            all_targets=all_targets,
            changed_since=given.pop("changed_since", None),
            **merged,
        )
        return function(options, **given)

    return command


def _require_one_project(paths: Sequence[str], verb: str | None) -> None:
    """Raise UsageError if PATHs lie in several projects: those in the second would be left out silently."""
    from deployer.project.load import find

    folders = {
        find(path if path.is_dir() else path.parent): None for path in map(Path, paths) if path.exists()
    }
    if len(folders) > 1:
        named = ", ".join(os.path.relpath(folder) for folder in folders)
        raise UsageError(f"{verb} works on one project at a time: PATHs lie in {named}")


def known_kinds(option: str, kinds: Sequence[str]) -> frozenset[str]:
    """Return the kinds that an option names. Raises UsageError."""
    from deployer.kinds import KINDS

    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"{option} {kind}: unknown kind{nearest(kind, list(KINDS))}")
    return frozenset(kinds)


def live_values(*, show_live: bool, hide_live: bool) -> LiveValues:
    """Return the live values that a plan with these options has. Raises UsageError for both of them."""
    from deployer.planning.ownership import LiveValues

    if show_live and hide_live:
        raise UsageError("--show-live cannot be combined with --hide-live")
    return LiveValues.SHOW if show_live else LiveValues.HIDE if hide_live else LiveValues.OWN


def change_folder(folder: str | None) -> None:
    """Change the working folder (-C); raises UsageError."""
    if folder is None:
        return
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(f"-C {folder}: {error.strerror}") from None


def selector(expressions: Sequence[str], option: str = "--select") -> Callable[[Job], bool]:
    """Return a test for jobs; no expression selects all. Raises UsageError, which names the `option`."""
    alternatives = [[_term(term, option) for term in expression.split(",")] for expression in expressions]
    return lambda job: not alternatives or any(all(test(job) for test in terms) for terms in alternatives)


def _term(term: str, option: str) -> Callable[[Job], bool]:
    key, equals, wanted = term.strip().partition("=")
    if not equals:
        raise UsageError(f"{option} {term}: expected kind=KIND, name=GLOB or label.KEY=VALUE")
    if key == "kind":
        return lambda job: job.kind == wanted
    if key == "name":
        return lambda job: fnmatchcase(job.name, wanted)
    if key.startswith("label."):
        return lambda job: job.labels.get(key.removeprefix("label.")) == wanted
    raise UsageError(f"{option} {term}: unknown selector '{key}'{nearest(key, SELECTORS)}")


def inside(paths: tuple[str, ...], folder: Path, jobs: Iterable[Job] = ()) -> Callable[[Job], bool]:
    """Return a test for jobs in the files or folders `paths`. Raises UsageError.

    `jobs` are for the hint if a path is the name of one.
    """
    named: list[Path] = []
    for path in paths:
        absolute = Path(path).absolute()
        if not absolute.exists():
            is_name = any(job.name == path for job in jobs)
            hint = f"; to select the job of this name, use --select name={path}" if is_name else ""
            raise UsageError(f"{shortened(path)}: no such file or folder{hint}")
        if not absolute.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{path} is outside the project {folder}")
        named.append(absolute.resolve().relative_to(folder.resolve()))
    return lambda job: not named or any(Path(job.source.file).is_relative_to(path) for path in named)
