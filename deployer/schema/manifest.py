"""Parameter table -> JSON Schema of a manifest (draft 2020-12).

The generated files in `schemas/` are used by editors and by deployer: `schema generate` writes them,
`schema check` fails when they are stale. Manifests are validated only against these files.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import combinations

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind, Nature
from deployer.kinds.tables import Row, json_type
from deployer.schema.parts import API_VERSION, Schema, fill, parts
from deployer.schema.rules import MEMORY_UNIT, ONE_SPELLING, waivable


def manifest_schema(kind: Kind, *, partial: bool = False) -> Schema:
    """Return the schema of a whole manifest of `kind`; the spec of a `partial` one requires no field."""
    schema: Schema = fill(
        parts()["manifest"],
        apiVersion=API_VERSION,
        kind=kind.name,
        kinds=list(KINDS),
        table=kind.operations.create,
        title=kind.title,
        call=kind.create.call,
        name=row_schema(kind.name_row),
        renamedFrom=parts()["renamedFrom"]["place" if kind.place else "name"],
        lifecycle=parts()["lifecycle"][kind.nature.value],
        parameters=parts()["parameters"],
        waivable=waivable(kind.name),
    )
    if kind.nature is Nature.DEFINITION:
        del schema["properties"]["parameters"]
    schema["properties"]["spec"] |= rows_schema(kind.rows, partial=partial)
    return schema


def defaults_schema(kind: Kind) -> Schema:
    """Return the schema of the defaults for `kind`: parts of its manifests."""
    schema: Schema = fill(
        parts()["defaults"],
        kind=kind.name,
        spec=rows_schema(kind.rows, partial=True),
        lifecycle=parts()["lifecycle"][kind.nature.value],
    )
    return schema


def rows_schema(rows: Sequence[Row], *, partial: bool = False) -> Schema:
    """Return the schema of an object with `rows` as its properties; a `partial` one requires none."""
    properties: Schema = {}
    required: list[str] = []
    rules: list[Schema] = []
    for row in rows:
        properties[row.name] = row_schema(row)
        for alias in row.aliases:
            older = {"title": alias, "description": f"Deprecated name of {row.name}.", "deprecated": True}
            properties[alias] = properties[row.name] | older
        others = [*row.aliases, *(other.name for other in rows if other.same_as == row.name)]
        if others:
            rules.append(_spellings([row.name, *others], required=row.required and not partial))
        elif row.required and not partial:
            required.append(row.name)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    schema |= {"required": required} if required else {}
    return schema | ({"allOf": rules} if rules else {})


def _spellings(names: Sequence[str], *, required: bool) -> Schema:
    """Return the schema that allows at most one of `names`, or exactly one where one is `required`."""
    quoted = [f"'{name}'" for name in names]
    words = f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    if required:
        return {
            "$comment": ONE_SPELLING,
            "description": f"exactly one of {words} is required",
            "oneOf": [{"required": [name]} for name in names],
        }
    # Not oneOf with "none of them" as an alternative: that takes five times as long to check.
    both = [{"required": list(pair)} for pair in combinations(names, 2)]
    return {
        "$comment": ONE_SPELLING,
        "description": f"only one of {words} is allowed (they are synonyms)",
        "not": both[0] if len(both) == 1 else {"anyOf": both},
    }


def row_schema(row: Row) -> Schema:
    """Return the schema of one parameter's value."""
    schema: Schema = {
        "title": row.name,
        "description": row.description,
        **copy.deepcopy(dict(json_type(row.type))),
    }
    if row.text_map:
        # An unquoted number or boolean is taken as it is written.
        schema["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    if row.fields:
        inner = rows_schema(row.fields)
        schema |= {"items": inner} if schema["type"] == "array" else inner
    schema |= row.limits
    if row.memory:
        schema["$comment"] = MEMORY_UNIT
    if row.excluded:
        words = f"'{row.name}' must not be {' or '.join(map(str, row.excluded))}"
        schema["allOf"] = [{"description": words, "not": {"enum": list(row.excluded)}}]
    if row.example is not None:
        schema["examples"] = [row.example]
    if row.deprecated:
        schema["deprecated"] = True
    return schema
