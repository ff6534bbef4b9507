"""The names that completion offers: of what can be read, without checks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.manifests.names import MAX_RENDERED, NamedJob, named_jobs, targets
from deployer.manifests.read import read
from deployer.project.load import load, manifest_files
from deployer.project.values import template_values, value_layers
from testing.workspace import ROOT

PROJECT = """\
apiVersion: deployer/v1
kind: Project
metadata: {name: shop}
defaultTarget: test
values: [values.yaml]
targets:
  test: {emulator: true}
  prod:
    region: cn-north-4
    values: [prod.yaml]
"""
BATCH = "apiVersion: deployer/v1\nkind: SparkBatch\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "deployer.yaml").write_text(PROJECT)
    (tmp_path / "values.yaml").write_text("env: test\n")
    (tmp_path / "prod.yaml").write_text("env: prod\n")
    return tmp_path


def names(folder: Path, target: str | None = None, *settings: str) -> list[str]:
    return [job.name for job in named_jobs(folder, target, (), settings)]


@pytest.mark.parametrize(
    "text",
    [
        "metadata: {name: daily, labels: {team: orders}}\nspec: {queue: '{{ q }}'}\n",
        "metadata:\n  # of the team\n  name: daily\n\n  labels:\n    team: orders\nspec: [{{ broken\n",
        "metadata: {\n  name: 'daily',\n  labels: {team: orders}\n}\n",
        "spec: {className: {{ undefined }} }\n'metadata':\n    labels: {team: orders, tier: 3}\n    name: \"daily\"",
    ],
)
def test_the_head_of_a_manifest_is_read_without_the_rest(shop: Path, text: str) -> None:
    (shop / "daily.yaml").write_text(BATCH + text)
    assert [*named_jobs(shop, None)] == [NamedJob("SparkBatch", "daily", {"team": "orders"})]


@pytest.mark.parametrize(
    ("target", "settings", "name"),
    [(None, (), "daily-test"), ("prod", (), "daily-prod"), ("prod", ("env=mine",), "daily-mine")],
)
def test_a_name_with_a_template_is_rendered(
    shop: Path, target: str | None, settings: tuple[str, ...], name: str
) -> None:
    (shop / "daily.yaml").write_text(BATCH + 'metadata: {name: "daily-{{ env }}"}\n')
    (shop / "plain.yaml").write_text(BATCH + "metadata: {name: plain}\n")
    assert names(shop, target, *settings) == ["plain", name]


def test_values_of_the_command_line_are_no_manifest(shop: Path) -> None:
    (shop / "mine.yaml").write_text("env: mine\nkind: SparkBatch\nmetadata: {name: no-job}\n")
    (shop / "daily.yaml").write_text(BATCH + 'metadata: {name: "daily-{{ env }}"}\n')
    assert [job.name for job in named_jobs(shop, "prod", ["mine.yaml"])] == ["daily-mine"]


def test_instances_have_names_of_their_own(shop: Path) -> None:
    (shop / "load.yaml").write_text(
        f"{BATCH}forEach: [orders, stock]\nmetadata: {{name: 'load-{{{{ each }}}}'}}\n"
    )
    assert names(shop) == ["load-orders", "load-stock"]


def test_many_names_are_not_rendered(shop: Path) -> None:
    for number in range(MAX_RENDERED + 1):
        (shop / f"{number}.yaml").write_text(BATCH + f'metadata: {{name: "{{{{ env }}}}{number}"}}\n')
    (shop / "plain.yaml").write_text(BATCH + "metadata: {name: plain}\n")
    assert names(shop) == ["plain"]


@pytest.mark.parametrize("project", ["targets: [", "apiVersion: deployer/v9\n", "", "- 1\n", "\x00", b"\xff"])
def test_a_broken_project_has_the_names_without_templates(shop: Path, project: str | bytes) -> None:
    (shop / "deployer.yaml").write_bytes(project if isinstance(project, bytes) else project.encode())
    (shop / "daily.yaml").write_text(
        BATCH + "metadata: {name: daily}\n---\n" + BATCH + "metadata: {name: x}\n"
    )
    (shop / "late.yaml").write_text(BATCH + 'metadata: {name: "late-{{ env }}"}\n')
    assert names(shop) == ["daily", "x"]


@pytest.mark.parametrize(
    "text",
    [
        "metadata: [\n",
        "metadata: {name: [daily]}\n",
        "metadata: daily\n",
        "",
        "metadata: {name: *anchor}\n",
        "metadata: {name: daily}\nkind: [a]\n",
        'metadata: {name: "{{ 1 / 0 }}"}\n',
        'metadata: {name: "{% for i in range(10 ** 9) %}{% for j in range(10 ** 9) %}{% endfor %}{% endfor %}"}\n',
    ],
)
def test_a_broken_manifest_has_no_name(shop: Path, text: str) -> None:
    (shop / "broken.yaml").write_text(("" if "kind:" in text else BATCH) + text)
    (shop / "fine.yaml").write_text(BATCH + "metadata: {name: fine}\n")
    assert names(shop) == ["fine"]


def test_nothing_but_files_of_the_project_is_read(
    shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "other.yaml"
    outside.write_text(BATCH + "metadata: {name: outside}\n")
    (shop / "link.yaml").symlink_to(outside)
    os.mkfifo(shop / "pipe.yaml")
    (shop / "_part.yaml").write_text(BATCH + "metadata: {name: part}\n")
    assert names(shop) == []


def test_the_example_has_the_names_that_it_deploys() -> None:
    folder = ROOT / "jobs"
    project = load(folder)
    target = project.target(None)
    values = template_values(project, target, value_layers(project, target, (), ()))
    manifests = read(project, target, manifest_files(project, ()), values).manifests
    rendered = {manifest.document.value["metadata"]["name"] for manifest in manifests}
    assert {job.name for job in named_jobs(folder, None)} == rendered
    assert len(rendered) > 5


@pytest.mark.parametrize(
    "text",
    [
        PROJECT,
        PROJECT + "values: [\n",
        PROJECT.replace("metadata: {", "metadata: {{"),
        "x: &prod {region: cn-north-4}\ntargets: {test: {emulator: true}, prod: *prod}\n",
    ],
)
def test_targets(shop: Path, text: str) -> None:
    (shop / "deployer.yaml").write_text(text)
    found = targets(shop)
    assert [*found] == ["test", "prod"]
    assert (found["test"]["emulator"], found["prod"]["region"]) == (True, "cn-north-4")


@pytest.mark.parametrize("text", ["", "targets: [a]\n", "targets: {a: b", "targets:\n", "[]", "\x00"])
def test_no_targets(shop: Path, text: str) -> None:
    (shop / "deployer.yaml").write_text(text)
    assert targets(shop) == {}
