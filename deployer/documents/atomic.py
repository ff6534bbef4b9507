"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, prefix: str, mode: int = 0o600) -> None:
    """Write a file in place of the one that is there, with the permissions `mode`. Raises OSError.

    The temporary file next to it begins with `prefix` and has a name that nobody can guess: a link that is committed
    must not redirect it.
    """
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    # Make the new name survive a power failure, where folders can be synced.
    with suppress(OSError):
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
