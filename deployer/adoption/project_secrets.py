"""The text of deployer.yaml with more secrets in it. All that its author wrote stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from deployer.errors import DeployerError
from deployer.project.load import PROJECT_FILE


def with_secrets(text: str, names: Sequence[str]) -> str:
    """Return the text with an entry for each of the names. Raises DeployerError if there is no place for them."""
    before = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(before, yaml.MappingNode):
        raise _cannot()
    found = next((value for key, value in before.value if key.value == "secrets"), None)
    if found is None:
        lines = [text.rstrip("\n"), "", "secrets:", *(f"  {name}: {{}}" for name in names)]
        after = "\n".join(lines) + "\n"
    elif isinstance(found, yaml.MappingNode) and not found.flow_style and found.start_mark:
        at, column = found.start_mark.index - found.start_mark.column, found.start_mark.column
        after = text[:at] + "".join(f"{' ' * column}{name}: {{}}\n" for name in names) + text[at:]
    else:
        raise _cannot()
    _require_only_added(text, after, names)
    return after


def _require_only_added(before: str, after: str, names: Sequence[str]) -> None:
    try:
        old, new = yaml.safe_load(before), yaml.safe_load(after)
    except yaml.YAMLError:
        raise _cannot() from None
    if {**old, "secrets": {**(old.get("secrets") or {}), **{name: {} for name in names}}} != new:
        raise _cannot()


def _cannot() -> DeployerError:
    return DeployerError(
        f"cannot add secrets to {PROJECT_FILE}: write 'secrets:' as a block, or add them by hand, with "
        "--no-update-project; no files written"
    )
