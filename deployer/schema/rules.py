"""Rules between the fields of a manifest: `schemas/rules.yaml`, whose header documents the keys of a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from deployer.kinds.tables import Row, load_data

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
        return _fits(self.id, "when", self.when, value) and not (
            _fits(self.id, "require", self.require, value)
            and (not self.more or _number(value, self.more[0], rows) > _number(value, self.more[1], rows))
            and (self.total is None or _characters(value.get(self.total["of"])) <= self.total["most"])
            and (self.unique is None or _differ(value.get(self.unique["of"], ()), self.unique["by"]))
        )


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(Rule(**rule) for rule in load_data("rules.yaml"))


def rules(kind: str | None = None) -> tuple[Rule, ...]:
    """Return all rules, or those of one kind."""
    return tuple(rule for rule in _rules() if kind is None or kind in rule.kinds)


def waivable(kind: str) -> list[str]:
    """Return the ids of the rules that a manifest of a kind can waive."""
    return [*WAIVABLE, *(rule.id for rule in rules(kind))]


def broken(kind: str, manifest: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Rule]:
    """Yield the rules that a manifest violates; its spec has the current field names."""
    for rule in rules(kind):
        if rule.part in manifest and rule.is_broken(manifest[rule.part], rows):
            yield rule


@cache
def _validator(rule: str, column: str) -> Draft202012Validator:
    return Draft202012Validator(
        next(getattr(candidate, column) for candidate in _rules() if candidate.id == rule)
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
