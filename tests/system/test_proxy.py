"""The real command behind an HTTPS proxy: what may have been executed is looked up, and not sent again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployer.cloud.client import Client
from deployer.emulator import Emulator
from deployer.errors import NotSent, ResponseLost
from deployer.kinds import KINDS
from deployer.project.target import Retry
from testing.client import Time, connected
from testing.faults import CREATES, FaultProxy, hangs_up, listed
from testing.tunnel import ConnectProxy, behind_proxy
from testing.workspace import SPECS, TOKEN, Clock, Workspace, manifest


@pytest.fixture(params=[False, True], ids=["http proxy", "https proxy"])
def way(
    bare: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[FaultProxy, ConnectProxy]]:
    """The service and the proxy before it; the workspace's target is the service, and may try again."""
    with behind_proxy(monkeypatch, emulator.url, tls=request.param) as (service, proxy):
        bare.url = service.url
        bare.write_project(retry={"attempts": 2, "capacityTimeout": "0s"})
        yield service, proxy


@pytest.mark.parametrize("kind", ["SparkBatch", "MrsJob", "FlinkJar"])
def test_a_lost_create_is_found(
    bare: Workspace, emulator: Emulator, way: tuple[FaultProxy, ConnectProxy], kind: str
) -> None:
    service, proxy = way
    bare.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))
    service.rule("POST", CREATES[kind][0], hangs_up(after=True))
    applied = bare.apply()
    assert (applied.code, "response lost; found in the job list" in applied.out) == (0, True), applied
    assert service.count("POST", CREATES[kind][0]) == 1
    assert len(listed(emulator.url, kind)) == 1
    assert set(proxy.tunnels) == {service.url.removeprefix("https://")}


def test_a_create_that_did_not_arrive_is_unknown(
    bare: Workspace, emulator: Emulator, way: tuple[FaultProxy, ConnectProxy]
) -> None:
    service, _ = way
    bare.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    service.rule("POST", "", hangs_up(after=False))
    applied = bare.apply()
    assert (applied.code, service.count("POST")) == (7, 1), applied
    assert "outcome unknown: the request may have been executed" in applied.out
    assert listed(emulator.url, "SparkBatch") == []


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_start_is_not_sent_again(
    bare: Workspace, way: tuple[FaultProxy, ConnectProxy], *, after: bool
) -> None:
    service, _ = way
    bare.write("one.yaml", manifest("FlinkJar", "alpha", SPECS["FlinkJar"]))
    service.rule("POST", "jobs/run", hangs_up(after=after))
    applied = bare.apply()
    assert (applied.code, service.count("POST", "jobs/run")) == (0 if after else 7, 1), applied


def test_a_lost_cancel_is_looked_up(
    bare: Workspace, emulator: Emulator, clock: Clock, way: tuple[FaultProxy, ConnectProxy]
) -> None:
    service, _ = way
    bare.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert bare.apply().code == 0
    clock.forward(5)
    clock.tick = 2
    bare.write_project(polling={"interval": "0s", "consistencyDelay": "5s"})
    service.rule("DELETE", "batches", hangs_up(after=True))
    cancelled = bare.run("cancel", "--yes", "--all")
    assert (cancelled.code, service.count("DELETE")) == (0, 1), cancelled
    assert [job["state"] for job in listed(emulator.url, "SparkBatch")] == ["dead"]


# --- a proxy that opens no tunnel -------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "tunnels"), [(407, 1), (403, 1), (502, 4), (503, 4)])
def test_a_refused_tunnel_was_no_request(
    way: tuple[FaultProxy, ConnectProxy], status: int, tunnels: int
) -> None:
    service, proxy = way
    proxy.refuses = status
    with pytest.raises(NotSent, match=f"the configured proxy refused the connection: HTTP {status}"):
        create(connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN}))
    assert (len(proxy.tunnels), service.calls) == (tunnels, [])


def create(client: Client) -> str:
    return client.create(KINDS["SparkBatch"], "alpha", SPECS["SparkBatch"])


def test_the_proxy_alone_learns_its_password(
    way: tuple[FaultProxy, ConnectProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, proxy = way
    monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://ann:p%40ss@"))
    connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN}).entries(KINDS["SparkBatch"], {})
    assert "proxy-authorization: basic yw5uonbac3m=" in map(str.lower, proxy.headers)
    assert not any("token" in line.lower() for line in proxy.headers)
    assert not any(name.lower().startswith("proxy-") for call in service.calls for name in call.headers)


def test_a_proxy_that_is_gone(way: tuple[FaultProxy, ConnectProxy], monkeypatch: pytest.MonkeyPatch) -> None:
    service, _ = way
    with ConnectProxy() as gone:
        monkeypatch.setenv("https_proxy", gone.url)
    with pytest.raises(NotSent, match="the configured proxy is unreachable; gave up after 4 attempts"):
        create(connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN}))


def test_an_untrusted_certificate_behind_the_proxy(
    way: tuple[FaultProxy, ConnectProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = way
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(NotSent, match="the server certificate is not trusted"):
        create(connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN}))
    assert service.calls == []


@pytest.mark.parametrize("after", [True, False])
def test_the_library_sends_nothing_again_by_itself(
    way: tuple[FaultProxy, ConnectProxy], *, after: bool
) -> None:
    service, _ = way
    service.rule("GET", "", hangs_up(after=after))
    client = connected(service, Time(), {"HW_AUTH_TOKEN": TOKEN}, retry=Retry(attempts=1))
    with pytest.raises(ResponseLost):
        client.entries(KINDS["SparkBatch"], {})
    assert len(service.calls) == 1
