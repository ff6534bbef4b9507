"""`deployer schema check --against PAGE`: differences between a table and a page, and intended differences."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.kinds.tables import Row, Table, TableError, load_table, operations, parse_table
from deployer.vendor_pages.compare import Difference, compare, tables_of
from deployer.vendor_pages.read import Page, Role, load_page, read_page
from testing.slow import sampled
from testing.workspace import ROOT, SHARED, Workspace, needs_shared

PAGES = ROOT / "tests" / "cases" / "pages"
MARKDOWN = (PAGES / "kites.create.md").read_text("utf-8")
FLAT = (PAGES / "kites.list.txt").read_text("utf-8")

Short = list[tuple[str, str, str]]


def table(name: str) -> Table:
    """One of the tables of the API for flying kites."""
    return parse_table(yaml.safe_load((PAGES / f"{name}.yaml").read_text("utf-8")))


CREATE, LIST = table("kites.create"), table("kites.list")


def short(differences: Iterable[Difference]) -> Short:
    return [(difference.side, difference.path, difference.column) for difference in differences]


def unexplained(of: Table, text: str) -> Short:
    return short(difference for difference in compare(of, read_page(text)) if difference.reason is None)


def changed(text: str, old: str, new: str) -> str:
    """`text` with the first `old` replaced; it must be there."""
    assert old in text
    return text.replace(old, new, 1)


# --- the project's own pages ------------------------------------------------------------------------------


def test_what_is_on_purpose_is_listed_with_its_reason() -> None:
    found = compare(CREATE, read_page(MARKDOWN))
    assert {
        (difference.side, difference.path, difference.column): difference.reason for difference in found
    } == {
        ("request", "project_id", "type"): "The table of URL parameters has no types.",
        ("request", "field_id", "type"): "The table of URL parameters has no types.",
        ("request", "motto", "minLength"): "An empty motto is left out instead.",
        ("request", "ribbons.cloth", "extra"): "The second edition added what kites are made of.",
        ("response", "result.state", "enum"): "More states have been seen than the page lists.",
        ("response", "result.error_msg", "extra"): "Only the example of a failure has it here.",
        ("response", "wind", "extra"): "The second edition added what kites are made of.",
    }


def test_a_page_that_says_the_same() -> None:
    assert short(compare(LIST, read_page(FLAT))) == [("request", "secret", "type")]
    assert unexplained(LIST, FLAT) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # renamed
        ("motto", "saying", [("saying", "missing"), ("motto", "extra")]),
        (">ribbons<", ">bows<", [("bows", "missing"), ("ribbons", "extra")]),
        (">colour<", ">color<", [("ribbons.color", "missing"), ("ribbons.colour", "extra")]),
        ("X-Auth-Token", "X-Token", [("X-Token", "missing"), ("X-Auth-Token", "extra")]),
        # another length
        ("0-57", "0-58", [("motto", "maxLength")]),
        ("0-57", "2-57", [("motto", "minLength")]),
        ("0-57", "1-57", [("motto", "minLength")]),  # what the table says, but not what its `page` says
        ("32个", "33个", [("ribbons.colour", "maxLength")]),
        ("32个", "32只", [("ribbons.colour", "maxLength")]),
        # another value
        ("S, M, L", "S, M", [("size", "enum")]),
        ("小号S创建", "大号M创建", [("size", "default")]),
        ("<li>diamond", "<li>round", [("shape", "enum")]),
        ("大于0", "大于1", [("tails", "excluded")]),
        ("“-1”", "“1”", [("tails", "default")]),
        ("和中划线", "", [("name", "pattern")]),
        # another type
        ("Boolean", "Bool", []),
        ("Boolean", "String", [("lit", "type")]),
        ("Boolean", "Truth", [("lit", "type")]),
        ("Array of strings", "Array", []),
        ("Array of Objects", "String", [("ribbons", "type")]),
        ("Array of Objects", "Array of Ribbon objects", []),
        # other requiredness
        ("<td><p>否", "<td><p>是", [("motto", "required")]),
        ("<td><p>否", "<td><p>", []),
        # fields without a table
        ("**表 4**  ribbons参数", "**表 4**  丝带状态", [("ribbons", "fields")]),
        ("ribbons参数", "参数", [("ribbons", "fields"), ("colour", "missing"), ("length", "missing")]),
        # another place
        ("请求Header", "请求Body", []),
        ("表 1**  URI", "表 1**  请求", [("field_id", "in")]),
        ("表 3**  参数", "表 3**  查询参数", [(name, "in") for name in (
            "name", "motto", "shape", "size", "tails", "line_length", "lit", "knots", "colours", "ribbons"
        )]),
    ],
)  # fmt: skip
def test_a_changed_request_is_told_as_what_it_is(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    differences = [("request", path, column) for path, column in expected]
    assert unexplained(CREATE, changed(MARKDOWN, old, new)) == differences


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (">kite_id<", ">id<", [("result.id", "missing"), ("result.kite_id", "extra")]),
        (">error_msg<", ">message<", [("message", "missing"), ("error_msg", "extra")]),
        (">UP", ">FAR", [("result.state", "enum")]),
        (">UP", ">UP and away", [("result.state", "enum")]),
        ("表 7**  响应", "表 7**  状态", []),
    ],
)
def test_a_changed_response_is_told_as_what_it_is(
    old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    differences = [("response", path, column) for path, column in expected]
    assert unexplained(CREATE, changed(MARKDOWN, old, new)) == differences


def test_the_answer_of_another_status_repeats_and_need_not_be_complete() -> None:
    start = MARKDOWN.index("**表 7**")
    head, tail = MARKDOWN[:start], MARKDOWN[start:]
    assert unexplained(CREATE, head + changed(tail, "kite_id", "id")) == [
        ("response", "result.id", "missing")
    ]
    assert unexplained(CREATE, head + changed(tail, "String", "Long")) == [
        ("response", "result.kite_id", "type")
    ]


def test_the_answer_of_another_status_can_add() -> None:
    head = "**表 5**  响应参数\n\n<table><tr><th>参数<th>参数类型<th>描述</tr>"
    apart = changed(MARKDOWN, "<tr><td><p>error_msg", f"</table>\n\n{head}\n<tr><td><p>error_msg")
    assert len(read_page(apart).tables) == len(read_page(MARKDOWN).tables) + 1
    assert unexplained(CREATE, apart) == []


def test_a_table_of_fields_that_the_page_did_not_have() -> None:
    rows = [
        {"name": "a", "type": "Object", "since": "E1", "description": "A.", "page": {"fields": None},
         "reasons": {"fields": "Only the example has them."},
         "fields": [{"name": "b", "type": "Int", "since": "E1", "description": "B."}]},
    ]  # fmt: skip
    ours = parse_table({"operation": "o", "call": "GET /x", "edition": "E1", "response": rows})
    page = "GET /x\nResponse\nName\nType\nDescription\na\nObject\nIt.\n"
    assert short(compare(ours, read_page(page))) == [("response", "a", "fields")]
    assert unexplained(ours, page) == []
    fields = "Table 2 a parameters\nName\nType\nDescription\nb\nInt\nIt.\n"
    assert unexplained(ours, page + fields) == [("response", "a", "fields")]


def test_a_parameter_of_the_url_may_stand_in_the_body_too() -> None:
    rows = [{"name": name, "type": "Int", "since": "E1", "description": "So.", "in": "target",
             "reasons": {"in": "So."}} for name in ("a", "b")]  # fmt: skip
    ours = parse_table({"operation": "o", "call": "GET /x", "edition": "E1", "request": rows})
    header = "Name\nType\nDescription\n"
    page = f"URI\n{header}a\nInt\nIt.\nRequest\n{header}a\nLong\nIt.\nb\nInt\nIt."
    assert compare(ours, read_page(page)) == []


def test_another_print_of_the_same_type_is_no_difference_to_what_the_page_prints() -> None:
    row: dict[str, Any] = {"name": "a", "type": "Int", "since": "E1", "description": "A."}
    row |= {"page": {"type": "List of String"}, "reasons": {"type": "So."}}
    ours = parse_table({"operation": "o", "call": "GET /x", "edition": "E1", "response": [row]})
    page = "Response\nName\nType\nDescription\na\n{}\nIt."
    assert unexplained(ours, page.format("Array of strings")) == []
    assert unexplained(ours, page.format("Int")) == [("response", "a", "type")]
    ours = parse_table({"operation": "o", "call": "GET /x", "response": [row | {"type": "Array"}]})
    assert compare(ours, read_page(page.format("Array of strings"))) == []
    assert unexplained(ours, page.format("String")) == [("response", "a", "type")]


@pytest.mark.parametrize("of", [None, "E1"])
def test_a_row_is_explained_by_its_edition_only_beside_the_edition_of_the_page(of: str | None) -> None:
    row = {"name": "a", "type": "Int", "since": "E1", "description": "A."}
    ours = parse_table(
        {"operation": "o", "call": "GET /", "edition": of, "editions": {"E1": "So."}, "response": [row]}
    )
    page = "Response\nName\nType\nDescription\nb\nInt\nIt.\n"
    assert unexplained(ours, page) == [("response", "b", "missing"), ("response", "a", "extra")]


def test_the_call_finds_the_tables() -> None:
    def found(call: str) -> list[str]:
        page = read_page(f"{call}\nResponse\nName\nType\nDescription\nb\nInt\nIt.\n")
        return [printed.operation for printed in tables_of(page, [CREATE, LIST])]

    assert found("GET /v1/{project_id}/kites") == ["kites.list"]
    assert found("GET /v1/{projectId}/kites/") == ["kites.list"]
    assert found("GET /v1/{a}/kites\nPOST /v1/{a}/fields/{b}/kites") == ["kites.create", "kites.list"]
    assert found("POST /v1/{project_id}/kites") == []
    assert found("GET /v1/x/kites") == []


# --- the loader -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "row", "message"),
    [
        ({"editoin": "E1"}, {}, r"o: unknown keys \['editoin'\]"),
        ({"edition": "E1"}, {"since": "E2"}, "o: unknown editions E2"),
        ({"edition": "E1"}, {"fields": [{"name": "b", "type": "Int", "since": "E3", "description": "B."}]},
         "o: unknown editions E3"),
        ({}, {"page": {"hot": True}, "reasons": {"hot": "So."}}, r"o: a: unknown page columns \['hot'\]"),
    ],
)  # fmt: skip
def test_what_a_table_says_of_editions_is_checked(more: Any, row: Any, message: str) -> None:
    plain = {"name": "a", "type": "Object", "since": "E1", "description": "A."}
    with pytest.raises(TableError, match=message):
        parse_table({"operation": "o", "call": "GET /", "request": [{**plain, **row}], **more})


# --- the tables, against pages that are written from them ---------------------------------------------------

WITH_PAGE = [name for name in operations() if load_table(name).page]
PROSE = {
    "minLength": "At least {} characters.",
    "maxLength": "A maximum of {} characters.",
    "minimum": "The value must be greater than or equal to {}.",
    "maximum": "The maximum value is {}.",
    "default": 'The default value is "{}".',
    "enum": "<ul>{}</ul>",
    "pattern": "It can contain only letters, digits, hyphens (-), and underscores (_).",
    "excluded": "",
}


def page_from(of: Table) -> str:
    """A page in HTML that says what the table says its page says."""
    urls: list[Row] = []
    body: list[Row] = []
    for row in of.request:
        (body if row.location == "body" else urls).append(row)
    parts = [
        f"<html><p>{of.call}</p>",
        *tables_from("Path parameters", urls, of.edition),
        *tables_from("Request parameters", body, of.edition),
        *tables_from("Response parameters", of.response, of.edition),
    ]
    return "\n".join(parts)


def tables_from(title: str, rows: Iterable[Row], edition: str | None) -> Iterator[str]:
    printed = [row for row in rows if row.since == edition and "since" not in row.reasons]
    cells = ""
    for row in printed:
        facts = {"type": row.type, "required": row.required, **row.limits, "excluded": list(row.excluded)}
        facts |= row.page
        name, kind = row.name, html.escape(facts["type"] or "")
        cells += f"<tr><td>{name}<td>{'Yes' if facts['required'] else 'No'}<td>{kind}<td>{prose_from(facts)}"
    if printed:
        yield f"<table><caption>Table 1 {title}</caption>"
        yield f"<tr><th>Name<th>Mandatory<th>Type<th>Description{cells}</table>"
    for row in printed:
        if row.fields and "fields" not in row.page:
            yield from tables_from(f"{row.name} parameters", row.fields, edition)


def prose_from(facts: dict[str, Any]) -> str:
    if facts["excluded"]:
        (excluded,) = facts["excluded"]
        range_ = f"Value range: {facts['minimum']} or greater than {excluded}."
        return " ".join([range_, PROSE["default"].format(facts["default"])])
    return " ".join(
        PROSE[limit].format(
            "".join(f"<li>{value}: one" for value in value)
            if limit == "enum"
            else json.dumps(value).strip('"')
        )
        for limit, value in facts.items()
        if limit in PROSE and value not in (None, [])
    )


@pytest.mark.parametrize("operation", WITH_PAGE)
def test_a_page_written_from_a_table_has_no_unexplained_difference(operation: str) -> None:
    of = load_table(operation)
    assert unexplained(of, page_from(of)) == []


@pytest.mark.parametrize("operation", WITH_PAGE)
def test_each_row_that_such_a_page_lacks_is_told(operation: str) -> None:
    of = load_table(operation)
    page = page_from(of)
    rows = list(re.finditer(r"<tr><td>([\w-]+)<td>(?:Yes|No)<td>.*?(?=<tr>|</table>)", page))
    assert len(rows) > 10
    for row in rows:
        found = unexplained(of, page[: row.start()] + page[row.end() :])
        assert [(path.rpartition(".")[2], column) for _, path, column in found] == [(row[1], "extra")]


# --- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def page(bare: Workspace) -> Path:
    """A page that agrees with the table of the Spark jobs' listing."""
    return bare.write("list.html", page_from(load_table("dli.batches.list")))


def test_check_against_a_page_that_agrees(page: Path, bare: Workspace) -> None:
    ran = bare.run("schema", "check", "--against", "list.html")
    assert (ran.code, ran.err) == (0, "")
    first, *lines, last = ran.out.splitlines()
    assert "schemas are up to date" in first
    assert last == f"list.html: 0 unexplained and {len(lines)} intentional differences."
    assert (
        "dli.batches.list request size: default: page says nothing, table says 100 "
        "(intentional: The vendor's SDK states it, the page does not.)" in lines
    )
    assert all(line.endswith(".)") and " (intentional: " in line for line in lines)


def test_check_against_a_page_that_changed(page: Path, bare: Workspace) -> None:
    page.write_text(
        page.read_text()
        .replace("<td>owner<td>No<td>String", "<td>possessor<td>No<td>String", 1)
        .replace("<td>total<td>No<td>Integer", "<td>total<td>Yes<td>String", 1)
        .replace("<td>size<td>No<td>Integer<td>", '<td>size<td>No<td>Integer<td>The default value is "7".', 1)
    )
    ran = bare.run("schema", "check", "--against", "list.html")
    assert ran.code == 1
    place = "dli.batches.list"
    assert [line for line in ran.out.splitlines() if "(unexplained" in line] == [
        f"{place} request size: default: page says 7, table says 100 (unexplained: 'page' in the table says nothing)",
        f"{place} request possessor: missing: on the page, not in the table (unexplained)",
        f"{place} request owner: extra: in the table, not on the page (unexplained)",
        f"{place} response total: type: page says String, table says Integer (unexplained)",
        f"{place} response total: required: page says true, table says false (unexplained)",
    ]


def test_check_against_several_pages(page: Path, bare: Workspace) -> None:
    bare.write("create.html", page_from(load_table("dli.batches.create")))
    for more in (["create.html"], ["--against", "create.html"]):
        ran = bare.run("schema", "check", "--against", "list.html", *more)
        assert ran.code == 0
        assert re.findall(r"^(\S+): 0 unexplained", ran.out, re.MULTILINE) == ["list.html", "create.html"]


def test_what_a_page_says_cannot_write_to_the_terminal(page: Path, bare: Workspace) -> None:
    page.write_text(page.read_text().replace("<td>Integer", "<td>In\x1b[31mteger\u202e", 1))
    ran = bare.run("schema", "check", "--against", "list.html")
    assert ran.code == 1
    assert r"page says In\u001b[31mteger\u202e" in ran.out


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("nothing", 1, "page.txt contains no table of parameters"),
        (FLAT, 1, "no table for GET /v1/{project_id}/kites, documented in page.txt"),
        (
            FLAT.replace("GET", "MEET"),
            1,
            "page.txt contains no request line such as 'POST /v2.0/{project_id}/batches'",
        ),
        (b"\xff", 3, "page.txt is not UTF-8 text"),
        (None, 3, "cannot read page.txt: No such file or directory"),
    ],
)
def test_check_against_what_is_no_page_of_ours(
    content: Any, code: int, message: str, bare: Workspace
) -> None:
    if content is not None:
        bare.write("page.txt", content)
    ran = bare.run("schema", "check", "--against", "page.txt")
    assert (ran.code, ran.out, ran.err) == (code, "", f"error: {message}\n")


def test_check_takes_pages_only_after_against(page: Path, bare: Workspace) -> None:
    ran = bare.run("schema", "check", "list.html")
    assert (ran.code, ran.err) == (
        3,
        "error: unexpected argument list.html: pages follow --against\n",
    )


def test_stale_schemas_are_told_beside_the_differences(
    page: Path, bare: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.schema.files.stored", {}.get)
    ran = bare.run("schema", "check", "--against", "list.html")
    assert ran.code == 1
    assert "SparkBatch.schema.json is out of date" in ran.err
    assert "list.html: 0 unexplained and " in ran.out


# --- the vendor's pages -----------------------------------------------------------------------------------

VENDOR = {str(load_table(name).page): load_table(name) for name in WITH_PAGE}


def vendor_page(number: str) -> Path:
    (file,) = (SHARED / "vendor-pages").glob(f"{number}_*")
    return file


@needs_shared
def test_all_five_pages_have_nothing_unexplained(bare: Workspace) -> None:
    assert len(VENDOR) == 5
    ran = bare.run("schema", "check", "--against", *(str(vendor_page(number)) for number in VENDOR))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count(": 0 unexplained and ") == 5
    assert "(unexplained" not in ran.out


# A row of a page: what stands before its name, the name, and what stands after it up to the next row.
ROWS = {
    "003": r"(?ms)(^ *)([\w-]+)(\n\n *(?:Yes|No)\n\n *\S[^\n]*\n.*?)"
    r"(?=^ *[\w-]+\n\n *(?:Yes|No)\n|^ *Table \d|^(?:Request|Example Request)$)",
    **dict.fromkeys(
        ("000", "001", "002", "004"), r"(?s)(<tr id=[^>]*><td(?:(?!</td>).)*</a>)([\w-]+)(</p>.*?</tr>)"
    ),
}


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("number", sampled(VENDOR, 5))
def test_each_row_of_a_vendor_page_that_is_renamed_or_removed_is_told(number: str) -> None:
    of, text = VENDOR[number], vendor_page(number).read_text("utf-8")
    counted = 0
    for row in re.finditer(ROWS[number], text):
        name = row[2]
        renamed = text[: row.start(2)] + f"{name}_x" + text[row.end(2) :]
        removed = text[: row.start()] + text[row.end() :]
        # States are no parameters, and an answer with another status repeats those of the first.
        if not (missing := unexplained(of, renamed)):
            continue
        side, path, _ = missing[0]
        if missing == [(side, path, "missing")]:
            assert unexplained(of, removed) == []
            continue
        before = path.removesuffix("_x")
        assert missing == [(side, path, "missing"), (side, before, "extra")]
        assert unexplained(of, removed) == [(side, before, "extra")]
        counted += 1
    assert counted == len(set(paths_of(load_page(str(vendor_page(number))))))


def paths_of(page: Page) -> Iterator[tuple[str, str]]:
    for printed in page.tables:
        if printed.role not in {Role.STATUS_CODES, Role.OTHER}:
            side = "response" if printed.role is Role.RESPONSE else "request"
            pending = [("", row) for row in printed.rows]
            while pending:
                above, row = pending.pop()
                yield side, above + row.name
                pending += [(f"{above}{row.name}.", child) for child in row.fields]


@needs_shared
@pytest.mark.parametrize(
    ("number", "old", "new", "expected"),
    [
        ("000", "128个", "129个", ("request", "name", "maxLength")),
        ("001", "1～64", "1～63", ("request", "job_name", "maxLength")),  # noqa: RUF001
        ("001", "1～64", "2～64", ("request", "job_name", "minLength")),  # noqa: RUF001
        ("002", "128个", "64个", ("request", "name", "maxLength")),
        ("003", "starts from 0", "starts from 1", ("request", "from", "default")),
        ("004", "0-57", "0-63", ("request", "name", "maxLength")),
        ("004", "0-57", "1-57", ("request", "name", "minLength")),
        ("004", "0-512", "0-2048", ("request", "desc", "maxLength")),
        ("004", "1-128", "0-128", ("request", "queue_name", "minLength")),
    ],
)
def test_a_changed_length_on_a_vendor_page_is_told(
    number: str, old: str, new: str, expected: tuple[str, str, str]
) -> None:
    text = vendor_page(number).read_text("utf-8")
    assert unexplained(VENDOR[number], changed(text, old, new)) == [expected]


@needs_shared
def test_three_changes_of_a_vendor_page_are_three_differences() -> None:
    text = vendor_page("004").read_text("utf-8")
    text = changed(text, "0-512", "0-600")
    text = changed(text, "</a>smn_topic<", "</a>alarm_topic<")
    text = re.sub(r"<tr[^>]*><td(?:(?!</td>).)*</a>tm_cus<.*?</tr>", "", text, count=1, flags=re.DOTALL)
    assert unexplained(VENDOR["004"], text) == [
        ("request", "desc", "maxLength"),
        ("request", "alarm_topic", "missing"),
        ("request", "smn_topic", "extra"),
        ("request", "tm_cus", "extra"),
    ]
