"""Which forge, repository and pull request a CI job is about, from the variables of its runner.

Nothing in the project decides it, as a pull request may change that: the token goes where the runner says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.errors import UsageError
from deployer.forge.forge import Forge, Place
from deployer.forge.gitee import Gitee
from deployer.forge.github import GitHub
from deployer.forge.gitlab import GitLab

FORGES: Mapping[str, type[Forge]] = {"github": GitHub, "gitlab": GitLab, "gitee": Gitee}
TOKEN_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "github": ("GITHUB_TOKEN", "GH_TOKEN"),
    "gitlab": ("GITLAB_TOKEN",),
    "gitee": ("GITEE_TOKEN",),
}
MAX_EVENT_BYTES = 32 * 1024 * 1024

_OWNER_AND_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
_GITLAB_PROJECT = re.compile(r"[0-9]+|[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_PULL = re.compile(r"refs/pull/([0-9]{1,9})/")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Credentials of the services and secrets of jobs: no forge has business with them.
_FOREIGN = ("HW_", "OS_", "HUAWEICLOUD_", "DEPLOYER_SECRET")


def place_of(
    environment: Mapping[str, str],
    *,
    forge: str | None,
    repository: str | None,
    number: int | None,
    commit: str | None,
) -> Place:
    """Return where comments go: as the options say, else as the runner does. Raises UsageError."""
    name = forge or _forge(environment)
    found = {"github": _github, "gitlab": _gitlab, "gitee": _gitee}[name](environment)
    wanted = repository or found.repository
    pattern = _GITLAB_PROJECT if name == "gitlab" else _OWNER_AND_NAME
    if not wanted:
        raise UsageError("the repository is not known; name it with --repository OWNER/NAME")
    if not pattern.fullmatch(wanted) or {".", ".."} & {*wanted.split("/")}:
        raise UsageError(f"'{wanted}' is not a repository; expected OWNER/NAME")
    commit = commit or found.commit
    if commit and not _COMMIT.fullmatch(commit):
        raise UsageError(f"'{commit}' is not a commit; expected all 40 digits of it")
    return Place(name, found.api, wanted, found.number if number is None else number, commit)


def token_of(environment: Mapping[str, str], forge: str, variable: str | None) -> str:
    """Return the token for a forge. Raises UsageError."""
    if variable and variable.upper().startswith(_FOREIGN):
        raise UsageError(
            f"{variable} is not sent to {FORGES[forge].title}: it is a credential of other services"
        )
    names = (variable,) if variable else TOKEN_VARIABLES[forge]
    for name in names:
        if token := environment.get(name, "").strip():
            return token
    raise UsageError(
        f"no token for {FORGES[forge].title}: set {' or '.join(names)}, or name another --token-variable"
    )


def _forge(environment: Mapping[str, str]) -> str:
    if environment.get("GITEA_ACTIONS") or environment.get("FORGEJO_ACTIONS"):
        raise UsageError("Gitea and Forgejo are not supported; supported: GitHub, GitLab, Gitee (--forge)")
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    if environment.get("GITLAB_CI") == "true":
        return "gitlab"
    if environment.get("giteePullRequestIid") or environment.get("giteeTargetRepoName"):
        return "gitee"
    raise UsageError("the forge is not known outside of GitHub Actions and GitLab CI; name it with --forge")


def _github(environment: Mapping[str, str]) -> Place:
    rest = environment.get("GITHUB_API_URL") or "https://api.github.com"
    # https://api.github.com/graphql, and on a server of its own https://HOST/api/graphql beside https://HOST/api/v3.
    api = f"{rest.rstrip('/').removesuffix('/v3')}/graphql"
    number = _number_in(environment.get("GITHUB_EVENT_PATH", ""))
    if number is None and (match := _PULL.match(environment.get("GITHUB_REF", ""))):
        number = int(match[1])
    return Place(
        "github", api, environment.get("GITHUB_REPOSITORY", ""), number, environment.get("GITHUB_SHA", "")
    )


def _number_in(file: str) -> int | None:
    """Return the number of the pull request in the event of a GitHub workflow; None if it is about none."""
    if not file:
        return None
    try:
        with Path(file).open("rb") as stream:
            event: Any = json.loads(stream.read(MAX_EVENT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    request = event.get("pull_request") if isinstance(event, dict) else None
    number = request.get("number") if isinstance(request, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _gitlab(environment: Mapping[str, str]) -> Place:
    number = environment.get("CI_MERGE_REQUEST_IID", "")
    return Place(
        "gitlab",
        environment.get("CI_API_V4_URL") or "https://gitlab.com/api/v4",
        # A merge request of a fork is one of the project that it is for.
        environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", ""),
        int(number) if number.isascii() and number.isdecimal() else None,
        environment.get("CI_COMMIT_SHA", ""),
    )


def _gitee(environment: Mapping[str, str]) -> Place:
    """Return what the Gitee plugin of Jenkins tells; other runners have no variables that are documented."""
    parts = (environment.get("giteeTargetNamespace"), environment.get("giteeTargetRepoName"))
    number = environment.get("giteePullRequestIid", "")
    return Place(
        "gitee",
        environment.get("GITEE_API_URL") or "https://gitee.com/api/v5",
        "/".join(part for part in parts if part) if all(parts) else "",
        int(number) if number.isascii() and number.isdecimal() else None,
    )
