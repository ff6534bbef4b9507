"""The text of a vendor page -> its lines and tables, in order and without markup.

A heading begins with "# ", a list item with a • for each level of nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.errors import DeployerError
from deployer.kinds.tables import TableError, json_type

MAX_COLUMNS = 30

# The meaning of a column by its heading, ignoring case and a final colon.
_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("名称", "参数", "参数名称", "参数名", "字段", "字段名", "属性"), "name"),
    **dict.fromkeys(("parameter", "parameters", "name", "parameter name", "field", "attribute"), "name"),
    **dict.fromkeys(("是否必选", "是否必填", "是否必须", "必选", "mandatory", "required"), "required"),
    **dict.fromkeys(("参数类型", "类型", "数据类型", "type", "parameter type", "data type"), "type"),
    **dict.fromkeys(("说明", "描述", "参数说明", "参数描述", "含义", "description", "meaning"), "prose"),
    **dict.fromkeys(("状态码", "返回码", "错误码", "status code", "return code", "error code"), "code"),
}

TITLE = re.compile(r"(?:表|Table)\s*[0-9]{1,3}(?:[-.][0-9]{1,3})?[.:]?\s*(.*)", re.I)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
YES_OR_NO = re.compile(
    r"(是|必选|必填|(?:yes|true|mandatory|required)\b)|(?:否|可选|(?:no|false|optional)\b)", re.I
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `columns` are those of name, required, type, prose and code that it has; others are dropped.

    A row contains the text of the columns for which it has a cell.
    """

    caption: str
    columns: frozenset[str]
    rows: Sequence[Mapping[str, str]]


def blocks(text: str) -> Iterator[str | Grid]:
    """Split a page into lines and tables. Its format is detected by `<table` and Markdown headings."""
    if not re.search(r"<table\b", text, re.I):
        return _flat_blocks(text)
    if re.search(r"<(?:html|body|!doctype)\b", text, re.I) or not re.search(r"^#{1,6} ", text, re.M):
        return _html_blocks(text, _Text())
    return _markdown_blocks(text)


def json_kind(printed: str) -> str | None:
    """Return the JSON type of a type as a page prints it; None if it is unknown."""
    try:
        return str(json_type(printed)["type"])
    except TableError:
        return None


def _column(heading: str) -> str:
    return _COLUMNS.get(heading.strip(" *:").casefold(), "")


# --- flattened text: one cell per line ---------------------------------------------------------------------

# The headings of such a page have no markup.
_HEADING = re.compile(
    r"(?:sample |example )?(?:request|response)s?(?: (?:parameter|body|message|header|example)s?)?"
    r"|examples?|(?:status|error|return) codes?|function|uri|debugging|constraints|prerequisites"
    r"|功能介绍|调试|接口约束|(?:请求|响应)(?:消息|参数|示例|样例)|示例|状态码|返回码|错误码",
    re.I,
)
_ANY_TYPE = re.compile(r"[A-Za-z\[][\w\[\]<>=]*(?:(?:, ?| )[\w\[\]<>=]+){0,3}")
_OBJECTS = re.compile(r"(?:array of )?\w+ objects?", re.I)


def _flat_blocks(text: str) -> Iterator[str | Grid]:
    lines = [line for line in text.splitlines() if line.strip()]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    cells = [line.strip() for line in lines]
    at = 0
    while at < len(cells):
        columns = _header(cells, at)
        if not columns:
            yield f"# {cells[at]}" if _is_heading(cells[at]) else cells[at]
            at += 1
            continue
        start = end = at + len(columns)
        while end < len(cells) and indents[end] >= indents[at] and not _ends_table(columns, cells, end):
            end += 1
        yield Grid("", frozenset(columns), _flat_rows(columns, cells[start:end]))
        at = end


def _is_heading(line: str) -> bool:
    return bool(_HEADING.fullmatch(line.lstrip("•- ")))


def _header(cells: Sequence[str], at: int) -> tuple[str, ...]:
    """Return the columns of the table whose heading begins at `at`; empty if there is none."""
    columns: list[str] = []
    for cell in cells[at : at + len(_COLUMNS)]:
        column = _column(cell)
        if not column or column in columns:
            return ()
        columns.append(column)
        if column == "prose":
            break
    is_header = len(columns) > 1 and columns[0] in {"name", "code"} and columns[-1] == "prose"
    return tuple(columns) if is_header else ()


def _ends_table(columns: Sequence[str], cells: Sequence[str], at: int) -> bool:
    if _header(cells, at + 1 if TITLE.fullmatch(cells[at]) else at):
        return True
    # A word that is also a heading may be a name or the prose of a row: then another row follows.
    return _is_heading(cells[at]) and not any(_flat_row(columns, cells, start) for start in (at, at + 1))


def _flat_rows(columns: Sequence[str], cells: Sequence[str]) -> list[Mapping[str, str]]:
    """Detect rows by their form: a name, Yes or No, a type. Everything else is prose of the previous row."""
    rows: list[tuple[dict[str, str], list[str]]] = []
    at = 0
    while at < len(cells):
        if row := _flat_row(columns, cells, at):
            rows.append((row, []))
            at += len(row)
        else:
            if rows:
                rows[-1][1].append(cells[at])
            at += 1
    return [row | {"prose": "\n".join(prose)} for row, prose in rows]


def _flat_row(columns: Sequence[str], cells: Sequence[str], at: int) -> dict[str, str]:
    """Return the cells of the row that begins at `at`, without its prose; empty if there is none."""
    row: dict[str, str] = {}
    for column in columns[:-1]:
        cell = cells[at + len(row)] if at + len(row) < len(cells) else ""
        if _fits(column, cell, sure="required" in row):
            row[column] = cell
        elif not (column == "type" and "required" in row):  # an empty cell has no line
            return {}
    return row


def _fits(column: str, cell: str, *, sure: bool) -> bool:
    """Return whether a line can be the cell of a column. `sure`: it is in a row, so any type is accepted."""
    match column:
        case "name":
            return bool(NAME.fullmatch(cell))
        case "code":
            return bool(re.fullmatch(r"[0-9]{3}|[A-Z]+[.0-9]+", cell))
        case "required":
            return bool(YES_OR_NO.fullmatch(cell))
        case _:
            return json_kind(cell) is not None or bool((_ANY_TYPE if sure else _OBJECTS).fullmatch(cell))


# --- HTML, in a page or in Markdown -------------------------------------------------------------------------

_TABLE_TAGS = frozenset(("table", "caption", "tr", "td", "th"))
_LINE_TAGS = frozenset(("p", "div", "br", "li", "ul", "ol", "dl", "dt", "dd", "pre"))
_HEADING_TAGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_TAGS = _TABLE_TAGS | _LINE_TAGS | _HEADING_TAGS | {"script", "style"}

_PIECE = re.compile(r"<[!?][^<>]*>|<(/?)([A-Za-z][A-Za-z0-9]*)((?:[\s/][^<>]*)?)>|<")
_SPAN = re.compile(r"\b(colspan|rowspan)\s*=\s*[\"']?\s*([0-9]{1,3})", re.I)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!<>~|-])")


def _markdown_blocks(text: str) -> Iterator[str | Grid]:
    """Split a Markdown page. Fenced examples are skipped: they contain text that looks like markup."""
    kept: list[str] = []
    fenced = False
    for line in text.splitlines():
        if line.lstrip(" \t>").startswith("```"):
            fenced = not fenced
        elif not fenced:
            kept.append(line)
    for block in _html_blocks("\n".join(kept), _Text(keep_lines=True)):
        if isinstance(block, str):
            yield re.sub(r"^#+ ", "# ", _ESCAPED.sub(r"\1", block).replace("**", ""))
        else:
            yield block


class _Text:
    """Text that is collected and returned as lines. `keep_lines`: line breaks in the source are kept."""

    def __init__(self, *, keep_lines: bool = False) -> None:
        self._parts: list[str] = []
        self._keep_lines = keep_lines
        self._lists = 0

    def add(self, text: str) -> None:
        self._parts.append(text if self._keep_lines else re.sub(r"\s+", " ", text))

    def open(self, tag: str) -> None:
        self._lists += tag in {"ul", "ol"}
        self._parts.append("\n")
        if tag == "li":
            self._parts.append("•" * min(max(self._lists, 1), 9) + " ")
        elif tag in _HEADING_TAGS:
            self._parts.append("# ")

    def close(self, tag: str) -> None:
        self._lists = max(self._lists - (tag in {"ul", "ol"}), 0)
        self._parts.append("\n")

    def take(self) -> list[str]:
        """Return the collected lines that are not empty, and clear the text."""
        lines = (" ".join(line.split()) for line in "".join(self._parts).splitlines())
        self._parts.clear()
        return [line for line in lines if line.strip("•# ")]


class _Table:
    """A table while it is read. A cell ends where the next one begins, closed or not."""

    def __init__(self) -> None:
        self.caption = _Text()
        self.rows: list[list[_Cell]] = []
        self.sink: _Text | None = None

    def open(self, tag: str, attributes: Mapping[str, Any]) -> None:
        if tag == "caption":
            self.sink = self.caption
        elif tag == "tr" or not self.rows:
            self.rows.append([])
        if tag in {"td", "th"}:
            columns, rows = (max(int(attributes.get(name, 1)), 1) for name in ("colspan", "rowspan"))
            cell = _Cell(_Text(), columns, rows)
            self.rows[-1].append(cell)
            self.sink = cell.text


@dataclass(slots=True)
class _Cell:
    text: _Text
    columns: int
    rows: int
    lines: list[str] = field(default_factory=list)


def _html_blocks(text: str, outside: _Text) -> Iterator[str | Grid]:
    """Yield the tables, and between them the lines collected in `outside`. Text outside of cells is dropped."""
    tables: list[_Table] = []
    for event, tag, content in _events(_sanitize(text)):
        sink = tables[-1].sink if tables else outside
        if tag == "table":
            if not tables:
                yield from outside.take()
            if event == "open":
                tables.append(_Table())
            else:
                yield _grid(tables.pop())
        elif tables and tag in _TABLE_TAGS and event == "open":
            tables[-1].open(tag, content)
        elif sink and event == "text":
            sink.add(content)
        elif sink:
            (sink.open if event == "open" else sink.close)(tag)
    yield from outside.take()


def _sanitize(text: str) -> str:
    """Return `text` with only the relevant tags, well-formed, so that any parser can read it."""
    pieces = text.split("<!--")
    visible = pieces[0] + "".join(piece.partition("-->")[2] for piece in pieces[1:])

    def tame(piece: re.Match[str]) -> str:
        slash, name, attributes = piece.groups()
        if name is None:
            return "" if len(piece[0]) > 1 else "&lt;"
        if name.casefold() not in _TAGS:
            return ""
        return f"<{slash}{name}{''.join(f' {span}={count}' for span, count in _SPAN.findall(attributes))}>"

    return _PIECE.sub(tame, visible)


def _events(markup: str) -> Iterator[tuple[str, str, Any]]:
    """Yield (open, tag, attributes), (close, tag, None) and (text, "", text), in order; without recursion."""
    try:
        from bs4 import BeautifulSoup
        from bs4.element import NavigableString, Tag
    except ImportError:
        message = "reading a page in HTML or Markdown requires beautifulsoup4: install deployer[pages]"
        raise DeployerError(message) from None
    above: list[tuple[str, Iterator[Any]]] = [("", iter(BeautifulSoup(markup, "html.parser").contents))]
    while above:
        name, nodes = above[-1]
        node = next(nodes, None)
        if node is None:
            above.pop()
            if name:
                yield "close", name, None
        elif isinstance(node, Tag):
            yield "open", node.name, node.attrs
            above.append((node.name, iter(node.contents)))
        elif type(node) is NavigableString:  # its subclasses are scripts and styles
            yield "text", "", str(node)


def _grid(table: _Table) -> Grid:
    for cell in (cell for cells in table.rows for cell in cells):
        cell.lines = cell.text.take()
    lines = [line for line in _expand_spans(table.rows) if line]
    columns = [_column(" ".join(cell.lines)) for cell in lines[0]] if lines else []
    rows: list[dict[str, str]] = []
    above: _Cell | None = None
    for line in lines[1:]:
        cells: dict[str, _Cell] = {}
        for column, cell in zip(columns, line, strict=False):
            cells.setdefault(column, cell)
        row = {column: "\n".join(cell.lines) for column, cell in cells.items() if column}
        name = cells.get("name")
        if name and name is above:  # its name spans both rows
            rows[-1]["prose"] = f"{rows[-1].get('prose', '')}\n{row.get('prose', '')}"
        else:
            rows.append(row)
        above = name
    return Grid(" ".join(table.caption.take()), frozenset(filter(None, columns)), rows)


def _expand_spans(rows: Sequence[Sequence[_Cell]]) -> Iterator[list[_Cell]]:
    """Yield each row with a cell in every column: a cell that spans several columns or rows is repeated."""
    spanning: dict[int, tuple[_Cell, int]] = {}
    for cells in rows:
        line: list[_Cell] = []
        waiting = [cell for cell in reversed(cells) for _ in range(min(cell.columns, MAX_COLUMNS))]
        while len(line) < MAX_COLUMNS and (waiting or len(line) in spanning):
            column_index = len(line)
            if column_index in spanning:
                cell, left = spanning.pop(column_index)
            else:
                cell = waiting.pop()
                left = cell.rows
            if left > 1:
                spanning[column_index] = cell, left - 1
            line.append(cell)
        yield line
