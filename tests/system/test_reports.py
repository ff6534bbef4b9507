"""`--report FORMAT=FILE` of plan and validate, and --color."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from deployer.cli.commands.apply import _question
from deployer.errors import Exit
from deployer.model import Plan, Scope
from testing.review_plans import create, restart
from testing.workspace import Workspace

BATCH: dict[str, Any] = {
    "apiVersion": "deployer/v1",
    "kind": "SparkBatch",
    "metadata": {"name": "daily", "labels": {"team": "orders"}},
    "spec": {"file": "obs://shop/a.py", "queue": "general"},
}
BROKEN: dict[str, Any] = {**BATCH, "metadata": {"name": "broken"}, "spec": {"fil": "a.py", "queue": "q"}}
SHA = "0123456789" * 4


@pytest.fixture
def local(workspace: Workspace) -> Workspace:
    """A project whose target is the built-in emulator."""
    workspace.project = {"defaultTarget": "local"}
    workspace.targets = {"local": {"emulator": True}}
    workspace.write_project()
    workspace.write("jobs/daily.yaml", BATCH)
    return workspace


def read(workspace: Workspace, file: str) -> str:
    return (workspace.folder / file).read_text(encoding="utf-8")


# --- plan -------------------------------------------------------------------------------------------------


def test_several_reports_at_once(local: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_PROJECT_URL", "https://git.example.com/shop")
    monkeypatch.setenv("CI_COMMIT_SHA", SHA)
    monkeypatch.setenv("CI_PROJECT_DIR", str(local.folder.parent))
    files = {"markdown": "plan.md", "html": "plan.html", "json": "plan.json", "text": "plan.txt"}
    options = [part for style, file in files.items() for part in ("--report", f"{style}={file}")]
    ran = local.run("plan", *options)
    assert ran.code == Exit.DONE
    assert ran.out == read(local, "plan.txt")
    assert json.loads(read(local, "plan.json")) == local.plan()
    comment = read(local, "plan.md")
    assert comment.startswith("<!-- deployer: tests local -->\n### deployer plan: `tests` → `local`\n")
    link = f"https://git.example.com/shop/-/blob/{SHA}/{local.folder.name}/jobs/daily.yaml#L1"
    assert f"[`jobs/daily.yaml:1`]({link})" in comment
    page = read(local, "plan.html")
    assert page.startswith("<!doctype html>")
    assert "team=orders" in page
    assert f'href="{link}"' in page
    assert [path.name for path in local.folder.iterdir() if path.name.startswith(".report")] == []


def test_findings_of_validate_are_in_the_reports_of_a_plan(local: Workspace) -> None:
    settings = {"spark.hadoop.fs.obs.secret.key": "0123456789abcdef"}
    local.write("jobs/daily.yaml", {**BATCH, "spec": {**BATCH["spec"], "conf": settings}})
    assert local.run("plan", "--report", "markdown=plan.md", "--report", "html=plan.html").code == Exit.DONE
    for file in ("plan.md", "plan.html"):
        text = read(local, file)
        assert re.search(r"jobs/daily\.yaml:[0-9]+:[0-9]+: warning: .*\[W", text), file
        assert "0123456789abcdef" not in text


def test_the_format_option_is_as_the_report(local: Workspace) -> None:
    ran = local.run("plan", "--format", "markdown", "--report", "markdown=plan.md")
    # The time is that of the report.
    assert ran.out.split(" · digest")[0][:-20] == read(local, "plan.md").split(" · digest")[0][:-20]


def test_the_limit_of_a_comment(local: Workspace) -> None:
    many = [{**BATCH, "metadata": {"name": f"job-{at}"}} for at in range(500)]
    for manifest in many:
        local.write(f"{manifest['metadata']['name']}.yaml", manifest)
    comment = local.run("plan", "--format", "markdown", "--report-limit", "4000").out
    assert len(comment) <= 4001
    assert "**Left out, because the limit is 4,000 characters: " in comment
    assert local.run("plan", "--report-limit", "100").code == Exit.USAGE


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("markdwn=x.md", "unknown format 'markdwn'; did you mean 'markdown'?"),
        ("markdown", "expected FORMAT=FILE, for example markdown=report.md"),
        ("markdown=", "expected FORMAT=FILE"),
        ("markdown=no/x.md", "folder"),
        ("markdown=jobs", "not a regular file"),
        ("html=x.yaml", "would be read as a manifest; name it x.html"),
        ("html=link", "is a symbolic link"),
        ("junit=x.xml", "unknown format 'junit'"),
        ("html=-", "--report html=-: expected the name of a file; it is not written to standard output"),
    ],
)
def test_a_wrong_report_is_refused_before_the_plan(local: Workspace, report: str, words: str) -> None:
    (local.folder / "link").symlink_to("elsewhere")
    ran = local.run("plan", "--report", report)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert words in ran.err
    assert not (local.folder / "elsewhere").exists()


@pytest.mark.parametrize(
    "words",
    [
        "validate --report junit=-",
        "plan --report json=-",
        "plan --out -",
        "status --report json=-",
        "apply --yes --report markdown=-",
        "destroy --report text=-",
    ],
)
def test_a_report_needs_a_file(local: Workspace, words: str) -> None:
    ran = local.run(*words.split())
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert "expected the name of a file" in ran.err
    assert not (local.folder / "-").exists()


def test_two_reports_need_two_files(local: Workspace) -> None:
    for options in (["--report", "text=./a"], ["--out", "a"]):
        ran = local.run("plan", "--report", "markdown=a", *options)
        assert (ran.code, ran.out) == (Exit.USAGE, "")
        assert "report is written to this file" in ran.err


def test_a_report_replaces_a_file_and_keeps_its_permissions(local: Workspace) -> None:
    before = local.write("plan.md", "old")
    before.chmod(0o640)
    inode = before.stat().st_ino
    assert local.run("plan", "--report", "markdown=plan.md").code == Exit.DONE
    assert before.stat().st_ino != inode
    assert stat.S_IMODE(before.stat().st_mode) == 0o640
    assert "old" not in before.read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_report_that_cannot_be_written(local: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    ran = local.run("plan", "--report", f"markdown={folder}/plan.md")
    assert (ran.code, "cannot write the report" in ran.err) == (Exit.ERROR, True)


# --- colours and the question -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "no_colour", "has_colours"),
    [
        (["plan", "--color", "always"], "1", True),
        (["--color=always", "plan"], "", True),
        (["--color", "always", "plan", "--color", "never"], "", False),
        (["plan", "--color", "auto"], "", False),
        (["plan"], "", False),
    ],
)
def test_colours(
    local: Workspace, monkeypatch: pytest.MonkeyPatch, options: list[str], no_colour: str, has_colours: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    assert ("\x1b[" in local.run(*options).out) is has_colours
    assert "\x1b[" not in local.run("plan").out


def test_the_question_names_the_dangers() -> None:
    plan = Plan(
        "prod", (restart(1), restart(2, keeps_state=False), create(1)), scope=Scope("shop", "prod", "r")
    )
    assert _question(plan) == "2 restarts, 1 loses state. Apply 3 changes to prod (r)?"
    assert _question(Plan("prod", (create(1),))) == "Apply 1 change to prod?"


def test_another_word_for_colours(local: Workspace) -> None:
    ran = local.run("plan", "--color", "yes")
    assert (ran.code, "'yes' is not one of" in ran.err) == (Exit.USAGE, True)


# --- validate ---------------------------------------------------------------------------------------------

# What SARIF 2.1.0 requires of the objects that are written, and the values that it allows.
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": {"required": ["text"]},
                                                "help": {"required": ["text"]},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "level", "locations"],
                            "properties": {
                                "message": {"required": ["text"], "properties": {"text": {"minLength": 1}}},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "locations": {
                                    "items": {
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "required": ["uri"],
                                                        "properties": {
                                                            "uri": {
                                                                "pattern": r"^[A-Za-z0-9._~%/()!*',;=@$&+-]+$"
                                                            }
                                                        },
                                                    },
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"minimum": 1},
                                                            "startColumn": {"minimum": 1},
                                                        }
                                                    },
                                                },
                                            }
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def results(document: Any) -> Iterator[tuple[str, str, str, Any]]:
    [run] = document["runs"]
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        yield rule["id"], result["level"], place["artifactLocation"]["uri"], place.get("region")


def test_sarif(local: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(local.folder.parent))
    local.write("a b\u202e#.yaml", BROKEN)
    local.write("syntax.yaml", "a: [\n")
    ran = local.run("validate", "--report", "sarif=found.sarif")
    assert ran.code == Exit.INVALID
    document = json.loads(read(local, "found.sarif"))
    jsonschema.validate(document, SARIF)
    found = list(results(document))
    root = local.folder.name
    assert {uri for _, _, uri, _ in found} == {f"{root}/a%20b%E2%80%AE%23.yaml", f"{root}/syntax.yaml"}
    assert {level for _, level, _, _ in found} == {"error"}
    assert ("E032", "error", f"{root}/a%20b%E2%80%AE%23.yaml", {"startLine": 6, "startColumn": 3}) in found
    findings = local.run("validate", "--format", "json").json["findings"]
    assert len(found) == len(findings)


def test_sarif_without_findings(local: Workspace) -> None:
    assert local.run("validate", "--report", "sarif=found.sarif").code == Exit.DONE
    document = json.loads(read(local, "found.sarif"))
    jsonschema.validate(document, SARIF)
    assert document["runs"][0]["results"] == []


def cases(text: str) -> dict[tuple[str, str], ElementTree.Element]:
    """The test cases by suite and name, after a check of the structure and its counts."""
    top = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert top.tag == "testsuites"
    found = {}
    for suite in top:
        assert suite.tag == "testsuite"
        failures = [case for case in suite if case.find("failure") is not None]
        assert (suite.get("tests"), suite.get("failures")) == (str(len(suite)), str(len(failures)))
        for case in suite:
            assert (case.tag, {*case.keys()} >= {"name", "classname"}) == ("testcase", True)
            assert {child.tag for child in case} <= {"failure", "system-out"}
            found[suite.get("name", ""), case.get("name", "")] = case
    assert top.get("tests") == str(sum(int(suite.get("tests", "")) for suite in top))
    assert top.get("failures") == str(sum(int(suite.get("failures", "")) for suite in top))
    return found


def test_junit(local: Workspace) -> None:
    local.write("broken<&\u202e.yaml", BROKEN)
    ran = local.run("validate", "--all-targets", "--report", "junit=found.xml")
    assert ran.code == Exit.INVALID
    found = cases(read(local, "found.xml"))
    name = "broken<&\\u202e.yaml"
    assert {*found} == {(target, file) for target in ("test", "local") for file in (name, "jobs/daily.yaml")}
    failure = found["local", name].find("failure")
    assert failure is not None
    assert failure.get("type") == "E033"
    assert "E032" in (failure.text or "")
    assert "unknown field" in (failure.text or "").casefold()
    assert found["local", "jobs/daily.yaml"].find("failure") is None


def test_a_warning_is_a_failure_if_it_is_one(local: Workspace) -> None:
    settings = {"spark.hadoop.fs.obs.secret.key": "0123456789abcdef"}
    local.write("jobs/daily.yaml", {**BATCH, "spec": {**BATCH["spec"], "conf": settings}})
    for options, fails in (([], False), (["--strict"], True)):
        local.run("validate", *options, "--report", "junit=a.xml", "--report", "sarif=a.sarif")
        case = cases(read(local, "a.xml"))["local", "jobs/daily.yaml"]
        assert (case.find("failure") is not None, case.find("system-out") is not None) == (fails, not fails)
        levels = {level for _, level, _, _ in results(json.loads(read(local, "a.sarif")))}
        assert levels == {"error" if fails else "warning"}


def test_an_invalid_project_is_reported_too(local: Workspace) -> None:
    local.write("deployer.yaml", read(local, "deployer.yaml") + "nonsense: 1\n")
    options = ["--report", "junit=a.xml", "--report", "sarif=a.sarif", "--report", "json=a.json"]
    ran = local.run("validate", *options)
    assert ran.code == Exit.INVALID
    [(_, file)] = cases(read(local, "a.xml"))
    assert file == "deployer.yaml"
    assert [code for code, *_ in results(json.loads(read(local, "a.sarif")))] == ["E032"]
    assert json.loads(read(local, "a.json"))["valid"] is False


def test_a_plan_has_the_warnings_of_the_selected_jobs(local: Workspace) -> None:
    for name in ("one", "two"):
        settings = {"spark.hadoop.fs.obs.secret.key": "0123456789abcdef"}
        job = {**BATCH, "metadata": {"name": name}, "spec": {**BATCH["spec"], "conf": settings}}
        local.write(f"jobs/{name}.yaml", job)
    whole = local.run("plan", "--report", "markdown=plan.md")
    part = local.run("plan", "--select", "name=one", "--report", "markdown=part.md")
    for ran, report, names in ((whole, "plan.md", {"one", "two"}), (part, "part.md", {"one"})):
        assert {*re.findall(r"jobs/(one|two).yaml:\d+:\d+: warning", ran.err)} == names
        findings = read(local, report).partition("Findings in manifests")[2]
        assert {*re.findall(r"jobs/(one|two)\.yaml", findings)} == names
