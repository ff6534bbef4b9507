"""The parameters of a manifest: what it declares, where it uses them, and whether each can be read back from a run.

A manifest is checked with one value for each: the default, or a sample of the type. `deployer run` checks it again with
the values of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.errors import Code, DeployerError, Problem, nearest
from deployer.kinds.kind import Kind, Nature
from deployer.kinds.tables import Row, json_type
from deployer.manifests.declarations import KEY, as_texts
from deployer.manifests.declarations import declared as declarations
from deployer.model import (
    Dependency,
    Document,
    Identity,
    Job,
    Location,
    Manifest,
    OnChange,
    OnFailure,
    OnMissing,
    Parameter,
    ParameterType,
    Path,
    Spec,
    Trigger,
    pointer,
)
from deployer.parameters import dates, reading, types
from deployer.parameters.layout import layout
from deployer.parameters.references import Use, concrete, filled_text, has_mark, split, uses
from deployer.schema.rules import rules

# The ids of the findings, for `explain`.
RULES: Mapping[str, Code] = {
    "parameter-unreadable": Code.PARAMETER_UNREADABLE,
    "parameter-not-listed": Code.PARAMETER_NOT_LISTED,
    "parameter-misplaced": Code.PARAMETER_MISPLACED,
    "parameter-type": Code.PARAMETER_TYPE,
    "parameter-unknown": Code.PARAMETER_UNKNOWN,
    "parameter-unused": Code.PARAMETER_UNUSED,
    "parameter-in-definition": Code.PARAMETER_IN_DEFINITION,
    "parameter-unbound": Code.PARAMETER_UNBOUND,
    "newest-run": Code.NEWEST_RUN,
    "trigger-rerun": Code.TRIGGER_RERUN,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A manifest whose marks are filled with samples in `value`; `parameters` are those that the spec uses."""

    value: dict[str, Any]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def with_samples(self, document: Document, problems: Iterable[Problem]) -> list[Problem]:
        """Return the findings of a manifest with samples, those of a filled text with the value that it has."""
        bad = {problem.location for problem in self.problems}
        samples = {name: types.sample(parameter) for name, parameter in self.parameters.items()}
        return _with_values(document, (each for each in problems if each.location not in bad), samples)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity != "error"]

    def contradictions(self, document: Document, kind: Kind, job: Job) -> list[Problem]:
        """Return the findings of a job that is valid but for its parameters; its spec has the marks."""
        return [*unreadable(document, kind, job.spec, self.parameters), *_contradictions(document, job)]


def _with_values(
    document: Document,
    problems: Iterable[Problem],
    values: Mapping[str, str],
    *,
    otherwise: Iterable[str] = (),
) -> list[Problem]:
    """Return the findings of a filled manifest, each with the values in the text that it is about.

    A finding about no such text is of the values `otherwise`: a rule between fields has the place of a key.
    """
    marked = {
        document.location(path): sorted({use.name for use in _uses(text)} & {*values})
        for path, text in reading.texts(document.value)
        if has_mark(text)
    }
    found = []
    for problem in problems:
        names = marked.get(problem.location, otherwise)
        given = ", ".join(f"{name} = {values[name]}" for name in names)
        found.append(replace(problem, message=f"{problem.message} (with {given})") if given else problem)
    return found


def filled_with(
    document: Document, value: dict[str, Any], values: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Return a valid manifest with the values of a run, and a problem for each text that they do not fit in."""
    problems = []
    for path, text in _leaves(value):
        try:
            filled_text(text, values)
        except (DeployerError, ValueError) as error:
            place = document.location(path)
            problems.append(_problem(place, str(error), "parameter-type"))
    filled: dict[str, Any] = value if problems else concrete(value, values)
    return filled, problems


def of_run(document: Document, problems: Iterable[Problem], values: Mapping[str, str]) -> list[Problem]:
    """Return the findings of a manifest that was filled with the values of a run."""
    return _with_values(document, problems, values, otherwise=sorted(values))


def checked(document: Document, kind: Kind, value: dict[str, Any]) -> Checked:
    """Check what a manifest declares and where it uses it; `value` is its data as the kind wants it."""
    texts = [(path, text) for path, text in _leaves(value) if has_mark(text)]
    if kind.nature is Nature.DEFINITION:
        message = f"a {kind.name} is a definition that runs on: it has no runs with parameters"
        places = [document.location((KEY,), of_key=True)] if KEY in value else []
        places += [document.location(path, of_key=has_mark(path)) for path, _ in texts]
        problems = [_problem(place, message, "parameter-in-definition") for place in places]
        return Checked(_filled(_without(value), {}), {}, tuple(problems))
    value = as_texts(document, value)
    declared, problems = declarations(document, value.get(KEY))
    used: set[str] = set()
    for path, text in texts:
        used |= {use.name for use in _uses(text)}
        problems += _misuses(document, kind, path, text, declared)
    for name in declared:
        if name not in used:
            message = f"parameter '{name}' is not used in spec, so no run would tell its value"
            place = document.location((KEY, name), of_key=True)
            problems.append(_problem(place, message, "parameter-unused"))
    parameters = {name: parameter for name, parameter in declared.items() if name in used}
    problems += _outside_of_calendar(document, texts, parameters)
    return Checked(_filled(value, parameters), parameters, tuple(problems))


def _outside_of_calendar(
    document: Document, texts: Iterable[tuple[Path, str]], parameters: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """Yield the defaults that are outside of the calendar with the days that are added to them."""
    found: dict[str, str] = {}
    for _, text in texts:
        for use in _uses(text):
            parameter = parameters.get(use.name)
            is_date = parameter is not None and parameter.type is ParameterType.DATE
            if parameter is None or not is_date or not use.form or parameter.default is None:
                continue
            try:
                dates.formatted(parameter.default, use.form, use.days)
            except ValueError as error:
                found.setdefault(use.name, str(error))
    for name, words in found.items():
        yield _problem(document.location((KEY, name, "default")), f"'{name}': {words}", "parameter-type")


def _without(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != KEY}


def _filled(value: dict[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return a manifest with samples in place of all marks, also of unknown parameters."""
    names = {use.name for _, text in _leaves(value) if has_mark(text) for use in _uses(text)}
    samples = {name: types.sample(parameters[name]) if name in parameters else "0" for name in names}
    try:
        filled: dict[str, Any] = concrete(value, samples)
    except (DeployerError, ValueError):
        # A date filter of what is no date has its own problem.
        filled = concrete(value, dict.fromkeys(samples, "2000-01-01"))
    return filled


# --- uses ---------------------------------------------------------------------------------------------------


def _uses(text: str) -> list[Use]:
    try:
        return list(uses(text))
    except DeployerError:
        return []


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the strings in a manifest, and its keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            if has_mark(key):
                yield (*path, key), key
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif isinstance(value, str):
        yield path, value


def _misuses(
    document: Document, kind: Kind, path: Path, text: str, declared: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """Yield what is wrong with the marks of one text."""
    of_key = has_mark(path)
    place = document.location(path, of_key=of_key)
    for name in dict.fromkeys(use.name for use in _uses(text)):
        if name not in declared:
            hint = nearest(name, list(declared)) or f"; declare it under '{KEY}'"
            yield _problem(place, f"unknown parameter '{name}'{hint}", "parameter-unknown")
    for use in _uses(text):
        if use.form and use.name in declared and declared[use.name].type is not ParameterType.DATE:
            type_ = declared[use.name].type
            message = f"the filter date is for a parameter of type date; '{use.name}' has {_described(type_)}"
            yield _problem(place, message, "parameter-type")
    if where := _refused_place(kind, path, of_key=of_key):
        message = f"a parameter is not allowed in {where}: only in texts of spec"
        yield _problem(place, message, "parameter-misplaced")


def _described(type_: ParameterType) -> str:
    return "a list of values" if type_ is ParameterType.VALUES else f"type {type_}"


def _refused_place(kind: Kind, path: Path, *, of_key: bool) -> str:
    """Return a place that cannot have a parameter, in words; empty for one that can."""
    if of_key:
        return "a key"
    if path[0] != "spec" or len(path) < 2:
        return f"'{path[0]}'" if path else "a manifest as a whole"
    name = str(path[1])
    if name in (*kind.path_fields, *kind.place_fields, kind.name_field):
        return f"'{name}', which is part of the job's identity"
    row = _row(kind.spellings, path[1:])
    if row is None:
        return ""
    if row.memory:
        return f"the memory size '{row.name}'"
    shape = json_type(row.type)
    inner = shape.get("items", {}).get("type", "string") if shape["type"] == "array" else shape["type"]
    return "" if inner in ("string", "object") else f"'{row.name}', which is {_NUMBERS.get(inner, inner)}"


_NUMBERS = {"integer": "a number", "number": "a number", "boolean": "true or false"}


def _row(rows: Mapping[str, Row], path: Path) -> Row | None:
    """Return the innermost row of a path in spec; None for an unknown field."""
    row: Row | None = None
    for step in path:
        if isinstance(step, str) and (row is None or row.fields):
            row = rows.get(step)
            if row is None:
                return None
            rows = {inner.name: inner for inner in row.fields}
    return row


# --- whether a run can be read back -------------------------------------------------------------------------


def unreadable(
    document: Document, kind: Kind, spec: Spec, parameters: Mapping[str, Parameter]
) -> list[Problem]:
    """Return a problem for each parameter that no listing would tell. `spec` is valid, and has the marks."""
    if not parameters:
        return []
    listed = {row.name for row in kind.rows if row.listed is not None}
    shown = {name: value for name, value in kind.expect(spec).items() if name in listed}
    readable = {name for _, text in reading.texts(shown) for name in layout(text, parameters).names}
    return [
        _unreadable(document, spec, listed, parameters, name) for name in parameters if name not in readable
    ]


def _unreadable(
    document: Document,
    spec: Spec,
    listed: set[str],
    parameters: Mapping[str, Parameter],
    name: str,
) -> Problem:
    places = [(path, text) for path, text in reading.texts(spec) if name in {use.name for use in _uses(text)}]
    shown = [(path, text) for path, text in places if path[0] in listed]
    path, text = (shown or places)[0]
    location = document.location(("spec", *path))
    if not shown:
        fields = ", ".join(dict.fromkeys(f"'{path[0]}'" for path, _ in places))
        message = f"'{name}' cannot be read back from the listing, which does not return {fields}"
        return _problem(location, message, "parameter-not-listed")
    plain = [(path, text) for path, text in shown if any(use.name == name for use in _outer(text))]
    if not plain:
        message = f"'{name}' cannot be read back from the listing: it stands only behind a filter"
        return _problem(location, f"{message}; use it once without", "parameter-not-listed")
    whole = [
        (path, text)
        for path, text in plain
        if any(use.name == name and (not use.form or dates.is_whole(use.form)) for use in _outer(text))
    ]
    if not whole:
        message = (
            f"'{name}' cannot be read back from the listing: each of its forms leaves out a part of the date"
        )
        location = document.location(("spec", *plain[0][0]))
        return _problem(location, f"{message}; use it once as a whole date", "parameter-type")
    path, text = whole[0]
    free = layout(text, parameters).free
    words = ", ".join(hole.words for hole in free[:4])
    count = "two values" if len(free) == 2 else f"{len(free)} values"
    message = (
        f"'{name}' cannot be read back from the listing: {pointer(path)} has {count} of free length ({words});"
        " give it a place of its own, or values of fixed length"
    )
    return _problem(document.location(("spec", *path)), message, "parameter-unreadable")


def _outer(text: str) -> Iterator[Use]:
    """Yield the uses that are not behind a filter."""
    names = {hole.key for hole in layout(text, {}).holes}
    try:
        pieces = split(text)
    except DeployerError:
        return
    yield from (piece for piece in pieces if isinstance(piece, Use) and piece.mark in names)


# --- with other keys ----------------------------------------------------------------------------------------


def _contradictions(document: Document, job: Job) -> list[Problem]:
    """Return what the lifecycle wants of apply for a job that only `deployer run` can submit."""
    missing = [name for name, parameter in job.parameters.items() if parameter.default is None]
    if not missing:
        return []
    lifecycle = job.lifecycle
    asked = {
        "rerun": lifecycle.rerun is not None,
        "onFailure": lifecycle.on_failure is OnFailure.RESUBMIT,
    }
    ignored = {
        "onChange": lifecycle.on_change in {OnChange.REPLACE, OnChange.SUBMIT},
        "onMissing": lifecycle.on_missing is OnMissing.KEEP,
    }
    if lifecycle.trigger is Trigger.RUN:
        ignored = {}  # a rule says so
    names = ", ".join(f"'{name}'" for name in missing)
    no_default = "which has no default" if len(missing) == 1 else "which have no defaults"
    problems = [
        _problem(
            document.location(("lifecycle", key), of_key=True),
            f"'{key}' names no value of {names}, {no_default}; use 'deployer run {job.name} --failed'",
            "trigger-rerun",
        )
        for key, is_asked in asked.items()
        if is_asked
    ]
    (rule,) = (rule for rule in rules(job.kind) if rule.id == "trigger-ignores")
    return problems + [
        Problem(
            document.location(("lifecycle", key), of_key=True),
            f"'{key}' has no effect on runs with {names}, {no_default}: only 'deployer run' submits them",
            rule.code,
            rule.severity,
            rule.id,
        )
        for key, is_ignored in ignored.items()
        if is_ignored
    ]


def unbound(job: Job, manifest: Manifest, jobs: Mapping[Identity, Job]) -> Iterator[Problem]:
    """Yield the parameters of dependencies without a value, and dependencies that apply never submits."""
    for index, dependency in enumerate(job.depends_on):
        theirs = jobs[dependency.identity].parameters
        location = manifest.document.location(("dependsOn", index))
        for name in dependency.parameters:
            if name not in theirs:
                message = (
                    f"'{dependency.identity.name}' has no parameter '{name}'{nearest(name, sorted(theirs))}"
                )
                yield _problem(location, message, "parameter-unknown")
            elif wrong := types.problem(theirs[name], dependency.parameters[name]):
                yield _problem(location, f"parameter '{name}' {wrong}", "parameter-type")
        yield from _of_newest(job, jobs[dependency.identity], dependency, location)


def _of_newest(job: Job, other: Job, dependency: Dependency, location: Location) -> Iterator[Problem]:
    """Yield what a job does not say about the runs of a dependency, and a warning if apply may find none."""
    open_ = [
        name
        for name, parameter in other.parameters.items()
        if name not in job.parameters and name not in dependency.parameters and not parameter.values
    ]
    for name in open_ if job.parameters else ():
        bound = f"{{name: {other.name}, parameters: {{{name}: {types.sample(other.parameters[name])}}}}}"
        message = f"'{other.name}' has the parameter '{name}', which this job has not; bind it, as in {bound}"
        yield _problem(location, message, "parameter-unbound")
    if open_ and job.parameters:
        return
    is_named = bool(other.parameters) and {*other.parameters} <= {*dependency.parameters}
    words = []
    if other.runs_on_request and not job.runs_on_request and not is_named:
        words.append(f"'{other.name}' is submitted by 'deployer run' only, and this job by apply")
    if open_:
        names = ", ".join(f"'{name}'" for name in open_)
        has = "it has" if words else f"'{other.name}' has"
        words.append(f"{has} the parameter{'s' if len(open_) > 1 else ''} {names}, which this job has not")
    if not words:
        return
    if not other.parameters:
        counts = "its newest run counts"
    elif open_:
        counts = "its newest run counts, whatever its values are"
    else:
        counts = "apply submits this job only if it has a run with the same values"
    yield _problem(location, f"{'; '.join(words)}: {counts}", "newest-run", "warning")


def _problem(location: Any, message: str, rule: str, severity: str = "error") -> Problem:
    return Problem(location, message, RULES[rule], severity, rule)
