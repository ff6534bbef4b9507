"""Retries: which requests are sent again, after which delay, and how often at most."""

from __future__ import annotations

import math
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from deployer.cloud.client import Client
from deployer.cloud.error_codes import find_hint
from deployer.cloud.rate_limit import Throttle
from deployer.cloud.retry import Backoff, Retryable
from deployer.errors import ApiError, NotSent, RequestFailed, ResponseLost
from deployer.kinds import KINDS
from deployer.kinds.tables import load_data, schema_folder
from deployer.project.target import Rate, Retry
from testing.client import Time, connected
from testing.faults import ERROR, HTML, Fault, FaultProxy, half, hangs_up, says
from testing.workspace import SPECS, Workspace, manifest

TOKEN = {"HW_AUTH_TOKEN": "hw-token"}
EMPTY = {"sessions": [], "total": 0}
MRS_EMPTY = {"job_list": [], "total_record": 0}
SUBMITTED = {"job_submit_result": {"job_id": "j-1", "state": "COMPLETE"}}


def listing(client: Client) -> object:
    return client.entries(KINDS["SparkBatch"], {})


def create(client: Client) -> str:
    return client.create(KINDS["SparkBatch"], "alpha", SPECS["SparkBatch"])


def submit(client: Client, cluster: str = "c-1") -> str:
    return client.create(KINDS["MrsJob"], "alpha", SPECS["MrsJob"] | {"cluster_id": cluster})


# --- reads ------------------------------------------------------------------------------------------------

PASSING: dict[str, Fault] = {
    "429": says(429, {"error_code": "APIGW.0308", "error_msg": "too many"}),
    "500": says(500, ""),
    "500 with a code": says(500, {"error_code": "0166", "error_msg": "no"}),
    "502": says(502, HTML),
    "503": says(503, ""),
    "504": says(504, {"error_code": "APIGW.0201", "error_msg": "timeout"}),
    "hangs up": hangs_up(after=False),
    "half": lambda call: half(says(200, EMPTY)(call)),
    "html": says(200, HTML),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_read_is_sent_again(service: FaultProxy, time: Time, fault: str) -> None:
    notes: list[str] = []
    for nth in (1, 2):
        service.rule("GET", "batches", PASSING[fault], nth=nth)
    service.rule("GET", "batches", says(200, EMPTY))
    client = connected(service, time, TOKEN, note=notes.append)
    assert listing(client) == []
    assert (len(service.calls), time.slept) == (3, [1, 2])
    assert [note.rpartition("; ")[2] for note in notes] == ["retrying in 1 s", "retrying in 2 s"]
    assert all(note.startswith(f"GET {service.url}/v2.0/pid/batches: ") for note in notes)


@pytest.mark.parametrize("fault", PASSING)
def test_a_read_is_not_sent_for_ever(service: FaultProxy, time: Time, fault: str) -> None:
    service.rule("GET", "batches", PASSING[fault])
    with pytest.raises(ApiError, match=r"; gave up after 4 attempts$"):
        listing(connected(service, time, TOKEN))
    assert (len(service.calls), time.slept) == (4, [1, 2, 4])


@pytest.mark.parametrize(
    "fault",
    [
        says(400, ERROR),
        says(401, ERROR),
        says(403, ERROR),
        says(404, HTML),
        says(302, "", {"Location": "https://elsewhere.invalid/"}),
        says(200, ERROR),
        says(500, {"error_code": "0176", "error_msg": "no such job"}),
        says(500, {"error_code": 201, "error_msg": "no such job"}),
    ],
)
def test_an_answer_is_an_answer(service: FaultProxy, time: Time, fault: Fault) -> None:
    service.rule("GET", "batches", fault)
    with pytest.raises(RequestFailed) as raised:
        listing(connected(service, time, TOKEN))
    assert (len(service.calls), time.slept) == (1, [])
    assert "gave up" not in str(raised.value)


def test_a_read_that_hangs_is_given_up_in_time(time: Time) -> None:
    """Four times two minutes are too long, but each attempt may take its two minutes."""
    waits = Backoff(Retry(attempts=10), time.clock, write=False, full_since=None)
    attempts = 1
    while (wait := _after(time, 120, waits)) is not None:
        time.now += wait
        attempts += 1
    assert attempts == 3


def _after(time: Time, seconds: float, waits: Backoff) -> float | None:
    time.now += seconds
    return waits.next_delay(Retryable.READ, None)


@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_the_attempts_of_a_target(service: FaultProxy, time: Time, attempts: int) -> None:
    service.rule("GET", "batches", says(503, ""))
    with pytest.raises(ApiError):
        listing(connected(service, time, TOKEN, retry=Retry(attempts)))
    assert len(service.calls) == attempts


def test_waits_double_up_to_a_minute_and_are_spread(time: Time) -> None:
    def waits(chance: float) -> list[float | None]:
        time.chance = chance
        of_one = Backoff(Retry(attempts=10), time.clock, write=False, full_since=None)
        return [of_one.next_delay(Retryable.READ, None) for _ in range(10)]

    assert waits(1) == [1, 2, 4, 8, 16, 32, 60, 60, 60, None]
    assert waits(0) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, None]


@pytest.mark.parametrize(
    ("retry_after", "slept"),
    [
        ("7", [7]),
        (" 7 ", [7]),
        ("0", [1]),
        ("60", [60]),
        ("61", []),
        ("9" * 5000, []),
        ("-5", [1]),
        ("soon", [1]),
        ("1.5", [1]),
        ("Wed, 03 Jul 2024 09:46:50 GMT", [10]),
        ("Wed, 03 Jul 2024 09:46:30 GMT", [1]),
        ("Wed, 03 Jul 2024 10:46:40 GMT", []),
        ("Wed, 99 Jul 2024 10:46:40 GMT", [1]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_service_asks_for(
    service: FaultProxy, time: Time, method: str, retry_after: str, slept: list[float]
) -> None:
    throttled = {"error_code": "APIG.0308", "error_msg": "too many"}
    service.rule(method, "batches", says(429, throttled, {"Retry-After": retry_after} | time.date()), nth=1)
    service.rule(method, "batches", says(200, EMPTY | {"id": "b-1"}))
    client = connected(service, time, TOKEN)
    if slept:
        assert (listing(client) == []) if method == "GET" else (create(client) == "b-1")
    else:
        with pytest.raises(RequestFailed, match=r"; the service asked to retry after [0-9]+ s$"):
            listing(client) if method == "GET" else create(client)
    assert time.slept == slept


# --- writes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", sorted(PASSING.keys() - {"429", "500 with a code"}))
def test_a_write_that_may_have_been_carried_out_is_not_repeated(
    service: FaultProxy, time: Time, fault: str
) -> None:
    service.rule("POST", "batches", PASSING[fault])
    with pytest.raises(ResponseLost):
        create(connected(service, time, TOKEN))
    assert (len(service.calls), time.slept) == (1, [])


def test_nor_is_one_that_was_refused(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "batches", PASSING["500 with a code"])
    with pytest.raises(RequestFailed):
        create(connected(service, time, TOKEN))
    assert (len(service.calls), time.slept) == (1, [])


def test_a_write_is_sent_again_when_the_gateway_did_not_take_it(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "batches", PASSING["429"], nth=1)
    service.rule("POST", "batches", says(200, {"id": "b-1"}))
    assert create(connected(service, time, TOKEN)) == "b-1"
    first, second = service.calls
    assert (first.body, time.slept) == (second.body, [1])


OTHER_429: dict[str, Fault] = {
    "no code": says(429, "", {"Retry-After": "7"}),
    "a code of the service": says(429, {"error_code": "DLI.0012", "error_msg": "busy"}, {"Retry-After": "7"}),
}


@pytest.mark.parametrize("fault", OTHER_429)
def test_a_429_of_somebody_else_repeats_only_reads(service: FaultProxy, time: Time, fault: str) -> None:
    """Who stands behind the service may say so after the request was executed."""
    service.rule("POST", "batches", OTHER_429[fault])
    client = connected(service, time, TOKEN)
    with pytest.raises(RequestFailed, match=r"; the service asked to retry after 7 s$") as raised:
        create(client)
    assert (len(service.calls), time.slept, raised.value.may_be_executed) == (1, [], True)
    service.rule("GET", "batches", OTHER_429[fault], nth=1)
    service.rule("GET", "batches", says(200, EMPTY))
    assert (listing(client), time.slept) == ([], [7])


ERRORS: list[tuple[int, str, bool]] = [
    (400, "DLI.0001", False),
    (400, "DLI.0999", True),
    (400, "DLI.0019", True),
    (400, "", False),
    (400, "0173", True),
    (408, "", True),
    (500, "0173", True),
    (500, "0180", True),
    (500, "0193", True),
    (500, "9999", True),
    (500, "0056", False),
    (500, "0168", False),
    (500, "0177", False),
    (500, "0192", False),
    (500, "0201", False),
    (200, "DLI.0001", True),
    (200, "0177", False),
    (429, "APIGW.0308", False),
    (429, "APIG.0308", False),
    (403, "APIGW.0302", False),
]


@pytest.mark.parametrize(("status", "code", "expected"), ERRORS)
def test_which_errors_leave_open_whether_a_write_was_executed(
    service: FaultProxy, time: Time, status: int, code: str, *, expected: bool
) -> None:
    service.rule("POST", "", says(status, {"error_code": code, "error_msg": "no"} if code else ""))
    with pytest.raises(RequestFailed) as raised:
        submit(connected(service, time, TOKEN, retry=Retry(1, capacity_seconds=0)))
    assert (raised.value.may_be_executed, len(service.calls)) == (expected, 1)


class _Late(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(200)
        self.end_headers()
        self.wfile.write(b'{"id": "b-1"}')


def test_a_write_is_sent_again_when_nothing_can_have_arrived(service: FaultProxy, time: Time) -> None:
    """The server takes connections only while we wait."""
    late = HTTPServer(("127.0.0.1", 0), _Late, bind_and_activate=False)
    late.server_bind()
    serving = threading.Thread(target=late.handle_request)

    def activate(note: str) -> None:
        assert "connection refused; is the server running?; retrying in 1 s" in note
        late.server_activate()
        serving.start()

    service.url = f"http://127.0.0.1:{late.server_address[1]}"
    assert create(connected(service, time, TOKEN, note=activate)) == "b-1"
    serving.join()
    late.server_close()


def test_nor_is_that_tried_for_ever(service: FaultProxy, time: Time) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        service.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        NotSent, match=r"connection refused; is the server running\?; gave up after 4 attempts$"
    ):
        create(connected(service, time, TOKEN))
    assert time.slept == [1, 2, 4]


class Interrupted(Time):
    def sleep(self, _seconds: float) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_ends_a_wait(service: FaultProxy) -> None:
    service.rule("GET", "batches", says(503, ""))
    with pytest.raises(KeyboardInterrupt):
        listing(connected(service, Interrupted(), TOKEN))
    assert len(service.calls) == 1


# --- a service that is full -------------------------------------------------------------------------------

FULL: dict[str, Fault] = {
    "0177": says(500, {"error_code": "0177", "error_msg": "at most 10"}),
    "nested": says(200, {"job_submit_result": {"error_code": "0177", "error_msg": "at most 10"}}),
    "camel case": says(400, {"errorCode": "0202", "errorMsg": "too many"}),
    "a number": says(400, {"error_code": 12000060, "error_msg": "at most 20"}),
    "without its zero": says(400, {"error_code": 177, "error_msg": "at most 10"}),
    "503": says(503, {"error_code": "0202", "error_msg": "later"}),
}


@pytest.mark.parametrize("fault", FULL)
def test_a_full_cluster_is_waited_for(service: FaultProxy, time: Time, fault: str) -> None:
    notes: list[str] = []
    for nth in range(1, 7):
        service.rule("POST", "job-executions", FULL[fault], nth=nth)
    service.rule("POST", "job-executions", says(200, SUBMITTED))
    assert submit(connected(service, time, TOKEN, note=notes.append)) == "j-1"
    assert time.slept == [15, 30, 60, 60, 60, 60]
    assert "; the cluster has reached its maximum number of running jobs; retrying in 15 s" in notes[0]


def test_but_not_for_ever(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "job-executions", FULL["0177"])
    client = connected(service, time, TOKEN)
    with pytest.raises(RequestFailed, match=r"; no capacity within 10 minutes; retry later$"):
        submit(client)
    assert sum(time.slept) == 600


def test_a_cluster_that_stays_full_is_not_waited_for_by_each_job(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "c-1/job-executions", FULL["0177"])
    service.rule("POST", "c-2/job-executions", says(200, SUBMITTED))
    client = connected(service, time, TOKEN)
    for _ in range(3):
        with pytest.raises(RequestFailed):
            submit(client)
    assert (sum(time.slept), service.count("POST", "c-1")) == (600, 15)
    assert submit(client, "c-2") == "j-1"


def test_a_cluster_that_had_place_since_is_waited_for_again(service: FaultProxy, time: Time) -> None:
    for nth in (1, 2, 4):
        service.rule("POST", "job-executions", FULL["0177"], nth=nth)
    service.rule("POST", "job-executions", says(200, SUBMITTED))
    client = connected(service, time, TOKEN, retry=Retry(capacity_seconds=50))
    assert [submit(client), submit(client)] == ["j-1", "j-1"]
    assert time.slept == [15, 30, 15]


def test_without_a_wait(service: FaultProxy, time: Time) -> None:
    service.rule("POST", "job-executions", FULL["0177"])
    with pytest.raises(RequestFailed, match=r"its maximum number of running jobs; retry later$"):
        submit(connected(service, time, TOKEN, retry=Retry(capacity_seconds=0)))
    assert time.slept == []


def test_a_full_cluster_and_a_gateway_that_throttles(service: FaultProxy, time: Time) -> None:
    for nth, fault in enumerate([FULL["0177"], PASSING["429"], FULL["0177"], PASSING["429"]], start=1):
        service.rule("POST", "job-executions", fault, nth=nth)
    service.rule("POST", "job-executions", says(200, SUBMITTED))
    assert submit(connected(service, time, TOKEN)) == "j-1"
    assert time.slept == [15, 1, 30, 2]


def test_the_time_that_a_cluster_was_full_does_not_count_as_trying(service: FaultProxy, time: Time) -> None:
    for nth in range(1, 10):
        service.rule("POST", "job-executions", FULL["0177"], nth=nth)
    service.rule("POST", "job-executions", PASSING["429"], nth=10)
    service.rule("POST", "job-executions", says(200, SUBMITTED))
    assert submit(connected(service, time, TOKEN)) == "j-1"
    assert sum(time.slept) > 300


# --- rate -------------------------------------------------------------------------------------------------


def test_a_second_of_calls_at_once_and_then_evenly(time: Time) -> None:
    throttle = Throttle(Rate(per_second=4), time.clock)
    started = time.now
    sent = []
    for _ in range(8):
        with throttle.acquire():
            sent.append(time.now - started)
    assert sent == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1]


def test_a_pause_is_not_saved_up(time: Time) -> None:
    throttle = Throttle(Rate(per_second=2), time.clock)
    for _ in range(2):
        with throttle.acquire():
            pass
    time.now += 3600
    for _ in range(3):
        with throttle.acquire():
            pass
    assert time.slept == [0.5]


@pytest.mark.parametrize(("per_second", "slept"), [(0.1, [10, 10]), (1, [1, 1]), (math.inf, [])])
def test_any_rate(time: Time, per_second: float, slept: list[float]) -> None:
    throttle = Throttle(Rate(per_second), time.clock)
    for _ in range(3):
        with throttle.acquire():
            pass
    assert time.slept == pytest.approx(slept)


def test_so_many_at_a_time(time: Time) -> None:
    throttle = Throttle(Rate(math.inf, concurrent=3), time.clock)
    inside, most, lock = 0, 0, threading.Lock()
    three = threading.Barrier(3)

    def call(_: int) -> None:
        nonlocal inside, most
        with throttle.acquire():
            with lock:
                inside += 1
                most = max(most, inside)
            three.wait(timeout=10)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(12)))
    assert most == 3


def test_each_service_has_its_own_rate(service: FaultProxy, time: Time) -> None:
    service.rule("GET", "batches", says(200, EMPTY))
    service.rule("GET", "job-executions", says(200, MRS_EMPTY))
    client = connected(service, time, TOKEN, rate=Rate(per_second=2))
    for _ in range(2):
        listing(client)
        client.entries(KINDS["MrsJob"], {"cluster_id": "c-1"})
    assert time.slept == []
    listing(client)
    assert time.slept == pytest.approx([0.5])


# --- hints ------------------------------------------------------------------------------------------------


def test_every_code_is_spelled_as_it_is_looked_up() -> None:
    import yaml

    rows = yaml.safe_load((schema_folder() / "error-hints.yaml").read_text(encoding="utf-8"))
    for row in rows:
        assert row["source"]
        for code in row["codes"]:
            assert isinstance(code, str)
            assert re.fullmatch(r"DLI\.[0-9]{4,5}|APIGW\.[0-9]{4}|[0-9]{4}|[0-9]{8,9}", code)
            assert find_hint(code, row.get("says", "").partition("|")[0]).source == row["source"]


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("0192", "", "synchronise IAM users"),
        ("192", "", "synchronise IAM users"),
        ("0168", "", "Spark, Hive or Flink rejected the job"),
        ("DLI.0001", 'The key is "spark.dli.job.agency.name"', "DLI needs an agency"),
        ("DLI.0001", "the parameter is wrong", ""),
        ("APIGW.0308", "", "too many requests"),
        ("APIG.0308", "", "too many requests"),
        ("APIGW.0201", "backend timeout", ""),
        ("APIGW.0201", "Request entity too large", "12 MB"),
        ("", "", ""),
        ("nonsense", "", ""),
    ],
)
def test_hints(code: str, message: str, words: str) -> None:
    assert words in find_hint(code, message).hint
    assert bool(words) == bool(find_hint(code, message).hint)


def test_a_hint_is_shown_and_the_request_id_too(service: FaultProxy, time: Time) -> None:
    refusal = {"job_submit_result": {"error_code": "0192", "error_msg": "not synchronized"}}
    service.rule("POST", "", says(400, refusal, {"X-Request-Id": "req-1"}))
    with pytest.raises(
        RequestFailed,
        match=r"\(request id req-1\): 0192 not synchronized; the cluster does not know the IAM user",
    ) as raised:
        submit(connected(service, time, TOKEN))
    assert (raised.value.code, raised.value.status, raised.value.request_id) == ("0192", 400, "req-1")


# --- deployer.yaml ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"retry": {"attempts": 0}}, "'attempts' must be at least 1"),
        ({"retry": {"capacityTimeout": "10"}}, "'capacityTimeout' must match"),
        ({"rate": {"requestsPerSecond": 0}}, "'requestsPerSecond' must be at least 0.01"),
        ({"rate": {"concurrent": 0}}, "'concurrent' must be at least 1"),
        (
            {"auth": {"method": "aksk", "variable": "HW_AUTH_TOKEN"}},
            "'variable' is allowed with method token only",
        ),
        ({"auth": {"insecure": True}}, "unknown field 'insecure'"),
    ],
)
def test_what_a_target_may_not_say(bare: Workspace, target: dict[str, Any], problem: str) -> None:
    bare.write_project(**target)
    ran = bare.run("validate")
    assert (ran.code, problem in ran.err) == (4, True), ran.err


def test_a_target_says_how_patient_it_is(workspace: Workspace, service: FaultProxy) -> None:
    service.rule("GET", "", says(503, ""))
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    workspace.url = service.url
    workspace.project["marks"] = False
    rate = {"requestsPerSecond": 100, "concurrent": 1}
    workspace.write_project(retry={"attempts": 1, "capacityTimeout": "0s"}, rate=rate)
    ran = workspace.run("plan")
    assert (ran.code, len(service.calls), ran.err) == (1, 1, "")


def test_no_hint_for_an_unknown_outcome_advises_a_second_request() -> None:
    rows = [row for row in load_data("error-hints.yaml") if row.get("may_be_executed")]
    assert rows
    assert not [row["hint"] for row in rows if "retry" in row.get("hint", "")]
