"""Hides the lines of an author's file that may contain a secret, so that the others can be shown.

The file may be invalid, so it is not parsed. A line with the name of a secret is hidden completely, and so are
the lines below it that may be part of the value. If the end of the value is uncertain, all lines that follow are
hidden.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from fnmatch import translate
from functools import cache

from deployer.kinds import KINDS
from deployer.secrets.redact import NAME, OPTION, key_pair, redacted

HIDDEN = "(hidden: may hold a secret)"

_NO_ENTRY = sys.maxsize

# Possessive quantifiers are applied to single characters only, not to groups: before 3.11.5, Python has a bug in
# possessive groups, and Debian 12 has Python 3.11.2.
_EXPRESSION = re.compile(r"\{\{[^{}]*+\}\}")
_PUNCTUATION = re.compile(r"[\s\\\"'{}\[\],][)]*+")
_KEY = re.compile(r"(?<![^ :])([^ :]++) *+:")
# An item can be a mapping with the name of a setting in one entry, and its value in another.
_NAMED = re.compile(r"(?<![^ :])(?:key|name) *+: *+(?=([^ :]++))")
_OPTION = re.compile(rf"{OPTION}(?![\w.-])", re.IGNORECASE)
# A private key, or a `{% set %}` block for a secret: both continue up to an end marker.
_BLOCK = re.compile(
    rf"-----BEGIN [A-Z0-9 ]{{0,64}}PRIVATE KEY|\{{%[-+]?\s*+set\s+[\w.]{{0,64}}?{NAME}\s*+[-+]?%\}}",
    re.IGNORECASE,
)
_DEFAULT_OR_LONG_KEY = re.compile(
    rf"{NAME}[\"'\])]*+\s*+\|\s*+d(?:efault)?\s*+\(|^\s*+(?:-\s++)*\?\s.*?{NAME}", re.IGNORECASE
)
# The name of the rule `literal-secret`, whose waiver is followed by a reason, not by a secret.
_WAIVER = re.compile(r"(?<![\w.-])literal-secret(?=[\"']?\s*+:\s)")

_LINE = re.compile(r"(\s*+)(?=\S)((?:-\s++)*)(?:(?P<key>\w[\w.-]*+):(?:\s|$))?")
_COMMENT_OR_TAG = re.compile(r"\s*+(?:#|\{%[^{}]*+\}\s*+$)")
# Constructs that certainly end on their line: an expression, a quoted string, and brackets, up to two levels.
_CLOSED = (
    re.compile(r"\{\{(?:[^{}\"'\\]|'[\w.-]*+')*\}\}"),
    re.compile(r"(?<![^\s\[{,:])([\"'])[^\"'\\\[\]{}]*+(?<![\s,:])\1(?![^\s,:}\]])"),
    *[re.compile(r"[\[{][^\[\]{}\"']*+[\]}]")] * 2,
)


def shown_lines(text: str, sensitive: Sequence[str] = ()) -> list[str]:
    """Return the lines of an author's file, each unchanged or replaced by `HIDDEN`.

    These are hidden: the values of keys whose name is that of a secret or matches one of the lower-case patterns
    in `sensitive`, the values of options with the name of a secret, everything that `redacted` masks, and where
    the file has both, what may be an access key or its secret key.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    secret = _names(tuple(sensitive))
    if any(re.match(secret, name) for name in _NAMED.findall(_words(_EXPRESSION.sub("x", text)))):
        secret += r"|value\Z"
    secret_key = re.compile(secret)
    shown: list[str] = []
    column = _NO_ENTRY  # of the hidden entry; -1 if its end is uncertain
    after_option = False
    has_pair = all(key.search(text) for key in key_pair())
    for line in text.split("\n"):
        has_key = has_pair and any(key.search(line) for key in key_pair())
        plain = _WAIVER.sub("x", line)
        if entry := _LINE.match(plain):
            indent, start, key = entry.end(1), entry.end(2), entry["key"]
            # A list item in the column of a key is part of its value. After an option, any list item may be its value.
            is_next = (indent < column and not after_option) if start > indent else (key and indent <= column)
            if is_next:
                column, after_option = _NO_ENTRY, False
            names_secret = _names_secret(plain, secret_key)
            if names_secret or (column < _NO_ENTRY and not _COMMENT_OR_TAG.match(plain)):
                entry_column = start if key and secret_key.match(key.casefold()) else indent
                column = -1 if _is_open(plain) else min(column, entry_column)
                after_option = after_option or bool(_OPTION.search(plain))
        shown.append(HIDDEN if has_key or (entry and column < _NO_ENTRY) else line)
    return shown


@cache
def sensitive_keys() -> tuple[str, ...]:
    """Return the patterns, in lower case, of the keys whose values are sensitive in any parameter table."""
    patterns: set[str] = set()
    for kind in KINDS.values():
        for row in kind.create.all_rows():
            if row.sensitive is True:
                patterns.update((row.name, *row.aliases))
            elif row.sensitive:
                patterns.update(row.sensitive)
    return tuple(sorted(map(str.casefold, patterns)))


@cache
def _names(sensitive: tuple[str, ...]) -> str:
    """Return a pattern for the names of secrets."""
    return "|".join([rf"(?s:.*{NAME})\Z", *map(translate, sensitive)])


def _words(text: str) -> str:
    return _PUNCTUATION.sub(" ", text).casefold()


def _names_secret(line: str, secret_key: re.Pattern[str]) -> bool:
    line = f"{line}\n{_EXPRESSION.sub('x', line)}"
    return (
        any(map(secret_key.match, _KEY.findall(_words(line))))
        or any(pattern.search(line) for pattern in (_OPTION, _BLOCK, _DEFAULT_OR_LONG_KEY))
        or redacted(line) != line
    )


def _is_open(line: str) -> bool:
    """Return whether a value that starts on this line may continue on lines that indentation does not show."""
    if _BLOCK.search(line):
        return True
    if _COMMENT_OR_TAG.match(line):
        return False
    for closed in _CLOSED:
        line = closed.sub("x", line)
    return any(mark in line for mark in "\"'[{")
