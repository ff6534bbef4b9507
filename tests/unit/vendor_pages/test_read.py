"""Reading vendor pages: the three formats, limits in prose, and files that are not pages.

The pages in tests/pages/ are the project's own, of an API for flying kites.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.errors import DeployerError, UsageError
from deployer.kinds.tables import Row, load_table, parse_row
from deployer.vendor_pages import limits as phrases
from deployer.vendor_pages.read import (
    MAX_BYTES,
    Page,
    PageError,
    PageRow,
    Role,
    as_table,
    load_page,
    read_page,
)
from testing.work import calls
from testing.workspace import ROOT, SHARED, Workspace, needs_shared

PAGES = ROOT / "tests" / "cases" / "pages"


def facts(rows: tuple[PageRow, ...]) -> dict[str, Any]:
    """Each row as (type, required, limits), with its fields if it has some."""
    return {
        row.name: (row.type, row.required, dict(row.limits), *([facts(row.fields)] if row.fields else []))
        for row in rows
    }


def tables(page: Page) -> list[tuple[Role, str, dict[str, Any]]]:
    return [(table.role, table.title, facts(table.rows)) for table in page.tables]


# --- the formats ------------------------------------------------------------------------------------------


def test_markdown_with_tables_in_html() -> None:
    page = load_page(str(PAGES / "kites.create.md"))
    assert page.calls == ("POST /v1/{project_id}/fields/{field_id}/kites",)
    result = {
        "kite_id": ("String", None, {}),
        "state": ("String", None, {"enum": ["UP", "DOWN"]}),
    }
    assert tables(page) == [
        (
            Role.URI,
            "表 1 URI参数",
            {
                "project_id": (None, True, {}),
                "field_id": (None, True, {"minLength": 1, "maxLength": 64}),
            },
        ),
        (Role.HEADER, "表 2 请求Header参数", {"X-Auth-Token": ("String", True, {})}),
        (
            Role.REQUEST,
            "表 3 参数说明",
            {
                "name": ("String", True, {"minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}),
                "motto": ("String", False, {"minLength": 0, "maxLength": 57}),
                "shape": ("String", False, {"enum": ["diamond", "delta", "box"], "default": "diamond"}),
                "size": ("String", False, {"enum": ["S", "M", "L"], "default": "S"}),
                "tails": ("Integer", False, {"minimum": -1, "excluded": [0], "default": -1}),
                "line_length": ("Integer", False, {}),
                "lit": ("Boolean", False, {"default": False}),
                "knots": ("Array of strings", False, {}),
                "colours": ("Map<String,String>", False, {}),
                "ribbons": (
                    "Array of Objects",
                    False,
                    {},
                    {"colour": ("String", True, {"maxLength": 32}), "length": ("Double", False, {})},
                ),
            },
        ),
        (
            Role.RESPONSE,
            "表 5 响应Body参数",
            {"result": ("FlightResult object", None, {}, result), "error_msg": ("String", None, {})},
        ),
        (
            Role.RESPONSE,
            "表 7 响应Body参数",
            {"result": ("FlightResult object", None, {}, {"kite_id": ("String", None, {})})},
        ),
        (Role.OTHER, "表 9 风筝状态表", {"flying": ("String", None, {})}),
        (Role.STATUS_CODES, "", {}),
    ]


def test_a_page_in_html() -> None:
    page = load_page(str(PAGES / "kites.list.html"))
    assert page.calls == ("GET /v1/{projectId}/kites",)
    kite: dict[str, Any] = {"name": ("String", None, {}), "parent": ("Kite object", None, {})}
    order = {"enum": ["asc", "desc"], "default": "desc", "maxLength": 128}
    assert [table for table in tables(page) if table[0] is not Role.OTHER] == [
        (Role.URI, "Table 1 Path parameters", {"project_id": ("String", True, {})}),
        (
            Role.QUERY,
            "Table 2 Query parameters",
            {
                "size": ("Integer", False, {"minimum": 1, "maximum": 1000, "default": 10}),
                "order": ("String", False, order),
                "state": (None, None, {}),
            },
        ),
        (
            Role.RESPONSE,
            "Table 3 Parameters",
            {"total": ("Integer", None, {}), "kites": ("Array of Kite objects", None, {}, kite)},
        ),
        (Role.STATUS_CODES, "", {}),
    ]


def test_flattened_text() -> None:
    page = load_page(str(PAGES / "kites.list.txt"))
    assert page.calls == ("GET /v1/{project_id}/kites",)
    text: tuple[Any, ...] = ("String", False, {})
    assert tables(page) == [
        (Role.URI, "Table 1 URI parameter", {"project_id": ("String", True, {})}),
        (
            Role.QUERY,
            "Table 2 query parameter description",
            {
                "kite-name": ("String", False, {"maxLength": 64}),
                "from": ("Integer", False, {"default": 0}),
                "function": text,
                "shape": ("String", False, {"enum": ["diamond", "delta", "box"]}),
                "secret": (None, False, {"minLength": 8}),
            },
        ),
        (
            Role.RESPONSE,
            "Table 3 Response parameters",
            {
                "total": ("Integer", False, {}),
                "kites": ("Array of objects", False, {}, {"id": text, "image": text, "owner": text}),
                "time": ("Long", False, {}),
            },
        ),
        (Role.STATUS_CODES, "Table 5 Status codes", {}),
    ]


FLAT = """\
请求参数
名称
是否必选
参数类型
说明
{rows}
状态码
"""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("name\n是\nString\n不能超过9个字符。", {"name": ("String", True, {"maxLength": 9})}),
        ("a\n是\nStrnig\nx", {"a": ("Strnig", True, {})}),
        ("a\n是\nMap<String, List<Bean>>\nx", {"a": ("Map<String, List<Bean>>", True, {})}),
        ("a\n是\n没有类型。\nb\n否\nLong\nx", {"a": (None, True, {}), "b": ("Long", False, {})}),
        ("a\n是\nLong\n示例\nb\n否\nLong\nx", {"a": ("Long", True, {}), "b": ("Long", False, {})}),
        ("a\n是\nLong\nx\n示例\n{\nb\n否\nLong\n}", {"a": ("Long", True, {})}),
        ("before the rows\na\n是\nLong", {"a": ("Long", True, {})}),
    ],
)
def test_rows_of_flattened_text_are_found_by_their_shape(rows: str, expected: dict[str, Any]) -> None:
    (table, *_) = read_page(FLAT.format(rows=rows)).tables
    assert (table.role, facts(table.rows)) == (Role.REQUEST, expected)


def test_without_a_column_for_yes_and_no_a_row_needs_a_known_type() -> None:
    text = "Response\nName\nType\nDescription\nid\nString\nIts\nid\nhouse\nArray of House objects\nx\n"
    (table,) = read_page(text).tables
    assert facts(table.rows) == {"id": ("String", None, {}), "house": ("Array of House objects", None, {})}


HTML = "<h2>{heading}</h2><p>{title}</p><table><tr><th>Name<th>Mandatory<th>Type<th>Description{rows}</table>"
ROW = "<tr><td>{0}<td>Yes<td>{1}<td>{2}"


def page_of(*rows: tuple[str, ...], title: str = "Table 1 Parameters", heading: str = "Request") -> Page:
    cells = "".join(ROW.format(*row, "") for row in rows)
    return read_page(HTML.format(heading=heading, title=title, rows=cells))


@pytest.mark.parametrize(
    ("title", "heading", "role"),
    [
        ("Table 1 URI parameters", "Request", Role.URI),
        ("Table 1 Path Parameters", "", Role.URI),
        ("表 1 路径参数", "请求", Role.URI),
        ("表1参数说明", "URI", Role.URI),
        ("Table 2 Query parameters", "URI", Role.QUERY),
        ("Table 3 Parameters in the request header", "", Role.HEADER),
        ("Table 4 Request body parameters", "Response", Role.REQUEST),
        ("Table 4. Body parameters", "Request", Role.REQUEST),
        ("", "请求参数", Role.REQUEST),
        ("", "Responses", Role.RESPONSE),
        ("Table 5-1: Description of the response parameters", "", Role.RESPONSE),
        ("表 5 返回消息", "", Role.RESPONSE),
        ("表 5 创建风筝的参数", "响应消息", Role.RESPONSE),
        ("Table 6 is about nothing", "Request", Role.REQUEST),
    ],
)
def test_the_role_of_a_table(title: str, heading: str, role: Role) -> None:
    (table,) = page_of(("a", "String"), title=title, heading=heading).tables
    assert (table.role, table.title) == (role, title)


@pytest.mark.parametrize(
    ("title", "heading"),
    [
        ("", ""),
        ("表 4 会话状态参数说明", ""),
        ("Table 4 Job states", "Response"),
        ("Table 4 tags parameters", "Request"),  # of a parameter that the page does not have
        ("Table 4 Response header parameters", ""),
        ("", "Example request"),
        ("", "Error codes of the request"),
    ],
)
def test_other_tables_hold_no_parameters(title: str, heading: str) -> None:
    with pytest.raises(PageError, match="contains no table of parameters"):
        page_of(("a", "String"), title=title, heading=heading)


def test_fields_are_found_by_type_or_name_after_the_parameter_or_before() -> None:
    def table(title: str, *rows: tuple[str, ...], heading: str = "") -> str:
        return HTML.format(heading=heading, title=title, rows="".join(ROW.format(*row, "") for row in rows))

    page = read_page(
        table(
            "", ("tags", "Array of objects"), ("size", "Size object"), ("state", "String"), heading="Request"
        )
        + table("Table 2 Description of the tags field", ("key", "String"))
        + table("Table 3 Size", ("cpu", "Int"), ("unit", "Unit object"))
        + table("Table 4 state parameters", ("on", "String"))
        + table("Table 5 Unit", ("of", "Size object"))
        + table("", ("tags", "Array&lt;Tag&gt;"), ("size", "Size object"), heading="Response")
        + table("Table 6 Tag data structure", ("value", "String"))
    )
    size: dict[str, Any] = {"cpu": ("Int", True, {}), "unit": ("Unit object", True, {})}
    size["unit"] = (*size["unit"], {"of": ("Size object", True, {})})
    request: dict[str, Any] = {
        "tags": ("Array of objects", True, {}, {"key": ("String", True, {})}),
        "size": ("Size object", True, {}, size),
        "state": ("String", True, {}),
    }
    response: dict[str, Any] = {
        "tags": ("Array<Tag>", True, {}, {"value": ("String", True, {})}),
        "size": ("Size object", True, {}, size),
    }
    assert [facts(printed.rows) for printed in page.with_role(Role.REQUEST)] == [request]
    assert [facts(printed.rows) for printed in page.with_role(Role.RESPONSE)] == [response]
    assert len(page.tables) == 3


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("job-id", "job-id"),
        ("<p><a name=x></a><b>file</b> </p>", "file"),
        ("`a.b`", "a.b"),
        ("project\\_id", "project_id"),
        ("X-Auth-Token (header)", "X-Auth-Token"),
        ("tags[]", "tags"),
        ("&#110;ame", "name"),
        ("<script>x</script>id", "id"),
    ],
)
def test_the_name_in_a_cell(cell: str, name: str) -> None:
    (table,) = page_of((cell, "String")).tables
    assert [row.name for row in table.rows] == [name]


@pytest.mark.parametrize("cell", ["", "Basic parameters", "参数", "1", "<b></b>", "a b"])
def test_a_row_without_a_name_is_none(cell: str) -> None:
    (table,) = page_of((cell, "String"), ("real", "String")).tables
    assert [row.name for row in table.rows] == ["real"]


@pytest.mark.parametrize(
    ("cell", "required"),
    [
        ("是", True),
        ("<p>否</p>", False),
        ("Yes", True),
        ("no", False),
        ("Mandatory", True),
        ("可选", False),
        ("是 (条件必选)", True),
        ("", None),
        ("Nothing", None),
        ("-", None),
    ],
)
def test_required(cell: str, required: bool | None) -> None:
    page = HTML.format(heading="Request", title="", rows=f"<tr><td>a<td>{cell}<td>Int<td>x")
    (table,) = read_page(page).tables
    assert [row.required for row in table.rows] == [required]


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("GET /v1/{id}", ("GET /v1/{id}",)),
        ("URI format: <b>PUT</b> /v1/{id}/x?size={size}&amp;from=0", ("PUT /v1/{id}/x",)),
        ("URI格式: DELETE /v1/{id}", ("DELETE /v1/{id}",)),
        ("<code>POST /v1</code>", ("POST /v1",)),
        ("PATCH /v1 HTTP/1.1", ("PATCH /v1",)),
        ("POST https://host/v1", ()),
        ("Send GET /v1 and wait", ()),
        ("FORGET /v1", ()),
    ],
)
def test_the_calls_of_a_page(line: str, calls: tuple[str, ...]) -> None:
    page = HTML.format(heading=f"x</h2><p>{line}</p><h2>Request", title="", rows=ROW.format("a", "Int", ""))
    assert read_page(page).calls == calls


# --- prose ------------------------------------------------------------------------------------------------

PHRASES = yaml.safe_load((PAGES / "phrases.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", PHRASES, ids=lambda case: f"{case['type']} {case['says'][:30]}")
def test_what_prose_states(case: dict[str, Any]) -> None:
    prose = case["says"].replace("··", "•• ").replace("·", "• ")
    assert phrases.limits(prose, case["type"]) == case["limits"]


@pytest.mark.parametrize("case", PHRASES[:10], ids=lambda case: case["says"])
def test_what_prose_in_a_cell_states(case: dict[str, Any]) -> None:
    (table,) = page_of(("a", case["type"], f"<p>Some words.</p> <p><span>{case['says']}</span></p>")).tables
    assert table.rows[0].limits == case["limits"]


# --- what is no page --------------------------------------------------------------------------------------

CELLS = "<table><tr><th>Parameter<th>Mandatory<th>Type<th>Description<tr><td>a<td>Yes<td>String<td>"
DEEP = 20_000


def hostile(deep: int) -> dict[str, str]:
    return {
        "nothing": "",
        "blank": "\n \n",
        "prose": "There is no table here.",
        "no header": "<h2>Request</h2><table><tr><td>a<td>Yes<td>String</table>",
        "only a header": "<h2>Request</h2><table><tr><th>Parameter<th>Type</table>",
        "an empty table": "<h2>Request</h2><table></table>",
        "rows of nothing": "<h2>Request</h2><table><tr><tr><tr></table>",
        "elements in elements": "<table>" + "<div>" * deep,
        "tables in tables": "<table>" * deep,
        "cells in cells": CELLS + "<td>x" * deep,
        "lists in lists": CELLS + "<ul><li>x" * deep,
        "tags that do not end": "<table>" + "<a b='" * deep,
        "comments that do not end": "<table>" + "<!--" * deep,
        "sections that do not end": "<table>" + "<![CDATA[" * deep,
        "a script that does not end": "<table><script>" + "</p>" * deep,
        "fences that do not end": "# x\n<table>\n" + "```json\n" * deep,
        "references": "<table>" + "&#x" * deep,
        "spans": CELLS + "<tr><td colspan=999 rowspan=999>a" * (deep // 4),
        "headers": "Parameter\nType\nDescription\n" * deep,
        "a long word": CELLS + "a" * 10 * deep,
        "long prose": CELLS + "only 1-" * deep,
    }


HOSTILE = hostile(DEEP)


def refuse(text: str) -> None:
    with pytest.raises(PageError, match=r"^contains no table of parameters$"):
        read_page(text)


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_page_is_said(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_times_as_much_is_ten_times_the_work(name: str) -> None:
    little, much = (calls(partial(refuse, hostile(deep)[name])) for deep in (200, 2000))
    assert much < 15 * little + 1000


def test_rows_without_end_are_refused() -> None:
    rows = "".join(ROW.format(f"f{number}", "Object", "") for number in range(30))
    page = "".join(HTML.format(heading="", title=f"Table 1 f{number}", rows=rows) for number in range(30))
    with pytest.raises(PageError, match="has more than 20,000 parameters"):
        read_page(page)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contains no table of parameters"),
        (b"x" * 10_000_000, "larger than the maximum of 1 MB"),
        ("名称".encode("gbk"), "is not UTF-8 text"),
        ("Parameter".encode("utf-16"), "is not UTF-8 text"),
        (b"\x00" * 100, "contains no table of parameters"),
    ],
)
def test_a_file_that_is_no_page(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_bytes(content)
    with pytest.raises(DeployerError, match=message):
        load_page(str(file))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-file", "cannot read no-such-file: No such file or directory"),
        (".", "cannot read .: Is a directory"),
        ("a\0b", r"'a\x00b' is not a valid file name"),
    ],
)
def test_a_file_that_cannot_be_read(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        load_page(name)
    assert str(raised.value) == message


def test_a_page_as_large_as_allowed_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    text = (PAGES / "kites.list.txt").read_bytes()
    page.write_bytes(b"\xef\xbb\xbf" + text + b" " * (MAX_BYTES - len(text) - 3))
    assert load_page(str(page)) == load_page(str(PAGES / "kites.list.txt"))


def test_without_its_parser_html_is_refused_and_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bs4", None)
    assert load_page(str(PAGES / "kites.list.txt")).calls
    with pytest.raises(DeployerError, match=r"install deployer\[pages\]"):
        load_page(str(PAGES / "kites.list.html"))


# --- deployer schema import -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["yaml", "json"])
def test_import_prints_a_table(style: str, bare: Workspace) -> None:
    ran = bare.run("schema", "import", str(PAGES / "kites.create.md"), "--format", style)
    assert (ran.code, ran.err) == (0, "")
    table = yaml.safe_load(ran.out) if style == "yaml" else ran.json
    assert table["call"] == "POST /v1/{project_id}/fields/{field_id}/kites"
    places = {row["name"]: row.get("in") for row in table["request"]}
    assert (places["project_id"], places["field_id"], places["X-Auth-Token"]) == ("target", "path", "target")
    assert {row["name"]: row for row in table["request"]}["tails"] == {
        "name": "tails",
        "type": "Integer",
        "required": False,
        "minimum": -1,
        "excluded": [0],
        "default": -1,
    }
    assert [row["name"] for row in table["response"]] == ["result", "error_msg"]
    assert [row["name"] for row in table["response"][0]["fields"]] == ["kite_id", "state"]
    assert not {"结果", "线的长度"} & set(json.dumps(table, ensure_ascii=False).split('"'))


def test_what_import_prints_is_the_start_of_a_table() -> None:
    """With what only a person can add it loads."""
    table = as_table(load_page(str(PAGES / "kites.create.md")))
    for raw in (*table["request"], *table["response"]):
        completed(raw)
        row = parse_row(raw, "here")
        assert isinstance(row, Row)


def completed(raw: dict[str, Any]) -> None:
    raw |= {"since": "E1", "description": "So.", "type": raw.get("type", "String"), "reasons": {"in": "So."}}
    for field in raw.get("fields", ()):
        completed(field)


def test_import_of_what_is_no_page(bare: Workspace) -> None:
    bare.write("page.txt", "nothing")
    ran = bare.run("schema", "import", "page.txt")
    assert (ran.code, ran.out, ran.err) == (1, "", "error: page.txt contains no table of parameters\n")
    assert bare.run("schema", "import", "missing.txt").code == 3
    assert bare.run("schema", "import").code == 3


# --- the vendor's pages -----------------------------------------------------------------------------------

VENDOR = {
    "000": "dli.batches.create",
    "001": "mrs.job-executions.submit",
    "002": "dli.sessions.create",
    "003": "dli.batches.list",
    "004": "dli.flink-jar.create",
}


@needs_shared
@pytest.mark.parametrize("number", VENDOR)
def test_the_pages_that_the_tables_were_read_from(number: str) -> None:
    (file,) = (SHARED / "vendor-pages").glob(f"{number}_*")
    page = load_page(str(file))
    assert page.calls == (load_table(VENDOR[number]).call,)
    roles = {table.role for table in page.tables}
    assert {Role.URI, Role.RESPONSE} <= roles
    assert (Role.REQUEST in roles) == (number != "003")
