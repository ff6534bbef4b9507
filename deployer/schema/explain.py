"""Describes a field, a kind, a rule or the code of a finding for a terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from deployer.errors import UsageError, documentation_of, nearest, similar
from deployer.escape import printable
from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.tables import Row, Table, load_data
from deployer.model import Job
from deployer.schema.rules import OF_THE_SCHEMA, WAIVABLE, Rule, rules

_LIMIT_WORDS = {
    "enum": "one of",
    "minLength": "at least (characters)",
    "maxLength": "at most (characters)",
    "minimum": "at least",
    "maximum": "at most",
    "pattern": "pattern",
    "default": "default",
}

# The tags of the column `since`.
EDITIONS = {
    "D18": "the reference of 2018",
    "D21": "the reference of 2021",
    "D24": "the reference of 2024",
    "D26": "the reference of 2026",
    "S": "the vendor's SDK",
}


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Read the sizes of each preset of `sc_type`."""
    loaded: Mapping[str, Mapping[str, Any]] = load_data("presets.yaml")
    return loaded


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """The explanation of a code: an entry of `schemas/diagnostics.yaml`, whose header documents its keys."""

    code: str
    title: str
    text: str
    file: str = ""
    wrong: str = ""
    right: str = ""
    rule: str = ""
    id: str = ""


@cache
def diagnostics() -> Mapping[str, Diagnostic]:
    """Read the entry of each code except those of rules."""
    return {entry["code"]: Diagnostic(**entry) for entry in load_data("diagnostics.yaml")}


def explain(subject: str) -> str:
    """Describe `SparkBatch`, `FlinkJar.resource_config.max_slot`, the id of a rule, or a code.

    Raises UsageError.
    """
    by_id = {rule.id: rule for rule in rules()}
    by_code = {rule.code: rule for rule in by_id.values()}
    code = subject.upper()
    by_name = {entry.id: entry.code for entry in diagnostics().values() if entry.id}
    code = by_name.get(subject, code)
    if code in diagnostics():
        return "\n".join(_diagnostic(diagnostics()[code]))
    if rule := by_id.get(subject) or by_code.get(code):
        return "\n".join(_rule(rule))
    if subject in OF_THE_SCHEMA:
        message, reason = OF_THE_SCHEMA[subject]
        return f"{subject} (error; enforced by the schema, cannot be waived)\n  {message}\n  {reason}"
    if subject in WAIVABLE:
        return "\n".join([f"{subject} (can be waived)", f"  {WAIVABLE[subject]}", "", *_waiver(subject)])
    name, *path = subject.split(".")
    if name not in KINDS:
        known = [*KINDS, *by_id, *OF_THE_SCHEMA, *WAIVABLE, *by_name, *diagnostics(), *by_code]
        raise UsageError(f"unknown kind, rule or code '{subject}'{similar(subject, known)}")
    kind = KINDS[name]
    if not path:
        return "\n".join(_kind(kind))
    return "\n".join(_field(kind, subject, _find(kind, path)))


def subjects() -> Mapping[str, str]:
    """Return what `explain` describes, except fields, each with a few words about it."""
    return {
        **{kind.name: kind.title for kind in KINDS.values()},
        **{rule.id: rule.message for rule in rules()},
        **{name: message for name, (message, _) in OF_THE_SCHEMA.items()},
        **WAIVABLE,
        **{entry.id: entry.title for entry in diagnostics().values() if entry.id},
        **{code: diagnostic.title for code, diagnostic in diagnostics().items()},
        **{rule.code: rule.message for rule in rules()},
    }


def fields(path: str) -> Mapping[str, str]:
    """Return the fields of a kind (`FlinkJar`) or inside a field (`FlinkJar.resource_config`), with descriptions.

    Raises UsageError for an unknown kind or field.
    """
    name, *inner = path.split(".")
    if name not in KINDS:
        raise UsageError(f"unknown kind '{name}'{similar(name, list(KINDS))}")
    kind = KINDS[name]
    rows = _find(kind, inner).fields if inner and inner != ["spec"] else (*kind.rows, kind.name_row)
    return {row.name: row.description for row in rows}


def _diagnostic(diagnostic: Diagnostic) -> Iterator[str]:
    yield f"{diagnostic.code}: {diagnostic.title}"
    yield from (f"  {line}" for line in textwrap.wrap(diagnostic.text, 98, break_on_hyphens=False))
    where = f", in {diagnostic.file}" if diagnostic.file else ""
    for word, example in (("wrong", diagnostic.wrong), ("right", diagnostic.right)):
        if example:
            yield ""
            yield f"  {word}{where}:"
            yield from (f"    {printable(line)}" for line in example.splitlines())
    if diagnostic.rule:
        yield ""
        yield from _waiver(diagnostic.rule)
    yield ""
    yield f"  See {documentation_of(diagnostic.code)}"


def _find(kind: Kind, path: Sequence[str]) -> Row:
    rows: Sequence[Row] = (*kind.rows, kind.name_row)
    steps = [*path[1:]] if path[0] == "spec" and len(path) > 1 else [*path]
    field_path = kind.name
    while True:
        spellings = {name: row for row in rows for name in (row.name, *row.aliases)}
        if steps[0] not in spellings:
            raise UsageError(
                f"unknown field '{steps[0]}' in {field_path}{nearest(steps[0], list(spellings))}"
            )
        row = spellings[steps.pop(0)]
        if not steps:
            return row
        field_path, rows = f"{field_path}.{row.name}", row.fields


def _kind(kind: Kind) -> Iterator[str]:
    yield f"{kind.name}: {kind.title}, {kind.nature.value}"
    yield f"  sent as {kind.create.call}"
    yield ""
    width = max(len(row.name) for row in kind.rows)
    for row in kind.rows:
        others = [other.name for other in kind.rows if other.same_as == row.name]
        required = f", {' or '.join(['required', *others])}" if row.required else ""
        yield f"  {row.name.ljust(width)}  {row.type}{required}"
    yield ""
    yield f"  Run 'deployer explain {kind.name}.FIELD' for details."


def _field(kind: Kind, subject: str, row: Row) -> Iterator[str]:
    yield subject
    yield f"  {row.description}"
    yield ""
    facts = {"type": row.type, "required": "yes" if row.required else "no"}
    facts |= {_LIMIT_WORDS[key]: _plain(value) for key, value in row.limits.items()}
    facts |= {"not": _plain(list(row.excluded))} if row.excluded else {}
    facts |= {"example": _plain(row.example)} if row.example is not None else {}
    facts |= {"deprecated names": ", ".join(row.aliases)} if row.aliases else {}
    facts |= {"synonym of": f"{row.same_as}; give exactly one"} if row.same_as else {}
    facts |= {"fields": ", ".join(inner.name for inner in row.fields)} if row.fields else {}
    facts["compared"] = _compared(row)
    facts["while running"] = "updatable" if row.hot else ""
    facts["secret"] = _secret(row)
    facts["since"] = EDITIONS.get(row.since, row.since)
    facts["page"] = _page(kind.create)
    width = max(map(len, facts))
    yield from (f"  {word.ljust(width)}  {fact}" for word, fact in facts.items() if fact)
    if row.reasons:
        yield ""
        yield from (f"  {column}: {reason}" for column, reason in row.reasons.items())
    if row.name == "sc_type":
        yield ""
        yield from (f"  {preset}: {_sizes(sizes)}" for preset, sizes in presets().items())


def _compared(row: Row) -> str:
    if row.location == "path":
        return "no, part of the job's identity"
    if row.listed is None:
        return "no, not returned by the service"
    return "yes, if set in the manifest" if row.filled else "yes"


def _secret(row: Row) -> str:
    if isinstance(row.sensitive, bool):
        return "yes" if row.sensitive else ""
    return f"the values of {', '.join(row.sensitive)}"


def _page(table: Table) -> str:
    return f"{table.title} ({table.call})" if table.title else table.call


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rule(rule: Rule) -> Iterator[str]:
    yield f"{rule.id} {rule.code} ({rule.severity}; {', '.join(rule.kinds)})"
    yield f"  {rule.message}"
    yield f"  {rule.reason}"
    yield ""
    yield from _waiver(rule.id)
    yield ""
    yield f"  See {documentation_of(rule.code)}"


def _waiver(rule: str) -> list[str]:
    return [
        "  A manifest can waive it, with a reason:",
        f'    waive: {{{rule}: "reason"}}',
    ]


def sizes(job: Job) -> str:
    """Describe a job's sc_type, with the sizes that its spec overrides; empty for jobs without sc_type."""
    if not any(row.name == "sc_type" for row in KINDS[job.kind].rows):
        return ""
    preset = job.spec.get("sc_type", "A")
    given = {name: job.spec[name] for name in presets()[preset] if name in job.spec}
    words = f"sc_type {preset}: {_sizes({**presets()[preset], **given})}"
    return f"{words} (set by the manifest: {', '.join(given)})" if given else words


def _sizes(size: Mapping[str, Any]) -> str:
    return (
        f"driver {size['driverCores']} cores {size['driverMemory']}, "
        f"{size['numExecutors']} executors of {size['executorCores']} cores {size['executorMemory']}"
    )
