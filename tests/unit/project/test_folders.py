"""The settings of folders: whatever files there are, each folder has what one merge of them in order gives."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.documents.budget import Budget
from deployer.project.folders import read_folders
from deployer.project.load import load, project_files
from deployer.project.values import template_values, value_layers

FOLDERS = ("", "a", "a/b", "a/b/c", "ab", "d")
TARGETS = ("", "x", "x.y")
KEYS = st.sampled_from(["p", "q", "r"])
LEAVES = st.sampled_from([1, True, "1", [1], "t", None])
VALUES = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=2), max_leaves=4)
)
CONF = st.dictionaries(KEYS, st.sampled_from(["1", "2", None]), min_size=1)
FILES = st.dictionaries(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(TARGETS)), VALUES, max_size=6)
CONFS = st.dictionaries(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(TARGETS)), CONF, max_size=6)


def merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: merged(base[key], value) if key in base else value for key, value in over.items()}


def above(folder: str) -> list[str]:
    return [other for other in FOLDERS if not other or folder == other or folder.startswith(f"{other}/")]


def write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(value))


def exact(value: Any) -> Any:
    """A value that is equal only to one of the same types."""
    return repr(value)


@settings(deadline=None, max_examples=60)
@given(FILES, CONFS, VALUES, VALUES, VALUES, CONF, CONF)
def test_the_nearest_wins(
    tmp_path_factory: Any,
    values: Mapping[tuple[str, str], Any],
    confs: Mapping[tuple[str, str], Any],
    common: Any,
    own: Any,
    given_values: Any,
    common_conf: Any,
    own_conf: Any,
) -> None:
    root = tmp_path_factory.mktemp("project")
    common_conf = {key: value for key, value in common_conf.items() if value is not None}
    write(
        root / "deployer.yaml",
        {
            "apiVersion": "deployer/v1",
            "kind": "Project",
            "metadata": {"name": "p"},
            "values": ["common.yaml"],
            "defaults": {"SparkBatch": {"spec": {"conf": common_conf}}},
            "targets": {
                "x": {
                    "emulator": True,
                    "values": ["own.yaml"],
                    "defaults": {"SparkBatch": {"spec": {"conf": own_conf}}},
                },
                "x.y": {"emulator": True},
            },
        },
    )
    for name, value in (("common", common), ("own", own), ("given", given_values)):
        write(root / f"{name}.yaml", value)
    for (folder, target), value in values.items():
        write(root / folder / f"_values{target and '.'}{target}.yaml", value)
    for (folder, target), value in confs.items():
        write(
            root / folder / f"_defaults{target and '.'}{target}.yml",
            {"SparkBatch": {"spec": {"conf": value}}},
        )

    project = load(root)
    selected = project.target("x")
    layers = value_layers(project, selected, ["given.yaml"], ())
    base = template_values(project, selected, layers)
    files = project_files(project, ["given.yaml"]).of_folders
    assert len(files) == len(values) + len(confs)
    folders = read_folders(project, selected, files, layers, Budget())

    for folder in FOLDERS:
        stack = [
            common,
            *(values.get((other, ""), {}) for other in above(folder)),
            own,
            *(values.get((other, "x"), {}) for other in above(folder)),
            given_values,
        ]
        expected: Any = {}
        for layer in stack:
            expected = merged(expected, layer)
        found = folders.of(str(PurePath(folder, "m.yaml")))
        overlay = folders.overlays[found.overlay - 1] if found and found.overlay else {}
        seen = {key: value for key, value in {**base, **overlay}.items() if key not in ("project", "target")}
        assert {key: exact(sorted_keys(value)) for key, value in seen.items()} == {
            key: exact(sorted_keys(value)) for key, value in expected.items()
        }

        conf: dict[str, Any] = {}
        for layer in (
            common_conf,
            *(confs.get((other, ""), {}) for other in above(folder)),
            own_conf,
            *(confs.get((other, "x"), {}) for other in above(folder)),
        ):
            conf = {key: value for key, value in {**conf, **layer}.items() if value is not None}
        default = (found or selected).defaults["SparkBatch"]
        assert default.value["spec"]["conf"] == conf
        # A null may remove what any target has there.
        everywhere = [value for (other, _), value in confs.items() if other in above(folder)]
        keys = {key for value in (common_conf, own_conf, *everywhere) for key in value}
        removable = (found or selected).removable["SparkBatch"]
        assert {key for layer in removable for key in layer["spec"]["conf"]} == keys
    shutil.rmtree(root)


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return value
