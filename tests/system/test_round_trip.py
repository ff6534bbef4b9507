"""`plan` after `apply` shows no changes, for every kind, every field and generated specs.

Both halves take their values from the rows of the kinds' tables: a new row is tested as soon as it is there.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import Row, json_type
from deployer.schema.rules import rules
from testing.slow import sampled
from testing.workspace import SPECS, Clock, Workspace, manifest


def job(kind: Kind, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest to which the rules between fields do not apply: here each field is looked at for itself."""
    waive = {rule.id: "for the test" for rule in rules(kind.name)}
    return manifest(kind.name, name, dict(spec), waive=waive)


# --- one field after the other ----------------------------------------------------------------------------

# What the emulator asks for beside a field.
BESIDE: dict[str, dict[str, Any]] = {
    "manager_cu_number": {"cu_number": 9},
    "resource_config": {"resource_config_version": "v2"},
}

# A session's listing tells its preset, unless sizes are given beside it, and nothing else of it.
NEVER_SHOWN = {
    "SparkSession alone": {row.name for row in KINDS["SparkSession"].rows} - {"sc_type"},
    "SparkSession together": {row.name for row in KINDS["SparkSession"].rows},
}
# The service chooses a value, or adds settings, where the manifest gives none.
NOT_MISSED = {"spark_version", "flink_version", "tm_slot_num", "runtime_config", "checkpoint_interval"}
# Tags are a change without a fingerprint too.
TAGGED = {"tags"}

TEXTS = {
    "runtime_config": ('[{"key": "a", "value": "1"}]', '[{"key": "a", "value": "2"}]'),
    "flink_log_config": ('{"root_logger_level": "WARN"}', '{"root_logger_level": "INFO"}'),
}

Location = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One field, at `path` in three specs: with one value, with another one, and without it."""

    path: Location
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    removed: Mapping[str, Any]

    @property
    def name(self) -> str:
        return "-".join(self.path)

    @property
    def pointer(self) -> str:
        return "/" + "/".join(self.path)


def put(spec: Mapping[str, Any], path: Location, value: Any) -> dict[str, Any]:
    """`spec` with a value at a path, and with the objects on the way to it."""
    name, *rest = path
    return {**spec, name: put(spec.get(name, {}), tuple(rest), value) if rest else value}


def take(spec: Mapping[str, Any], path: Location) -> dict[str, Any]:
    """`spec` without what is at a path."""
    name, *rest = path
    left = {key: value for key, value in spec.items() if key != name}
    return {**left, name: take(spec[name], tuple(rest))} if rest else left


def two_values(row: Row) -> tuple[Any, Any]:
    """Two valid values, the first one not the default."""
    if row.name in TEXTS:
        return TEXTS[row.name]
    if "enum" in row.limits:
        # From the end: the first ones are what the smallest specs have.
        first, *others = [value for value in reversed(row.limits["enum"]) if value != row.default]
        return first, [*others, row.default][0]
    if row.fields:
        pairs = {inner.name: two_values(inner) for inner in row.fields}
        first, second = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
        return (first, second) if json_type(row.type)["type"] == "object" else ([first], [second])
    if row.text_map:
        return {"a/b~c": "1", "k": "v"}, {"a/b~c": "2", "k": "v"}
    match json_type(row.type)["type"]:
        case "boolean":
            return not row.default, bool(row.default)
        case "integer" | "number":
            numbers = itertools.count(row.limits.get("minimum", 1))
            first, second, *_ = itertools.islice(
                (number for number in numbers if number != row.default and number not in row.excluded), 2
            )
            return first, second
        case "array":
            return ["b", "a"], ["a", "b"]
        case _:
            return ("3G", "5G") if "pattern" in row.limits else ("first", "second")


def fields_of(kind: Kind) -> Iterator[tuple[Location, Row]]:
    """All fields of a kind and those inside its objects, but for its place, and what has a single value."""
    rows = [row for row in kind.rows if row.name not in kind.place_fields]
    free = [row for row in rows if row.limits.get("enum") != ["spark"]]
    pending: list[tuple[Location, Row]] = [((row.name,), row) for row in free]
    while pending:
        path, row = pending.pop(0)
        yield path, row
        if json_type(row.type)["type"] == "object":
            pending += [((*path, inner.name), inner) for inner in row.fields]


def alone(kind: Kind) -> Iterator[Case]:
    """Each field in a job that has little else."""
    for path, row in fields_of(kind):
        beside = {**SPECS[kind.name], **BESIDE.get(path[0], {})}
        # A required one cannot be left out: it goes back to what it was.
        base = beside if row.required else {name: beside[name] for name in beside if name != path[0]}
        first, second = (put(base, path, value) for value in two_values(row))
        yield Case(path, first, second, base)


def together(kind: Kind, without: set[str]) -> Iterator[Case]:
    """Each field in a job that has all the others too, `without` those that cannot stand beside them."""
    fields = [(path, row) for path, row in fields_of(kind) if path[0] not in without]
    whole = {**SPECS[kind.name], **{path[0]: two_values(row)[0] for path, row in fields if len(path) == 1}}
    for path, row in fields:
        back = put(whole, path, SPECS[kind.name].get(path[0])) if row.required else take(whole, path)
        yield Case(path, whole, put(whole, path, two_values(row)[1]), back)


# Sizes count with one version of resource_config or the other.
V1 = {"cu_number", "manager_cu_number", "parallel_number", "tm_cus", "tm_slot_num"}
V2 = {"resource_config", "resource_config_version"}

FIELDS = {
    **{f"{name} alone": (kind, [*alone(kind)]) for name, kind in KINDS.items()},
    **{f"{name} together": (kind, [*together(kind, V2)]) for name, kind in KINDS.items()},
    "FlinkJar together in version 2": (KINDS["FlinkJar"], [*together(KINDS["FlinkJar"], V1)]),
}


def shown(plan: Any, tested: Sequence[Case]) -> dict[str, Any]:
    """By job: the pointer of its field, when the plan shows that field and no other, else what it shows."""
    pointers = {case.name: case.pointer for case in tested}
    found = {}
    for change in plan["changes"]:
        pointer = pointers[change["name"]]
        paths = [field["path"] for field in change["fields"]]
        found[change["name"]] = (
            pointer if paths and all(on_one_line(pointer, path) for path in paths) else paths
        )
    return found


def warned(plan: Any, tested: Sequence[Case]) -> dict[str, Any]:
    """By job: the pointer of its field, when a warning says that only the live job has it."""
    pointers = {case.name: case.pointer for case in tested}
    found = {}
    for warning in plan["warnings"]:
        named = re.search(r"that the manifest does not have: ([^;]*);", warning["message"])
        paths = [*map(as_pointer, named[1].split(", "))] if named else []
        pointer = pointers[warning["name"]]
        is_it = paths and all(on_one_line(pointer, path) for path in paths)
        found[warning["name"]] = pointer if is_it else paths
    return found


def as_pointer(path: str) -> str:
    """The JSON Pointer of a path as a warning writes it: `conf."spark.x"`, `args[2]`."""
    steps = re.findall(r'\[(\d+)\]|"([^"]*)"|([A-Za-z_][A-Za-z0-9_-]*)', path)
    return "".join(f"/{''.join(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def required(kind: Kind, case: Case) -> bool:
    """Whether what is removed of a case goes back to another value."""
    return len(case.path) == 1 and kind.spellings[case.path[0]].required


def on_one_line(pointer: str, path: str) -> bool:
    """Whether one is the other or in it: an object that is not there at all is shown as a whole."""
    return f"{path}/".startswith(f"{pointer}/") or f"{pointer}/".startswith(f"{path}/")


@pytest.mark.slow
@pytest.mark.parametrize("fields", FIELDS)
def test_each_field_round_trips_and_shows_when_it_is_changed_or_removed(
    fields: str, workspace: Workspace, clock: Clock
) -> None:
    kind, tested = FIELDS[fields]
    listed = [case for case in tested if case.path[0] not in NEVER_SHOWN.get(fields, ())]
    workspace.project["marks"] = kind.name == "SparkBatch"
    workspace.write_project()

    workspace.write("jobs.yaml", [job(kind, case.name, case.first) for case in tested])
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    clock.forward(10)  # a Flink job is compared when it has started
    plan = workspace.plan()
    assert (plan["changes"], plan["warnings"], plan["errors"]) == ([], [], [])

    workspace.write("jobs.yaml", [job(kind, case.name, case.second) for case in tested])
    assert shown(workspace.plan(), tested) == {case.name: case.pointer for case in listed}

    workspace.write("jobs.yaml", [job(kind, case.name, case.removed) for case in tested])
    missed = {case.name: case.pointer for case in listed if case.name not in NOT_MISSED}
    plan = workspace.plan()
    assert shown(plan, tested) | warned(plan, tested) == missed
    if kind.name != "SparkBatch":
        # Only a fingerprint proves that the service did not fill it in.
        back = {case.name for case in listed if required(kind, case)}
        assert shown(plan, tested).keys() == (back if kind.name != "FlinkJar" else back | TAGGED)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_word_that_a_field_may_hold_round_trips(kind: Kind, workspace: Workspace, clock: Clock) -> None:
    words = [(row.name, word) for row in kind.rows for word in row.limits.get("enum", ())]
    specs = {f"{name}-{word}": {**SPECS[kind.name], name: word} for name, word in words}
    workspace.write("jobs.yaml", [job(kind, name, spec) for name, spec in specs.items()])
    assert workspace.apply().code == 0
    clock.forward(10)
    assert workspace.plan()["summary"]["unchanged"] == len(specs)

    # Each of them against each other word of its field: what is listed as the same cannot be told apart.
    same_word = {"SparkPython": "SparkSubmit", "v1": None, "basic": None, "A": None, 1: None}
    expected = {}
    jobs = []
    for (field, word), name in zip(words, specs, strict=True):
        other = next(
            candidate
            for of, candidate in reversed(words)
            if of == field and (candidate != word or candidate == "spark")
        )
        jobs.append(job(kind, name, {**SPECS[kind.name], field: other}))
        if same_word.get(word, word) != same_word.get(other, other):
            expected[name] = [f"/{field}"]
    workspace.write("jobs.yaml", jobs)
    changes = workspace.plan()["changes"]
    assert {change["name"]: [field["path"] for field in change["fields"]] for change in changes} == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.place], ids=lambda kind: kind.name)
def test_another_place_is_another_job(kind: Kind, workspace: Workspace) -> None:
    spec = SPECS[kind.name]
    workspace.write("job.yaml", manifest(kind.name, "moved", spec))
    assert workspace.apply().code == 0
    workspace.write("job.yaml", manifest(kind.name, "moved", {**spec, kind.place: "elsewhere"}))
    # A batch that carries our mark is known in any queue.
    action = "blocked" if kind.name == "SparkBatch" else "create"
    assert [change["action"] for change in workspace.plan()["changes"]] == [action]


# --- whatever a spec may hold -----------------------------------------------------------------------------

AWKWARD = [
    *("", " ", "true", "null", "~", "1.10", "0x1F", "1e3", "2024-07-04", "- a", "a: b", "#c", "'", '"', "\\"),
    *("a, b", ", ", ",", "a,b", "k=v", "=", "[", "]", "[a, b]", "{", "}", "{k=v, k2=v2}", "a\nb", "\t", "\r"),
    *("{{ x }}", "{% if x %}", "{# x #}", "&a", "*a", "!x", "%x", "@x", "`", "|", ">", "é漢🎉", "\x85", "\0"),
]  # fmt: skip
# Some of the private-use characters are marks of our own.
texts = st.sampled_from(AWKWARD) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Co"]), max_size=8
)
settings_texts = st.lists(st.fixed_dictionaries({"key": texts, "value": texts}), max_size=3).map(json.dumps)


class Quoted(yaml.SafeDumper):
    """Puts all text in quotes: what may go without them is not the same in all versions of YAML."""


Quoted.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)

# Java prints a map without quoting anything, so a key that holds this cannot be told from two entries.
keys = texts.filter(lambda key: ", " not in key)


def values(row: Row) -> st.SearchStrategy[Any]:
    """What the table says is valid for a row."""
    if row.name in {"runtime_config", "flink_log_config"}:
        return settings_texts
    if "enum" in row.limits:
        return st.sampled_from(row.limits["enum"])
    low, high = row.limits.get("minimum", 1), row.limits.get("maximum")
    match json_type(row.type)["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(low, high or 10**9).filter(lambda number: number not in row.excluded)
        case "number":
            return st.floats(low, 10**9) | st.integers(1, 9)
        case "array":
            return st.lists(objects(row.fields) if row.fields else texts, max_size=4)
        case "object":
            return st.dictionaries(keys, texts, max_size=4) if row.text_map else objects(row.fields)
    if "pattern" in row.limits:
        return st.from_regex(row.limits["pattern"], fullmatch=True)
    least = row.limits.get("minLength", 0)
    return texts.filter(lambda text: least <= len(text) <= row.limits.get("maxLength", len(text)))


@st.composite
def objects(draw: st.DrawFn, rows: Sequence[Row]) -> dict[str, Any]:
    """An object with these rows, in any of their spellings."""
    spec = {}
    for row in rows:
        names = [row.name, *row.aliases, *(other.name for other in rows if other.same_as == row.name)]
        if not row.same_as and (row.required or draw(st.booleans())):
            spec[draw(st.sampled_from(names))] = draw(values(row))
    return spec


def allowed(kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as the emulator wants it, which has rules between fields."""
    if kind.name == "MrsJob":
        spec["cluster_id"] = "c-1"
    if "resource_config" in spec:
        spec["resource_config_version"] = "v2"
    if kind.name == "FlinkJar":
        spec["cu_number"] = max(spec.get("cu_number", 2), spec.get("manager_cu_number", 1) + 1)
    return spec


def plain(documents: list[dict[str, Any]]) -> str:
    """YAML that is no template: braces that Jinja would read are written as YAML's escapes."""
    written = yaml.dump_all(documents, Dumper=Quoted, sort_keys=False, width=10**9)
    return re.sub(r"\{(?=[{%#])", r"\\x7b", written)


def only_other_words(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The fields that differ between two specs, by our own reckoning: as they are sent."""
    first, other = (kind.in_reference_spelling(spec) for spec in (before, after))
    return {name for name in first.keys() | other.keys() if first.get(name) != other.get(name)}


@pytest.mark.parametrize("kind", sampled(KINDS.values(), 4), ids=KINDS)
@settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to look for a smaller example would take minutes
    # One workspace for all examples of a kind is meant: each example is jobs with names of their own.
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_spec_round_trips(kind: Kind, data: st.DataObject, workspace: Workspace, clock: Clock) -> None:
    """What is shown of a spec in the place of another one are only fields that differ between the two."""
    clock.forward(1)
    # Each example is another project: a job is not created beside an active one of its own with the same content.
    workspace.project["metadata"] = {"name": f"tests-{clock.now:.0f}"}
    workspace.write_project()
    specs = [allowed(kind, data.draw(objects(kind.rows), label="spec")) for _ in range(5)]
    place = {name: value for name, value in specs[0].items() if name in kind.place_fields}
    specs = [{**{k: v for k, v in spec.items() if k not in kind.place_fields}, **place} for spec in specs]
    free = "pattern" not in kind.name_row.limits
    names = [
        f"job-{clock.now:.0f}-{number}" + (data.draw(texts, label="name") if free else "")
        for number in range(len(specs))
    ]
    workspace.write(
        "job.yaml", plain([job(kind, *names_and_spec) for names_and_spec in zip(names, specs, strict=True)])
    )
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    clock.forward(10)
    plan = workspace.plan()
    assert (plan["changes"], plan["warnings"], plan["errors"]) == ([], [], [])

    others = [*specs[1:], specs[0]]
    workspace.write(
        "job.yaml", plain([job(kind, *names_and_spec) for names_and_spec in zip(names, others, strict=True)])
    )
    changes = {change["name"]: change for change in workspace.plan()["changes"]}
    for name, before, after in zip(names, specs, others, strict=True):
        fields = changes.get(name, {"fields": []})["fields"]
        assert {field["path"].split("/")[1] for field in fields} <= only_other_words(kind, before, after)
