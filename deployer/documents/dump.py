"""Plain data -> YAML that our own reader parses to the same data."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from deployer.documents.reserved import RESERVED
from deployer.documents.scalars import resolve
from deployer.escape import without_commands

# Line breaks for YAML 1.1 and PyYAML; our reader takes them as escapes only.
_BREAKS = "[\x85\u2028\u2029\ufeff]"
# What a GitHub runner interprets as a command at the start of a line.
_COMMAND = r"(?:^|\s)::"
_ESCAPED = re.compile(f"{_BREAKS}|{_COMMAND}")
_OBEYED = re.compile(_COMMAND, re.MULTILINE)


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes strings which our reader would resolve to another type."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    is_escaped = _ESCAPED.search(value) or without_commands(value) != value
    style = '"' if is_escaped else None if isinstance(resolve(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


class _BlockDumper(_Dumper):
    """A dumper for files, as `deployer fmt` formats them: lists are indented, references to secrets quoted.

    A string of several lines is a literal block.
    """

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _block_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    node = _text(dumper, value)
    if node.style is None and "\n" in value:
        node.style = "|"
    elif node.style is None and RESERVED.search(value):
        node.style = "'"
    return node


_BlockDumper.add_representer(str, _block_text)


def _dumped(value: Any, allow_unicode: bool, width: float, dumper: type[_Dumper]) -> str:
    text: str = yaml.dump(value, Dumper=dumper, allow_unicode=allow_unicode, sort_keys=False, width=width)
    return text


def dump(value: Any, *, allow_unicode: bool = True, as_blocks: bool = False, width: float = 80) -> str:
    """Return `value` in block style, mappings in their order.

    Without `allow_unicode` non-ASCII characters are escaped. With `as_blocks` strings of several lines are literal
    blocks, and those with references are in quotes. Lines are broken after `width` columns. No line is a command to a
    CI runner.
    """
    dumper = _BlockDumper if as_blocks else _Dumper
    text = _dumped(value, allow_unicode, width, dumper)
    if _OBEYED.search(text) or without_commands(text) != text:
        # A possible command is in double quotes, where it can be escaped, and on the line of its quote.
        text = without_commands(_dumped(value, allow_unicode, math.inf, dumper))
    return text[:-4] if text.endswith("\n...\n") else text  # the end of a document that is a scalar
