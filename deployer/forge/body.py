"""A report in Markdown -> the body of a comment.

The report may come from an artifact that somebody else has made. Outside of code, nothing in it notifies people,
refers to other issues, loads pictures, is a command of GitLab, or hides text; and it cannot pass for the comment of
another project. What is code is decided such that a forge agrees: in case of doubt it is text, which only looks a bit
different.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError
from deployer.escape import is_visible, log_lines
from deployer.secrets.redact import redacted

MAX_BYTES = 8 * 1024 * 1024
MAX_LOG_LINES = 60
MAX_LOG_CHARACTERS = 12_000
_CUT = (
    "**The rest of this report is left out: a comment may have no more. The log of the job has all of it.**"
)

_MARKER = re.compile(r"<!-- deployer: (\S+) (\S+) -->")
_DIGEST = re.compile(r"<!-- deployer-digest: ([0-9a-f]{64}) -->")
_LAST_LINE = re.compile(r"\bdigest:? `?([0-9a-f]{64})\b", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
# The HTML that reports consist of; any other < is shown as it is.
_TAG = re.compile(r"</?(?:details|summary|b|code|sub)>|<details open>|<br>")
_TICKS = re.compile("`+")
# The beginning of what a forge makes a link of, some of them with a note to somebody or in another issue: @name, #12,
# org/repo#12, GH-12 and other keys of trackers, hashes of commits, and addresses; in GitLab also !12, ~label,
# %milestone, $12 and &12. The links of [text](address) and of [text]: address are ended too.
_REFERENCE = re.compile(
    r"(?<!&)@(?=\w)|(?<!&)[#!](?=[0-9])|\b(?:(?i:gh)|[A-Z][A-Z0-9_]+)(?=-[0-9])|:(?=//)|\b(?i:www)(?=\.)"
    r"|\b(?i:[0-9a-f](?=[0-9a-f]{6,63}\b))|[~%](?=[\w\"])|[$&](?=[0-9])|\](?=\(|:)"
)
_IMAGE = re.compile(r"!(?=\[)")
# A link to a file at a commit, as reports have them.
_FILE_LINK = re.compile(
    r"(\]\(https://[A-Za-z0-9.:-]+(?:/(?!\.\.)[A-Za-z0-9._~-]+)+?/blob/[0-9a-f]{3,64}(?:/(?!\.\.)[^\s()<>/]+)+\))"
)
# A line of HTML alone: what is in its <code> is code.
_SUMMARY = re.compile(r"<summary>.*</summary>")
_CODE = re.compile(r"(<code>[^<`]*</code>)")


def is_marked(body: str, marker: str) -> bool:
    """Return whether a comment begins with the marker."""
    return body.lstrip().partition("\n")[0].rstrip() == marker


def digest_of(body: str) -> str:
    """Return the digest of the plan that a comment shows; empty if it shows none, as after a failure."""
    lines = body.lstrip().splitlines()
    match = _DIGEST.fullmatch(lines[1].strip()) if len(lines) > 1 else None
    return match[1] if match else ""


def read_text(file: str) -> str:
    """Return the text of a report or a log. Raises UsageError.

    No link is followed: one in an artifact could lead to a file with credentials.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{file}: not a regular file")
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        why = "is a symbolic link" if Path(file).is_symlink() else error.strerror
        raise UsageError(f"cannot read {file}: {why}") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file}: is longer than {MAX_BYTES // 1024 // 1024} MB")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line}: not valid UTF-8") from None


@dataclass(frozen=True, slots=True)
class Report:
    """What a comment says. `notices` are lines of our own, above the report; `log` is text of a terminal."""

    marker: str
    text: str = ""
    notices: tuple[str, ...] = ()
    log: str = ""
    failed: bool = False


def checked(text: str, file: str, marker: str) -> str:
    """Return a report without its marker. Raises UsageError for characters that no report has, or another marker."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not is_visible(shown := line.replace("\t", " ")):
            column = next(n for n, char in enumerate(shown, 1) if not is_visible(char))
            raise UsageError(
                f"{file}:{number}:{column}: unexpected character U+{ord(shown[column - 1]):04X}; "
                "expected a report that 'deployer plan --format markdown' has made"
            )
    if found := _MARKER.fullmatch(lines[0].strip()):
        if found[0] != marker:
            wanted = _MARKER.fullmatch(marker)
            other = f", not of {wanted[1]} {wanted[2]}" if wanted else ""
            raise UsageError(f"{file}:1:1: this is the report of {found[1]} {found[2]}{other}")
        lines = lines[1:]
    return "\n".join(lines).strip("\n")


def body(report: Report, limit: int, *, counts_bytes: bool = False) -> str:
    """Return the body of a comment with at most `limit` characters, or bytes of UTF-8."""
    last = report.text.rstrip().rpartition("\n")[2]
    # Of a report of several targets it would be that of the last one.
    is_one = not any(map(_is_marker, report.text.split("\n")))
    digest = _LAST_LINE.search(last) if is_one and not report.failed else None
    head = [report.marker, *([f"<!-- deployer-digest: {digest[1]} -->"] if digest else [])]
    head += [line for words in report.notices for line in ("", f"> [!CAUTION]\n> {words}")]
    lines = [*head, "", *_defused(report.text)]
    if report.log.strip():
        lines += ["", *_log(report.log)]
    return "\n".join(_fitting(lines, limit, counts_bytes=counts_bytes)).rstrip() + "\n"


def _is_marker(line: str) -> bool:
    return _MARKER.fullmatch(line.strip()) is not None


def _defused(text: str) -> Iterator[str]:
    """Yield the lines of a report, such that only what is in code stays as it is."""
    fence = ""
    paragraph: list[str] = []
    follows_blank = True
    for line in text.split("\n"):
        match = _FENCE.fullmatch(line)
        if fence:
            if match and match[1].startswith(fence) and not match[2].strip():
                fence = ""
                yield match[1]
            else:
                # GitLab looks for commands with patterns of its own, not with those of Markdown.
                yield f" {line}" if line.startswith("/") else line
        elif match and not (match[1][0] == "`" and "`" in match[2]):
            yield from _paragraph(paragraph)
            # At the start of a line, after an empty one: a fence for every forge, in no list and in no HTML.
            if paragraph or not follows_blank:
                yield ""
            paragraph = []
            fence = match[1]
            yield f"{match[1]}{re.sub('[^A-Za-z0-9_+-]', '', match[2])}"
        elif _is_marker(line):
            continue
        elif line.strip():
            paragraph.append(line)
        else:
            yield from _paragraph(paragraph)
            paragraph = []
            yield line
        follows_blank = not line.strip()
    yield from _paragraph(paragraph)
    if fence:
        yield fence


def _paragraph(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines of text between empty ones. A code span may begin on one and end on another."""
    is_sure = True
    for line in lines:
        line = "".join(_without_html(line))
        runs = _TICKS.findall(line)
        is_sure = is_sure and "\\" not in line and _are_pairs(runs)
        parts = _spans(line) if is_sure else [(line, False)]
        if _SUMMARY.fullmatch(line):
            parts = ((part, at % 2 == 1) for at, part in enumerate(_CODE.split(line)))
        defused = "".join(part if is_code else _plain(part) for part, is_code in parts)
        yield re.sub(r"^(\s*)/", r"\1&#47;", defused)


def _without_html(line: str) -> Iterator[str]:
    at = 0
    while (start := line.find("<", at)) >= 0:
        yield line[at:start]
        tag = _TAG.match(line, start)
        yield tag[0] if tag else "&lt;"
        at = tag.end() if tag else start + 1
    yield line[at:]


def _are_pairs(runs: Sequence[str]) -> bool:
    """Return whether each run of backticks is closed by the very next one: then nobody reads them in another way."""
    return len(runs) % 2 == 0 and runs[::2] == runs[1::2]


def _spans(line: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a line whose backticks are pairs, and whether each is a code span."""
    at, inside, start = 0, False, 0
    for match in _TICKS.finditer(line):
        if inside:
            yield line[start : match.end()], True
            at = match.end()
        else:
            yield line[at : match.start()], False
            start = match.start()
        inside = not inside
    yield line[at:], False


def _plain(text: str) -> str:
    # An invisible blank after the sign, as an entity: with it, the sign begins no reference.
    parts = _FILE_LINK.split(_IMAGE.sub("&#33;", text))
    return "".join(part if at % 2 else _REFERENCE.sub(r"\g<0>&#8203;", part) for at, part in enumerate(parts))


def _log(text: str) -> list[str]:
    """Return the end of a log as a block of code."""
    lines = [line for piece in redacted(text).splitlines() for line in log_lines(piece)]
    kept: list[str] = []
    for line in reversed(lines[-MAX_LOG_LINES:]):
        if sum(map(len, kept)) + len(line) > MAX_LOG_CHARACTERS:
            break
        kept.insert(0, f" {line}" if line.startswith("/") else line)
    if len(kept) < len(lines):
        kept.insert(0, f"... {len(lines) - len(kept)} lines before")
    ticks = "`" * max(3, 1 + max((len(run) for line in kept for run in _TICKS.findall(line)), default=0))
    return [f"{ticks}text", *kept, ticks]


def _fitting(lines: Sequence[str], limit: int, *, counts_bytes: bool) -> list[str]:
    """Return as many lines as fit, with what is open closed, and a note if there are more."""

    def size(text: str) -> int:
        return len(text.encode()) if counts_bytes else len(text)

    if size("\n".join(lines)) + 1 <= limit:
        return [*lines]
    kept: list[str] = []
    fence, details, used = "", 0, 0
    for line in lines:
        opened = _FENCE.fullmatch(line)
        after = fence
        if opened:
            after = (
                "" if fence and opened[1].startswith(fence) and not opened[2].strip() else fence or opened[1]
            )
        depth = details
        if not fence:
            depth = max(0, depth + line.count("<details") - line.count("</details>"))
        end = [*([after] if after else []), *(["", "</details>"] * depth), "", _CUT]
        if used + size(line) + 1 + size("\n".join(end)) + 2 > limit:
            break
        kept.append(line)
        used += size(line) + 1
        fence, details = after, depth
    return [*kept, *([fence] if fence else []), *(["", "</details>"] * details), "", _CUT]
