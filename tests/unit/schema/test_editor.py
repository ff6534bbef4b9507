"""The schemas for editors: they take templates, nulls and what defaults may give, and are as strict in all else."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from deployer.kinds import KINDS
from deployer.schema.stored import stored_schema
from deployer.schema.violations import Validator, schema_validator
from testing.schema_values import changed, values
from testing.workspace import ROOT, SPECS, manifest

SLOW_TO_MAKE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
TEMPLATES = ["{{ x }}", "a-{{ x }}", "{% if a %}1{% endif %}", '{{ secret("A") }}', "{# none #}"]


def editor(name: str = "EditorManifest") -> Draft202012Validator:
    return Validator(stored_schema(name))


def places(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(value, step) for step, _ in items] + [
        place for _, item in items if item is not None for place in places(item)
    ]


def words(error: ValidationError) -> str:
    return f"{error.json_path}: {error.message}"[:200]


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_manifest_is_valid_in_an_editor_with_templates_for_its_values(kind: str) -> None:
    careful, lenient = schema_validator(kind), editor()
    templates = 0

    @settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
    @given(values(stored_schema(kind), {}), st.data())
    def agree(value: Any, data: Any) -> None:
        nonlocal templates
        if not careful.is_valid(value):
            return
        assert [*map(words, lenient.iter_errors(value))] == []
        written = copy.deepcopy(value)
        for _ in range(data.draw(st.integers(1, 3))):
            # A template for the kind leaves an editor without a schema for the rest.
            if found := [(holder, step) for holder, step in places(written) if step != "kind"]:
                holder, step = data.draw(st.sampled_from(found))
                holder[step] = data.draw(st.sampled_from(TEMPLATES))
                templates += 1
        assert [*map(words, lenient.iter_errors(written))] == []

    agree()
    assert templates > 30


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_in_a_manifest_is_wrong_in_an_editor(kind: str) -> None:
    careful, lenient = schema_validator(kind), editor()
    refused = 0

    @settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
    @given(changed(values(stored_schema(kind), {})))
    def agree(value: Any) -> None:
        nonlocal refused
        if not lenient.is_valid(value):
            refused += 1
            assert not careful.is_valid(value)
            return
        for error in careful.iter_errors(value):
            # The defaults of deployer.yaml may give a required field, and null may remove one of them.
            assert error.validator in ("required", "oneOf") or error.instance is None, words(error)

    agree()
    assert refused > 20


@pytest.mark.parametrize("kind", KINDS)
def test_null_may_remove_each_default(kind: str) -> None:
    properties = stored_schema(kind)["properties"]
    value = manifest(kind, "a", SPECS[kind])
    # One spelling of each field: two are an error, whatever their values.
    value["spec"] = dict.fromkeys(row.name for row in KINDS[kind].rows if not row.same_as)
    value["lifecycle"] = dict.fromkeys(properties["lifecycle"]["properties"])
    assert [*map(words, editor().iter_errors(value))] == []
    defaults = {kind: {"spec": {**value["spec"]}, "lifecycle": value["lifecycle"]}}
    project = {
        "apiVersion": "deployer/v1",
        "kind": "Project",
        "metadata": {"name": "a"},
        "targets": {"t": {"emulator": True, "defaults": defaults}},
    }
    assert [*map(words, editor("EditorProject").iter_errors(project))] == []
    project["targets"]["t"]["emulatr"] = True  # type: ignore[index]
    assert not editor("EditorProject").is_valid(project)


def test_the_project_of_the_strict_schema_is_one_in_an_editor() -> None:
    schema = stored_schema("Project")
    careful, lenient = schema_validator("Project"), editor("EditorProject")
    sound = values(schema, schema["$defs"])

    @settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=SLOW_TO_MAKE)
    @given(sound | changed(sound))
    def agree(value: Any) -> None:
        if careful.is_valid(value):
            assert [*map(words, lenient.iter_errors(value))] == []
        elif lenient.is_valid(value):
            assert all(error.instance is None for error in careful.iter_errors(value))

    agree()


def with_templates(value: Any) -> Any:
    match value:
        case dict():
            return {with_templates(key): with_templates(item) for key, item in value.items()}
        case list():
            return [with_templates(item) for item in value]
        case str():
            return value.replace("TEMPLATE", "{{ x }}")
    return value


@pytest.mark.parametrize("file", [*sorted((ROOT / "jobs").rglob("[!v]*/*.yaml"))], ids=lambda file: file.name)
def test_the_example_project_is_valid_with_its_templates_as_text(file: Path) -> None:
    # Where no language server is installed; tests/system/test_editors.py asks one.
    text = re.sub(r"\{\{.*?\}\}", "TEMPLATE", file.read_text(encoding="utf-8"))
    # A date is text for editors and for us: YAML 1.2 has no such type.
    plain = json.loads(json.dumps(list(yaml.safe_load_all(text)), default=str))
    documents = with_templates(plain)
    assert documents
    for document in documents:
        assert [*map(words, editor().iter_errors(document))] == []


def test_each_snippet_is_a_manifest() -> None:
    schema = stored_schema("EditorManifest")
    assert [snippet["label"] for snippet in schema["defaultSnippets"]] == [*KINDS]
    for snippet in schema["defaultSnippets"]:
        filled = json.loads(re.sub(r"\$\{\d+:([^}]*)\}", r"\1", json.dumps(snippet["body"])))
        assert [*map(words, editor().iter_errors(filled))] == []
        missing = [*schema_validator(filled["kind"]).iter_errors(filled)]
        assert [error.validator for error in missing] in ([], ["oneOf"])
