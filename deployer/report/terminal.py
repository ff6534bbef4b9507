"""Output to the terminal: results on stdout, everything else on stderr.

Colours only on a terminal, and not with NO_COLOR, unless --color says otherwise. Neither a closed pipe
(`deployer plan | head`) nor a character that the terminal's encoding lacks may stop an apply.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

import click

from deployer.errors import DeployerError


def prepare() -> None:
    """Write characters that the encoding lacks as escapes; called once, at the start of the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def out(text: str = "", *, newline: bool = True) -> bool:
    """Write a result; return False if the pipe is closed. Raises DeployerError if it cannot be written."""
    return _write(text, newline=newline, stream=sys.stdout)


def err(text: str) -> None:
    """Write a problem, a warning or progress."""
    _write(text, newline=True, stream=sys.stderr)


def width() -> int | None:
    """Return the columns of the terminal that results go to; None if they go elsewhere, and may be as wide."""
    return _size()[0] if sys.stdout.isatty() else None


def can_redraw() -> bool:
    """Return whether results go to a terminal on which the cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def redraw(lines: Sequence[str], *, is_first: bool) -> bool:
    """Write `lines` in place of all that the terminal shows, as many as fit; return False if it is closed."""
    most = max(1, _size()[1] - 1)
    shown = [*lines[: most - 1], f"... {len(lines) - most + 1} more lines"] if len(lines) > most else lines
    # Each line is overwritten and the rest cleared: clearing first would flicker.
    text = "".join(f"{line}{_END_OF_LINE}\n" for line in shown)
    text = f"{_CLEAR if is_first else ''}{_HOME}{text}{_REST}"
    return _write(text, newline=False, stream=sys.stdout, controls=True)


def _size() -> tuple[int, int]:
    """Return the columns and lines of the terminal; the variables COLUMNS and LINES count first, as elsewhere."""
    try:
        found = tuple(os.get_terminal_size(sys.stdout.fileno()))
    except (OSError, ValueError):
        found = (0, 0)
    given = (os.environ.get(name, "") for name in ("COLUMNS", "LINES"))
    columns, lines = (int(size) if size.isdecimal() else 0 for size in given)
    return columns or found[0] or 80, lines or found[1] or 24


_HOME, _CLEAR, _END_OF_LINE, _REST = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"

_shown = threading.Event()  # set while the last line of the terminal is a bar


def bar(done: int, total: int, seconds: float) -> None:
    """Show the progress after so many seconds on the last line of a terminal, until something else is written."""
    if total < 2 or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return
    from deployer.report.progress import line  # on use: most output is no terminal

    # What was there is overwritten and the rest cleared: clearing first would flicker.
    click.echo(f"\r{line(done, total, seconds)}{_END_OF_LINE}", file=sys.stderr, nl=False, color=True)
    _shown.set()


def _wipe() -> None:
    if _shown.is_set():
        _shown.clear()
        click.echo("\r\x1b[K", file=sys.stderr, nl=False)


def _write(text: str, *, newline: bool, stream: TextIO, controls: bool = False) -> bool:
    try:
        _wipe()
        click.echo(text, file=stream, nl=newline, color=controls or _colour())
        return True
    except BrokenPipeError:
        _silence(stream)
        return False
    except OSError as error:
        _silence(stream)
        if stream is sys.stderr:
            return False
        raise DeployerError(f"cannot write output: {error.strerror}") from None


def _silence(stream: TextIO) -> None:
    """Discard all further output, including what Python writes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Colours:
    """The choice of --color."""

    choice = "auto"


def set_colour(choice: str) -> None:
    """Set when output has colours: always, never, or auto: on a terminal, unless NO_COLOR is set."""
    _Colours.choice = choice


def _colour() -> bool | None:
    """Return click's `color`: None is on a terminal."""
    if _Colours.choice != "auto":
        return _Colours.choice == "always"
    return False if os.environ.get("NO_COLOR") else None
