"""The lines of an author's file as they may be shown.

The file may be one that nothing can parse. So a line that names a secret is hidden whole, and so is what may
belong to it below; in doubt a line is hidden, and all that follows.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from fnmatch import translate
from functools import cache

from deployer.kinds import KINDS
from deployer.secrets.redact import NAME, OPTION
from deployer.secrets.redact import text as redacted

HIDDEN = "(hidden: may hold a secret)"

_NOWHERE = sys.maxsize

# Only what stands for one character is repeated possessively here: with groups Python 3.11 gets that wrong
# before 3.11.5, and Debian 12 has 3.11.2.
_EXPRESSION = re.compile(r"\{\{[^{}]*+\}\}")
_MARKS = re.compile(r"[\s\\\"'{}\[\],][)]*+")
_KEY = re.compile(r"(?<![^ :])([^ :]++) *+:")
# A mapping may hold a name and a value as two entries.
_NAMED = re.compile(r"(?<![^ :])(?:key|name) *+: *+(?=([^ :]++))")
_OPTION = re.compile(rf"{OPTION}(?![\w.-])", re.IGNORECASE)
# A key file, or what a template sets, which go on up to an end tag.
_BLOCK = re.compile(
    rf"-----BEGIN [A-Z0-9 ]{{0,64}}PRIVATE KEY|\{{%[-+]?\s*+set\s+[\w.]{{0,64}}?{NAME}\s*+[-+]?%\}}",
    re.IGNORECASE,
)
_DEFAULT_OR_LONG_KEY = re.compile(
    rf"{NAME}[\"'\])]*+\s*+\|\s*+d(?:efault)?\s*+\(|^\s*+(?:-\s++)*\?\s.*?{NAME}", re.IGNORECASE
)
# The rule that a manifest waives with a reason, which is no secret.
_WAIVER = re.compile(r"(?<![\w.-])literal-secret(?=[\"']?\s*+:\s)")

_LINE = re.compile(r"(\s*+)(?=\S)((?:-\s++)*)(?:(?P<key>\w[\w.-]*+):(?:\s|$))?")
_ASIDE = re.compile(r"\s*+(?:#|\{%[^{}]*+\}\s*+$)")
# What surely ends on its line: an expression, a quoted text, what stands in brackets, and again in brackets.
_CLOSED = (
    re.compile(r"\{\{(?:[^{}\"'\\]|'[\w.-]*+')*\}\}"),
    re.compile(r"(?<![^\s\[{,:])([\"'])[^\"'\\\[\]{}]*+(?<![\s,:])\1(?![^\s,:}\]])"),
    *[re.compile(r"[\[{][^\[\]{}\"']*+[\]}]")] * 2,
)


def shown_lines(text: str, sensitive: Sequence[str] = ()) -> list[str]:
    """Return the lines of an author's file, each as it is or `HIDDEN`.

    The values of keys with the name of a secret are secret, and of those that match a pattern of `sensitive`,
    which is in small letters; so is what follows an option with such a name, and what is masked in any text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    secret = "|".join([rf"(?s:.*{NAME})\Z", *map(translate, sensitive)])
    if any(re.match(secret, name) for name in _NAMED.findall(_words(_EXPRESSION.sub("x", text)))):
        secret += r"|value\Z"
    secret_key = re.compile(secret)
    shown: list[str] = []
    column = _NOWHERE  # where the hidden entry begins; -1 if nothing is sure to end it
    after_option = False
    for line in text.split("\n"):
        plain = _WAIVER.sub("x", line)
        if begin := _LINE.match(plain):
            indent, start, key = begin.end(1), begin.end(2), begin["key"]
            # An item belongs to a key in its column, and any item to an option.
            is_next = (indent < column and not after_option) if start > indent else (key and indent <= column)
            if is_next:
                column, after_option = _NOWHERE, False
            names = _names_secret(plain, secret_key)
            if names or (column < _NOWHERE and not _ASIDE.match(plain)):
                begins = start if key and secret_key.match(key.casefold()) else indent
                column = -1 if _is_open(plain) else min(column, begins)
                after_option = after_option or bool(_OPTION.search(plain))
        shown.append(HIDDEN if begin and column < _NOWHERE else line)
    return shown


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


def _words(text: str) -> str:
    return _MARKS.sub(" ", text).casefold()


def _names_secret(line: str, secret_key: re.Pattern[str]) -> bool:
    line = f"{line}\n{_EXPRESSION.sub('x', line)}"
    return (
        any(map(secret_key.match, _KEY.findall(_words(line))))
        or any(pattern.search(line) for pattern in (_OPTION, _BLOCK, _DEFAULT_OR_LONG_KEY))
        or redacted(line) != line
    )


def _is_open(line: str) -> bool:
    """Return whether it is in doubt that what begins on a line ends there, or by what stands below."""
    if _BLOCK.search(line):
        return True
    if _ASIDE.match(line):
        return False
    for closed in _CLOSED:
        line = closed.sub("x", line)
    return any(mark in line for mark in "\"'[{")
