"""The lines of an author's file, with those hidden that may contain a secret.

The file may be invalid. So a line that names a secret is hidden completely, and so are the lines below that may
belong to it; in doubt a line is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate
from functools import cache

from deployer.kinds import KINDS
from deployer.secrets.redact import NAME, OPTION
from deployer.secrets.redact import text as redacted

HIDDEN = "(hidden: may hold a secret)"


def shown_lines(text: str, sensitive: Sequence[str] = ()) -> list[str]:
    """Return the lines of an author's file, each as it is or `HIDDEN`.

    The values of keys with the name of a secret are secret, and of keys that match a pattern of `sensitive`,
    which is in lower case; so is the value of an option with such a name, and whatever is masked in any text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    hider = _Hider(text, sensitive)
    return [HIDDEN if hider.hides(line) else line for line in text.split("\n")]


@cache
def sensitive_keys() -> tuple[str, ...]:
    """Return patterns of the keys that any parameter table marks as sensitive, in lower case."""
    patterns: set[str] = set()
    for kind in KINDS.values():
        for row in kind.create.all_rows():
            if row.sensitive is True:
                patterns.update((row.name, *row.aliases))
            elif row.sensitive:
                patterns.update(row.sensitive)
    return tuple(sorted(map(str.casefold, patterns)))


# Only single characters are repeated possessively here: with groups it is broken in Python 3.11
# before 3.11.5, and Debian 12 has 3.11.2.
_PLAIN = r"[^\s\"'{}\[\],:\\]"
_IN_DOUBLE = r"[^\"\\]*+(?:\\.[^\"\\]*+)*"
_IN_SINGLE = r"[^']*+(?:''[^']*+)*"

_KEY = re.compile(rf"(?<!{_PLAIN})({_PLAIN}++)[\\\"'\s)}}\]]*+:(?=[\s\"'{{\[|>&!*\\]|$)")
# A mapping may have a name and a value as two entries.
_NAMED = re.compile(rf"(?<!{_PLAIN})(?:key|name)[\\\"']*+\s*+:[\s\\\"']*+(?=({_PLAIN}++))", re.IGNORECASE)
_KEY_FILE = r"-----BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY"
_SET_BLOCK = rf"\{{%[-+]?\s*+set\s+[\w.]{{0,64}}?{NAME}\s*+[-+]?%\}}"
_NAMES = re.compile(
    rf"{_KEY_FILE}|{_SET_BLOCK}|{OPTION}(?![\w.-])|{NAME}[\"'\])]*+\s*+\|\s*+d(?:efault)?\s*+\("
    rf"|^\s*+(?:-\s++)*\?\s.*?{NAME}",
    re.IGNORECASE,
)
# A key file, or what a template sets, up to its end.
_BLOCK = re.compile(rf"(?:{_KEY_FILE}|{_SET_BLOCK})(?!.*(?:-----END|endset))", re.IGNORECASE)
_ENDS_IN_OPTION = re.compile(rf"{OPTION}[\"']?\s*+[,\\]?\s*+(?:#.*)?$", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{\{[^{}]*+\}\}")
# A waived rule, whose reason is not a secret.
_WAIVER = re.compile(r"(?<![\w.-])literal-secret(?=[\"']?\s*+:\s)")

_DOCUMENT = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
_LEAD = re.compile(r"\s*+(?:-\s++)*")
# A comment, or only template tags: neither a value nor the end of one.
_ASIDE = re.compile(r"\s*+(?:#.*|(?:\{[%#][^{}]*+\}\s*+)+)$")
# The start of a line after the end of a value: an item, a closing bracket, a key.
_NEXT = re.compile(
    rf"[-?](?:\s|$)|[}}\])]|(?:\"{_IN_DOUBLE}\"|'[^']*+')\s*+:"
    r"|(?![:\"'])(?:[^:,{}\[\]]++|:(?!\s|$)|\{\{[^{}]*+\}\})+:(?=\s|$)"
)
_QUOTED = re.compile(rf"(?<![^\s\[{{,:])(?:\"{_IN_DOUBLE}\"|'{_IN_SINGLE}'(?!'))")
_OPEN_QUOTE = re.compile(r"(?<![^\s\[{,:])[\"']")
# The end of an open construct of earlier lines: a quoted string or a block.
_END = {
    '"': re.compile(rf"{_IN_DOUBLE}\""),
    "'": re.compile(rf"{_IN_SINGLE}'(?!')"),
    "block": re.compile(r".*?(?:-----END|endset)"),
}


class _Hider:
    """A filter that decides for each line of a file, in order, whether it is hidden.

    `below` is the start column of a hidden line, in half columns, as a dash counts half a column more than
    other text: a line that starts right of it may belong to that line. `open` has the possibly open constructs,
    a quote, a block or nothing, each with the number of open brackets.
    """

    def __init__(self, text: str, sensitive: Sequence[str]) -> None:
        secret = "|".join([rf"(?s:.*{NAME})\Z", *map(translate, sensitive)])
        named = _NAMED.findall(_EXPRESSION.sub("x", text))
        if any(re.match(secret, name.casefold()) for name in named):
            secret += r"|value\Z"
        self._secret_key = re.compile(secret)
        self._end()

    def _end(self) -> None:
        self.below: int | None = None
        self.open: dict[str, int] = {}
        self.is_next = False  # the value of an option comes next
        self.in_comment = False

    def hides(self, line: str) -> bool:
        """Return whether the next line is hidden."""
        if not line.strip():
            return False
        if _DOCUMENT.match(line):
            self._end()
        has_key, names = self._names_secret(line)
        is_comment, is_aside = line.lstrip().startswith("#"), bool(_ASIDE.match(line))
        belongs = self._belongs(line, is_comment=is_comment, is_aside=is_aside)
        self.in_comment = is_comment and (names or belongs)
        if is_aside and not self.open:
            if _BLOCK.search(line):
                self.open = {"block": 0}
        elif names or belongs:
            self._note(line, has_key=has_key, names=names, belongs=belongs)
        else:
            self._end()
        return names or belongs

    def _names_secret(self, line: str) -> tuple[bool, bool]:
        """Return whether a key of the line names a secret, and whether any part of the line does."""
        line = _WAIVER.sub("x", line)
        if any(self._secret_key.match(key[1].casefold()) for key in _KEY.finditer(line)):
            return True, True
        folded = _EXPRESSION.sub("x", line)
        return False, bool(_NAMES.search(line)) or redacted(line) != line or redacted(folded) != folded

    def _belongs(self, line: str, *, is_comment: bool, is_aside: bool) -> bool:
        if self.open or (self.in_comment and is_comment):
            return True
        indent = len(line) - len(line.lstrip())
        has_dash = line[indent] == "-"
        goes_on = not is_aside and not _NEXT.match(line, indent)
        if self.is_next and (is_aside or has_dash or goes_on):
            return True
        return self.below is not None and (goes_on or 2 * indent + has_dash > self.below)

    def _note(self, line: str, *, has_key: bool, names: bool, belongs: bool) -> None:
        """Record which following lines may belong to a hidden line."""
        # Where an option is an item of a list, its value is the next item: another line continues the option.
        is_item = self.below is not None and self.below % 2 == 1
        continues = self.is_next and is_item and not line.lstrip().startswith("-")
        if names or self.is_next:
            start = len(line) - len(_LEAD.sub("", line, count=1))
            dash = line.rfind("-", 0, start)
            column = 2 * start if has_key or dash < 0 else 2 * dash + 1
            self.below = min(column, self.below) if belongs and self.below is not None else column
        # The line may start inside a quoted string that is not secret, and so was not tracked.
        begins = ["", *(quote for quote in "\"'" if names and _END[quote].match(line))]
        self.open = {what: 0 for what in begins if names or not self.open} | self.open
        self.is_next = continues or bool(_ENDS_IN_OPTION.search(line))
        self._note_open(line)

    def _note_open(self, line: str) -> None:
        states = self.open or {"": 0}
        self.open = {}
        for what, brackets in (found for state in states.items() for found in _open_after(line, *state)):
            if what or brackets:
                self.open[what] = max(brackets, self.open.get(what, 0))


def _open_after(line: str, what: str, brackets: int) -> Iterator[tuple[str, int]]:
    """Yield the possibly open constructs after a line, with the number of brackets, if `what` is open before it."""
    if what:
        if not (end := _END[what].match(line)):
            yield what, brackets
            return
        line = f"x{line[end.end() :]}"  # text after a closing quote opens no quote
    if _BLOCK.search(line):
        yield "block", brackets
    rest = _QUOTED.sub("", line)
    quote = _OPEN_QUOTE.search(rest)
    for bracket in re.findall(r"[\[\]{}]", rest[: quote.start()] if quote else rest):
        brackets = max(0, brackets + (1 if bracket in "[{" else -1))
    yield quote[0] if quote else "", brackets
