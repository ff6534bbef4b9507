"""`deployer list`: every live job of a target, its owner and its manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator
from testing.faults import FaultProxy, changed, fill, listed, says
from testing.terminal import at_terminal
from testing.workspace import SPECS, TOKEN, Clock, Ran, Workspace, manifest

BROKEN = says(500, {"error_code": "DLI.0999", "error_msg": "broken"})


def jobs(ran: Ran) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ran.json["jobs"]
    return found


def owners(ran: Ran) -> dict[str, tuple[str, str | None]]:
    return {job["name"]: (job["owner"], job["owner_project"]) for job in jobs(ran)}


def run_json(workspace: Workspace, *options: str) -> Ran:
    return workspace.run("list", "--format", "json", *options)


def write_all(workspace: Workspace, prefix: str, kinds: Iterable[str] = SPECS) -> None:
    workspace.write("all.yaml", [manifest(kind, f"{prefix}-{kind}", SPECS[kind]) for kind in kinds])


@pytest.fixture
def theirs(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A project of somebody else in the same target, with a job of each kind."""
    other = Workspace(
        tmp_path / "theirs",
        workspace.capture,
        workspace.url,
        project={"metadata": {"name": "theirs"}},
    )
    write_all(other, "theirs")
    assert other.apply().code == 0
    return other


def test_all_kinds_and_their_owners(workspace: Workspace, theirs: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours")
    assert workspace.apply().code == 0
    for kind in SPECS:
        fill(emulator.url, kind, [f"nobodys-{kind}"])
    ran = run_json(workspace)
    assert ran.code == 0
    holders = {"ours": ("ours", "tests"), "theirs": ("other", "theirs"), "nobodys": ("nobody", None)}
    # Sessions and MRS jobs have nothing that tells, but the journal has the ids of ours.
    assert owners(ran) == {
        f"{whose}-{kind}": holder if kind in {"SparkBatch", "FlinkJar"} else ("unknown", None)
        for whose, holder in holders.items()
        for kind in SPECS
    } | {"ours-SparkSession": ("ours", None), "ours-MrsJob": ("ours", None)}
    for kind in SPECS:
        key = "job_id" if kind in {"FlinkJar", "MrsJob"} else "id"
        shown = {job["id"] for job in jobs(ran) if job["kind"] == kind}
        assert shown == {str(entry[key]) for entry in listed(emulator.url, kind)}
    assert {job["name"] for job in jobs(ran) if job["source"]} == {f"ours-{kind}" for kind in SPECS}


def test_an_unnamed_session_may_be_that_of_a_manifest(workspace: Workspace, emulator: Emulator) -> None:
    for queue in ("q", "other"):
        url = f"{emulator.url}/v2.0/pid/sessions"
        body = {"kind": "spark", "queue": queue}
        assert requests.post(url, json=body, headers={"X-Auth-Token": TOKEN}, timeout=10).ok
    write_all(workspace, "ours", ["SparkSession"])
    ran = run_json(workspace)
    assert {job["place"]: (job["name"], job["unmanaged"]) for job in jobs(ran)} == {
        "q": (None, None),
        "other": (None, True),
    }
    filtered = run_json(workspace, "--unmanaged")
    assert [job["place"] for job in jobs(filtered)] == ["other"]
    assert "note: 1 job (SparkSession 1) may be among them" in filtered.err


def test_unmanaged_and_orphaned_jobs(workspace: Workspace, theirs: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours")
    assert workspace.apply().code == 0
    fill(emulator.url, "FlinkJar", ["draft"])
    workspace.write("all.yaml", manifest("SparkBatch", "ours-SparkBatch", SPECS["SparkBatch"]))
    unmanaged = run_json(workspace, "--unmanaged", "--kind", "SparkBatch", "--kind", "FlinkJar")
    orphans = run_json(workspace, "--orphans")
    assert {job["name"] for job in jobs(unmanaged)} == {"theirs-SparkBatch", "theirs-FlinkJar", "draft"}
    assert {job["name"] for job in jobs(orphans)} == {"ours-FlinkJar", "ours-SparkSession", "ours-MrsJob"}
    # Another session may be an orphan: nothing shows it.
    assert "may be among them: the owner or the name is not known" in orphans.err
    both = run_json(workspace, "--orphans", "--unmanaged", "--kind", "FlinkJar")
    assert {job["name"] for job in jobs(both)} == {"ours-FlinkJar", "theirs-FlinkJar", "draft"}
    # As plan has it, which also reads the clusters that the journal names.
    plan = workspace.plan()
    assert {orphan["name"] for orphan in plan["orphans"]} == {
        "ours-FlinkJar",
        "ours-SparkSession",
        "ours-MrsJob",
    }


def test_a_disabled_manifest_is_one(workspace: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours", ["FlinkJar"])
    assert workspace.apply().code == 0
    text = (workspace.folder / "all.yaml").read_text()
    workspace.write("all.yaml", f"{text}enabled: false\n")
    assert jobs(run_json(workspace, "--orphans")) == []
    assert workspace.plan()["orphans"] == []


def test_an_orphaned_run_that_ended_is_listed_on_request(workspace: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours", ["SparkBatch"])
    assert workspace.apply().code == 0
    emulator.store.end(listed(emulator.url, "SparkBatch")[0]["id"], "dead", "")
    workspace.write("all.yaml", "")
    hidden = run_json(workspace, "--orphans")
    assert (jobs(hidden), hidden.json["ended_not_shown"]) == ([], 1)
    assert "note: 1 ended run not shown (--all shows them)" in hidden.err
    [shown] = jobs(run_json(workspace, "--orphans", "-a"))
    assert (shown["state"], shown["ended"], shown["orphan"]) == ("dead", True, True)


def test_a_stopped_stream_has_not_ended(workspace: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours", ["FlinkJar"])
    assert workspace.apply().code == 0
    emulator.store.end(listed(emulator.url, "FlinkJar")[0]["job_id"], "job_finish", "")
    [shown] = jobs(run_json(workspace))
    assert (shown["state"], shown["ended"]) == ("job_finish", False)


def test_a_long_listing_is_read_to_its_end_and_sorted_naturally(
    workspace: Workspace, emulator: Emulator
) -> None:
    numbers = [*range(300, 0, -1)]
    fill(emulator.url, "SparkBatch", [f"job-{number}" for number in numbers])
    ran = workspace.run("list", "--kind", "SparkBatch")
    assert ran.code == 0
    names = [line.split()[1] for line in ran.out.splitlines()[1:]]
    assert names == [f"job-{number}" for number in sorted(numbers)]
    only = workspace.run("list", "--name", "job-29?", "--name", "job-7")
    assert [line.split()[1] for line in only.out.splitlines()[1:]] == [
        "job-7",
        *(f"job-{number}" for number in range(290, 300)),
    ]


def test_a_kind_that_is_not_asked_for_is_not_read(workspace: Workspace, proxy: FaultProxy) -> None:
    assert workspace.run("list", "--kind", "FlinkJar").code == 0
    assert {call.path.partition("?")[0] for call in proxy.calls} == {"/v1.0/pid/streaming/jobs"}


def test_a_kind_that_is_named_twice_is_read_once(workspace: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    ran = run_json(workspace, "--kind", "SparkBatch", "--kind", "SparkBatch", "--select", "name=alpha")
    assert [job["name"] for job in jobs(ran)] == ["alpha"]


def test_a_service_that_does_not_answer_is_asked_once(bare: Workspace) -> None:
    ran = bare.run("list")
    assert (ran.code, ran.out) == (1, "")
    [error] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: FlinkJar, SparkBatch, SparkSession: cannot be listed: ")


def test_a_project_without_ownership_tags_cannot_tell_its_jobs(
    workspace: Workspace, theirs: Workspace, emulator: Emulator
) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    fill(emulator.url, "SparkBatch", ["alpha"])
    ran = run_json(workspace, "--kind", "SparkBatch")
    assert owners(ran) == {"alpha": ("unknown", None), "theirs-SparkBatch": ("other", "theirs")}
    assert [job["orphan"] for job in jobs(ran)] == [None, False]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_listing_that_fails_is_named_and_the_others_are_shown(
    workspace: Workspace, emulator: Emulator, proxy: FaultProxy, style: str
) -> None:
    for kind in SPECS:
        fill(emulator.url, kind, ["alpha"])
    workspace.write_project(clusters={"reports": "c-1", "raw": "c-2"})
    proxy.rule("GET", "/batches", BROKEN)
    proxy.rule("GET", "/clusters/c-2/", BROKEN)
    ran = workspace.run("list", "--format", style)
    assert ran.code == 1
    assert "error: SparkBatch: cannot be listed: GET " in ran.err
    assert "error: MrsJob in raw: cannot be listed: GET " in ran.err
    if style == "json":
        assert {job["kind"] for job in jobs(ran)} == {*SPECS} - {"SparkBatch"}
        failed = {(each["kind"], each["place_name"]) for each in ran.json["listings"] if each["error"]}
        assert failed == {("SparkBatch", None), ("MrsJob", "raw")}
    else:
        assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {*SPECS} - {"SparkBatch"}


def test_tags_that_cannot_be_read_leave_the_owner_open(
    workspace: Workspace, emulator: Emulator, proxy: FaultProxy
) -> None:
    fill(emulator.url, "FlinkJar", ["alpha", "beta"])
    proxy.rule("GET", r"/\d+/tags", BROKEN, nth=1)
    ran = run_json(workspace)
    assert ran.code == 1
    assert sorted(job["owner"] for job in jobs(ran)) == ["nobody", "unknown"]
    assert re.search(
        "error: FlinkJar (alpha|beta): cannot read its tags, so its owner is not known: ", ran.err
    )


def test_the_clusters_are_those_of_the_target_and_the_manifests(
    workspace: Workspace, emulator: Emulator
) -> None:
    header = {"X-Auth-Token": TOKEN}
    for cluster in ("c-1", "c-2", "c-3"):
        url = f"{emulator.url}/v2/pid/clusters/{cluster}/job-executions"
        body = {"job_name": "report", "job_type": "HiveSql", "arguments": [cluster]}
        assert requests.post(url, json=body, headers=header, timeout=10).ok
    nothing = run_json(workspace)
    assert "note: MRS jobs are not listed: neither deployer.yaml" in nothing.err
    assert jobs(nothing) == []
    assert workspace.run("list", "--kind", "MrsJob").out == ""
    assert workspace.run("list", "--kind", "FlinkJar").out == "No live jobs found.\n"
    workspace.write_project(clusters={"reports": "c-2"})
    workspace.write("report.yaml", manifest("MrsJob", "report", SPECS["MrsJob"]))
    ran = run_json(workspace, "--kind", "MrsJob")
    assert "note: MRS jobs are listed for 2 clusters: c-1, reports (c-2)" in ran.err
    assert [(job["place"], job["place_name"], job["source"]) for job in jobs(ran)] == [
        ("c-1", None, "report.yaml:1"),
        ("c-2", "reports", None),
    ]
    assert "reports  " in workspace.run("list").out


def test_a_job_in_another_queue_is_that_of_its_manifest(workspace: Workspace, emulator: Emulator) -> None:
    write_all(workspace, "ours", ["SparkBatch"])
    assert workspace.apply().code == 0
    workspace.write(
        "all.yaml", manifest("SparkBatch", "ours-SparkBatch", {**SPECS["SparkBatch"], "queue": "other"})
    )
    [shown] = jobs(run_json(workspace))
    assert (shown["place"], shown["source"], shown["orphan"]) == ("q", "all.yaml:1", False)


def test_an_invalid_values_file_hides_no_job(workspace: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    workspace.project["values"] = ["values.yaml"]
    workspace.write_project()
    workspace.write("values.yaml", "[not a mapping")
    ran = run_json(workspace)
    assert (ran.code, [(job["name"], job["unmanaged"], job["orphan"]) for job in jobs(ran)]) == (
        0,
        [("alpha", None, False)],
    )
    assert "note: invalid manifests: 1 error (see 'deployer validate -t test')" in ran.err
    for option in ("--orphans", "--unmanaged"):
        refused = run_json(workspace, option)
        assert (refused.code, refused.out) == (4, "")
        assert refused.err.startswith("values.yaml:1:")


def test_deployer_yaml_itself_must_be_valid(workspace: Workspace) -> None:
    workspace.write("deployer.yaml", "kind: Project\n")
    ran = workspace.run("list")
    assert (ran.code, ran.out) == (4, "")


HOSTILE = [
    "::error::deployed",
    "##[group]x",
    "a\x1b[2Jb",
    "a\nb",
    "a\u202eb",
    "9" * 5000,
    "ours",
    "\u3164",
]


def test_hostile_names_states_and_owners(workspace: Workspace, emulator: Emulator, proxy: FaultProxy) -> None:
    fill(emulator.url, "SparkBatch", [f"n{number}" for number in range(len(HOSTILE))])

    def hostile(answer: Any) -> None:
        for entry, words in zip(answer["sessions"], HOSTILE, strict=True):
            conf = {"spark.deployer.project": words}
            entry |= {
                "name": words,
                "state": words,
                "queue": words,
                "req_body": json.dumps({"file": "a.py", "queue": words, "name": words, "conf": conf}),
            }

    proxy.rule("GET", "/batches", changed(hostile))
    ran = workspace.run("list")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1 + len(HOSTILE)
    for line in ran.out.splitlines():
        assert line.isprintable()
        assert not line.startswith("::")
        assert "##[" not in line
    # Another project cannot pass for this one by its name.
    assert "project ours" in ran.out
    assert not re.search(r"  ours  +[0-9a-f]{8}-", ran.out)
    as_json = run_json(workspace)
    assert as_json.out.isascii()
    assert {job["owner"] for job in jobs(as_json)} == {"other"}
    assert {job["name"] for job in jobs(as_json)} == {*HOSTILE}


def test_a_terminal_is_not_wide_enough(workspace: Workspace, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["n" * 120, "\u65e5" * 60])
    for verb, columns in (("list", 60), ("list", 132)):
        shown = at_terminal(workspace.folder, verb, columns=columns)
        lines = [line for line in shown.splitlines() if line.startswith(("KIND", "SparkBatch"))]
        assert len(lines) == 3
        assert all(len(line) <= columns for line in lines)
        assert "…" in lines[1]
    assert "n" * 120 in workspace.run("list").out


def test_in_a_state_that_is_not_known_a_run_is_shown(
    workspace: Workspace, emulator: Emulator, proxy: FaultProxy, clock: Clock
) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])

    def strange(answer: Any) -> None:
        answer["sessions"][0]["state"] = "zombie"

    proxy.rule("GET", "/batches", changed(strange))
    [shown] = jobs(run_json(workspace))
    assert (shown["state"], shown["phase"], shown["ended"]) == ("zombie", "unknown", False)
