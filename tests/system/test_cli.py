"""The command line: options, help, exit codes, terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.cli import VERBS
from deployer.emulator import Emulator
from testing.faults import Answer, Call, fill, listed, proxied
from testing.workspace import SPECS, Workspace, manifest

ESCAPE = "\x1b"
COMMAND = [sys.executable, "-m", "deployer"]


def batch(workspace: Workspace, name: str = "alpha", **more: Any) -> None:
    workspace.write(f"{name}.yaml", manifest("SparkBatch", name, **{"spec": SPECS["SparkBatch"], **more}))


def in_terminal(
    workspace: Workspace, *arguments: str, typed: str = "", **environment: str
) -> tuple[int, str]:
    """Runs the command in a terminal of its own, and returns its exit code and what the terminal shows."""
    ours, its = pty.openpty()
    os.write(ours, typed.encode())
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | environment
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=workspace.folder,
        env=env,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    return process.returncode, shown.decode()


def in_process(
    workspace: Workspace, *arguments: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> Any:
    """Runs the command in a process of its own, without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=workspace.folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        errors="replace",
        check=False,
    )


def test_a_terminal_shows_how_far_an_apply_is(workspace: Workspace) -> None:
    for name in ("alpha", "beta"):
        batch(workspace, name)
    code, shown = in_terminal(workspace, "apply", "--yes")
    assert code == 0
    # The bar is wiped before each line that comes after it.
    assert re.search(r"\[> {19}\] 0/2\x1b\[K\r\x1b\[K.*alpha", shown)
    assert re.search(r"\[={10}> {9}\] 1/2\x1b\[K\r\x1b\[K.*beta", shown)
    assert shown.endswith("[====================] 2/2\x1b[K\r\x1b[KApply complete: 2 applied.\r\n")
    assert "[=" not in in_process(workspace, "apply", "--yes").stderr


def test_a_disk_that_is_full_in_the_middle_of_an_apply(workspace: Workspace, emulator: Emulator) -> None:
    """What cannot be printed is done and counted all the same, and told of on stderr."""
    for name in ("alpha", "beta"):
        batch(workspace, name)
    size = 1_000_000 + len(in_process(workspace, "plan").stdout) + 5
    with (workspace.folder / "out.txt").open("wb") as file:
        file.write(b" " * 1_000_000)
        file.flush()
        ran = subprocess.run(
            [*COMMAND, "apply", "--yes"],
            cwd=workspace.folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        )
    assert ran.returncode == 0
    assert ran.stderr.startswith("error: cannot write output: File too large\n")
    assert "accepted create SparkBatch beta" in ran.stderr
    assert ran.stderr.endswith("Apply complete: 2 applied.\n")
    assert len(listed(emulator.url, "SparkBatch")) == 2


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--select", "name=alpha", "plan", "--format", "json"],
        ["plan", "--format", "json", "--select", "name=alpha"],
        ["-t", "other", "plan", "--format", "json", "--select", "name=alpha"],
        ["plan", "-t", "other", "--format", "json", "--select", "name=alpha"],
        ["-t", "nowhere", "plan", "-t", "other", "--format", "json", "--select", "name=alpha"],
        ["--select", "name=no-such", "plan", "--format", "json", "--select", "name=alpha"],
    ],
)
def test_common_options_stand_before_or_after_the_verb(workspace: Workspace, arguments: list[str]) -> None:
    batch(workspace)
    batch(workspace, "beta")
    workspace.targets["other"] = {"endpoints": {"dli": workspace.url}, "projectId": "other"}
    workspace.write_project()
    ran = workspace.run(*arguments)
    assert ran.code == 0, ran.err
    assert [change["name"] for change in ran.json["changes"]] == ["alpha"]
    assert ran.json["target"] == ("other" if "-t" in arguments else "test")


@pytest.mark.parametrize("before", [True, False])
def test_values_and_settings(workspace: Workspace, *, before: bool) -> None:
    workspace.write(
        "one.yaml",
        "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: alpha}\n"
        "spec: {file: obs://b/{{ program }}, queue: q, numExecutors: {{ n }}}\n",
    )
    workspace.write("_more.yaml", {"program": "a.py", "n": 1})
    options = ["--values", "_more.yaml", "--set", "n=7"]
    ran = workspace.run(*([*options, "render"] if before else ["render", *options]))
    assert ran.code == 0, ran.err
    spec = yaml.safe_load(ran.out)["spec"]
    assert (spec["file"], spec["numExecutors"]) == ("obs://b/a.py", 7)


@pytest.mark.parametrize(
    "verb", [[], *([verb] for verb in VERBS), *(["schema", verb] for verb in ("check", "show"))]
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(bare: Workspace, verb: list[str], option: str) -> None:
    ran = bare.run(*verb, option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(" ".join(["Usage: deployer", *verb]))


def test_help_names_every_verb_and_common_option(bare: Workspace) -> None:
    shown = bare.run("--help").out
    assert [verb for verb in VERBS if f"  {verb} " not in shown] == []
    for text in (shown, bare.run("plan", "--help").out):
        assert [
            option for option in ("-C", "--target", "--set", "--values", "--select") if option not in text
        ] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["plam"],
        ["plan", "--no-such"],
        ["--no-such", "plan"],
        ["plan", "--format", "xml"],
        ["plan", "-t"],
        ["plan", "-t", "nowhere"],
        ["plan", "--select", "nmae=x"],
        ["plan", "--select", "name"],
        ["plan", "--select", "name=no-such"],
        ["plan", "--set", "novalue"],
        ["plan", "--set", "target=x"],
        ["plan", "no-such.yaml"],
        ["plan", ".."],
        ["-C", "no-such", "plan"],
        ["plan", "-C", "no-such"],
        ["validate", "-C", "/"],
        ["schema", "show", "SparkBatsh"],
        ["schema", "show"],
        ["schema", "no-such"],
        ["emulator", "--port", "99999"],
    ],
    ids=" ".join,
)
def test_usage_errors(workspace: Workspace, arguments: list[str]) -> None:
    batch(workspace)
    ran = workspace.run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "-t", "tets"], "did you mean 'test'?"),
        (["plan", "--select", "nmae=x"], "did you mean 'name'?"),
        (["schema", "show", "SparkBatsh"], "did you mean 'SparkBatch'?"),
    ],
)
def test_usage_errors_help(workspace: Workspace, arguments: list[str], words: str) -> None:
    batch(workspace)
    assert words in workspace.run(*arguments).err


def test_no_verb_shows_the_verbs(bare: Workspace) -> None:
    ran = bare.run()
    assert ran.code in {0, 3}
    assert "plan" in ran.out + ran.err


@pytest.mark.parametrize("before", [True, False])
def test_dash_c(workspace: Workspace, tmp_path: Path, *, before: bool) -> None:
    batch(workspace)
    here = Workspace(tmp_path / "elsewhere", workspace.capture)
    folder = os.path.relpath(workspace.folder, here.folder)
    ran = here.run(
        *(["-C", folder, "plan", "alpha.yaml"] if before else ["plan", "-C", folder, "alpha.yaml"])
    )
    assert (ran.code, "1 to create" in ran.out) == (0, True), ran.err


def test_a_project_is_found_upwards(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("deep/er/one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert workspace.run("-C", "deep/er", "plan").code == 0
    here = Workspace(tmp_path / "elsewhere", workspace.capture)
    assert "1 to create" in here.run("plan", str(workspace.folder / "deep")).out


# --- verbs ------------------------------------------------------------------------------------------------


def test_validate_needs_no_network_and_no_credentials(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    bare.write("all.yaml", [manifest(kind, kind, spec) for kind, spec in SPECS.items()])
    ran = bare.run("validate")
    assert (ran.code, ran.out) == (0, "Valid: 4 jobs for target test; 0 errors, 1 warning.\n")
    assert "warning: the vendor has withdrawn the session API" in ran.err


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "plan"], ["-C", ".", "--version"]])
def test_the_version_is_said_in_the_words_of_click(bare: Workspace, arguments: list[str]) -> None:
    own, of_click = in_process(bare, *arguments), bare.run("--version")
    assert (own.returncode, own.stdout, own.stderr) == (of_click.code, of_click.out, of_click.err)


@pytest.mark.parametrize("arguments", [["--version"], ["-C", ".", "--version"]])
def test_the_version_where_it_cannot_be_written(bare: Workspace, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = in_process(bare, *arguments, stdout=full.fileno())
    assert (ran.returncode, "internal error: OSError" in ran.stderr) == (1, True)


def test_validate_loads_neither_an_http_client_nor_deepdiff(bare: Workspace) -> None:
    batch(bare)
    code = (
        "import sys; from deployer.cli import run; print(run(['validate']));"
        "print(sorted({'requests', 'urllib3', 'deepdiff', 'http.client', 'sqlite3'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=bare.folder, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[1:] == ["0", "[]"]


def test_render_comes_back_as_yaml(bare: Workspace) -> None:
    bare.write("all.yaml", [manifest(kind, kind, spec) for kind, spec in SPECS.items()])
    ran = bare.run("render")
    rendered = list(yaml.safe_load_all(ran.out))
    assert [(document["kind"], document["spec"]) for document in rendered] == list(SPECS.items())
    assert ran.out.startswith("--- # all.yaml:1\n")


def test_schema_show_is_a_schema(bare: Workspace) -> None:
    for kind in (*SPECS, "Project", "Defaults", "Plan"):
        ran = bare.run("schema", "show", kind)
        assert (ran.code, json.loads(ran.out)["$schema"]) == (
            0,
            "https://json-schema.org/draft/2020-12/schema",
        )


def test_schemas_are_current(bare: Workspace) -> None:
    assert bare.run("schema", "check").code == 0


@pytest.mark.parametrize(
    ("lifecycle", "code"), [({}, 2), ({"onChange": "keep"}, 0)], ids=["blocked", "warnings only"]
)
def test_what_detailed_exitcode_counts(
    workspace: Workspace, emulator: Emulator, lifecycle: dict[str, str], code: int
) -> None:
    fill(emulator.url, "SparkBatch", ["alpha"])
    spec = {**SPECS["SparkBatch"], "className": "com.example.Other"}
    workspace.write("one.yaml", manifest("SparkBatch", "alpha", spec, lifecycle=lifecycle))
    workspace.write("two.yaml", manifest("SparkSession", "beta", SPECS["SparkSession"]))
    workspace.apply("two.yaml")
    ran = workspace.run("plan", "--detailed-exitcode")
    assert (ran.code, "warning:" in ran.err) == (code, True)


def test_attention_is_no_pending_change(workspace: Workspace, emulator: Emulator) -> None:
    batch(workspace)
    workspace.apply()
    emulator.store.end(listed(emulator.url, "SparkBatch")[0]["id"], "dead")
    ran = workspace.run("plan", "--detailed-exitcode")
    assert (ran.code, "Warnings:" in ran.out) == (0, True)


def test_the_local_target_needs_nothing(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HW_AUTH_TOKEN")
    bare.write_project(emulator=True, endpoints={}, projectId="local")
    batch(bare)
    assert bare.apply().out.endswith("Apply complete: 1 applied.\n")
    assert bare.plan()["changes"] == []


# --- terminals, pipes and surprises -----------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"NO_COLOR": ""}, {"TERM": "dumb"}])
def test_no_colour_where_there_is_no_terminal(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.delenv("NO_COLOR")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    batch(workspace)
    workspace.write("two.yaml", manifest("SparkSession", "beta", SPECS["SparkSession"]))
    for arguments in (["plan"], ["apply", "--yes"], ["status"], ["validate"], ["plan", "--no-such"]):
        ran = workspace.run(*arguments)
        assert ESCAPE not in ran.out + ran.err


def test_colour_in_a_terminal(workspace: Workspace) -> None:
    batch(workspace)
    code, shown = in_terminal(workspace, "plan")
    assert (code, ESCAPE in shown) == (0, True)


def test_no_colour_in_a_terminal_when_asked(workspace: Workspace) -> None:
    batch(workspace)
    code, shown = in_terminal(workspace, "plan", NO_COLOR="1")
    assert (code, ESCAPE in shown) == (0, False)


@pytest.mark.parametrize(
    ("typed", "code", "words", "jobs"),
    [
        ("y\n", 0, "Apply complete: 1 applied.", 1),
        ("n\n", 1, "No changes were applied.", 0),
        ("\n", 1, "No changes were applied.", 0),
        ("\x04", 130, "interrupted", 0),
    ],
    ids=["yes", "no", "return", "end of file"],
)
def test_apply_asks(
    workspace: Workspace, emulator: Emulator, typed: str, code: int, words: str, jobs: int
) -> None:
    batch(workspace)
    got, shown = in_terminal(workspace, "apply", typed=typed)
    assert got == code, shown
    assert "Apply 1 change to test (" in shown
    assert ")? [y/N]" in shown
    assert words in shown
    assert len(listed(emulator.url, "SparkBatch")) == jobs


@pytest.mark.parametrize("arguments", [["plan"], ["render"], ["apply", "--yes"]], ids=" ".join)
def test_a_reader_that_goes_away(workspace: Workspace, emulator: Emulator, arguments: list[str]) -> None:
    """`deployer plan | head -n 0`"""
    batch(workspace)
    reader, writer = os.pipe()
    os.close(reader)
    ran = in_process(workspace, *arguments, stdout=writer)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(listed(emulator.url, "SparkBatch")) == (arguments[0] == "apply")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_no_bug(workspace: Workspace) -> None:
    batch(workspace)
    with Path("/dev/full").open("w") as full:
        ran = in_process(workspace, "plan", stdout=full.fileno())
    assert (ran.returncode, ran.stderr) == (
        1,
        "error: cannot write output: No space left on device\n",
    )


def test_a_reader_of_errors_that_goes_away(bare: Workspace) -> None:
    """`deployer validate 2>&1 | head -n 0`"""
    batch(bare, spec={})
    reader, writer = os.pipe()
    os.close(reader)
    ran = in_process(bare, "validate", stdout=writer, stderr=writer)
    os.close(writer)
    assert ran.returncode == 4


def test_a_reader_that_goes_away_while_jobs_are_sent(workspace: Workspace, emulator: Emulator) -> None:
    batch(workspace)
    batch(workspace, "beta")
    reader, writer = os.pipe()

    def closes(call: Call) -> Answer:
        if reader in open_ends:
            open_ends.remove(reader)
            os.close(reader)
        return call.forward()

    open_ends = {reader}
    with proxied(workspace, emulator.url) as proxy:
        proxy.rule("POST", "", closes)
        ran = in_process(workspace, "apply", "--yes", stdout=writer)
    os.close(writer)
    assert len(listed(emulator.url, "SparkBatch")) == 2
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["render"], ["apply", "--yes"]], ids=" ".join)
def test_a_terminal_that_lacks_a_letter(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    batch(workspace, "\u6f22\u5b57")
    assert in_process(workspace, *arguments).returncode == 0


def test_a_file_name_cannot_write_into_render(workspace: Workspace) -> None:
    workspace.write("a\nkind: Evil\n#.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    assert workspace.run("render").out.count("\nkind: ") == 1


def test_a_surprise_is_one_line_without_values(bare: Workspace) -> None:
    """There is no folder to work in: somebody has removed it."""
    gone = bare.folder / "gone"
    gone.mkdir()
    script = f'rmdir "{gone}"; exec "$@"'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "plan"], cwd=gone, capture_output=True, text=True, check=False
    )
    assert (ran.returncode in {1, 3}, ran.stdout) == (True, "")
    assert len(ran.stderr.splitlines()) == 1
    assert str(gone) not in ran.stderr


def test_a_target_without_a_project_id(bare: Workspace) -> None:
    bare.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    bare.write_project(projectId=None)
    assert bare.run("plan").code == 4
    text = (bare.folder / "deployer.yaml").read_text().replace("    projectId: null\n", "")
    bare.write("deployer.yaml", text)
    assert bare.run("validate").code == 0
    ran = bare.run("plan")
    assert (ran.code, ran.err) == (3, "error: target 'test' has no projectId in deployer.yaml\n")
