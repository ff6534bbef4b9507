"""Drafts -> texts that are proven to plan as unchanged: read back as files, checked and compared as plan does it."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployer.adoption.draft import CannotImportError, Draft, Settings, draft, with_waivers
from deployer.adoption.layout import data, text
from deployer.adoption.secret_values import SecretNames
from deployer.documents.budget import Budget
from deployer.errors import InvalidInput, Problem
from deployer.escape import printable
from deployer.kinds import KINDS
from deployer.manifests.check import check
from deployer.manifests.read import read
from deployer.model import Action, Job, Live, LiveJob, Manifest
from deployer.planning.inventory import place_names
from deployer.planning.ownership import OwnershipRules
from deployer.planning.plan import make_plan
from deployer.project.load import Project
from deployer.project.target import Target
from deployer.schema.rules import waivable
from deployer.secrets.store import SecretSource

MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class Context:
    """The project that the manifests become a part of, as it is before; `values` are those of templates."""

    project: Project
    target: Target
    values: Mapping[str, Any]
    manifests: Sequence[Manifest]


@dataclass(frozen=True, slots=True)
class Imported:
    """A live job and the text of its manifest; `job` is the manifest as it was read back."""

    draft: Draft
    text: str
    job: Job

    @property
    def live(self) -> LiveJob:
        return self.draft.live


@dataclass(frozen=True, slots=True)
class NotImported:
    live: LiveJob
    reason: str


def verified(
    context: Context, chosen: Sequence[LiveJob], live: Iterable[LiveJob]
) -> tuple[list[Imported], list[NotImported]]:
    """Return the manifests of the `chosen` jobs among all `live` ones, and the jobs that have none, with the reasons.

    Raises InvalidInput if the manifests of the project are invalid together with the new ones.
    """
    writer = _Writer(context, chosen)
    drafts, refused = writer.drafts, writer.refused
    texts = {number: text(drafted.manifest, drafted.comments) for number, drafted in drafts.items()}
    jobs, problems = _read_back(context, drafts, texts)
    again = {number: problems.get(number, []) for number in drafts if number not in jobs}
    for number, found in again.items():
        rules = sorted({problem.rule for problem in found if problem.rule in _waivable(chosen[number])})
        drafts[number] = writer.draft(number, rules)
        texts[number] = text(drafts[number].manifest, drafts[number].comments, quoted=not rules)
    if again:
        jobs, problems = _read_back(context, drafts, texts)
    for number in drafts.keys() - jobs.keys():
        refused[number] = _words(problems.get(number, ()))
    refused |= _differing(context, jobs, chosen, live)
    imported = [
        Imported(drafts[number], texts[number], jobs[number])
        for number in sorted(jobs.keys() - refused.keys())
    ]
    return imported, [NotImported(chosen[number], refused[number]) for number in sorted(refused)]


class _Writer:
    """The drafts of live jobs by number, and why the others have none."""

    def __init__(self, context: Context, chosen: Sequence[LiveJob]) -> None:
        target = context.target
        self._names = SecretNames({*target.secrets})
        self._settings = Settings(
            place_names(target.clusters), {kind: found.value for kind, found in target.defaults.items()}
        )
        self._chosen = chosen
        self.drafts: dict[int, Draft] = {}
        self.refused: dict[int, str] = {}
        shared = Counter(live.identity for live in chosen if live.identity.name)
        for number, live in enumerate(chosen):
            if shared[live.identity] > 1:
                self.refused[number] = (
                    f"{shared[live.identity]} live jobs have this name; rename or delete all but one"
                )
                continue
            try:
                self.drafts[number] = self.draft(number, ())
            except CannotImportError as error:
                self.refused[number] = str(error)

    def draft(self, number: int, waive: Sequence[str]) -> Draft:
        """Return the draft of a job; a second one has the same secrets."""
        live = self._chosen[number]
        earlier = self.drafts.get(number)
        if earlier is None:
            return draft(KINDS[live.identity.kind], live, self._settings, self._names)
        return with_waivers(earlier, waive)


def _waivable(live: LiveJob) -> frozenset[str]:
    return frozenset(waivable(live.identity.kind))


def _read_back(
    context: Context, drafts: Mapping[int, Draft], texts: Mapping[int, str]
) -> tuple[dict[int, Job], dict[int, list[Problem]]]:
    """Return the jobs of the manifests, and the errors of those that have none. Raises InvalidInput."""
    numbers = {f"{number}.yaml": number for number in texts}
    secrets = {found.name: SecretSource(found.name) for made in drafts.values() for found in made.secrets}
    target = replace(context.target, secrets={**secrets, **context.target.secrets})
    with tempfile.TemporaryDirectory() as folder:
        for file, number in numbers.items():
            Path(folder, file).write_text(texts[number], encoding="utf-8", newline="\n")
        found = read(
            replace(context.project, folder=Path(folder)), target, [*numbers], context.values, Budget()
        )
    # The files have other names than those of the project: a path from the top is none of them.
    own = {id(manifest): numbers[manifest.source.file] for manifest in found.manifests}
    alike = [
        manifest
        for manifest in found.manifests
        if _is_as_drafted(manifest, drafts[own[id(manifest)]], target)
    ]
    checked = check(alike, target.clusters)
    problems: dict[int, list[Problem]] = defaultdict(list)
    for problem in (*found.problems, *checked.problems):
        if problem.severity == "error":
            problems[numbers.get(problem.location.file, -1)].append(problem)
    jobs = {numbers[job.source.file]: job for job in checked.jobs}
    if elsewhere := problems.pop(-1, []):
        # Of a default of deployer.yaml: it is that of each manifest without a job.
        without = numbers.values() - jobs.keys()
        if not without:
            raise InvalidInput(elsewhere, context.project.folder)
        for number in without:
            problems[number] += elsewhere
    _require_valid_together(context, alike)
    return {number: job for number, job in jobs.items() if number not in problems}, problems


def _is_as_drafted(manifest: Manifest, made: Draft, target: Target) -> bool:
    """Return whether the text of a manifest was read as it was meant; with defaults, plan compares the rest."""
    return manifest.kind in target.defaults or manifest.document.value == data(made.manifest)


def _require_valid_together(context: Context, added: Sequence[Manifest]) -> None:
    """Raise InvalidInput if a manifest of the project becomes invalid, as when a name in dependsOn is ambiguous."""
    if not any("dependsOn" in manifest.document.value for manifest in context.manifests):
        return
    before = set(check(context.manifests, context.target.clusters).problems)
    new_files = {manifest.source.file for manifest in added}
    after = check([*context.manifests, *added], context.target.clusters).problems
    own = [p for p in after if p.severity == "error" and p not in before and p.location.file not in new_files]
    if own:
        raise InvalidInput(own, context.project.folder)


def _words(problems: Sequence[Problem]) -> str:
    """Return why a manifest is invalid."""
    if not problems:
        return "its manifest cannot be read back as it was written"
    shown = [printable(problem.words) for problem in problems[:MAX_REASONS]]
    more = f"; and {len(problems) - MAX_REASONS} more" if len(problems) > MAX_REASONS else ""
    return f"no valid manifest describes it: {'; '.join(shown)}{more}"


def _differing(
    context: Context, jobs: Mapping[int, Job], chosen: Sequence[LiveJob], live: Iterable[LiveJob]
) -> dict[int, str]:
    """Return why manifests would not plan as unchanged."""
    by_identity = {job.identity: number for number, job in jobs.items()}
    ownership = OwnershipRules(context.project.name, context.project.records_ownership)
    plan = make_plan(
        context.target.name,
        {},
        sorted(jobs.values(), key=lambda job: job.identity),
        Live(tuple(live)),
        frozenset(by_identity),
        named=frozenset(by_identity),
        ownership=ownership,
    )
    differing = {by_identity[note.identity]: note.message for note in plan.errors}
    for change in plan.changes:
        number = by_identity[change.job.identity]
        if change.action is not Action.UNCHANGED:
            differing[number] = f"its manifest would plan as {change.action}: {change.reason}"
        elif change.fields:
            paths = ", ".join(dict.fromkeys(field.path for field in change.fields))
            differing[number] = f"its manifest would differ from the live job: {paths}"
        elif change.live is None or change.live.id != chosen[number].id:
            current = f"run {change.live.id}" if change.live else "no run"
            differing[number] = (
                f"it is not the current run of its job: plan compares the manifest with {current}"
            )
    return differing
