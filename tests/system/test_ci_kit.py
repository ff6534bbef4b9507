"""The kit for CI: the commands of the files that we ship, with the emulator and a stand-in of the forge.

The services are the emulator, the forge is on loopback, and the remote is a bare repository for `state: git`.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.emulator import Emulator
from deployer.errors import Exit
from deployer.manifests import scaffold
from testing.forges import BOT, ForgeServer
from testing.git_server import bare_repository, git, without_settings
from testing.pipelines import Step, github_jobs, shell, started
from testing.workspace import ROOT, SPECS, Workspace, manifest

READ = {"HUAWEICLOUD_SDK_AK": "AK", "HUAWEICLOUD_SDK_SK": "sk-of-the-tests"}
MAIN = "c" * 40
MARK = "<!-- deployer: shop prod -->"
WRAPPER = ROOT / "deployer" / "cli" / "shells" / "deployer-ci"


@dataclass
class Kit:
    """A project as `init` writes it, in a repository with a remote, and what its jobs talk to."""

    workspace: Workspace
    forge: ForgeServer
    emulator: Emulator
    number: int = 7
    secrets: dict[str, dict[str, str]] = field(default_factory=lambda: {"": READ, "prod": READ})

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def jobs(self, event_name: str, ref: str, *, repository: str = "team/jobs") -> dict[str, list[Step]]:
        """Run the jobs that an event starts. `repository` is that of the pull request's branch."""
        is_fork = repository != "team/jobs"
        file = self.folder.parent / "event.json"
        request = {"number": self.number, "head": {"repo": {"full_name": repository}}}
        is_request = event_name == "pull_request"
        file.write_text(json.dumps({"pull_request": request} if is_request else {}))
        event = {
            "event_name": event_name,
            "ref": ref,
            "repository": "team/jobs",
            "server_url": "https://github.example",
            "token": "" if is_fork else BOT,
            "event": {"pull_request": request} if is_request else {},
        }
        variables = self.forge.environment("github", number=None)
        del variables["GITHUB_TOKEN"]
        runner = {
            **variables,
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REF": ref,
            "GITHUB_SHA": MAIN,
            "GITHUB_STEP_SUMMARY": str(self.folder.parent / "summary.md"),
        }
        secrets = {"": {}} if is_fork else self.secrets
        return github_jobs(self.folder, event, secrets, runner)

    def pull_request(self, repository: str = "team/jobs") -> dict[str, list[Step]]:
        return self.jobs("pull_request", "refs/pull/7/merge", repository=repository)

    def merged(self) -> Step:
        """Run the jobs of a push to main, and return the step that applies."""
        self.forge.merged[MAIN] = [self.number]
        return only(self.jobs("push", "refs/heads/main"), "apply")

    def by_hand(self) -> Step:
        return only(self.jobs("workflow_dispatch", "refs/heads/main"), "apply")

    def nightly(self) -> Step:
        return only(self.jobs("schedule", "refs/heads/main"), "drift")

    @property
    def comment(self) -> str:
        (entry,) = self.forge.comments
        return entry.body


def only(jobs: dict[str, list[Step]], name: str) -> Step:
    assert list(jobs) == [name]
    (step,) = jobs[name]
    return step


@pytest.fixture
def kit(bare: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    without_settings(tmp_path / "home", monkeypatch)
    (bare.folder / "deployer.yaml").unlink()
    assert bare.run("init", "--name=shop", "--kind=none").code == Exit.DONE
    ak, sk = READ["HUAWEICLOUD_SDK_AK"], READ["HUAWEICLOUD_SDK_SK"]
    with ForgeServer() as forge, Emulator(tmp_path / "emulator.db", ak=ak, sk=sk) as emulator:
        file = bare.folder / "deployer.yaml"
        project = yaml.safe_load(file.read_text())
        endpoints = dict.fromkeys(("dli", "mrs", "iam"), emulator.url)
        fast = {"polling": {"interval": "0s", "consistencyDelay": "0s"}, "retry": {"attempts": 1}}
        assert project["targets"]["prod"]["auth"] == {"method": "aksk"}
        assert project["state"] == "git"
        project["targets"]["prod"] |= {"endpoints": endpoints, "projectId": "pid", **fast}
        file.write_text(yaml.safe_dump(project))
        remote = bare_repository(tmp_path / "remote")
        git(bare.folder, "init", "--quiet", "--initial-branch=main", ".")
        git(bare.folder, "add", ".")
        git(bare.folder, "commit", "--quiet", "--message=The project")
        git(bare.folder, "remote", "add", "origin", remote.url)
        git(bare.folder, "push", "--quiet", "origin", "main")
        kit = Kit(bare, forge, emulator)
        kit.workspace.write("daily.yaml", manifest("MrsJob", "daily", SPECS["MrsJob"]))
        yield kit


def codes(jobs: dict[str, list[Step]]) -> dict[str, list[int]]:
    return {name: [step.code for step in steps] for name, steps in jobs.items()}


# --- GitHub -----------------------------------------------------------------------------------------------


def test_open_update_fail_and_merge(kit: Kit) -> None:
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    assert kit.comment.startswith(f"{MARK}\n<!-- deployer-digest: ")
    assert "MrsJob daily" in kit.comment
    assert "MrsJob daily" in (kit.folder.parent / "summary.md").read_text()
    # The pull request is updated.
    kit.workspace.write("weekly.yaml", manifest("MrsJob", "weekly", SPECS["MrsJob"]))
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    assert "`daily, weekly`" in kit.comment
    reviewed = kit.comment
    # It is broken, and says so in the same comment.
    kit.workspace.write("broken.yaml", "kind: [\n")
    jobs = kit.pull_request()
    assert codes(jobs) == {"check": [Exit.INVALID], "plan": [Exit.INVALID]}
    assert "::error file=broken.yaml" in jobs["check"][0].out
    assert "failed with exit code 4, so it cannot be applied" in kit.comment
    assert "broken.yaml:" in kit.comment
    assert kit.merged().code == Exit.ERROR
    # It is mended and merged: exactly what the comment showed is applied.
    (kit.folder / "broken.yaml").unlink()
    kit.pull_request()
    assert digest(kit.comment) == digest(reviewed)
    applied = kit.merged()
    assert (applied.code, "Apply complete: 2 applied." in applied.out) == (Exit.DONE, True), applied.err
    assert "The plan is not the one" not in applied.err


def digest(body: str) -> str:
    found = re.search("deployer-digest: ([0-9a-f]{64})", body)
    assert found
    return found[1]


def test_another_plan_than_the_reviewed_one_is_not_applied(kit: Kit) -> None:
    kit.pull_request()
    kit.workspace.write("weekly.yaml", manifest("MrsJob", "weekly", SPECS["MrsJob"]))
    applied = kit.merged()
    assert applied.code == Exit.STALE
    assert "No changes were applied." in applied.err
    assert "start this job by hand" in applied.err
    kit.forge.merged[MAIN] = []
    pushed = only(kit.jobs("push", "refs/heads/main"), "apply")
    assert (pushed.code, "came with no merged pull request" in pushed.err) == (Exit.ERROR, True)
    assert kit.by_hand().code == Exit.DONE


def test_once_more_after_a_half_done_apply(kit: Kit) -> None:
    kit.workspace.write("weekly.yaml", manifest("MrsJob", "weekly", SPECS["MrsJob"]))
    kit.pull_request()
    refused = {"error_code": "0157", "error_msg": "refused"}
    kit.emulator.faults.add(
        {"method": "POST", "path": "/job-executions$", "nth": 2, "status": 400, "body": refused}
    )
    half = kit.merged()
    assert half.code == Exit.PARTLY, half.out + half.err
    again = kit.merged()
    assert again.code == Exit.STALE
    assert "it applies what is left" in again.err
    rest = kit.by_hand()
    assert (rest.code, "Apply complete: 1 applied." in rest.out) == (Exit.DONE, True), rest.out
    assert "Plan for prod: no changes; 2 unchanged." in kit.by_hand().out


def test_a_cancelled_apply_leaves_no_lock(kit: Kit) -> None:
    variables = {**kit.forge.environment("github", number=None), **READ, "DEPLOYER_REVIEWED": "no"}
    with started(
        kit.folder, "deployer-ci apply -t prod --confirm prod --wait=succeeded", variables
    ) as process:
        assert process.stdout
        # It waits for a run that goes on.
        for line in process.stdout:
            if line.startswith("accepted create MrsJob daily"):
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait() == Exit.INTERRUPTED
    # The next run neither waits for a lock nor submits the job again.
    again = kit.by_hand()
    assert (again.code, "Plan for prod: no changes; 1 unchanged." in again.out) == (Exit.DONE, True), (
        again.err
    )
    assert "lock" not in again.err


def test_a_fork_gets_no_credentials(kit: Kit) -> None:
    jobs = kit.pull_request("evil/jobs")
    assert codes(jobs) == {"check": [0]}
    assert "Valid: 1 job for target prod" in jobs["check"][0].out
    assert kit.forge.sent == []
    assert READ["HUAWEICLOUD_SDK_SK"] not in str(jobs)


def test_drift_opens_one_issue_and_closes_it(kit: Kit) -> None:
    kit.pull_request()
    assert kit.nightly().code == Exit.CHANGES
    assert kit.nightly().code == Exit.CHANGES
    (issue,) = kit.forge.issues
    assert (issue.title, issue.state) == ("Drift in prod", "open")
    assert "MrsJob daily" in issue.body
    assert kit.merged().code == Exit.DONE
    assert kit.nightly().code == Exit.DONE
    assert [issue.state for issue in kit.forge.issues] == ["closed"]
    # A nightly plan that fails is not taken for one without drift.
    kit.workspace.write("broken.yaml", "kind: [\n")
    assert kit.nightly().code == Exit.INVALID
    assert [issue.state for issue in kit.forge.issues] == ["closed", "open"]


def test_no_step_prints_a_credential(kit: Kit) -> None:
    jobs = [kit.pull_request(), {"apply": [kit.merged()]}, {"drift": [kit.nightly()]}]
    for secret in (READ["HUAWEICLOUD_SDK_SK"], BOT):
        assert secret not in str(jobs)
        assert secret not in str([entry.body for entry in kit.forge.comments])


# --- the wrapper alone ------------------------------------------------------------------------------------

FAKE = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case $1 in
comment) [ "${3:-}" != -t ] || : ; case "$*" in *--digest*) echo abc ;; esac; exit "${COMMENT_CODE:-0}" ;;
*) echo "results of $1"; echo "messages of $1" >&2; exit "${CODE:-0}" ;;
esac
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder with a `deployer` that only records how it is called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "deployer").write_text(FAKE)
    (folder / "deployer").chmod(0o755)
    return folder


def wrapped(fake: Path, *arguments: str, shell: str = "sh", **variables: str) -> tuple[Step, list[str]]:
    """Run deployer-ci in an empty folder, and return how it has called deployer."""
    calls = fake.parent / "calls"
    calls.unlink(missing_ok=True)
    calls.touch()
    ran = subprocess.run(
        [shell, str(WRAPPER), *arguments],
        cwd=fake.parent,
        env={"PATH": f"{fake}:/usr/bin:/bin", "CALLS": str(calls), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Step("", ran.returncode, ran.stdout, ran.stderr), calls.read_text().splitlines()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("verb", ["check", "plan", "apply", "drift"])
def test_the_exit_code_is_that_of_deployer(fake: Path, verb: str, code: int) -> None:
    ran, calls = wrapped(fake, verb, "-t", "prod", CODE=str(code))
    assert ran.code == code
    output = fake.parent / "deployer-output"
    body = f"--body-file {output}/plan.md"
    failed = "" if code in {0, 2} else f" --log {output}/plan.log --exit-code {code}"
    expected = {
        "check": ["validate -t prod -C ."],
        "plan": [
            f"plan -t prod -C . --report markdown={output}/plan.md --out {output}/plan.json",
            f"comment -t prod -C . {body}{failed}",
        ],
        "apply": ["comment -t prod -C . --digest", "apply -t prod -C . --expect abc"],
        "drift": [
            f"plan -t prod -C . --report markdown={output}/plan.md --fail-on changes,drift,failed,orphans",
            f"comment -t prod -C . {body} --issue Drift in prod{failed}"
            if code
            else "comment -t prod -C . --issue Drift in prod --close",
        ],
    }
    assert calls == expected[verb]
    if verb in {"plan", "drift"}:
        assert (ran.out, ran.err) == ("results of plan\n", "messages of plan\n")


@pytest.mark.parametrize(("code", "expected"), [("0", 1), ("4", 4), ("2", 2)])
def test_a_comment_that_cannot_be_posted_is_an_error(fake: Path, code: str, expected: int) -> None:
    ran, _ = wrapped(fake, "plan", "-t", "prod", CODE=code, COMMENT_CODE="1")
    assert ran.code == expected


def test_without_a_reviewed_plan_nothing_is_applied(fake: Path) -> None:
    ran, calls = wrapped(fake, "apply", "-t", "prod", COMMENT_CODE="1")
    assert (ran.code, len(calls)) == (1, 1)
    assert "No changes were applied." in ran.err
    ran, calls = wrapped(fake, "apply", "-t", "prod", "--confirm", "prod", DEPLOYER_REVIEWED="no")
    assert (ran.code, calls) == (0, ["apply -t prod -C . --confirm prod"])


def test_comments_can_be_turned_off(fake: Path) -> None:
    for verb in ("plan", "drift"):
        ran, calls = wrapped(fake, verb, "-t", "prod", DEPLOYER_COMMENT="no")
        assert (ran.code, len(calls)) == (0, 1)


def test_options_are_passed_on_as_they_are(fake: Path) -> None:
    _, calls = wrapped(fake, "plan", "-C", "a b", "-t", "prod", "--set", "x=$(id) *", DEPLOYER_OUTPUT="o p")
    assert (
        calls[0] == f"plan -t prod -C a b --report markdown={fake.parent}/o p/plan.md "
        f"--out {fake.parent}/o p/plan.json --set x=$(id) *"
    )


@pytest.mark.parametrize(
    "arguments", [[], ["plan"], ["plan", "-t"], ["nope", "-t", "prod"], ["plan", "-C", "x"]]
)
def test_usage(fake: Path, arguments: list[str]) -> None:
    ran, calls = wrapped(fake, *arguments)
    assert (ran.code, calls, ran.err.startswith("usage: ")) == (3, [], True)


def test_links_in_the_checkout_are_not_followed(fake: Path) -> None:
    victim = fake.parent / "victim"
    victim.write_text("kept")
    output = fake.parent / "deployer-output"
    output.mkdir()
    for name in ("plan.md", "plan.json", "plan.log", "digest"):
        (output / name).symlink_to(victim)
    for verb in ("plan", "apply", "drift"):
        assert wrapped(fake, verb, "-t", "prod")[0].code == 0
    assert victim.read_text() == "kept"
    (fake.parent / "link").symlink_to(output)
    ran, calls = wrapped(fake, "plan", "-t", "prod", DEPLOYER_OUTPUT="link")
    assert (ran.code, calls, "link is a symbolic link" in ran.err) == (1, [], True)


# Blocked first and then waited for: a signal that comes in between is not lost, as it would be in a shell.
WAITING = f"""#!{sys.executable}
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print("stopped", flush=True)
raise SystemExit(130)
"""


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("verb", "shell"), [("check", "sh"), ("apply", "sh"), ("apply", "bash")])
def test_signals_are_passed_on(fake: Path, verb: str, shell: str, name: signal.Signals) -> None:
    (fake / "deployer").write_text(WAITING)
    with subprocess.Popen(
        [shell, str(WRAPPER), verb, "-t", "prod"],
        cwd=fake.parent,
        env={"PATH": f"{fake}:/usr/bin:/bin", "CALLS": str(fake / "calls"), "DEPLOYER_REVIEWED": "no"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(name)
        assert process.stdout.read() == "stopped\n"
        assert process.wait() == 130


# --- the files --------------------------------------------------------------------------------------------


def test_the_template_of_gitlab_has_the_jobs_of_init(bare: Workspace) -> None:
    (bare.folder / "deployer.yaml").unlink()
    assert bare.run("init", "--name=shop", "--ci=gitlab").code == Exit.DONE
    own = yaml.safe_load((bare.folder / ".gitlab-ci.yml").read_text())
    text = (ROOT / "ci" / "gitlab.yml").read_text()
    given = {"project": "shop", "target": "prod", "folder": ".", "image": "python:3.12", "prefix": ""}
    given["install"] = "git+https://github.com/OWNER/deployer@COMMIT"
    head, _, body = text.partition("\n---\n")
    assert {*yaml.safe_load(head)["spec"]["inputs"]} == {*given}
    for name, value in given.items():
        body = body.replace(f"$[[ inputs.{name} ]]", value)
    assert "$[[" not in body
    shared: dict[str, Any] = yaml.safe_load(body.replace(' -C "."', "").replace('"prod"', "prod"))
    for name, job in shared.items():
        assert job.pop("image") == own["image"]
        assert [line.replace('"', "") for line in job.pop("before_script")] == own["before_script"]
        extended = own[name].pop("extends", None)
        assert job == (own[extended] if extended else {}) | own[name]
    assert {*own} - {*shared} == {"image", "workflow", "before_script"}


@pytest.mark.parametrize("name", ["check", "plan", "apply"])
def test_the_steps_of_gitlab_and_of_the_action_are_the_same(kit: Kit, name: str) -> None:
    """Each prints and posts what the step of the workflow does; the files differ only in how they call it."""
    kit.pull_request()
    comment = kit.comment
    kit.forge.comments.clear()
    gitlab = kit.forge.environment("gitlab", number=None if name == "apply" else 7)
    if name == "apply":
        shell(kit.folder, "deployer-ci plan -t prod", {**kit.forge.environment("gitlab"), **READ})
        kit.forge.merged["a" * 40] = [7]
    pipeline = scaffold.files("shop", [], "gitlab")[".gitlab-ci.yml"]
    (line,) = yaml.safe_load(pipeline)[name]["script"]
    done = shell(kit.folder, line, {**gitlab, **({} if name == "check" else READ)})
    assert done.code == Exit.DONE, done.err
    if name == "plan":
        assert digest(kit.comment) == digest(comment)


def test_the_action_runs_the_wrapper(fake: Path) -> None:
    (fake / "deployer-ci").symlink_to(WRAPPER)
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    calls = fake.parent / "calls"
    given = {"CALLS": str(calls), "PATH": f"{fake}:/usr/bin:/bin", "VENV": str(fake.parent / "none")}
    given |= {"COMMAND": "plan", "TARGET": "prod", "FOLDER": ".", "OPTIONS": "--select\nkind=$(id) x\n"}
    ran = subprocess.run(
        ["sh", "-e", "-c", step["run"]],
        cwd=fake.parent,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "messages of plan\n")
    assert calls.read_text().splitlines()[0].endswith("plan.json --select kind=$(id) x")
    # Expressions are only in variables: what they contain is never part of a script.
    for each in action["runs"]["steps"]:
        assert "${{" not in each.get("run", "")
    used = {name for value in step["env"].values() for name in re.findall(r"inputs\.([a-z-]+)", str(value))}
    assert used == {*action["inputs"]} - {"python-version"}
