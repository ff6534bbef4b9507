"""The parameter tables: how they are parsed, whether they agree, and whether they match the vendor's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.kinds.kind import TAGS, Kind
from deployer.kinds.tables import (
    JSON_TYPES,
    Row,
    Table,
    TableError,
    json_type,
    load_table,
    operations,
    parse_row,
    parse_table,
)
from testing.workspace import SHARED, needs_shared

PLAIN = {"name": "size", "type": "Int", "since": "D18", "description": "How many."}

# Ways in which the pages print a type, beside those that JSON_TYPES lists in lower case.
PRINTED = {
    "String": "string",
    "Array of Strings": "array",
    "List of JSON": "array",
    "Array of Objects": "array",
    "[Long]": "array",
    "Map<String, String>": "object",
    "Map of key=val": "object",
    "JobSubmitResult object": "object",
    "TimeStamp": "integer",
    "Double": "number",
    " Array  of\nstrings ": "array",
}


# --- the loader -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", operations())
def test_every_table_loads(operation: str) -> None:
    table = load_table(operation)
    assert table.operation == operation
    assert re.fullmatch(r"[A-Z]+ /v[0-9.]+/\{project_id\}/[a-z{}_/-]+", table.call)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_has_its_tables(kind: Kind) -> None:
    assert {*filter(None, asdict(kind.operations).values()), kind.listing.table} <= {*operations()}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"requird": True}, r"unknown columns \['requird'\]"),
        ({"aliases": ["amount"]}, r"missing reasons for \['aliases'\]"),
        ({"page": {"type": "String"}}, r"missing reasons for \['type'\]"),
        ({"page": {"type": None}, "hot": True, "reasons": {"type": "So."}}, r"missing reasons .* \['hot'\]"),
        ({"type": "Strnig"}, "unknown printed type 'Strnig'"),
        ({"fields": [{**PLAIN, "type": "?"}]}, "unknown printed type '\\?'"),
        ({"fields": [{**PLAIN, "filled": True}]}, r"size: size: missing reasons for \['filled'\]"),
    ],
)
def test_a_row_that_is_not_written_by_the_rules_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        parse_table({"operation": "o", "call": "GET /", "request": [{**PLAIN, **more}]})


def test_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(TableError, match=r"parameter table dli\.nothing\.yaml not found"):
        load_table("dli.nothing")


def test_the_columns_of_a_row_are_read() -> None:
    row = parse_row(
        {
            **PLAIN,
            "type": "Array of objects",
            "fields": [PLAIN],
            "minimum": 1,
            "default": [],
            "excluded": [3],
            "aliases": ["a"],
            "listed": "in.it",
            "sensitive": ["*key*"],
            "reasons": dict.fromkeys(("aliases", "listed", "sensitive"), "So."),
        },
        "here",
    )
    assert row.limits == {"minimum": 1, "default": []}
    assert (row.default, row.excluded, row.aliases) == ([], (3,), ("a",))
    assert (row.listed, row.sensitive, row.location, row.required) == ("in.it", ("*key*",), "body", False)
    assert [field.name for field in row.fields] == ["size"]


@pytest.mark.parametrize(("listed", "where"), [({}, "size"), ({"listed": False}, None)])
def test_a_row_is_listed_under_its_name_unless_it_says_otherwise(
    listed: dict[str, Any], where: str | None
) -> None:
    assert parse_row({**PLAIN, **listed, "reasons": {"listed": "So."}}, "here").listed == where


@pytest.mark.parametrize(
    ("printed", "expected"),
    [*PRINTED.items(), *((printed, schema["type"]) for printed, schema in JSON_TYPES.items())],
)
def test_every_printed_type_is_a_json_type(printed: str, expected: str) -> None:
    assert json_type(printed)["type"] == expected


# --- the tables among each other --------------------------------------------------------------------------


def rows_below(rows: tuple[Row, ...], path: str) -> tuple[Row, ...]:
    """The rows at a dotted path of objects."""
    for name in filter(None, path.split(".")):
        (row,) = [row for row in rows if row.name == name]
        rows = row.fields
    return rows


# An entry for a batch echoes the whole body (`req_body`): what is listed stands in there.
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.name != "SparkBatch"], ids=lambda kind: kind.name
)
def test_what_a_table_calls_listed_is_in_the_rows_of_the_listing(kind: Kind) -> None:
    entry = rows_below(load_table(kind.listing.table).response, kind.listing.items)
    for row in kind.rows:
        if row.listed and row.location == "body":
            parent, _, leaf = row.listed.rpartition(".")
            # Tags may be there too: else they have an API of their own.
            by_itself = kind.operations.list_tags and leaf == TAGS
            assert by_itself or leaf in {shown.name for shown in rows_below(entry, parent)}, row.name


@pytest.mark.parametrize("operation", operations())
def test_examples_and_defaults_are_of_the_type_of_their_row(operation: str) -> None:
    types: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    rows = list(all_rows(load_table(operation)))
    assert rows
    for row in rows:
        for value in (row.example, row.default):
            if value is not None:
                assert isinstance(value, types[json_type(row.type)["type"]]), row.name


def all_rows(table: Table) -> Iterator[Row]:
    pending = [*table.request, *table.response]
    while pending:
        row = pending.pop()
        yield row
        pending += row.fields


# --- the pages --------------------------------------------------------------------------------------------


class Tables(HTMLParser):
    """The cells of each table of a page, which is Markdown with the tables in HTML, by the table's number."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.number = ""
        self.in_cell = False

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        if tag == "tr":
            self.tables.setdefault(self.number, []).append([])
        elif tag in {"td", "th"}:
            self.in_cell = True
            self.tables[self.number][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in {"td", "th"}
        if tag == "table":
            self.number = ""

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.tables[self.number][-1][-1] += data
        elif title := re.findall(r"\*\*表 ([0-9]+)\*\*", data):
            self.number = title[-1]


# Where the rows of a page's tables stand: the side, and the path below it. The others tell states and sizes.
PARAMETERS = {
    "000": {"1": ("request", ""), "2": ("request", ""), "3": ("response", "")},
    "001": {
        **dict.fromkeys("123", ("request", "")),
        **dict.fromkeys("46", ("response", "")),
        **dict.fromkeys("57", ("response", "job_submit_result")),
    },
    "002": {"1": ("request", ""), "2": ("request", ""), "3": ("response", "")},
    "004": {
        **dict.fromkeys("12", ("request", "")),
        "3": ("request", "tags"),
        "4": ("response", ""),
        "5": ("response", "job"),
    },
}
COLUMNS = {
    **dict.fromkeys(("名称", "参数", "参数名称"), "name"),
    **dict.fromkeys(("参数类型", "类型"), "type"),
    "是否必选": "required",
}


@needs_shared
@pytest.mark.parametrize("page", PARAMETERS)
def test_every_parameter_of_a_page_is_in_its_table_as_printed(page: str) -> None:
    (table,) = [table for table in map(load_table, operations()) if table.page == page]
    (file,) = (SHARED / "vendor-pages").glob(f"{page}_*")
    reader = Tables()
    reader.feed(file.read_text("utf-8"))
    for number, (side, path) in PARAMETERS[page].items():
        rows = {row.name: row for row in rows_below(getattr(table, side), path)}
        head, *lines = reader.tables[number]
        assert lines
        for cells in lines:
            printed = {
                COLUMNS[title.strip()]: cell.strip()
                for title, cell in zip(head, cells, strict=True)
                if title.strip() in COLUMNS
            }
            row = rows[printed.pop("name")]
            assert as_on_page(row, printed) == printed, row.name


def as_on_page(row: Row, columns: Iterable[str]) -> dict[str, Any]:
    """What the page of a row's table prints for it, in its own words."""
    shown = {column: row.page.get(column, getattr(row, column)) for column in columns}
    return shown | ({"required": "是" if shown["required"] else "否"} if "required" in shown else {})


@needs_shared
def test_every_parameter_of_the_page_in_plain_text_is_in_its_table_as_printed() -> None:
    table = load_table("dli.batches.list")
    (file,) = (SHARED / "vendor-pages").glob(f"{table.page}_*")
    _, *pieces = re.split(r"^ *Table ([1-4]) ", file.read_text("utf-8"), flags=re.MULTILINE)
    sides = {"1": ("request", ""), "2": ("request", ""), "3": ("response", ""), "4": ("response", "sessions")}
    for number, piece in zip(pieces[::2], pieces[1::2], strict=True):
        side, path = sides[number]
        rows = {row.name: row for row in rows_below(getattr(table, side), path)}
        printed = re.findall(r"^ *(\S+)\n\n *(Yes|No)\n\n *(\S[^\n]*)$", piece, re.MULTILINE)
        assert printed
        for name, required, kind in printed:
            assert (rows[name].required, rows[name].type) == (required == "Yes", kind), name
