"""The reads of `doctor --contract`: their limits, and what is sent after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.cloud.client import Client
from deployer.doctor.contract import MAX_SECONDS, Sample, collect
from deployer.doctor.services import Place
from deployer.emulator import Emulator
from deployer.kinds import KINDS
from deployer.kinds.tables import load_table, operations
from testing.client import Time, connected
from testing.faults import FaultProxy, changed, fill, hangs_up, says
from testing.workspace import TOKEN

CLUSTERS = [Place(KINDS["MrsJob"], {"cluster_id": f"c-{number}"}) for number in range(1, 7)]
PLACES = [*(Place(kind, {}) for kind in KINDS.values() if not kind.path_fields), CLUSTERS[0]]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    with Emulator(tmp_path / "emulator.db", token=TOKEN) as server, FaultProxy(server.url) as proxy:
        for kind in KINDS:
            fill(server.url, kind, [f"{kind}-{number}" for number in range(4)])
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Client:
    return connected(proxy, Time(), {"HW_AUTH_TOKEN": TOKEN})


def problems(samples: list[Sample]) -> set[str]:
    return {sample.problem for sample in samples if sample.problem}


def test_all_reads_are_gets(client: Client, proxy: FaultProxy) -> None:
    samples = collect(client, PLACES)
    assert problems(samples) == set()
    assert {call.method for call in proxy.calls} == {"GET"}
    assert len(proxy.calls) == len(samples) > 20
    assert {sample.what for sample in samples} >= {
        "page",
        "job",
        "by name",
        "by part of a name",
        "from the second",
    }


def test_the_limit_of_requests(client: Client, proxy: FaultProxy) -> None:
    samples = collect(client, PLACES, requests=6)
    assert len(proxy.calls) == 6
    assert problems(samples) == {"not sent: the limit of requests or of time is reached"}
    assert [sample.what for sample in samples[:4]] == ["page"] * 4


def test_the_limit_of_time(client: Client, proxy: FaultProxy) -> None:
    time = Time()

    def now() -> float:
        time.now += MAX_SECONDS / 10
        return time.now

    samples = collect(client, PLACES, now=now)
    assert 5 < len(proxy.calls) < 12
    assert problems(samples) == {"not sent: the limit of requests or of time is reached"}


def test_the_limit_of_clusters(client: Client, proxy: FaultProxy) -> None:
    collect(client, CLUSTERS)
    assert {call.path.split("/")[4] for call in proxy.calls} == {"c-1", "c-2", "c-3"}


def test_a_silent_service_is_not_asked(client: Client, proxy: FaultProxy) -> None:
    samples = collect(client, PLACES, {"dli"})
    assert problems(samples) == {"not sent: dli does not answer"}
    assert all("/job-executions" in call.path for call in proxy.calls)
    assert proxy.calls


def test_a_refused_token_is_sent_once(client: Client, proxy: FaultProxy) -> None:
    proxy.rule("GET", "", says(401, {"error_code": "APIGW.0301", "error_msg": "no"}))
    samples = collect(client, PLACES)
    assert len(proxy.calls) == 1
    assert problems(samples) == {"refused", "not sent: the credential has been refused"}


def test_a_refused_read_does_not_stop_the_others(client: Client, proxy: FaultProxy) -> None:
    proxy.rule("GET", "/batches", says(403, {"error_code": "DLI.0003", "error_msg": "job acme is not yours"}))
    samples = collect(client, PLACES)
    [refused] = [sample for sample in samples if sample.problem]
    assert (refused.operation, refused.status, refused.code) == ("dli.batches.list", 403, "DLI.0003")
    assert len({sample.kind.name for sample in samples if not sample.problem}) == 3


def test_an_unreadable_response(client: Client, proxy: FaultProxy) -> None:
    proxy.rule("GET", "/jobs", hangs_up(after=False))
    assert problems(collect(client, PLACES)) == {"response unreadable"}


def test_an_id_that_cannot_be_sent(client: Client, proxy: FaultProxy) -> None:
    """The service answers: its other listings are read, and the id is in no URL."""

    def rename(answer: Any) -> None:
        for entry in answer["sessions"]:
            entry["id"] = "../../v3/x;y"

    proxy.rule("GET", r"/batches\?", changed(rename))
    samples = collect(client, PLACES)
    assert {sample.what for sample in samples if sample.problem} == {"job"}
    assert problems(samples) == {"not sent"}
    assert not any("v3/x" in call.path for call in proxy.calls)


def test_a_write_is_refused(client: Client, proxy: FaultProxy) -> None:
    writes = [name for name in operations() if not load_table(name).call.startswith("GET ")]
    assert len(writes) > 10
    for operation in writes:
        with pytest.raises(ValueError, match="is not a read"):
            client.read(KINDS["FlinkJar"], operation, {}, identifier="1")
    assert proxy.calls == []
