"""Links to the web console: only for regions of the vendor's own cloud, and never made of a hostile id."""

from __future__ import annotations

import pytest

from deployer.model import Identity, LiveJob, Phase
from deployer.project.console import console_url, service_urls
from deployer.project.target import Target


def live(kind: str, job_id: str) -> LiveJob:
    return LiveJob(job_id, Identity(kind, "q", "a"), "running", Phase.ACTIVE, 0, None)


CHINA, ELSEWHERE = Target("a", region="cn-north-4"), Target("a", region="ap-southeast-3")


@pytest.mark.parametrize(
    ("target", "kind", "url"),
    [
        (
            CHINA,
            "SparkBatch",
            "https://console.huaweicloud.com/dli/?region=cn-north-4#/main/jobs/spark/submitLog/7?type=RUN",
        ),
        (ELSEWHERE, "FlinkJar", "https://console-intl.huaweicloud.com/dli/?region=ap-southeast-3"),
        (CHINA, "MrsJob", "https://console.huaweicloud.com/mrs/?region=cn-north-4#/mrs/clusterList"),
        (Target("a", region="eu-de"), "FlinkJar", ""),
        (Target("a", region="private-1"), "FlinkJar", ""),
        (Target("a", emulator=True, region="cn-north-4"), "FlinkJar", ""),
        (
            Target("a", region="cn-north-4", endpoints={"dli": "https://dli.example.com"}),
            "FlinkJar",
            "",
        ),
    ],
)
def test_the_page_of_a_job(target: Target, kind: str, url: str) -> None:
    assert console_url(target, live(kind, "7")) == url


def test_the_pages_of_services() -> None:
    line = service_urls(CHINA, ["FlinkJar", "MrsJob", "SparkBatch"])
    assert line == (
        "Console: https://console.huaweicloud.com/dli/?region=cn-north-4, "
        "https://console.huaweicloud.com/mrs/?region=cn-north-4"
    )
    assert service_urls(Target("a", region="eu-de"), ["FlinkJar"]) == ""


def test_an_id_cannot_lead_elsewhere() -> None:
    assert "submitLog/%2F%3Fx%23%40?type" in console_url(CHINA, live("SparkBatch", "/?x#@"))
