"""Paths of fields as people write them; JSON keeps the JSON Pointers."""

from __future__ import annotations

import re

from deployer.escape import value
from deployer.model import FieldChange

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def path_words(field: FieldChange) -> str:
    """Return the path of a field as people write it: `conf."spark.sql.shuffle.partitions"`, `args[2]`."""
    first, *others = field.parts or ("",)
    words = first if _BARE.fullmatch(first) else value(first)
    for part in others:
        if part.isascii() and part.isdecimal():
            words += f"[{part}]"
        else:
            words += f".{part if _BARE.fullmatch(part) else value(part)}"
    return words


def pointer_words(pointer: str) -> str:
    """Return a JSON Pointer as people write a path."""
    return path_words(FieldChange(pointer, None, None))
