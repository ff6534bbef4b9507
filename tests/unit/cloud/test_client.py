"""The client's calls for single jobs: the requests, and how responses are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployer.cloud.client import Client, LogPage
from deployer.emulator import Emulator
from deployer.errors import ApiError, NotSent, RequestFailed, ResponseLost
from deployer.kinds import KINDS
from deployer.model import Phase
from testing.client import Time, connected
from testing.faults import DOUBTS, HTML, LOSSES, REFUSALS, Fault, FaultProxy, cut, says
from testing.workspace import SPECS, TOKEN, Clock

BATCH, SESSION, FLINK, MRS = (KINDS[name] for name in ("SparkBatch", "SparkSession", "FlinkJar", "MrsJob"))
PLACE = {"cluster_id": "c-1"}
UUID = "0a324461-d9d9-45da-a52a-3b3c7a3d809e"


@pytest.fixture
def service(emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.url) as server:
        yield server


@pytest.fixture
def client(service: FaultProxy) -> Client:
    return connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN})


def path_values(kind: str) -> dict[str, str]:
    return PLACE if kind == "MrsJob" else {}


def made(client: Client, kind: str, **spec: Any) -> str:
    return client.create(KINDS[kind], "alpha", SPECS[kind] | spec)


def phase(client: Client, kind: str, identifier: str) -> Phase:
    entry = client.show(KINDS[kind], identifier, path_values(kind))
    assert entry is not None
    return KINDS[kind].observe(entry).phase


# --- what they do -----------------------------------------------------------------------------------------


def test_one_job_is_shown_as_it_is_listed(client: Client, any_kind: Callable[..., dict[str, Any]]) -> None:
    name = any_kind("alpha")["kind"]
    kind, identifier = KINDS[name], made(client, name)
    made(client, name, **({"name": "other"} if name == "FlinkJar" else {}))
    entry = client.show(kind, identifier, path_values(name))
    assert entry is not None
    listed = [kind.observe(item) for item in client.entries(kind, path_values(name))]
    assert [kind.observe(entry)] == [job for job in listed if job.id == identifier]


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [("SparkBatch", UUID), ("SparkSession", UUID), ("FlinkJar", "138"), ("MrsJob", UUID)],
)
def test_a_job_that_is_not_there(client: Client, kind: str, identifier: str) -> None:
    assert client.show(KINDS[kind], identifier, path_values(kind)) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "DLI.0002"), (400, "DLI.16001"), (404, "DLI.0023"), (500, "0176"), (500, 201), (500, "0201")],
)
def test_the_codes_of_no_such_job(service: FaultProxy, client: Client, status: int, code: object) -> None:
    service.rule("GET", "", says(status, {"error_code": code, "error_msg": "no such job"}))
    assert client.show(BATCH, UUID, {}) is None
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [
        says(404, {"error_code": "APIGW.0101", "error_msg": "no such API"}),
        says(404, HTML),
        says(400, {"error_code": "DLI.0001", "error_msg": "wrong"}),
        says(500, {"error_code": "12000003", "error_msg": "no such cluster"}),
        says(200, {}),
        says(200, {"state": "running"}),
        says(200, {"id": "another", "state": "running"}),
        says(200, []),
        says(200, HTML),
        says(200, ""),
        says(204, ""),
    ],
)
def test_no_other_answer_means_that_it_is_gone(service: FaultProxy, client: Client, fault: Fault) -> None:
    service.rule("GET", "", fault)
    with pytest.raises(ApiError):
        client.show(BATCH, UUID, {})


@pytest.mark.parametrize("kind", ["SparkBatch", "SparkSession", "MrsJob"])
def test_cancel(client: Client, clock: Clock, kind: str) -> None:
    identifier = made(client, kind)
    clock.forward(5)
    assert phase(client, kind, identifier) is Phase.ACTIVE
    client.cancel(KINDS[kind], identifier, path_values(kind))
    clock.forward(5)
    assert phase(client, kind, identifier) not in {Phase.ACTIVE, Phase.UNKNOWN}


@pytest.mark.parametrize(("kind", "code"), [("SparkBatch", "DLI.0007"), ("MrsJob", "0175")])
def test_what_has_ended_cannot_be_cancelled(client: Client, clock: Clock, kind: str, code: str) -> None:
    identifier = made(client, kind)
    clock.forward(100)
    with pytest.raises(RequestFailed) as raised:
        client.cancel(KINDS[kind], identifier, path_values(kind))
    assert raised.value.code == code
    assert raised.value.request_id == client.request_id


@pytest.mark.parametrize(
    "fault", [says(202, ""), says(204, ""), says(202, {}), says(202, {"result": "succeeded"})]
)
def test_a_kill_is_accepted_without_a_word(service: FaultProxy, client: Client, fault: Fault) -> None:
    service.rule("POST", "/kill$", fault)
    client.cancel(MRS, UUID, PLACE)
    (call,) = service.calls
    assert call.path == f"/v2/pid/clusters/c-1/job-executions/{UUID}/kill"
    assert (call.body, call.headers["Content-Type"]) == (b"", "application/json")


@pytest.mark.parametrize("savepoint", [True, False])
def test_stop(client: Client, clock: Clock, savepoint: bool) -> None:
    identifier = made(client, "FlinkJar")
    client.start(FLINK, identifier)
    clock.forward(5)
    client.stop(FLINK, identifier, savepoint=savepoint)
    assert phase(client, "FlinkJar", identifier) is Phase.PENDING
    clock.forward(5)
    entry = client.show(FLINK, identifier, {})
    assert entry is not None
    assert (entry["status"], entry["has_savepoint"]) == ("job_cancel_success", savepoint)
    with pytest.raises(RequestFailed, match=r"DLI\.0007"):
        client.stop(FLINK, identifier, savepoint=savepoint)


@pytest.mark.parametrize("flag", [True, "true", "True"])
@pytest.mark.parametrize("in_a_list", [True, False])
def test_a_stop_is_answered_by_a_list_or_an_object(
    service: FaultProxy, client: Client, flag: object, in_a_list: bool
) -> None:
    answer = {"is_success": flag, "message": ""}
    service.rule("POST", "/stop$", says(200, [answer] if in_a_list else answer))
    client.stop(FLINK, "138", savepoint=True)
    assert json.loads(service.calls[0].body) == {"job_ids": [138], "trigger_savepoint": True}


def test_update_sends_what_is_given(service: FaultProxy, client: Client, clock: Clock) -> None:
    identifier = made(client, "FlinkJar", obs_bucket="b", main_class="com.example.Main")
    client.start(FLINK, identifier)
    clock.forward(5)
    client.update(FLINK, identifier, {"resume_max_num": 3})
    assert json.loads(service.calls[-1].body) == {"resume_max_num": 3}
    entry = client.show(FLINK, identifier, {})
    assert entry is not None
    spec = FLINK.observe(entry).spec
    assert spec is not None
    assert (spec["resume_max_num"], spec["main_class"]) == (3, "com.example.Main")
    with pytest.raises(RequestFailed, match="main_class cannot be updated now"):
        client.update(FLINK, identifier, {"main_class": "com.example.Other"})


def test_delete(client: Client) -> None:
    identifier = made(client, "FlinkJar")
    client.delete(FLINK, identifier)
    assert client.show(FLINK, identifier, {}) is None
    with pytest.raises(RequestFailed, match=r"DLI\.16001"):
        client.delete(FLINK, identifier)


def test_tags(service: FaultProxy, client: Client) -> None:
    identifier = made(client, "FlinkJar", tags=[{"key": "team", "value": "old"}])

    def tags() -> dict[str, str]:
        path = f"/v3/pid/dli_flink_job/{identifier}/tags"
        call = next(call for call in service.calls if call.path == f"{path}/create")
        answer = type(call)("GET", path, {"X-Auth-Token": TOKEN}, b"", service.upstream, lambda: None)
        return {tag["key"]: tag["value"] for tag in answer.forward().json["tags"]}

    client.tag(FLINK, identifier, {"team": "clicks", "stage": "prod / 1"})
    assert tags() == {"team": "clicks", "stage": "prod / 1"}
    client.untag(FLINK, identifier, {"team": "clicks"})
    assert tags() == {"stage": "prod / 1"}
    sent = [json.loads(call.body)["tags"] for call in service.calls if "/tags/" in call.path]
    assert sent[1] == [{"key": "team", "value": "clicks"}]


@pytest.mark.parametrize("kind", ["SparkBatch", "SparkSession"])
def test_log(client: Client, clock: Clock, kind: str) -> None:
    identifier = made(client, kind)
    clock.forward(12)  # two seconds until it runs, then a line a second between three others
    whole = client.log(KINDS[kind], identifier, {}, start=0, size=1000)
    assert (whole.start, whole.total, len(whole.lines)) == (0, 13, 13)
    assert client.log(KINDS[kind], identifier, {}, start=3, size=2) == LogPage(whole.lines[3:5], 3, 13)
    assert client.log(KINDS[kind], identifier, {}, start=-4, size=20) == LogPage(whole.lines[9:], 9, 13)
    assert client.log(KINDS[kind], identifier, {}, start=-400, size=20).lines == whole.lines
    assert client.log(KINDS[kind], identifier, {}, start=13, size=20).lines == ()


@pytest.mark.parametrize("answer", [{}, {"log": None, "total": 0}, {"log": ["a"]}, {"log": "a", "total": 1}])
def test_what_is_no_log(service: FaultProxy, client: Client, answer: object) -> None:
    service.rule("GET", "/log", says(200, answer))
    with pytest.raises(ResponseLost, match="unexpected log response"):
        client.log(BATCH, UUID, {}, start=0, size=10)


def test_the_request_id_of_a_call_that_went_well(service: FaultProxy, client: Client) -> None:
    service.rule("DELETE", "", says(200, {"msg": "deleted"}, {"X-Request-Id": "r-1"}))
    client.cancel(BATCH, UUID, {})
    assert client.request_id == "r-1"
    service.clear()
    service.rule("DELETE", "", says(200, {"msg": "deleted"}))
    client.cancel(BATCH, UUID, {})
    assert client.request_id == ""


def test_signed_calls_without_a_body(tmp_path: Path) -> None:
    with Emulator(tmp_path / "keyed.db", ak="the-ak", sk="the-sk") as server:
        time = Time(now=datetime.now(UTC).timestamp())  # a signature has a date
        client = connected(server, time, {"HW_ACCESS_KEY": "the-ak", "HW_SECRET_KEY": "the-sk"})
        for kind in ("SparkBatch", "MrsJob"):
            identifier = made(client, kind)
            client.cancel(KINDS[kind], identifier, path_values(kind))
            assert phase(client, kind, identifier) is Phase.ACTIVE
        stream = made(client, "FlinkJar")
        client.tag(FLINK, stream, {"a": "b"})
        client.delete(FLINK, stream)


# --- what goes wrong --------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Client, str], None]] = {
    "start": lambda client, given: client.start(FLINK, given),
    "stop": lambda client, given: client.stop(FLINK, given, savepoint=True),
    "update": lambda client, given: client.update(FLINK, given, {"desc": "x"}),
    "delete": lambda client, given: client.delete(FLINK, given),
    "tag": lambda client, given: client.tag(FLINK, given, {"a": "b"}),
    "untag": lambda client, given: client.untag(FLINK, given, {"a": "b"}),
    "cancel a batch": lambda client, given: client.cancel(BATCH, given, {}),
    "cancel a session": lambda client, given: client.cancel(SESSION, given, {}),
    "kill": lambda client, given: client.cancel(MRS, given, PLACE),
}


def of_service(write: str) -> str:
    return "138" if write in {"start", "stop", "update", "delete", "tag", "untag"} else UUID


ERRORS: dict[str, Fault] = {**REFUSALS, **{name: make(False) for name, make in DOUBTS.items()}}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("write", WRITES)
def test_an_error(service: FaultProxy, client: Client, write: str, error: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        service.rule(method, "", ERRORS[error])
    with pytest.raises(RequestFailed) as raised:
        WRITES[write](client, of_service(write))
    assert len(service.calls) == (4 if error == "429" else 1)
    assert raised.value.may_be_executed == (error in DOUBTS)


# What an answer may lack: where no word is documented an empty object will do, and some come without a body.
ENOUGH = {
    **dict.fromkeys(("cancel a batch", "cancel a session"), ("{}",)),
    **dict.fromkeys(("tag", "untag", "kill"), ("{}", "204", "nothing")),
}


@pytest.mark.parametrize(
    ("write", "loss"), [(w, n) for w in WRITES for n in LOSSES if n not in ENOUGH.get(w, ())]
)
def test_a_lost_answer_is_not_asked_for_again(
    service: FaultProxy, client: Client, write: str, loss: str
) -> None:
    for method in ("POST", "PUT", "DELETE"):
        service.rule(method, "", LOSSES[loss](False))
    with pytest.raises(ResponseLost):
        WRITES[write](client, of_service(write))
    assert len(service.calls) == 1


@pytest.mark.parametrize(("write", "words"), ENOUGH.items())
def test_what_is_answer_enough(
    service: FaultProxy, client: Client, write: str, words: tuple[str, ...]
) -> None:
    for word in words:
        service.clear()
        for method in ("POST", "DELETE"):
            service.rule(method, "", LOSSES[word](False))
        WRITES[write](client, of_service(write))
        assert len(service.calls) == 1


def test_a_cancel_whose_answer_is_cut_was_carried_out(
    service: FaultProxy, client: Client, clock: Clock
) -> None:
    identifier = made(client, "SparkBatch")
    service.rule("DELETE", "", cut)
    with pytest.raises(ResponseLost):
        client.cancel(BATCH, identifier, {})
    clock.forward(5)
    assert phase(client, "SparkBatch", identifier) is Phase.FAILED


def test_nothing_listens() -> None:
    with FaultProxy("") as gone:
        client = connected(gone, Time(), {"HW_AUTH_TOKEN": TOKEN})
    with pytest.raises(NotSent):
        client.cancel(BATCH, UUID, {})


HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a%2fb",
    "a%2Fkill",
    "a\\b",
    "a?b",
    "a#b",
    "a b",
    "a\n",
    "é",
    "x" * 200,
]


@pytest.mark.parametrize("identifier", HOSTILE)
@pytest.mark.parametrize("write", WRITES)
def test_a_hostile_id_is_not_sent(service: FaultProxy, client: Client, write: str, identifier: str) -> None:
    with pytest.raises(NotSent, match="no request was sent"):
        WRITES[write](client, identifier)
    assert service.calls == []


@pytest.mark.parametrize("identifier", [*HOSTILE, "abc", "-1", "1.5", "١٣٨"])
def test_a_flink_job_has_a_number(service: FaultProxy, client: Client, identifier: str) -> None:
    for call in (client.delete, lambda kind, given: client.show(kind, given, {})):
        with pytest.raises(NotSent, match="is not a valid job id"):
            call(FLINK, identifier)
    assert service.calls == []


@pytest.mark.parametrize("identifier", HOSTILE)
def test_a_hostile_id_is_not_read_either(service: FaultProxy, client: Client, identifier: str) -> None:
    with pytest.raises(NotSent):
        client.show(BATCH, identifier, {})
    with pytest.raises(NotSent):
        client.log(BATCH, identifier, {}, start=0, size=1)
    assert service.calls == []


@pytest.mark.parametrize("cluster", ["", ".", ".."])
def test_a_hostile_cluster_is_not_sent(service: FaultProxy, client: Client, cluster: str) -> None:
    for call in (
        lambda place: client.cancel(MRS, UUID, place),
        lambda place: client.entries(MRS, place),
        lambda place: client.create(MRS, "alpha", SPECS["MrsJob"] | place),
    ):
        with pytest.raises(NotSent, match="is not a valid cluster_id"):
            call({"cluster_id": cluster})
    assert service.calls == []


def test_a_cluster_stays_in_its_segment(service: FaultProxy, client: Client) -> None:
    with pytest.raises(ApiError):
        client.cancel(MRS, UUID, {"cluster_id": "../c?x=1#"})
    assert service.calls[0].path == f"/v2/pid/clusters/..%2Fc%3Fx%3D1%23/job-executions/{UUID}/kill"
