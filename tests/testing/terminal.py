"""The real command in a process of its own, with a terminal as its output."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from testing.workspace import TOKEN


def at_terminal(
    folder: Path,
    *arguments: str,
    columns: int = 80,
    lines: int = 24,
    seen: Callable[[subprocess.Popen[bytes], str], object] | None = None,
) -> str:
    """Run `deployer ARGUMENTS` in `folder` and return all that its terminal was sent.

    `seen` is called with the process and everything so far, each time that there is more.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HW_", "OS_", "HUAWEICLOUD_")) and name not in {"CI", "COLUMNS", "LINES"}
    }
    environment = {**kept, "HW_AUTH_TOKEN": TOKEN, "NO_COLOR": "1", "TERM": "xterm", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "deployer", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while piece := _read(ours):
            text += piece
            if seen:
                seen(process, text.decode(errors="replace"))
    os.close(ours)
    return text.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end was closed
        return b""
