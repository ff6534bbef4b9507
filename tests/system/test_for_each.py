"""`forEach`: one file defines many jobs with names of their own; errors name the instance."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from testing.workspace import Workspace, findings

BODY = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata:
  name: load-{{ each }}
spec:
  file: obs://b/job.py
  queue: q
"""
OF_REGIONS = BODY.replace("{{ each }}", "{{ each.region }}-{{ each.size }}")


def names(workspace: Workspace, *arguments: str) -> list[str]:
    """The names of the jobs, in the order in which they are rendered."""
    ran = workspace.run("render", *arguments)
    assert ran.code == 0, ran.err
    return [document["metadata"]["name"] for document in yaml.safe_load_all(ran.out)]


@pytest.mark.parametrize(
    ("head", "items"),
    [
        ("forEach: [a, b]\n", ["a", "b"]),
        ("forEach:\n  - a\n  - b\n", ["a", "b"]),
        ("forEach:\n- a\n- b\n", ["a", "b"]),
        ("forEach: [\na,\n]\n".replace("\na", "\n  a"), ["a"]),
        ("forEach:\n\n  # the first\n  - a\n\n# and the second\n  - b\n\n", ["a", "b"]),
        ("'forEach': [a]\n", ["a"]),
        ('"forEach" : [a]\n', ["a"]),
        ("---\nforEach: [a]\n", ["a"]),
        ("# a comment\n\nforEach: [a]\n", ["a"]),
        ("forEach: [1, 2.5, true]\n", ["1", "2.5", "true"]),
        ("forEach: {{ regions }}\n", ["north", "south"]),
        ("forEach: {{ regions | map('upper') | list }}\n", ["NORTH", "SOUTH"]),
        ("forEach: {{ range(2) }}\n", ["0", "1"]),
        ("forEach:\n{% for r in regions %}\n  - {{ r }}-x\n{% endfor %}\n", ["north-x", "south-x"]),
        ("forEach:\n{% for r in regions %}\n- {{ r }}\n{%- endfor %}\n", ["north", "south"]),
        ("forEach:\n{% if false %}\n  - a\n{% endif %}\n  - b\n{% set x = 1 %}\n", ["b"]),
        ("forEach: []\n", []),
        ("forEach: [a]\r\n", ["a"]),
    ],
)
def test_lists(bare: Workspace, head: str, items: list[str]) -> None:
    bare.write("values.yaml", {"regions": ["north", "south"]})
    bare.write("job.yaml", head + BODY)
    assert names(bare, "--values", "values.yaml") == [f"load-{item}" for item in items]


def test_it_need_not_stand_first(bare: Workspace) -> None:
    lines = BODY.splitlines(keepends=True)
    bare.write("job.yaml", "".join([*lines[:2], "forEach:\n- a\n- b\n", *lines[2:]]))
    assert names(bare) == ["load-a", "load-b"]
    bare.write("job.yaml", BODY + "forEach: [a, b]")
    assert names(bare) == ["load-a", "load-b"]


def test_a_matrix(bare: Workspace) -> None:
    bare.write("job.yaml", "forEach:\n  region: [n, s]\n  size: [1, 2]\n" + OF_REGIONS)
    assert names(bare) == ["load-n-1", "load-n-2", "load-s-1", "load-s-2"]


def test_items_can_be_mappings(bare: Workspace) -> None:
    bare.write("job.yaml", "forEach:\n  - {region: n, size: 1}\n  - {region: s, size: 2}\n" + OF_REGIONS)
    assert names(bare) == ["load-n-1", "load-s-2"]


def test_a_plain_file_may_have_one(bare: Workspace) -> None:
    bare.write("job.yaml", "forEach: [a]\n" + BODY.replace("{{ each }}", "x"))
    assert names(bare) == ["load-x"]


def test_instances_are_applied_and_stay(workspace: Workspace) -> None:
    workspace.write("job.yaml", "forEach: [a, b, c]\n" + BODY)
    assert workspace.apply().code == 0
    assert workspace.plan()["changes"] == []
    workspace.write("job.yaml", "forEach: [b, c, d]\n" + BODY)
    assert [change["name"] for change in workspace.plan()["changes"]] == ["load-d"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("forEach: 3\n" + BODY, "1:10: error: 'forEach' must be a list, or a mapping of lists"),
        ("forEach:\n" + BODY, "1:9: error: 'forEach' must be a list"),
        ("forEach: {}\n" + BODY, "1:10: error: 'forEach' must be a list"),
        ("forEach: {a: 1}\n" + BODY, "1:10: error: 'forEach' must be a list"),
        ("forEach: [a, [\n" + BODY, "1:14: error: "),
        ("forEach: {{ nosuch }}\n" + BODY, "1:10: error: 'nosuch' is undefined"),
        ("forEach: {{ range(20000) }}\n" + BODY, "error: 'forEach' creates 20000 jobs; the maximum is 10000"),
        (
            "forEach: {a: {{ range(200) }}, b: {{ range(200) }}}\n" + BODY,
            "1:10: error: 'forEach' creates 40000 jobs",
        ),
        (
            "forEach: [a]\n" + BODY + "---\nkind: x\n",
            "10:1: error: a file with forEach must contain a single document",
        ),
        ("forEach: [a]\n" + BODY + "forEach: [b]\n", "9:1: error: 'forEach' must start a line"),
        ("{forEach: [a], kind: SparkBatch}\n", "1:2: error: 'forEach' must start a line"),
        ("kind: SparkBatch\n---\nforEach: [a]\nkind: SparkBatch\n", "error: "),
        (
            "forEach: [a, a]\n" + BODY,
            "5:9: error: duplicate job SparkBatch load-a in q, first defined at job.yaml:2; give each forEach instance",
        ),
        ("forEach: [a]\n" + BODY.replace("queue", "queu"), "8:3: error: unknown field 'queu' in spec"),
        ("forEach: [a]\n" + BODY + "dependsOn: [{{ each.x }}]\n", "9:13: error: "),
    ],
)
def test_what_is_wrong_is_told_at_its_line(bare: Workspace, text: str, says: str) -> None:
    bare.write("job.yaml", text)
    ran = bare.run("validate")
    assert ran.code == 4
    assert any(says in finding for finding in findings(ran.err)), ran.err


def test_the_instance_is_named(bare: Workspace) -> None:
    bare.write("job.yaml", "forEach: [a, b]\n" + BODY + "  numExecutors: {{ 1 if each == 'a' else 'two' }}\n")
    ran = bare.run("validate")
    (finding,) = findings(ran.err)
    assert finding.startswith("job.yaml:9:17: error: 'numExecutors' must be an integer, got 'two'")
    assert "instance each = b of forEach at job.yaml:1:1" in ran.err


def test_each_is_not_there_without_it(bare: Workspace) -> None:
    bare.write("job.yaml", BODY)
    assert "job.yaml:4:14: error: 'each' is undefined" in bare.run("validate").err
    bare.write("values.yaml", {"each": 1})
    ran = bare.run("validate", "--values", "values.yaml")
    assert (ran.code, "value 'each' is reserved" in ran.err) == (4, True)


@pytest.mark.parametrize("hostile", ["x\nqueue: prod", "a: b", "'", '"', "{{ 1 }}", "[", "#", "\u202e"])
def test_an_item_is_a_value_like_any_other(bare: Workspace, hostile: Any) -> None:
    bare.write("values.yaml", {"items": [hostile]})
    bare.write("job.yaml", "forEach: {{ items }}\n" + BODY + "  args: ['{{ each }}']\n")
    ran = bare.run("validate", "--values", "values.yaml")
    assert "Traceback" not in ran.err
    if ran.code == 0:
        shown = yaml.safe_load(bare.run("render", "--values", "values.yaml").out)
        assert shown["spec"]["args"] == [hostile]
        assert shown["spec"]["queue"] == "q"
