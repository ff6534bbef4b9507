"""Which side changed since the last apply: the manifest, the live job or both, from the job's fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from testing.faults import FaultProxy, fill, listed, says
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

FINGERPRINT = "deployer-fingerprint"
OURS = {**SPECS["FlinkJar"], "smn_topic": "ours"}
MINE = {"tags": [{"key": "team", "value": "x"}]}
MANIFEST, DRIFT, UNKNOWN = "manifest changed", "changed outside deployer", "manifest and live job differ"
BOTH = "manifest changed, and the job was changed outside deployer"


@pytest.fixture
def stream(workspace: Workspace, clock: Clock) -> Workspace:
    """A stream that runs."""
    write(workspace)
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.1
    return workspace


def write(workspace: Workspace, **spec: Any) -> None:
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", {**OURS, **MINE, **spec}))


def call(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """What somebody else does."""
    url = f"{emulator.url}{path}"
    answer = requests.request(method, url, json=body, headers={"X-Auth-Token": TOKEN}, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def update(emulator: Emulator, **body: Any) -> None:
    call(emulator, "PUT", "/v1.0/pid/streaming/flink-jobs/1", body)


def tag(emulator: Emulator, key: str, value: str) -> None:
    call(emulator, "POST", "/v3/pid/dli_flink_job/1/tags/create", {"tags": [{"key": key, "value": value}]})


def untag(emulator: Emulator, key: str) -> None:
    call(emulator, "POST", "/v3/pid/dli_flink_job/1/tags/delete", {"tags": [{"key": key, "value": ""}]})


def tags(emulator: Emulator) -> dict[str, str]:
    found = call(emulator, "GET", "/v3/pid/dli_flink_job/1/tags")["tags"]
    return {tag["key"]: tag["value"] for tag in found}


def cause(workspace: Workspace) -> tuple[str, str]:
    """The cause of the only change, and the beginning of its reason."""
    [change] = workspace.plan()["changes"]
    return change["cause"], change["reason"].partition(";")[0].partition(" while ")[0]


def nothing(_: Any) -> None:
    pass


def drifts(emulator: Emulator) -> None:
    update(emulator, smn_topic="theirs")


def retags(emulator: Emulator) -> None:
    tag(emulator, "team", "theirs")


def forgets(emulator: Emulator) -> None:
    drifts(emulator)
    untag(emulator, FINGERPRINT)


def damages(emulator: Emulator) -> None:
    drifts(emulator)
    tag(emulator, FINGERPRINT, "v1-nonsense")


def is_newer(emulator: Emulator) -> None:
    drifts(emulator)
    tag(emulator, FINGERPRINT, tags(emulator)[FINGERPRINT].replace("v1-", "v2-"))


Elsewhere = Callable[[Emulator], None]
NEW = {"entrypoint": "obs://b/new.jar"}
NEW_TAGS = {"tags": [{"key": "team", "value": "y"}]}
CAUSES: list[tuple[str, dict[str, Any], Elsewhere, str, str]] = [
    ("manifest", NEW, nothing, "manifest", MANIFEST),
    ("drift", {}, drifts, "drift", DRIFT),
    ("both", NEW, drifts, "both", BOTH),
    ("tags-manifest", NEW_TAGS, nothing, "manifest", MANIFEST),
    ("tags-drift", {}, retags, "drift", DRIFT),
    ("tags-both", NEW_TAGS, retags, "both", BOTH),
    ("manifest-and-tags", NEW, retags, "both", BOTH),
    ("no-fingerprint", {}, forgets, "unknown", UNKNOWN),
    ("damaged", {}, damages, "unknown", UNKNOWN),
    ("newer", {}, is_newer, "unknown", UNKNOWN),
]


@pytest.mark.parametrize(
    ("spec", "elsewhere", "expected", "words"), [row[1:] for row in CAUSES], ids=[row[0] for row in CAUSES]
)
def test_the_side_of_a_stream_that_changed(
    stream: Workspace,
    emulator: Emulator,
    spec: dict[str, Any],
    elsewhere: Elsewhere,
    expected: str,
    words: str,
) -> None:
    write(stream, **spec)
    elsewhere(emulator)
    assert cause(stream) == (expected, words)
    assert stream.apply().code == 0
    assert "no changes" in stream.run("plan").out
    # The fingerprint is that of the update.
    drifts(emulator)
    assert cause(stream) == ("drift", DRIFT)


def test_a_fingerprint_is_no_part_of_the_job(stream: Workspace, emulator: Emulator) -> None:
    assert list(tags(emulator)) == ["team", "deployer", FINGERPRINT]
    assert all(len(value) <= 43 for value in tags(emulator).values())
    untag(emulator, FINGERPRINT)
    assert "no changes" in stream.run("plan").out
    tag(emulator, FINGERPRINT, "v1-0-0")
    assert "no changes" in stream.run("plan").out
    before = tags(emulator)
    assert stream.apply().code == 0
    assert tags(emulator) == before


def test_a_stream_that_only_starts_keeps_its_fingerprint(stream: Workspace, emulator: Emulator) -> None:
    before = tags(emulator)
    for state in ("stopped", "running"):
        document = manifest("FlinkJar", "alpha", {**OURS, **MINE}, lifecycle={"state": state})
        stream.write("one.yaml", document)
        assert stream.apply().code == 0
    assert tags(emulator) == before


def test_a_start_writes_tags_that_are_missing_or_outdated(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    """Those of an apply that was killed after the update, or of a job that was deployed without deployer."""
    fill(emulator.url, "FlinkJar", ["alpha"])
    update(emulator, smn_topic="ours")
    clock.tick = 0.1
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", OURS))
    assert [change["action"] for change in workspace.plan()["changes"]] == ["start"]
    assert workspace.apply().code == 0
    assert list(tags(emulator)) == ["deployer", FINGERPRINT]
    clock.forward(10)
    drifts(emulator)
    assert cause(workspace) == ("drift", DRIFT)


@pytest.mark.parametrize("key", ["deployer", "deployer-fingerprint", "deployer-secrets"])
def test_a_manifest_cannot_set_an_ownership_tag(workspace: Workspace, key: str) -> None:
    write(workspace, tags=[{"key": key, "value": "x"}])
    ran = workspace.run("validate")
    assert ran.code == 4
    assert f"'{key}' is reserved for ownership metadata" in ran.err


def many(number: int) -> list[dict[str, str]]:
    return [{"key": f"k{index}", "value": "x"} for index in range(number)]


@pytest.mark.parametrize("number", [18, 19, 20])
def test_as_many_ownership_tags_as_there_is_room_for(
    workspace: Workspace, emulator: Emulator, clock: Clock, number: int
) -> None:
    write(workspace, tags=many(17))
    assert workspace.apply().code == 0
    clock.forward(10)
    clock.tick = 0.1
    write(workspace, tags=many(number))
    ran = workspace.apply()
    assert (ran.code, "cannot write" in ran.out) == (0, False)
    assert [key for key in tags(emulator) if key.startswith("deployer")] == ["deployer", FINGERPRINT][
        : 20 - number
    ]
    assert "no changes" in workspace.run("plan").out
    # Without room it cannot be known whose it is.
    write(workspace, **NEW, tags=many(number))
    assert [change["action"] for change in workspace.plan()["changes"]] == ["restart"]
    assert workspace.apply().code == 0


def test_a_tag_that_cannot_be_written_is_a_note(
    workspace: Workspace, emulator: Emulator, clock: Clock, proxy: FaultProxy
) -> None:
    proxy.rule("POST", "tags/create", says(403, {"error_code": "DLI.0006", "error_msg": "not allowed"}))
    write(workspace)
    created = workspace.apply()
    assert created.code == 0
    assert "created (cannot write the ownership tags: " in created.out
    clock.forward(10)
    clock.tick = 0.1
    write(workspace, **NEW)
    # The body is known, what the service showed of it is not.
    assert cause(workspace) == ("unknown", UNKNOWN)
    updated = workspace.apply()
    assert updated.code == 0
    assert "cannot write the ownership tags: " in updated.out
    assert "no changes" in workspace.run("plan").out


def test_the_side_of_a_run_that_changed(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    specs = {kind: spec for kind, spec in SPECS.items() if kind != "FlinkJar"}
    fill(emulator.url, "SparkBatch", ["unmarked"])
    for kind, spec in specs.items():
        workspace.write(f"{kind}.yaml", manifest(kind, "alpha", spec))
    assert workspace.apply().code == 0
    clock.forward(10_000)
    other: dict[str, dict[str, Any]] = {
        "SparkBatch": {"file": "obs://b/x.jar"},
        "MrsJob": {"arguments": ["a", "b"]},
    }
    for kind, spec in specs.items():
        workspace.write(f"{kind}.yaml", manifest(kind, "alpha", {**spec, **other.get(kind, {})}))
    unmarked = manifest("SparkBatch", "unmarked", {**SPECS["SparkBatch"], "file": "obs://b/x.jar"})
    workspace.write("unmarked.yaml", unmarked)
    causes = {(change["kind"], change["name"]): change["cause"] for change in workspace.plan()["changes"]}
    assert causes == {
        ("SparkBatch", "alpha"): "manifest",
        ("SparkBatch", "unmarked"): "unknown",
        ("MrsJob", "alpha"): "unknown",
    }


def test_the_manifest_of_another_project_is_not_known(workspace: Workspace, clock: Clock) -> None:
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    workspace.apply()
    clock.forward(10_000)
    workspace.project["metadata"] = {"name": "ours"}
    workspace.write_project()
    workspace.write(
        "one.yaml", manifest("SparkBatch", "alpha", {**SPECS["SparkBatch"], "file": "obs://b/x.jar"})
    )
    assert cause(workspace) == ("unknown", UNKNOWN)


def test_without_a_difference_there_is_no_cause(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace)
    [change] = workspace.plan()["changes"]
    assert change["cause"] is None
    assert listed(emulator.url, "FlinkJar") == []
