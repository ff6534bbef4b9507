"""The lines of an author's file as they may be shown.

The file may be one that nothing can parse. So a line that names a secret is hidden whole, and so is what may
belong to it below; in doubt a line is hidden.
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

    The values of keys with the name of a secret are secret, and of those that match a pattern of `sensitive`,
    which is in small letters; so is what follows an option with such a name, and what is masked in any text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    hider = _Hider(text, sensitive)
    return [HIDDEN if hider.hides(line) else line for line in text.split("\n")]


@cache
def sensitive_keys() -> tuple[str, ...]:
    """Return patterns of the keys whose values any parameter table calls sensitive, in small letters."""
    patterns: set[str] = set()
    for kind in KINDS.values():
        for row in kind.create.all_rows():
            if row.sensitive is True:
                patterns.update((row.name, *row.aliases))
            elif row.sensitive:
                patterns.update(row.sensitive)
    return tuple(sorted(map(str.casefold, patterns)))


# Only what stands for one character is repeated possessively here: with groups Python 3.11 gets that wrong
# before 3.11.5, and Debian 12 has 3.11.2.
_PLAIN = r"[^\s\"'{}\[\],:\\]"
_IN_DOUBLE = r"[^\"\\]*+(?:\\.[^\"\\]*+)*"
_IN_SINGLE = r"[^']*+(?:''[^']*+)*"

_KEY = re.compile(rf"(?<!{_PLAIN})({_PLAIN}++)[\\\"'\s)}}\]]*+:(?=[\s\"'{{\[|>&!*\\]|$)")
# A mapping may hold a name and a value as two entries.
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
# The rule that a manifest waives with a reason, which is no secret.
_WAIVER = re.compile(r"(?<![\w.-])literal-secret(?=[\"']?\s*+:\s)")

_DOCUMENT = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
_LEAD = re.compile(r"\s*+(?:-\s++)*")
# A comment, or nothing but tags: it neither ends a value nor is one.
_ASIDE = re.compile(r"\s*+(?:#.*|(?:\{[%#][^{}]*+\}\s*+)+)$")
# What can stand after a value that has ended: an item, a closing bracket, a key.
_NEXT = re.compile(
    rf"[-?](?:\s|$)|[}}\])]|(?:\"{_IN_DOUBLE}\"|'[^']*+')\s*+:"
    r"|(?![:\"'])(?:[^:,{}\[\]]++|:(?!\s|$)|\{\{[^{}]*+\}\})+:(?=\s|$)"
)
_QUOTED = re.compile(rf"(?<![^\s\[{{,:])(?:\"{_IN_DOUBLE}\"|'{_IN_SINGLE}'(?!'))")
_OPEN_QUOTE = re.compile(r"(?<![^\s\[{,:])[\"']")
# How what is open on earlier lines ends: a quoted text, by its quote, or a block.
_END = {
    '"': re.compile(rf"{_IN_DOUBLE}\""),
    "'": re.compile(rf"{_IN_SINGLE}'(?!')"),
    "block": re.compile(r".*?(?:-----END|endset)"),
}


class _Hider:
    """Tells which lines of one file are hidden, asked in their order.

    `below` is the column where a hidden line begins, in half columns, as a dash counts half a column more
    than other text: what stands right of it may belong to that line. `open` holds what may be open, a quote,
    a block or nothing, and with it the number of brackets; in doubt, it holds several.
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
        """Return whether a key of the line names a secret, and whether anything on it does."""
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
        """Note what may belong to a hidden line."""
        # Where an option is an item of a list, its value is the next item: another line continues the option.
        is_item = self.below is not None and self.below % 2 == 1
        continues = self.is_next and is_item and not line.lstrip().startswith("-")
        if names or self.is_next:
            start = len(line) - len(_LEAD.sub("", line, count=1))
            dash = line.rfind("-", 0, start)
            column = 2 * start if has_key or dash < 0 else 2 * dash + 1
            self.below = min(column, self.below) if belongs and self.below is not None else column
        # The line may begin inside a quoted text that is no secret, and so was not followed.
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
    """Yield what may be open after a line, and how many brackets, where `what` is open before it."""
    if what:
        if not (end := _END[what].match(line)):
            yield what, brackets
            return
        line = f"x{line[end.end() :]}"  # what follows a closing quote opens none
    if _BLOCK.search(line):
        yield "block", brackets
    rest = _QUOTED.sub("", line)
    quote = _OPEN_QUOTE.search(rest)
    for bracket in re.findall(r"[\[\]{}]", rest[: quote.start()] if quote else rest):
        brackets = max(0, brackets + (1 if bracket in "[{" else -1))
    yield quote[0] if quote else "", brackets
