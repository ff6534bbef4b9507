"""What completes the values of options and arguments: each function gets click's context and the incomplete value.

Names come from the project, and an attacker may have written them: only those that need no quotes are offered.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from deployer.errors import DeployerError
from deployer.escape import printable

if TYPE_CHECKING:
    from deployer.manifests.names import NamedJob

SECONDS = 1.5
MAX_HELP = 100

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+/-]*")


def folders(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    return [CompletionItem(incomplete, type="dir")]


def files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return files, from the shell; none after -C, as the shell would look for them in the wrong folder."""
    return [] if any(_given(ctx, "folder")) else [CompletionItem(incomplete, type="file")]


def kinds(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    from deployer.kinds import KINDS

    return _starting(incomplete, {kind.name: kind.title for kind in KINDS.values()})


def schemas(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    others = {
        "Defaults": "_defaults.yaml, the defaults of a folder",
        "EditorManifest": "manifests of all kinds, for editors",
        "EditorProject": "deployer.yaml, for editors",
        "Outcomes": "the JSON report of apply, cancel and destroy",
        "Plan": "a saved plan",
        "Project": "deployer.yaml",
    }
    return [*kinds(ctx, incomplete), *_starting(incomplete, others)]


def subjects(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    """Return kinds, rules and codes, or the fields of a kind or of a field: KIND.FIELD."""
    from deployer.schema import explain

    outer, dot, _ = incomplete.rpartition(".")
    if not dot:
        return _starting(incomplete, explain.subjects())
    with suppress(DeployerError):
        return _starting(incomplete, explain.fields(outer), f"{outer}.")
    return []


def conditions(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    """Return the conditions of --fail-on that are not given yet, after the last comma."""
    from deployer.model import Condition

    before, comma, _ = incomplete.rpartition(",")
    unused = [condition for condition in Condition if condition not in before.split(",")]
    return _starting(incomplete, {condition.value: "" for condition in unused}, f"{before}{comma}")


def prune_modes(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    return _starting(incomplete, {"delete": "also definitions that do not run"})


def limits(ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - as all of them
    from deployer.cli.approval import LIMITS

    return _starting(incomplete, dict.fromkeys(LIMITS, ""), after="=")


def reports(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the formats of --report; the shell completes the files."""
    if "=" in incomplete:
        return files(ctx, incomplete)
    verb: Any = importlib.import_module(ctx.command.callback.__module__) if ctx.command.callback else None
    return _starting(incomplete, dict.fromkeys(getattr(verb, "REPORTS", ()), ""), after="=")


def targets(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from deployer.manifests.names import targets as targets_of

    return _starting(incomplete, {name: _about(target) for name, target in targets_of(_project(ctx)).items()})


def revisions(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return HEAD, and the branches and tags of the repository that the project lies in."""
    from deployer.apply.provenance import git_output

    kinds = {"refs/heads": "branch", "refs/remotes": "remote branch", "refs/tags": "tag"}
    found = {"HEAD": "what is not committed"}
    for refs, words in kinds.items():
        named = git_output(_project(ctx), "for-each-ref", "--format=%(refname:short)", refs)
        found |= dict.fromkeys(named.split(), words)
    return _starting(incomplete, found)


def selectors(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return what can follow the last comma: kind=KIND, name=NAME or label.KEY=VALUE of the jobs that match so far."""
    from deployer.kinds import KINDS

    before, comma, term = incomplete.rpartition(",")
    key, equals, _ = term.partition("=")
    start = f"{before}{comma}"
    if key == "kind" and equals:
        return _starting(incomplete, {kind.name: kind.title for kind in KINDS.values()}, f"{start}kind=")
    if key == "name" and equals:
        return _starting(incomplete, {job.name: job.kind for job in _jobs(ctx, before)}, f"{start}name=")
    if key.startswith("label.") and equals:
        label = key.removeprefix("label.")
        found = {job.labels[label]: "" for job in _jobs(ctx, before) if label in job.labels}
        return _starting(incomplete, found, f"{start}{key}=")
    if key.startswith("label."):
        labels = {label: "" for job in _jobs(ctx, before) for label in job.labels}
        return _starting(incomplete, labels, f"{start}label.", "=")
    keys = {"kind=": "jobs of a kind", "name=": "jobs by name", "label.": "jobs with a label"}
    return [
        CompletionItem(f"{start}{each}", help=words) for each, words in keys.items() if each.startswith(term)
    ]


def names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    return _starting(incomplete, {job.name: job.kind for job in _jobs(ctx, "")})


def names_and_files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the names of jobs, and files, from the shell."""
    return [*names(ctx, incomplete), *files(ctx, incomplete)]


def parameters(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the parameters of the project's jobs, each as NAME=."""
    found = {name: job.name for job in _jobs(ctx, "") for name in job.parameters}
    return _starting(incomplete, found, after="=")


def _starting(
    incomplete: str, names: Mapping[str, str], before: str = "", after: str = ""
) -> list[CompletionItem]:
    """Return the names that complete a value, with descriptions. `before` and `after` are parts of each value."""
    return [
        CompletionItem(f"{before}{name}{after}", help=_help(words))
        for name, words in sorted(names.items())
        if f"{before}{name}".startswith(incomplete) and _PLAIN.fullmatch(name)
    ]


def _help(words: str) -> str | None:
    """Return the first sentence of a description, on one line."""
    sentence = printable(re.split(r"[.;:] |\.$|\n", words, maxsplit=1)[0])
    return (sentence if len(sentence) <= MAX_HELP else f"{sentence[: MAX_HELP - 3]}...") or None


def _about(target: Mapping[str, Any]) -> str:
    """Describe a target as deployer.yaml has it; unchecked."""
    place = "built-in emulator" if target.get("emulator") is True else target.get("region")
    facts = [place] if isinstance(place, str) else []
    return ", ".join([*facts, "protected"] if target.get("protected") is True else facts)


def _given(ctx: click.Context, name: str) -> Iterator[Any]:
    """Yield the values of an option before and after the verb."""
    if ctx.parent:
        yield from _given(ctx.parent, name)
    if value := ctx.params.get(name):
        yield value


def _path(ctx: click.Context, *names: str) -> Path:
    """Return a path as the command has it: after -C, and with the home folder for ~, as the shell would."""
    return Path(*(Path(name).expanduser() for name in (*_given(ctx, "folder"), *names)))


def _project(ctx: click.Context) -> Path:
    """Return the folder of the project; raises UsageError if there is none."""
    from deployer.project.load import find

    # Without a value for the last option, click has the paths among the arguments that it could not assign.
    paths = [*(ctx.params.get("paths") or ctx.args)]
    start = _path(ctx, *paths[:1])
    return find(start if start.is_dir() else start.parent)


def _jobs(ctx: click.Context, before: str) -> Iterable[NamedJob]:
    """Return the jobs of the project that match the terms before the incomplete one."""
    from deployer.manifests.names import named_jobs

    found: list[NamedJob] = []
    target = next((name for names in [*_given(ctx, "targets")][::-1] for name in names[::-1]), None)
    settings = [setting for each in _given(ctx, "settings") for setting in each]
    folder = _project(ctx)
    named = [file for each in _given(ctx, "values") for file in each]
    values = [os.path.relpath(_path(ctx, file).absolute(), folder) for file in named]
    with at_most(SECONDS), suppress(DeployerError):
        for job in named_jobs(folder, target, values, settings):
            if all(_matches(job, term) for term in filter(None, before.split(","))):
                found.append(job)
    return found


def _matches(job: NamedJob, term: str) -> bool:
    key, _, wanted = term.partition("=")
    if key == "kind":
        return job.kind == wanted
    return key != "name" or fnmatchcase(job.name, wanted)


class _TooLong(Exception):
    """Ends what takes too long for somebody who waits for a completion."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Leave the block after some time, where the system can do that."""

    def end(*_: object) -> None:
        raise _TooLong

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with suppress(_TooLong):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
