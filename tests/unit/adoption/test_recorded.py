"""The recorded listings: each job becomes a manifest that plans as unchanged, or is named with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from deployer.adoption.verify import Context, verified
from deployer.kinds import KINDS
from deployer.kinds.kind import get_path
from deployer.kinds.ownership import extract_ownership
from deployer.model import LiveJob
from deployer.project.load import load
from testing.workspace import SHARED, needs_shared

# By the beginning of the reason; what is not here is imported.
REASONS = (
    "it has no name",
    "the list does not show its name",
    "the service does not return its spec",
    # The example of the SDK's reference has one queue in the entry and another one in the request.
    "its manifest would differ from the live job: /queue",
)


def recorded() -> Iterator[LiveJob]:
    for response in json.loads((SHARED / "recorded" / "responses.json").read_text()):
        for kind in KINDS.values():
            entries: Any = ()
            if response["api"] == kind.listing.table:
                entries = get_path(response["body"], kind.listing.items)
            elif response["api"] == kind.operations.get:
                entries = [get_path(response["body"], kind.entry) if kind.entry else response["body"]]
            for entry in entries or ():
                live = extract_ownership(kind, kind.observe(entry))
                place = "c-1" if kind.path_fields else live.identity.place
                yield replace(live, identity=live.identity._replace(place=place))


@needs_shared
def test_each_recorded_job_is_imported_or_named(tmp_path: Path) -> None:
    text = "apiVersion: deployer/v1\nkind: Project\nmetadata: {name: p}\ntargets: {t: {emulator: true}}\n"
    (tmp_path / "deployer.yaml").write_text(text)
    project = load(tmp_path)
    context = Context(project, project.target("t"), {}, ())
    found = [*recorded()]
    imported = 0
    for live in found:
        made, refused = verified(context, [live], [live])
        assert len(made) + len(refused) == 1
        assert [one.reason for one in refused if not one.reason.startswith(REASONS)] == []
        imported += len(made)
    assert (len(found) > 10, imported >= 6) == (True, True)
