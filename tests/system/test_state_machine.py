"""Random changes to manifests and live jobs: apply makes exactly the changes of the plan.

A state machine of Hypothesis edits, meddles, lets time pass, applies and crashes in any order.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from deployer.emulator import Emulator
from deployer.emulator.batches import FAMILY as BATCH
from deployer.emulator.family import Family
from deployer.emulator.flink_family import FAMILY as FLINK
from deployer.emulator.mrs import FAMILY as MRS
from deployer.emulator.sessions import FAMILY as SESSION
from deployer.emulator.store import Job
from testing.faults import CREATES, Answer, Call, Fault, FaultProxy
from testing.processes import Commands, commands
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest

FAMILIES: dict[str, Family] = {"SparkBatch": BATCH, "SparkSession": SESSION, "FlinkJar": FLINK, "MrsJob": MRS}
NAMES = {"SparkBatch": "batch", "SparkSession": "session", "FlinkJar": "stream", "MrsJob": "mr"}
RUN_ONCE = ["SparkBatch", "SparkSession", "MrsJob"]
ENDED = {
    "SparkBatch": [("success", ""), ("dead", "")],
    "SparkSession": [("success", ""), ("error", "")],
    "MrsJob": [("FINISHED", "SUCCEEDED"), ("FINISHED", "FAILED"), ("KILLED", "KILLED")],
    "FlinkJar": [
        ("job_finish", ""),
        ("job_running_exception", ""),
        ("job_cancel_success", ""),
        ("job_idle", ""),
    ],
}

# Other values for fields of each kind; what FlinkJar has first it needs a restart for.
SPEC_EDITS: dict[str, list[dict[str, Any]]] = {
    "SparkBatch": [{}, {"className": "com.B"}, {"args": ["1"]}],
    "SparkSession": [{}, {"sc_type": "B"}],
    "MrsJob": [{}, {"arguments": ["obs://b/mr.jar", "sort"]}],
    "FlinkJar": [
        {},
        {"parallel_number": 2},
        {"resume_max_num": 4},
        {"tags": [{"key": "team", "value": "a"}]},
        {"parallel_number": 2, "tags": [{"key": "team", "value": "b"}]},
    ],
}
LIFECYCLES = {
    "FlinkJar": st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["running", "running", "stopped", "absent"]),
            "savepoint": st.sampled_from([True, True, False]),
            "onFailure": st.sampled_from(["keep", "resubmit"]),
        },
    ),
    **dict.fromkeys(
        RUN_ONCE,
        st.fixed_dictionaries(
            {},
            optional={
                "state": st.sampled_from(["present", "present", "absent"]),
                "onChange": st.sampled_from(["block", "replace", "replace", "submit", "keep"]),
                "onFailure": st.sampled_from(["keep", "resubmit"]),
                "onMissing": st.sampled_from(["create", "create", "keep"]),
                # After the first apply; where no time has passed it is an error.
                "rerun": st.just("2024-07-03T09:46:50Z"),
                "protect": st.sampled_from([False, False, True]),
            },
        ),
    ),
}
EDITS = st.sampled_from(list(NAMES)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.sampled_from(SPEC_EDITS[kind]), LIFECYCLES[kind])
)

# What each action may send.
MAY = {
    "create": {"create", "start"},
    "submit": {"create"},
    "resubmit": {"create"},
    "replace": {"cancel", "create"},
    "cancel": {"cancel"},
    "update": {"update", "start", "stop"},
    "restart": {"stop", "update", "start"},
    "start": {"start"},
    "stop": {"stop", "update"},
    "delete": {"stop", "delete"},
}


@dataclass(frozen=True)
class Write:
    """A call that writes, in the plan's words; `before` is the job as it was, None for a new one."""

    step: str
    kind: str
    name: str
    before: Job | None
    body: Any

    @property
    def only_ownership(self) -> bool:
        """Whether it only records whose job it is, after a write that changes it."""
        tags = self.body.get("tags") if isinstance(self.body, dict) else None
        if not tags or list(self.body) != ["tags"]:
            return False
        return all(tag["key"].startswith("deployer") for tag in tags)

    @property
    def loses_state(self) -> bool:
        """Whether it starts a stream that has run, or stops one, without its savepoint."""
        if self.step == "stop":
            return not self.body["trigger_savepoint"]
        if self.step != "start" or self.before is None or self.before.started is None:
            return False
        return self.before.state != "job_finish" and not self.body["resume_savepoint"]


class Watched(FaultProxy):
    """Knows of each call that writes what it is about, before it arrives; can kill the command at one."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator.url)
        self.emulator = emulator
        self.writes: list[Write] = []
        self.kill: tuple[int, bool, Commands] | None = None

    def fault_for(self, call: Call) -> Fault:
        with self._lock:
            if call.method == "GET":
                return Call.forward
            self.writes.append(self._write(call))
            if self.kill is None or self.kill[0] != len(self.writes):
                return Call.forward
            _, after, real = self.kill

        def killed(call: Call) -> Answer | None:
            if after:
                call.forward()
            os.kill(real.pid(), signal.SIGKILL)
            return None

        return killed

    def _write(self, call: Call) -> Write:
        body: Any = json.loads(call.body) if call.body else None
        kind = next(
            (kind for kind, (path, _) in CREATES.items() if call.path.startswith(path.rpartition("/")[0])), ""
        )
        if "/batches" in call.path or "/sessions" in call.path:
            kind = "SparkBatch" if "/batches" in call.path else "SparkSession"
        elif "streaming" in call.path or "flink" in call.path:
            kind = "FlinkJar"
        path, field_name = CREATES[kind]
        if call.method == "POST" and call.path == path:
            return Write("create", kind, body[field_name], None, body)
        [identifier] = [
            *(part for part in call.path.split("/") if len(part) == 36 or part.isdecimal()),
            *(str(job_id) for job_id in (body or {}).get("job_ids", ())),
        ]
        key = int(identifier) if kind == "FlinkJar" else identifier
        before = self.emulator.store.get(FAMILIES[kind], "pid", key)
        assert before, call
        if kind != "FlinkJar":
            step = "cancel"
        elif call.path.endswith(("/run", "/stop")):
            step = "start" if call.path.endswith("/run") else "stop"
        else:
            step = "delete" if call.method == "DELETE" and "tags" not in call.path else "update"
        return Write(step, kind, before.name, before, body)


@dataclass
class Location:
    """Where the examples of the machine are, one after the other."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    real: Commands
    numbers: Iterator[int] = field(default_factory=count)


def machine(place: Location) -> type[RuleBasedStateMachine]:  # noqa: C901 - a rule is a function in it
    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.stack = ExitStack()
            folder = place.folder / str(next(place.numbers))
            folder.mkdir()
            self.clock = Clock(tick=0.05)
            self.emulator = self.stack.enter_context(
                Emulator(folder / "emulator.db", token=TOKEN, clock=self.clock)
            )
            self.proxy = self.stack.enter_context(Watched(self.emulator))
            self.workspace = Workspace(folder / "project", place.capture, self.proxy.url)
            self.manifests: dict[str, dict[str, Any]] = {}
            self.foreign: dict[int, Any] = {}
            self.behind: set[str] = set()  # ids of runs that others made under our names
            self.beside: set[str] = set()  # kinds that had onChange: submit, or a run of others
            for kind in NAMES:
                self._write(kind, {}, {})
            assert self.workspace.apply().code == 0
            self.clock.forward(5)

        def teardown(self) -> None:
            if hasattr(self, "stack"):
                self.stack.close()

        # --- people

        @rule(edit=EDITS)
        def edit_only(self, edit: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
            self._write(*edit)

        @rule(kind=st.sampled_from(list(NAMES)))
        def remove_a_manifest(self, kind: str) -> None:
            self.manifests.pop(kind, None)
            self._save()

        @rule(kind=st.sampled_from(list(NAMES)), same_name=st.booleans())
        def others_deploy(self, kind: str, same_name: bool) -> None:
            """A job that is not ours: of another name, or of ours in another queue or cluster."""
            elsewhere = same_name and kind != "FlinkJar"
            spec = {key: value for key, value in SPECS[kind].items() if key != "cluster_id"}
            if elsewhere and kind != "MrsJob":
                spec["queue"] = "other"
            name = NAMES[kind] if elsewhere else f"foreign-{len(self.foreign)}"
            path, field_name = CREATES[kind]
            self._call("POST", path.replace("c-1", "c-2") if elsewhere else path, {**spec, field_name: name})
            newest = max(job.number for job in self._jobs(kind))
            self.foreign[newest] = self._row(newest)

        @rule(kind=st.sampled_from(RUN_ONCE))
        def others_submit_under_our_name(self, kind: str) -> None:
            path, field_name = CREATES[kind]
            spec = {key: value for key, value in SPECS[kind].items() if key != "cluster_id"}
            self._call("POST", path, {**spec, field_name: NAMES[kind]})
            self.beside.add(kind)

        @rule(kind=st.sampled_from(list(NAMES)), how=st.integers(0, 3))
        def a_job_ends(self, kind: str, how: int) -> None:
            if job := self._newest(kind):
                self.emulator.store.end(job.number, *ENDED[kind][how % len(ENDED[kind])])

        @rule(save=st.booleans())
        def others_stop_our_stream(self, save: bool) -> None:
            if job := self._newest("FlinkJar"):
                body = {"job_ids": [job.number], "trigger_savepoint": save}
                self._call("POST", "/v1.0/pid/streaming/jobs/stop", body)

        @rule(change=st.sampled_from([{"parallel_number": 5}, {"resume_max_num": 9}]))
        def others_change_our_stream(self, change: dict[str, Any]) -> None:
            if job := self._newest("FlinkJar"):
                self._call("PUT", f"/v1.0/pid/streaming/flink-jobs/{job.number}", change)

        @rule()
        def others_delete_our_stream(self) -> None:
            if job := self._newest("FlinkJar"):
                self._call("DELETE", f"/v1.0/pid/streaming/jobs/{job.number}", None)

        @rule(seconds=st.sampled_from([3, 3, 100]))
        def time_passes(self, seconds: int) -> None:
            self.clock.forward(seconds)

        # --- deployer

        @rule(edit=EDITS, seconds=st.sampled_from([0, 3, 3, 100]))
        def edit_and_apply(self, edit: tuple[str, dict[str, Any], dict[str, Any]], seconds: int) -> None:
            self._write(*edit)
            self.clock.forward(seconds)
            self.apply()

        @rule()
        def apply(self) -> None:
            planned = self._plan()
            digest = planned["digest"]
            self.proxy.writes.clear()
            ran = self.workspace.apply("--expect", digest, "--parallelism", "1")
            self._check_writes(planned)
            if ran.code == 6:
                assert not self.proxy.writes  # time passed between the two
                return
            assert ran.code in ({0, 5} if not planned["errors"] else {1, 8}), ran
            self._check_nothing_is_left(planned)

        @rule(edit=EDITS, at=st.integers(1, 4), after=st.booleans())
        def edit_and_apply_is_killed(
            self, edit: tuple[str, dict[str, Any], dict[str, Any]], at: int, after: bool
        ) -> None:
            self._write(*edit)
            planned = self._plan()
            self.proxy.writes.clear()
            self.proxy.kill = at, after, place.real
            place.real.run(
                self.workspace.folder, "apply", "--yes", "--expect", planned["digest"], "--parallelism", "1"
            )
            self.proxy.kill = None
            self._check_writes(planned)

        # --- what always holds

        def _check_writes(self, planned: Any) -> None:
            changes = {change["name"]: change for change in planned["changes"]}
            for write in self.proxy.writes:
                assert write.name in changes, (write, planned)
                change = changes[write.name]
                if write.only_ownership:
                    assert {"create", "update", "start"} & MAY.get(change["action"], set()), (write, change)
                    continue
                assert write.step in MAY.get(change["action"], ()), (write, change)
                if write.before and change["action"] != "create":
                    ids = {change["live"]["id"], *(other["id"] for other in change.get("other_runs", ()))}
                    assert {str(write.before.number), write.before.id} & ids, (write, change)
                if write.loses_state:
                    assert self.manifests["FlinkJar"]["lifecycle"].get("savepoint") is False, (write, change)
            assert {number: self._row(number) for number in self.foreign} == self.foreign
            for kind in set(RUN_ONCE) - self.beside:
                active = [job for job in self._ours(kind) if job.state not in FAMILIES[kind].final]
                assert len(active) <= 1, active

        def _check_nothing_is_left(self, planned: Any) -> None:
            """What is planned now is blocked, or about a job whose rerun was still in the future."""
            states = {change["name"]: change["live"] for change in planned["changes"]}
            failed = {error["name"] for error in planned["errors"]}
            for change in self._plan()["changes"]:
                if change["action"] != "blocked" and change["name"] not in failed:
                    pytest.fail(f"{change} is left of {states}, after {self.proxy.writes}")

        # --- and how

        def _plan(self) -> Any:
            ran = self.workspace.run("plan", "--format", "json")
            assert ran.code in {0, 1}, ran
            return ran.json

        def _write(self, kind: str, spec: dict[str, Any], lifecycle: dict[str, Any]) -> None:
            whole = {**SPECS[kind], **spec}
            self.manifests[kind] = manifest(kind, NAMES[kind], whole, lifecycle=lifecycle)
            if lifecycle.get("onChange") == "submit":
                self.beside.add(kind)
            self._save()

        def _save(self) -> None:
            self.workspace.write("jobs.yaml", list(self.manifests.values()) or "")

        def _jobs(self, kind: str) -> list[Job]:
            return self.emulator.store.find(FAMILIES[kind], "pid")[1]

        def _ours(self, kind: str) -> list[Job]:
            place_of = {"FlinkJar": None, "MrsJob": "c-1"}.get(kind, "q")
            return [
                job
                for job in self._jobs(kind)
                if job.name == NAMES[kind] and (place_of is None or job.scope == place_of)
            ]

        def _newest(self, kind: str) -> Job | None:
            return max(self._ours(kind), key=lambda job: job.number, default=None)

        def _row(self, number: int) -> Any:
            return self.emulator.store._run("SELECT * FROM jobs WHERE number = :number", number=number)

        def _call(self, method: str, path: str, body: Any) -> None:
            """A call of somebody else; what it may do now is the service's affair."""
            connection = http.client.HTTPConnection(urlsplit(self.emulator.url).netloc)
            headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            connection.getresponse().read()
            connection.close()

    return Machine


@pytest.mark.slow
def test_what_apply_does_is_what_the_plan_said(
    tmp_path: Path, bare: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with commands(tmp_path) as real:
        run_state_machine_as_test(
            machine(Location(tmp_path, capsys, real)),
            settings=settings(
                max_examples=int(os.environ.get("DEPLOYER_EXAMPLES", "10")),
                stateful_step_count=30,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
