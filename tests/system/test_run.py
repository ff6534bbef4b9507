"""`deployer run` and `deployer runs`: the runs of jobs with parameters, made once each whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.apply.lock import hold
from deployer.emulator import Emulator
from testing.faults import FaultProxy, hangs_up, interrupts, listed, says
from testing.git_server import GitServer, bare_repository, checkout, publish, without_settings
from testing.live import call, create
from testing.workspace import SPECS, Clock, Ran, Workspace, manifest

DAY = 86_400.0
DATE = {"type": "date", "from": "2024-05-01"}
ARGS = ["--date", '{{ param("date") }}', '--out=obs://shop/dt={{ param("date") | date("%Y%m%d") }}']


def daily(executors: int = 2, **more: Any) -> dict[str, Any]:
    spec = {**SPECS["SparkBatch"], "numExecutors": executors, "args": ARGS}
    return manifest("SparkBatch", "daily", spec, **{"parameters": {"date": DATE}, **more})


def load(**more: Any) -> dict[str, Any]:
    text = 'INSERT OVERWRITE t PARTITION (dt={{ param("date") }}) SELECT a, b FROM raw'
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": [text]}
    return manifest("MrsJob", "load", spec, **{"parameters": {"date": DATE}, **more})


def day(number: int) -> str:
    return f"2024-05-{number:02}"


def run(workspace: Workspace, *arguments: str) -> Ran:
    return workspace.run("run", *arguments, "--yes")


def dates(url: str) -> Counter[str]:
    """How many batches have been made for each date, by what they were sent."""
    return Counter(
        json.loads(job["req_body"])["args"][1] for job in listed(url, "SparkBatch") if job["name"] == "daily"
    )


@pytest.fixture
def shop(workspace: Workspace, emulator: Emulator, clock: Clock) -> Workspace:
    """A project with a parametrised batch; the listing goes back to before the first date."""
    clock.now = 1_713_571_200.0  # 2024-04-20
    create(emulator.url, "SparkBatch", "another", SPECS["SparkBatch"])
    clock.forward(50 * DAY)
    workspace.write("daily.yaml", daily())
    return workspace


# --- the whole of it


@pytest.fixture
def machines(
    shop: Workspace, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Workspace, Workspace]]:
    """Two checkouts that share nothing but the state in git, behind a proxy that can kill them."""
    without_settings(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("DEPLOYER_LOCK_LEASE", "1")
    shop.project = {"state": "git"}
    shop.write_project()
    remote = bare_repository(tmp_path / "host" / "project.git")
    with GitServer(remote.folder.parent) as server:
        publish(shop, remote, server.url_of(remote))
        yield shop, checkout(shop, server.url_of(remote), tmp_path / "second", "--depth=1")


def killed(
    workspace: Workspace, proxy: FaultProxy, arguments: Sequence[str], *, nth: int, after: bool
) -> int:
    """Run a command that is killed when it sends its nth batch."""
    proxy.rule("POST", "/batches", interrupts(lambda: process.pid, signal.SIGKILL, after=after), nth=nth)
    with subprocess.Popen(
        [sys.executable, "-m", "deployer", *arguments],
        cwd=workspace.folder,
        env={**os.environ, "TMPDIR": str(workspace.folder.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        code = process.wait(60)
    proxy.clear()
    return code


def test_a_month_with_gaps_is_filled_once_although_it_is_killed_twice_on_two_machines(
    machines: tuple[Workspace, Workspace], proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    first, second = machines
    most = ("--max-active", "40")
    assert run(first, "daily", "--param", "date=2024-05-01..2024-05-04", *most).code == 0
    for workspace in machines:
        workspace.write("daily.yaml", daily(executors=4))
    assert run(first, "daily", "--param", "date=2024-05-05..2024-05-19", *most).code == 0
    for number in (20, 21):  # by hand, without a mark
        args = ["--date", day(number), f"--out=obs://shop/dt=202405{number}"]
        create(emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 4, "args": args})
    assert run(first, "daily", "--param", "date=2024-05-22..2024-05-24", *most).code == 0
    for job in listed(emulator.url, "SparkBatch"):
        if json.loads(job["req_body"])["args"][1:2] in ([day(22)], [day(23)], [day(24)]):
            call(emulator.url, "DELETE", f"/v2.0/pid/batches/{job['id']}")
    clock.forward(100)
    assert run(first, "daily", "--param", "date=2024-05-25,2024-05-26", *most).code == 0
    before = dates(emulator.url)
    assert sum(before.values()) == 26

    shown = second.run("runs", "daily", "--format", "json").json["jobs"][0]["runs"]
    assert Counter((each["definition"], each["phase"]) for each in shown) == {
        ("older", "succeeded"): 4,
        ("same", "succeeded"): 17,
        ("same", "failed"): 3,
        ("same", "active"): 2,
    }
    assert {each["run"]["date"] for each in shown} == {day(number) for number in range(1, 27)}
    assert {tuple(each["differs"]) for each in shown if each["definition"] == "older"} == {("/numExecutors",)}

    whole = [
        "run",
        "daily",
        "--param",
        "date=2024-05-01..2024-05-31",
        "--missing",
        "--failed",
        "--yes",
        *most,
    ]
    one = [*whole, "--parallelism", "1"]
    assert killed(first, proxy, one, nth=3, after=True) == -signal.SIGKILL
    assert killed(second, proxy, one, nth=2, after=False) == -signal.SIGKILL
    ran = first.run(*whole)
    assert ran.code == 0, ran
    made = dates(emulator.url) - before
    assert made == {day(number): 1 for number in (22, 23, 24, 27, 28, 29, 30, 31)}
    again = second.run(*whole)
    assert (again.code, "Run complete: 0 submitted." in again.out) == (0, True), again
    assert dates(emulator.url) - before == made


# --- which runs


def test_a_run_that_was_made_is_made_again_only_on_request(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one, "--missing").code == 0
    active = run(shop, *one)
    assert active.code == 5
    assert "use --beside for a second run" in active.out
    assert run(shop, *one, "--missing", "--failed", "--changed").code == 0
    assert dates(emulator.url) == {day(1): 1}
    assert run(shop, *one, "--beside").code == 0
    assert dates(emulator.url) == {day(1): 2}
    clock.forward(100)
    assert "0 submitted" in run(shop, *one, "--missing", "--changed", "--failed").out
    shop.write("daily.yaml", daily(executors=8))
    assert "not submitted again without --changed" not in run(shop, *one, "--missing", "--failed").out
    assert dates(emulator.url) == {day(1): 2}
    assert "of another definition" in run(shop, *one, "--changed").out
    assert dates(emulator.url) == {day(1): 3}
    clock.forward(100)
    assert run(shop, *one).code == 0
    assert dates(emulator.url) == {day(1): 4}


def test_what_the_list_may_have_forgotten_is_not_missing(shop: Workspace, emulator: Emulator) -> None:
    shop.write("daily.yaml", daily(parameters={"date": {"type": "date"}}))
    early = ("daily", "--param", "date=2024-04-01..2024-04-02", "--missing", "--max-active", "9")
    ran = run(shop, *early)
    assert ran.code == 5, ran
    assert (
        "the job list goes back to 2024-04-20 00:01 UTC only, so a run before that may be forgotten (it can have been"
        " made since 2024-03-31 10:00 UTC, when it began in the first time zone)" in ran.out
    )
    assert "--assume-missing submits it" in ran.out
    assert not dates(emulator.url)
    assert run(shop, *early, "--assume-missing").code == 0
    assert dates(emulator.url) == {"2024-04-01": 1, "2024-04-02": 1}


def test_the_runs_of_a_job_that_has_moved_are_not_made_again_unasked(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    clock.forward(100)
    moved = daily()
    moved["spec"] = {**moved["spec"], "queue": "another"}
    shop.write("daily.yaml", moved)
    two = ("daily", "--param", "date=2024-05-01..2024-05-02", "--max-active", "2")
    ran = run(shop, *two, "--missing")
    assert ran.code == 5, ran
    assert "of it in q has succeeded (success); --assume-missing submits it" in ran.out
    assert dates(emulator.url) == {day(1): 1, day(2): 1}
    clock.forward(100)
    moved["metadata"]["renamedFrom"] = {"place": "q"}
    shop.write("daily.yaml", moved)
    ran = run(shop, *two, "--missing", "--changed")
    assert (ran.code, "0 submitted" in ran.out) == (0, True), ran
    runs = shop.run("runs", "daily", "--format", "json").json["jobs"][0]["runs"]
    assert [each["definition"] for each in runs] == ["same", "same"]


def test_values_that_are_not_told_are_never_guessed(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    shop.write("load.yaml", load())
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": ["INSERT INTO t SELECT 1"]}
    create(emulator.url, "MrsJob", "other", spec)
    identifier = create(emulator.url, "MrsJob", "load", spec)
    clock.forward(100)
    shown = shop.run("runs", "load")
    assert shown.out.splitlines()[1].startswith("?  "), shown
    assert "not told: /arguments/0 is" in shown.out
    one = ("load", "--param", "date=2024-06-09", "--assume-missing", "--missing")
    ran = run(shop, *one[:3], "--missing")
    assert (ran.code, f"the values of {identifier} are not told" in ran.out) == (5, True), ran
    assert run(shop, *one).code == 0
    told = shop.run("runs", "load", "--format", "json").json["jobs"][0]["runs"]
    assert [each["run"] for each in told] == [{"date": "2024-06-09"}, None]


def test_the_marks_of_another_project_are_not_believed(shop: Workspace, emulator: Emulator) -> None:
    conf = {"spark.deployer.project": "another", "spark.deployer.param.date": day(9)}
    args = ["--date", day(3), "--out=obs://shop/dt=20240503"]
    create(emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "args": args, "conf": conf})
    runs = shop.run("runs", "daily", "--format", "json").json["jobs"][0]["runs"]
    assert [each["run"] for each in runs] == [{"date": day(3)}]


def test_a_mark_that_was_copied_in_the_console_is_not_believed(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    (own,) = [job for job in listed(emulator.url, "SparkBatch") if job["name"] == "daily"]
    edited = {**json.loads(own["req_body"]), "args": ["--date", day(2), "--out=obs://shop/dt=20240502"]}
    assert edited["conf"]["spark.deployer.param.date"] == day(1)
    edited.pop("name")
    clock.forward(5)
    create(emulator.url, "SparkBatch", "daily", edited)
    clock.forward(100)
    runs = shop.run("runs", "daily", "--format", "json").json["jobs"][0]["runs"]
    assert [each["run"] for each in runs] == [None, {"date": day(1)}]
    assert runs[0]["reason"] == f"its marks say date={day(1)}, but what was sent says otherwise"
    ran = run(shop, "daily", "--param", f"date={day(2)}", "--missing")
    assert (ran.code, "are not told, so it may be one of them" in ran.out) == (5, True), ran
    # An older definition that used the date in another way is no copy.
    changed = daily()
    changed["spec"]["args"] = ["--date", '{{ param("date") | date(days=1) }}', ARGS[1]]
    shop.write("daily.yaml", changed)
    runs = shop.run("runs", "daily", "--format", "json").json["jobs"][0]["runs"]
    assert {"date": day(1)} in [each["run"] for each in runs]


# --- places, order and waiting


def test_more_runs_than_places_need_a_wait(shop: Workspace, emulator: Emulator, clock: Clock) -> None:
    three = ("daily", "--param", "date=2024-05-01..2024-05-03")
    refused = run(shop, *three)
    assert refused.code == 3
    assert "3 runs of a job, but at most 1 may be active at once: add --wait=succeeded" in refused.err
    clock.tick = 10.0
    ran = run(shop, *three, "--wait=succeeded", "--backwards")
    assert ran.code == 0, ran
    assert ran.out.endswith("Run complete: 3 submitted.\n")
    batches = [job for job in listed(emulator.url, "SparkBatch") if job["name"] == "daily"]
    in_order = sorted(batches, key=lambda job: job["create_time"])
    assert [json.loads(job["req_body"])["args"][1] for job in in_order] == [day(3), day(2), day(1)]
    ends = [job["create_time"] + job["duration"] for job in in_order]
    assert all(job["create_time"] >= end for job, end in zip(in_order[1:], ends, strict=False))


def test_a_place_that_is_taken_blocks_without_a_wait(shop: Workspace, emulator: Emulator) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    ran = run(shop, "daily", "--param", f"date={day(2)}")
    assert ran.code == 5, ran
    assert "at most 1 of its runs are active at once; use --wait to wait for it" in ran.out
    assert dates(emulator.url) == {day(1): 1}
    assert run(shop, "daily", "--param", f"date={day(2)}", "--max-active", "2").code == 0


def test_a_chain_runs_date_by_date(shop: Workspace, emulator: Emulator, clock: Clock) -> None:
    shop.write("load.yaml", load())
    shop.write("daily.yaml", daily(dependsOn=[{"name": "load", "until": "succeeded"}]))
    blocked = run(shop, "daily", "--param", f"date={day(1)}")
    assert blocked.code == 5
    assert f"dependency 'load date={day(1)}' has no run, and is not selected: add 'load'" in blocked.out
    clock.tick = 10.0
    both = ("load", "daily", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded")
    ran = run(shop, *both)
    assert ran.code == 0, ran
    loads = {job["job_id"]: job for job in listed(emulator.url, "MrsJob")}
    ended = {json.loads(json.dumps(job["arguments"])): job["finished_time"] for job in loads.values()}
    assert dates(emulator.url) == {day(1): 1, day(2): 1}
    for job in listed(emulator.url, "SparkBatch"):
        if job["name"] == "daily":
            date = json.loads(job["req_body"])["args"][1]
            (end,) = [time for text, time in ended.items() if date in text]
            assert job["create_time"] >= end
    again = run(shop, *both, "--missing", "--failed")
    assert (again.code, "0 submitted" in again.out) == (0, True), again


def test_a_failed_run_does_not_stop_the_others(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 10.0
    shop.write("load.yaml", load())
    shop.write("daily.yaml", daily(dependsOn=[{"name": "load", "until": "succeeded"}]))

    killed_first(proxy, emulator)
    ran = run(shop, "load", "daily", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded")
    assert ran.code == 8, ran
    assert dates(emulator.url) == {day(2): 1}
    assert f"skipped  create SparkBatch daily date={day(1)} in q" in ran.out


def test_a_run_that_fails_again_shows_the_end_of_its_log(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0

    def end() -> None:
        for job in listed(emulator.url, "SparkBatch"):
            if job["name"] == "daily":
                emulator.store.end(job["id"], "dead")

    end()

    def dies(sent: Any) -> Any:
        end()
        return sent.forward()

    proxy.rule("GET", "/batches/[^/?]+$", dies, nth=2)  # the first one is the reading back
    proxy.rule("GET", r"/log\?", says(200, {"total": 2, "log": ["boom", "password=hunter2"]}))
    ran = run(shop, *one, "--failed", "--wait=succeeded")
    assert ran.code == 8, ran
    assert ran.out.count("submitted, but the run has failed (dead)\n    | boom\n    | password=") == 1
    assert "hunter2" not in ran.out + ran.err


def test_a_dependency_that_ran_under_a_former_name_is_there(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    shop.write("load.yaml", load())
    assert run(shop, "load", "--param", f"date={day(1)}").code == 0
    clock.forward(100)
    renamed = load()
    renamed["metadata"] = {"name": "load-raw", "renamedFrom": "load"}
    shop.write("load.yaml", renamed)
    shop.write("daily.yaml", daily(dependsOn=[{"name": "load-raw", "until": "succeeded"}]))
    ran = run(shop, "daily", "--param", f"date={day(1)}")
    assert ran.code == 0, ran
    assert dates(emulator.url) == {day(1): 1}


def test_a_run_under_a_former_name_takes_a_place(shop: Workspace, emulator: Emulator) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    renamed = daily()
    renamed["metadata"] = {"name": "orders", "renamedFrom": "daily"}
    shop.write("daily.yaml", renamed)
    ran = run(shop, "orders", "--param", f"date={day(2)}")
    assert (ran.code, "at most 1 of its runs are active at once" in ran.out) == (5, True), ran


def test_a_job_after_all_named_runs_needs_each_of_them(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 10.0
    shop.write("load.yaml", load())
    report = manifest("SparkBatch", "report", SPECS["SparkBatch"], lifecycle={"trigger": "run"})
    shop.write("report.yaml", {**report, "dependsOn": [{"name": "load", "until": "succeeded"}]})
    two = ("load", "report", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded")
    killed_first(proxy, emulator)
    ran = run(shop, *two)
    assert ran.code == 8, ran
    assert f"dependency 'load date={day(1)}': failed" in ran.out
    assert not [job for job in listed(emulator.url, "SparkBatch") if job["name"] == "report"]
    proxy.clear()
    assert run(shop, *two, "--missing", "--failed", "--assume-missing").code == 0
    (made,) = [job for job in listed(emulator.url, "SparkBatch") if job["name"] == "report"]
    ends = [job["finished_time"] for job in listed(emulator.url, "MrsJob")]
    assert made["create_time"] >= max(ends)


def killed_first(proxy: FaultProxy, emulator: Emulator) -> None:
    """Let the first MRS job be killed as soon as it was submitted."""

    def kill(sent: Any) -> Any:
        answer = sent.forward()
        identifier = answer.json["job_submit_result"]["job_id"]
        call(emulator.url, "POST", f"/v2/pid/clusters/c-1/job-executions/{identifier}/kill", {})
        return answer

    proxy.rule("POST", "job-executions$", kill, nth=1)


def test_fail_fast_waits_for_what_was_submitted(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 5.0
    shop.write("load.yaml", load())
    killed_first(proxy, emulator)
    most = ("--max-active", "2", "--parallelism", "1", "--fail-fast")
    ran = run(shop, "load", "--param", "date=2024-05-01..2024-05-04", "--wait=succeeded", *most)
    assert ran.code == 8, ran
    assert "has not ended" not in ran.out
    assert len(listed(emulator.url, "MrsJob")) == 2
    assert ran.out.endswith("Run incomplete: 1 submitted, 1 failed, 2 not started.\n"), ran.out


def test_an_error_between_two_waves_is_not_the_end_of_the_counts(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 5.0

    def break_lists(sent: Any) -> Any:
        answer = sent.forward()
        (shop.folder / ".deployer" / "journal.jsonl").unlink()
        (shop.folder / ".deployer" / "journal.jsonl").mkdir()
        return answer

    proxy.rule("GET", "/batches/[^/?]+$", break_lists, nth=3)
    ran = run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded")
    assert ran.code == 8, ran
    assert "is not a regular file" in ran.err
    assert ran.out.endswith("Run incomplete: 1 submitted, 1 skipped.\n"), ran.out
    assert dates(emulator.url) == {day(1): 1}


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["daily"], "'date' must be given: no default"),
        (["daily", "--param", "dat=2024-05-01"], "the job has no parameter 'dat'; did you mean 'date'?"),
        (["daily", "--param", "date=yesterday"], "'date' must be a date such as 2024-07-04, got 'yesterday'"),
        (["daily", "--param", "date=2024-04-30"], "'date' must not be before 2024-05-01 (its 'from')"),
        (["daily", "--param", "date=2024-05-02..2024-05-01"], "ends before it begins"),
        (["daily", "--param", "date=1;rm -rf /"], "must be a date"),
        (["daily", "--param", "date"], "expected NAME=VALUES"),
        (["dayly", "--param", "date=2024-05-01"], "dayly: no manifest has this name; did you mean 'daily'?"),
        ([], "no jobs selected: give NAME or --select"),
        (["stream"], "a stream has no runs"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    shop: Workspace, emulator: Emulator, arguments: list[str], message: str
) -> None:
    shop.write("stream.yaml", manifest("FlinkJar", "stream", SPECS["FlinkJar"]))
    ran = run(shop, *arguments)
    assert (ran.code, message in ran.err) == (3, True), ran
    assert not dates(emulator.url)


def test_an_absent_job_is_not_run(shop: Workspace) -> None:
    shop.write("daily.yaml", daily(lifecycle={"state": "absent"}))
    ran = run(shop, "daily", "--param", f"date={day(1)}")
    assert (ran.code, "daily.yaml:1:1: error: 'daily' has state: absent" in ran.err) == (4, True), ran


# --- saved plans


def test_a_saved_plan_is_bound_to_its_values(shop: Workspace, emulator: Emulator) -> None:
    saved = ("daily", "--param", f"date={day(1)}", "--out", "plan.json")
    assert shop.run("run", *saved).code == 0
    inputs = json.loads((shop.folder / "plan.json").read_text())["inputs"]
    assert inputs["run"] == {"names": ["daily"], "params": [f"date={day(1)}"], "flags": [], "max_active": 1}
    assert shop.apply("--plan", "plan.json").code == 3
    assert run(shop, "--plan", "plan.json", "--param", f"date={day(2)}").code == 3
    assert not dates(emulator.url)
    assert run(shop, "--plan", "plan.json").code == 0
    assert dates(emulator.url) == {day(1): 1}
    stale = run(shop, "--plan", "plan.json", "--beside")
    assert stale.code == 3
    assert run(shop, "--plan", "plan.json").code == 6
    assert (
        run(shop, "daily", "--param", f"date={day(2)}", "--max-active", "2", "--expect", "0" * 64).code == 6
    )
    assert dates(emulator.url) == {day(1): 1}


def test_a_saved_plan_of_more_runs_than_places_says_how_to_submit_it(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    saved = shop.run("run", "daily", "--param", "date=2024-05-01..2024-05-02", "--out", "plan.json")
    assert (saved.code, "run -t test --plan plan.json --wait=succeeded" in saved.err) == (0, True), saved
    clock.tick = 30.0
    assert run(shop, "--plan", "plan.json").code == 3
    ran = run(shop, "--plan", "plan.json", "--wait=succeeded")
    assert (ran.code, dates(emulator.url)) == (0, {day(1): 1, day(2): 1}), ran


def test_what_is_asked_before_runs_are_submitted(shop: Workspace, emulator: Emulator) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    unasked = shop.run("run", *one)
    assert (unasked.code, "cannot prompt without a terminal; use --yes" in unasked.err) == (3, True), unasked
    two = ("daily", "--param", "date=2024-05-01..2024-05-02", "--max-active", "2")
    limited = run(shop, *two, "--limit", "changes=1")
    assert limited.code == 5
    assert "limits.changes is 1, but the plan has 2 in all" in limited.out + limited.err
    shop.write_project(protected=True)
    refused = run(shop, *one)
    assert (refused.code, "--confirm" in refused.err) == (3, True), refused
    assert not dates(emulator.url)
    assert shop.run("run", *one, "--confirm", "test").code == 0
    assert dates(emulator.url) == {day(1): 1}


# --- apply, and the other verbs


def test_apply_submits_nothing_but_shows_what_is_upcoming(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert "no changes" in shop.apply().out
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    clock.forward(100)
    assert "upcoming" not in shop.plan()
    shop.write("daily.yaml", daily(executors=4))
    plan = shop.plan()
    assert (plan["changes"], len(plan["upcoming"])) == ([], 1)
    (upcoming,) = plan["upcoming"]
    assert upcoming["live"]["run"] == {"date": day(1)}
    assert [(field["path"], field["live"], field["desired"]) for field in upcoming["fields"]] == [
        ("/numExecutors", 2, 4)
    ]
    shown = shop.run("plan")
    assert "From the next run on (apply submits no run of these jobs; 'deployer run' does):" in shown.out
    assert "numExecutors  2 -> 4" in shown.out
    assert "numExecutors" in shop.run("plan", "--format", "markdown").out
    assert shop.apply().code == 0
    assert dates(emulator.url) == {day(1): 1}


def test_apply_looks_at_the_newest_run_of_a_dependency(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 10.0
    shop.write("load.yaml", load())
    report = manifest("SparkBatch", "report", SPECS["SparkBatch"])
    shop.write("report.yaml", {**report, "dependsOn": [{"name": "load", "until": "succeeded"}]})
    blocked = shop.apply()
    assert (blocked.code, "dependency 'load' does not exist" in blocked.out) == (5, True), blocked
    assert run(shop, "load", "--param", f"date={day(1)}", "--wait=succeeded").code == 0
    ran = shop.apply()
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 1 applied."), ran


@pytest.mark.parametrize("kind", ["SparkBatch", "MrsJob"])
def test_a_nightly_job_without_parameters(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str
) -> None:
    nightly = manifest(kind, "nightly", SPECS[kind], lifecycle={"trigger": "run"})
    workspace.write("nightly.yaml", nightly)
    assert "no changes" in workspace.apply().out
    for number in range(1, 3):
        assert run(workspace, "nightly").code == 0
        clock.forward(100)
        assert "no changes" in workspace.apply().out
        assert len(listed(emulator.url, kind)) == number
    workspace.write("nightly.yaml", {**nightly, "lifecycle": {"trigger": "run", "state": "absent"}})
    assert "no changes" in workspace.apply().out


def test_a_failed_run_is_shown_with_the_command_that_repeats_it(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    ran = shop.run("cancel", "daily.yaml", "--yes", "--param", f"date={day(2)}")
    assert (ran.code, "0 cancelled" in ran.out) == (0, True), ran
    clock.tick = 1.0
    ran = shop.run("cancel", "daily.yaml", "--yes", "--param", f"date={day(1)}")
    assert (ran.code, "1 cancelled" in ran.out) == (0, True), ran
    clock.forward(100)
    shown = shop.run("plan")
    assert f"deployer run daily --param date={day(1)} --failed" in shown.out
    assert "FAILED" not in shown.out
    assert (
        run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--failed", "--max-active", "2").code
        == 0
    )
    assert dates(emulator.url) == {day(1): 2}


def test_an_absent_family_is_cancelled_as_a_whole(shop: Workspace, emulator: Emulator, clock: Clock) -> None:
    assert run(shop, "daily", "--param", "date=2024-05-01..2024-05-03", "--max-active", "3").code == 0
    shop.write("daily.yaml", daily(lifecycle={"state": "absent"}))
    clock.tick = 1.0
    ran = shop.apply()
    assert ran.code == 0, ran
    clock.forward(100)
    states = {job["state"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "daily"}
    assert states == {"dead"}


def test_defaults_are_the_run_of_apply(shop: Workspace, emulator: Emulator, clock: Clock) -> None:
    shop.write("daily.yaml", daily(parameters={"date": {**DATE, "default": day(1)}}))
    assert shop.apply().code == 0
    assert run(shop, "daily", "--param", f"date={day(2)}", "--max-active", "2").code == 0
    clock.forward(100)
    assert "no changes" in shop.apply().out
    assert run(shop, "daily", "--missing").code == 0
    assert dates(emulator.url) == {day(1): 1, day(2): 1}


def test_other_verbs_know_the_runs(shop: Workspace, clock: Clock) -> None:
    assert run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--max-active", "2").code == 0
    clock.forward(100)
    (job,) = shop.run("status", "--format", "json").json["jobs"]
    assert job["run"] in ({"date": day(1)}, {"date": day(2)})
    one = ("--param", f"date={day(1)}")
    (job,) = shop.run("status", "--format", "json", *one).json["jobs"]
    assert job["run"] == {"date": day(1)}
    assert shop.run("wait", "daily.yaml", *one).code == 0
    assert shop.run("logs", "daily.yaml", *one).code == 0
    assert f"daily date={day(1)} in q" in shop.run("history", *one).out
    assert day(2) not in shop.run("history", *one).out
    assert shop.run("history", "--format", "json", *one).json["requests"][0]["run_key"] == f"date={day(1)}"
    assert shop.run("wait", "daily.yaml", "--param", "dat=1").code == 3


# --- what goes wrong


def test_a_lost_answer_is_not_taken_for_the_run_of_another_date(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    """The run of the second date appears while the answer for the first one is lost, and the first is not made."""

    def other_date(lost: Any) -> None:
        args = ["--date", day(2), "--out=obs://shop/dt=20240502"]
        create(emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args})

    proxy.rule("POST", "/batches", other_date, nth=1)
    ran = run(shop, "daily", "--param", f"date={day(1)}")
    assert ran.code in {1, 7}, ran
    assert dates(emulator.url) == {day(2): 1}
    proxy.clear()
    again = run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--missing", "--max-active", "2")
    assert again.code == 0, again
    assert dates(emulator.url) == {day(1): 1, day(2): 1}


def test_an_answer_that_is_lost_is_found_by_its_values(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    proxy.rule("POST", "/batches", hangs_up(after=True), nth=2)
    most = ("--max-active", "3", "--parallelism", "1")
    ran = run(shop, "daily", "--param", "date=2024-05-01..2024-05-03", *most)
    assert (ran.code, "response lost; found in the job list" in ran.out) == (0, True), ran
    assert dates(emulator.url) == {day(1): 1, day(2): 1, day(3): 1}


def test_what_somebody_else_submits_meanwhile_is_not_submitted_again(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    """Another machine without a shared state runs the second date, while this one waits for a place."""
    clock.tick = 5.0

    def second_date(call: Any) -> Any:
        answer = call.forward()
        args = ["--date", day(2), "--out=obs://shop/dt=20240502"]
        create(emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args})
        return answer

    proxy.rule("POST", "/batches", second_date, nth=1)
    ran = run(shop, "daily", "--param", "date=2024-05-01..2024-05-03", "--missing", "--wait=succeeded")
    assert ran.code == 0, ran
    assert f"date={day(2)} in q: no longer needed" in ran.err
    assert dates(emulator.url) == {day(1): 1, day(2): 1, day(3): 1}


def test_a_run_beside_the_plan_is_refused(shop: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    """It is submitted by somebody else after the plan, just before the look that precedes the create."""
    seen: list[int] = []

    def same_date(call: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            args = ["--date", day(1), "--out=obs://shop/dt=20240501"]
            create(
                emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args}
            )
        return call.forward()

    proxy.rule("GET", "/batches[?]", same_date)
    ran = run(shop, "daily", "--param", f"date={day(1)}")
    assert ran.code == 5, ran
    assert "was created since the plan; run plan again" in ran.out
    assert dates(emulator.url) == {day(1): 1}


def test_another_date_beside_the_plan_does_not_matter(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    seen: list[int] = []

    def other(call: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            args = ["--date", day(2), "--out=obs://shop/dt=20240502"]
            create(
                emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args}
            )
        return call.forward()

    proxy.rule("GET", "/batches[?]", other)
    ran = run(shop, "daily", "--param", f"date={day(1)}")
    assert ran.code == 0, ran
    assert dates(emulator.url) == {day(1): 1, day(2): 1}


def test_an_interrupt_while_it_waits_leaves_the_runs_alone(shop: Workspace, emulator: Emulator) -> None:
    arguments = ["run", "daily", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded", "--yes"]
    with subprocess.Popen(
        [sys.executable, "-m", "deployer", *arguments],
        cwd=shop.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        while "waiting for" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "the same command submits the rest" in rest
    assert dates(emulator.url) == {day(1): 1}


def started(workspace: Workspace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deployer", "run", *arguments, "--yes"],
        cwd=workspace.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupt_while_it_plans_again_says_what_is_left(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 30.0
    begun: list[str] = []

    def interrupt(sent: Any) -> Any:
        # The list is read before and after a wave.
        if sum(dates(emulator.url).values()) == 1 and begun:
            process.send_signal(signal.SIGINT)
        return sent.forward()

    def ends(sent: Any) -> Any:
        answer = sent.forward()
        if answer.json["state"] == "success":
            begun.append(answer.json["id"])
        return answer

    proxy.rule("GET", "/batches/[^/?]+$", ends)
    proxy.rule("GET", "/batches[?]", interrupt)
    with started(shop, "daily", "--param", "date=2024-05-01..2024-05-04", "--wait=succeeded") as process:
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run incomplete: 1 submitted, 3 not started.\n" in shown, (shown, said)
    left = (
        "not submitted: daily date=2024-05-02..2024-05-04; with --missing, the same command submits the rest"
    )
    assert left in said
    assert dates(emulator.url) == {day(1): 1}


def test_two_machines_with_the_same_backfill_submit_each_run_once(
    machines: tuple[Workspace, Workspace], proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    first, second = machines
    clock.tick = 10.0
    whole = ("daily", "--param", "date=2024-05-01..2024-05-04", "--missing", "--wait=succeeded")
    others: list[str] = []

    def meanwhile(sent: Any) -> Any:
        proxy.clear()
        with started(second, *whole) as process:
            others.append(process.communicate(timeout=60)[0])
        return sent.forward()

    # While the first machine waits for its first run to end.
    proxy.rule("GET", "/batches/[^/?]+$", meanwhile, nth=2)
    ran = run(first, *whole)
    assert ran.code == 0, ran
    assert [each.splitlines()[-1] for each in others] == ["Run complete: 3 submitted."]
    assert "the outcome of an earlier request is unknown" not in ran.err
    assert dates(emulator.url) == dict.fromkeys(map(day, range(1, 5)), 1)
    assert "SparkBatch daily date=2024-05-04 in q: no longer needed: run " in ran.err


def test_another_command_between_two_waves_is_waited_for(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    clock.tick = 30.0
    held = ExitStack()

    def lock(sent: Any) -> Any:
        held.enter_context(hold(shop.folder / ".deployer", "test", "deployer apply -t test"))
        return sent.forward()

    proxy.rule("GET", "/batches/[^/?]+$", lock, nth=2)
    two = ("daily", "--param", "date=2024-05-01..2024-05-02", "--wait=succeeded")
    with held, started(shop, *two) as process:
        assert process.stderr
        while "another apply of this project to target 'test' is running" not in process.stderr.readline():
            assert process.poll() is None
        held.close()
        shown, _ = process.communicate(timeout=60)
    assert shown.endswith("Run complete: 2 submitted.\n")
    assert dates(emulator.url) == {day(1): 1, day(2): 1}


@pytest.mark.parametrize("verb", [["apply", "--prune"], ["cancel", "--orphans"]])
def test_the_runs_of_a_job_are_no_orphans(shop: Workspace, emulator: Emulator, verb: list[str]) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    ran = shop.run(*verb, "--yes")
    assert (ran.code, "Orphaned" in ran.out) == (0, False), ran
    assert {job["state"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "daily"} == {
        "starting"
    }


def test_a_renamed_job_has_the_runs_of_its_former_name(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    assert run(shop, "daily", "--param", f"date={day(1)}").code == 0
    clock.forward(100)
    renamed = daily()
    renamed["metadata"] = {"name": "orders", "renamedFrom": "daily"}
    shop.write("daily.yaml", renamed)
    ran = run(shop, "orders", "--param", "date=2024-05-01..2024-05-02", "--missing", "--max-active", "2")
    assert (ran.code, ran.out.count("accepted")) == (0, 1), ran
    (orders,) = [job for job in listed(emulator.url, "SparkBatch") if job["name"] == "orders"]
    assert json.loads(orders["req_body"])["args"][1] == day(2)
    found = shop.run("runs", "orders", "--format", "json").json["jobs"][0]
    assert found["listed"] == 3
    assert {(each["run"]["date"], each["definition"]) for each in found["runs"]} == {
        (day(1), "same"),
        (day(2), "same"),
    }


def test_destroy_ends_all_runs(shop: Workspace, emulator: Emulator, clock: Clock) -> None:
    assert run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--max-active", "2").code == 0
    clock.tick = 1.0
    assert shop.run("destroy", "daily", "--yes").code == 0
    clock.forward(100)
    assert {job["state"] for job in listed(emulator.url, "SparkBatch") if job["name"] == "daily"} == {"dead"}


def test_values_that_break_a_rule_are_refused(shop: Workspace, emulator: Emulator) -> None:
    shop.write("load.yaml", load(parameters={"date": {"type": "text"}}))
    ran = run(shop, "load", "--param", "date=" + "x" * 257)
    assert (ran.code, "1 to 256 characters" in ran.err) == (3, True), ran
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": ["a" * 149_900 + '{{ param("date") }}']}
    shop.write("load.yaml", manifest("MrsJob", "load", spec, parameters={"date": {"type": "text"}}))
    value = "x" * 250
    ran = run(shop, "load", "--param", f"date={value}")
    assert (ran.code, "E127" in ran.err, f"(with date = {value})" in ran.err) == (4, True, True), ran
    assert not listed(emulator.url, "MrsJob")


@pytest.mark.parametrize(
    ("parameter", "field", "values", "message"),
    [
        (
            {"values": ["A", "D", "E"], "default": "A"},
            {"sc_type": '{{ param("it") }}'},
            "it=*",
            "'sc_type' must be one of A, B, C, got 'D' (with it = D), and with 1 more",
        ),
        (
            {"type": "date"},
            {"args": ['{{ param("it") }}', '{{ param("it") | date(days=-1) }}']},
            "it=0001-01-01",
            "-1 days after 0001-01-01 are outside of the calendar (with it = 0001-01-01)",
        ),
    ],
)
def test_values_that_do_not_fit_a_field_are_refused_at_its_line(
    shop: Workspace,
    emulator: Emulator,
    parameter: dict[str, Any],
    field: dict[str, Any],
    values: str,
    message: str,
) -> None:
    spec = {**SPECS["SparkBatch"], **field}
    shop.write("daily.yaml", manifest("SparkBatch", "daily", spec, parameters={"it": parameter}))
    assert shop.run("validate").code == 0
    ran = run(shop, "daily", "--param", values, "--max-active", "9")
    assert (ran.code, message in ran.err) == (4, True), ran
    (line,) = [text for text in ran.err.splitlines() if message in text]
    text = (shop.folder / "daily.yaml").read_text(encoding="utf-8").splitlines()
    number = int(line.partition("daily.yaml:")[2].partition(":")[0])
    assert "param(" in text[number - 1], (line, text)
    assert not dates(emulator.url)


# --- runs whose values are not told


def load_of(text: str) -> dict[str, Any]:
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": [text]}
    date = {"type": "date", "default": day(1)}
    return manifest("MrsJob", "load", spec, parameters={"date": date})


@pytest.mark.parametrize("kind", ["MrsJob", "SparkBatch"])
def test_apply_submits_nothing_beside_an_active_run_that_may_be_it(
    workspace: Workspace, emulator: Emulator, clock: Clock, kind: str
) -> None:
    """The run is of an older definition, from which its values cannot be read."""
    if kind == "MrsJob":
        spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": [f"SELECT '{day(1)}'"]}
        new = [load_of("SELECT a, '{{ param('date') }}'")]
        name = "load"
    else:
        spec = {**SPECS["SparkBatch"], "args": ["something", "else"]}
        new = [daily(parameters={"date": {"type": "date", "default": day(1)}})]
        name = "daily"
    identifier = create(emulator.url, kind, name, spec)
    workspace.write("job.yaml", new[0])
    for verb in ("plan", "apply"):
        ran = workspace.run(verb, *(["--yes"] if verb == "apply" else []))
        assert (ran.code, "blocked" in ran.out) == (0 if verb == "plan" else 5, True), ran
        assert f"run {identifier} (" in ran.out
        assert "may be it, because its values are not told" in ran.out
        assert f"deployer cancel --id {identifier}" in ran.out
        assert "not deployed" not in ran.out
    assert len(listed(emulator.url, kind)) == 1
    assert "not deployed" not in workspace.run("status").out
    (shown,) = workspace.run("status", "--format", "json").json["jobs"]
    assert (shown["manifest"], shown["next"]) == ("not told", "blocked")

    clock.forward(100)
    (change,) = workspace.plan()["changes"]
    assert (change["action"], change["impact"]) == ("create", "reruns")
    assert f"run {identifier} (" in change["reason"]
    plan = workspace.run("plan")
    assert "its data would be processed again" in plan.out
    assert "not deployed" not in plan.out
    assert workspace.apply().code == 0
    assert len(listed(emulator.url, kind)) == 2


def test_a_run_that_ended_before_its_date_is_not_the_run_of_apply(
    workspace: Workspace, emulator: Emulator, clock: Clock
) -> None:
    clock.now = 1_713_571_200.0  # 2024-04-20
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": ["SELECT 1"]}
    create(emulator.url, "MrsJob", "load", spec)
    clock.forward(50 * DAY)
    date = {"type": "date", "default": "2024-05-10"}
    workspace.write(
        "load.yaml", {**load_of("SELECT a, '{{ param(\"date\") }}'"), "parameters": {"date": date}}
    )
    (change,) = workspace.plan()["changes"]
    assert (change["action"], change["impact"]) == ("create", "none")


def test_other_verbs_name_the_runs_that_may_be_meant(workspace: Workspace, emulator: Emulator) -> None:
    spec = {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": ["SELECT 1"]}
    identifier = create(emulator.url, "MrsJob", "load", spec)
    workspace.write("load.yaml", load())
    one = ("--select", "name=load", "--param", f"date={day(1)}")
    words = f"run {identifier} (ACCEPTED) may be it, because its values are not told"
    cancelled = workspace.run("cancel", *one, "--yes")
    assert (cancelled.code, words in cancelled.out) == (0, True), cancelled
    assert f"deployer cancel --id {identifier}" in cancelled.out
    assert "not deployed" not in cancelled.out
    for verb in ("wait", "logs"):
        ran = workspace.run(verb, *one)
        assert (ran.code, words in ran.err) == (1, True), ran
    assert "not told" in workspace.run("status", *one).out


# --- waiting for runs that others have submitted


def kill_batches(url: str) -> None:
    for job in listed(url, "SparkBatch"):
        if job["name"] == "daily" and job["state"] in {"starting", "running"}:
            call(url, "DELETE", f"/v2.0/pid/batches/{job['id']}")


@pytest.mark.parametrize("fails", [False, True])
def test_a_named_run_that_is_active_already_is_waited_for(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, fails: bool
) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    clock.tick = 1.0 if fails else 10.0

    def kill(sent: Any) -> Any:
        if fails:
            kill_batches(emulator.url)
        return sent.forward()

    proxy.rule("GET", "/batches/[^/?]+$", kill, nth=1)
    ran = run(shop, *one, "--missing", "--failed", "--wait=succeeded")
    assert ran.code == (8 if fails else 0), ran
    word, state = ("failed", "dead") if fails else ("done", "success")
    assert f"{word:<8} unchanged SparkBatch daily date={day(1)} in q" in ran.out
    assert "was active already" in ran.out
    assert state in ran.out
    end = "Run incomplete: 0 submitted, 1 failed." if fails else "Run complete: 0 submitted."
    assert ran.out.endswith(f"{end}\n")
    assert dates(emulator.url) == {day(1): 1}


def test_a_named_run_that_is_still_active_at_the_timeout_is_no_success(
    shop: Workspace, emulator: Emulator
) -> None:
    shop.write("daily.yaml", daily(lifecycle={"timeout": "1s"}))
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    ran = run(shop, *one, "--missing", "--wait=succeeded")
    assert (ran.code, "has not ended after 1s; it was not cancelled" in ran.out) == (8, True), ran
    assert run(shop, *one, "--missing").code == 0


def test_a_named_run_that_has_failed_and_is_not_repeated_is_no_success(
    shop: Workspace, emulator: Emulator, clock: Clock
) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    kill_batches(emulator.url)
    clock.forward(100)
    assert run(shop, *one, "--missing").code == 0
    clock.tick = 10.0
    ran = run(shop, "daily", "--param", "date=2024-05-01..2024-05-02", "--missing", "--wait=succeeded")
    assert ran.code == 8, ran
    assert "not submitted again without --failed" in ran.out
    assert ran.out.endswith("Run incomplete: 1 submitted, 1 failed.\n")
    assert dates(emulator.url) == {day(1): 1, day(2): 1}
    again = run(shop, *one, "--missing", "--failed", "--wait=succeeded")
    assert (again.code, dates(emulator.url)[day(1)]) == (0, 2), again


def test_a_run_that_fails_again_is_8(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    kill_batches(emulator.url)
    clock.forward(100)

    def kill(sent: Any) -> Any:
        kill_batches(emulator.url)
        return sent.forward()

    proxy.rule("GET", "/batches/[^/?]+$", kill, nth=2)
    clock.tick = 1.0
    ran = run(shop, *one, "--failed", "--wait=succeeded")
    assert (ran.code, dates(emulator.url)[day(1)]) == (8, 2), ran


def test_a_run_that_appears_after_the_plan_is_no_longer_needed(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    """A list shows late what a killed command has submitted: just before the look that precedes the create."""
    seen: list[int] = []

    def same_date(call: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            args = ["--date", day(1), "--out=obs://shop/dt=20240501"]
            create(
                emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args}
            )
        return call.forward()

    proxy.rule("GET", "/batches[?]", same_date)
    ran = run(shop, "daily", "--param", f"date={day(1)}", "--missing")
    assert ran.code == 0, ran
    assert f"daily date={day(1)} in q: no longer needed" in ran.err
    assert dates(emulator.url) == {day(1): 1}


def test_a_run_that_appears_and_is_hidden_again_is_not_submitted_twice(
    shop: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    seen: list[int] = []

    def only_once(call: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            args = ["--date", day(1), "--out=obs://shop/dt=20240501"]
            create(
                emulator.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": 2, "args": args}
            )
        answer = call.forward()
        if len(seen) > 2:
            left = [job for job in answer.json["sessions"] if job["name"] != "daily"]
            return replace(answer, body=json.dumps({**answer.json, "sessions": left, "total": 1}).encode())
        return answer

    proxy.rule("GET", "/batches[?]", only_once)
    ran = run(shop, "daily", "--param", f"date={day(1)}", "--missing")
    assert (ran.code, "was created since the plan" in ran.out) == (5, True), ran
    assert len(seen) > 2
    assert dates(emulator.url) == {day(1): 1}


def test_an_unused_parameter_is_an_error(shop: Workspace, emulator: Emulator) -> None:
    """Else apply would submit the job, which is said to be submitted with values only."""
    spec = {**SPECS["SparkBatch"], "args": ["a"]}
    shop.write("daily.yaml", manifest("SparkBatch", "daily", spec, parameters={"date": {"type": "date"}}))
    for arguments in (["apply", "--yes"], ["run", "daily", "--param", f"date={day(1)}", "--yes"]):
        ran = shop.run(*arguments)
        assert (ran.code, "error: parameter 'date' is not used in spec" in ran.err) == (4, True), ran
    assert "daily" not in {job["name"] for job in listed(emulator.url, "SparkBatch")}
    assert "none of them would tell its value" in " ".join(shop.run("explain", "E078").out.split())


def test_a_setting_that_was_removed_is_named(shop: Workspace, clock: Clock) -> None:
    """The listing has no marks of MRS jobs: the service may have added what the manifest does not have."""
    shop.write("load.yaml", load())
    more = load()
    more["spec"]["properties"] = {"fs.obs.endpoint": "obs"}
    shop.write("load.yaml", more)
    one = ("load", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    clock.forward(100)
    shop.write("load.yaml", load())
    again = f"use 'deployer run load --param date={day(1)}'"
    ran = run(shop, *one, "--changed")
    assert (ran.code, f"{again} without --missing, --failed and --changed" in ran.out) == (0, True), ran
    assert "--rerun" not in ran.out
    assert again in shop.run("plan").out
    assert "same (also had /properties/fs.obs.endpoint)" in shop.run("runs", "load").out
    (shown,) = shop.run("runs", "load", "--format", "json").json["jobs"][0]["runs"]
    assert (shown["definition"], shown["additional"]) == ("same", ["/properties/fs.obs.endpoint"])
    assert run(shop, *one).code == 0


# --- messages


@pytest.mark.parametrize("verb", ["status", "logs", "wait", "cancel"])
def test_a_name_in_place_of_a_path(shop: Workspace, verb: str) -> None:
    ran = shop.run(verb, "daily", "--param", f"date={day(1)}")
    assert (ran.code, "use --select name=daily" in ran.err) == (3, True), ran
    assert "--select" not in shop.run(verb, "dayly", "--param", f"date={day(1)}").err


def test_only_what_is_meant_is_a_dependency(shop: Workspace) -> None:
    shop.write("plain.yaml", manifest("SparkBatch", "plain", SPECS["SparkBatch"]))
    shop.write("load.yaml", load())
    one = ("--param", f"date={day(1)}")
    assert "plain" not in shop.run("status", *one).err
    shop.write("daily.yaml", daily(dependsOn=["load", "plain"]))
    ran = shop.run("status", "--select", "name=daily", *one)
    assert f"load date={day(1)} (not deployed), plain (not deployed)" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["x" * 100_000],
        ["daily", "--param", "x" * 100_000],
        ["daily", "--param", "x" * 100_000 + "=1"],
        ["daily", "--param", "date=" + "x" * 100_000],
    ],
)
def test_what_is_too_long_is_shortened(shop: Workspace, arguments: list[str]) -> None:
    ran = run(shop, *arguments)
    assert (ran.code, len(ran.err) < 1_000, "xxx..." in ran.err) == (3, True, True)


def test_a_selection_of_nothing(shop: Workspace) -> None:
    ran = run(shop, "--select", "name=nothing")
    assert (ran.code, "--select matches no jobs" in ran.err, "PATH" in ran.err) == (3, True, False), ran


def test_orphans_are_not_mentioned_where_they_do_not_matter(shop: Workspace) -> None:
    shop.write("stream.yaml", manifest("FlinkJar", "stream", SPECS["FlinkJar"]))
    assert "orphaned" not in run(shop, "daily", "--param", f"date={day(1)}").err
    assert "orphaned" not in shop.run("runs", "daily").err


def test_a_saved_plan_with_blocked_runs_only_is_saved_as_by_plan(shop: Workspace) -> None:
    one = ("daily", "--param", f"date={day(1)}")
    assert run(shop, *one).code == 0
    saved = shop.run("run", *one, "--out", "plan.json")
    assert (saved.code, "1 blocked" in saved.out) == (0, True), saved
    assert run(shop, "--plan", "plan.json").code == 5


def test_a_run_in_an_unknown_state_is_not_waited_for_forever(
    shop: Workspace, proxy: FaultProxy, clock: Clock
) -> None:
    clock.tick = 5.0

    def unknown(call: Any) -> Any:
        answer = call.forward()
        return replace(answer, body=re.sub(rb'"state": *"[a-z]+"', b'"state": "napping"', answer.body))

    proxy.rule("GET", "/batches/[^/?]+$", unknown)
    ran = run(shop, "daily", "--param", f"date={day(1)}", "--wait=succeeded")
    assert (ran.code, "it is in a state that deployer does not know" in ran.out) == (8, True), ran
