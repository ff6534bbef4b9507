"""The verdict of the compiled validator agrees with jsonschema: "valid" is never wrong, and seldom missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.schema import verdict
from deployer.schema.rules import broken, rules
from deployer.schema.stored import stored_schema
from deployer.schema.verdict import Verdict
from deployer.schema.violations import Validator, schema_validator
from testing.schema_values import BOUNDARIES, changed, values
from testing.workspace import SPECS, Workspace, manifest

NAMES = [*KINDS, "Project", "Defaults", "Plan"]
SLOW_TO_MAKE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# What both engines are known to read alike. Python's patterns have their own classes of characters (\d), and
# multipleOf its own arithmetic.
KEYWORDS = {
    *("$comment", "$defs", "$ref", "$schema", "title", "description", "default", "deprecated", "examples"),
    *("type", "enum", "const", "allOf", "anyOf", "oneOf", "not", "properties", "required", "propertyNames"),
    *(
        "additionalProperties",
        "minProperties",
        "maxProperties",
        "items",
        "prefixItems",
        "contains",
        "minItems",
    ),
    *("maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern"),
}


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for key, item in schema.items():
            if key in ("properties", "$defs"):
                for inner in item.values():
                    yield from subschemas(inner)
            elif key not in ("enum", "const", "examples", "default"):
                yield from subschemas(item)
    elif isinstance(schema, list):
        for item in schema:
            yield from subschemas(item)


def all_subschemas() -> list[dict[str, Any]]:
    schemas = [*map(stored_schema, NAMES), *(part for rule in rules() for part in (rule.when, rule.require))]
    return [inner for schema in schemas for inner in subschemas(schema)]


PATTERNS = sorted(
    {schema["pattern"] for name in NAMES for schema in subschemas(stored_schema(name)) if "pattern" in schema}
)


def test_the_schemas_have_only_keywords_that_both_engines_read_alike() -> None:
    assert {keyword for schema in all_subschemas() for keyword in schema} <= KEYWORDS


def test_the_patterns_have_only_what_both_engines_read_alike() -> None:
    patterns = {schema["pattern"] for schema in all_subschemas() if "pattern" in schema}
    assert len(patterns) > len(PATTERNS) > 10
    for pattern in patterns:
        assert pattern.isascii()
        # No classes such as \d, and no \Z or \b: only escapes of punctuation.
        assert not any(escaped[:1].isalnum() for escaped in re.split(r"\\", pattern)[1:]), pattern
        # The end is at the end only; what it means there differs, and is translated.
        assert "$" not in re.sub(r"\[[^\]]*\]", "", pattern).removesuffix("$"), pattern


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON in UTF-8 and is the same when read again."""
    try:
        return bool(json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) == value)
    except ValueError:
        return False


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_agrees_with_jsonschema(name: str) -> None:
    schema = stored_schema(name)
    careful, seen = schema_validator(name), {True: 0, False: 0}
    sound = values(schema, schema.get("$defs", {}))

    @settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
    @given(sound | changed(sound))
    def agree(value: Any) -> None:
        accepted, valid = verdict.of_schema(name).accepts(value), careful.is_valid(value)
        # Never accepted without being valid, and in doubt without reason only where it is no JSON.
        assert accepted is valid or (valid and not is_json(value))
        seen[accepted] += 1

    agree()
    assert min(seen.values()) > 5, "the values are all of one sort"


@pytest.mark.parametrize("kind", KINDS)
def test_each_boundary_at_each_place_of_a_manifest(kind: str) -> None:
    schema = stored_schema(kind)
    fast, careful = verdict.of_schema(kind), schema_validator(kind)
    accepted = 0
    for part in ("metadata", "lifecycle", "spec"):
        for field in schema["properties"][part]["properties"]:
            for boundary in BOUNDARIES:
                value = manifest(kind, "a", SPECS[kind], lifecycle={})
                value[part] = value[part] | {field: boundary}
                if fast.accepts(value):
                    accepted += 1
                    assert careful.is_valid(value), (part, field, boundary)
    assert accepted


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "\ud800"),
        ("object", {1: 2}),
        ("number", float("nan")),
        ("number", float("inf")),
    ],
)
def test_a_value_that_cannot_be_represented_is_in_doubt(kind: str, value: Any) -> None:
    assert Validator({"type": kind}).is_valid(value)
    assert not Verdict({"type": kind}).accepts(value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_very_deep_value_is_decided_without_a_crash(kind: str) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert not verdict.of_schema(kind).accepts(manifest(kind, "a", {**SPECS[kind], "queue": deep}))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_the_same_to_both(pattern: str) -> None:
    fast, careful = Verdict({"pattern": pattern}), Validator({"pattern": pattern})
    for text in BOUNDARIES:
        if isinstance(text, str) and text != "\ud800":
            assert fast.accepts(text) is careful.is_valid(text), text

    @settings(max_examples=30, derandomize=True, deadline=None)
    @given(st.from_regex(pattern) | st.from_regex(pattern).map(lambda text: f"{text}\n"))
    def agree(text: str) -> None:
        assert fast.accepts(text) is careful.is_valid(text)

    agree()


# --- rules ------------------------------------------------------------------------------------------------

WORDS = [
    *(
        "",
        "a",
        "a.jar",
        "A.JAR",
        "a.jar\n",
        "a.jar\n\n",
        "a.py",
        "a.sql",
        "a.\u017fql",
        "obs://b/a.py",
        "run",
        "x,y",
        ";",
    ),
    *(
        "custom",
        "basic",
        "v2",
        "2.4.5",
        "3.3.1",
        "3.10",
        "4",
        "1.14",
        "1.15",
        "a'b",
        "a&b\n",
        "x" * 40,
        "x" * 3000,
    ),
]
NAMES_OF_SETTINGS = st.sampled_from(["a", "spark.dli.job.agency.name"])
texts = st.sampled_from(WORDS)


def fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the right type for a field, such as the rules ask for."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    tags = st.fixed_dictionaries({"key": texts, "value": texts})
    items = texts if schema.get("items", {}).get("type") == "string" else tags
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "string": texts,
        "integer": st.sampled_from([1, 2, 3, 400, 401, 2**64]),
        "boolean": st.booleans(),
        "array": st.lists(items, max_size=3),
        "object": st.dictionaries(NAMES_OF_SETTINGS, texts, max_size=2),
    }
    return strategies[schema["type"]]


def specs(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Specs of the fields that the rules of a kind name."""
    known = stored_schema(kind)["properties"]["spec"]["properties"]
    named = {
        name
        for rule in rules(kind)
        for part in (rule.when, rule.require)
        for schema in subschemas(part)
        for name in (*schema.get("properties", ()), *schema.get("required", ()))
    }
    named |= {
        name for rule in rules(kind) for name in (*rule.more, (rule.total or rule.unique or {}).get("of"))
    }
    fields = {name: fitting(known[name]) for name in sorted(named & known.keys())}
    return st.fixed_dictionaries({}, optional=fields)


def each_by_itself(kind: str, value: Mapping[str, Any]) -> list[str]:
    """The ids of the broken rules, each of them asked: the careful path."""
    rows = KINDS[kind].rows
    return [rule.id for rule in rules(kind) if rule.part in value and rule.is_broken(value[rule.part], rows)]


LIFECYCLES: list[dict[str, str]] = [
    {},
    {"onFailure": "resubmit"},
    {"trigger": "run", "rerun": "2024-07-05T09:00:00Z"},
    {"trigger": "run", "onMissing": "keep"},
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_rule_is_never_missed(kind: str) -> None:
    seen: set[str] = set()

    @settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
    @given(specs(kind), st.sampled_from(LIFECYCLES))
    def agree(spec: dict[str, Any], lifecycle: dict[str, str]) -> None:
        value = manifest(kind, "a", SPECS[kind] | spec, lifecycle=lifecycle)
        expected = each_by_itself(kind, value)
        assert [rule.id for rule in broken(kind, value, KINDS[kind].rows)] == expected
        seen.update(expected)

    agree()
    assert seen >= {rule.id for rule in rules(kind) if rule.has_verdict}


def test_the_end_of_a_rules_pattern_is_that_of_python() -> None:
    # jsonschema's own `pattern`, which rules have, also matches before a final newline.
    value = manifest("SparkBatch", "a", {"file": "a.jar\n", "queue": "q"})
    assert [rule.id for rule in broken("SparkBatch", value, KINDS["SparkBatch"].rows)] == each_by_itself(
        "SparkBatch", value
    )
    assert "class-name-for-a-jar" in each_by_itself("SparkBatch", value)


# --- what is imported -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "imported"), [("queue", False), ("quue", True)])
def test_jsonschema_is_imported_only_to_explain_a_violation(
    bare: Workspace, field: str, imported: bool
) -> None:
    for kind, spec in SPECS.items():
        bare.write(f"{kind}.yaml", yaml.safe_dump(manifest(kind, kind.lower(), spec)))
    bare.write("a.yaml", yaml.safe_dump(manifest("SparkBatch", "a", {"file": "a.py", field: "q"})))
    command = [sys.executable, "-X", "importtime", "-m", "deployer", "validate"]
    ran = subprocess.run(command, cwd=bare.folder, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) is not imported, ran.stdout
    modules = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "jsonschema_rs" in modules
    assert ("jsonschema" in modules) is imported
