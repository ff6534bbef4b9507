"""The tag of a Flink job that names a savepoint which does not hold the state of its last run.

A listing shows the path of a savepoint, not its time: whether it is older than the last start cannot be told from it.
So the job is tagged with the savepoint that it still shows after a start from it, or before a stop that should
leave a new one. A later plan, from any checkout, does not start the job from that one.
"""

from __future__ import annotations

import hashlib

from deployer.model import LiveJob

SAVEPOINT_TAG = "deployer-savepoint"


def savepoint_tag(live: LiveJob) -> dict[str, str]:
    """Return the tag for the savepoint that a live job shows; empty if it does not show which one it has."""
    if live.savepoint in {"", "yes"}:
        return {}
    # A path may be longer than the value of a tag.
    return {SAVEPOINT_TAG: hashlib.sha256(live.savepoint.encode(errors="surrogatepass")).hexdigest()[:32]}


def has_old_savepoint(live: LiveJob) -> bool:
    """Return whether the savepoint that a live job shows is the one in its tag."""
    return live.ownership.get("savepoint") in savepoint_tag(live).values()
