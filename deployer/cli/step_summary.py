"""`--summary`: Markdown for the summary of a step in GitHub Actions, which the runner shows on the page of the run."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

from deployer.cli.session import note
from deployer.errors import DeployerError
from deployer.report.markdown import LEAST_LIMIT

VARIABLE = "GITHUB_STEP_SUMMARY"
# Of the whole file, to which other commands of the step may append too. The runner uploads nothing of a longer one.
MOST_BYTES = 1024 * 1024
_LONGEST = 4  # bytes of a character


def append(markdown: Callable[[int], str], environment: Mapping[str, str]) -> None:
    """Append a report to the summary; `markdown` returns it with a limit of characters. Raises DeployerError."""
    named = environment.get(VARIABLE, "")
    if not named:
        note(f"no summary was written: {VARIABLE} is not set, as it is in GitHub Actions")
        return
    flags = (
        os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    try:
        descriptor = os.open(named, flags, 0o644)
        with os.fdopen(descriptor, "ab") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DeployerError(f"cannot write the summary: {VARIABLE} does not name a regular file")
            content = _content(markdown, MOST_BYTES - status.st_size)
            if content:
                opened.write(content)
            else:
                note("no summary was written: that of this step has no room for it (1 MiB)")
    except OSError as error:
        raise DeployerError(f"cannot write the summary ({VARIABLE}): {error.strerror}") from None


def _content(markdown: Callable[[int], str], room: int) -> bytes:
    """Return a report that fits so many bytes; empty if there is no room."""
    if room // _LONGEST < LEAST_LIMIT:
        return b""
    # What is before it must not become a part of its first line.
    content = f"\n{markdown(room // _LONGEST - 10)}\n".encode("utf-8", "backslashreplace")
    return content if len(content) <= room else b""
