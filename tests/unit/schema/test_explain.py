"""`deployer explain` and `deployer validate -v`, and whether the example of each code has that finding."""

from __future__ import annotations

import re

import pytest

from deployer.errors import Code
from deployer.kinds import KINDS
from deployer.schema.explain import Diagnostic, diagnostics
from deployer.schema.rules import rules, waivable
from testing.workspace import Workspace, manifest


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("SparkBatch", ["POST /v2.0/{project_id}/batches", "file", "required"]),
        ("SparkBatch.sc_type", ["one of", "A, B, C", "driver 4 cores 15G, 14 executors of 2 cores 8G"]),
        ("SparkBatch.spec.className", ["deprecated names", "class_name"]),
        ("SparkBatch.driver_memory", ["pattern", "2G"]),
        ("SparkBatch.conf", ["secret", "fs.obs.secret.key"]),
        ("SparkBatch.name", ["at most (characters)", "128"]),
        ("FlinkJar.resource_config.max_slot", ["default", "1"]),
        ("FlinkJar.smn_topic", ["updatable"]),
        ("FlinkJar.tags", ["compared", "yes"]),
        ("SparkSession.jars", ["no, not returned by the service"]),
        ("MrsJob.cluster_id", ["no, part of the job's identity"]),
        ("distcp-takes-two", ["error; MrsJob", "waive: {distcp-takes-two:"]),
        ("unknown-field", ["can be waived"]),
        ("one-spelling", ["cannot be waived"]),
        ("memory-unit", ["such as 4G"]),
        ("E119", ["distcp-takes-two E119 (error; MrsJob)", "waive: {distcp-takes-two:"]),
        ("e021", ["E021: ", "wrong:", '"{{ qeue }}"', "right:", '"{{ queue }}"']),
        ("W060", ["waive: {older-spelling:"]),
        ("E050", ["wrong, in deployer.yaml:", "defaultTarget: locl"]),
        ("E011", ["or\\u0007ders"]),
    ],
)
def test_explain(bare: Workspace, subject: str, says: list[str]) -> None:
    ran = bare.run("explain", subject)
    assert ran.code == 0
    assert [words for words in says if words not in ran.out] == []


def test_every_field_and_rule_can_be_explained(bare: Workspace) -> None:
    for kind in KINDS.values():
        for row in kind.rows:
            assert bare.run("explain", f"{kind.name}.{row.name}").code == 0
        for rule in waivable(kind.name):
            assert bare.run("explain", rule).code == 0


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("SparkBach", "did you mean 'SparkBatch'?"),
        ("SparkBatch.clasName", "did you mean 'className'?"),
        ("FlinkJar.resource_config.slots", "unknown field 'slots' in FlinkJar.resource_config"),
        ("SparkBatch.file.x", "unknown field 'x' in SparkBatch.file"),
        ("", "unknown kind, rule or code ''"),
        ("E0211", "did you mean 'E021'?"),
        ("SparkBatch.", "unknown field '' in SparkBatch"),
    ],
)
def test_what_does_not_exist(bare: Workspace, subject: str, says: str) -> None:
    ran = bare.run("explain", subject)
    assert ran.code == 3
    assert says in ran.err


def test_validate_tells_what_a_preset_amounts_to(bare: Workspace) -> None:
    spec = {"file": "a.py", "queue": "q", "sc_type": "C", "numExecutors": 3}
    bare.write("jobs.yaml", [manifest("SparkBatch", "job", spec), manifest("FlinkJar", "stream", {})])
    assert bare.run("validate", "-v").out.splitlines()[0] == (
        "SparkBatch job in q: sc_type C: driver 4 cores 15G, 3 executors of 2 cores 8G"
        " (set by the manifest: numExecutors)"
    )


# --- the codes of findings --------------------------------------------------------------------------------

# What an example leaves out.
MANIFEST = {
    "apiVersion": "deployer/v1",
    "kind": "SparkBatch",
    "metadata": "{name: daily}",
    "spec": "{file: daily.py, queue: general}",
}
PROJECT = {
    "apiVersion": "deployer/v1",
    "kind": "Project",
    "metadata": "{name: examples}",
    "values": "[values/common.yaml]",
    "secrets": "{ORDERS_PASSWORD: {}}",
    "targets": "{local: {emulator: true}}",
}
FILES = {
    "values/common.yaml": "queue: general\nexecutors: 4\nregions: [north, south]\n",
    "_conf.yaml": "  conf: {spark.ui.port: 4040}\n",
    "deployer.yaml": "",
    "daily.yaml": "",
}
# Those for which no file of a project is the example.
NO_EXAMPLE = {Code.ENCODING, Code.TOO_LARGE, Code.FOLDER_FILES}
EXAMPLES = [entry for entry in diagnostics().values() if entry.wrong]


def completed(text: str, envelope: dict[str, str]) -> str:
    """An example with the parts that it leaves out; one that is nothing of the sort stays as it is."""
    written = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    if text and not written:
        return text
    return "".join(f"{key}: {value}\n" for key, value in envelope.items() if key not in written) + text


def codes(bare: Workspace, of: Diagnostic, example: str) -> set[str]:
    """The codes of what `validate` finds in an example."""
    files = FILES | {of.file or "daily.yaml": example}
    files["deployer.yaml"] = completed(files["deployer.yaml"], PROJECT)
    documents = files["daily.yaml"].split("---\n")
    files["daily.yaml"] = "---\n".join(completed(document, MANIFEST) for document in documents)
    for file, text in files.items():
        bare.write(file, text)
    ran = bare.run("validate", "--format", "json")
    return {finding["code"] for finding in ran.json["findings"]}


def test_every_code_has_an_entry() -> None:
    assert list(diagnostics()) == sorted(code.value for code in Code)
    assert {entry.code for entry in diagnostics().values() if not (entry.wrong and entry.right)} == NO_EXAMPLE


def test_a_code_means_one_thing() -> None:
    of_rules = [rule.code for rule in rules()]
    assert len({*of_rules, *diagnostics()}) == len(of_rules) + len(diagnostics())
    assert all(rule.code[0] == rule.severity[0].upper() for rule in rules())


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_the_wrong_example_has_the_finding(bare: Workspace, entry: Diagnostic) -> None:
    assert entry.code in codes(bare, entry, entry.wrong)


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.code)
def test_the_right_example_is_right(bare: Workspace, entry: Diagnostic) -> None:
    assert codes(bare, entry, entry.right) == set()


@pytest.mark.parametrize("code", [*Code, *(rule.code for rule in rules())])
def test_every_code_can_be_explained(bare: Workspace, code: str) -> None:
    ran = bare.run("explain", code.lower())
    assert (ran.code, code in ran.out.splitlines()[0]) == (0, True)
    assert all(line.isprintable() and len(line) <= 110 for line in ran.out.splitlines())


def test_every_rule_that_can_be_waived_is_told_with_its_code() -> None:
    explained = {entry.rule for entry in diagnostics().values()} | {rule.id for rule in rules()}
    assert {rule for kind in KINDS for rule in waivable(kind)} <= explained
