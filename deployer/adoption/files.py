"""Manifests -> files: their names, which come from hostile names of jobs, and their texts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from deployer.model import Identity, LiveJob

MAX_STEM = 80

# Names that are devices on Windows, whatever follows the first dot.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)

GROUPS: Mapping[str, Callable[[LiveJob, Mapping[str, str]], str]] = {
    "kind": lambda live, _: live.identity.kind.lower(),
    "queue": lambda live, places: (
        places.get(live.identity.place, live.identity.place)
        or str((live.spec or {}).get("queue_name") or "no-queue")
    ),
}


def grouped(
    texts: Sequence[tuple[LiveJob, str]], folder: str, group: str | None, places: Mapping[str, str]
) -> dict[str, tuple[str, tuple[Identity, ...]]]:
    """Return the text and the jobs of each file: one file a job, or several documents in a file.

    `places` are the names of clusters by id.
    """
    taken: set[str] = set()
    if group:
        together: dict[str, list[tuple[LiveJob, str]]] = {}
        for live, text in texts:
            together.setdefault(GROUPS[group](live, places), []).append((live, text))
        stems = {key: _unused(safe_stem(key), taken) for key in together}
        return {
            _path(folder, stems[key]): (
                "---\n".join(text for _, text in documents),
                tuple(live.identity for live, _ in documents),
            )
            for key, documents in together.items()
        }
    # Names that several jobs share get the kind as well, all of them.
    counts = Counter(safe_stem(live.identity.name).casefold() for live, _ in texts)
    files: dict[str, tuple[str, tuple[Identity, ...]]] = {}
    for live, text in texts:
        stem = safe_stem(live.identity.name)
        if counts[stem.casefold()] > 1:
            stem = f"{stem}-{live.identity.kind.lower()}"
        files[_path(folder, _unused(stem, taken))] = (text, (live.identity,))
    return files


def safe_stem(name: str) -> str:
    """Return a file name, without suffix, for any name of a job: plain letters, digits, `.`, `_` and `-`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)
    # A leading dot or underscore would hide the file from the project.
    stem = re.sub(r"\.{2,}", ".", stem).strip("._-")[:MAX_STEM].rstrip("._-") or "job"
    # deployer.yaml would make a project of its folder.
    return f"job-{stem}" if stem.casefold() == "deployer" or _DEVICES.fullmatch(stem) else stem


def _unused(stem: str, taken: set[str]) -> str:
    """Return a stem that no other file has, also where upper and lower case are the same."""
    unused, number = stem, 1
    while unused.casefold() in taken:
        number += 1
        unused = f"{stem}-{number}"
    taken.add(unused.casefold())
    return unused


def _path(folder: str, stem: str) -> str:
    return str(PurePosixPath(folder, f"{stem}.yaml"))
