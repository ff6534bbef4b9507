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
    """Makes the streams write escapes for characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def out(text: str = "", *, newline: bool = True) -> bool:
    """Writes a result; False when its reader has just gone away. Raises DeployerError where it cannot be."""
    return _write(text, newline=newline, stream=sys.stdout)


def err(text: str) -> None:
    """Writes a problem, a warning or progress."""
    _write(text, newline=True, stream=sys.stderr)


_BAR = 20
_shown = threading.Event()  # whether a bar stands on the last line of the terminal


def bar(done: int, total: int) -> None:
    """Shows a progress bar on the last line of a terminal; nowhere else."""
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
    """Redirects further output to nowhere, including what Python writes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _colour() -> bool | None:
    """Returns click's setting: False is never, None is on a terminal."""
    return False if os.environ.get("NO_COLOR") else None
