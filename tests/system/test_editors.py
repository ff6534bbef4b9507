"""What an editor shows: yaml-language-server reads the manifests of init, of the example project and of the docs.

Skipped where it is not installed: `make editors` installs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.manifests import scaffold
from deployer.project.load import load, manifest_files
from testing.language_server import LanguageServer, is_installed
from testing.workspace import ROOT

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="run 'make editors' to install the language server"
)

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: a}\n"
MODELINE = re.compile(r"^# yaml-language-server: .*\n", re.MULTILINE)


def settings_of(folder: Path) -> Any:
    return json.loads((folder / scaffold.VSCODE_SETTINGS).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def jobs() -> Iterator[LanguageServer]:
    folder = ROOT / "jobs"
    with LanguageServer(folder, settings_of(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """A server in a project that `init` wrote, with the settings that it wrote for VS Code."""
    folder = tmp_path_factory.mktemp("new")
    scaffold.write(folder, scaffold.files("new", list(KINDS), "github"))
    with LanguageServer(folder, settings_of(folder)) as server:
        yield server


def files(folder: Path) -> list[str]:
    return ["deployer.yaml", *manifest_files(load(folder), ())]


def text_of(server: LanguageServer, file: str) -> str:
    return (server.folder / file).read_text(encoding="utf-8")


def columns(text: str) -> tuple[str, int, int]:
    """The text without its `|`, and the line and column of that."""
    before, _, after = text.partition("|")
    return before + after, before.count("\n") + 1, len(before) - before.rfind("\n")


# --- no false error ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", files(ROOT / "jobs"))
def test_the_example_project_has_no_error(jobs: LanguageServer, file: str) -> None:
    assert jobs.open(file) == []
    # Each document is read with the schema: an error in the last one is seen, by the first line or the settings.
    text = text_of(jobs, file) + "dependOn: []\n"
    assert text.count("yaml-language-server") == text.count("apiVersion: ")
    for wrong in (text, MODELINE.sub("", text)):
        assert [error for error in jobs.open(file, wrong) if "dependOn" in error]


def test_what_init_writes_has_no_error(new: LanguageServer) -> None:
    found = files(new.folder)
    assert len(found) == 1 + len(KINDS)
    for file in [*found, *scaffold.VALUES_FILES, ".github/workflows/deployer.yml"]:
        assert new.open(file) == []
    for file in found:
        text = text_of(new, file)
        assert MODELINE.match(text)
        assert new.open(file, text + "dependOn: []\n") != []
        # The settings of VS Code alone do the same, as for a new file.
        plain = MODELINE.sub("", text)
        assert new.open(file, plain) == []
        assert new.open(file, plain + "dependOn: []\n") != []


@pytest.mark.parametrize(
    ("file", "is_manifest"),
    [
        ("a.yaml", True),
        ("team/deep/b.yml", True),
        ("valuesx.yaml", True),
        ("my_a.yaml", True),
        ("values/common.yaml", False),
        ("values/deep/a.yaml", False),
        ("_parts/a.yaml", False),
        ("spark/_a.yaml", False),
        (".gitlab-ci.yml", False),
        (".github/workflows/deployer.yml", False),
    ],
)
def test_vs_code_takes_the_files_for_manifests_that_are(
    new: LanguageServer, file: str, is_manifest: bool
) -> None:
    assert (new.open(file, "other: 1\n") != []) is is_manifest


def blocks() -> Iterator[tuple[str, str, str]]:
    """The documents in the YAML blocks of the pages, each as `deployer.yaml` or as a manifest."""
    for page in PAGES:
        for number, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        ):
            file = "deployer.yaml" if re.search(r"^kind: Project$", block, re.MULTILINE) else "page.yaml"
            yield f"{page.relative_to(ROOT)} {number}", file, block


@pytest.mark.parametrize(
    ("file", "block"), [pytest.param(file, block, id=name) for name, file, block in blocks()]
)
def test_a_block_of_the_docs_has_no_error(new: LanguageServer, file: str, block: str) -> None:
    text = MODELINE.sub("", block)
    if not re.search(r"^apiVersion: deployer/", text, re.MULTILINE):
        # A part of a manifest or of another file: it is YAML at least.
        file = "values/part.yaml"
    assert new.open(file, text) == []


TEMPLATES = """\
# {% for region in regions %}
forEach: {{ regions }}
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: stock-{{ region }}
  labels: {{ labels }}
enabled: {{ enabled }}
spec:
  file: obs://{{ bucket }}/jobs/stock.py
  queue: {{ queue }}
  sc_type: {{ preset }}
  feature: "{{ sizes['feature'] }}"
  numExecutors: {{ executors }}
  driverCores: "{{ sizes['cores'] | default(2) }}"
  driverMemory: "{{ sizes.memory }}G"
  executorMemory: {{ memory }}
  auto_recovery: "{{ recover }}"
  args: {{ arguments }}
  jars: [{{ jar }}, "obs://{{ bucket }}/a.jar"]
  pyFiles:
    # {% for file in files %}
    - {{ file }}
    # {% endfor %}
  resources: [{name: a, type: {{ type }}}, {{ resource }}]
  conf: {spark.a: {{ a }}, spark.b: true, "{{ key }}": 1}
  # {% if cached %}
  catalog_name: null
  # {% endif %}
lifecycle:
  onChange: {{ change }}
  onFailure: "{{ failure }}"
  timeout: "{{ minutes }}m"
  rerun: {{ instant }}
  protect: {{ protect }}
  state: null
dependsOn: [{{ first }}, {name: {{ second }}, until: {{ until }}}]
waive: {literal-secret: {{ reason }}}
# {% endfor %}
"""


def test_a_template_may_stand_for_any_value(new: LanguageServer) -> None:
    assert new.open("templates.yaml", TEMPLATES) == []
    again = TEMPLATES.replace(
        "forEach: {{ regions }}", "forEach:\n  region: {{ regions }}\n  day: [1, {{ day }}]"
    )
    assert new.open("templates.yaml", f"{TEMPLATES}---\n{again}") == []


# --- true errors ------------------------------------------------------------------------------------------

WRONG = [
    ("kind: SparkBatch", "kind: SparkBach", '4:7: Value is not accepted. Valid values: "SparkBatch"'),
    ("apiVersion: deployer/v1", "apiVersion: deployer/v2", '3:13: Value must be "deployer/v1".'),
    ("  numExecutors: {{ executors }}", "  numExecutor: 2", "14:3: Property numExecutor is not allowed."),
    ("{{ executors }}", '"2"', '14:17: Incorrect type. Expected "integer".'),
    ("{{ executors }}", "true", '14:17: Incorrect type. Expected "integer".'),
    ("{{ executors }}", "{a: 1}", '14:17: Incorrect type. Expected "integer".'),
    ("{{ preset }}", "D", '12:12: Value is not accepted. Valid values: "A", "B", "C".'),
    ("{{ memory }}", "4X", "17:19: a memory size needs a unit, such as 4G"),
    ("{{ instant }}", "soon", "34:10: must be like 2024-07-05T09:00:00Z"),
    ('"{{ minutes }}m"', "9999h", "33:12: 'timeout' must be at most 720h"),
    ("{{ enabled }}", "maybe", '8:10: Incorrect type. Expected "boolean".'),
    ("  sc_type:", "  cluster_name: a\n  sc_type:", "only one of 'queue' and 'cluster_name' is allowed"),
    ("{{ until }}", "done", 'Value is not accepted. Valid values: "submitted", "running", "succeeded".'),
    ("literal-secret:", "literal:", 'Value is not accepted. Valid values: "unknown-field"'),
    ("forEach: {{ regions }}", "forEach: north", "2:10: Incorrect type."),
]


@pytest.mark.parametrize(("right", "wrong", "found"), WRONG, ids=[wrong.strip() for _, wrong, _ in WRONG])
def test_a_mistake_is_the_only_error(new: LanguageServer, right: str, wrong: str, found: str) -> None:
    assert TEMPLATES.count(right) == 1
    (only,) = new.open("templates.yaml", TEMPLATES.replace(right, wrong))
    assert found in only


def test_each_document_of_a_file_has_the_schema_of_its_kind(new: LanguageServer) -> None:
    job = "apiVersion: deployer/v1\nkind: {}\nmetadata: {{name: a}}\nspec: {{queue_name: a}}\n"
    text = "---\n".join(job.format(kind) for kind in ("FlinkJar", "SparkBatch", "MrsJob"))
    assert new.open("several.yaml", text) == [
        "9:8: Property queue_name is not allowed.",
        "14:8: Property queue_name is not allowed.",
    ]


def test_a_part_without_content_is_one_error(new: LanguageServer) -> None:
    (only,) = new.open("empty.yaml", f"{HEAD}spec:\n")
    assert only.startswith("4:6: Incorrect type.")


def test_a_project_with_a_mistake(new: LanguageServer) -> None:
    text = text_of(new, "deployer.yaml").replace("    emulator: true", "    emulatr: true")
    (only,) = new.open("deployer.yaml", text)
    assert only.endswith("Property emulatr is not allowed.")


# --- completion and hover ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("apiVersion: deployer/v1\nkind: |\n", {*KINDS}),
        ("|", {*KINDS, "apiVersion", "kind"}),
        (f"{HEAD}|\n", {"spec", "lifecycle", "dependsOn", "forEach"}),
        (f"{HEAD}spec:\n  |\n", {"file", "numExecutors", "sc_type"}),
        (f"{HEAD}spec:\n  queue: {{{{ queue }}}}\n  num|\n", {"numExecutors"}),
        (f"{HEAD}spec:\n  sc_type: |\n", {"A", "B", "C"}),
        (f"{HEAD}spec:\n  auto_recovery: |\n", {"true", "false"}),
        (f"{HEAD}spec: {{}}\nlifecycle:\n  onChange: |\n", {"block", "replace", "submit", "keep"}),
        (f"{HEAD}spec: {{}}\ndependsOn:\n  - |\n", {"name", "until"}),
    ],
)
def test_completion(new: LanguageServer, text: str, offered: set[str]) -> None:
    text, line, column = columns(text)
    new.open("complete.yaml", text)
    labels = new.completions("complete.yaml", line, column)
    assert offered <= {*labels}
    assert not {"undefined", "null"} & {*labels}


def test_completion_offers_the_fields_of_the_kind_only(new: LanguageServer) -> None:
    text, line, column = columns(f"{HEAD}spec:\n  |\n".replace("SparkBatch", "MrsJob"))
    new.open("complete.yaml", text)
    labels = {label.split(" ")[0] for label in new.completions("complete.yaml", line, column)}
    assert {row.name for row in KINDS["MrsJob"].rows} <= labels
    assert not {"numExecutors", "queue"} & labels


@pytest.mark.parametrize("value", ["2", "{{ executors }}", '"{{ executors }}"'])
def test_hover_describes_a_field(new: LanguageServer, value: str) -> None:
    new.open("hover.yaml", f"{HEAD}spec:\n  numExecutors: {value}\n")
    words = new.hover("hover.yaml", 5, 5)
    assert words.startswith("#### numExecutors\n")
    row = next(row for row in KINDS["SparkBatch"].rows if row.name == "numExecutors")
    assert words.count(row.description.split(".")[0]) == 1


def test_hover_lists_the_values(new: LanguageServer) -> None:
    new.open("hover.yaml", f"{HEAD}spec: {{}}\nlifecycle:\n  onChange: {{{{ x }}}}\n  onFailure: keep\n")
    assert "Action when the manifest changed" in new.hover("hover.yaml", 6, 5)
    assert "* `resubmit`" in new.hover("hover.yaml", 7, 5)
