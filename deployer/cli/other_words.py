"""Verbs of other tools, with the verb of deployer that does it; imported for an unknown verb only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.errors import similar

_APPLY = "'deployer apply' creates, updates and starts jobs"
_DELETE = (
    "'deployer destroy NAME' cancels or deletes a job; to keep it away, remove its manifest or set 'lifecycle: {state: "
    "absent}' in it; 'deployer apply --prune' removes jobs without a manifest"
)
_LIST = "'deployer list' lists all live jobs, 'deployer status' shows those with a manifest"
_PLAN = "'deployer plan' shows the changes that apply would make"
_STATUS = "'deployer status' shows the live state of each job"
_VALIDATE = "'deployer validate' checks all manifests offline"

# The words are those of Terraform, Kubernetes, Docker, Pulumi, Helm, Databricks and Git. A word that is a verb of
# deployer does not get here.
SENTENCES: Mapping[str, str] = {
    "check": _VALIDATE,
    "create": "'deployer apply' creates jobs; 'deployer init' creates a project",
    "delete": _DELETE,
    "deploy": _APPLY,
    "describe": _STATUS,
    "diff": _PLAN,
    "docs": "'deployer explain' describes a kind, a field, a rule or an error code",
    "down": "'deployer cancel' cancels or stops running jobs",
    "format": "'deployer fmt' formats manifests and other project files",
    "get": _LIST,
    "help": "run 'deployer --help', or 'deployer VERB --help'",
    "install": _APPLY,
    "jobs": _LIST,
    "kill": "'deployer cancel' cancels or stops running jobs",
    "lint": _VALIDATE,
    "ls": _LIST,
    "new": "'deployer init' creates a project",
    "preview": _PLAN,
    "ps": _LIST,
    "push": _APPLY,
    "refresh": "'deployer plan' reads the live state each time",
    "remove": _DELETE,
    "restart": "'deployer apply --rerun name=NAME' runs a job again",
    "rerun": "'deployer apply --rerun name=NAME' runs a job again",
    "rm": _DELETE,
    "show": _STATUS,
    "start": _APPLY,
    "stop": "'deployer cancel' cancels or stops running jobs",
    "submit": _APPLY,
    "sync": _APPLY,
    "tail": "'deployer logs --follow' follows job logs",
    "template": "'deployer render' prints rendered manifests as YAML",
    "test": _VALIDATE,
    "undeploy": _DELETE,
    "uninstall": _DELETE,
    "up": _APPLY,
    "update": _APPLY,
    "upgrade": _APPLY,
    "version": "run 'deployer --version'",
    "watch": "'deployer status --watch' shows the live state again and again",
}


def no_such_verb(word: str, verbs: Sequence[str]) -> str:
    """Return the message about an unknown verb, with what does it here or the nearest verb."""
    sentence = SENTENCES.get(word.casefold())
    return f"no such verb '{word}'" + (f"; {sentence}" if sentence else similar(word, verbs))
