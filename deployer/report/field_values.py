"""The values of a field as a report shows them: without what is secret, and without live values that are hidden."""

from __future__ import annotations

from deployer.escape import HIDDEN, pair
from deployer.model import FieldChange

SENSITIVE = "(sensitive value)"


def field_values(field: FieldChange) -> tuple[str | None, str | None]:
    """Return the live and the desired value, safe for a terminal; None for one that is not set, but not both."""
    if field.sensitive:
        return SENSITIVE, SENSITIVE
    live, desired = pair(field.live, field.desired)
    if field.live_hidden:
        live = HIDDEN
    elif field.live is None:
        return None, desired
    return live, None if field.desired is None else desired
