"""The real command with a proxy before the emulator that makes requests fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.faults import (
    CREATES,
    DOUBTS,
    ERROR,
    LOSSES,
    REFUSALS,
    Answer,
    Call,
    Fault,
    FaultProxy,
    changed,
    cut,
    fill,
    hangs_up,
    interrupts,
    listed,
    proxied,
    says,
    truncated,
)
from testing.slow import sampled
from testing.workspace import SPECS, Clock, Workspace, manifest


@pytest.fixture
def proxy(workspace: Workspace, emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.url) as server:
        workspace.url = server.url
        workspace.project["marks"] = False  # looking for jobs with marks would be calls too
        workspace.write_project()
        yield server


@pytest.fixture
def all_kinds(workspace: Workspace) -> Workspace:
    """One job of every kind, named after it."""
    for kind, spec in SPECS.items():
        workspace.write(f"{kind}.yaml", manifest(kind, kind, spec))
    return workspace


def batches(workspace: Workspace, *names: str, **more: Any) -> None:
    for name in names:
        workspace.write(f"{name}.yaml", manifest("SparkBatch", name, SPECS["SparkBatch"], **more))


def last(out: str) -> str:
    return out.splitlines()[-1]


def names_of(jobs: list[dict[str, Any]]) -> list[str]:
    return sorted(job.get("job_name") or job["name"] for job in jobs)


# --- a listing goes wrong ---------------------------------------------------------------------------------


def test_a_dead_server_is_one_clear_line_per_job(bare: Workspace) -> None:
    for kind, spec in SPECS.items():
        bare.write(f"{kind}.yaml", manifest(kind, kind, spec))
    for ran in (bare.run("plan"), bare.apply()):
        assert ran.code == 1
        lines = [line for line in ran.out.splitlines() if "connection refused" in line]
        assert sorted(re.findall(r"\w+", line)[0] for line in lines) == sorted(SPECS)
    assert last(ran.out) == "Apply incomplete: 0 applied, 4 failed to plan."
    status = bare.run("status")
    assert (status.code, status.err.count("connection refused")) == (1, 4)


LISTING_FAULTS: dict[str, Fault] = {
    **{name: fault for name, fault in REFUSALS.items() if name != "401"},
    **{name: make(True) for name, make in {**DOUBTS, **LOSSES}.items()},
    "cut": cut,
    "truncated": truncated,
    "no total": changed(lambda body: body.pop("total")),
    "total is a word": changed(lambda body: body.update(total="many")),
    "total is infinite": says(200, '{"sessions": [], "total": 1e999}'),
    "no list": changed(lambda body: body.pop("sessions") and None),
    "list is a map": changed(lambda body: body.update(sessions={})),
    "entry is a text": changed(lambda body: body["sessions"].append("job")),
    "total is too large": changed(lambda body: body.update(total=body["total"] + 1)),
}


@pytest.mark.parametrize("fault", LISTING_FAULTS)
def test_a_listing_that_fails_does_not_stop_the_others(
    all_kinds: Workspace, proxy: FaultProxy, emulator: Emulator, fault: str
) -> None:
    fill(emulator.url, "SparkBatch", ["other"])
    proxy.rule("GET", "batches", LISTING_FAULTS[fault])
    planned = all_kinds.run("plan", "--format", "json")
    assert planned.code == 1
    assert [note["kind"] for note in planned.json["errors"]] == ["SparkBatch"]
    assert planned.json["errors"][0]["message"].startswith(f"GET {proxy.url}/v2.0/pid/batches: ")
    assert [change["kind"] for change in planned.json["changes"]] == ["FlinkJar", "MrsJob", "SparkSession"]
    applied = all_kinds.apply()
    assert (applied.code, last(applied.out)) == (8, "Apply incomplete: 3 applied, 1 failed to plan.")
    assert proxy.count("POST", "batches") == 0


def test_a_redirect_is_not_followed(all_kinds: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    with FaultProxy(emulator.url) as elsewhere:
        for status in (301, 302, 307, 308):
            proxy.clear()
            proxy.rule("GET", "batches", says(status, "", {"Location": f"{elsewhere.url}/v2.0/pid/batches"}))
            assert "redirect" in all_kinds.plan()["errors"][0]["message"]
        proxy.clear()
        proxy.rule("POST", "", says(307, "", {"Location": f"{elsewhere.url}/v2.0/pid/batches"}))
        assert all_kinds.apply().code == 1
        assert elsewhere.calls == []


# --- paging -----------------------------------------------------------------------------------------------

# Read concurrently: each page begins with the last job of the one before, or the first one is read again.
QUERIES = {
    "SparkBatch": [f"from={n}&size=100" for n in (0, 99, 198)],
    "SparkSession": [f"from={n}&size=100" for n in (0, 99, 198)],
    "FlinkJar": [f"offset={n}&limit=100" for n in (0, 99, 198)],
    "MrsJob": [f"offset={n}&limit=100" for n in (1, 1, 2, 3)],
}
TOTALS = {"SparkBatch": "total", "SparkSession": "total", "MrsJob": "total_record"}


@pytest.mark.parametrize("kind", list(SPECS))
def test_a_long_listing_is_read_to_its_end(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str
) -> None:
    fill(emulator.url, kind, ["alpha", *(f"other-{number}" for number in range(200))])
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    assert workspace.plan()["summary"]["create"] == 0
    gets = [call.path.partition("?")[2] for call in proxy.calls if "tags" not in call.path]
    queries = sorted(
        re.sub(".*((from|offset)=[0-9]+&).*((size|limit)=[0-9]+).*", r"\1\3", get) for get in gets
    )
    assert queries == sorted(QUERIES[kind])


@pytest.mark.parametrize("kind", list(TOTALS))
def test_a_total_may_be_text(workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str) -> None:
    fill(emulator.url, kind, ["alpha", *(f"other-{number}" for number in range(100))])
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    total = TOTALS[kind]
    proxy.rule("GET", "", changed(lambda body: body.update({total: str(body[total])})))
    assert workspace.plan()["changes"] == []


def test_mrs_lists_may_answer_202(workspace: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    fill(emulator.url, "MrsJob", ["alpha"])
    workspace.write("one.yaml", manifest("MrsJob", "alpha", SPECS["MrsJob"]))
    proxy.rule("GET", "", changed(lambda _: None, status=202))
    assert workspace.plan()["changes"] == []


@pytest.mark.parametrize("kind", list(SPECS))
def test_entries_that_move_to_the_next_page_are_the_same(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str
) -> None:
    """Somebody submits a job between two pages of a listing that has the newest first."""
    fill(emulator.url, kind, ["alpha", *(f"other-{number}" for number in range(100))])
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind], lifecycle={"onMissing": "create"}))

    def somebody_else(call: Call) -> Answer:
        fill(emulator.url, kind, ["late"])
        return call.forward()

    proxy.rule("GET", "", somebody_else, nth=2)
    planned = workspace.plan()
    assert (planned["errors"], planned["summary"]["create"], planned["warnings"]) == ([], 0, [])


def asked_otherwise(**other: str) -> Fault:
    """A service that reads other values from the query than were sent."""

    def fault(call: Call) -> Answer:
        path = call.path
        for name, value in other.items():
            path = re.sub(rf"(?<=[?&]{name}=)\w+", value, path)
        return replace(call, path=path).forward()

    return fault


@pytest.mark.parametrize("kind", list(SPECS))
def test_pages_may_be_smaller_than_asked(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str
) -> None:
    fill(emulator.url, kind, ["alpha", *(f"other-{number}" for number in range(99))])
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    proxy.rule("GET", "", asked_otherwise(size="40", limit="40"))
    assert workspace.plan()["summary"]["create"] == 0
    # Of numbered pages the first one is read again.
    assert proxy.count("GET") - proxy.count("GET", "tags") == (4 if kind == "MrsJob" else 3)


def one_is_gone(body: dict[str, Any]) -> None:
    """Somebody deleted a job of the first page, so that one moved to it that we did not see."""
    body["total"] -= 1
    body["sessions"].pop(0)


PAGE_FAULTS = {
    "same page again": asked_otherwise(**{"from": "0"}),
    "one is gone": changed(one_is_gone),
    "nothing more": changed(lambda body: body.update(sessions=[])),
}


@pytest.mark.parametrize(
    "fault", [*PAGE_FAULTS.values(), hangs_up(after=True)], ids=[*PAGE_FAULTS, "hangs up"]
)
def test_a_listing_that_may_lack_a_job_is_an_error(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, fault: Fault
) -> None:
    fill(emulator.url, "SparkBatch", (f"other-{number}" for number in range(150)))
    batches(workspace, "alpha")
    proxy.rule("GET", "from=[1-9]", fault)
    planned = workspace.run("plan", "--format", "json")
    assert (planned.code, planned.json["changes"], len(planned.json["errors"])) == (1, [], 1)


@pytest.mark.parametrize("fault", PAGE_FAULTS.values(), ids=PAGE_FAULTS)
def test_a_listing_that_moved_once_is_read_again(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, fault: Fault
) -> None:
    fill(emulator.url, "SparkBatch", ["alpha", *(f"other-{number}" for number in range(149))])
    batches(workspace, "alpha")
    proxy.rule("GET", "", fault, nth=2)
    assert workspace.plan()["summary"]["unchanged"] == 1
    assert proxy.count("GET") == 4


# --- a create goes wrong ----------------------------------------------------------------------------------

ANSWERS_LOST = {
    **{name: make(True) for name, make in LOSSES.items()},
    "cut": cut,
    "truncated": truncated,
}
OTHER_KINDS = [kind for kind in SPECS if kind != "SparkBatch"]


@pytest.mark.parametrize(
    ("kind", "loss"),
    [*(("SparkBatch", loss) for loss in ANSWERS_LOST), *((kind, "hangs up") for kind in OTHER_KINDS)],
)
def test_a_create_whose_answer_is_lost_is_found(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, kind: str, loss: str
) -> None:
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    proxy.rule("POST", CREATES[kind][0], ANSWERS_LOST[loss], nth=1)
    applied = workspace.apply()
    assert (applied.code, last(applied.out)) == (0, "Apply complete: 1 applied.")
    assert "response lost; found in the job list" in applied.out
    assert names_of(listed(emulator.url, kind)) == ["alpha"]
    assert proxy.count("POST", CREATES[kind][0]) == 1
    clock.forward(10)
    assert workspace.plan()["changes"] == []


@pytest.mark.parametrize("loss", LOSSES)
def test_a_create_that_did_not_arrive_is_unknown_and_not_sent_again(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, loss: str
) -> None:
    batches(workspace, "alpha")
    proxy.rule("POST", "", LOSSES[loss](False))
    applied = workspace.apply()
    assert (applied.code, last(applied.out)) == (7, "Apply incomplete: 0 applied, 1 outcome unknown.")
    assert "outcome unknown: the request may have been executed; the job is not listed yet" in applied.out
    assert proxy.count("POST") == 1
    proxy.clear()
    assert workspace.apply().code == 0
    assert names_of(listed(emulator.url, "SparkBatch")) == ["alpha"]


def test_a_lost_create_is_unknown_when_the_listing_is_lost_too(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    batches(workspace, "alpha")
    proxy.rule("POST", "", hangs_up(after=True))
    proxy.rule("GET", "", says(500, ERROR), nth=3)  # after that of the plan, and of the look before the write
    applied = workspace.apply()
    assert applied.code == 7
    assert "the job list cannot be read" in applied.out
    proxy.clear()
    assert last(workspace.apply().out) == "Apply complete: 0 applied."
    assert names_of(listed(emulator.url, "SparkBatch")) == ["alpha"]


@pytest.mark.parametrize(
    ("others", "same"), [(1, True), (1, False), (2, True)], ids=["a twin", "another content", "twins"]
)
def test_a_lost_create_is_unknown_when_it_could_be_another(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, others: int, *, same: bool
) -> None:
    """Somebody else submits jobs of the same name while our answer is lost."""
    batches(workspace, "alpha")
    if not same:
        spec = {**SPECS["SparkBatch"], "className": "com.example.Mine"}
        workspace.write("alpha.yaml", manifest("SparkBatch", "alpha", spec))

    def lost(call: Call) -> None:
        if same:
            call.forward()
        fill(emulator.url, "SparkBatch", ["alpha"] * others)

    proxy.rule("POST", "", lost)
    applied = workspace.apply()
    assert applied.code == 7
    ids = [job["id"] for job in listed(emulator.url, "SparkBatch")]
    assert [identifier in applied.out for identifier in ids] == [True] * len(ids)
    assert proxy.count("POST") == 1


def test_an_older_run_is_not_taken_for_the_lost_one(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock
) -> None:
    batches(workspace, "alpha")
    workspace.apply()
    clock.forward(1000)
    batches(workspace, "alpha", lifecycle={"rerun": "2024-07-03T09:50:00Z"})
    proxy.rule("POST", "", hangs_up(after=False))
    assert workspace.apply().code == 7
    assert len(listed(emulator.url, "SparkBatch")) == 1


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        *(("SparkBatch", refusal) for refusal in REFUSALS if refusal != "401"),
        *((kind, "400") for kind in OTHER_KINDS),
    ],
)
def test_a_refused_create_fails_alone(
    all_kinds: Workspace, proxy: FaultProxy, emulator: Emulator, kind: str, refusal: str
) -> None:
    proxy.rule("POST", CREATES[kind][0], REFUSALS[refusal])
    alone = all_kinds.apply("--select", f"kind={kind}")
    assert (alone.code, last(alone.out)) == (1, "Apply incomplete: 0 applied, 1 failed.")
    applied = all_kinds.apply()
    assert (applied.code, last(applied.out)) == (8, "Apply incomplete: 3 applied, 1 failed.")
    assert listed(emulator.url, kind) == []
    assert proxy.count("POST", CREATES[kind][0]) == 2


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_create_is_done_although_the_service_reports_an_error(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, clock: Clock, doubt: str
) -> None:
    """The job is listed late: one look is not enough."""
    workspace.write_project(polling={"interval": "0s", "consistencyDelay": "2s"})
    batches(workspace, "alpha")

    def late(call: Call) -> Answer:
        proxy.rule("GET", "batches", says(200, {"sessions": [], "total": 0}), nth=1)
        answer = DOUBTS[doubt](True)(call)
        assert answer
        return answer

    proxy.rule("POST", "", late)
    applied = workspace.apply()
    assert (applied.code, last(applied.out)) == (0, "Apply complete: 1 applied."), applied
    assert "found in the job list, although the service reported: POST " in applied.out
    clock.forward(10)
    assert workspace.plan()["changes"] == []
    assert (proxy.count("POST"), len(listed(emulator.url, "SparkBatch"))) == (1, 1)


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_create_with_an_error_that_is_not_found_is_unknown(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, doubt: str
) -> None:
    batches(workspace, "alpha")
    proxy.rule("POST", "", DOUBTS[doubt](False))
    applied = workspace.apply()
    assert (applied.code, last(applied.out)) == (7, "Apply incomplete: 0 applied, 1 outcome unknown.")
    assert (
        "outcome unknown: the request may have been executed; the job is not listed yet (POST " in applied.out
    )
    assert proxy.count("POST") == 1
    newest = workspace.run("history", "--format", "json").json["requests"][-1]
    assert (newest["call"], newest["result"]) == ("create", "unknown")
    # The next one looks, and creates what is not there.
    proxy.clear()
    assert workspace.apply().code == 0
    assert (proxy.count("POST"), names_of(listed(emulator.url, "SparkBatch"))) == (1, ["alpha"])


@pytest.mark.parametrize("doubt", DOUBTS)
def test_the_next_apply_finds_what_an_error_left_behind(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, doubt: str
) -> None:
    """The job is listed only after the first apply has given up."""
    batches(workspace, "alpha")
    proxy.rule("POST", "", DOUBTS[doubt](True))
    proxy.rule("GET", "batches", says(200, {"sessions": [], "total": 0}))
    assert workspace.apply().code == 7
    proxy.clear()
    applied = workspace.apply()
    assert (applied.code, proxy.count("POST")) == (0, 0), applied
    assert len(listed(emulator.url, "SparkBatch")) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"job_submit_result": {"job_id": "", "state": "FAILED"}}, 7),
        ({"job_submit_result": {"state": "JOBSTAT_SUBMIT_FAILED", "error_code": "0173", "error_msg": ""}}, 7),
        ({"job_submit_result": {"job_id": "x", "state": "COMPLETE"}, "error_code": "0168"}, 7),
        ({"job_submit_result": {"state": "COMPLETE"}}, 7),
        ({"job_submit_result": {"job_id": "", "state": "COMPLETE"}}, 7),
        ({"job_submit_result": {"job_id": {"a": 1}, "state": "COMPLETE"}}, 7),
        ({"job_submit_result": {"job_id": "x"}}, 7),
        ({"job_submit_result": None}, 7),
    ],
)
def test_what_mrs_may_say_with_200(
    workspace: Workspace, proxy: FaultProxy, answer: dict[str, Any], code: int
) -> None:
    workspace.write("one.yaml", manifest("MrsJob", "alpha", SPECS["MrsJob"]))
    proxy.rule("POST", "", says(200, answer))
    assert workspace.apply().code == code


def test_a_batch_with_an_id_is_accepted_whatever_is_success_says(
    workspace: Workspace, proxy: FaultProxy
) -> None:
    batches(workspace, "alpha")
    proxy.rule("POST", "", changed(lambda body: body.update(is_success=False)))
    assert workspace.apply().code == 0


@pytest.mark.parametrize("flag", [True, "true", "True", None])
def test_the_ways_to_say_success(workspace: Workspace, proxy: FaultProxy, flag: object) -> None:
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", SPECS["FlinkJar"]))
    proxy.rule("POST", "flink-jobs", changed(lambda body: body.update(is_success=flag)))
    assert workspace.apply().code == 0


@pytest.mark.parametrize(
    ("fault", "code", "end"),
    [
        (says(400, ERROR), 8, "Apply incomplete: 1 applied, 1 failed, 1 skipped."),
        (hangs_up(after=False), 7, "Apply incomplete: 1 applied, 1 outcome unknown, 1 skipped."),
    ],
)
def test_the_dependents_of_a_job_that_failed_are_skipped(
    workspace: Workspace, proxy: FaultProxy, fault: Fault, code: int, end: str
) -> None:
    batches(workspace, "first", "free")
    batches(workspace, "second", dependsOn=["first"])
    proxy.rule("POST", "", changed_body("first", fault))
    applied = workspace.apply()
    assert (applied.code, last(applied.out)) == (code, end)
    assert "second in q: dependency 'first': " in applied.out


def changed_body(name: str, fault: Fault) -> Fault:
    """`fault` for the job `name` only."""
    return lambda call: fault(call) if f'"{name}"'.encode() in call.body else call.forward()


# --- create, and then run ---------------------------------------------------------------------------------

RUN = "streaming/jobs/run"


@pytest.fixture
def stream(workspace: Workspace) -> Workspace:
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", SPECS["FlinkJar"]))
    return workspace


RUN_FAULTS = {
    "400": (says(400, ERROR), 8),
    "is_success": (says(200, [{"is_success": "false", "message": "no resources"}]), 7),
    "one object": (says(200, {"is_success": False, "message": "no resources"}), 7),
}


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_a_draft_left_behind_is_started_by_the_next_apply(
    stream: Workspace, proxy: FaultProxy, emulator: Emulator, fault: str
) -> None:
    refusal, code = RUN_FAULTS[fault]
    proxy.rule("POST", RUN, refusal, nth=1)
    applied = stream.apply()
    end = "1 failed" if code == 8 else "1 outcome unknown"  # a draft was created
    assert (applied.code, last(applied.out)) == (code, f"Apply incomplete: 0 applied, {end}.")
    words = "but failed to start:" if code == 8 else "outcome unknown: the job may have been started"
    assert f"(id 1): created, {words}" in applied.out
    assert [change["action"] for change in stream.plan()["changes"]] == ["start"]
    assert stream.apply().code == 0
    assert (proxy.count("POST", "flink-jobs"), proxy.count("POST", RUN)) == (1, 2)
    assert [job["status"] for job in listed(emulator.url, "FlinkJar")] == ["job_submitting"]


@pytest.mark.parametrize("loss", ANSWERS_LOST)
def test_a_run_whose_answer_is_lost_is_seen(stream: Workspace, proxy: FaultProxy, loss: str) -> None:
    proxy.rule("POST", RUN, ANSWERS_LOST[loss])
    applied = stream.apply()
    assert (applied.code, last(applied.out)) == (0, "Apply complete: 1 applied.")
    assert "created, started (response lost;" in applied.out
    assert proxy.count("POST", RUN) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_that_did_not_arrive_is_unknown(
    stream: Workspace, proxy: FaultProxy, emulator: Emulator, loss: str
) -> None:
    proxy.rule("POST", RUN, LOSSES[loss](False), nth=1)
    applied = stream.apply()
    assert (applied.code, last(applied.out)) == (7, "Apply incomplete: 0 applied, 1 outcome unknown.")
    assert "1 created, but not started" not in applied.out
    assert "outcome unknown: the job may have been started" in applied.out
    assert stream.apply().code == 0
    assert (proxy.count("POST", "flink-jobs"), proxy.count("POST", RUN)) == (1, 2)


def test_a_lost_create_is_found_and_then_run(stream: Workspace, proxy: FaultProxy) -> None:
    proxy.rule("POST", "flink-jobs", hangs_up(after=True))
    proxy.rule("POST", RUN, says(400, ERROR))
    assert "created (response lost; found in the job list), but failed to start:" in stream.apply().out


# --- Ctrl-C -----------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that was started in the background ignores Ctrl-C, and so would its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(
    workspace: Workspace,
    proxy: FaultProxy,
    method: str,
    path: str,
    *,
    nth: int,
    after: bool,
    verb: str = "apply",
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, to which the signals come at the nth such call."""
    processes: list[subprocess.Popen[str]] = []
    proxy.rule(method, path, interrupts(lambda: processes[0].pid, *signals, after=after), nth=nth)
    how = ["--yes", "--parallelism", "1"] if verb == "apply" else []
    command = [sys.executable, "-m", "deployer", verb, *how]
    with subprocess.Popen(
        command,
        cwd=workspace.folder,
        env=os.environ,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        processes.append(process)
        out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("after", [True, False])
def test_an_interrupt_tells_what_is_done_unknown_and_not_started(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, *, after: bool
) -> None:
    names = ["a", "b", "c", "d"]
    batches(workspace, *names)
    ran = interrupted(workspace, proxy, "POST", "", nth=2, after=after)
    assert ran.returncode == 130
    assert "Traceback" not in ran.stderr + ran.stdout
    lines = ran.stdout.splitlines()
    assert lines[-1] == "Apply incomplete: 1 applied, 1 outcome unknown, 2 not started."
    assert [line.split()[0] for line in lines[-3:-1]] == ["accepted", "unknown"]
    assert "SparkBatch b" in lines[-2]
    assert proxy.count("POST") == 2
    proxy.clear()
    assert last(workspace.apply().out) == f"Apply complete: {2 if after else 3} applied."
    assert Counter(names_of(listed(emulator.url, "SparkBatch"))) == Counter(names)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_finishes_the_call_under_way(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, number: signal.Signals
) -> None:
    names = ["a", "b", "c", "d"]
    batches(workspace, *names)

    def signals(call: Call) -> Answer:
        os.kill(os.getpid(), number)
        return call.forward()

    proxy.rule("POST", "", signals, nth=2)
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    ran = workspace.apply("--parallelism", "1")
    assert (ran.code, last(ran.out)) == (130, "Apply incomplete: 2 applied, 2 not started.")
    assert names_of(listed(emulator.url, "SparkBatch")) == names[:2]
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before
    assert last(workspace.apply().out) == "Apply complete: 2 applied."


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_between_create_and_run_tells_the_id(
    stream: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    ran = interrupted(stream, proxy, "POST", RUN, nth=1, after=False)
    assert ran.returncode == 130
    assert "unknown  create FlinkJar alpha: interrupted" in ran.stdout
    proxy.clear()
    assert [change["action"] for change in stream.plan()["changes"]] == ["start"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", sampled(["plan", "apply"], 2))
def test_an_interrupt_while_planning(
    workspace: Workspace, proxy: FaultProxy, verb: str, number: signal.Signals
) -> None:
    batches(workspace, "a")
    ran = interrupted(workspace, proxy, "GET", "", nth=1, after=False, verb=verb, signals=(number,))
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (130, "", "interrupted")


@pytest.mark.parametrize("kind", list(SPECS))
def test_fields_that_a_listing_shows_and_no_table_knows_are_named(
    workspace: Workspace, emulator: Emulator, kind: str
) -> None:
    def add(answer: Any) -> None:
        entries = answer.get("sessions") or answer.get("job_list")
        for entry in entries["jobs"] if isinstance(entries, dict) else entries:
            entry["mood"] = "fine"

    workspace.write("a.yaml", manifest(kind, "a", SPECS[kind]))
    assert workspace.apply().code == 0
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("GET", "", changed(add))
        ran = workspace.run("plan", "--detailed-exitcode")
    assert ran.code == 0
    assert f"note: the {kind} list contains unknown fields, ignored: mood" in ran.err


def test_many_jobs_that_fail_alike_are_one_line(bare: Workspace) -> None:
    bare.write("jobs.yaml", [manifest("SparkBatch", f"job-{n}", SPECS["SparkBatch"]) for n in range(6)])
    ran = bare.run("plan")
    assert ran.out.count("connection refused") == 1
    assert "6 jobs (SparkBatch job-0 in q, " in ran.out
    assert last(ran.out) == "Plan for test: 6 failed to plan."


def test_a_service_that_is_not_there_is_asked_once(workspace: Workspace, emulator: Emulator) -> None:
    """Its other listings would each wait as long."""
    for kind, spec in SPECS.items():
        workspace.write(f"{kind}.yaml", manifest(kind, kind, spec))
    endpoints = {"dli": "http://127.0.0.1:9", "mrs": emulator.url}
    workspace.write_project(endpoints=endpoints)
    ran = workspace.apply()
    assert ran.code == 8
    assert len(set(re.findall(r"GET http://127.0.0.1:9\S+", ran.out))) == 1
    assert "Apply incomplete: 1 applied, 3 failed to plan." in ran.out
