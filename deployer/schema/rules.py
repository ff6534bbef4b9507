"""Rules between the fields of a manifest: `schemas/rules.yaml`, whose header documents the keys of a rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from deployer.kinds.tables import Row, load_data
from deployer.schema.verdict import Verdict

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# Findings outside rules.yaml that can be waived like a rule.
UNKNOWN_FIELD = "unknown-field"
OLDER_SPELLING = "older-spelling"
LITERAL_SECRET = "literal-secret"  # noqa: S105 - the id of a rule
WAIVABLE: Mapping[str, str] = {
    UNKNOWN_FIELD: "The API may support a field that this version does not know: it is sent, but not compared.",
    LITERAL_SECRET: "Anything in a manifest can be read by everyone with access to the repository.",
    OLDER_SPELLING: "Older API editions used other field names; the current name is sent.",
}

# Rules in the schemas themselves, where editors check them too: they cannot be waived.
ONE_SPELLING = "one-spelling"
MEMORY_UNIT = "memory-unit"
OF_THE_SCHEMA: Mapping[str, tuple[str, str]] = {
    ONE_SPELLING: (
        "give exactly one of these synonyms",
        "The values could conflict, and the API accepts one: queue or cluster_name, className or class_name.",
    ),
    MEMORY_UNIT: (
        "a memory size needs a unit, such as 4G",
        "DLI accepts a number without a unit, but then the job does not start.",
    ),
}


@dataclass(frozen=True)
class Rule:
    """A rule; `part` and `at` are the location of its finding."""

    id: str
    code: str
    kinds: Sequence[str]
    severity: str
    message: str
    reason: str
    at: str
    part: str = "spec"
    when: Any = True
    require: Any = True
    more: Sequence[str] = ()
    total: Mapping[str, Any] | None = None
    unique: Mapping[str, str] | None = None

    def is_broken(self, value: Any, rows: Sequence[Row]) -> bool:
        """Return whether the checked part of a manifest violates the rule; `rows` have the defaults."""
        required = (
            (not self.more or _number(value, self.more[0], rows) > _number(value, self.more[1], rows))
            and (self.total is None or _characters(value.get(self.total["of"])) <= self.total["most"])
            and (self.unique is None or _differ(value.get(self.unique["of"], ()), self.unique["by"]))
            and _fits(self.id, "require", self.require, value)
        )
        # Last: it needs jsonschema, and most manifests have what is required.
        return not required and _fits(self.id, "when", self.when, value)

    @property
    def has_verdict(self) -> bool:
        """Whether JSON Schemas alone decide, and a manifest can keep it."""
        counts = self.more or self.total or self.unique
        return not counts and not (self.when is True and self.require is False)


@cache
def rules(kind: str | None = None) -> tuple[Rule, ...]:
    """Return all rules, or those of one kind."""
    if kind is None:
        return tuple(Rule(**rule) for rule in load_data("rules.yaml"))
    return tuple(rule for rule in rules() if kind in rule.kinds)


def waivable(kind: str) -> list[str]:
    """Return the ids of the rules that a manifest of a kind can waive."""
    return [*WAIVABLE, *(rule.id for rule in rules(kind))]


def broken(kind: str, manifest: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Rule]:
    """Yield the rules that a manifest violates; its spec has the current field names."""
    verdict, others = _verdict(kind)
    for rule in others if verdict.accepts(manifest) else rules(kind):
        if rule.part in manifest and rule.is_broken(manifest[rule.part], rows):
            yield rule


@cache
def _verdict(kind: str) -> tuple[Verdict, tuple[Rule, ...]]:
    """Return the verdict that a manifest keeps the rules of a kind, and the rules that it is not about."""
    ruled = [
        {"properties": {rule.part: {"if": _like_python(rule.when), "then": _like_python(rule.require)}}}
        for rule in rules(kind)
        if rule.has_verdict
    ]
    return Verdict({"allOf": ruled} if ruled else {}), tuple(
        rule for rule in rules(kind) if not rule.has_verdict
    )


def _like_python(schema: Any) -> Any:
    """Return a schema in which the `$` of patterns matches before a final newline too, as for jsonschema."""
    match schema:
        case dict():
            return {
                key: re.sub(r"\$$", r"\\n?$", item)
                if key == "pattern" and isinstance(item, str)
                else _like_python(item)
                for key, item in schema.items()
            }
        case list():
            return [_like_python(item) for item in schema]
    return schema


@cache
def _validator(rule: str, column: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # takes long to import

    return Draft202012Validator(
        next(getattr(candidate, column) for candidate in rules() if candidate.id == rule)
    )


def _fits(rule: str, column: str, schema: Any, value: Any) -> bool:
    return bool(schema) if isinstance(schema, bool) else _validator(rule, column).is_valid(value)


def _number(value: Mapping[str, Any], name: str, rows: Sequence[Row]) -> Any:
    return value.get(name, next(row.default for row in rows if row.name == name))


def _characters(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(len(key) + len(item) for key, item in value.items())
    return sum(map(len, value or ()))


def _differ(items: Sequence[Mapping[str, Any]], by: str) -> bool:
    keys = [item.get(by) for item in items]
    return len(keys) == len(set(keys))
