"""The examples at the end of a verb's help."""

from __future__ import annotations


def examples(*pairs: tuple[str, str]) -> str:
    """Return the epilog of a click command: a pair is a purpose and a command line."""
    lines = (line for purpose, command_line in pairs for line in (f"  # {purpose}", f"  {command_line}"))
    # \b keeps click from wrapping the lines into one paragraph.
    return "\n".join(["\b", "Examples:", *lines])
