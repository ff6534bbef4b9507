"""Targets: protection, the emulator in CI, the required version, and the sources of values."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deployer import __version__
from testing.workspace import SPECS, Workspace, findings, manifest


def job(name: str, **more: Any) -> dict[str, Any]:
    return manifest("SparkBatch", name, SPECS["SparkBatch"], **more)


# --- protected --------------------------------------------------------------------------------------------


@pytest.fixture
def protected(workspace: Workspace) -> Workspace:
    workspace.write_project(protected=True)
    workspace.write("job.yaml", job("a"))
    return workspace


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--yes"], "target 'test' is protected: use --confirm test instead of --yes"),
        (["--yes", "--confirm", "prod"], "--confirm prod does not match the target 'test'"),
        (["--confirm", "tes"], "--confirm tes does not match the target 'test'"),
        (["--confirm", ""], "--confirm  does not match the target 'test'"),
        ([], "cannot prompt without a terminal; use --confirm test to apply without confirmation"),
    ],
)
def test_a_protected_target_is_named(protected: Workspace, options: list[str], says: str) -> None:
    ran = protected.run("apply", *options)
    assert (ran.code, ran.out) == (3, "")
    assert says in ran.err
    assert len(protected.plan()["changes"]) == 1


@pytest.mark.parametrize("options", [["--confirm", "test"], ["--yes", "--confirm", "test"]])
def test_a_protected_target_that_is_named(protected: Workspace, options: list[str]) -> None:
    assert protected.run("apply", *options).code == 0
    assert protected.plan()["changes"] == []


def test_confirm_does_for_yes_where_nothing_is_protected(workspace: Workspace) -> None:
    workspace.write("job.yaml", job("a"))
    assert workspace.run("apply", "--confirm", "prod").code == 3
    assert workspace.run("apply", "--confirm", "test").code == 0


# --- the emulator in CI -----------------------------------------------------------------------------------


@pytest.fixture
def local(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CI", "true")
    bare.targets = {"local": {"emulator": True}}
    bare.write_project(emulator=True)
    bare.write("job.yaml", job("a"))
    return bare


@pytest.mark.parametrize("verb", [["plan"], ["apply", "--yes"], ["status"]])
def test_in_ci_the_emulator_is_named(local: Workspace, verb: list[str]) -> None:
    ran = local.run(*verb)
    assert (ran.code, ran.out) == (3, "")
    assert "the default target 'test' is an emulator; in CI, select it explicitly with -t test" in ran.err
    assert local.run(*verb, "-t", "local").code == 0
    assert local.run("-t", "local", *verb).code == 0


@pytest.mark.parametrize(("value", "code"), [("1", 3), ("True", 3), ("", 0), ("0", 0), ("false", 0)])
def test_what_counts_as_ci(local: Workspace, monkeypatch: pytest.MonkeyPatch, value: str, code: int) -> None:
    monkeypatch.setenv("CI", value)
    assert local.run("plan").code == code


# --- requiredVersion --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("required", "says"),
    [
        (f">={__version__}", None),
        (f"=={__version__}", None),
        (">=0,<99", None),
        (">=99", f"this project requires deployer >=99; this is {__version__}"),
        ("<0.0.1", "this project requires deployer <0.0.1"),
        ("newest", "'requiredVersion' must be a version specifier, for example >=0.3,<2, got 'newest'"),
        (1.0, "'requiredVersion' must be a string, got the number 1.0"),
    ],
)
def test_the_version_that_a_project_asks_for(bare: Workspace, required: Any, says: str | None) -> None:
    path = bare.folder / "deployer.yaml"
    bare.write("deployer.yaml", yaml.safe_load(path.read_text()) | {"requiredVersion": required})
    bare.write("job.yaml", job("a"))
    ran = bare.run("validate")
    assert ran.code == (4 if says else 0)
    assert (says or "") in ran.err


def test_a_newer_project_file_is_not_picked_to_pieces(bare: Workspace) -> None:
    path = bare.folder / "deployer.yaml"
    newer = yaml.safe_load(path.read_text()) | {"requiredVersion": ">=99", "hooks": []}
    bare.write("deployer.yaml", newer)
    assert len(findings(bare.run("validate").err)) == 1


# --- enabled ----------------------------------------------------------------------------------------------


def test_a_disabled_manifest_is_as_if_it_were_not_there(workspace: Workspace) -> None:
    workspace.write("on.yaml", job("a"))
    workspace.write("off.yaml", "enabled: {{ beta }}\n" + yaml.safe_dump(job("b")))
    off, on = ("--set", "beta=false"), ("--set", "beta=true")
    assert [change["name"] for change in workspace.plan(*off)["changes"]] == ["a"]
    assert [change["name"] for change in workspace.plan(*on)["changes"]] == ["a", "b"]
    assert workspace.apply(*on).code == 0
    assert workspace.plan(*off)["changes"] == []
    assert yaml.safe_load(workspace.run("render", *off).out)["metadata"]["name"] == "a"


def test_a_disabled_manifest_is_checked_all_the_same(bare: Workspace) -> None:
    bare.write("off.yaml", job("b", enabled=False) | {"lifecycle": {"onChange": "x"}})
    assert bare.run("validate").code == 4
    bare.write("off.yaml", job("b", enabled="no"))
    assert "'enabled' must be true or false, got 'no'" in bare.run("validate").err


def test_nothing_depends_on_a_disabled_job(bare: Workspace) -> None:
    bare.write("jobs.yaml", [job("a", enabled=False), job("b", dependsOn=["a"])])
    ran = bare.run("validate")
    assert ran.code == 4
    assert "dependency not found: job 'a'; it is disabled" in ran.err


# --- where values come from -------------------------------------------------------------------------------


def test_origins(bare: Workspace) -> None:
    bare.write("common.yaml", "executors: 2\ndb: {host: h, port: 1}\n")
    bare.write("prod.yaml", "\ndb:\n  host: prod\n")
    bare.write_project(values=["common.yaml"])
    text = (bare.folder / "deployer.yaml").read_text()
    text += "defaults:\n  SparkBatch:\n    spec:\n      conf: {a: 1}\n"
    bare.write("deployer.yaml", text)
    line = text.count("\n")
    bare.write(
        "job.yaml",
        "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: j}\nspec:\n  file: f.py\n"
        "  queue: {{ queue }}\n  args: ['{{ db.host }}:{{ db.port }}', x]\n  numExecutors: {{ executors }}\n"
        "  jars: {{ db.keys() | list }}\n",
    )
    ran = bare.run("render", "--origins", "--set", "queue=q", "--values", "prod.yaml")
    assert ran.code == 0, ran.err
    shown = {line.split()[0]: line.split(maxsplit=2)[1:] for line in ran.out.splitlines()[1:]}
    assert shown["/kind"] == ['"SparkBatch"', "job.yaml:2:7"]
    assert shown["/metadata/name"] == ['"j"', "job.yaml:3:18"]
    assert shown["/spec/queue"] == ['"q"', "job.yaml:6:10; queue: --set queue"]
    assert shown["/spec/args/0"] == [
        '"prod:1"',
        "job.yaml:7:10; db.host: prod.yaml:3:9; db.port: common.yaml:2:21",
    ]
    assert shown["/spec/args/1"] == ['"x"', "job.yaml:7:41"]
    assert shown["/spec/numExecutors"] == ["2", "job.yaml:8:17; executors: common.yaml:1:12"]
    assert shown["/spec/jars/1"][1].startswith("job.yaml:9:9; db")
    assert shown["/spec/conf/a"] == [
        '"1"',
        f"deployer.yaml:{line}:17; default for the manifest at job.yaml:1",
    ]


def test_origins_of_an_instance(bare: Workspace) -> None:
    bare.write("job.yaml", "forEach: [a, b]\n" + yaml.safe_dump(job("x-{{ each }}")))
    ran = bare.run("render", "--origins")
    assert ran.out.count("instance each = b of forEach at job.yaml:1:1") > 3
