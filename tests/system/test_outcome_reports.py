"""`--report` and `--summary` of apply, cancel, destroy and status: written however the command ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deployer.cli.step_summary import MOST_BYTES
from deployer.emulator import Emulator
from deployer.errors import Exit
from deployer.kinds.tables import schema_folder
from testing.faults import listed, proxied, says
from testing.workspace import SPECS, Clock, Ran, Workspace, manifest

SCHEMA = Draft202012Validator(json.loads((schema_folder() / "Outcomes.schema.json").read_text("utf-8")))
SECRET = "s3cret-of-a-test"  # noqa: S105


def write(workspace: Workspace, name: str = "alpha", **spec: Any) -> None:
    workspace.write(f"{name}.yaml", manifest("SparkBatch", name, SPECS["SparkBatch"] | spec))


def reported(workspace: Workspace, *arguments: str) -> tuple[Ran, dict[str, Any]]:
    """Runs a command with a report as JSON, and returns both."""
    (workspace.folder / "made.json").unlink(missing_ok=True)
    ran = workspace.run(*arguments, "--report", "json=made.json")
    made = json.loads((workspace.folder / "made.json").read_text("utf-8"))
    SCHEMA.validate(made)
    assert made["exit_code"] == ran.code
    return ran, made


@pytest.mark.usefixtures("emulator")
def test_what_was_applied_in_every_format(workspace: Workspace) -> None:
    write(workspace)
    files = {"markdown": "a.md", "html": "a.html", "text": "a.txt"}
    options = [part for style, file in files.items() for part in ("--report", f"{style}={file}")]
    ran, made = reported(workspace, "apply", "--yes", *options)
    [outcome] = made["outcomes"]
    assert (ran.code, made["result"], made["verb"]) == (Exit.DONE, "complete", "apply")
    assert (outcome["result"], outcome["action"], outcome["id"] in ran.out) == ("done", "create", True)
    comment, page, text = ((workspace.folder / file).read_text("utf-8") for file in files.values())
    assert comment.startswith("<!-- deployer: tests test apply -->\n### deployer apply: `tests` → `test`\n")
    for shown in (comment, page, text):
        assert "Apply complete: 1 applied." in shown
        assert outcome["id"] in shown
    _, made = reported(workspace, "apply", "--yes")
    assert (made["result"], made["outcomes"]) == ("no changes", [])


@pytest.mark.usefixtures("emulator")
def test_a_plan_that_was_not_applied(workspace: Workspace) -> None:
    write(workspace)
    assert workspace.run("plan", "--out", "plan.json").code == Exit.DONE
    _, made = reported(workspace, "apply", "--yes", "--limit", "changes=0")
    assert (made["result"], made["summary"]["not started"]) == ("refused", 1)
    assert "limits.changes is 0" in made["messages"][0]
    write(workspace, queue="other")
    _, made = reported(workspace, "apply", "--yes", "--plan", "plan.json")
    assert (made["result"], made["exit_code"]) == ("stale plan", Exit.STALE)
    assert "saved plan plan.json is stale" in made["messages"][0]
    _, made = reported(workspace, "apply", "--yes", "--expect", "0" * 64)
    assert made["result"] == "stale plan"
    _, made = reported(workspace, "apply")
    assert (made["result"], made["digest"]) == ("failed", None)
    assert made["messages"] == ["cannot prompt without a terminal; use --yes to apply without confirmation"]


def test_a_project_that_cannot_be_planned(workspace: Workspace) -> None:
    write(workspace, name="beta")
    write(workspace, fil="x")
    _, made = reported(workspace, "apply", "--yes")
    assert (made["result"], made["exit_code"]) == ("failed", Exit.INVALID)
    assert "alpha.yaml" in made["messages"][0]
    workspace.write("deployer.yaml", "apiVersion: [")
    _, made = reported(workspace, "apply", "--yes", "-t", "prod")
    assert (made["target"], made["scope"]["project"]) == ("prod", "")


def test_what_is_unknown_is_first(workspace: Workspace, emulator: Emulator) -> None:
    for name in ("alpha", "beta"):
        write(workspace, name)
    with proxied(workspace, emulator.url) as proxy:
        error = {"error_code": "DLI.0999", "error_msg": "no <b>resources</b>"}
        proxy.rule("POST", "/batches", says(400, error), nth=1)
        ran, made = reported(workspace, "apply", "--yes", "--parallelism", "1", "--report", "markdown=a.md")
    assert ran.code == Exit.UNKNOWN, ran
    assert sorted(outcome["result"] for outcome in made["outcomes"]) == ["done", "unknown"]
    comment = (workspace.folder / "a.md").read_text("utf-8")
    assert "<b>resources</b>" not in comment[: comment.index("<details")]
    assert "> [!CAUTION]\n> **1 outcome unknown.**" in comment
    assert comment.index("<b>unknown create</b>") < comment.index("<b>done create</b>")


@pytest.mark.usefixtures("emulator")
def test_cancel_and_destroy(workspace: Workspace, clock: Clock) -> None:
    clock.tick = 0.1
    write(workspace)
    workspace.apply()
    _, made = reported(workspace, "cancel", "--yes", "--all")
    assert (made["verb"], made["outcomes"][0]["action"], made["result"]) == ("cancel", "cancel", "complete")
    write(workspace, className="com.example.Other")
    workspace.apply()
    _, made = reported(workspace, "destroy", "--yes", "alpha")
    assert (made["verb"], made["outcomes"][0]["result"]) == ("destroy", "done")


@pytest.mark.usefixtures("emulator")
def test_no_secret_is_in_a_report(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYER_SECRET_S", SECRET)
    write(workspace, conf={"spark.app.password": '{{ secret("S") }}'})
    workspace.write_project(secrets={"S": {}})
    options = [part for style in ("markdown", "html", "text") for part in ("--report", f"{style}=a.{style}")]
    ran = workspace.apply(*options)
    assert ran.code == Exit.DONE, ran
    made = [path.read_text("utf-8") for path in workspace.folder.glob("a.*")]
    assert len(made) == 3
    assert not any(SECRET in text for text in made)


# --- the summary ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
def test_a_summary_is_appended(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# Before", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    write(workspace)
    assert workspace.run("plan", "--summary").code == Exit.DONE
    assert workspace.apply("--summary").code == Exit.DONE
    written = summary.read_text("utf-8")
    found = re.findall(r"^(# Before|### deployer \w+|<!-- .* -->)", written, re.MULTILINE)
    assert found == [
        "# Before",
        "<!-- deployer: tests test -->",
        "### deployer plan",
        "<!-- deployer: tests test apply -->",
        "### deployer apply",
    ]


@pytest.mark.usefixtures("emulator")
def test_a_summary_that_is_full_or_missing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace)
    ran = workspace.run("plan", "--summary")
    assert (ran.code, "GITHUB_STEP_SUMMARY is not set" in ran.err) == (Exit.DONE, True)
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * (MOST_BYTES - 10_000))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ran = workspace.run("plan", "--summary")
    assert (ran.code, "no room" in ran.err, summary.stat().st_size) == (Exit.DONE, True, MOST_BYTES - 10_000)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for path in (link, tmp_path):
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
        ran = workspace.run("plan", "--summary")
        assert (ran.code, "cannot write the summary" in ran.err) == (Exit.ERROR, True)
    assert not (tmp_path / "elsewhere").exists()


# --- status -----------------------------------------------------------------------------------------------


def test_the_status_has_what_failed_first(workspace: Workspace, emulator: Emulator) -> None:
    for name in ("alpha", "beta|x"):
        write(workspace, name)
    workspace.apply()
    emulator.store.end(
        next(e["id"] for e in listed(emulator.url, "SparkBatch") if "x" in e["name"]), "dead", ""
    )
    ran = workspace.run(
        "status", "--report", "markdown=s.md", "--report", "html=s.html", "--report", "json=s.json"
    )
    assert ran.code == Exit.DONE
    comment = (workspace.folder / "s.md").read_text("utf-8")
    rows = [line for line in comment.split("\n") if line.startswith("| `")]
    assert ["beta" in rows[0], "alpha" in rows[1]] == [True, True]
    assert [row.count("|") for row in rows] == [10, 10]
    assert "**2 jobs: 1 failed**" in comment
    assert '<tr class="failed">' in (workspace.folder / "s.html").read_text("utf-8")
    assert len(json.loads((workspace.folder / "s.json").read_text("utf-8"))["jobs"]) == 2
    assert workspace.run("status", "--watch", "--report", "json=s.json").code == Exit.USAGE


# --- a plan that failed -----------------------------------------------------------------------------------

FILES = {"markdown": "a.md", "html": "a.html", "text": "a.txt", "json": "a.json"}
OPTIONS = [part for style, file in FILES.items() for part in ("--report", f"{style}={file}")]


def failed(workspace: Workspace, code: Exit, *arguments: str) -> dict[str, str]:
    """Makes reports of a plan, then of one that fails, and returns them: all say that there is no plan."""
    for file in FILES.values():
        workspace.write(file, "the plan before")
    ran = workspace.run("plan", *OPTIONS, *arguments)
    assert ran.code == code, ran
    made = {style: (workspace.folder / file).read_text("utf-8") for style, file in FILES.items()}
    for style in ("markdown", "html", "text"):
        assert "the plan before" not in made[style]
        assert f"No plan was made: the command failed (exit code {code})." in made[style]
        assert "digest" not in made[style].replace("digest`", "")
    data = json.loads(made["json"])
    SCHEMA.validate(data)
    assert (data["verb"], data["result"], data["exit_code"]) == ("plan", "failed", code)
    return made


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("alpha.yaml", "kind: [\n", "alpha.yaml:1"),
        ("alpha.yaml", "{{ nope }}\n", "alpha.yaml:1:"),
        ("alpha.yaml", manifest("SparkBatch", "alpha", {"fil": "<b>`x`</b>"}), "alpha.yaml:"),
    ],
)
@pytest.mark.usefixtures("emulator")
def test_a_plan_of_invalid_manifests(workspace: Workspace, file: str, text: str, words: str) -> None:
    workspace.write(file, text)
    made = failed(workspace, Exit.INVALID)
    assert all(words in shown for shown in made.values())
    # The comment of the plan, which the failure replaces.
    assert made["markdown"].startswith("<!-- deployer: tests test -->\n### deployer plan: `tests` → `test`\n")
    assert "<b>`x`" not in made["html"]


def test_a_plan_without_the_services(
    workspace: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace)
    emulator.close()
    ran = workspace.run("plan", *OPTIONS)
    assert ran.code == Exit.ERROR
    for style in ("markdown", "html", "text"):
        made = (workspace.folder / FILES[style]).read_text("utf-8")
        assert "connection refused" in made
        assert "1 failed to plan" in made
    monkeypatch.delenv("HW_AUTH_TOKEN")
    made_without = failed(workspace, Exit.ERROR)
    assert all("no credentials found; set HW_AUTH_TOKEN" in made for made in made_without.values())


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_plan_that_is_interrupted(workspace: Workspace, name: signal.Signals) -> None:
    write(workspace)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        workspace.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        workspace.write_project()
        command = [sys.executable, "-m", "deployer", "plan", *OPTIONS]
        with subprocess.Popen(command, cwd=workspace.folder, stderr=subprocess.DEVNULL) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(name)
                assert process.wait() == Exit.INTERRUPTED
    for style in ("markdown", "html", "text"):
        made = (workspace.folder / FILES[style]).read_text("utf-8")
        assert "No plan was made: interrupted (exit code 130)." in made


@pytest.mark.usefixtures("emulator")
def test_a_plan_of_a_project_that_is_invalid_elsewhere(workspace: Workspace) -> None:
    write(workspace)
    project = (workspace.folder / "deployer.yaml").read_text("utf-8")
    workspace.write("deployer.yaml", f"{project}\nunknown: 1\n")
    made = failed(workspace, Exit.INVALID, "-t", "test")
    assert made["markdown"].startswith("<!-- deployer: tests test -->\n")
    # The default target is that of the file, as far as it can be read.
    made = failed(workspace, Exit.INVALID)
    assert made["markdown"].startswith("<!-- deployer: tests test -->\n")
    workspace.write("deployer.yaml", project)
    made = failed(workspace, Exit.USAGE, "-t", "nope")
    assert "unknown target 'nope'" in made["text"]


@pytest.mark.usefixtures("emulator")
def test_no_secret_is_in_the_report_on_a_plan_that_failed(workspace: Workspace) -> None:
    """A comment is read by more people than the log of a job."""
    write(workspace)
    workspace.write("beta.yaml", manifest("password=hunter2hunter2", "beta", {}))
    assert all("hunter2" not in made for made in failed(workspace, Exit.INVALID).values())
    (workspace.folder / "beta.yaml").unlink()
    workspace.write("gamma.yaml", manifest("SparkBatch", "https://me:hunter2hunter2@host/x", {}))
    assert all("hunter2" not in made for made in failed(workspace, Exit.INVALID).values())


@pytest.mark.usefixtures("emulator")
def test_a_summary_of_a_plan_that_failed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    workspace.write("alpha.yaml", "kind: [\n")
    assert workspace.run("plan", "--summary").code == Exit.INVALID
    assert "No plan was made: the command failed (exit code 4)." in summary.read_text("utf-8")
