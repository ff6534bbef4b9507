"""Values for a JSON Schema: some that it may allow, and the same with one place changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

# Values at which two readers of JSON Schema may differ: sizes, spellings of one number, signs that are written with
# two others, and what no JSON has.
BOUNDARIES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 400, 401, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1),
    *(10**30, 10**400, 1e308, float("nan"), float("inf")),
    *(
        "",
        "a",
        "A",
        "\n",
        "a\n",
        "a\r\n",
        "\u2028",
        "\0",
        "٣",
        "1",
        "1\n",
        "4G",
        "4G\n",
        "4 g",
        "\uff14G",
        "0m",
        "30m\n",
    ),
    *(
        "a.jar\n",
        "A.JAR",
        "a.jar\n\n",
        "a.\u017fql",
        "a.\uff4aar",
        "x,y",
        "é",
        "e\u0301",
        "😀",
        "😀" * 64,
        "\ud800",
        "K",
    ),
    *("x" * length for length in (20, 21, 63, 64, 65, 128, 129, 255, 256, 5000)),
    *(
        [],
        [None],
        [1, True],
        ["a", "a"],
        [[]],
        {},
        {"": ""},
        {"a": None},
        {"a": 1, "b": 1.0},
        {"a\n": "b"},
        {1: 2},
    ),
)


def values(schema: Any, definitions: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of the right form for a schema, most of which it allows."""
    if not isinstance(schema, dict):
        return st.sampled_from(BOUNDARIES)
    if reference := schema.get("$ref"):
        return values(definitions[reference.rpartition("/")[2]], definitions)
    if "const" in schema or "enum" in schema:
        return st.sampled_from([schema["const"]] if "const" in schema else schema["enum"])
    if alternatives := schema.get("anyOf"):
        return st.one_of([values(alternative, definitions) for alternative in alternatives])
    kinds = schema.get("type", "string")
    return st.one_of(
        [_OF_TYPE[kind](schema, definitions) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    )


def _strings(schema: Any, _: Any) -> st.SearchStrategy[Any]:
    if pattern := schema.get("pattern"):
        return st.from_regex(re.sub(r"\$$", r"\\Z", pattern))
    least = schema.get("minLength", 0)
    most = schema.get("maxLength", least + 8)
    lengths = st.integers(least, min(most, least + 8)) | st.sampled_from([most])
    return st.sampled_from("a7-é😀").flatmap(lambda sign: lengths.map(lambda length: sign * length))


def _integers(schema: Any, _: Any) -> st.SearchStrategy[Any]:
    least = schema.get("minimum", 0)
    return st.integers(least, schema.get("maximum", least + 9))


def _arrays(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    items = values(schema.get("items", {}), definitions)
    return st.lists(items, max_size=min(2, schema.get("maxItems", 2)))


def _objects(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    schema = _with_parts(schema, definitions)
    fields = {name: values(field, definitions) for name, field in schema.get("properties", {}).items()}
    if "properties" not in schema:
        others = schema.get("additionalProperties", {})
        names = values(schema.get("propertyNames", {"type": "string"}), definitions)
        return st.dictionaries(
            names, values(others if isinstance(others, dict) else {}, definitions), max_size=2
        )
    synonyms = [found for rule in schema.get("allOf", ()) if (found := _synonyms(rule))]
    required = {name: fields[name] for name in schema.get("required", ()) if name in fields}
    required |= {group[0]: fields[group[0]] for group in synonyms}
    others = {name for group in synonyms for name in group} - required.keys()
    optional = {name: field for name, field in fields.items() if name not in required and name not in others}
    chosen = st.lists(st.sampled_from(sorted(optional)), max_size=6, unique=True) if optional else st.just([])
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries(required | {name: optional[name] for name in names})
    )


def _with_parts(schema: Any, definitions: Any) -> Any:
    """Return the schema of an object with the fields of the definitions that it refers to as a whole."""
    parts = [
        definitions[rule["$ref"].rpartition("/")[2]] for rule in schema.get("allOf", ()) if "$ref" in rule
    ]
    for part in parts:
        schema = schema | {
            "properties": part["properties"] | schema["properties"],
            "required": [*part["required"], *schema["required"]],
        }
    return schema


def _synonyms(rule: Any) -> list[str]:
    """Return the names of which a rule allows one: the first stands for all."""
    return [alternative["required"][0] for alternative in rule.get("oneOf", ())]


_OF_TYPE: Mapping[str, Callable[[Any, Any], st.SearchStrategy[Any]]] = {
    "null": lambda *_: st.none(),
    "boolean": lambda *_: st.booleans(),
    "integer": _integers,
    "number": lambda *_: st.integers(0, 9) | st.floats(0, 9),
    "string": _strings,
    "array": _arrays,
    "object": _objects,
}


@st.composite
def changed(draw: st.DrawFn, originals: st.SearchStrategy[Any]) -> Any:
    """Return a value with one place changed: replaced by a boundary, removed, renamed or joined by another."""
    value = copy.deepcopy(draw(originals))
    places = list(_places(value))
    if not places:
        return draw(st.sampled_from(BOUNDARIES))
    holder, step = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
        case "remove":
            del holder[step]
        case "rename" if isinstance(holder, dict):
            holder[draw(st.sampled_from([f"{step}\n", "", "x", "\ud800"]))] = holder.pop(step)
        case "add" if isinstance(holder, dict):
            holder[draw(st.text(max_size=3))] = draw(st.sampled_from(BOUNDARIES))
        case "add":
            holder.append(draw(st.sampled_from(BOUNDARIES)))
        case _:
            holder[step] = draw(st.sampled_from(BOUNDARIES))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield value, step
        yield from _places(item)
