"""`exclude` in deployer.yaml: which files are no part of the project, and what is said of a glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.manifests.names import named_jobs
from deployer.model import Location
from deployer.project.exclude import glob_of
from deployer.project.load import load, manifest_files
from testing.workspace import SPECS, Workspace, findings, manifest

FILES = (
    *("a.yaml", "compose.yaml", "compose.prod.yml", "charts/x.yaml", "charts/templates/deep/y.yaml"),
    *("team/charts/z.yaml", "team/jobs/b.yaml", "team/jobs/test-b.yaml"),
)


def left(bare: Workspace, *globs: str) -> set[str]:
    bare.project["exclude"] = list(globs)
    bare.write_project()
    for file in FILES:
        bare.write(file, "")
    return set(FILES) - set(manifest_files(load(bare.folder), ()))


@pytest.mark.parametrize(
    ("glob", "excluded"),
    [
        ("charts", {"charts/x.yaml", "charts/templates/deep/y.yaml"}),
        ("charts/", {"charts/x.yaml", "charts/templates/deep/y.yaml"}),
        ("charts/**", {"charts/x.yaml", "charts/templates/deep/y.yaml"}),
        ("charts/*", {"charts/x.yaml", "charts/templates/deep/y.yaml"}),
        ("charts/*.yaml", {"charts/x.yaml"}),
        ("charts/**/*.yaml", {"charts/x.yaml", "charts/templates/deep/y.yaml"}),
        ("**/charts", {"charts/x.yaml", "charts/templates/deep/y.yaml", "team/charts/z.yaml"}),
        ("*/charts", {"team/charts/z.yaml"}),
        ("**/test-*.yaml", {"team/jobs/test-b.yaml"}),
        ("compose*.y*ml", {"compose.yaml", "compose.prod.yml"}),
        ("compose.yaml/", set()),
        ("chart", set()),
        ("x.yaml", set()),
        ("CHARTS", set()),
        ("[ct]*/**/[!x].yaml", {"charts/templates/deep/y.yaml", "team/charts/z.yaml", "team/jobs/b.yaml"}),
        ("**", set(FILES)),
    ],
)
def test_what_a_glob_excludes(bare: Workspace, glob: str, excluded: set[str]) -> None:
    assert left(bare, glob) == excluded


NAME = st.text("ab", min_size=1, max_size=3)
PART = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=3).filter(lambda text: text != "**"))


def matches(parts: list[str], names: list[str]) -> bool:
    """What a glob means, as it is documented."""
    if not parts:
        return not names
    if parts[0] == "**":
        return matches(parts[1:], names) or bool(names and matches(parts, names[1:]))
    return bool(names and fnmatchcase(names[0], parts[0]) and matches(parts[1:], names[1:]))


@given(st.lists(PART, min_size=1, max_size=5), st.lists(NAME, min_size=1, max_size=6))
def test_matching(parts: list[str], names: list[str]) -> None:
    glob = glob_of("/".join(parts), Location("deployer.yaml"))
    assert glob.matches(names) is matches(parts, names)


def test_a_hostile_glob_takes_no_long_time() -> None:
    glob = glob_of("/".join(["**", "*a*a*a*a*a*b"] * 80), Location("deployer.yaml"))
    assert not glob.matches(["a" * 200] * 300)


def test_other_yaml_of_a_repository_is_no_error(bare: Workspace) -> None:
    bare.write("jobs/a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    bare.write("charts/templates/deployment.yaml", "{{- if .Values.x }}\nkind: Deployment\n{{- end }}\n")
    bare.write("compose.yaml", "services: {}\n")
    assert bare.run("validate").code == 4
    bare.project["exclude"] = ["charts", "compose*.yaml"]
    bare.write_project()
    ran = bare.run("validate", "--strict")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Valid: 1 job for target test;")


def test_a_template_can_include_an_excluded_file(bare: Workspace) -> None:
    bare.project["exclude"] = ["parts"]
    bare.write_project()
    bare.write("parts/conf.yaml", "conf: {a: b}\n")
    text = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: a}\nspec:\n  file: f\n  queue: q\n"
    bare.write("a.yaml", text + '  {% include "parts/conf.yaml" %}\n')
    ran = bare.run("render")
    assert ran.code == 0, ran.err
    assert "a: b" in ran.out


def test_a_glob_that_excludes_nothing_is_a_warning(bare: Workspace) -> None:
    assert left(bare, "charts", "chart", "charts/x.yaml", ".github") == {
        "charts/x.yaml",
        "charts/templates/deep/y.yaml",
    }
    for file in FILES:
        (bare.folder / file).unlink()
    bare.write("charts/x.yaml", "")
    bare.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    ran = bare.run("validate")
    assert ran.code == 0
    text = (bare.folder / "deployer.yaml").read_text().splitlines()
    assert findings(ran.err) == [
        f"deployer.yaml:{text.index(f'- {glob}') + 1}:3: warning: '{glob}' excludes no YAML file and no folder "
        "that would be read"
        for glob in ("chart", "charts/x.yaml", ".github")
    ]
    assert bare.run("validate", "--strict").code == 4


@pytest.mark.parametrize(
    ("path", "glob"),
    [("charts", "**/charts"), ("charts/x.yaml", "**/charts"), ("team/../compose.yaml", "compose*.yaml")],
)
def test_an_excluded_path_is_an_error(bare: Workspace, path: str, glob: str) -> None:
    left(bare, "**/charts", "compose*.yaml")
    for verb in ("validate", "plan", "render", "status"):
        ran = bare.run(verb, path)
        assert (ran.code, ran.out) == (3, "")
        assert f"{path} is excluded by '{glob}' (deployer.yaml:" in ran.err


@pytest.mark.parametrize("path", ["team", "team/jobs/b.yaml", "."])
def test_another_path_is_none(bare: Workspace, path: str) -> None:
    left(bare, "**/charts", "compose*.yaml")
    assert "is excluded" not in bare.run("validate", path).err


@pytest.mark.parametrize(
    ("glob", "says"),
    [
        ("/charts", "relative to the folder of deployer.yaml"),
        ("../other", "relative to the folder of deployer.yaml"),
        ("a/../b", "relative to the folder of deployer.yaml"),
        ("./a", "relative to the folder of deployer.yaml"),
        ("a//b", "relative to the folder of deployer.yaml"),
        ("a\\b", "has / between folders"),
        ("!a", "cannot be negated"),
        ("", "must have at least 1 character"),
        (3, "must be a string"),
    ],
)
def test_an_invalid_glob(bare: Workspace, glob: str, says: str) -> None:
    bare.project["exclude"] = [glob]
    bare.write_project()
    ran = bare.run("validate")
    assert ran.code == 4
    assert says in ran.err


def test_completion_offers_no_job_of_an_excluded_file(bare: Workspace) -> None:
    for name in ("a", "old/b"):
        bare.write(f"{name}.yaml", manifest("SparkBatch", Path(name).name, SPECS["SparkBatch"]))
    bare.project["exclude"] = ["old"]
    bare.write_project()
    assert [job.name for job in named_jobs(bare.folder, None)] == ["a"]
