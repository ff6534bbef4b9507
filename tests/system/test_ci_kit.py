"""The kit for CI: the commands of the files that we ship, with the emulator and a stand-in of the forge.

The services are the emulator, the forge is on loopback, and the remote is a bare repository for `state: git`.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.emulator import Emulator
from deployer.emulator.mrs import FAMILY
from deployer.errors import Exit
from deployer.manifests import scaffold
from testing.forges import BOT, Entry, ForgeServer
from testing.git_server import bare_repository, git, without_settings
from testing.pipelines import Step, github_jobs, shell, started
from testing.workspace import ROOT, SPECS, Workspace, manifest

READ = {"HUAWEICLOUD_SDK_AK": "AK", "HUAWEICLOUD_SDK_SK": "sk-of-the-tests"}
MAIN = "c" * 40
MARK = "<!-- deployer: shop prod -->"
CI_PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
WRAPPER = ROOT / "deployer" / "cli" / "shells" / "deployer-ci"


@dataclass
class Kit:
    """A project as `init` writes it, in a repository with a remote, and what its jobs talk to."""

    workspace: Workspace
    forge: ForgeServer
    emulator: Emulator
    clock: Ahead
    number: int = 7
    secrets: dict[str, dict[str, str]] = field(default_factory=lambda: {"": READ, "prod": READ})

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def jobs(
        self,
        event_name: str,
        ref: str,
        *,
        repository: str = "team/jobs",
        file: str = "deployer",
        inputs: Mapping[str, str] | None = None,
    ) -> dict[str, list[Step]]:
        """Run the jobs that an event starts. `repository` is that of the pull request's branch."""
        is_fork = repository != "team/jobs"
        event_file = self.folder.parent / "event.json"
        request = {"number": self.number, "head": {"repo": {"full_name": repository}}}
        is_request = event_name == "pull_request"
        event_file.write_text(json.dumps({"pull_request": request} if is_request else {}))
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
            "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_REF": ref,
            "GITHUB_SHA": MAIN,
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        secrets = {"": {}} if is_fork else self.secrets
        return github_jobs(self.folder, event, secrets, runner, file=file, inputs=inputs)

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

    def run_nightly(self, **inputs: str) -> Step:
        """Run the workflow that runs jobs with parameters, as somebody starts it."""
        jobs = self.jobs("workflow_dispatch", "refs/heads/main", file="nightly", inputs=inputs)
        return only(jobs, "run")

    @property
    def comment(self) -> str:
        (entry,) = [entry for entry in self.forge.comments if entry.author == "bot"]
        return entry.body

    @property
    def summary(self) -> Path:
        return self.folder.parent / "summary.md"

    def commit(self) -> None:
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message=A change")

    def write(self, name: str) -> None:
        """Commit another job."""
        self.workspace.write(f"{name}.yaml", manifest("MrsJob", name, SPECS["MrsJob"]))
        self.commit()

    def names(self) -> list[str]:
        """Return the names of the jobs that the service has."""
        ran = shell(self.folder, "deployer list -t prod --all --format json", READ)
        return sorted(job["name"] for job in json.loads(ran.out)["jobs"])


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
    clock = Ahead()
    with ForgeServer() as forge, Emulator(tmp_path / "emulator.db", ak=ak, sk=sk, clock=clock) as emulator:
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
        kit = Kit(bare, forge, emulator, clock)
        kit.workspace.write("daily.yaml", manifest("MrsJob", "daily", SPECS["MrsJob"]))
        yield kit


def codes(jobs: dict[str, list[Step]]) -> dict[str, list[int]]:
    return {name: [step.code for step in steps] for name, steps in jobs.items()}


# --- GitHub -----------------------------------------------------------------------------------------------


def test_from_the_pull_request_to_the_apply(kit: Kit) -> None:
    """The whole story, as the CI of a repository lives through it."""
    # Somebody else has written a comment that looks like ours: it is neither followed nor touched.
    forged = f"{MARK}\n<!-- deployer-digest: {'0' * 64} -->"
    kit.forge.comments.append(Entry(1, "eve", forged))
    # Opened.
    kit.commit()
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    assert kit.comment.startswith(f"{MARK}\n<!-- deployer-digest: ")
    assert "MrsJob daily" in kit.comment
    assert "MrsJob daily" in kit.summary.read_text()
    # Updated, in the same comment.
    kit.write("weekly")
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    assert "`daily, weekly`" in kit.comment
    reviewed = kit.comment
    # The plan fails, for an invalid manifest and for a service that is down. The comment says so and has nothing of the
    # plan before, which is neither shown nor applied.
    kit.workspace.write("broken.yaml", "kind: [\n")
    jobs = kit.pull_request()
    assert codes(jobs) == {"check": [Exit.INVALID], "plan": [Exit.INVALID]}
    assert "::error file=broken.yaml" in jobs["check"][0].out
    assert "failed with exit code 4, so it cannot be applied" in kit.comment
    assert "No plan was made: the command failed (exit code 4)." in kit.comment
    assert kit.comment.count("broken.yaml:") == 1
    assert kit.summary.read_text().endswith("UTC`</sub>\n")
    assert not {"weekly", "deployer-digest"} & {*re.findall(r"[\w-]+", kit.comment)}
    assert kit.merged().code == Exit.ERROR
    (kit.folder / "broken.yaml").unlink()
    kit.emulator.faults.add({"path": "/job-executions", "status": 500, "nth": 1})
    assert codes(kit.pull_request()) == {"check": [0], "plan": [Exit.ERROR]}
    assert "Failed to plan" in kit.comment
    assert "deployer-digest" not in kit.comment
    assert kit.merged().code == Exit.ERROR
    # It is mended, and shows the same plan as before. Nothing has been applied until now.
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    assert digest(kit.comment) == digest(reviewed)
    assert kit.names() == []
    # Merged: what the comment showed is applied, but only a half of it is accepted.
    refused = {"error_code": "0157", "error_msg": "refused"}
    kit.emulator.faults.add(
        {"method": "POST", "path": "/job-executions$", "nth": 2, "status": 400, "body": refused}
    )
    half = kit.merged()
    assert half.code == Exit.PARTLY, half.out + half.err
    # A re-run of the job applies nothing, and says how to apply the rest.
    again = kit.merged()
    assert again.code == Exit.STALE
    assert "note: 1 of 2 changes of the expected plan was applied" in again.err
    assert "start a new run by hand on the branch" in again.err
    rest = kit.by_hand()
    assert (rest.code, "Apply complete: 1 applied." in rest.out) == (Exit.DONE, True), rest.out
    assert "Plan for prod: no changes; 2 unchanged." in kit.by_hand().out
    assert kit.names() == ["daily", "weekly"]
    # The next pull request is applied completely, and a re-run of its job has nothing to do.
    kit.write("monthly")
    assert codes(kit.pull_request()) == {"check": [0], "plan": [0]}
    applied = kit.merged()
    assert (applied.code, "Apply complete: 1 applied." in applied.out) == (Exit.DONE, True), applied.err
    assert "The plan is not the one" not in applied.err
    assert "### deployer apply: `shop` → `prod`" in kit.summary.read_text()
    again = kit.merged()
    assert (again.code, "This plan has already been applied, by run " in again.out) == (Exit.DONE, True), (
        again
    )
    assert kit.names() == ["daily", "monthly", "weekly"]
    assert kit.forge.comments[0].body == forged


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
    assert "start a new run by hand on the branch" in applied.err
    kit.forge.merged[MAIN] = []
    pushed = only(kit.jobs("push", "refs/heads/main"), "apply")
    assert (pushed.code, "came with no merged pull request" in pushed.err) == (Exit.ERROR, True)
    assert kit.by_hand().code == Exit.DONE


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


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_plan_leaves_the_comment_to_the_next_one(kit: Kit, name: signal.Signals) -> None:
    kit.pull_request()
    before = kit.comment
    file = kit.folder / "deployer.yaml"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        file.write_text(file.read_text().replace(kit.emulator.url, url))
        variables = {**kit.forge.environment("github"), **READ}
        with started(kit.folder, "deployer-ci plan -t prod", variables) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(name)
                assert process.wait() == Exit.INTERRUPTED
    assert kit.comment == before
    report = (kit.folder / "deployer-output/plan.md").read_text()
    assert "No plan was made: interrupted (exit code 130)." in report
    assert not (kit.folder / "deployer-output/plan.json").exists()


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


class Ahead:
    """The time of the services, which runs ahead by `tick` whenever somebody looks at it."""

    tick = 0.0
    ahead = 0.0

    def __call__(self) -> float:
        self.ahead += self.tick
        return time.time() + self.ahead


def nightly(name: str) -> dict[str, Any]:
    """A job with the label of those that run every night, for a date."""
    spec = {**SPECS["MrsJob"], "arguments": ["--date", '{{ param("date") }}']}
    found = manifest("MrsJob", name, spec, parameters={"date": {"type": "date"}})
    found["metadata"]["labels"] = {"run": "nightly"}
    return found


def test_runs_every_night(kit: Kit) -> None:
    kit.clock.tick = 2.0
    kit.pull_request()
    assert kit.merged().code == Exit.DONE
    # The list goes back far enough to know that a run is missing: its oldest run has ended.
    [job] = kit.emulator.store.find(FAMILY, "pid")[1]
    earlier = job.created - 9 * 86_400_000
    kit.emulator.store.set(job, created=earlier, started=earlier)
    night = kit.run_nightly()
    assert (night.code, "--select matches no jobs" in night.err) == (Exit.USAGE, True), night
    kit.workspace.write("load.yaml", nightly("load"))
    kit.workspace.write("report.yaml", nightly("report"))
    # The apply after the merge leaves them alone.
    assert "no changes" in kit.by_hand().out
    before = datetime.now(UTC).date()
    night = kit.run_nightly()
    assert night.code == Exit.DONE, night.out + night.err
    yesterdays = {str(day - timedelta(days=1)) for day in (before, datetime.now(UTC).date())}
    found = re.search(r"done +create MrsJob load date=(\S+) in c-1 ", night.out)
    assert found
    assert found[1] in yesterdays
    assert kit.names() == ["daily", "load", "report"]
    # What has succeeded is not run again.
    again = kit.run_nightly(dates=found[1])
    assert (again.code, "accepted" in again.out) == (Exit.DONE, False), again.out
    # Somebody asks for other dates and a job by its name. Nothing of it is taken for a command or an option.
    day = str(before - timedelta(days=3))
    some = kit.run_nightly(dates=f"{day}..{day}", jobs="load")
    assert (some.code, f"load date={day} in c-1" in some.out) == (Exit.DONE, True), some.out + some.err
    assert "report" not in some.out
    for inputs in (
        {"dates": "$(touch evil)"},
        {"dates": day, "jobs": "--assume-missing"},
        {"jobs": "*; touch evil"},
    ):
        refused = kit.run_nightly(**inputs)
        assert refused.code == Exit.USAGE, refused
    assert not (kit.folder / "evil").exists()


def test_each_target_has_a_comment_and_a_reviewed_plan_of_its_own(kit: Kit) -> None:
    file = kit.folder / "deployer.yaml"
    project = yaml.safe_load(file.read_text())
    project["targets"]["test"] = project["targets"]["prod"] | {"projectId": "other"}
    file.write_text(yaml.safe_dump(project))
    loop = re.search(r"^```sh\n(for target in test prod.*?)^```$", CI_PAGE, re.MULTILINE | re.DOTALL)
    assert loop
    given = {**kit.forge.environment("github"), **READ}
    for number in (1, 2):
        assert shell(kit.folder, loop[1], given).code == 0
        assert [entry.body.partition("\n")[0] for entry in kit.forge.comments] == [
            "<!-- deployer: shop test -->",
            MARK,
        ]
        assert not any(entry.hidden for entry in kit.forge.comments)
        if number == 1:
            kit.write("weekly")
    digests = [digest(entry.body) for entry in kit.forge.comments]
    assert len({*digests}) == 2
    assert (kit.folder / "deployer-output/test/plan.md").is_file()
    # One of them fails: the other one is planned all the same, and the loop fails.
    kit.emulator.faults.add({"path": "/other/", "status": 500})
    assert shell(kit.folder, loop[1], given).code == Exit.ERROR
    failed, planned = (entry.body for entry in kit.forge.comments)
    assert ("Failed to plan" in failed, "deployer-digest" in failed) == (True, False)
    assert digest(planned) == digests[1]
    kit.forge.merged[MAIN] = [7]
    given |= {"GITHUB_SHA": MAIN}
    del given["GITHUB_REF"]
    applied = {
        target: shell(kit.folder, f"deployer-ci apply -t {target} --confirm {target}", given).code
        for target in ("test", "prod")
    }
    assert applied == {"test": Exit.ERROR, "prod": Exit.DONE}
    ran = shell(kit.folder, "deployer plan -t test -t prod --report markdown=plan.md", READ)
    assert (ran.code, "run plan -t TARGET once for each" in ran.err) == (Exit.USAGE, True)


def test_the_nightly_runs_of_gitlab(kit: Kit) -> None:
    job = yaml.safe_load(scaffold.files("shop", [], "gitlab")[".gitlab-ci.yml"])["nightly"]
    script = "\n".join(job["script"])
    given = {**kit.forge.environment("gitlab", number=None), **READ}
    ran = shell(kit.folder, script, given)
    assert (ran.code, "--select matches no jobs" in ran.err) == (Exit.USAGE, True), ran
    kit.workspace.write("load.yaml", nightly("load"))
    # Nothing proves yet that a run is missing.
    ran = shell(kit.folder, script, given)
    assert (ran.code, "--assume-missing submits it" in ran.out) == (Exit.BLOCKED, True), ran
    for inputs in ({"DATES": "$(touch evil)"}, {"JOBS": "--assume-missing"}, {"JOBS": "*; touch evil"}):
        assert shell(kit.folder, script, {**given, **inputs}).code == Exit.USAGE
    assert not (kit.folder / "evil").exists()
    assert kit.names() == []


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
@pytest.mark.parametrize("verb", ["check", "plan", "apply", "run", "drift"])
def test_the_exit_code_is_that_of_deployer(fake: Path, verb: str, code: int) -> None:
    ran, calls = wrapped(fake, verb, "-t", "prod", CODE=str(code))
    assert ran.code == code
    output = fake.parent / "deployer-output"
    body = f"--body-file {output}/plan.md"
    failed = "" if code in {0, 2} else f" --exit-code {code} --log {output}/plan.log"
    expected = {
        "check": ["validate -t prod -C ."],
        "plan": [
            f"plan -t prod -C . --report markdown={output}/plan.md --out {output}/plan.json",
            f"comment -t prod -C . {body}{failed}",
        ],
        "apply": ["comment -t prod -C . --digest", "apply -t prod -C . --expect abc"],
        "run": ["run -t prod -C ."],
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


@pytest.mark.parametrize("value", ["no", "No", "false", "FALSE", "0"])
def test_comments_and_the_review_can_be_turned_off(fake: Path, value: str) -> None:
    for verb in ("plan", "drift"):
        ran, calls = wrapped(fake, verb, "-t", "prod", DEPLOYER_COMMENT=value)
        assert (ran.code, len(calls)) == (0, 1)
    ran, calls = wrapped(fake, "apply", "-t", "prod", DEPLOYER_REVIEWED=value)
    assert (ran.code, calls) == (0, ["apply -t prod -C ."])


@pytest.mark.parametrize("value", ["yes", "true", "True", "1", ""])
def test_comments_and_the_review_are_on(fake: Path, value: str) -> None:
    _, calls = wrapped(fake, "plan", "-t", "prod", DEPLOYER_COMMENT=value)
    assert len(calls) == 2
    _, calls = wrapped(fake, "apply", "-t", "prod", DEPLOYER_REVIEWED=value)
    assert "--expect abc" in calls[1]


@pytest.mark.parametrize("name", ["DEPLOYER_COMMENT", "DEPLOYER_REVIEWED"])
@pytest.mark.parametrize("value", ["off", "nein", " no", "2"])
def test_any_other_word_is_refused_before_anything_is_done(fake: Path, name: str, value: str) -> None:
    for verb in ("check", "plan", "apply", "run", "drift"):
        ran, calls = wrapped(fake, verb, "-t", "prod", **{name: value})
        assert (ran.code, calls) == (3, [])
        assert f"error: {name}: expected yes or no\n" in ran.err
    assert not (fake.parent / "deployer-output").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        ["plan", "--help"],
        ["apply", "-h"],
        ["drift", "-t", "prod", "--help"],
        ["help", "-h"],
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_help_runs_nothing(fake: Path, arguments: list[str], shell: str) -> None:
    ran, calls = wrapped(fake, *arguments, shell=shell)
    assert (ran.code, calls, ran.err) == (0, [], "")
    assert ran.out.startswith("Usage: deployer-ci check|plan|apply|run|drift -t TARGET")
    assert "  drift  Open, update or close the issue about drift.\n" in ran.out
    assert not (fake.parent / "deployer-output").exists()


def test_a_word_after_the_options_is_no_request_for_help(fake: Path) -> None:
    _, calls = wrapped(fake, "run", "-t", "prod", "--", "-h")
    assert calls == ["run -t prod -C . -- -h"]


def test_the_step_has_a_summary_where_there_is_one(fake: Path) -> None:
    for verb, is_reported in {
        "check": False,
        "plan": True,
        "apply": True,
        "run": False,
        "drift": True,
    }.items():
        _, calls = wrapped(fake, verb, "-t", "prod", GITHUB_STEP_SUMMARY="/dev/null")
        assert any("--summary" in call for call in calls) == is_reported
        _, calls = wrapped(fake, verb, "-t", "prod")
        assert not any("--summary" in call for call in calls)


def test_git_ignores_what_is_written_but_no_folder_that_was_there(fake: Path) -> None:
    work = fake.parent
    git(work, "init", "--quiet", "--initial-branch=main", ".")
    git(work, "add", "bin")
    before = git(work, "status", "--porcelain")
    for output in ("deployer-output", "deep/of/prod"):
        assert wrapped(fake, "plan", "-t", "prod", DEPLOYER_OUTPUT=output)[0].code == 0
        assert (work / output / "plan.txt").is_file()
    (work / "calls").unlink()
    assert git(work, "status", "--porcelain") == before
    (work / "reports").mkdir()
    for output in (".", "reports"):
        assert wrapped(fake, "plan", "-t", "prod", DEPLOYER_OUTPUT=output)[0].code == 0
        assert not (work / output / ".gitignore").exists()


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
        # A shell can trap no signal that is ignored when it starts, as SIGHUP is under nohup.
        preexec_fn=lambda: signal.signal(name, signal.SIG_DFL),
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(name)
        assert process.stdout.read() == "stopped\n"
        assert process.wait() == 130


# --- the files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci", ["github", "github-nightly", "gitlab"])
def test_only_what_is_pinned_is_installed(bare: Workspace, tmp_path: Path, ci: str) -> None:
    """The steps install the commit that they name, and run its own ci/install, which asks for hashes."""
    source = tmp_path / "source"
    for file in ("ci/install", "requirements/build.txt", "requirements/install.txt"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_bytes((ROOT / file).read_bytes())
    git(source, "init", "--quiet", "--initial-branch=main", ".")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message=Release")
    commit = git(source, "rev-parse", "HEAD").strip()
    (source / "requirements/install.txt").write_text("evil\n")
    git(source, "commit", "--quiet", "--all", "--message=After it")
    (bare.folder / "deployer.yaml").unlink()
    assert bare.run("init", "--name=shop", f"--ci={ci.partition('-')[0]}").code == Exit.DONE
    if ci == "gitlab":
        pipeline = yaml.safe_load((bare.folder / ".gitlab-ci.yml").read_text())
        scripts = ["\n".join(pipeline["before_script"])]
        scripts = [text.replace("https://github.com/OWNER/deployer", str(source)) for text in scripts]
        scripts = [text.replace("COMMIT", commit) for text in scripts]
        given: dict[str, str] = {}
    else:
        name = "nightly" if ci == "github-nightly" else "deployer"
        workflow = yaml.safe_load((bare.folder / f".github/workflows/{name}.yml").read_text())
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        scripts = [step["run"] for step in steps if step.get("name") == "Install deployer"]
        assert len(scripts) == len(workflow["jobs"])
        assert workflow["env"]["DEPLOYER_SOURCE"].endswith("/OWNER/deployer")
        given = {"DEPLOYER_SOURCE": str(source), "DEPLOYER_COMMIT": commit}
    calls = tmp_path / "calls"
    fake_python(tmp_path / "bin", calls)
    for number, script in enumerate(scripts):
        temporary = tmp_path / f"temporary-{number}"
        temporary.mkdir()
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        variables = {**given, "PATH": path, "RUNNER_TEMP": str(temporary), "TMPDIR": str(temporary)}
        ran = shell(bare.folder, script, variables)
        assert ran.code == 0, ran.err
        requirements, own = calls.read_text().splitlines()
        found = re.fullmatch(
            r"-I -m pip --quiet --disable-pip-version-check install --only-binary :all: --require-hashes "
            r"-r (\S+)/requirements/build.txt -r (\S+)/requirements/install.txt",
            requirements,
        )
        assert found
        assert found[1] == found[2]
        assert found[1].startswith(f"{temporary}/")
        assert own.endswith(f" install --no-deps --no-build-isolation {found[1]}")
        assert (Path(found[1]) / "requirements/install.txt").read_bytes() == (
            ROOT / "requirements/install.txt"
        ).read_bytes()
        calls.unlink()
    files = [*(bare.folder / ".github/workflows").glob("*"), *bare.folder.glob(".gitlab-ci.yml")]
    files += [ROOT / "action.yml", ROOT / "ci/gitlab.yml"]
    assert not any("pip install" in file.read_text() for file in files)


def test_code_of_the_checkout_is_not_run_by_the_installation(tmp_path: Path) -> None:
    for name in ("pip", "venv", "runpy"):
        (tmp_path / f"{name}.py").write_text("open('evil', 'w')\n")
    # Installs nothing: each call of pip only prints its version.
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$1" "$2" "$3" --help\n')
    python.chmod(0o755)
    path = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    action = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][1]["run"]
    for script in (f'sh "{ROOT}/ci/install"', action):
        ran = shell(tmp_path, script, {**path, "VENV": "none", "SOURCE": str(ROOT)})
        assert (ran.code, "usage" in ran.out.lower()) == (0, True), ran.err
    assert not (tmp_path / "evil").exists()


def fake_python(folder: Path, calls: Path) -> None:
    """Write a `python` that only records how it is called."""
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{calls}"\n')
    (folder / "python").chmod(0o755)


def test_the_template_of_gitlab_has_the_jobs_of_init(bare: Workspace) -> None:
    (bare.folder / "deployer.yaml").unlink()
    assert bare.run("init", "--name=shop", "--ci=gitlab").code == Exit.DONE
    own = yaml.safe_load((bare.folder / ".gitlab-ci.yml").read_text())
    text = (ROOT / "ci" / "gitlab.yml").read_text()
    given = {"project": "shop", "target": "prod", "folder": ".", "image": "python:3.12.12", "prefix": ""}
    given |= {"source": "https://github.com/OWNER/deployer", "commit": "COMMIT"}
    head, _, body = text.partition("\n---\n")
    assert {*yaml.safe_load(head)["spec"]["inputs"]} == {*given}
    for name, value in given.items():
        body = body.replace(f"$[[ inputs.{name} ]]", value)
    assert "$[[" not in body
    shared: dict[str, Any] = yaml.safe_load(body.replace(' -C "."', "").replace('"prod"', "prod"))
    for name, job in shared.items():
        assert job.pop("image") == own["image"]
        before = [line.replace('"', "") for line in job.pop("before_script")]
        assert before == [line.replace('"', "") for line in own["before_script"]]
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
