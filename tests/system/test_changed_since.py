"""--changed-since: the jobs whose rendered manifests differ from those of a commit, in real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.workspace import SPECS, Workspace, manifest

AUTHOR = (
    "-c",
    "user.name=somebody",
    "-c",
    "user.email=somebody@example.com",
    "-c",
    "protocol.file.allow=always",
)


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ran = subprocess.run(
        ["git", *AUTHOR, *arguments],
        cwd=folder,
        env=environment | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def commit(folder: Path, message: str = "change") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def job(name: str, **more: Any) -> dict[str, Any]:
    return manifest("SparkBatch", name, SPECS["SparkBatch"], **more)


def text(name: str, **spec: Any) -> str:
    return yaml.safe_dump(manifest("SparkBatch", name, {**SPECS["SparkBatch"], **spec}))


@pytest.fixture
def repository(workspace: Workspace) -> Workspace:
    """A project with three jobs and their values, committed in `main`, on a branch of its own."""
    workspace.project = {"values": ["values.yaml"]}
    workspace.write_project()
    workspace.write("values.yaml", {"memory": "2G", "other": 1})
    workspace.write("_part.j2", "numExecutors: 2\n")
    workspace.write("a.yaml", text("a").replace("  queue: q", "  queue: q\n  executorMemory: {{ memory }}"))
    workspace.write("b.yaml", text("b").replace("  queue: q", '  queue: q\n  {% include "_part.j2" %}'))
    workspace.write("c.yaml", text("c"))
    git(workspace.folder, "init", "-q", "-b", "main")
    commit(workspace.folder)
    git(workspace.folder, "checkout", "-q", "-b", "work")
    return workspace


def planned(repository: Workspace, *options: str) -> list[str]:
    plan = repository.plan("--changed-since", "main", *options)
    return [change["name"] for change in plan["changes"]]


# --- what counts as a change ------------------------------------------------------------------------------


def test_nothing_has_changed(repository: Workspace) -> None:
    ran = repository.run("plan", "--changed-since", "main", "--detailed-exitcode")
    assert ran.code == 0
    assert "0 of 3 jobs changed since main (" in ran.out.splitlines()[0]
    assert ran.out.splitlines()[-1] == "Plan for test: no changes."


def test_a_field_committed_or_not(repository: Workspace) -> None:
    repository.write("c.yaml", text("c", args=["x"]))
    assert planned(repository) == ["c"]
    commit(repository.folder)
    assert planned(repository) == ["c"]


@pytest.mark.parametrize(
    ("file", "content", "names"),
    [
        ("values.yaml", {"memory": "4G", "other": 1}, ["a"]),
        ("values.yaml", {"memory": "2G", "other": 2}, []),
        ("_part.j2", "numExecutors: 3\n", ["b"]),
        ("_part.j2", "numExecutors:   2\n", []),
        ("c.yaml", "# A comment.\n" + text("c"), []),
        ("c.yaml", text("c") + "lifecycle: {protect: true}\n", ["c"]),
        ("c.yaml", text("c") + "dependsOn: [a]\n", ["c"]),
        ("c.yaml", text("c", conf={}), ["c"]),
        ("d.yaml", text("d"), ["d"]),
        ("notes.txt", "text", []),
    ],
)
def test_includes_and_values_are_followed(
    repository: Workspace, file: str, content: Any, names: list[str]
) -> None:
    repository.write(file, content)
    assert planned(repository) == names


def test_defaults_of_the_project_file(repository: Workspace) -> None:
    repository.project["defaults"] = {"SparkBatch": {"spec": {"driverCores": 2}}}
    repository.write_project()
    assert planned(repository) == ["a", "b", "c"]


def test_what_python_calls_equal(repository: Workspace) -> None:
    repository.write("c.yaml", manifest("MrsJob", "c", {**SPECS["MrsJob"], "properties": {"a": 1}}))
    commit(repository.folder)
    git(repository.folder, "branch", "-f", "main")
    repository.write("c.yaml", manifest("MrsJob", "c", {**SPECS["MrsJob"], "properties": {"a": True}}))
    assert planned(repository) == ["c"]


def test_a_renamed_file_and_a_moved_document_are_no_change(repository: Workspace) -> None:
    git(repository.folder, "mv", "a.yaml", "z.yaml")
    (repository.folder / "c.yaml").unlink()
    repository.write("both.yaml", text("c") + "---\n" + text("d"))
    assert planned(repository) == ["d"]


def test_removed_jobs_are_named(repository: Workspace) -> None:
    (repository.folder / "c.yaml").unlink()
    repository.write("b.yaml", "enabled: false\n" + text("b"))
    ran = repository.run("plan", "--changed-since", "main")
    assert ran.code == 0
    assert "0 of 1 job changed since main" in ran.out
    says = "note: without a manifest since then, and not selected: SparkBatch b in q (disabled), SparkBatch c in q"
    assert says in ran.err.splitlines()


def test_the_other_branch_went_on(repository: Workspace) -> None:
    git(repository.folder, "checkout", "-q", "main")
    repository.write("a.yaml", text("a", args=["from main"]))
    commit(repository.folder)
    git(repository.folder, "checkout", "-q", "work")
    repository.write("c.yaml", text("c", args=["from work"]))
    commit(repository.folder)
    assert planned(repository) == ["c"]


def test_a_secret_counts_by_its_name(repository: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.project["secrets"] = {"ONE": {}, "TWO": {}}
    repository.write_project()
    with_secret = text("c", conf={"password": "SECRET"})
    repository.write("c.yaml", with_secret.replace("SECRET", "{{ secret('ONE') }}"))
    commit(repository.folder)
    git(repository.folder, "branch", "-f", "main")
    monkeypatch.setenv("DEPLOYER_SECRET_ONE", "another value than before")
    assert planned(repository) == []
    repository.write("c.yaml", with_secret.replace("SECRET", "{{ secret('TWO') }}"))
    assert planned(repository) == ["c"]


def test_a_project_in_a_folder_of_the_repository(repository: Workspace, tmp_path: Path) -> None:
    top = tmp_path / "top"
    inner = top / "teams" / "orders"
    shutil.copytree(repository.folder, inner, ignore=shutil.ignore_patterns(".git", ".deployer"))
    (top / "shared.yaml").write_text("memory: 8G\n")
    git(top, "init", "-q", "-b", "main")
    commit(top)
    moved = Workspace(inner, repository.capture, repository.url, project=repository.project)
    assert planned(moved) == []
    assert planned(moved, "--values", "../../shared.yaml") == []
    # A values file of the command line is that of the commit, too.
    (top / "shared.yaml").write_text("memory: 9G\n")
    assert planned(moved, "--values", "../../shared.yaml") == ["a"]
    outside = tmp_path / "ci.yaml"
    outside.write_text("memory: 16G\n")
    assert planned(moved, "--values", str(outside)) == []
    assert planned(moved, "--set", "memory=32G") == []


# --- with other options -----------------------------------------------------------------------------------


def test_with_select_and_path_it_is_what_all_of_them_select(repository: Workspace) -> None:
    for name in "abc":
        repository.write(f"{name}.yaml", text(name, args=["x"]))
    commit(repository.folder)
    assert planned(repository) == ["a", "b", "c"]
    assert planned(repository, "--select", "name=b") == ["b"]
    assert planned(repository, "a.yaml", "c.yaml") == ["a", "c"]
    assert repository.run("plan", "a.yaml", "--select", "name=c", "--changed-since", "main").code == 3
    assert planned(repository, "a.yaml", "--set", "memory=3G") == ["a"]


def test_reports_say_what_is_selected(repository: Workspace) -> None:
    repository.write("c.yaml", text("c", args=["x"]))
    base = git(repository.folder, "rev-parse", "main")
    words = f"1 of 3 jobs changed since main ({base[:12]})"
    assert words in repository.run("plan", "--changed-since", "main").out.splitlines()[0]
    assert words in repository.run("plan", "--changed-since", "main", "--format", "markdown").out
    assert repository.plan("--changed-since", "main")["scope"]["selection"] == words
    assert "selection" not in repository.plan()["scope"]


def test_render_and_validate(repository: Workspace) -> None:
    repository.write("old.yaml", manifest("SparkSession", "old", SPECS["SparkSession"]))
    commit(repository.folder)
    git(repository.folder, "branch", "-f", "main")
    repository.write("c.yaml", text("c", args=["x"]))
    ran = repository.run("render", "--changed-since", "main")
    assert ran.out.count("kind: SparkBatch") == 1
    # A warning about a file that nobody changed is no news; one about a changed one is.
    assert "0 warnings" in repository.run("validate", "--changed-since", "main").out
    repository.write("new.yaml", manifest("SparkSession", "new", SPECS["SparkSession"]))
    assert "1 warning." in repository.run("validate", "--changed-since", "main").out
    repository.write("a.yaml", "kind: SparkBatch\n")
    ran = repository.run("validate", "--changed-since", "main")
    assert ran.code == 4
    assert "a.yaml:1:1" in ran.err


def test_apply_submits_only_what_changed(repository: Workspace) -> None:
    repository.write("c.yaml", text("c", args=["x"]))
    ran = repository.apply("--changed-since", "main")
    assert ran.code == 0, ran.err
    left = [change["name"] for change in repository.plan()["changes"]]
    assert left == ["a", "b"]


def test_several_targets(repository: Workspace) -> None:
    repository.targets = {"local": {"emulator": True}}
    repository.write_project()
    commit(repository.folder)
    repository.write("c.yaml", text("c", args=["x"]))
    plans = repository.plan("--changed-since", "HEAD", "--all-targets")["results"]
    assert [[change["name"] for change in each["plan"]["changes"]] for each in plans] == [["c"], ["c"]]


def test_a_saved_plan_holds_the_commit(repository: Workspace) -> None:
    base = git(repository.folder, "rev-parse", "main")
    repository.write("c.yaml", text("c", args=["x"]))
    commit(repository.folder)
    file = str(repository.folder / "plan.json")
    assert repository.run("plan", "--changed-since", "main", "--out", file).code == 0
    # After the merge, nothing differs from main any more.
    git(repository.folder, "branch", "-f", "main")
    ran = repository.apply("--plan", file, "--changed-since", "main")
    assert ran.code == 3
    assert "the commit of --changed-since is read from the plan" in ran.err
    ran = repository.apply("--plan", file)
    assert ran.code == 0, ran.err
    assert f"1 of 3 jobs changed since {base[:12]})" in ran.out
    assert [change["name"] for change in repository.plan()["changes"]] == ["a", "b"]


@pytest.mark.parametrize("commit_id", ["main", "--output=x", "A" * 40, "f" * 41, ""])
def test_a_saved_plan_cannot_name_anything_but_a_commit(repository: Workspace, commit_id: str) -> None:
    file = repository.folder / "plan.json"
    assert repository.run("plan", "--changed-since", "main", "--out", str(file)).code == 0
    text_of = file.read_text()
    base = git(repository.folder, "rev-parse", "main")
    file.write_text(text_of.replace(f'"{base}"', f'"{commit_id}"'))
    ran = repository.apply("--plan", str(file))
    assert ran.code == 4
    assert "/inputs/changed_since" in ran.err


# --- what cannot be compared ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("a.yaml", "kind: Spark\n", "has invalid manifests (a.yaml:1:7: unknown kind 'Spark'"),
        ("values.yaml", "a: [\n", "has invalid manifests (values.yaml:"),
        ("deployer.yaml", "kind: Project\n", "has invalid manifests (deployer.yaml:1:1: "),
    ],
)
def test_a_commit_that_does_not_render(repository: Workspace, file: str, content: str, why: str) -> None:
    good = (repository.folder / file).read_bytes()
    repository.write(file, content)
    broken = commit(repository.folder)
    repository.write(file, good)
    ran = repository.run("plan", "--changed-since", broken)
    assert ran.code == 0
    assert f"warning: --changed-since: all jobs count as changed: {broken[:12]} {why}" in ran.err
    assert "3 to create" in ran.out


def test_a_commit_without_the_project_or_with_another_target(repository: Workspace) -> None:
    first = git(repository.folder, "rev-parse", "main")
    git(repository.folder, "checkout", "-q", "--orphan", "empty")
    git(repository.folder, "rm", "-rfq", "--cached", ".")
    git(repository.folder, "commit", "-q", "--allow-empty", "-m", "empty")
    ran = repository.run("plan", "--changed-since", "HEAD")
    assert "does not have this project" in ran.err
    assert "3 to create" in ran.out
    ran = repository.run("plan", "--changed-since", first)
    assert (ran.code, ran.out) == (3, "")
    assert "has no common commit with what is checked out; their histories are unrelated" in ran.err


def test_a_target_at_another_place(repository: Workspace) -> None:
    repository.write_project(projectId="another")
    ran = repository.run("plan", "--changed-since", "main")
    assert "all jobs count as changed: the target is another place in " in ran.err
    assert "3 of 3 jobs changed" in ran.out
    repository.targets = {"new": {"emulator": True}}
    repository.write_project()
    ran = repository.run("plan", "--changed-since", "main", "-t", "new")
    assert "unknown target 'new'" in ran.err
    assert "3 to create" in ran.out


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("origin/main", "--changed-since origin/main: no such revision"),
        ("mian", "no such revision; did you mean 'main'?"),
        ("", "expected a branch, a tag or a commit"),
        ("a\nb", "expected a branch, a tag or a commit"),
        ("main..work", "no such revision"),
        ("HEAD:a.yaml", "no such revision"),
        ("--help", "no such revision"),
        ("--output=written", "no such revision"),
        ("--exec=touch written", "no such revision"),
        ("-c core.pager=touch", "no such revision"),
        ("$(touch written)", "no such revision"),
        ("x\u202e\u001b[31m", "expected a branch, a tag or a commit"),
    ],
)
def test_revisions_that_are_none(repository: Workspace, revision: str, says: str) -> None:
    for verb in (["plan"], ["apply", "--yes"], ["validate"], ["render"]):
        ran = repository.run(*verb, f"--changed-since={revision}")
        assert (ran.code, ran.out) == (3, "")
        assert says in ran.err
        assert "\u202e" not in ran.err
    assert not (repository.folder / "written").exists()


def test_a_shallow_clone(repository: Workspace, tmp_path: Path) -> None:
    repository.write("c.yaml", text("c", args=["x"]))
    commit(repository.folder)
    shallow = tmp_path / "shallow"
    git(
        tmp_path,
        "clone",
        "-q",
        "--depth",
        "1",
        "--no-single-branch",
        repository.folder.as_uri(),
        str(shallow),
    )
    git(shallow, "checkout", "-q", "work")
    clone = Workspace(shallow, repository.capture, repository.url, project=repository.project)
    for revision, says in (("origin/main", "has no common commit"), ("main~1", "no such revision")):
        ran = clone.run("plan", "--changed-since", revision)
        assert (ran.code, ran.out) == (3, "")
        assert says in ran.err
        assert "fetch-depth: 0" in ran.err


def test_without_a_repository(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.write("a.yaml", job("a"))
    ran = workspace.run("plan", "--changed-since", "main")
    assert ran.code == 3
    assert "is not in the work tree of a git repository" in ran.err
    git(workspace.folder, "init", "-q")
    ran = workspace.run("plan", "--changed-since", "HEAD")
    assert ran.code == 3
    monkeypatch.setenv("PATH", "")
    ran = workspace.run("plan", "--changed-since", "main")
    assert ran.code == 3
    assert "needs git, which was not found on PATH" in ran.err


# --- hostile repositories ---------------------------------------------------------------------------------


def with_filter(folder: Path) -> None:
    """A smudge filter that the repository's own configuration knows."""
    (folder / ".gitattributes").write_text("*.yaml filter=mark diff=mark\n")
    for command in ("filter.mark.smudge", "filter.mark.clean", "diff.mark.textconv"):
        git(folder, "config", command, "touch written; cat")


def with_hooks(folder: Path) -> None:
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        path = folder / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\ntouch written\n")
        path.chmod(0o755)


def with_monitor(folder: Path) -> None:
    git(folder, "config", "core.fsmonitor", "touch written; false")


@pytest.mark.parametrize("prepare", [with_filter, with_hooks, with_monitor])
def test_no_program_of_the_repository_runs(repository: Workspace, prepare: Callable[[Path], None]) -> None:
    prepare(repository.folder)
    commit(repository.folder)
    (repository.folder / "written").unlink(missing_ok=True)
    before = sorted(path for path in repository.folder.rglob("*") if ".deployer" not in path.parts)
    repository.write("c.yaml", text("c", args=["x"]))
    assert planned(repository, "--set", "memory=2G") == ["c"]
    after = sorted(path for path in repository.folder.rglob("*") if ".deployer" not in path.parts)
    assert not (repository.folder / "written").exists()
    assert after == before


def test_nothing_of_the_commit_is_left(
    repository: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    repository.write("c.yaml", text("c", args=["x"]))
    assert planned(repository) == ["c"]
    assert list(temporary.iterdir()) == []


def test_links_of_the_commit_lead_nowhere(repository: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text(text("stolen"))
    (repository.folder / "link.yaml").symlink_to(outside / "secret.yaml")
    (repository.folder / "folder").symlink_to(outside)
    linked = commit(repository.folder)
    (repository.folder / "link.yaml").unlink()
    (repository.folder / "folder").unlink()
    ran = repository.run("plan", "--changed-since", linked)
    assert ran.code == 0
    assert "link.yaml: is outside the project folder" in ran.err
    assert "stolen" not in ran.out + ran.err
    assert sorted(path.name for path in outside.iterdir()) == ["secret.yaml"]


def test_a_tree_that_git_would_not_check_out(repository: Workspace) -> None:
    """Names that lead out of the folder, and a file below a link of the same name."""
    folder = repository.folder
    blob = git(folder, "rev-parse", "HEAD:c.yaml")
    (folder / "target").write_text("../..")
    link = git(folder, "hash-object", "-w", "target")
    (folder / "target").unlink()

    def tree(*entries: tuple[str, str, str]) -> str:
        content = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(identifier)
            for mode, name, identifier in entries
        )
        (folder / "tree").write_bytes(content)
        found = git(folder, "hash-object", "-t", "tree", "-w", "--literally", "tree")
        (folder / "tree").unlink()
        return found

    escaped = "escaped-by-the-tests.yaml"
    up = tree(("100644", escaped, blob))
    top = tree(
        ("100644", "deployer.yaml", git(folder, "rev-parse", "HEAD:deployer.yaml")),
        ("100644", "values.yaml", git(folder, "rev-parse", "HEAD:values.yaml")),
        ("40000", "..", up),
        ("120000", "d", link),
        ("40000", "d", up),
    )
    hostile = git(folder, "commit-tree", top, "-p", "HEAD", "-m", "hostile")
    git(folder, "update-ref", "refs/heads/work", hostile)
    ran = repository.run("plan", "--changed-since", hostile)
    assert ran.code in {0, 1}
    temporary = Path(os.path.realpath(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108 - looks, writes nothing
    assert not (temporary / escaped).exists()
    assert not (temporary.parent / escaped).exists()
    assert not (folder.parent / escaped).exists()
