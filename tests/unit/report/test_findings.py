"""Findings as text, JSON and GitHub commands, with the author's line, each mistake once.

`DEPLOYER_REGENERATE=1 pytest tests/unit/report` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
import re
from functools import partial
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.cli.source_lines import SourceLines
from deployer.errors import Problem
from deployer.escape import printable
from deployer.model import Location
from deployer.report import findings
from deployer.report.findings import MAX_IN_FILE, MAX_SHOWN, WIDTH, Finding
from testing.work import calls
from testing.workspace import ROOT, SPECS, Workspace, manifest

GOLDEN = ROOT / "tests" / "cases" / "golden"
HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: daily}\n"
GOOD = f"{HEAD}spec: {{file: daily.py, queue: general}}\n"
BAD = f"{HEAD}spec: {{file: daily.py, queue: general, numExecutor: 4}}\n"
SESSION = manifest("SparkSession", "notebook", SPECS["SparkSession"])  # a warning: its API is withdrawn

# One file of each sort of mistake; the text is the author's.
FILES = {
    "deployer.yaml": """apiVersion: deployer/v1
kind: Project
metadata: {name: shop}
defaultTarget: test
values: [values.yaml]
targets:
  test: {emulator: true, values: [test.yaml]}
  prod: {region: cn-north-4, projectId: pid, values: [prod.yaml]}
""",
    "values.yaml": "queue: general\n",
    "test.yaml": "executors: many\n",
    "prod.yaml": "executors: 4\n",
    "a-field.yaml": BAD.replace("{file", "{ file"),
    "b-key.yaml": f"{HEAD}spec:\n  file: daily.py\n  queue: general\n  # \t\n  file: daily.py\n",
    "c-wide.yaml": f'{HEAD}spec: {{file: daily.py, queue: general, conf: {{"日本語": [1], n\u0303: []}}}}\n',
    "d-secret.yaml": f"{HEAD}spec: {{file: daily.py, queue: q, conf: {{password: hunter2, a: []}}}}\n",
    "e-long.yaml": f"{HEAD}spec: {{file: daily.py, args: [{'abc, ' * 50}[], {'def, ' * 50}], queue: q}}\n",
    "f-file.yaml": b"\xff",
    "g-session.yaml": SESSION,
    "h-target.yaml": f"{GOOD[:-2]}, numExecutors: {{{{ executors }}}} }}\n",
}


@pytest.fixture
def shop(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project with all of `FILES`."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    for file, text in FILES.items():
        bare.write(file, text)
    return bare


def problem(line: int = 1, column: int = 1, file: str = "f.yaml", **more: str) -> Problem:
    return Problem(Location(file, line, column), **{"message": "wrong", "code": "E035", **more})


def lines(problems: list[Problem], folder: Path | None = None) -> list[str]:
    found = findings.text(findings.for_one_target(problems), source_of=SourceLines(folder).at)
    return [click.unstyle(line) for line in found]


# --- golden files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("golden", "arguments"),
    [
        ("validate.txt", ["--all-targets"]),
        ("validate.json", ["--all-targets", "--format", "json"]),
        ("validate.github.txt", ["--all-targets", "--format", "github"]),
    ],
)
def test_golden(shop: Workspace, golden: str, arguments: list[str]) -> None:
    ran = shop.run("validate", *arguments)
    assert ran.code == 4
    made = ran.err + ran.out
    if os.environ.get("DEPLOYER_REGENERATE"):
        (GOLDEN / golden).write_text(made, encoding="utf-8")
    assert made == (GOLDEN / golden).read_text(encoding="utf-8")


# --- the author's line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "column", "shown", "caret"),
    [
        ("a: 1", 4, "a: 1", 3),
        ("a: 1", 99, "a: 1", 4),
        ("\ta: 1", 2, "\\ta: 1", 2),
        ("日本: x", 5, "日本: x", 6),
        ("n\u0303o: x", 5, "n\u0303o: x", 3),
        ("a\u202eb: x", 5, "a\\u202eb: x", 9),
        ("\u05d0\u05d1: x", 5, "\u05d0\u05d1: x", 4),
        ("a\x1b[31mb: x", 9, "a\\u001b[31mb: x", 13),
        ("a: '##[error]x'", 10, "a: '##\\u005berror]x'", 14),
        ("   ", 3, "", 2),
        ("x" * 300, 1, "x" * 100 + "...", 0),
        ("x" * 300, 151, "..." + "x" * 100 + "...", 63),
        ("x" * 300, 300, "..." + "x" * 61, 63),
        ("\u202e" * 60, 60, "..." + "\\u202e" * 11, 63),
        ("日" * 60, 60, "..." + "日" * 31, 63),
    ],
)
def test_the_caret_is_under_what_is_meant(
    tmp_path: Path, line: str, column: int, shown: str, caret: int
) -> None:
    (tmp_path / "f.yaml").write_text(f"# one\r\n{line}\n", encoding="utf-8", newline="")
    head, source, pointer = lines([problem(2, column)], tmp_path)
    assert head == f"f.yaml:2:{column}: error: wrong [E035]"
    assert source == f"  2 | {shown}".rstrip()
    assert pointer == f"    | {' ' * caret}^"


def test_a_hidden_line_has_no_caret(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("password: hunter2\npassword: |\n  hunter2\na: b\n", encoding="utf-8")
    assert lines([problem(n, 11) for n in (1, 3, 4)], tmp_path) == [
        "f.yaml:1:11: error: wrong [E035]",
        "  1 | (hidden: may hold a secret)",
        "f.yaml:3:11: error: wrong [E035]",
        "  3 | (hidden: may hold a secret)",
        "f.yaml:4:11: error: wrong [E035]",
        "  4 | a: b",
        "    |     ^",
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text("ab \t\x1b\u202e\u0085\U000e0001{}[]:,'\"", min_size=1, max_size=300), st.data())
def test_any_line_is_cut_around_the_caret(tmp_path: Path, line: str, data: st.DataObject) -> None:
    column = data.draw(st.integers(1, len(line)))
    (tmp_path / "f.yaml").write_text(line, encoding="utf-8", newline="")
    _, source, pointer = lines([problem(1, column)], tmp_path)
    assert source.isprintable()
    assert len(source) <= WIDTH + 12
    meant = printable(line[column - 1])
    assert source.ljust(len(pointer) + len(meant))[len(pointer) - 1 :].startswith(meant)


def test_the_way_there_is_told_nearest_first(tmp_path: Path) -> None:
    (tmp_path / "_part.yaml").write_text("\n" * 9 + "numExecutor: 4\n")
    place = Location(
        "_part.yaml", 10, 1, ("included at a.yaml:3:1", "the instance x = \u202e1 of b.yaml:1:1")
    )
    assert lines([Problem(place, "wrong", "E032")], tmp_path)[1:] == [
        "  10 | numExecutor: 4",
        "     | ^",
        "     = included at a.yaml:3:1",
        "     = the instance x = \\u202e1 of b.yaml:1:1",
    ]


@pytest.mark.parametrize(
    "at",
    [
        Location("f.yaml"),
        Location("f.yaml", 3, 1),
        Location("gone.yaml", 1, 1),
        Location("latin.yaml", 1, 1),
        Location("../outside.yaml", 1, 1),
        Location(".hidden.yaml", 1, 1),
        Location("--set x", 1, 1),
        Location("\0", 1, 1),
    ],
    ids=str,
)
def test_a_line_that_cannot_be_shown_is_left_out(tmp_path: Path, at: Location) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for file in ("f.yaml", "../outside.yaml", ".hidden.yaml"):
        (folder / file).write_text("a: 1\n")
    (folder / "latin.yaml").write_bytes(b"\xff")
    [head] = lines([Problem(at, "wrong", "E035")], folder)
    assert head == f"{printable(str(at))}: error: wrong [E035]"


def test_no_format_shows_a_secret(bare: Workspace) -> None:
    text = (
        f"{HEAD}spec:\n  file: obs://AK:sentinel@b/x.py\n  queue: q\n  args: [--password, sentinel, []]\n"
        "  conf: {fs.obs.secret.key: sentinel, my.Secret.Key: sentinel, x: [] }\n  numExecutor: 4\n"
    )
    bare.write("a.yaml", text)
    for arguments in (
        ["validate"],
        ["validate", "--format", "json"],
        ["validate", "--format", "github"],
        ["plan"],
    ):
        ran = bare.run(*arguments)
        assert ran.code == 4
        assert "sentinel" not in ran.out + ran.err


def test_other_verbs_show_lines_of_errors_only(workspace: Workspace) -> None:
    workspace.write("b.yaml", SESSION)
    for verb in (["plan"], ["apply", "--yes"]):
        ran = workspace.run(*verb)
        assert ran.code == 0
        assert [line for line in ran.err.splitlines() if " | " in line] == []
    workspace.write("a.yaml", BAD)
    for verb in (["plan"], ["apply", "--yes"], ["render"], ["status"]):
        assert workspace.run(*verb).err.splitlines() == [
            "a.yaml:4:40: error: unknown field 'numExecutor' in spec; did you mean 'numExecutors'?"
            " [E032 unknown-field]",
            "  4 | spec: {file: daily.py, queue: general, numExecutor: 4}",
            "    |                                        ^",
            "b.yaml:2:1: warning: the vendor has withdrawn the session API; new regions may not serve it"
            " (prefer SparkBatch) [W109 withdrawn-api]",
        ]


@pytest.mark.parametrize(
    "verb",
    [
        "validate",
        "plan",
    ],
)
def test_lines_are_those_of_the_project_that_is_meant(bare: Workspace, tmp_path: Path, verb: str) -> None:
    """PATH leads to another project than the current folder, with a file of the same name."""
    other = Workspace(tmp_path / "other", bare.capture)
    bare.write("a.yaml", GOOD)
    other.write("a.yaml", BAD)
    ran = bare.run(verb, "../other")
    assert (ran.code, ran.err.count("numExecutor: 4}")) == (4, 1)


# --- each mistake once, and not too many ------------------------------------------------------------------


def test_the_same_mistake_is_shown_once() -> None:
    ways = [(f"instance n = {n} of forEach at f.yaml:1:1",) for n in range(1000, 1200)]
    same = [Problem(Location("f.yaml", 3, 1, via), "wrong", "E035") for via in ways]
    other = [problem(3, 1, message="other"), problem(3, 2)]
    assert lines([*same, *other]) == [
        "f.yaml:3:1: error: other [E035]",
        "f.yaml:3:1: error: wrong [E035]",
        "    = instance n = 1000 of forEach at f.yaml:1:1",
        "    = ... and 199 more of the same kind",
        "f.yaml:3:2: error: wrong [E035]",
    ]
    warnings = [Problem(repeated.location, "wrong", "W108", "warning") for repeated in same]
    assert lines(warnings) == ["f.yaml:3:1: warning: wrong [W108]", "    = ... and 199 more of the same kind"]
    as_json = json.loads(findings.json(findings.for_one_target(same)))["findings"]
    assert [finding["via"] for finding in as_json] == [[*via] for via in ways]


def test_a_mistake_of_all_instances_is_shown_once_and_counted_truly(bare: Workspace) -> None:
    bare.write("a.yaml", "forEach: {{ range(200) | list }}\n" + BAD.replace("daily}", "'n-{{ each }}'}"))
    ran = bare.run("validate")
    assert ran.out == "Invalid: 200 errors, 0 warnings.\n"
    head, source, _, via, more = ran.err.splitlines()
    assert head.startswith("a.yaml:5:40: error: unknown field 'numExecutor'")
    assert source == "  5 | spec: {file: daily.py, queue: general, numExecutor: 4}"
    assert "forEach at a.yaml:1:1" in via
    assert more == "    = ... and 199 more of the same kind"


def heads(shown: list[str]) -> list[str]:
    return [line for line in shown if re.match(r".*: (error|warning|note): ", line)]


def test_a_file_has_so_many_findings_and_errors_come_first() -> None:
    many = [problem(n, severity="warning", code="W108") for n in range(1, 151)]
    many += [problem(n) for n in range(201, 251)]
    shown = lines([*many, problem(file="g.yaml")])
    assert len([line for line in heads(shown) if "error" in line]) == 51
    assert len(heads(shown)) == MAX_IN_FILE + 1
    # The word about the others stands behind the file's own.
    assert shown[-2:] == ["... and 100 more in f.yaml", "g.yaml:1:1: error: wrong [E035]"]
    assert shown[0] == "f.yaml:1:1: warning: wrong [W108]"


def test_all_files_together_have_so_many_findings() -> None:
    many = [problem(n, file=f"{letter}.yaml") for letter in "abcdefghijkl" for n in range(1, 151)]
    shown = lines(many)
    assert len(heads(shown)) == MAX_SHOWN
    assert [line for line in shown if not heads([line])] == [
        *(f"... and 50 more in {letter}.yaml" for letter in "abcdefghij"),
        "... and 300 more in 2 more files",
    ]
    in_github = [*findings.github(findings.for_one_target(many), ".")]
    assert len([line for line in in_github if line.startswith("::")]) == MAX_SHOWN
    assert len(json.loads(findings.json(findings.for_one_target(many)))["findings"]) == len(many)


@pytest.mark.parametrize("style", ["text", "json", "github"])
def test_ten_times_the_findings_are_ten_times_the_work(bare: Workspace, style: str) -> None:
    def validate() -> None:
        assert bare.run("validate", "--format", style).code == 4

    work = []
    for items in (400, 4_000):
        spec = "spec:\n  file: daily.py\n  queue: general\n  args:\n" + "    - []\n" * items
        bare.write("a.yaml", HEAD + spec)
        work.append(calls(validate))
    assert work[1] < 15 * work[0]


def large(folder: Path, size: int) -> list[str]:
    """What is shown of one long line, and of many lines that must be masked."""
    (folder / "f.yaml").write_text("a" * 5 * size)
    (folder / "g.yaml").write_text("password: x\n" * size)
    (folder / "h.yaml").write_text("password: x\n" * size)
    many = [problem(1, size // 20 * n) for n in range(1, 100)]
    return lines([*many, problem(size, file="g.yaml"), problem(size, file="h.yaml")], folder)


def test_ten_times_the_file_is_ten_times_the_work(tmp_path: Path) -> None:
    little, much = (calls(partial(large, tmp_path, size)) for size in (2_000, 20_000))
    assert much < 15 * little


def test_large_files(tmp_path: Path) -> None:
    """What is beyond all measure is not shown."""
    shown = large(tmp_path, 20_000)
    assert len(shown) == 3 * 99 + 2 + 1
    assert shown[-2:] == [
        "  20000 | (hidden: may hold a secret)",
        "h.yaml:20000:1: error: wrong [E035]",
    ]


# --- formats ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("deployer.yaml", "a: [", "E010"),
        ("deployer.yaml", "{apiVersion: deployer/v1, kind: Project, metadata: {name: x}}", "E033"),
        ("values.yaml", "- a", "E017"),
        ("values.yaml", "target: x", "E051"),
    ],
)
@pytest.mark.parametrize("target", ["-tprod", "--all-targets"])
def test_the_format_counts_where_the_project_cannot_be_read(
    shop: Workspace, file: str, text: str, code: str, target: str
) -> None:
    shop.write(file, text)
    ran = shop.run("validate", target, "--format", "json")
    assert (ran.code, ran.err, ran.json["valid"], ran.json["errors"]) == (4, "", False, 1)
    [finding] = ran.json["findings"]
    assert (finding["code"], finding["file"]) == (code, file)
    ran = shop.run("validate", target, "--format", "github")
    assert (ran.code, ran.err) == (4, "")
    assert ran.out.startswith(f"::error file={file},line=1,col=")
    assert ran.out.endswith("\nInvalid: 1 error, 0 warnings.\n")
    ran = shop.run("validate", target)
    assert ran.err.startswith(f"{file}:1:")
    assert ran.out == "Invalid: 1 error, 0 warnings.\n"


def test_json_of_a_valid_project(bare: Workspace) -> None:
    bare.write("a.yaml", SESSION)
    report = bare.run("validate", "--format", "json").json
    [finding] = report.pop("findings")
    assert report == {
        "format_version": "1.0",
        "target": "test",
        "valid": True,
        "jobs": 1,
        "errors": 0,
        "warnings": 1,
    }
    assert finding == {
        "code": "W109",
        "severity": "warning",
        "rule": "withdrawn-api",
        "file": "a.yaml",
        "line": 2,
        "column": 1,
        "message": finding["message"],
        "via": [],
        "reference": "docs/reference/errors.md#w109",
    }
    ran = bare.run("validate", "--format", "json", "--strict")
    assert (ran.code, ran.json["valid"], ran.json["errors"], ran.json["warnings"]) == (4, False, 1, 0)


def test_github_looks_from_the_top_of_the_repository(
    bare: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.write("deep/a.yaml", BAD)
    start = Workspace(tmp_path / "start", bare.capture)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    def file(*arguments: str) -> str:
        ran = start.run(*arguments)
        return ran.out.partition("file=")[2].partition(",")[0]

    github = ["validate", "--format", "github"]
    assert file("-C", "../project", *github) == "../project/deep/a.yaml"
    assert file(*github, "-C", "../project/deep") == "../project/deep/a.yaml"
    assert file(*github, "../project") == "../project/deep/a.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert file(*github, "-C", "../project") == "project/deep/a.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "start"))
    assert file(*github, "-C", "../project") == "../project/deep/a.yaml"
    bare.write("-C.yaml", BAD.replace("daily", "other"))
    monkeypatch.setenv("GITHUB_WORKSPACE", "")
    assert bare.run(*github).out.startswith("::error file=-C.yaml,line=4,col=40,title=E032 unknown-field::")


# What a GitHub runner takes for a command: src/Runner.Common/ActionCommand.cs.
COMMAND = re.compile(r"\s*::.*?::|.*##\[.*\]")
hostile = st.text(st.sampled_from("%:,;#[] \t\r\n\x85\u2028\u3000ab=") | st.characters()) | st.sampled_from(
    [
        "::error::x",
        " ::error::x",
        "\n::error::x",
        "\r::error::x",
        "%0A::error::x",
        "##[error]x",
        "x##[error]x",
    ]
)
places = st.builds(
    Location, hostile, st.integers(0, 9), st.integers(1, 9), st.lists(hostile, max_size=2).map(tuple)
)
problems = st.lists(
    st.builds(Problem, places, hostile, st.just("E035"), st.sampled_from(["error", "warning", "note"])),
    max_size=3,
)


def unescaped(value: str) -> str:
    """As the runner does it: the properties first, `%` last."""
    for char, code in (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25")):
        value = value.replace(code, char)
    return value


@settings(deadline=None)
@given(problems)
def test_github_gets_one_command_a_finding(problems: list[Problem]) -> None:
    found = findings.for_one_target(problems)
    made = [*findings.github(found, "jobs")]
    assert len(made) == len({findings_key(finding) for finding in found})
    for line in made:
        assert line.isprintable()
        assert "##[" not in line
        command = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert command
        properties = dict(pair.split("=", 1) for pair in command[2].split(","))
        assert properties.keys() <= {"file", "line", "col", "title"}
        assert unescaped(properties["title"]) == "E035"


def findings_key(finding: Finding) -> Problem:
    place = finding.problem.location._replace(via=())
    return Problem(place, finding.problem.message, finding.problem.code, finding.problem.severity)


@settings(deadline=None)
@given(problems)
def test_no_line_of_text_or_json_is_a_command(problems: list[Problem]) -> None:
    found = findings.for_one_target(problems)
    text = [click.unstyle(line) for line in findings.text(found, in_full=("error", "warning", "note"))]
    assert all(line.isprintable() for line in text)
    as_json = findings.json(found)
    assert [line for line in [*text, *as_json.splitlines()] if COMMAND.match(line)] == []
    assert [finding["message"] for finding in json.loads(as_json)["findings"]] == [
        finding.problem.message for finding in found
    ]


def test_a_file_name_cannot_give_a_command(bare: Workspace) -> None:
    bare.write("::error::x.yaml", BAD)
    bare.write(" ##[error]x.yaml", BAD.replace("daily", "other"))
    bare.write("a\n::error::x.yaml", BAD.replace("daily", "third"))
    for arguments in (["validate"], ["plan"], ["render"]):
        ran = bare.run(*arguments)
        assert [line for line in (ran.out + ran.err).splitlines() if COMMAND.match(line)] == []
        assert "./::error::x.yaml:4:40: error: " in ran.err
    assert "file=%3A%3Aerror%3A%3Ax.yaml,line=4" in bare.run("validate", "--format", "github").out


# --- all targets ------------------------------------------------------------------------------------------


def test_a_target_is_named_where_not_all_have_the_finding(shop: Workspace) -> None:
    for file in FILES:
        if file[1] == "-":
            (shop.folder / file).unlink()
    shop.write("a.yaml", SESSION)
    shop.write("b.yaml", f"{HEAD}spec: {{file: a.py, queue: q, numExecutors: {{{{ executors }}}} }}\n")
    ran = shop.run("validate", "--all-targets")
    assert (ran.code, ran.out) == (4, "Invalid: 1 error, 1 warning.\n")
    session, source, caret, error, *_, last = ran.err.splitlines()
    assert session.startswith("a.yaml:2:1: warning")
    assert (source, caret) == ("  2 | kind: SparkSession", "    | ^")
    assert error.startswith("b.yaml:4:")
    assert last == "    = for target test"
    report = shop.run("validate", "--all-targets", "--format", "json").json
    assert report["targets"] == {"test": {"valid": False, "jobs": 1}, "prod": {"valid": True, "jobs": 2}}
    assert [finding["targets"] for finding in report["findings"]] == [["test", "prod"], ["test"]]
    assert "%0Afor target test\n" in shop.run("validate", "--all-targets", "--format", "github").out
    shop.write("b.yaml", GOOD)
    assert shop.run("validate", "--all-targets").out == (
        "Valid: 2 jobs for target test, 2 jobs for target prod; 0 errors, 1 warning.\n"
    )


def test_a_broken_target_does_not_hide_the_others(shop: Workspace) -> None:
    shop.write("prod.yaml", "executors: [")
    ran = shop.run("validate", "--all-targets", "--format", "json")
    by_file = {finding["file"]: finding["targets"] for finding in ran.json["findings"]}
    assert (by_file["prod.yaml"], by_file["a-field.yaml"]) == (["prod"], ["test"])
    assert ran.json["targets"]["prod"] == {"valid": False, "jobs": 0}


@pytest.mark.parametrize(
    "arguments", [["validate", "--all-targets", "-t", "prod"], ["-t", "prod", "validate", "--all-targets"]]
)
def test_all_targets_and_one_exclude_each_other(shop: Workspace, arguments: list[str]) -> None:
    ran = shop.run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert "--all-targets" in ran.err


def test_sizes_are_told_for_each_target(bare: Workspace) -> None:
    bare.targets["other"] = {"emulator": True}
    bare.write_project()
    bare.write("a.yaml", GOOD)
    assert bare.run("validate", "--all-targets", "-v").out.splitlines()[:-1] == [
        f"SparkBatch daily in general (target {target}): sc_type A: driver 2 cores 7G,"
        " 6 executors of 1 cores 4G"
        for target in ("test", "other")
    ]
    assert bare.run("validate", "-v", "--format", "json").json["valid"]
