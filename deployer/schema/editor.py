"""The schemas for editors, made of the strict ones: an editor reads a manifest before Jinja and alone.

Hence a template may stand for any value, the defaults of deployer.yaml may give what is missing, and null may remove
one of them. One schema takes the manifests of all kinds, as a file may hold several. The messages and the snippets are
those that yaml-language-server and the YAML extension of VS Code show; other editors ignore these keywords.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.schema.manifest import manifest_schema
from deployer.schema.parts import API_VERSION, Schema, fill, parts
from deployer.schema.project import project_schema
from deployer.schema.rules import OF_THE_SCHEMA, UNKNOWN_FIELD

# The type of the values that a keyword is for. The synonyms are in an anyOf of what is required.
_KIND_OF = {
    "pattern": {"type": "string"},
    "required": {"type": "object"},
    "anyOf": {"type": "object"},
}

# What describes a value stays with it; all else is for the value that is no template.
_DESCRIBING = ("title", "description", "default", "examples", "deprecated", "doNotSuggest")
_TEMPLATES = ({"$ref": "#/$defs/templateText"}, {"$ref": "#/$defs/templateMapping"})
_NULL = {"$ref": "#/$defs/nothing"}
_TEXT = r"\{[{%#]"


def editor_manifest_schema() -> Schema:
    """Return the schema of the manifests of all kinds for editors."""
    definitions = {name: part for kind in KINDS.values() for name, part in _of_kind(kind).items()}
    schema: Schema = fill(
        parts()["editorManifest"],
        apiVersion=API_VERSION,
        kinds=list(KINDS),
        branches=[
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in KINDS
        ],
        snippets=[_snippet(kind) for kind in KINDS.values()],
        definitions={**definitions, **_shared()},
    )
    schema["properties"] = _open_fields(schema["properties"])
    return schema


def editor_project_schema() -> Schema:
    """Return the schema of deployer.yaml for editors. It has no templates, but null removes a default."""
    schema = project_schema()
    schema["$defs"] = {name: _nullable_defaults(value) for name, value in schema["$defs"].items()}
    explained: Schema = _explained(schema)
    explained["$defs"]["nothing"] = _shared()["nothing"]
    return explained


def _shared() -> Schema:
    shared: Schema = fill(parts()["editor"], text=_TEXT)
    return shared


def _of_kind(kind: Kind) -> dict[str, Schema]:
    """Return the definitions of a kind: of its manifests, and of their spec, in which each field may stand."""
    schema = manifest_schema(kind, partial=True)["properties"]
    fields = _opened(schema["spec"], nullable=True) | {"title": "spec"}
    del fields["additionalProperties"]
    spec = f"{kind.name}.spec"

    def of_spec(schema: Schema) -> Schema:
        return {"properties": {"spec": {"title": "spec", "anyOf": [schema, *_TEMPLATES]}}}

    # The schema of all kinds has the first two.
    properties = {"apiVersion": True, "kind": True, "spec": True} | {
        name: _open(value, title=name, nullable=name == "lifecycle")
        for name, value in schema.items()
        if name not in ("apiVersion", "kind", "spec")
    }
    manifest = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "if": {"properties": {"waive": {"required": [UNKNOWN_FIELD]}}, "required": ["waive"]},
        "then": of_spec({"$ref": f"#/$defs/{spec}"}),
        "else": of_spec({"$ref": f"#/$defs/{spec}", "unevaluatedProperties": False}),
    }
    return {kind.name: manifest, spec: _explained(fields)}


def _open_fields(properties: Mapping[str, Any], *, nullable: bool = False) -> Schema:
    return {name: _open(value, title=name, nullable=nullable) for name, value in properties.items()}


def _open(schema: Any, *, title: str = "", nullable: bool = False) -> Any:
    """Return the schema of a value, of which templates are too; those in it may be null if it is `nullable`."""
    if not isinstance(schema, dict):
        return schema
    described = {key: schema[key] for key in _DESCRIBING if key in schema}
    # Without a title, an editor shows that of the whole schema.
    described = {"title": title} | described if title else described
    rest = {key: value for key, value in schema.items() if key not in _DESCRIBING}
    strict = _explained(_opened(rest, nullable=nullable), outer=described)
    alternatives = strict.pop("anyOf", []) if [*strict] == ["anyOf"] else [strict]
    if strict and not alternatives:
        alternatives = [strict]
    null = [_NULL] if nullable else []
    # By its title an editor keeps the value apart from the templates, and describes it once.
    titled = [{"title": described["title"], **one} if title else one for one in alternatives]
    return {**described, "anyOf": [*titled, *_TEMPLATES, *null]}


def _opened(schema: Schema, *, nullable: bool) -> Schema:
    """Return a schema that takes templates inside its value."""
    opened = dict(schema)
    if "properties" in schema:
        opened["properties"] = _open_fields(schema["properties"], nullable=nullable)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            opened[key] = _open(schema[key], nullable=nullable and key != "items")
    if schema.get("additionalProperties") is False:
        opened["patternProperties"] = {_TEXT: True}
    if "propertyNames" in schema:
        opened["propertyNames"] = {"anyOf": [schema["propertyNames"], {"pattern": _TEXT}]}
    if "anyOf" in schema:
        opened["anyOf"] = [_opened(choice, nullable=nullable) for choice in schema["anyOf"]]
    return opened


def _nullable_defaults(schema: Schema) -> Schema:
    """Return the schema of the defaults of a kind, in which null may stand for each value."""
    nullable = copy.deepcopy(schema)
    for part in (nullable["properties"]["spec"], nullable["properties"]["lifecycle"]):
        part["properties"] = {name: _or_null(value) for name, value in part["properties"].items()}
    return nullable


def _or_null(schema: Schema) -> Schema:
    described = {key: schema[key] for key in _DESCRIBING if key in schema}
    rest = {key: value for key, value in schema.items() if key not in _DESCRIBING}
    for key in ("properties", "additionalProperties"):
        if key == "properties" and key in rest:
            rest[key] = {name: _or_null(value) for name, value in rest[key].items()}
        elif isinstance(rest.get(key), dict):
            rest[key] = _or_null(rest[key])
    return {**described, "anyOf": [rest, _NULL]}


def _explained(schema: Any, *, outer: Schema | None = None) -> Any:
    """Return a schema with the messages that editors show, for patterns and for what is not allowed."""
    if isinstance(schema, list):
        return [_explained(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    explained = {
        key: {name: _explained(item) for name, item in value.items()}
        if key in ("properties", "patternProperties", "$defs")
        else _explained(value)
        if key in ("items", "additionalProperties", "anyOf", "allOf", "not", "propertyNames")
        else value
        for key, value in schema.items()
    }
    outer = outer or schema
    words = schema.get("description", outer.get("description"))
    known: list[Any] = [*outer.get("examples", ()), outer.get("default")]
    example = next((text for text in known if isinstance(text, str)), "")
    if "not" in schema and words:
        # An editor says of `not` only that the value is not allowed.
        refused = explained.pop("not")
        # A value of the wrong type has an error already.
        kind = _KIND_OF.get(next(iter(refused), ""), {})
        explained["if"] = {**kind, **refused}
        explained["then"] = {"enum": [], "errorMessage": words}
        if schema["not"] == {}:
            explained["doNotSuggest"] = True
    rule = schema.get("$comment", "")
    if "pattern" in schema and rule in OF_THE_SCHEMA:
        explained["patternErrorMessage"] = OF_THE_SCHEMA[rule][0]
    elif isinstance(schema.get("pattern"), str) and example:
        explained["patternErrorMessage"] = f"must be like {example}"
    return explained


def _snippet(kind: Kind) -> Mapping[str, Any]:
    """Return the shortest manifest of a kind, with the values to be filled in."""
    numbers = iter(range(1, 100))

    def hole(value: Any) -> str:
        return f"${{{next(numbers)}:{value}}}"

    name = hole(kind.name_row.example or "name")
    required = [row for row in kind.rows if row.required and not row.same_as]
    spec = {row.name: hole(row.example if isinstance(row.example, str) else row.name) for row in required}
    body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
    return {"label": kind.name, "description": f"A {kind.title}.", "body": body}
