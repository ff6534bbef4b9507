"""The key `state` of deployer.yaml: where the lock and the journal are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_REMOTE = "origin"


@dataclass(frozen=True, slots=True)
class StateSettings:
    """The state settings. `remote` is the name of a git remote; `branch` is empty to use a ref that is no branch."""

    uses_git: bool = False
    remote: str = DEFAULT_REMOTE
    branch: str = ""


LOCAL = StateSettings()


def state_settings(raw: str | Mapping[str, Mapping[str, str]]) -> StateSettings:
    """Convert the value of `state`, which the schema has checked: `local`, `git`, or `{git: {remote, branch}}`."""
    if isinstance(raw, str):
        return StateSettings(uses_git=raw == "git")
    git = raw["git"]
    return StateSettings(
        uses_git=True, remote=git.get("remote", DEFAULT_REMOTE), branch=git.get("branch", "")
    )
