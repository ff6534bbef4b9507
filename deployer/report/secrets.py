"""The secrets of a plan: the fields that hold one, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.escape import printable
from deployer.model import Change, FieldChange, Plan, SecretField
from deployer.planning.paths import pointer_words


def fields(change: Change, shown: tuple[FieldChange, ...]) -> Iterator[tuple[str, str]]:
    """Yield the path and the words of each field that holds secrets and whose `shown` line does not name them."""
    for field in change.secrets:
        names = f"secret({', '.join(field.names)})"
        line = next((line for line in shown if _covers(line, field)), None)
        if line is None:
            yield printable(pointer_words(field.path)), f"{names}, not compared" if change.live else names
        elif line.sensitive or line.desired is None:
            yield printable(pointer_words(field.path)), names


def sources(plan: Plan) -> Iterator[str]:
    """Yield a line for each secret that the changes use: `JAR: variable DEPLOYER_SECRET_JAR is set`."""
    for secret in plan.secrets:
        status = f"is {secret.status}" if secret.status in {"set", "not set"} else secret.status
        yield printable(f"{secret.name}: {' '.join(filter(None, (secret.source, status)))}")


def _covers(line: FieldChange, field: SecretField) -> bool:
    return f"{field.path}/".startswith(f"{line.path}/")
