"""Where text leaves the program: results on stdout, everything else on stderr.

Colours only on a terminal, and not with NO_COLOR. A reader that goes away (`deployer plan | head`) must not
stop an apply, and what the terminal's encoding lacks must not either.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO

import click

from deployer.errors import DeployerError


def prepare() -> None:
    """Have what an encoding lacks written as an escape; once, at the start of the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def out(text: str = "", *, newline: bool = True) -> bool:
    """Write a result; False when its reader has just gone away. Raises DeployerError where it cannot be."""
    return _write(text, newline=newline, stream=sys.stdout)


def err(text: str) -> None:
    """Write a problem, a warning or progress."""
    _write(text, newline=True, stream=sys.stderr)


_BAR = 20
_shown = threading.Event()  # whether a bar stands on the last line of the terminal


def bar(done: int, total: int) -> None:
    """Show how far a command is on the last line of a terminal, until something else is written."""
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
        raise DeployerError(f"the output cannot be written: {error.strerror}") from None


def _silence(stream: TextIO) -> None:
    """Send the rest nowhere, what Python still writes at exit included."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _colour() -> bool | None:
    """Return click's word: False is never, None is on a terminal."""
    return False if os.environ.get("NO_COLOR") else None
