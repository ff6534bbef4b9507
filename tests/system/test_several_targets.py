"""Several targets, and several projects, in one command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.cli.several import WORST_FIRST, worst
from deployer.emulator import Emulator
from deployer.errors import Exit
from deployer.report.sections import MAX_COMMENT, Section, markdown
from testing.faults import FaultProxy, says
from testing.workspace import SPECS, TOKEN, Workspace, manifest

OTHER_TOKEN = "another-token-for-tests"  # noqa: S105


def job(name: str, **spec: Any) -> dict[str, Any]:
    return manifest("SparkBatch", name, {**SPECS["SparkBatch"], **spec})


@dataclass(frozen=True)
class Two:
    """A project with the targets `test` and `prod`, and what lies between them and their services."""

    workspace: Workspace
    test: FaultProxy
    prod: FaultProxy


@pytest.fixture
def two(
    workspace: Workspace, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Two]:
    monkeypatch.setenv("DEPLOYER_AUTH_VARIABLES", "HW_AUTH_TOKEN_PROD")
    monkeypatch.setenv("HW_AUTH_TOKEN_PROD", OTHER_TOKEN)
    with (
        Emulator(tmp_path / "prod.db", token=OTHER_TOKEN) as other,
        FaultProxy(emulator.url) as test,
        FaultProxy(other.url) as prod,
    ):
        workspace.url = test.url
        workspace.targets = {
            "prod": {
                "endpoints": dict.fromkeys(("dli", "mrs", "iam"), prod.url),
                "projectId": "other",
                "auth": {"method": "token", "variable": "HW_AUTH_TOKEN_PROD"},
                "retry": {"attempts": 1, "capacityTimeout": "0s"},
                "polling": {"interval": "0s", "consistencyDelay": "0s"},
            }
        }
        workspace.write_project()
        workspace.write("job.yaml", job("daily"))
        yield Two(workspace, test, prod)


def write_project(workspace: Workspace, folder: str, **more: Any) -> None:
    """Write another project below the workspace's folder, with the same targets."""
    project = yaml.safe_load((workspace.folder / "deployer.yaml").read_text())
    workspace.write(f"{folder}/deployer.yaml", {**project, "metadata": {"name": folder}, **more})


@pytest.mark.parametrize("options", [["-t", "test", "-t", "prod"], ["--all-targets"]])
def test_a_plan_of_each(two: Two, options: list[str]) -> None:
    assert two.workspace.apply("-t", "prod").code == 0
    ran = two.workspace.run("plan", *options)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines.index("== test") < lines.index("Plan for test: 1 to create.") < lines.index("== prod")
    assert "Plan for prod: no changes; 1 unchanged." in lines[lines.index("== prod") :]
    assert lines[-1] == "Exit codes: test 0, prod 0."


def test_the_order_is_that_of_the_options_and_each_is_read_once(two: Two) -> None:
    ran = two.workspace.run("plan", "-t", "prod", "-t", "test", "-t", "prod")
    assert [line for line in ran.out.splitlines() if line.startswith("==")] == ["== prod", "== test"]


def test_options_before_the_verb(two: Two) -> None:
    ran = two.workspace.run("-t", "prod", "-t", "test", "plan")
    assert ran.out.splitlines()[-1] == "Exit codes: prod 0, test 0."
    # Those after the verb replace them, as one always did.
    assert "Plan for test" in two.workspace.run("-t", "prod", "plan", "-t", "test").out


def test_as_json_each_is_the_document_that_it_is_by_itself(two: Two) -> None:
    alone = {name: two.workspace.plan("-t", name) for name in ("test", "prod")}
    both = two.workspace.plan("-t", "test", "-t", "prod")
    assert (both["format_version"], both["exit_code"]) == ("1.0", 0)
    assert both["results"] == [
        {"folder": None, "target": name, "exit_code": 0, "error": None, "plan": alone[name]} for name in alone
    ]


def test_one_target_in_all_targets_is_a_list_too(workspace: Workspace) -> None:
    workspace.write("job.yaml", job("daily"))
    [result] = workspace.plan("--all-targets")["results"]
    assert result["plan"] == workspace.plan()


@pytest.mark.parametrize("verb", [["list", "--unmanaged"], ["status"]])
def test_other_verbs(two: Two, verb: list[str]) -> None:
    ran = two.workspace.run(*verb, "--all-targets", "--format", "json")
    assert ran.code == 0, ran.err
    assert [result["target"] for result in ran.json["results"]] == ["test", "prod"]
    assert all(result[verb[0]]["jobs"] is not None for result in ran.json["results"])
    assert "== prod" in two.workspace.run(*verb, "--all-targets").out


def test_render(two: Two) -> None:
    two.workspace.write(
        "job.yaml", yaml.safe_dump(job("daily")).replace("queue: q", "queue: {{ target.name }}")
    )
    ran = two.workspace.run("render", "-t", "test", "-t", "prod")
    assert ran.out.startswith("# test\n--- # job.yaml:1\n")
    queues = [each["spec"]["queue"] for each in yaml.safe_load_all(ran.out)]
    assert queues == ["test", "prod"]


def test_validate_names_the_target_of_a_finding(two: Two) -> None:
    two.workspace.write(
        "job.yaml",
        yaml.safe_dump(job("daily")).replace("queue: q", "queue: {{ {'test': 'q'}[target.name] }}"),
    )
    ran = two.workspace.run("validate", "-t", "test", "-t", "prod")
    assert ran.code == 4
    assert "for target prod" in ran.err
    assert two.workspace.run("validate", "-t", "test").code == 0


# --- failures ---------------------------------------------------------------------------------------------


def test_a_failure_does_not_hide_the_others(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    ran = two.workspace.run("plan", "--all-targets", "--detailed-exitcode")
    assert ran.code == 1
    assert "error: test: " in ran.err
    assert "Plan for prod: 1 to create." in ran.out
    assert ran.out.splitlines()[-1] == "Exit codes: test 1, prod 2."
    results = json.loads(two.workspace.run("plan", "--all-targets", "--format", "json").out)["results"]
    assert [(each["exit_code"], each["plan"] is None) for each in results] == [(1, True), (0, False)]
    assert "HW_AUTH_TOKEN" in results[0]["error"]


def test_a_listing_that_cannot_be_read(two: Two) -> None:
    two.test.rule("GET", "batches", says(500, {"error_msg": "down"}))
    ran = two.workspace.run("plan", "-t", "test", "-t", "prod")
    assert ran.code == 1
    assert "1 failed to plan" in ran.out
    assert "Plan for prod: 1 to create." in ran.out


def test_the_worst_exit_code_counts() -> None:
    assert sorted(WORST_FIRST) == sorted(Exit)
    assert worst([Exit.DONE, Exit.CHANGES]) is Exit.CHANGES
    assert worst([Exit.CHANGES, Exit.ERROR, Exit.INVALID]) is Exit.ERROR
    assert worst([Exit.USAGE, Exit.INVALID, Exit.BLOCKED]) is Exit.INVALID
    assert worst([]) is Exit.DONE


def test_changes_in_one(two: Two) -> None:
    assert two.workspace.apply("-t", "prod").code == 0
    assert two.workspace.run("plan", "--all-targets", "--fail-on", "changes").code == 2
    assert two.workspace.apply("-t", "test").code == 0
    assert two.workspace.run("plan", "--all-targets", "--fail-on", "changes").code == 0


def test_a_selected_job_that_only_one_of_them_has(two: Two) -> None:
    two.workspace.write("job.yaml", "enabled: {{ target.name == 'prod' }}\n" + yaml.safe_dump(job("daily")))
    two.workspace.write("other.yaml", job("other"))
    ran = two.workspace.run("plan", "--all-targets", "--select", "name=daily")
    assert ran.code == 0, ran.err
    assert "note: test: PATH and --select match no jobs" in ran.err
    assert "Plan for prod: 1 to create." in ran.out
    ran = two.workspace.run("plan", "--all-targets", "--select", "name=weekly")
    assert ran.code == 3
    assert "PATH and --select match no jobs" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says_what"),
    [
        (["plan", "-t", "test", "-t", "prd"], "unknown target 'prd' in deployer.yaml; did you mean 'prod'?"),
        (["plan", "--all-targets", "-t", "test"], "--all-targets and -t cannot be combined"),
        (["plan", "--all-targets", "--out", "plan.json"], "--out saves the plan of one target"),
        (["status", "--all-targets", "--watch"], "--watch shows one target at a time"),
        (
            ["apply", "--yes", "-t", "test", "-t", "prod"],
            "apply works on one target at a time, not on test, prod",
        ),
        (["cancel", "--all", "-t", "test", "-t", "prod"], "cancel works on one target at a time"),
        (["-t", "test", "-t", "prod", "logs"], "logs works on one target at a time"),
        (["plan", "--all-targets", "--select", "nam=daily"], "unknown selector 'nam'"),
    ],
)
def test_usage_errors_come_before_anything_is_read(two: Two, arguments: list[str], says_what: str) -> None:
    ran = two.workspace.run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert says_what in ran.err
    assert two.test.calls == two.prod.calls == []


# --- credentials ------------------------------------------------------------------------------------------


def test_no_credential_reaches_the_other_target(two: Two) -> None:
    assert two.workspace.run("plan", "--all-targets").code == 0
    assert two.workspace.run("list", "--all-targets").code == 0
    for proxy, own in ((two.test, TOKEN), (two.prod, OTHER_TOKEN)):
        tokens = {
            value for call in proxy.calls for name, value in call.headers.items() if name == "X-Auth-Token"
        }
        assert tokens == {own}


def test_a_host_that_is_not_allowed_gets_nothing(two: Two) -> None:
    elsewhere = "https://dli.attacker.example"
    two.workspace.targets["evil"] = {
        **two.workspace.targets["prod"],
        "endpoints": dict.fromkeys(("dli", "mrs", "iam"), elsewhere),
    }
    two.workspace.write_project()
    ran = two.workspace.run("plan", "--all-targets")
    assert ran.out.splitlines()[-1].startswith("Exit codes: test 0, prod 0, evil ")
    assert ran.code not in {0, 2}
    assert "error: evil: " in ran.err
    assert TOKEN not in ran.out + ran.err
    assert OTHER_TOKEN not in ran.out + ran.err


# --- several projects -------------------------------------------------------------------------------------


def test_paths_of_two_projects(two: Two) -> None:
    workspace = two.workspace
    for folder in ("orders", "billing"):
        write_project(workspace, folder)
        workspace.write(f"{folder}/job.yaml", job(f"{folder}-daily"))
    workspace.write("billing/weekly.yaml", job("weekly"))
    ran = workspace.run("plan", "orders", "billing/job.yaml", "-t", "prod")
    assert ran.code == 0, ran.err
    assert [line for line in ran.out.splitlines() if line.startswith("==")] == [
        "== orders -> prod",
        "== billing -> prod",
    ]
    assert "SparkBatch billing-daily" in ran.out
    assert "weekly" not in ran.out
    ran = workspace.run("validate", "orders", "billing", "--format", "json")
    assert [(each["folder"], each["validate"]["jobs"]) for each in ran.json["results"]] == [
        ("orders", 1),
        ("billing", 2),
    ]


def test_an_invalid_project_does_not_hide_the_other(two: Two) -> None:
    write_project(two.workspace, "orders")
    two.workspace.write("orders/job.yaml", job("daily"))
    two.workspace.write("billing/deployer.yaml", "kind: Project\n")
    for verb in ("plan", "validate"):
        ran = two.workspace.run(verb, "billing", "orders")
        assert ran.code == 4
        assert "deployer.yaml:1:1: error" in ran.err
        assert "== orders" in ran.out
        assert "1 to create" in ran.out or "Valid: 1 job" in ran.out


def test_a_target_that_one_of_the_projects_lacks(two: Two) -> None:
    write_project(two.workspace, "orders")
    write_project(two.workspace, "billing", targets={"test": {"emulator": True}})
    ran = two.workspace.run("plan", "orders", "billing", "-t", "prod")
    assert ran.code == 3
    assert "billing: unknown target 'prod'" in ran.err
    assert two.prod.calls == []


def test_other_verbs_keep_to_one_project(two: Two) -> None:
    write_project(two.workspace, "orders")
    two.workspace.write("orders/job.yaml", job("daily"))
    ran = two.workspace.run("apply", "--yes", "job.yaml", "orders")
    assert ran.code == 3
    assert "apply works on one project at a time: PATHs lie in ., orders" in ran.err
    assert two.test.calls == []


# --- Markdown ---------------------------------------------------------------------------------------------


def test_one_comment_for_all(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    ran = two.workspace.run("plan", "--all-targets", "--format", "markdown")
    assert ran.code == 1
    assert ran.out.startswith(
        "## deployer: 2 targets\n\n| target | exit code |\n| --- | --- |\n| `test` | 1 |\n| `prod` | 0 |\n\n## `test`\n"
    )
    assert "\n## `prod`\n\n<!-- deployer: tests prod -->\n### deployer plan: `tests` → `prod`\n" in ran.out


def test_reports_that_have_no_room_are_named() -> None:
    small, large = "small", "x" * (MAX_COMMENT - 500)
    shown = markdown([Section("a", 0, "", large), Section("b", 0, "", large), Section("c", 2, "", small)])
    assert len(shown) <= MAX_COMMENT
    assert shown.count(large) == 1
    assert "## `b`\n\n**Not shown: a comment has at most 65,536 characters." in shown
    assert shown.endswith("## `c`\n\nsmall")


def test_hostile_names_and_errors_are_text() -> None:
    shown = markdown([Section("a`\n# b <img>", 1, "::error::x\n# title\u202e", "")])
    assert "\n# " not in shown
    assert "<img" not in shown
    assert "    ::error::x\\n# title\\u202e" in shown
