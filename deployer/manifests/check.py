"""Manifest -> Job: validates the schema, normalizes field names, resolves identities and dependencies.

The resulting jobs can be sent unchanged; all problems are reported together, each with its location.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from deployer import secrets
from deployer.documents.budget import MAX_BESIDE, MAX_PROBLEMS
from deployer.errors import Code, Problem, nearest, similar
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.kinds.ownership import CONF, reserved
from deployer.model import (
    Dependency,
    Document,
    Identity,
    Job,
    Lifecycle,
    Manifest,
    OnChange,
    OnFailure,
    OnMissing,
    Path,
    State,
    Trigger,
    Until,
    leaves,
    usual_text,
)
from deployer.project.load import PROJECT_FILE
from deployer.schema.quoted import with_types
from deployer.schema.rules import LITERAL_SECRET, OLDER_SPELLING, broken
from deployer.schema.validate import violations
from deployer.secrets.redact import literal_secrets

if TYPE_CHECKING:
    from deployer.manifests import parameters

# Names compared in all to suggest a similar one for an unknown dependency, and names listed if none is similar.
MAX_COMPARED = 100_000
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Checked:
    """One manifest: its job, None if it has an error, and its problems."""

    job: Job | None
    problems: tuple[Problem, ...]
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The jobs that can be deployed, dependencies first, and the problems of the manifests that cannot.

    `disabled` are those with `enabled: false`.
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    disabled: tuple[Identity, ...] = ()


def check(manifests: Sequence[Manifest], clusters: Mapping[str, str]) -> CheckResult:
    """Check all manifests of a project. `clusters` gives names to MRS cluster ids."""
    jobs: dict[Identity, tuple[Job, Manifest]] = {}
    disabled: list[tuple[Job, Manifest]] = []
    invalid: list[tuple[str, Any]] = []
    problems: list[Problem] = []
    errors = 0
    for manifest in manifests:
        checked = _check_one(manifest, clusters)
        problems += checked.problems
        errors += sum(problem.severity == "error" for problem in checked.problems)
        if errors > MAX_PROBLEMS:
            message = f"this run has more than {MAX_PROBLEMS} problems; the rest was not checked"
            limit = Problem(manifest.document.start, message, Code.TEMPLATE_LIMIT)
            shown = [problem for problem in problems if problem.severity == "error"][:MAX_BESIDE]
            return CheckResult((), (limit, *shown))
        job = checked.job
        if job is None:
            invalid.append((manifest.kind, name_of(manifest)))
        elif not checked.is_enabled:
            disabled.append((job, manifest))
        elif job.identity in jobs:
            first = jobs[job.identity][0].source
            message = f"duplicate job {job.identity}, first defined at {first}"
            if first == manifest.source:
                message += "; give each forEach instance a unique name, such as load-{{ each }}"
            location = manifest.document.location(("metadata", "name"))
            problems.append(Problem(location, message, Code.DUPLICATE_JOB))
        else:
            jobs[job.identity] = (job, manifest)
    if any(job.renamed_from for job, _ in (*jobs.values(), *disabled)):
        from deployer.manifests.renamed import contradictions

        problems += contradictions((*jobs.values(), *disabled))
    linked: dict[Identity, Job] = {}
    known = _Names([job for job, _ in jobs.values()], [job.identity for job, _ in disabled], invalid)
    for job, manifest in jobs.values():
        dependencies, found = _dependencies(manifest, known)
        problems += found
        linked[job.identity] = replace(job, depends_on=dependencies) if dependencies else job
    problems += _unbound([(linked[identity], manifest) for identity, (_, manifest) in jobs.items()], linked)
    ordered, found = _ordered(linked, {identity: manifest for identity, (_, manifest) in jobs.items()})
    problems += found
    return CheckResult(tuple(ordered), tuple(problems), tuple(job.identity for job, _ in disabled))


def _check_one(manifest: Manifest, clusters: Mapping[str, str]) -> _Checked:
    kind, document = KINDS[manifest.kind], manifest.document
    value = with_texts(manifest)
    problems: list[Problem] = []
    spec = value.get("spec")
    if isinstance(spec, dict) and kind.name_field in spec:
        message = f"'{kind.name_field}' is set from metadata.name; remove it from spec"
        location = document.location(("spec", kind.name_field), of_key=True)
        problems.append(Problem(location, message, Code.NAME_IN_SPEC))
        value["spec"] = {key: item for key, item in spec.items() if key != kind.name_field}
    may_have_marks = secrets.may_have_marks(document.value)
    with_marks = value
    filled = _filled(document, kind, value) if may_have_marks or "parameters" in value else None
    value = filled.value if filled else value
    problems += violations(document, value, kind.name)
    problems += _invalid_instant(document, problems)
    problems += _misplaced_secrets(document, kind) if may_have_marks else ()
    problems += _reserved(document, kind, value.get("spec"))
    notes: list[Problem] = []
    if filled:
        problems = [*filled.with_samples(document, problems), *filled.errors]
        notes += filled.warnings
    waive = value.get("waive")
    waived = frozenset(waive if isinstance(waive, dict) else ()) - {""}
    sent = [problem for problem in problems if problem.rule in waived]
    if len(problems) > len(sent):
        return _Checked(None, (*(problem for problem in problems if problem not in sent), *notes))
    job = _job(manifest, kind, value, clusters)
    broken_rules = list(_broken_rules(document, kind, value, job))
    if filled and filled.parameters:
        spec = _job(manifest, kind, with_marks, clusters).spec
        job = replace(job, spec=spec, parameters=filled.parameters)
        broken_rules = filled.with_samples(document, broken_rules)
        broken_rules += filled.contradictions(document, kind, job)
    problems = [problem for problem in broken_rules if problem.rule not in waived]
    if "renamedFrom" in value["metadata"]:
        from deployer.manifests.renamed import renamed_from, without_effect

        problems += without_effect(job, manifest, clusters)
        job = replace(job, renamed_from=renamed_from(job.identity, value["metadata"], clusters))
    blocked = any(problem.severity == "error" for problem in problems)
    # A waiver must neither hide the next typo nor stay without need.
    notes += [_sent_unchanged(unknown_field) for unknown_field in sent]
    for rule in waived - {problem.rule for problem in (*broken_rules, *sent)}:
        location = document.location(("waive", rule), of_key=True)
        message = f"waived rule '{rule}' is not violated"
        notes.append(Problem(location, message, Code.UNUSED_WAIVER, "note"))
    return _Checked(None if blocked else job, (*problems, *notes), bool(value.get("enabled", True)))


def _filled(document: Document, kind: Kind, value: dict[str, Any]) -> parameters.Checked:
    from deployer.manifests import parameters  # on use: few manifests have any

    return parameters.checked(document, kind, value)


def check_runs(
    manifest: Manifest, clusters: Mapping[str, str], runs: Iterable[Mapping[str, str]]
) -> list[Problem]:
    """Return the errors of a valid manifest with the values of each of its `runs`; each error once, with a count."""
    from deployer.manifests import parameters

    kind, document = KINDS[manifest.kind], manifest.document
    written = with_texts(manifest)
    found: dict[tuple[Any, ...], Problem] = {}
    counts: Counter[tuple[Any, ...]] = Counter()
    for values in runs:
        value, problems = parameters.filled_with(document, written, values)
        problems = problems or violations(document, value, kind.name)
        problems = problems or [*_broken_rules(document, kind, value, _job(manifest, kind, value, clusters))]
        waived = {*value.get("waive", ())}
        errors = [each for each in problems if each.severity == "error" and each.rule not in waived]
        for problem in parameters.of_run(document, errors, values):
            key = problem.location, problem.code, problem.rule
            counts[key] += 1
            found.setdefault(key, problem)
    more = {key: f", and with {number - 1} more" for key, number in counts.items() if number > 1}
    return [replace(problem, message=problem.message + more.get(key, "")) for key, problem in found.items()]


def _unbound(jobs: Iterable[tuple[Job, Manifest]], known: Mapping[Identity, Job]) -> Iterator[Problem]:
    """Yield the parameters of dependencies without a value, and dependencies that apply never submits."""
    for job, manifest in jobs:
        needed = [known[need.identity] for need in job.depends_on]
        if any(other.parameters or other.runs_on_request for other in needed) or any(
            need.parameters for need in job.depends_on
        ):
            from deployer.manifests import parameters

            yield from parameters.unbound(job, manifest, known)


_IN_PLAIN_TEXT = (
    f'plain-text secret; use {{{{ secret("NAME") }}}} and list NAME under secrets in {PROJECT_FILE}'
)


def _sent_unchanged(unknown_field: Problem) -> Problem:
    """Return the note on a waived unknown field; the nearest name stays at its end."""
    found, separator, nearest_name = unknown_field.message.partition("; ")
    message = f"{found} is sent unchanged{separator}{nearest_name}"
    return replace(unknown_field, severity="note", message=message)


def _broken_rules(document: Document, kind: Kind, value: Mapping[str, Any], job: Job) -> Iterator[Problem]:
    """Yield deprecated names and violated rules; all of them can be waived."""
    written = {}
    for alias, row in kind.older_names.items():
        if alias in value["spec"]:
            written[row.name] = alias
            message = f"'{alias}' is a deprecated name; '{row.name}' is sent"
            location = document.location(("spec", alias), of_key=True)
            yield Problem(location, message, Code.OLDER_SPELLING, "warning", OLDER_SPELLING)
    for path in literal_secrets(kind.spellings, value["spec"]):
        location = document.location(("spec", *path))
        yield Problem(location, _IN_PLAIN_TEXT, Code.LITERAL_SECRET, "warning", LITERAL_SECRET)
    for rule in broken(kind.name, {**value, "spec": job.spec}, kind.rows):
        path = (rule.part, written.get(rule.at, rule.at)) if rule.at else (rule.part,)
        location = document.location(path, of_key=True)
        yield Problem(location, rule.message, rule.code, rule.severity, rule.id)


def _misplaced_secrets(document: Document, kind: Kind) -> Iterator[Problem]:
    """Yield secrets in fields whose value must be known before the request."""
    known = {("spec", *path) for path in ((name,) for name in (*kind.path_fields, *kind.place_fields))}
    for path, value in leaves(document.value):
        keys = any(isinstance(step, str) and secrets.has_reference(step) for step in path)
        if keys or (secrets.has_reference(value) and (path[0] != "spec" or path in known)):
            message = (
                "a secret is not allowed here: only in values of spec, not in keys or identifying fields"
            )
            yield Problem(document.location(path, of_key=keys), message, Code.SECRET_USE)


def _reserved(document: Document, kind: Kind, spec: Any) -> Iterator[Problem]:
    """Yield fields that are reserved for ownership metadata."""
    for path in reserved(kind, spec) if isinstance(spec, dict) else ():
        key = path[1] if path[0] == CONF else spec[path[0]][path[1]]["key"]
        message = f"'{key}' is reserved for ownership metadata"
        location = document.location(("spec", *path), of_key=path[0] == CONF)
        yield Problem(location, message, Code.WRONG_VALUE)


def name_of(manifest: Manifest) -> Any:
    """Return the name of a possibly invalid manifest."""
    metadata = manifest.document.value.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None


def _invalid_instant(document: Document, problems: Sequence[Problem]) -> list[Problem]:
    """Return a problem for an invalid timestamp such as 2024-02-30T00:00:00Z, unless `problems` has one for it."""
    lifecycle = document.value.get("lifecycle")
    rerun = lifecycle.get("rerun") if isinstance(lifecycle, dict) else None
    if not isinstance(rerun, str):
        return []
    location = document.location(("lifecycle", "rerun"))
    if any(problem.location == location for problem in problems):
        return []
    try:
        datetime.fromisoformat(rerun)
    except ValueError as error:
        message = f"'rerun' must be a valid timestamp, for example 2024-07-05T09:00:00Z: {error}"
        return [Problem(location, message, Code.WRONG_VALUE)]
    return []


def with_texts(manifest: Manifest) -> dict[str, Any]:
    """Return the data of a manifest as its kind wants it.

    Unquoted scalars of string maps are their source text, and quoted expressions for numbers and booleans their value.
    """
    document = manifest.document
    value = dict(with_types(document, document.value, manifest.kind))
    spec = value.get("spec")
    if not isinstance(spec, dict):
        return value
    texts = {
        name: {key: _text(document, ("spec", name, key), scalar) for key, scalar in item.items()}
        for name in KINDS[manifest.kind].text_maps
        if isinstance(item := spec.get(name), dict)
    }
    value["spec"] = spec | texts
    return value


def _text(document: Document, path: Path, scalar: Any) -> Any:
    if isinstance(scalar, int | float):
        return document.texts.get(path, usual_text(scalar))
    return scalar


def _job(manifest: Manifest, kind: Kind, value: Mapping[str, Any], clusters: Mapping[str, str]) -> Job:
    spec = kind.in_reference_spelling(value["spec"])
    for name in kind.path_fields:
        spec[name] = clusters.get(spec[name], spec[name])
    place = next((spec[name] for name in kind.place_fields if name in spec), "")
    metadata = value["metadata"]
    return Job(
        identity=Identity(kind.name, place, metadata["name"]),
        source=manifest.source,
        spec=spec,
        lifecycle=_lifecycle(value.get("lifecycle", {}), kind.nature),
        labels=metadata.get("labels", {}),
    )


_DEFAULT_STATE = {Nature.RUN_ONCE: State.PRESENT, Nature.DEFINITION: State.RUNNING}
_DEFAULT_LIFECYCLE = {nature: Lifecycle(state=state) for nature, state in _DEFAULT_STATE.items()}


def _lifecycle(raw: Mapping[str, Any], nature: Nature) -> Lifecycle:
    if not raw:
        return _DEFAULT_LIFECYCLE[nature]
    rerun = raw.get("rerun")
    return Lifecycle(
        state=State(raw.get("state", _DEFAULT_STATE[nature])),
        on_change=OnChange(raw.get("onChange", OnChange.BLOCK)),
        on_failure=OnFailure(raw.get("onFailure", OnFailure.KEEP)),
        on_missing=OnMissing(raw.get("onMissing", OnMissing.CREATE)),
        trigger=Trigger(raw.get("trigger", Trigger.APPLY)),
        rerun=datetime.fromisoformat(rerun) if rerun else None,
        savepoint=raw.get("savepoint", True),
        protect=raw.get("protect", False),
        adopt=raw.get("adopt", False),
        timeout=raw.get("timeout", "30m"),
    )


class _Names:
    """The jobs of a project by name. `invalid` are the kinds of manifests with reported problems."""

    def __init__(
        self, jobs: Iterable[Job], disabled: Iterable[Identity], invalid: Iterable[tuple[str, Any]]
    ) -> None:
        self.jobs: dict[str, list[Identity]] = {}
        self.renamed: dict[str, str] = {}
        for job in jobs:
            self.jobs.setdefault(job.name, []).append(job.identity)
            self.renamed |= dict.fromkeys((former.name for former in job.renamed_from), job.name)
        self.disabled = {identity.name for identity in disabled}
        self.invalid: dict[str, set[str]] = {}
        for kind, name in invalid:
            if isinstance(name, str):
                self.invalid.setdefault(name, set()).add(kind)
        self._compared = 0

    def hint(self, name: str) -> str:
        """Return a similar name, or all if these are few; empty after many comparisons, which are slow."""
        self._compared += len(self.jobs)
        if self._compared > MAX_COMPARED:
            return ""
        known = list(self.jobs)
        return nearest(name, known) if len(known) <= MAX_LISTED else similar(name, known)


def _dependencies(manifest: Manifest, known: _Names) -> tuple[tuple[Dependency, ...], list[Problem]]:
    """Return the dependencies of a manifest, and the problems of those that it names in vain."""
    dependencies: list[Dependency] = []
    problems: list[Problem] = []
    for index, raw in enumerate(manifest.document.value.get("dependsOn", ())):
        wanted = {"name": raw} if isinstance(raw, str) else raw
        same_name = known.jobs.get(wanted["name"], [])
        found = [identity for identity in same_name if wanted.get("kind", identity.kind) == identity.kind]
        path = ("dependsOn", index)
        if len(found) == 1:
            until, given = Until(wanted.get("until", Until.SUBMITTED)), wanted.get("parameters")
            dependencies.append(Dependency(found[0], until, given if isinstance(given, dict) else {}))
        elif found:
            advice = (
                "add its kind" if len({candidate.kind for candidate in found}) == len(found) else "rename one"
            )
            message = f"'{wanted['name']}' is ambiguous: {' or '.join(map(str, found))}; {advice}"
            problems.append(Problem(manifest.document.location(path), message, Code.AMBIGUOUS_DEPENDENCY))
        elif not any(wanted.get("kind", kind) == kind for kind in known.invalid.get(wanted["name"], ())):
            others = sorted({identity.kind for identity in same_name})
            if wanted["name"] in known.disabled:
                hint = "; it is disabled"
            elif not others and wanted["name"] in known.renamed:
                hint = f"; it was renamed to '{known.renamed[wanted['name']]}'"
            elif others:
                hint = f"; it is a {' and a '.join(others)}"
            else:
                hint = known.hint(wanted["name"])
            what = wanted.get("kind", "job")
            message = f"dependency not found: {what} '{wanted['name']}'{hint}"
            problems.append(Problem(manifest.document.location(path), message, Code.UNKNOWN_DEPENDENCY))
    return tuple(dependencies), problems


def _ordered(
    jobs: Mapping[Identity, Job], manifests: Mapping[Identity, Manifest]
) -> tuple[list[Job], list[Problem]]:
    """Return the jobs in dependency order, else by identity; or the cycle that prevents it."""
    if not any(job.depends_on for job in jobs.values()):
        return [jobs[identity] for identity in sorted(jobs)], []
    sorter = TopologicalSorter(
        {
            identity: sorted(dependency.identity for dependency in jobs[identity].depends_on)
            for identity in sorted(jobs)
        }
    )
    try:
        return [jobs[identity] for identity in sorter.static_order()], []
    except CycleError as error:
        # graphlib lists dependencies before dependents, and repeats the first job at the end.
        *cycle, _ = reversed(error.args[1])
        first = cycle.index(min(cycle))
        cycle = cycle[first:] + cycle[: first + 1]
        path = " -> ".join(identity.name for identity in cycle)
        location = manifests[cycle[0]].document.location(("dependsOn",))
        return list(jobs.values()), [Problem(location, f"dependency cycle: {path}", Code.DEPENDENCY_CYCLE)]
