"""Runs plan, apply and cancel, and looks at what their heading says about the place and the limits."""

from __future__ import annotations

import re

import click
import pytest
import yaml

from deployer.model import Plan, Scope
from deployer.report import markdown, text
from testing.workspace import SPECS, Workspace, manifest


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    workspace.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    return workspace


def name_of(workspace: Workspace) -> str:
    name: str = yaml.safe_load((workspace.folder / "deployer.yaml").read_text())["metadata"]["name"]
    return name


def first_line(text: str) -> str:
    return text.splitlines()[0]


def test_the_place_of_each_verb(project: Workspace) -> None:
    project.write_project(protected=True, limits={"changes": 50, "delete": 5})
    expected = (
        f"{name_of(project)} -> test ({project.url}, project test, protected, limits: changes 50, delete 5)"
    )
    project_id = project.plan()["scope"]["project_id"]
    expected = expected.replace("project test", f"project {project_id}")
    assert first_line(project.run("plan").out) == expected
    assert first_line(project.run("apply", "--confirm", "test").out) == expected
    assert first_line(project.run("cancel", "--all", "--confirm", "test").out) == expected
    comment = project.run("plan", "--format", "markdown").out.splitlines()
    name, place = expected.split(" -> test ")
    assert comment[:2] == [f"<!-- deployer: {name} test -->", f"### deployer plan: `{name}` → `test`"]
    assert comment[3].endswith(f" · `{place.strip('()')}`")


def test_the_scope_in_json(project: Workspace) -> None:
    project.write_project(protected=True, limits={"changes": 50})
    scope = project.plan()["scope"]
    assert scope == {
        "project": name_of(project),
        "region": "",
        "endpoints": dict.fromkeys(scope["endpoints"], project.url),
        "project_id": scope["project_id"],
        "emulator": False,
        "protected": True,
        "limits": {"changes": {"maximum": 50, "origin": "deployer.yaml"}},
        "marks": True,
    }
    assert scope["endpoints"]
    assert scope["project_id"]


def test_the_built_in_emulator(bare: Workspace) -> None:
    bare.targets = {"local": {"emulator": True, "limits": {"delete": 0}}}
    bare.write_project()
    bare.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    ran = bare.run("plan", "-t", "local")
    assert first_line(ran.out) == f"{name_of(bare)} -> local (built-in emulator, limits: delete 0)"


def test_limits_from_outside_win(project: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_project(limits={"changes": 50, "delete": 5})
    monkeypatch.setenv("DEPLOYER_LIMITS", "changes=0, replace=1")
    ran = project.run("plan")
    heading = "limits: changes 0 by DEPLOYER_LIMITS, delete 5, replace 1 by DEPLOYER_LIMITS)"
    assert first_line(ran.out).endswith(heading)
    assert "note: apply would fail: limits.changes is 0, but the plan has 1 in all" in ran.err
    digest = project.plan()["digest"]
    ran = project.run("apply", "--yes")
    assert ran.code == 5
    assert first_line(ran.out).endswith(heading)
    assert "or raise the limits in DEPLOYER_LIMITS" in ran.err
    ran = project.run("apply", "--yes", "--limit", "changes=1", "--expect", digest)
    assert ran.code == 0, ran.err
    assert "limits: changes 1 by --limit, delete 5, replace 1 by DEPLOYER_LIMITS)" in first_line(ran.out)
    assert project.run("cancel", "--yes", "--all").code == 5


BY_OPTION = "Select fewer jobs with --select, or raise the limits with --limit."
IN_PLACES = "Select fewer jobs with --select, override with --limit, or raise the limits in {}."


@pytest.mark.parametrize(
    ("project_limits", "environment", "options", "advice"),
    [
        ({"changes": 0}, "", [], IN_PLACES.format("deployer.yaml")),
        ({"changes": 0}, "delete=5", [], IN_PLACES.format("deployer.yaml")),
        ({"changes": 0}, "changes=0", [], IN_PLACES.format("DEPLOYER_LIMITS")),
        ({"replace": 5}, "changes=0", ["delete=5"], IN_PLACES.format("DEPLOYER_LIMITS")),
        ({"changes": 9}, "changes=8,delete=1", ["changes=0"], BY_OPTION),
    ],
)
def test_the_advice_names_where_the_exceeded_limit_was_set(
    project: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    project_limits: dict[str, int],
    environment: str,
    options: list[str],
    advice: str,
) -> None:
    project.write_project(limits=project_limits)
    monkeypatch.setenv("DEPLOYER_LIMITS", environment)
    ran = project.run("apply", "--yes", *(word for limit in options for word in ("--limit", limit)))
    assert ran.code == 5
    assert ran.err.splitlines()[-1] == f"No changes were applied. {advice}"


def test_the_advice_names_each_place(project: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.apply().code == 0
    project.write_project(limits={"delete": 0})
    monkeypatch.setenv("DEPLOYER_LIMITS", "changes=0,replace=9")
    ran = project.run("cancel", "--yes", "--all")
    assert ran.code == 5
    assert ran.err.splitlines()[-1] == "No jobs were cancelled. " + IN_PLACES.format(
        "deployer.yaml and DEPLOYER_LIMITS"
    )


@pytest.mark.parametrize(
    "value", ["changes", "changes=-1", "changes=x", "nosuch=1", "changes=1;delete=0", "delete=\u0663"]
)
def test_wrong_limits_in_the_environment(
    project: Workspace, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DEPLOYER_LIMITS", value)
    for command in (["plan"], ["apply", "--yes"], ["cancel", "--yes", "--all"]):
        ran = project.run(*command)
        assert ran.code == 3
        assert re.search("error: DEPLOYER_LIMITS .*: expected NAME=NUMBER", ran.err)


def test_a_hostile_place_stays_on_its_line() -> None:
    scope = Scope("orders", "test", region="x\n::error::y ``` ##[z\u202e\u001b[31m", project_id="p")
    plan = Plan("test", (), scope=scope)
    expected = r"orders -> test (x\n::error::y ``` ##\u005bz\u202e\u001b[31m, project p)"
    assert click.unstyle(text.plan(plan)).splitlines()[:2] == [expected, ""]
    place = expected.removeprefix("orders -> test (").removesuffix(")")
    assert markdown.plan(plan).splitlines()[3] == f"````{place}````"
    assert text.where(plan) == expected.removeprefix("orders -> ")
