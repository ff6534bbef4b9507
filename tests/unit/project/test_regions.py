"""Regions that no service is known to be in are a warning at their line, and never more."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.model import Location
from deployer.project.regions import KNOWN, unknown_region
from testing.workspace import SPECS, Workspace, findings, manifest

OWN = {"dli": "https://dli.example.com", "mrs": "https://mrs.example.com"}
GUESSED = "requests go to https://{}.{}.myhuaweicloud.com, unless 'endpoints' has others"
TYPO = f"unknown region 'cn-noth-4': {GUESSED.format('dli', 'cn-noth-4')}; did you mean 'cn-north-4'?"


def validated(bare: Workspace, kind: str | None, **target: Any) -> tuple[int, list[str]]:
    """The exit code and the findings for a project with one target and a job of `kind`."""
    bare.project, bare.targets = {"defaultTarget": "prod"}, {"prod": target}
    bare.write_project()
    if kind:
        bare.write("job.yaml", manifest(kind, "job", SPECS[kind]))
    ran = bare.run("validate")
    return ran.code, [found.partition("warning: ")[2] for found in findings(ran.err)]


@pytest.mark.parametrize(
    ("kind", "region", "warnings"),
    [
        ("SparkBatch", "cn-north-4", []),
        ("SparkBatch", "eu-de", []),
        ("SparkBatch", "cn-noth-4", [TYPO]),
        (None, "cn-noth-4", [TYPO]),
        ("MrsJob", "zz", [f"unknown region 'zz': {GUESSED.format('mrs', 'zz')}"]),
        ("MrsJob", "cn-south-4", []),
        (
            "FlinkJar",
            "cn-south-4",
            [
                f"region 'cn-south-4' is not known to have DLI: {GUESSED.format('dli', 'cn-south-4')}; "
                "did you mean 'cn-south-1'?"
            ],
        ),
    ],
)
def test_a_region_is_that_of_the_services_in_use(
    bare: Workspace, kind: str | None, region: str, warnings: list[str]
) -> None:
    assert validated(bare, kind, region=region) == (0, warnings)


@pytest.mark.parametrize(
    "target",
    [
        {"region": "cn-noth-4", "endpoints": OWN},
        {"region": "cn-noth-4", "endpoints": {"dli": OWN["dli"]}},
        {"region": "cn-noth-4", "emulator": True},
        {"endpoints": OWN},
    ],
    ids=str,
)
def test_a_private_cloud_has_endpoints_and_any_region(bare: Workspace, target: dict[str, Any]) -> None:
    assert validated(bare, "SparkBatch", **target) == (0, [])


def test_the_warning_is_at_the_region_of_its_target(bare: Workspace) -> None:
    bare.write(
        "deployer.yaml",
        "apiVersion: deployer/v1\nkind: Project\nmetadata: {name: shop}\ntargets:\n  local: {emulator: true}\n"
        "  prod:\n    region: cn-noth-4\n  test: {region: eu-wst-0}\n",
    )
    bare.write("job.yaml", manifest("SparkBatch", "job", SPECS["SparkBatch"]))
    ran = bare.run("validate", "--all-targets", "--strict")
    starts = [found.partition(" region")[0] for found in findings(ran.err)]
    assert (ran.code, starts) == (
        4,
        ["deployer.yaml:7:13: warning: unknown", "deployer.yaml:8:18: warning: unknown"],
    )


def test_a_suggestion_has_every_service_that_is_missing() -> None:
    of_mrs_only = sorted(KNOWN["mrs"] - KNOWN["dli"])[0]
    problem = unknown_region(f"{of_mrs_only}9", ["dli", "mrs"], Location("deployer.yaml"))
    assert problem is not None
    suggested = problem.message.partition("did you mean '")[2].rstrip("'?")
    assert suggested in KNOWN["dli"] & KNOWN["mrs"]
