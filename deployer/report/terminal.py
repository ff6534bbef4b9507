"""Output to the terminal: results on stdout, everything else on stderr.

Colours only on a terminal, and not with NO_COLOR. Neither a closed pipe (`deployer plan | head`) nor a character
that the terminal's encoding lacks may stop an apply.
"""

from __future__ import annotations

import os
import sys
import threading
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


_BAR = 20
_shown = threading.Event()  # set while the last line of the terminal is a bar


def bar(done: int, total: int) -> None:
    """Show the progress on the last line of a terminal, until something else is written."""
    if total < 2 or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return
    _wipe()
    filled = _BAR * done // total
    click.echo(f"[{'#' * filled}{'.' * (_BAR - filled)}] {done} of {total}", file=sys.stderr, nl=False)
    _shown.set()


def _wipe() -> None:
    if _shown.is_set():
        _shown.clear()
        click.echo("\r\x1b[K", file=sys.stderr, nl=False)


def _write(text: str, *, newline: bool, stream: TextIO) -> bool:
    try:
        _wipe()
        click.echo(text, file=stream, nl=newline, color=_colour())
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


def _colour() -> bool | None:
    """Return click's `color`: False is never, None is on a terminal."""
    return False if os.environ.get("NO_COLOR") else None
