"""Vendor pages: the calls and parameters that a page of the API reference documents, as data.

Three formats are supported: Markdown with tables in HTML, plain HTML, and flattened plain text with one cell
per line. Only facts are kept, no prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError, UsageError
from deployer.vendor_pages.blocks import NAME, TITLE, YES_OR_NO, Grid, blocks, json_kind
from deployer.vendor_pages.limits import limits, normalize

MAX_BYTES = 1_000_000
MAX_ROWS = 20_000
MAX_DEPTH = 12


class PageError(DeployerError):
    """The text is not a page that documents a call."""


class Role(StrEnum):
    """The role of a table; OTHER are states, presets and everything else that is not a parameter."""

    REQUEST = "request"
    RESPONSE = "response"
    URI = "uri"
    QUERY = "query"
    HEADER = "header"
    STATUS_CODES = "status codes"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PageRow:
    """One parameter. `type` is as printed; it and `required` are None if the table has no such column.

    `limits` holds the limits in the prose, by the names of a table row's columns, with `excluded`.
    """

    name: str
    type: str | None = None
    required: bool | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[PageRow, ...] = ()


@dataclass(frozen=True, slots=True)
class PageTable:
    """One table. `title` is as printed, with its number; it is empty if the table has none."""

    title: str
    role: Role
    rows: tuple[PageRow, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page. `calls` are `METHOD /path`. A table that describes a field of another one is in that field's row."""

    calls: tuple[str, ...]
    tables: tuple[PageTable, ...]

    def with_role(self, *roles: Role) -> Iterator[PageTable]:
        """Yield the tables with one of `roles`, in the order of the page."""
        return (table for table in self.tables if table.role in roles)


def load_page(path: str) -> Page:
    """Read a page. Raises UsageError for a file that is not text, PageError for one without parameters."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise UsageError(f"{path!r} is not a valid file name") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path} is larger than the maximum of {MAX_BYTES // 1_000_000} MB")
    try:
        return read_page(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except PageError as error:
        raise PageError(f"{path} {error}") from None


def read_page(text: str) -> Page:
    """Parse a page. Raises PageError for a text without a table of parameters."""
    parts = list(blocks(normalize(text)))
    tables = _nest_tables(list(_drafts(parts)))
    if not any(table.rows for table in tables if table.role not in {Role.STATUS_CODES, Role.OTHER}):
        raise PageError("contains no table of parameters")
    calls = (_call(part) for part in parts if isinstance(part, str))
    return Page(tuple(dict.fromkeys(call for call in calls if call)), tables)


# The source of a parameter of the URL: `project_id` belongs to the target.
_LOCATIONS: Mapping[Role, str] = {Role.URI: "path", Role.QUERY: "target", Role.HEADER: "target"}


def as_table(page: Page) -> dict[str, Any]:
    """Return the page in the form of a parameter table, to be completed by hand: no prose is copied."""
    request: dict[str, dict[str, Any]] = {}
    for table in page.with_role(Role.URI, Role.QUERY, Role.HEADER, Role.REQUEST):
        location = _LOCATIONS.get(table.role)
        rows = _table_rows(table.rows)
        for name, row in rows.items():
            where = {"in": "target" if name == "project_id" else location} if location else {}
            request.setdefault(name, row | where)
    response = _table_rows(row for table in page.with_role(Role.RESPONSE) for row in table.rows)
    calls: Any = page.calls[0] if len(page.calls) == 1 else list(page.calls)
    return {"call": calls, "request": list(request.values()), "response": list(response.values())}


def _table_rows(rows: Iterable[PageRow]) -> dict[str, dict[str, Any]]:
    """Return rows by name; a parameter of two tables keeps the values of the first, with the fields of both."""
    merged: dict[str, dict[str, Any]] = {}
    fields: dict[str, list[PageRow]] = {}
    for row in rows:
        columns = {"type": row.type, "required": row.required, **row.limits}
        columns = {column: value for column, value in columns.items() if value is not None}
        merged.setdefault(row.name, {"name": row.name, **columns})
        fields.setdefault(row.name, []).extend(row.fields)
    for name, inner in fields.items():
        if inner:
            merged[name]["fields"] = list(_table_rows(inner).values())
    return merged


_CALL = re.compile(r"(?:^|:)\s*(GET|POST|PUT|PATCH|DELETE|HEAD)\s+(/[^\s?]*)(?:\?\S*)?(?:\s+HTTP/[0-9.]+)?$")


def _call(line: str) -> str | None:
    found = _CALL.search(line.strip("*`-• "))
    return f"{found[1]} {found[2]}" if found else None


# --- tables -------------------------------------------------------------------------------------------------

# The first match decides, in the title of a table or, without a match there, in the heading above it.
_ROLES: Sequence[tuple[str, Role]] = (
    (r"(?:响应|response).*(?:header|头)", Role.OTHER),
    (r"header|消息头|请求头|头域", Role.HEADER),
    (r"(?<![a-z])(?:uri|url|path)(?![a-z])|路径", Role.URI),
    (r"(?<![a-z])query(?![a-z])|查询参数", Role.QUERY),
    (r"示例|样例|example|错误码|error code", Role.OTHER),
    (r"请求|(?<![a-z])request", Role.REQUEST),
    (r"响应|返回|(?<![a-z])(?:response|return)", Role.RESPONSE),
    (r"状态码|status code", Role.STATUS_CODES),
    (r"状态|(?<![a-z])(?:state|status)", Role.OTHER),
)

# A title without these words is the name of the field, or of the type, that the table describes.
_NOISE = re.compile(
    r"数据结构|参数|说明|字段|列表|描述|对象|结构|的|\b(?:parameters?|descriptions?|body|fields?|data|structures?"
    r"|objects?|array|list|of|the|in|each|element)\b",
    re.I,
)
_NO_SUBJECTS = frozenset(("request", "response", "uri", "url", "path", "query", "header"))
_NAME_CELL = re.compile(rf"[*•]*\s*({NAME.pattern})\s*(?:$|[(*\[\n])")
_TYPE_WORDS = frozenset(
    ("array", "list", "map", "set", "of", "object", "objects", "string", "strings", "json", "long", "integer")
)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A table that is not nested yet; `subject` is the one name in its title, or empty."""

    table: PageTable
    subject: str


def _drafts(parts: Sequence[str | Grid]) -> Iterator[_Draft]:
    heading = title = ""
    for part in parts:
        if isinstance(part, Grid):
            title = part.caption or title
            found = TITLE.fullmatch(title)
            words = found[1] if found else title
            rest = _NOISE.sub(" ", words).strip()
            subject = rest if NAME.fullmatch(rest) and rest.casefold() not in _NO_SUBJECTS else ""
            role = _role(words, heading, part.columns, has_rest=bool(rest), has_subject=bool(subject))
            yield _Draft(PageTable(title, role, tuple(_rows(part))), subject)
            title = ""
        elif part.startswith("# "):
            heading, title = part, ""
        elif TITLE.fullmatch(part):
            title = part


def _role(title: str, heading: str, columns: frozenset[str], *, has_rest: bool, has_subject: bool) -> Role:
    if "code" in columns:
        return Role.STATUS_CODES
    if "name" not in columns or len(columns) == 1 or has_subject:
        return Role.OTHER
    says_nothing = not has_rest or columns >= {"required", "type"}
    return _role_in(title) or (_role_in(heading) if says_nothing else None) or Role.OTHER


def _role_in(words: str) -> Role | None:
    return next((role for pattern, role in _ROLES if re.search(pattern, words, re.I)), None)


def _rows(grid: Grid) -> Iterator[PageRow]:
    for row in grid.rows:
        name = _NAME_CELL.match(row.get("name", "").replace("\\_", "_").replace("`", ""))
        if not name:
            continue
        printed = " ".join(row.get("type", "").split()) or None
        yes_or_no = YES_OR_NO.match(row.get("required", ""))
        # A string if the type is missing or unknown: then lengths apply, and ranges do not.
        kind = (printed and json_kind(printed)) or "string"
        yield PageRow(
            name=name[1],
            type=printed,
            required=bool(yes_or_no[1]) if yes_or_no else None,
            limits=limits(row.get("prose", ""), kind),
        )


def _nest_tables(drafts: Sequence[_Draft]) -> tuple[PageTable, ...]:
    """Return the tables, those that describe a field in its row. Raises PageError for too many parameters."""
    indexes: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        if draft.subject and draft.table.rows:
            indexes.setdefault(draft.subject, []).append(index)
    used: set[int] = set()
    count = 0

    def attach(row: PageRow, index: int, above: frozenset[int]) -> PageRow:
        nonlocal count
        count += 1
        if count > MAX_ROWS:
            raise PageError(f"has more than {MAX_ROWS:,} parameters")
        inner = _find_subtable(row, index, indexes)
        if inner is None or inner in above or len(above) > MAX_DEPTH:
            return row
        used.add(inner)
        rows = drafts[inner].table.rows
        return replace(row, fields=tuple(attach(child, inner, above | {inner}) for child in rows))

    tables: list[PageTable] = []
    for index, draft in enumerate(drafts):
        rows = tuple(attach(row, index, frozenset({index})) for row in draft.table.rows)
        tables.append(replace(draft.table, rows=rows))
    return tuple(table for index, table in enumerate(tables) if index not in used)


def _find_subtable(row: PageRow, index: int, indexes: Mapping[str, Sequence[int]]) -> int | None:
    """Find the table that describes the fields of `row`: the next one, otherwise the last one before it."""
    printed = row.type or ""
    if json_kind(printed) in {"string", "integer", "number", "boolean"}:
        return None
    types = [word for word in re.findall(r"[A-Za-z_]\w*", printed) if word.casefold() not in _TYPE_WORDS]
    for subject in (*types, row.name):
        if found := [other for other in indexes.get(subject, ()) if other != index]:
            return next((other for other in found if other > index), found[-1])
    return None
