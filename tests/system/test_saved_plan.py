"""Saved plans: `plan --out`, `apply --plan`, and manipulated files."""

from __future__ import annotations

import json
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deployer import __version__
from deployer.emulator import Emulator
from deployer.kinds import KINDS
from deployer.kinds.tables import schema_folder
from deployer.model import Identity, Job, Live, Source
from deployer.planning.plan import make_plan
from deployer.planning.saved_plan import MAX_BYTES
from testing.faults import LISTINGS, changed, fill, listed, proxied
from testing.workspace import SPECS, Clock, Ran, Workspace, manifest

FILE = "plan.json"
BATCH = SPECS["SparkBatch"]


def write(workspace: Workspace, name: str = "alpha", **spec: Any) -> None:
    workspace.write(f"{name}.yaml", manifest("SparkBatch", name, BATCH | spec))


def save(workspace: Workspace, *arguments: str) -> Any:
    """What `plan --out` writes."""
    ran = workspace.run("plan", "--out", FILE, *arguments)
    assert ran.code == 0, ran.err
    return saved(workspace)


def saved(workspace: Workspace) -> Any:
    return json.loads((workspace.folder / FILE).read_text("utf-8"))


def forge(workspace: Workspace, change: Callable[[Any], object]) -> None:
    plan = saved(workspace)
    change(plan)
    workspace.write(FILE, json.dumps(plan))


def apply(workspace: Workspace, *arguments: str) -> Ran:
    return workspace.apply("--plan", FILE, *arguments)


def names(emulator: Emulator, kind: str = "SparkBatch") -> list[str]:
    return sorted(job["name"] for job in listed(emulator.url, kind))


# --- the file ---------------------------------------------------------------------------------------------


def test_a_plan_is_saved_and_applied_once(workspace: Workspace, emulator: Emulator) -> None:
    workspace.write("all.yaml", [manifest(kind, "job", spec) for kind, spec in SPECS.items()])
    ran = workspace.run("plan", "--out", FILE)
    assert ran.err.splitlines()[-1].endswith("apply it with: deployer apply -t test --plan plan.json")
    applied = apply(workspace)
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Apply complete: 4 applied.")
    again = apply(workspace)
    assert again.code == 6
    assert "SparkBatch job in q: planned create; now unchanged: " in again.err
    assert again.err.endswith("No changes were applied.\n")
    assert names(emulator) == ["job"]


def test_a_rerun_must_be_said_again(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    write(workspace)
    workspace.apply()
    clock.forward(10_000)
    save(workspace, "--rerun", "name=alpha")
    refused = apply(workspace)
    assert (
        refused.code,
        "--rerun is (not set), but the plan was created with name=alpha" in refused.err,
    ) == (3, True)
    assert refused.err.endswith(
        "create a new plan, or run deployer apply -t test --plan plan.json --rerun name=alpha\n"
    )
    assert apply(workspace, "--rerun", "name=alpha").out.endswith("Apply complete: 1 applied.\n")
    assert names(emulator) == ["alpha", "alpha"]


def test_what_it_holds(workspace: Workspace, tmp_path: Path) -> None:
    write(workspace)
    write(workspace, "beta")
    workspace.write("more.values", {"a": 1})
    (tmp_path / "outside.values").write_text("b: 2\n")
    given = ["--set", "z=1", "--set", "c.d=2", "--values", "more.values", "--values", "../outside.values"]
    given += ["--select", "name=*a", "--rerun", "name=beta", "alpha.yaml", "./beta.yaml"]
    plan = save(workspace, *given)
    printed = workspace.plan(*given)
    assert plan["inputs"] == {
        "project": "tests",
        "target": "test",
        "values": ["more.values", "../outside.values"],
        "settings": ["c.d", "z"],
        "paths": ["alpha.yaml", "beta.yaml"],
        "select": ["name=*a"],
        "rerun": ["name=beta"],
        "prune": "",
        "confirm_project": False,
    }
    assert plan["deployer"] == __version__
    assert {key: plan[key] for key in printed} == printed
    assert set(plan) == {*printed, "inputs", "deployer"}


def test_the_same_plan_gives_the_same_file(workspace: Workspace, clock: Clock) -> None:
    write(workspace)
    save(workspace)
    first = (workspace.folder / FILE).read_bytes()
    clock.forward(1000)
    save(workspace)
    assert (workspace.folder / FILE).read_bytes() == first
    assert stat.S_IMODE((workspace.folder / FILE).stat().st_mode) == 0o600


def test_both_plans_fit_the_published_schema(workspace: Workspace, emulator: Emulator) -> None:
    schema = json.loads((schema_folder() / "Plan.schema.json").read_text("utf-8"))
    of_json = {"$ref": "#/$defs/plan", "$defs": schema["$defs"]}
    for kind, spec in SPECS.items():
        workspace.write(f"{kind}.yaml", manifest(kind, "alpha", spec))
    for _ in range(2):
        Draft202012Validator(schema).validate(save(workspace))
        Draft202012Validator(of_json).validate(workspace.plan())
        assert not Draft202012Validator(schema).is_valid(workspace.plan())
        workspace.apply()
        workspace.write(
            "SparkBatch.yaml", manifest("SparkBatch", "alpha", BATCH | {"className": "com.example.Other"})
        )
        emulator.store.end(listed(emulator.url, "SparkBatch")[0]["id"], "dead")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere/plan.json", "nowhere does not exist"),
        (".", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("link.json", "is a symbolic link; name the file itself"),
        ("out/plan.json", "is outside the project after resolving symbolic links"),
        ("plan.yaml", "would be read as a manifest"),
        ("x" * 300, "File name too long"),
        ("", "not a regular file"),
    ],
)
def test_a_place_that_is_no_place(workspace: Workspace, tmp_path: Path, place: str, words: str) -> None:
    write(workspace)
    precious = tmp_path / "precious.json"
    precious.write_text("precious")
    (workspace.folder / "link.json").symlink_to(precious)
    (workspace.folder / "out").symlink_to(tmp_path)
    ran = workspace.run("plan", "--out", place)
    assert (ran.code, ran.out) == (3, "")
    assert words in ran.err
    assert precious.read_text() == "precious"
    assert not (tmp_path / FILE).exists()


def test_a_plan_that_cannot_be_written_leaves_the_old_one(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    old = (workspace.folder / FILE).read_bytes()
    write(workspace, "beta")
    ran = subprocess.run(
        [sys.executable, "-m", "deployer", "plan", "--out", FILE],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert ran.returncode == 1
    assert ran.stderr.endswith("plan.json: File too large\n")
    assert (workspace.folder / FILE).read_bytes() == old
    assert not [*workspace.folder.glob(".plan-*")]


def test_a_number_that_json_has_not(workspace: Workspace, emulator: Emulator) -> None:
    """Python reads it in a listing; in a file no other program would."""

    def unwritten(answer: Any) -> None:
        answer[LISTINGS["SparkBatch"][1]][0]["req_body"] = (
            '{"file": "obs://b/job.jar", "groups": [{"name": NaN}]}'
        )

    write(workspace)
    workspace.apply()
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", "/batches", changed(unwritten))
        ran = workspace.run("plan", "--out", FILE)
    assert (ran.code, "it cannot be compared with the manifest" in ran.out) == (0, True)
    saved = (workspace.folder / FILE).read_text()
    assert "NaN" not in saved


# --- stale ------------------------------------------------------------------------------------------------


def test_stale_by_a_manifest(workspace: Workspace, emulator: Emulator) -> None:
    for name in ("alpha", "gone", "moved"):
        write(workspace, name, numExecutors=2)
    save(workspace)
    write(workspace, numExecutors=3, conf={"fs.obs.secret.key": "hunter2"})
    write(workspace, "new")
    (workspace.folder / "gone.yaml").unlink()
    shutil.move(workspace.folder / "moved.yaml", workspace.folder / "elsewhere.yaml")
    ran = apply(workspace)
    assert ran.code == 6
    assert ran.err.splitlines()[-7:] == [
        "  - SparkBatch alpha in q: planned create",
        '    - /conf/fs.obs.secret.key  planned no change, now null -> "***"',
        "    - /numExecutors  planned null -> 2, now null -> 3",
        "  - SparkBatch gone in q: planned create; now not in a selected manifest",
        "  - SparkBatch new in q: not in the saved plan; now create",
        "    now: not deployed: the service lists no jobs of this kind; will submit a run",
        "No changes were applied.",
    ]
    assert names(emulator) == []


def test_stale_by_a_live_job(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, conf={"a.password": "hunter2"})
    workspace.apply()
    (first,) = listed(emulator.url, "SparkBatch")
    emulator.store.end(first["id"], "success")
    write(workspace, className="com.example.Other", conf={"a.password": "swordfish"})
    assert [change["action"] for change in save(workspace)["changes"]] == ["resubmit"]
    fill(emulator.url, "SparkBatch", ["alpha"])
    second = next(job for job in listed(emulator.url, "SparkBatch") if job["id"] != first["id"])
    write(workspace, className="com.example.Third")
    ran = apply(workspace)
    assert ran.code == 6
    lines = ran.err.splitlines()
    assert lines[1] == "  - SparkBatch alpha in q: planned resubmit"
    assert lines[2].startswith("    now blocked: manifest and live job differ while run ")
    assert lines[-4:-1] == [
        f"    live job was {first['id']} (success), now {second['id']} (starting)",
        '    - /className  planned (hidden) -> "com.example.Other", now (hidden) -> "com.example.Third"',
        "    - /conf/a.password  planned (sensitive), now no change",
    ]
    assert "hunter2" not in ran.err + ran.out
    assert len(listed(emulator.url, "SparkBatch")) == 2


def test_stale_by_nothing_but_another_run(workspace: Workspace, emulator: Emulator, clock: Clock) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    (first,) = listed(emulator.url, "SparkBatch")
    emulator.store.end(first["id"], "success")
    write(workspace, className="com.example.Other")
    save(workspace)
    clock.forward(1)
    fill(emulator.url, "SparkBatch", ["alpha"])
    second = next(job for job in listed(emulator.url, "SparkBatch") if job["id"] != first["id"])
    emulator.store.end(second["id"], "dead")
    ran = apply(workspace)
    assert ran.code == 6
    assert ran.err.splitlines()[1:-1] == [
        "  - SparkBatch alpha in q: planned resubmit",
        f"    live job was {first['id']} (success), now {second['id']} (dead)",
    ]
    assert len(listed(emulator.url, "SparkBatch")) == 2


def test_stale_by_a_run_that_a_cancel_would_end_too(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    (first,) = listed(emulator.url, "SparkBatch")
    clock.forward(1)
    fill(emulator.url, "SparkBatch", ["alpha"])
    lifecycle = {"state": "absent", "adopt": True}
    workspace.write("alpha.yaml", manifest("SparkBatch", "alpha", BATCH, lifecycle=lifecycle))
    (change,) = save(workspace)["changes"]
    assert (change["action"], [run["id"] for run in change["other_runs"]]) == ("cancel", [first["id"]])
    emulator.store.end(first["id"], "success")
    ran = apply(workspace)
    assert ran.code == 6
    assert ran.err.splitlines()[1:-1] == [
        "  - SparkBatch alpha in q: planned cancel",
        f"    other runs were {first['id']}, now no other runs",
    ]
    assert sorted(job["state"] for job in listed(emulator.url, "SparkBatch")) == ["starting", "success"]


def test_stale_by_a_draft_that_is_to_be_run(workspace: Workspace, emulator: Emulator) -> None:
    flink = SPECS["FlinkJar"]
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", flink, lifecycle={"state": "stopped"}))
    save(workspace)
    workspace.write("a.yaml", manifest("FlinkJar", "alpha", flink))
    ran = apply(workspace)
    assert (ran.code, names(emulator, "FlinkJar")) == (6, [])
    assert (
        "planned: not deployed: the service lists no jobs of this kind; will create it as a draft" in ran.err
    )
    assert "now: not deployed: the service lists no jobs of this kind; will create it and start it" in ran.err


def test_a_difference_that_cannot_be_shown_is_said(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    workspace.write_project(projectId="another")
    ran = apply(workspace)
    assert ran.code == 6
    assert (
        "No visible difference. What changed is the target itself, or something that a plan does not display"
        in ran.err
    )
    # With another version it may be that.
    forge(workspace, lambda plan: plan.update(deployer="0.0.1"))
    assert f"created by deployer 0.0.1; this is {__version__}" in apply(workspace).err


def test_a_job_that_cannot_be_planned_now(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    workspace.write(
        "alpha.yaml", manifest("SparkBatch", "alpha", BATCH, lifecycle={"rerun": "2199-01-01T00:00:00Z"})
    )
    ran = apply(workspace)
    assert ran.code == 6
    assert "planned create; now failed to plan: rerun must not be in the future" in ran.err


def test_an_explanation_has_an_end(workspace: Workspace) -> None:
    names = [f"job-{number:03}" for number in range(60)]
    workspace.write("all.yaml", [manifest("SparkBatch", name, BATCH) for name in names])
    plan = save(workspace)
    for change in plan["changes"]:
        change["fields"] += [
            {
                "path": f"/{number}",
                "live": None,
                "desired": "x" * 1000,
                "sensitive": False,
                "note": "",
                "live_hidden": False,
            }
            for number in range(100)
        ]
    workspace.write(FILE, json.dumps(plan | {"digest": "0" * 64}))
    ran = apply(workspace)
    assert ran.code == 6
    assert "  ... and 10 more jobs" in ran.err
    assert "    ... and 60 more fields" in ran.err
    assert len(ran.err) < 1_000_000
    assert max(map(len, ran.err.splitlines())) < 1000


def test_plan_and_expect_are_both_checked(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace)
    digest = save(workspace)["digest"]
    refused = apply(workspace, "--expect", "0" * 64)
    assert refused.code == 6
    assert f"got {digest} (the plan above is the current one)" in refused.err
    assert "+ create    SparkBatch alpha" in refused.out
    forge(workspace, lambda plan: plan.update(digest="0" * 64))
    assert apply(workspace, "--expect", digest).code == 6
    forge(workspace, lambda plan: plan.update(digest=digest))
    assert names(emulator) == []
    assert apply(workspace, "--expect", digest).code == 0


def test_a_saved_plan_is_no_consent(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    ran = workspace.run("apply", "--plan", FILE)
    assert ran.code == 3
    assert "use --yes to apply without confirmation" in ran.err


# --- what must be said again, and what is taken from the file -----------------------------------------------


def test_what_could_add_something_must_be_said_again(workspace: Workspace, emulator: Emulator) -> None:
    write(workspace, numExecutors="{{ n }}", executorCores="{{ m }}")
    file = workspace.folder / "alpha.yaml"
    file.write_text(file.read_text().replace("'", ""))
    workspace.write("m.values", {"m": 1})
    workspace.targets = {"other": {"endpoints": {"dli": emulator.url}, "projectId": "other"}}
    workspace.write_project()
    options_of_plan = ["-t", "other", "--values", "m.values", "--set", "n=2"]
    save(workspace, *options_of_plan)
    workspace.write("more.values", {"m": 1})
    for options, words in (
        (options_of_plan[2:], "target is test, but the plan was created with other"),
        (
            [*options_of_plan[:2], "--set", "m=1", *options_of_plan[4:]],
            "--values is (not set), but the plan was created with m.values",
        ),
        (
            [*options_of_plan[:3], "more.values", *options_of_plan[4:]],
            "--values is more.values, but the plan was created with m.values",
        ),
        ([*options_of_plan, "--set", "x=1"], "--set is n, x, but the plan was created with n"),
    ):
        ran = apply(workspace, *options)
        assert ran.code == 3
        assert words in ran.err
        assert "deployer apply -t other --values m.values --set n=VALUE --plan plan.json" in ran.err
    # Its value is not in the file, but what comes of it is in the digest.
    assert "null -> 3" in apply(workspace, *options_of_plan[:-1], "n=3").err
    assert apply(workspace, *options_of_plan).code == 0


def test_what_narrows_is_taken_from_the_file(workspace: Workspace, emulator: Emulator) -> None:
    for folder in ("a", "b"):
        for name in ("one", "two"):
            job = manifest("SparkBatch", f"{folder}-{name}", BATCH)
            workspace.write(f"{folder}/{name}.yaml", job)
    save(workspace, "a", "--select", "name=*-one")
    for options, words in (
        (["b"], "created with PATH a, not b; omit PATH"),
        (["a/one.yaml"], "created with PATH a, not a/one.yaml; omit PATH"),
        (["--select", "name=*"], "created with --select name=*-one, not name=*; omit --select"),
    ):
        ran = apply(workspace, *options)
        assert (ran.code, ran.out) == (3, "")
        assert words in ran.err
    # From another folder of the project too, and said again.
    assert workspace.run("-C", "b", "apply", "--plan", "../plan.json", "../a", "--yes").code == 0
    assert names(emulator) == ["a-one"]
    save(workspace, "b", "--select", "name=b-two")
    assert apply(workspace).code == 0
    assert names(emulator) == ["a-one", "b-two"]


def test_a_selection_that_is_gone_is_stale(workspace: Workspace) -> None:
    write(workspace)
    write(workspace, "beta")
    save(workspace, "beta.yaml")
    (workspace.folder / "beta.yaml").unlink()
    ran = apply(workspace)
    assert ran.code == 6
    assert "selected path 'beta.yaml' no longer exists" in ran.err
    write(workspace, "beta")
    save(workspace, "--select", "name=beta")
    (workspace.folder / "beta.yaml").unlink()
    ran = apply(workspace)
    assert ran.code == 6
    assert "none of the jobs selected by this plan exist any more" in ran.err


# --- files that were made to do harm ----------------------------------------------------------------------


def test_forged_changes_send_nothing(workspace: Workspace, emulator: Emulator) -> None:
    """With the right digest the plan of the checkout is applied; with another one nothing is."""
    write(workspace)
    save(workspace)

    def evil(plan: Any) -> None:
        (change,) = plan["changes"]
        change["name"] = "evil"
        change["fields"] = [
            {
                "path": "/file",
                "live": None,
                "desired": "evil.jar",
                "sensitive": False,
                "note": "",
                "live_hidden": False,
            }
        ]

    forge(workspace, evil)
    right = saved(workspace)["digest"]
    forge(workspace, lambda plan: plan.update(digest="e" * 64))
    ran = apply(workspace)
    assert ran.code == 6
    assert "SparkBatch evil in q: planned create; now not in a selected manifest" in ran.err
    assert names(emulator) == []
    forge(workspace, lambda plan: plan.update(digest=right))
    assert apply(workspace).code == 0
    assert names(emulator) == ["alpha"]
    assert "evil" not in json.dumps(listed(emulator.url, "SparkBatch"))


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ({"target": "evil"}, 3, "target is test, but the plan was created with evil"),
        ({"project": "evil"}, 3, "was created for project 'evil', not 'tests'"),
        ({"settings": ["bucket"]}, 3, "--set is (not set), but the plan was created with bucket"),
        ({"values": ["/etc/passwd"]}, 3, "--values is (not set), but the plan was created with /etc/passwd"),
        ({"select": ["nosuch=x"]}, 3, "unknown selector 'nosuch'"),
        ({"paths": ["../other"]}, 4, "path '../other' is outside the project"),
        ({"paths": ["a/../../other"]}, 4, "is outside the project"),
        ({"paths": ["/etc"]}, 4, "path '/etc' is outside the project"),
        ({"paths": ["link"]}, 3, "is outside the project"),
        ({"paths": ["nested"]}, 3, "'nested' belongs to another project"),
        ({"paths": ["nested/evil.yaml"]}, 3, "'nested/evil.yaml' belongs to another project"),
        ({"paths": ["x\0y"]}, 4, "is outside the project"),
        ({"paths": ["\ud800"]}, 6, "no longer exists; no changes were applied"),
        ({"paths": ["x" * 4000]}, 6, "no longer exists; no changes were applied"),
        ({"target": "x" * 1000}, 4, "/inputs/target: "),
        ({"target": "\x1b[31m\u202e::error::##[x"}, 3, "but the plan was created with \\u001b[31m\\u202e"),
        (
            {"settings": ["$(reboot); 'x' \x07"]},
            3,
            "--set is (not set), but the plan was created with $(reboot); 'x' \\u0007",
        ),
    ],
)
def test_forged_inputs(
    workspace: Workspace, emulator: Emulator, tmp_path: Path, inputs: Any, code: int, words: str
) -> None:
    write(workspace)
    save(workspace)
    (tmp_path / "other").mkdir()
    (workspace.folder / "link").symlink_to(tmp_path / "other")
    nested = yaml.safe_load((workspace.folder / "deployer.yaml").read_text())
    workspace.write("nested/deployer.yaml", nested)
    workspace.write("nested/evil.yaml", manifest("SparkBatch", "evil", BATCH))
    forge(workspace, lambda plan: plan["inputs"].update(inputs))
    forge(workspace, lambda plan: plan.update(target=plan["inputs"]["target"]))
    ran = apply(workspace)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert_tame(ran)
    assert names(emulator) == []


def assert_tame(ran: Ran) -> None:
    """Nothing that a terminal or a runner obeys, no traceback, and not too much of it."""
    assert all(char.isprintable() or char == "\n" for char in ran.out + ran.err)
    assert not [line for line in ran.err.splitlines() if line.lstrip().startswith("::")]
    assert "##[" not in ran.out + ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err) < 10_000


def test_what_a_forged_plan_shows_is_tame(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    wild = "::error::\x1b[2J\r\n::warning::\u202e##[x]\x00\ud800" + "x" * 10_000
    field = {
        "path": wild,
        "live": wild,
        "desired": [wild],
        "sensitive": False,
        "note": "",
        "live_hidden": False,
    }
    live = {"id": wild, "state": wild}

    def change(plan: Any) -> None:
        (own,) = plan["changes"]
        own.update(fields=[field], reason=wild, live=live)
        plan["changes"].append(own | {"kind": wild, "name": wild, "place": wild})
        plan.update(digest="0" * 64, deployer=wild[:60])

    forge(workspace, change)
    ran = apply(workspace)
    assert ran.code == 6
    assert "live job was ::error::\\u001b[2J" in ran.err
    assert_tame(ran)


DEEP = '{"format_version": "1.0", "x": ' + "[" * 90 + "]" * 90 + "}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "plan.json:1:1: invalid JSON"),
        (b"{", "plan.json:1:2: invalid JSON"),
        (b"apiVersion: deployer/v1", "invalid JSON"),
        (b"\xff\xfe{}", "is not UTF-8 (byte 1)"),
        (b"\xef\xbb\xbf{}", "invalid JSON"),
        (b"null", "is not a saved plan"),
        (b"[]", "is not a saved plan: it has no 'format_version'"),
        (b'{"a": NaN}', "nan"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "1e999 is not a JSON number, or too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "plan.json: "),
        (b'{"digest": 1, "x": {"a": 1, "a": 2}}', "duplicate key 'a'"),
        (b'{"\\u001b[2J": 1, "\\u001b[2J": 2}', "duplicate key '\\u001b[2J'"),
        (b"[" * 100_000, "plan.json"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper than"),
        (DEEP.encode(), "nested deeper than"),
        (b" " * (MAX_BYTES + 1), "is larger than 16 MiB"),
        (b"[" + b"[]," * 1_000_001 + b"[]]", "is not a saved plan: it has more than 2000000 items"),
        (b'{"format_version": 1}', "it has no 'format_version'"),
        (b'{"format_version": "1"}', "it has no 'format_version'"),
        (b'{"format_version": "1.0"}', "is not a saved plan: /: 'target' is a required property"),
    ],
)
def test_a_file_that_is_no_plan(bare: Workspace, content: bytes, words: str) -> None:
    bare.write(FILE, content)
    ran = apply(bare)
    assert (ran.code, ran.out) == (4, "")
    assert words.casefold() in ran.err.casefold()
    assert len(ran.err.splitlines()) == 1
    assert_tame(ran)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"changes": {}}, "/changes: {} is not of type 'array'"),
        ({"changes": [0] * 300_000}, "/changes/0: 0 is not of type 'object'"),
        ({"changes": [{"action": "unchanged"}]}, "/changes/0/action: 'unchanged' is not one of"),
        ({"changes": [{"action": "x" * 1_000_000}]}, "/changes/0/action: 'xxx"),
        ({"digest": "A" * 64}, "/digest: "),
        ({"digest": f"{'0' * 64}\n"}, "/digest: "),
        ({"inputs": None}, "/inputs: None is not of type 'object'"),
        ({"inputs": {}}, "/inputs: 'project' is a required property"),
        ({"target": "other"}, "/target and /inputs/target differ"),
        ({"deployer": 1}, "/deployer: 1 is not of type 'string'"),
        ({"summary": {"create": -1}}, "/summary/create: -1 is less than the minimum of 0"),
        ({"format_version": "2.0"}, "has format version 2.0, created by deployer 0."),
        (
            {"format_version": "0.9", "deployer": None},
            "has format version 0.9, created by an unknown version",
        ),
    ],
)
def test_a_plan_with_something_wrong(workspace: Workspace, change: Any, words: str) -> None:
    write(workspace)
    save(workspace)
    forge(workspace, lambda plan: plan.update(change))
    ran = apply(workspace)
    assert (ran.code, ran.out) == (4, "")
    assert words in ran.err
    assert_tame(ran)


def test_a_later_minor_version_may_say_more(workspace: Workspace) -> None:
    write(workspace)
    save(workspace)
    forge(workspace, lambda plan: plan.update(format_version="1.7", more=[1]))
    forge(workspace, lambda plan: plan["inputs"].update(more="x"))
    assert apply(workspace).code == 0


@pytest.mark.parametrize("file", ["nosuch.json", ".", "/dev/zero", "x" * 300, ""])
def test_a_plan_that_is_not_there(bare: Workspace, file: str) -> None:
    ran = bare.apply("--plan", file)
    assert ran.code == 3
    assert_tame(ran)


# --- the digest -------------------------------------------------------------------------------------------

PLAIN = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: alpha}
spec:
  file: obs://b/job.jar
  className: com.example.Job
  queue: q
  conf: {a: "1", b: "2"}
---
apiVersion: deployer/v1
kind: MrsJob
metadata: {name: beta}
spec: {cluster_id: c-1, job_type: HiveSql, arguments: [select 1]}
"""
# The same jobs, written otherwise.
SAME: dict[str, dict[str, str]] = {
    "comments": {"a.yaml": f"# why\n{PLAIN.replace('queue: q', 'queue: q  # where')}{{# Jinja #}}"},
    "order of keys": {
        "a.yaml": PLAIN.replace('{a: "1", b: "2"}', "{b: 2, a: 1}").replace(
            "  file: obs://b/job.jar\n  className: com.example.Job\n",
            "  className: com.example.Job\n  file: obs://b/job.jar\n",
        )
    },
    "order of documents": {"a.yaml": "---\n".join(reversed(PLAIN.split("---\n")))},
    "other files": {f"x/{n}.yml": part for n, part in enumerate(PLAIN.split("---\n"))},
    "labels": {"a.yaml": PLAIN.replace("{name: alpha}", "{name: alpha, labels: {x: y}}")},
    "a template": {"a.yaml": PLAIN.replace("queue: q", 'queue: {{ "q" }}')},
    "an older spelling": {"a.yaml": PLAIN.replace("className", "class_name")},
}


def test_the_digest_is_of_what_is_done_and_not_of_files(workspace: Workspace) -> None:
    digests = {}
    for what, files in ({"as it is": {"a.yaml": PLAIN}} | SAME).items():
        for file, text in files.items():
            workspace.write(file, text)
        digests[what] = workspace.plan()["digest"]
        for file in files:
            (workspace.folder / file).unlink()
    assert digests == dict.fromkeys(digests, digests["as it is"])
    workspace.write("a.yaml", PLAIN.replace('a: "1"', 'a: "3"'))
    assert workspace.plan()["digest"] != digests["as it is"]


KEYS = st.sampled_from(["spark.a", "spark.b", "a.password", "fs.obs.secret.key"])
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "className": st.sampled_from(["a.B", "c.D"]),
        "args": st.lists(st.sampled_from(["x", "--password", "--token=t"]), max_size=3),
        "conf": st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=3),
        "numExecutors": st.integers(0, 2),
    },
)


def digest(*specs: dict[str, Any], place: str = "pid") -> str:
    jobs = [
        Job(Identity("SparkBatch", "q", f"job-{number}"), Source("a.yaml", number), {**spec, "queue": "q"})
        for number, spec in enumerate(specs)
    ]
    return digest_of(jobs, place)


def digest_of(jobs: list[Job], place: str = "pid") -> str:
    return make_plan("t", {"project": place}, jobs, Live(), {job.identity for job in jobs}).digest


def visible(spec: dict[str, Any]) -> Any:
    """A spec without what is secret in it."""
    from deployer.secrets.redact import masked

    return masked(KINDS["SparkBatch"].spellings, spec)


@given(SPEC, SPEC)
def test_the_digest_differs_exactly_where_a_plan_does(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert (digest(first) == digest(second)) == (visible(first) == visible(second))
    assert digest(first) != digest(first, place="other")
    assert digest(first, second) != digest(first)
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in first.items()
    }
    assert digest(dict(reversed(turned.items()))) == digest(first)


def test_the_digest_knows_no_order() -> None:
    jobs = [
        Job(Identity(kind, place, name), Source("a.yaml", 1), spec)
        for kind, place, name, spec in (
            ("SparkBatch", "q", "a", BATCH),
            ("SparkBatch", "r", "a", BATCH),
            ("MrsJob", "c-1", "a", SPECS["MrsJob"]),
            ("FlinkJar", "", "b", SPECS["FlinkJar"]),
        )
    ]
    assert len({digest_of(list(order)) for order in permutations(jobs)}) == 1
