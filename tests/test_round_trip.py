"""`apply`, then `plan`, shows nothing: for every kind and every field, and for whatever else a spec may hold.

Both halves take their values from the rows of the kinds' tables: a new row is tested as soon as it is there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from conftest import SPECS, Clock, Workspace, manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.rules import rules
from deployer.tables import Row, json_type


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

# A session's listing tells its preset, and nothing else of what was asked for. Tags have an API of their own.
NEVER_SHOWN = {
    "SparkSession": {row.name for row in KINDS["SparkSession"].rows} - {"sc_type"},
    "FlinkJar": {"tags"},
}
# The service chooses a value, or adds settings, where the manifest gives none.
NOT_MISSED = {"spark_version", "flink_version", "tm_slot_num", "runtime_config"}

TEXTS = {"runtime_config": ('[{"key": "a", "value": "1"}]', '[{"key": "a", "value": "2"}]')}


@dataclass(frozen=True)
class Case:
    """One field, at `path` in the spec: `first` and `second` are what the spec says of it, one by one."""

    row: Row
    path: tuple[str, ...]
    base: Mapping[str, Any]
    first: Any
    second: Any

    @property
    def name(self) -> str:
        return "-".join(self.path)

    @property
    def pointer(self) -> str:
        return "/" + "/".join(self.path)

    def spec(self, value: Any) -> dict[str, Any]:
        for step in reversed(self.path[1:]):
            value = {step: value}
        return {**self.base, self.path[0]: value}


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


def cases(kind: Kind) -> Iterator[Case]:
    """All fields of a kind and those inside its objects, but for its place, and what has a single value."""
    for row in kind.rows:
        if row.name not in kind.place_fields and row.limits.get("enum") != ["spark"]:
            base = {**SPECS[kind.name], **BESIDE.get(row.name, {})}
            if not row.required:
                base.pop(row.name, None)
            yield from cases_of(row, (row.name,), base)


def cases_of(row: Row, path: tuple[str, ...], base: Mapping[str, Any]) -> Iterator[Case]:
    yield Case(row, path, base, *two_values(row))
    if json_type(row.type)["type"] == "object":
        for inner in row.fields:
            yield from cases_of(inner, (*path, inner.name), base)


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


def on_one_line(pointer: str, path: str) -> bool:
    """Whether one is the other or in it: an object that is not there at all is shown as a whole."""
    return f"{path}/".startswith(f"{pointer}/") or f"{pointer}/".startswith(f"{path}/")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_field_round_trips_and_shows_when_it_is_changed_or_removed(
    kind: Kind, workspace: Workspace, clock: Clock
) -> None:
    tested = list(cases(kind))
    listed = [case for case in tested if case.path[0] not in NEVER_SHOWN.get(kind.name, ())]

    workspace.write("jobs.yaml", [job(kind, case.name, case.spec(case.first)) for case in tested])
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    clock.forward(10)  # a Flink job is compared when it has started
    plan = workspace.plan()
    assert (plan["changes"], plan["attention"], plan["errors"]) == ([], [], [])

    workspace.write("jobs.yaml", [job(kind, case.name, case.spec(case.second)) for case in tested])
    assert shown(workspace.plan(), tested) == {case.name: case.pointer for case in listed}

    workspace.write("jobs.yaml", [job(kind, case.name, case.base) for case in tested])
    missed = {case.name: case.pointer for case in listed if case.name not in NOT_MISSED}
    assert shown(workspace.plan(), tested) == missed


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.place], ids=lambda kind: kind.name)
def test_another_place_is_another_job(kind: Kind, workspace: Workspace) -> None:
    spec = SPECS[kind.name]
    workspace.write("job.yaml", manifest(kind.name, "moved", spec))
    assert workspace.apply().code == 0
    workspace.write("job.yaml", manifest(kind.name, "moved", {**spec, kind.place: "elsewhere"}))
    assert [change["action"] for change in workspace.plan()["changes"]] == ["create"]


# --- whatever a spec may hold -----------------------------------------------------------------------------

AWKWARD = [
    *("", " ", "true", "null", "~", "1.10", "0x1F", "1e3", "2024-07-04", "- a", "a: b", "#c", "'", '"', "\\"),
    *("a, b", ", ", ",", "a,b", "k=v", "=", "[", "]", "[a, b]", "{", "}", "{k=v, k2=v2}", "a\nb", "\t", "\r"),
    *("{{ x }}", "{% if x %}", "{# x #}", "&a", "*a", "!x", "%x", "@x", "`", "|", ">", "é漢🎉", "\x85", "\0"),
]  # fmt: skip
# The four private-use characters are those that the templates keep for themselves.
texts = st.sampled_from(AWKWARD) | st.text(
    st.characters(codec="utf-8", exclude_characters="\ue000\ue001\ue002\ue003"), max_size=8
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


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    # One workspace for all examples of a kind is meant: each example is a job with a name of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_spec_round_trips(kind: Kind, data: st.DataObject, workspace: Workspace, clock: Clock) -> None:
    spec = allowed(kind, data.draw(objects(kind.rows), label="spec"))
    free = "pattern" not in kind.name_row.limits
    clock.forward(1)
    name = f"job-{clock.now:.0f}" + (data.draw(texts, label="name") if free else "")
    document = yaml.dump(job(kind, name, spec), Dumper=Quoted, sort_keys=False)
    workspace.write("job.yaml", f"{{% raw %}}{document}{{% endraw %}}")

    validated = workspace.run("validate")
    assert validated.code == 0, validated
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    clock.forward(10)
    plan = workspace.plan()
    assert (plan["changes"], plan["attention"], plan["errors"]) == ([], [], [])
