"""Plain data -> YAML that our own reader takes for the same data."""

from __future__ import annotations

import re
from typing import Any

import yaml

from deployer.document import resolve

# Line breaks for YAML 1.1 and PyYAML; our reader takes them as escapes only.
_ESCAPED = re.compile("[\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Quotes the text that our reader would take for something else: PyYAML goes by YAML 1.1."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _ESCAPED.search(value) else None if isinstance(resolve(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any, *, allow_unicode: bool = True) -> str:
    """`value` in block style, mappings in their order; without `allow_unicode` all but ASCII is escaped."""
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=allow_unicode, sort_keys=False)
    return text[:-4] if text.endswith("\n...\n") else text  # a scalar alone ends with that
