"""The differences between a parameter table and a vendor page, with the reasons that the table gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.kinds.tables import LIMITS, Row, Table, TableError, json_type
from deployer.vendor_pages.read import Page, PageRow, PageTable, Role

_LIMITS = (*LIMITS, "excluded")
_LOCATIONS: Mapping[Role, frozenset[str]] = {
    Role.REQUEST: frozenset(("body", "target")),
    **dict.fromkeys((Role.URI, Role.QUERY, Role.HEADER), frozenset(("path", "target"))),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `path` is dotted. It is intentional if it has a `reason`.

    `column` is one of a row's, or `missing` (on the page only) or `extra` (in the table only). `page` and
    `table` are their values, None for no value. `expected` is the value that the row's `page` states for the
    page, if it states one.
    """

    operation: str
    side: str
    path: str
    column: str
    page: Any = None
    table: Any = None
    reason: str | None = None
    expected: tuple[Any, ...] = ()


def tables_of(page: Page, tables: Sequence[Table]) -> list[Table]:
    """Return those of `tables` whose call the page documents; the names of placeholders may differ."""
    calls = {_shape(call) for call in page.calls}
    return [table for table in tables if _shape(table.call) in calls]


def _shape(call: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", call).rstrip("/")


def compare(table: Table, page: Page) -> list[Difference]:
    """Return every difference, in the order of the page; rows that only the table has come last."""
    request = list(page.with_role(*_LOCATIONS))
    response, repeated = _split(page.with_role(Role.RESPONSE))
    sent, received = _Checker(table, "request"), _Checker(table, "response")
    found = [
        *sent.locations(table.request, request),
        *sent.rows("", table.request, _all_rows(request), whole=True),
        *received.rows("", table.response, _all_rows(response), whole=True),
        *received.rows("", table.response, _all_rows(repeated), whole=False),
    ]
    return list({repr(difference): difference for difference in found}.values())


def _split(tables: Iterable[PageTable]) -> tuple[list[PageTable], list[PageTable]]:
    """Return the tables of a response, and those that repeat its rows, such as that of an error response."""
    first: list[PageTable] = []
    repeated: list[PageTable] = []
    names: set[str] = set()
    for table in tables:
        own = {row.name for row in table.rows}
        (repeated if own & names else first).append(table)
        names |= own
    return first, repeated


def _all_rows(tables: Sequence[PageTable]) -> list[PageRow]:
    return [row for table in tables for row in table.rows]


@dataclass(frozen=True, slots=True)
class _Checker:
    """A comparison of one side of a table: `request` or `response`."""

    table: Table
    side: str

    def rows(
        self, above: str, rows: Sequence[Row], printed: Sequence[PageRow], *, whole: bool
    ) -> Iterator[Difference]:
        """Compare rows. `whole`: a row that is not among `printed` is not on the page."""
        ours = {row.name: row for row in rows}
        for page_row in printed:
            if row := ours.get(page_row.name):
                yield from self.row(f"{above}{row.name}", row, page_row, whole=whole)
            else:
                yield Difference(self.table.operation, self.side, f"{above}{page_row.name}", "missing")
        names = {page_row.name for page_row in printed}
        for row in rows:
            if whole and row.name not in names:
                reason = self.why_extra(row)
                yield Difference(
                    self.table.operation, self.side, f"{above}{row.name}", "extra", reason=reason
                )

    def row(self, path: str, row: Row, page_row: PageRow, *, whole: bool) -> Iterator[Difference]:
        """Compare the columns, and then the fields. Limits and fields of another type cannot be compared."""
        type_differs = self.column(path, row, "type", page_row.type, row.type)
        found = [type_differs, self.column(path, row, "required", page_row.required, row.required)]
        if type_differs and type_differs.reason is None:
            yield from filter(None, found)
            return
        limits = {**row.limits, "excluded": list(row.excluded) or None}
        found += [
            self.column(path, row, limit, page_row.limits.get(limit), limits.get(limit)) for limit in _LIMITS
        ]
        if not page_row.fields or "fields" in row.page:
            printed, ours = ([child.name for child in limit.fields] or None for limit in (page_row, row))
            found.append(self.column(path, row, "fields", printed, ours))
        yield from filter(None, found)
        if page_row.fields:
            yield from self.rows(f"{path}.", row.fields, page_row.fields, whole=whole)

    def column(self, path: str, row: Row, column: str, page: Any, ours: Any) -> Difference | None:
        """Compare one column; None if both values are equal and the row does not expect another one."""
        expected: tuple[Any, ...] = (row.page[column],) if column in row.page else ()
        same = _comparable(column, page) == _comparable(column, ours)
        if same and not expected:
            return None
        as_expected = bool(expected) and _comparable(column, page) == _comparable(column, expected[0])
        if same and as_expected:
            return None
        reason = row.reasons[column] if as_expected else None
        return Difference(self.table.operation, self.side, path, column, page, ours, reason, expected)

    def why_extra(self, row: Row) -> str | None:
        if "since" in row.reasons:
            return row.reasons["since"]
        if self.table.edition is None or row.since == self.table.edition:
            return None
        return self.table.editions[row.since]

    def locations(self, rows: Sequence[Row], tables: Sequence[PageTable]) -> Iterator[Difference]:
        """Find parameters of the body that the table has in the URL, and vice versa."""
        ours = {row.name: row.location for row in rows}
        for table in tables:
            for page_row in table.rows:
                location = ours.get(page_row.name)
                if location and location not in _LOCATIONS.get(table.role, {location}):
                    yield Difference(
                        self.table.operation, self.side, page_row.name, "in", table.role.value, location
                    )


def _comparable(column: str, value: Any) -> Any:
    """Return the value of a column in a form in which equivalent values are equal."""
    match column:
        case "type":
            return _json_schema(value)
        case "required" | "minLength":
            return value or None  # not required, or a minimum length of 0, is the same as no value
        case "enum" | "excluded" if value:
            return sorted(map(repr, value))
        case _:
            # distinguishes True from 1
            return None if value is None else (isinstance(value, bool), value)


def _json_schema(printed: str | None) -> Any:
    try:
        return printed and json_type(printed)
    except TableError:
        return printed
