"""Links to the web console: only for regions of the vendor's own cloud, and never made of a hostile id."""

from __future__ import annotations

import pytest

from deployer.project.console import console_url
from deployer.project.target import Target

CHINA, ELSEWHERE = Target("a", region="cn-north-4"), Target("a", region="ap-southeast-3")


@pytest.mark.parametrize(
    ("target", "kind", "service", "url"),
    [
        (
            CHINA,
            "SparkBatch",
            "dli",
            "https://console.huaweicloud.com/dli/?region=cn-north-4#/main/jobs/spark/submitLog/7?type=RUN",
        ),
        (ELSEWHERE, "FlinkJar", "dli", "https://console-intl.huaweicloud.com/dli/?region=ap-southeast-3"),
        (CHINA, "MrsJob", "mrs", "https://console.huaweicloud.com/mrs/?region=cn-north-4#/mrs/clusterList"),
        (Target("a", region="eu-de"), "FlinkJar", "dli", ""),
        (Target("a", region="private-1"), "FlinkJar", "dli", ""),
        (Target("a", emulator=True, region="cn-north-4"), "FlinkJar", "dli", ""),
        (
            Target("a", region="cn-north-4", endpoints={"dli": "https://dli.example.com"}),
            "FlinkJar",
            "dli",
            "",
        ),
    ],
)
def test_the_page_of_a_job(target: Target, kind: str, service: str, url: str) -> None:
    assert console_url(target, kind, service, "7") == url


def test_an_id_cannot_lead_elsewhere() -> None:
    assert "submitLog/%2F%3Fx%23%40?type" in console_url(CHINA, "SparkBatch", "dli", "/?x#@")
