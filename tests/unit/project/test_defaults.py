"""Defaults in deployer.yaml: how they are merged into manifests, and the positions of problems."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployer.documents.parse import PlainText, parse
from deployer.emulator import Emulator
from deployer.kinds import KINDS
from deployer.model import Document
from deployer.project.defaults import merged, without_nulls
from testing.workspace import SPECS, TOKEN, Workspace, findings, manifest

FILE = {"file": "obs://b/job.py"}
Q = {"queue": "q"}


def with_defaults(workspace: Workspace, common: Any, special: Any = None) -> None:
    """Writes a project with defaults for SparkBatch: the project's, and the target's on top of them."""
    workspace.write_project(**({"defaults": {"SparkBatch": special}} if special else {}))
    path = workspace.folder / "deployer.yaml"
    project = yaml.safe_load(path.read_text())
    if common:
        project["defaults"] = {"SparkBatch": common}
    workspace.write("deployer.yaml", project)


def rendered(workspace: Workspace) -> Any:
    ran = workspace.run("render")
    assert ran.code == 0, ran.err
    return yaml.safe_load(ran.out)


@pytest.mark.parametrize(
    ("common", "special", "spec", "becomes"),
    [
        (Q, None, FILE, {"queue": "q"}),
        (Q, None, {"queue": "mine"}, {"queue": "mine"}),
        (Q, None, {"cluster_name": "mine"}, {"cluster_name": "mine"}),
        ({"cluster_name": "q"}, None, {"queue": "mine"}, {"queue": "mine"}),
        ({"queue": "q"}, {"queue": "t"}, FILE, {"queue": "t"}),
        ({"queue": "q"}, {"cluster_name": "t"}, FILE, {"cluster_name": "t"}),
        ({"queue": "q"}, {"queue": None}, {"cluster_name": "mine"}, {"cluster_name": "mine"}),
        ({"queue": "q", "name_of_nothing": None}, None, FILE, {"queue": "q"}),
        (
            Q | {"driverMemory": "4G"},
            None,
            {"driver_memory": "8G"},
            Q | {"driver_memory": "8G"},
        ),
        (
            Q | {"driver_memory": "4G"},
            None,
            {"driverMemory": "8G"},
            Q | {"driverMemory": "8G"},
        ),
        (Q | {"driverMemory": "4G"}, None, {"driverMemory": None}, {"queue": "q"}),
        (Q | {"driverMemory": "4G"}, None, {"driver_memory": None}, {"queue": "q"}),
        (Q | {"driverMemory": "4G"}, {"driverMemory": None}, FILE, {"queue": "q"}),
        ({"queue": "q", "args": ["a", "b"]}, None, {"args": ["c"]}, {"queue": "q", "args": ["c"]}),
        (
            {"queue": "q", "conf": {"a": "1", "b": 1.10}},
            {"conf": {"b": "t", "c": True}},
            {"conf": {"c": "mine", "d": "4"}},
            {"queue": "q", "conf": {"a": "1", "b": "t", "c": "mine", "d": "4"}},
        ),
        (
            {"queue": "q", "conf": {"a": "1", "b": "2"}},
            {"conf": {"a": None}},
            {"conf": {"b": None, "c": "3"}},
            {"queue": "q", "conf": {"c": "3"}},
        ),
        ({"queue": "q", "conf": {"a": "1"}}, None, {"conf": None}, {"queue": "q"}),
    ],
)
def test_what_a_spec_becomes(
    bare: Workspace, common: Any, special: Any, spec: dict[str, Any], becomes: dict[str, Any]
) -> None:
    with_defaults(bare, {"spec": without_nulls(common)}, special and {"spec": special})
    bare.write("job.yaml", manifest("SparkBatch", "job", FILE | spec))
    assert rendered(bare)["spec"] == FILE | becomes


def test_defaults_of_labels_and_lifecycle(bare: Workspace) -> None:
    with_defaults(
        bare,
        {
            "metadata": {"labels": {"team": "a", "tier": "1"}},
            "lifecycle": {"onChange": "submit", "timeout": "5m"},
        },
    )
    labels = {"metadata": {"name": "job", "labels": {"team": "b"}}}
    bare.write(
        "job.yaml", manifest("SparkBatch", "job", SPECS["SparkBatch"], lifecycle={"timeout": "1h"}) | labels
    )
    bare.write("other.yaml", manifest("FlinkJar", "other", SPECS["FlinkJar"]))
    shown = rendered_all(bare)
    assert shown["job"]["metadata"]["labels"] == {"team": "b", "tier": "1"}
    assert shown["job"]["lifecycle"] == {"onChange": "submit", "timeout": "1h"}
    assert "lifecycle" not in shown["other"]
    assert bare.run("render", "--select", "label.tier=1").out.count("---") == 1


def rendered_all(workspace: Workspace) -> dict[str, Any]:
    ran = workspace.run("render")
    assert ran.code == 0, ran.err
    return {document["metadata"]["name"]: document for document in yaml.safe_load_all(ran.out)}


def test_a_default_is_taken_as_its_text_and_sent(workspace: Workspace, emulator: Emulator) -> None:
    workspace.project["marks"] = False
    workspace.write_project()
    text = (workspace.folder / "deployer.yaml").read_text()
    spec = "      queue: q\n      conf: {v: 1.10, on: true}\n"
    workspace.write("deployer.yaml", f"{text}defaults:\n  SparkBatch:\n    spec:\n{spec}")
    workspace.write("job.yaml", manifest("SparkBatch", "job", FILE))
    assert workspace.apply().code == 0
    assert workspace.plan()["changes"] == []
    url = f"{emulator.url}/v2.0/pid/batches"
    (entry,) = requests.get(url, headers={"X-Auth-Token": TOKEN}, timeout=10).json()["sessions"]
    sent = json.loads(entry["req_body"])
    assert (sent["conf"], sent["queue"]) == ({"v": "1.10", "on": "true"}, "q")


def test_a_changed_default_changes_every_job(workspace: Workspace) -> None:
    workspace.write("jobs.yaml", [manifest("SparkBatch", name, FILE) for name in ("a", "b")])
    with_defaults(workspace, {"spec": {"queue": "q", "numExecutors": 2}})
    assert workspace.apply().code == 0
    with_defaults(workspace, {"spec": {"queue": "q", "numExecutors": 3}})
    fields = [change["fields"] for change in workspace.plan()["changes"]]
    assert (
        fields
        == [
            [
                {
                    "path": "/numExecutors",
                    "live": 2,
                    "desired": 3,
                    "sensitive": False,
                    "note": "",
                    "live_hidden": False,
                }
            ]
        ]
        * 2
    )


# --- what is wrong with one -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"SparkBach": {}}, "unknown field 'SparkBach' in defaults; did you mean 'SparkBatch'?"),
        ({"SparkBatch": {"specs": {}}}, "unknown field 'specs' in defaults.SparkBatch; did you mean 'spec'?"),
        ({"SparkBatch": {"spec": {"queu": "q"}}}, "unknown field 'queu' in defaults.SparkBatch.spec"),
        (
            {"SparkBatch": {"spec": {"numExecutors": "two"}}},
            "must be an integer, got 'two'",
        ),
        ({"SparkBatch": {"spec": {"queue": "a", "cluster_name": "b"}}}, "only one of 'queue'"),
        ({"SparkBatch": {"spec": {"name": "x"}}}, "unknown field 'name'"),
        ({"SparkBatch": {"spec": {"queue": None}}}, "'queue' must be a string, got null"),
        ({"SparkBatch": {"metadata": {"name": "x"}}}, "unknown field 'name' in defaults.SparkBatch.metadata"),
        ({"SparkBatch": {"lifecycle": {"savepoint": True}}}, "unknown field 'savepoint'"),
        ({"FlinkJar": {"lifecycle": {"onChange": "keep"}}}, "unknown field 'onChange'"),
    ],
)
def test_a_wrong_default_is_told_where_it_stands(bare: Workspace, defaults: Any, says: str) -> None:
    """Also where no manifest is of its kind."""
    path = bare.folder / "deployer.yaml"
    bare.write("deployer.yaml", yaml.safe_load(path.read_text()) | {"defaults": defaults})
    ran = bare.run("validate")
    assert ran.code == 4
    assert says in ran.err
    assert findings(ran.err)[0].startswith("deployer.yaml:")


def test_a_default_that_breaks_a_rule_only_together_with_a_manifest(bare: Workspace) -> None:
    text = (bare.folder / "deployer.yaml").read_text()
    text += "defaults:\n  SparkBatch:\n    spec:\n      image: my/image\n"
    bare.write("deployer.yaml", text)
    line = text.count("\n")
    bare.write("a.yaml", manifest("SparkBatch", "a", SPECS["SparkBatch"]))
    bare.write("b.yaml", manifest("SparkBatch", "b", SPECS["SparkBatch"] | {"feature": "custom"}))
    ran = bare.run("validate")
    assert ran.code == 4
    (finding,) = findings(ran.err)
    assert finding.startswith(f"deployer.yaml:{line}:7: error: image takes effect only with feature: custom")
    assert "default for the manifest at a.yaml:1" in ran.err


def test_the_editor_knows_the_defaults(bare: Workspace) -> None:
    schema = bare.run("schema", "show", "Project").json
    assert set(schema["$defs"]) == set(KINDS)
    assert "required" not in schema["$defs"]["SparkBatch"]["properties"]["spec"]


# --- properties -------------------------------------------------------------------------------------------

values = st.recursive(
    st.integers(0, 3) | st.none() | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def expected(over: Any, under: Any) -> Any:
    """Merging said once more, in the words of the design."""
    result = dict(over)
    for key, item in under.items():
        if key not in over:
            result[key] = item
        elif over[key] is None:
            del result[key]
        elif isinstance(over[key], dict) and isinstance(item, dict):
            result[key] = expected(over[key], item)
    return result


@given(mappings, mappings)
def test_merging(over: Any, under: Any) -> None:
    def parsed() -> tuple[Document, Document]:
        (upper,), (lower,) = (parse(PlainText(*text))[0] for text in texts)
        return upper, lower

    texts = [("u", json.dumps(over)), ("l", json.dumps(under))]
    upper, lower = parsed()
    document = merged(upper, lower, KINDS["MrsJob"])
    assert document.value == expected(over, under)
    for path in [*document.values, ("a", "b", "c", "d")]:
        for of_key in (False, True):
            # Asked singly, and after all locations were found.
            single = merged(*parsed(), KINDS["MrsJob"]).location(path, of_key=of_key)
            assert single == document.location(path, of_key=of_key)
    for path in document.values:
        assert document.location(path).file == ("u" if path in upper.values else "l")


def test_a_null_serves_every_target(workspace: Workspace) -> None:
    """It removes what only another target has as a default; where none has one, it is a mistake."""
    special = {"spec": {"executorCores": 2, "conf": {"a.b": 1}}, "lifecycle": {"timeout": "5m"}}
    workspace.targets = {"other": {"emulator": True, "defaults": {"SparkBatch": special}}}
    workspace.write_project()
    spec: dict[str, Any] = {**FILE, **Q, "executor_cores": None, "conf": {"a.b": None, "c": "d"}}
    workspace.write("job.yaml", manifest("SparkBatch", "x", spec, lifecycle={"timeout": None}))
    assert rendered(workspace)["spec"] == {**FILE, **Q, "conf": {"c": "d"}}
    assert workspace.run("validate", "--all-targets").code == 0
    workspace.write("job.yaml", manifest("SparkBatch", "x", {**FILE, **Q, "driverCores": None}))
    ran = workspace.run("validate", "--all-targets")
    assert (ran.code, len(findings(ran.err))) == (4, 1)
