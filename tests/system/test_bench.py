"""Runs the benchmark with two jobs: it measures, and names what is absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import measure, pages, plot, table, targets
from bench.processes import Cost
from testing.workspace import ROOT


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path) -> None:
    options = [
        "--jobs",
        "2",
        "--runs",
        "1",
        "--shapes",
        "files,mixed",
        "--verbs",
        "validate,plan,apply,peers",
    ]
    # Without other tools, and with what the emulator and the launcher need.
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent), "BENCH_PEERS": ""}
    ran = subprocess.run(
        [sys.executable, "-m", "bench", *options, "--work", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "exit " not in ran.stdout
    assert "not installed: octoDNS, check-jsonschema, kustomize, terraform" in ran.stdout
    rows = [line.split() for line in ran.stdout.splitlines()]
    measured = [row[5] for row in rows if row[:5] == ["one", "file", "a", "job", "2"]]
    assert measured[:2] == ["validate", "plan"]
    assert float(measured[2]) > 0.1  # seconds of apply


def result(tool: str, jobs: int, wall: float, **more: Any) -> measure.Result:
    return measure.Result("files", jobs, tool, Cost(wall, wall, 50.0, 60.0, more.pop("code", 0)), **more)


RESULTS = [
    result("plan", 1000, 0.5),
    result("plan", 10_000, 4.0),
    result("validate", 1000, 1.0),
    result("octoDNS", 1000, 2.0),
    result("check-jsonschema", 1000, 2.0),
    result("terraform", 1000, 1.0, code=1),
    result("apply", 1000, 4.0, calls=1060, sending=3.5),
]


def test_the_targets() -> None:
    found = {row[0]: (row[3], row[5]) for row in targets.rows(RESULTS) if row[2] == "1000"}
    assert found == {
        "plan / octoDNS": ("0.25", "yes"),
        "plan / check-jsonschema": ("0.25", "yes"),
        "validate / check-jsonschema": ("0.5", "no"),
        "MB of plan": ("50", "yes"),
        "share of the ideal time": ("0.828", "no"),
        "share of the ideal time, first write to last": ("0.938", "yes"),
        "requests a create, without pages": ("1.05", "yes"),
    }
    assert [row[3:] for row in targets.rows(RESULTS) if row[0] == "growth of plan"] == [["8", "<= 7", "no"]]


def test_a_verb_that_fails_reaches_nothing() -> None:
    failed = [result("validate", 2000, 1.0, code=4)]
    assert [row[2:] for row in targets.rows(failed)] == [["2000", "exit 4", "exit 0", "no"]]


def test_a_ratio_is_one_of_the_same_number_of_jobs() -> None:
    found = {each.title.partition(":")[0]: each for each in table.tables(RESULTS, {"octoDNS": None})}
    ratios = found["validate, and plan of unchanged jobs"]
    rows = [dict(zip(ratios.header, row, strict=True)) for row in ratios.rows]
    assert [(row["verb"], row["jobs"], row["/ octoDNS"], row["/ terraform"]) for row in rows] == [
        ("plan", "1000", "0.25", "-"),
        ("plan", "10000", "-", "-"),
        ("validate", "1000", "0.50", "-"),
    ]
    assert "not installed: octoDNS" in table.as_text(found["Other tools and the floor; not installed"])


def test_the_plot_has_a_line_for_each_tool() -> None:
    drawn = ElementTree.fromstring(plot.svg(RESULTS, "a <machine>"))  # noqa: S314 - our own
    name = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in drawn.iter(f"{name}text")]
    assert "a <machine>" in texts
    lines = ["deployer plan", "deployer validate", "octoDNS", "check-jsonschema"]
    assert [text for text in texts if text.endswith(" s") and "," in text] == [
        *(text for line in lines for text in texts if text.startswith(line))
    ]
    assert len([*drawn.iter(f"{name}polyline")]) == len(lines)


def test_a_page_is_written_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- measured -->\nold\n<!-- end of measured -->\nb\n")
    pages.insert("measured", "new", page)
    assert page.read_text() == "a\n<!-- measured -->\n\nnew\n\n<!-- end of measured -->\nb\n"
    with pytest.raises(ValueError, match="stages"):
        pages.insert("stages", "new", page)
