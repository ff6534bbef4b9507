"""A credential that a service refuses is not sent again in the same run, and the reader sees it once."""

from __future__ import annotations

import pytest

from testing.faults import GATEWAY, FaultProxy, listed, says
from testing.workspace import SPECS, Workspace, manifest

REFUSED = says(401, GATEWAY)


@pytest.fixture
def many(workspace: Workspace, proxy: FaultProxy) -> Workspace:
    """Twenty jobs of each kind."""
    for kind, spec in SPECS.items():
        jobs = [manifest(kind, f"{kind}-{number}", spec) for number in range(20)]
        workspace.write(f"{kind}.yaml", jobs)
    assert proxy.calls == []
    return workspace


@pytest.mark.parametrize("verb", [["plan"], ["apply", "--yes"], ["status"]])
def test_a_wrong_token_is_sent_once(many: Workspace, proxy: FaultProxy, verb: list[str]) -> None:
    proxy.rule("GET", "", REFUSED)
    ran = many.run(*verb)
    assert (ran.code, len(proxy.calls)) == (1, 1)
    assert (ran.out + ran.err).count("APIGW.0301") == 1
    assert "60 jobs (MrsJob MrsJob-0 in c-1, " in ran.out + ran.err
    assert "not sent: the token in HW_AUTH_TOKEN was rejected in an earlier request" in ran.out + ran.err


def test_what_follows_a_refusal_is_not_started(many: Workspace, proxy: FaultProxy) -> None:
    proxy.rule("POST", "", REFUSED, nth=4)
    applied = many.apply("--parallelism", "1")
    assert applied.code == 8
    assert applied.out.splitlines()[-1] == (
        "Apply incomplete: 0 applied, 1 failed, 1 timed out, 78 not started."
    )
    assert applied.out.count("APIGW.0301") == 1
    assert proxy.calls[-1].method == "POST"
    assert sum(len(listed(proxy.upstream, kind)) for kind in SPECS) == 1


def test_changes_that_run_at_the_same_time_send_nothing_more(many: Workspace, proxy: FaultProxy) -> None:
    proxy.rule("POST", "", REFUSED)
    applied = many.apply("--parallelism", "4")
    assert applied.code == 1
    assert applied.out.splitlines()[-1].startswith("Apply incomplete: 0 applied, ")
    assert proxy.count("POST") <= 4
    assert " not started." in applied.out
    assert sum(len(listed(proxy.upstream, kind)) for kind in SPECS) == 0


def test_a_token_refused_after_a_create_is_no_success(workspace: Workspace, proxy: FaultProxy) -> None:
    """Whether another runner has created the same job at the same time cannot be told any more."""
    workspace.write("a.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    proxy.rule("GET", "/batches/", REFUSED)
    ran = workspace.apply()
    assert (ran.code, proxy.count("POST")) == (8, 1), ran
    assert "could not be found in the job list: " in ran.out
