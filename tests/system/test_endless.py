"""Runs the real command on small files that ask for work without end; and on large projects, which are no such thing.

Each limit of a file is kept here: it is the run over all files, instances of forEach and targets that must end.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.workspace import ROOT, Workspace

FOLDER = ROOT / "tests" / "cases" / "hostile" / "endless"
HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\n"
GOOD = HEAD + "metadata: {name: NAME}\nspec: {file: a.py, queue: q}\n"
# What the command and its renderer may use together. Before, all of these needed minutes or gigabytes.
CPU_SECONDS = 60
MEMORY = 2 * 2**30

SMALL = [
    ("large-texts.yaml", "the rendered text of this run exceeds 128 MiB"),
    ("large-items.yaml", "the rendered text of this run exceeds 128 MiB"),
    ("computing.yaml", "the templates of this run exceed 10 s of CPU time"),
    ("many-values.yaml", "this run has more than 2000000 values after alias expansion and defaults"),
    ("many-problems.yaml", "this run has more than 20000 problems; the rest was not read"),
    ("wrong-values.yaml", "this run has more than 20000 problems; the rest was not checked"),
]


def validate(bare: Workspace, *options: str) -> Any:
    """What `validate` says, as its own process with little memory and time."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [sys.executable, "-m", "deployer", "validate", "--format", "json", *options],
        cwd=bare.folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode in (0, 4), ran.stderr[-500:]
    assert after.ru_utime - before.ru_utime < CPU_SECONDS
    return json.loads(ran.stdout)


def limit_of(result: Any) -> tuple[str, str]:
    """The only finding about a limit of the run: where, and what."""
    [found] = [finding for finding in result["findings"] if finding["code"] == "E025"]
    return f"{found['file']}:{found['line']}:{found['column']}", found["message"]


def project(**more: Any) -> str:
    """A project file with an emulator, written fast."""
    head = {"apiVersion": "deployer/v1", "kind": "Project", "metadata": {"name": "p"}}
    return json.dumps({**head, "targets": {"t": {"emulator": True}}, **more})


@pytest.mark.slow
@pytest.mark.parametrize(("file", "words"), SMALL)
def test_a_small_file_ends_in_one_error(bare: Workspace, file: str, words: str) -> None:
    text = (FOLDER / file).read_text()
    assert len(text) < 400
    bare.write(file, text)
    location, message = limit_of(validate(bare))
    assert message.startswith(words)
    assert location.startswith(f"{file}:")
    assert not location.endswith("None")


def test_every_case_is_run() -> None:
    assert {file for file, _ in SMALL} == {path.name for path in FOLDER.iterdir()}


def test_many_files_with_for_each(bare: Workspace) -> None:
    text = HEAD + "forEach: {{ range(10000) | list }}\nmetadata: {name: 'x-{{ each }}'}\n"
    for number in range(11):
        bare.write(f"{number:02}.yaml", text)
    location, message = limit_of(validate(bare))
    assert location == "10.yaml:3:1"
    assert message == "this run has more than 100000 forEach instances; the rest was not read"


@pytest.mark.slow
def test_many_values_files(bare: Workspace) -> None:
    for number in range(22):
        bare.write(f"v{number:02}.yaml", f"v{number}: [{'1,' * 95_000}]\n")
    names = [f"v{number:02}.yaml" for number in range(22)]
    bare.write("deployer.yaml", project(values=names))
    bare.write("a.yaml", GOOD)
    location, message = limit_of(validate(bare))
    assert location == "v21.yaml:1:1"
    assert message.startswith("this run has more than 2000000 values")


def test_many_targets(bare: Workspace) -> None:
    targets = {f"t{number}": {"emulator": True} for number in range(20_000)}
    bare.write("deployer.yaml", project(targets=targets, defaultTarget="t0"))
    bare.write("a.yaml", GOOD)
    [found] = validate(bare)["findings"]
    assert found["message"] == "'targets' must have at most 100 entries, got 20000"
    assert (found["file"], found["line"]) == ("deployer.yaml", 1)


def test_targets_with_large_defaults(bare: Workspace) -> None:
    """Each target used to read the defaults of all others."""
    conf = {f"k{number}": "a" for number in range(300)}
    targets = {
        f"t{number}": {"emulator": True, "defaults": {"SparkBatch": {"spec": {"conf": conf}}}}
        for number in range(100)
    }
    bare.write("deployer.yaml", project(targets=targets))
    bare.write("a.yaml", GOOD)
    assert len(validate(bare, "--all-targets")["targets"]) == 100


@pytest.mark.slow
def test_all_targets_share_one_budget(bare: Workspace) -> None:
    targets = {f"t{number:02}": {"emulator": True} for number in range(100)}
    bare.write("deployer.yaml", project(targets=targets))
    bare.write(
        "a.yaml", HEAD + "forEach: {{ range(10000) | list }}\nmetadata: {name: '{{ each }}'}\nspec: 1\n"
    )
    result = validate(bare, "--all-targets")
    location, message = limit_of(result)
    assert location == "a.yaml:1:1"
    assert message == "this run has more than 100000 manifests; the rest was not read"
    assert len(result["targets"]) == 10


def test_a_large_default_in_a_mapping_of_the_manifest(bare: Workspace) -> None:
    """Each of its keys used to search the locations of all others."""
    conf = {f"k{number}": "a" for number in range(20_000)}
    bare.write("deployer.yaml", project(defaults={"SparkBatch": {"spec": {"conf": conf}}}))
    bare.write("a.yaml", HEAD + "metadata: {name: a}\nspec: {file: a.py, queue: q, conf: {z: 1}}\n")
    assert validate(bare)["valid"]


@pytest.mark.slow
def test_a_large_default_in_many_manifests(bare: Workspace) -> None:
    conf = {f"k{number}": "a" for number in range(2000)}
    bare.write("deployer.yaml", project(defaults={"SparkBatch": {"spec": {"conf": conf}}}))
    bare.write("a.yaml", "---\n".join(GOOD.replace("NAME", f"n{number}") for number in range(1100)))
    location, message = limit_of(validate(bare))
    assert location.startswith("a.yaml:")
    assert message.startswith("this run has more than 2000000 values")


@pytest.mark.slow
def test_many_unknown_dependencies(bare: Workspace) -> None:
    """Each used to be compared with the name of every job, and to list all of them."""
    jobs = [
        GOOD.replace("NAME", f"job-number-{number}") + f"dependsOn: [job-numbre-{number}]\n"
        for number in range(5000)
    ]
    bare.write("a.yaml", "---\n".join(jobs))
    found = validate(bare)["findings"]
    assert found[0]["message"].startswith(
        "dependency not found: job 'job-numbre-0'; did you mean 'job-number-"
    )
    assert max(len(finding["message"]) for finding in found) < 200


# --- what is only large -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_large_project_is_none_of_these(bare: Workspace, tmp_path: Path) -> None:
    """10,000 jobs of forEach, and 5,000 documents in one file."""
    for number in range(5):
        text = yaml.safe_dump(
            {
                "apiVersion": "deployer/v1",
                "kind": "SparkBatch",
                "metadata": {"name": f"n{number}-{{{{ each }}}}"},
                "spec": {
                    "file": "a.py",
                    "queue": "q",
                    "args": ["{{ each }}"] * 10,
                    "conf": {"a": "{{ each }}"},
                },
            }
        )
        bare.write(f"{number}.yaml", f"forEach: {{{{ range(2000) | list }}}}\n{text}")
    bare.write("all.yaml", "---\n".join(GOOD.replace("NAME", f"all-{number}") for number in range(5000)))
    result = validate(bare)
    assert result["valid"], result["findings"][:3]
    assert result["jobs"] == 15_000
