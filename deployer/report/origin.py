"""Where a report comes from: version, commit and time; and links to the files at that commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from deployer.model import Source

_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+){0,8}/?")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MAX_LINK = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a report. `files` is the URL of the files at the commit, empty if it is not known.

    `folder` is the path of the project in the repository. `commit` may end with ` dirty`.
    """

    version: str
    commit: str = ""
    time: datetime | None = None
    files: str = ""
    folder: str = ""

    def link(self, source: Source) -> str:
        """Return the URL of a line of a file; empty if there is none."""
        path = "/".join(part for part in (self.folder, source.file) if part not in {"", "."})
        parts = path.split("/")
        if not self.files or ".." in parts or not source.file:
            return ""
        line = f"#L{source.line}" if source.line else ""
        url = f"{self.files}/{quote(path, safe='/', errors='replace')}{line}"
        return url if len(url) <= _MAX_LINK else ""


def files_url(environment: Mapping[str, str]) -> str:
    """Return the URL of the files at the commit that a CI names in its variables; empty if it names none."""
    commit = environment.get("GITHUB_SHA", "")
    server, repository = environment.get("GITHUB_SERVER_URL", ""), environment.get("GITHUB_REPOSITORY", "")
    if commit and is_web_address(server) and _REPOSITORY.fullmatch(repository) and _COMMIT.fullmatch(commit):
        return f"{server.rstrip('/')}/{repository}/blob/{commit}"
    commit, project = environment.get("CI_COMMIT_SHA", ""), environment.get("CI_PROJECT_URL", "")
    if commit and is_web_address(project) and _COMMIT.fullmatch(commit):
        return f"{project.rstrip('/')}/-/blob/{commit}"
    return ""


def is_web_address(url: str) -> bool:
    """Return whether a URL is one of HTTPS without user, query and fragment, and of plain characters."""
    return bool(_URL.fullmatch(url)) and ".." not in urlsplit(url).path.split("/")
