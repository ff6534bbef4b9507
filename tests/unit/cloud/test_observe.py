"""Listing live jobs: which requests are sent, and how their responses are read."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deployer.cloud.auth import AuthContext, TokenAuth
from deployer.cloud.client import Client
from deployer.cloud.observe import list_candidates, observe
from deployer.cloud.transport import Transport
from deployer.emulator import Emulator
from deployer.errors import ResponseTimeout
from deployer.kinds.kind import Kind
from deployer.model import Identity, Job, Source
from deployer.project.target import UNLIMITED, Retry, Target
from testing.faults import Answer, Call, Fault, FaultProxy, changed, fill, hangs_up, listed, says
from testing.workspace import SPECS, TOKEN, Workspace, manifest


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    endpoints = dict.fromkeys(("dli", "mrs"), proxy.url)
    with Transport(rate=UNLIMITED, retry=Retry(attempts=1)) as transport:
        yield Client(Target("test", endpoints=endpoints), AuthContext(TokenAuth(TOKEN), "pid"), transport)


def asked(proxy: FaultProxy, *names: str) -> list[dict[str, str]]:
    """What was asked of listings, as far as these parameters go, or those of a kind with a long one."""
    path, names = (PATHS[names[0]], LONG[names[0]]) if names[0] in LONG else ("", names)
    calls = [call for call in proxy.calls if call.method == "GET" and path in call.path]
    queries = [parse_qs(urlsplit(call.path).query) for call in calls]
    return [{name: query[name][0] for name in names if name in query} for query in queries]


# --- a long listing ---------------------------------------------------------------------------------------

LONG = {"SparkBatch": ("job_name", "state"), "MrsJob": ("job_name", "job_state")}
PATHS = {"SparkBatch": "/batches", "MrsJob": "/job-executions"}
ACTIVE = {
    "SparkBatch": ["recovering", "running", "starting"],
    "MrsJob": ["ACCEPTED", "NEW", "NEW_SAVING", "RUNNING", "SUBMITTED"],
}


def five_on_a_page(call: Call) -> Answer:
    return replace(call, path=re.sub(r"\b(size|limit)=\w+", r"\1=5", call.path)).forward()


def without(*names: str) -> Fault:
    """A service that does not know these parameters."""

    def fault(call: Call) -> Answer:
        pattern = rf"&?\b({'|'.join(names)})=\w+"
        return five_on_a_page(replace(call, path=re.sub(pattern, "", call.path).replace("?&", "?")))

    return fault


@pytest.fixture
def old_and_new(emulator: Emulator, clock: Any) -> list[str]:
    """Kinds whose listings hold a job of old, 58 others that ended since, and two that are active."""
    for kind in LONG:
        fill(emulator.url, kind, ["alpha", "alpha-2", *(f"other-{number}" for number in range(58))])
    clock.forward(3600)
    for kind in LONG:
        fill(emulator.url, kind, ["active-1", *(["active"] * 6)])
    return list(LONG)


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.usefixtures("old_and_new")
def test_a_long_listing_is_asked_by_name(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    workspace.write("jobs.yaml", [manifest(kind, name, SPECS[kind]) for name in ("alpha", "beta")])
    proxy.rule("GET", "", five_on_a_page)
    planned = workspace.plan()
    assert (planned["summary"]["unchanged"], planned["errors"]) == (1, [])
    [created] = planned["changes"]
    assert (created["name"], created["action"]) == ("beta", "create")
    assert created["reason"].startswith("not deployed: not in the service's list (67 jobs")
    queries = asked(proxy, kind)
    by_name, by_state = LONG[kind]
    assert sorted({query[by_name] for query in queries if by_name in query}) == ["alpha", "beta"]
    assert sorted({query[by_state] for query in queries if by_state in query}) == ACTIVE[kind]
    # Of the whole listing only the first page; all of it would be 14 calls.
    assert sum(not query for query in queries) == 1
    assert len(queries) <= 3 + len(ACTIVE[kind]) + 2


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.usefixtures("old_and_new")
def test_what_is_active_is_seen_in_a_listing_that_is_asked_by_name(
    workspace: Workspace, proxy: FaultProxy, kind: str
) -> None:
    """Seven are active, and a page holds five of them."""
    workspace.write("jobs.yaml", [manifest(kind, "active-1", SPECS[kind])])
    proxy.rule("GET", "", five_on_a_page)
    assert workspace.plan()["summary"]["unchanged"] == 1
    assert {} in asked(proxy, kind)


def test_a_job_elsewhere_is_seen_in_a_listing_that_is_asked_by_name(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator, old_and_new: list[str]
) -> None:
    assert old_and_new
    workspace.write("jobs.yaml", manifest("SparkBatch", "active-1", {**SPECS["SparkBatch"], "queue": "new"}))
    proxy.rule("GET", "", five_on_a_page)
    planned = workspace.plan()
    assert planned["summary"]["create"] == 1
    assert "is active elsewhere" in planned["warnings"][0]["message"]


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("how", ["ignored", "refused"])
@pytest.mark.usefixtures("old_and_new")
def test_a_service_without_these_filters_is_read_to_the_end(
    workspace: Workspace, proxy: FaultProxy, kind: str, how: str
) -> None:
    workspace.write("jobs.yaml", [manifest(kind, name, SPECS[kind]) for name in ("alpha", "beta")])
    if how == "refused":
        proxy.rule("GET", "job_name=", says(400, {"error_code": "DLI.0001", "error_msg": "job_name"}))
    proxy.rule("GET", "", without(*LONG[kind]))
    planned = workspace.plan()
    assert (planned["summary"]["create"], planned["summary"]["unchanged"]) == (1, 1)
    assert "not in the service's list (67 jobs" in planned["changes"][0]["reason"]
    # One to try the filter, and all pages concurrently: they overlap by one job, or the first one is read again.
    assert proxy.count("GET", PATHS[kind]) == 1 + {"SparkBatch": 17, "MrsJob": 14 + 1}[kind]


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.usefixtures("old_and_new")
def test_a_listing_that_fails_while_it_is_asked_by_name_is_an_error(
    workspace: Workspace, proxy: FaultProxy, kind: str
) -> None:
    workspace.write("jobs.yaml", [manifest(kind, name, SPECS[kind]) for name in ("alpha", "beta")])
    proxy.rule("GET", "job_name=beta", hangs_up(after=True))
    proxy.rule("GET", "", five_on_a_page)
    planned = workspace.plan()
    assert ([note["name"] for note in planned["errors"]], planned["changes"]) == (["alpha", "beta"], [])


@pytest.mark.parametrize("names", [[f"job-{number}" for number in range(12)], ["a name", "alpha"]])
@pytest.mark.usefixtures("old_and_new")
def test_a_listing_is_read_whole_where_that_is_cheaper_or_surer(
    workspace: Workspace, proxy: FaultProxy, names: list[str]
) -> None:
    workspace.write("jobs.yaml", [manifest("SparkBatch", name, SPECS["SparkBatch"]) for name in names])
    proxy.rule("GET", "", five_on_a_page)
    assert workspace.plan()["summary"]["create"] == len(names) - names.count("alpha")
    # Concurrently; each page begins with the last job of the one before.
    assert asked(proxy, "SparkBatch") == [{}] * 17


# --- looking for one job ----------------------------------------------------------------------------------


def job(kind: str, name: str) -> Job:
    place = {"FlinkJar": "", "MrsJob": "c-1"}.get(kind, "q")
    return Job(Identity(kind, place, name), Source("a.yaml", 1), SPECS[kind])


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("SparkBatch", {"job_name": "alpha"}),
        ("SparkSession", {"queue": "q"}),
        ("FlinkJar", {"name": "alpha"}),
        ("MrsJob", {"job_name": "alpha"}),
    ],
)
def test_one_job_is_looked_for_by_its_name(
    proxy: FaultProxy, client: Client, emulator: Emulator, kind: str, by: dict[str, str]
) -> None:
    """Some filters are fuzzy, and find alpha-2 as well."""
    fill(emulator.url, kind, ["alpha", "alpha-2", "beta"])
    [found] = list_candidates(client, job(kind, "alpha"))
    assert found.identity == job(kind, "alpha").identity
    of_it, *tags = asked(proxy, *by)
    assert of_it == by
    assert len(tags) == (kind == "FlinkJar")
    assert "tags" not in found.unobserved


@pytest.mark.parametrize("kind", SPECS)
def test_one_job_is_found_where_the_filter_is_refused(
    proxy: FaultProxy, client: Client, emulator: Emulator, kind: str
) -> None:
    fill(emulator.url, kind, ["alpha", "beta"])
    proxy.rule("GET", r"[?&](job_name|name|queue)=", says(400, {"error_code": "DLI.0001"}))
    assert len(list_candidates(client, job(kind, "alpha"))) == 1


def test_a_batch_is_looked_for_in_all_queues(client: Client, emulator: Emulator) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    moved = replace(job("SparkBatch", "alpha"), identity=Identity("SparkBatch", "elsewhere", "alpha"))
    assert [live.identity.place for live in list_candidates(client, moved)] == ["q"]


def test_an_unnamed_session_may_be_the_one(proxy: FaultProxy, client: Client, emulator: Emulator) -> None:
    fill(emulator.url, "SparkSession", ["alpha", "beta"])
    proxy.rule("GET", "", changed(lambda body: body["sessions"][0].update(name=None)))
    found = list_candidates(client, job("SparkSession", "alpha"))
    assert sorted(live.identity.name for live in found) == ["", "alpha"]


# --- what the answers look like ---------------------------------------------------------------------------


def test_a_map_of_arrays_is_a_listing(workspace: Workspace, proxy: FaultProxy, emulator: Emulator) -> None:
    """As the MRS reference of 2021 prints it, with its numbers as text."""
    fill(emulator.url, "MrsJob", ["alpha"])
    workspace.write("one.yaml", manifest("MrsJob", "alpha", SPECS["MrsJob"]))

    def of_2021(answer: dict[str, Any]) -> None:
        entry = answer["job_list"][0]
        entry |= {key: str(value) for key, value in entry.items() if isinstance(value, int)}
        answer |= {"job_list": {"JobQueryBean": [entry]}, "total_record": "1"}

    proxy.rule("GET", "", changed(of_2021, status=202))
    assert workspace.plan()["summary"]["unchanged"] == 1


@pytest.mark.parametrize("kind", SPECS)
def test_null_is_an_empty_listing(workspace: Workspace, proxy: FaultProxy, kind: str) -> None:
    workspace.write("one.yaml", manifest(kind, "alpha", SPECS[kind]))

    def null(answer: dict[str, Any]) -> None:
        holder, field = answer, "sessions"
        if "job_list" in answer:
            holder, field = (answer["job_list"], "jobs") if kind == "FlinkJar" else (answer, "job_list")
        holder[field] = None

    proxy.rule("GET", "", changed(null))
    assert workspace.plan()["summary"]["create"] == 1


def test_a_job_of_another_type_is_another_job(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    fill(emulator.url, "FlinkJar", ["alpha"])
    workspace.write("one.yaml", manifest("FlinkJar", "alpha", SPECS["FlinkJar"]))
    sql = changed(lambda body: body["job_list"]["jobs"][0].update(job_type="flink_sql_job"))
    proxy.rule("GET", "streaming/jobs", sql)
    assert workspace.plan()["summary"]["create"] == 1
    untold = changed(lambda body: body["job_list"]["jobs"][0].pop("job_type") and None)
    proxy.clear()
    proxy.rule("GET", "streaming/jobs", untold)
    assert workspace.plan()["summary"]["create"] == 0


# --- tags -------------------------------------------------------------------------------------------------

TAGS = [{"key": "team", "value": "clicks"}, {"key": "stage", "value": ""}]


def tagged(name: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    spec = {**SPECS["FlinkJar"], **({"tags": tags} if tags else {})}
    return manifest("FlinkJar", name, spec, lifecycle={"state": "stopped"})


@pytest.fixture
def stream(workspace: Workspace, proxy: FaultProxy, emulator: Emulator) -> Workspace:
    """A Flink job with tags, beside ten that no manifest has."""
    fill(emulator.url, "FlinkJar", (f"other-{number}" for number in range(10)))
    workspace.write("one.yaml", tagged("alpha", TAGS))
    assert workspace.apply().code == 0
    proxy.clear()
    return workspace


def shown(workspace: Workspace) -> dict[str, tuple[Any, Any]]:
    fields = [field for change in workspace.plan()["changes"] for field in change["fields"]]
    return {field["path"]: (field["live"], field["desired"]) for field in fields}


def test_tags_are_read_for_the_jobs_that_are_meant_alone(
    stream: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    assert shown(stream) == {}
    [identifier] = [entry["job_id"] for entry in listed(emulator.url, "FlinkJar") if entry["name"] == "alpha"]
    calls = [call.path for call in proxy.calls if call.path.endswith("/tags")]
    assert calls == [f"/v3/pid/dli_flink_job/{identifier}/tags"]


def test_the_order_of_tags_means_nothing(stream: Workspace) -> None:
    stream.write("one.yaml", tagged("alpha", TAGS[::-1]))
    assert shown(stream) == {}


@pytest.mark.parametrize(
    ("tags", "paths"),
    [
        ([], ["/tags/0", "/tags/1"]),
        (TAGS[1:], ["/tags/1"]),
        ([{**TAGS[0], "value": "other"}, TAGS[1]], ["/tags/1/value"]),
        ([*TAGS, {"key": "x", "value": "y"}], ["/tags/2"]),
    ],
)
def test_tags_that_differ_are_shown(stream: Workspace, tags: list[dict[str, str]], paths: list[str]) -> None:
    stream.write("one.yaml", tagged("alpha", tags))
    assert list(shown(stream)) == paths


TAG_FAULTS: dict[str, Fault] = {
    "refused": says(404, {"error_code": "APIGW.0101", "error_msg": "no such API"}),
    "lost": hangs_up(after=True),
    "no list": says(200, {"tags": {"team": "clicks"}}),
    "no keys": says(200, {"tags": [{"value": "clicks"}]}),
    "not all": changed(lambda body: body.update(count=9)),
    "text": says(200, '"tags"'),
}


@pytest.mark.parametrize("fault", TAG_FAULTS)
def test_tags_that_cannot_be_read_are_not_compared(stream: Workspace, proxy: FaultProxy, fault: str) -> None:
    proxy.rule("GET", "/tags", TAG_FAULTS[fault])
    stream.write("one.yaml", tagged("alpha", []))
    ran = stream.run("plan", "--detailed-exitcode")
    assert ran.code == 0
    assert "note: FlinkJar alpha: cannot read tags; tags are not compared: GET " in ran.err
    assert ran.err.count("cannot read") == 1


@pytest.mark.parametrize("answer", [{"tags": None, "count": 0}, {"tags": []}])
def test_a_job_may_have_no_tags(stream: Workspace, proxy: FaultProxy, answer: dict[str, Any]) -> None:
    proxy.rule("GET", "/tags", says(200, answer))
    assert list(shown(stream)) == ["/tags/0", "/tags/1"]
    stream.write("one.yaml", tagged("alpha", []))
    assert shown(stream) == {}


@pytest.mark.parametrize(
    ("tags", "calls"), [(TAGS, 0), (TAGS[::-1], 0), ([], 0), ("team=clicks", 1), ([7], 1), (None, 1)]
)
def test_tags_that_the_entry_shows_are_not_asked_for(
    stream: Workspace, proxy: FaultProxy, tags: Any, calls: int
) -> None:
    add = changed(lambda body: body["job_list"]["jobs"][0].update(tags=tags))
    proxy.rule("GET", "streaming/jobs", add)
    assert bool(shown(stream)) is (tags == [])
    assert proxy.count("GET", "/tags") == calls
    assert "ignores" not in stream.run("plan").err


def test_the_tags_of_many_jobs_are_read_at_once(workspace: Workspace, proxy: FaultProxy) -> None:
    """Each call waits until another one is there as well."""
    names = [f"job-{number}" for number in range(4)]
    workspace.write("jobs.yaml", [tagged(name, TAGS) for name in names])
    assert workspace.apply().code == 0
    both = threading.Barrier(2, timeout=5)

    def waits(call: Call) -> Answer:
        both.wait()
        return call.forward()

    proxy.rule("GET", "/tags", waits)
    workspace.write("jobs.yaml", [tagged(name, TAGS[1:]) for name in names])
    planned = workspace.plan()
    assert [[field["path"] for field in change["fields"]] for change in planned["changes"]] == [
        ["/tags/1"]
    ] * 4


class _SilentTags(Client):
    """Waiting for an answer that never comes would take a minute."""

    waits = 0

    def tags(self, kind: Kind, identifier: str) -> list[dict[str, str]]:
        self.waits += 1
        raise ResponseTimeout(f"no answer for {kind.name} {identifier}")


def test_a_service_that_is_silent_is_not_asked_for_the_tags_of_every_job(
    proxy: FaultProxy, emulator: Emulator
) -> None:
    names = [f"job-{number}" for number in range(40)]
    fill(emulator.url, "FlinkJar", names)
    with Transport(rate=UNLIMITED) as transport:
        target = Target("test", endpoints={"dli": proxy.url})
        client = _SilentTags(target, AuthContext(TokenAuth(TOKEN), "pid"), transport)
        live = observe(client, [job("FlinkJar", name) for name in names])
    assert (len(live.jobs), len(live.notes)) == (40, 40)
    assert client.waits < 20


def test_a_job_of_ours_without_a_manifest_is_known_by_its_tag(
    workspace: Workspace, proxy: FaultProxy, emulator: Emulator
) -> None:
    fill(emulator.url, "FlinkJar", (f"other-{number}" for number in range(30)))
    workspace.write("jobs.yaml", [tagged("alpha", TAGS), tagged("beta", [])])
    assert workspace.apply().code == 0
    workspace.write("jobs.yaml", tagged("alpha", TAGS))
    proxy.clear()
    output = workspace.run("plan").out
    assert ["no longer in a manifest" in output, "beta" in output, "other-" in output] == [True, True, False]
    assert proxy.count("GET", "/tags") == 2
    # A service that does not know the filter names all jobs as ours, and is not believed: each is asked for its tags.
    proxy.clear()
    proxy.rule("GET", "tags=", lambda call: replace(call, path=call.path.replace("tags=", "x=")).forward())
    output = workspace.run("plan").out
    assert ["no longer in a manifest" in output, "beta" in output, "other-" in output] == [True, True, False]
    assert proxy.count("GET", "/tags") == 2 + 30
    # Too many to ask for each.
    fill(emulator.url, "FlinkJar", (f"more-{number}" for number in range(200)))
    ran = workspace.run("plan")
    assert (
        "note: orphaned FlinkJar jobs are not known: the owners of other live jobs were not read" in ran.err
    )
    assert "no longer in a manifest" not in ran.out
    workspace.write("jobs.yaml", "# no FlinkJar\n")
    ran = workspace.run("plan")
    assert "note: orphaned FlinkJar jobs are not known" in ran.err
    assert "FlinkJar beta: " in ran.out  # the journal has its id


def test_all_jobs_of_the_listing_may_be_ours(workspace: Workspace) -> None:
    """As many as for a filter that is ignored."""
    workspace.write("jobs.yaml", [tagged(f"job-{number}", []) for number in range(25)])
    assert workspace.apply().code == 0
    workspace.write("jobs.yaml", [tagged(f"job-{number}", []) for number in range(23)])
    assert {orphan["name"] for orphan in workspace.plan()["orphans"]} == {"job-23", "job-24"}
    workspace.write("jobs.yaml", "# none\n")
    assert len(workspace.plan()["orphans"]) == 25
