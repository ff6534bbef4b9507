"""Measures validate, plan, apply and start-up of deployer beside other tools, and prints tables with ratios."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from bench import pages, peers
from bench.machine import machine
from bench.measure import Bench, Result
from bench.plot import svg
from bench.shapes import SHAPES
from bench.table import as_markdown, as_text, tables

VERBS = ("start-up", "validate", "plan", "apply", "peers")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    own = shutil.which("deployer", path=str(Path(sys.executable).parent))

    def listed(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(number) for number in listed(text)]

    parser.add_argument("--jobs", type=numbers, default=[100, 1000], help="such as 100,1000,10000")
    parser.add_argument("--shapes", type=listed, default=[*SHAPES], help=f"of {','.join(SHAPES)}")
    parser.add_argument("--verbs", type=listed, default=[*VERBS], help=f"of {','.join(VERBS)}")
    parser.add_argument(
        "--runs", type=int, default=5, help="medians of so many runs (at most 3 from 2,000 jobs)"
    )
    parser.add_argument(
        "--peers", default=os.environ.get("BENCH_PEERS", ""), help="folders searched before PATH"
    )
    parser.add_argument("--deployer", default=own, help="the deployer to measure, also of another checkout")
    parser.add_argument(
        "--work", type=Path, default=Path("build/bench"), help="folder that keeps the projects"
    )
    parser.add_argument(
        "--cpu", action="store_true", help="CPU instead of wall time but for apply, on a busy machine"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--write", action="store_true", help=f"write {pages.PAGE.name} and {pages.PLOT.name}")
    return parser.parse_args()


def _in_cpu_time(result: Result) -> Result:
    return replace(result, cost=replace(result.cost, wall=result.cost.cpu))


def main() -> None:
    chosen = _arguments()
    chosen.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        work=chosen.work.absolute(),
        deployer=str(Path(chosen.deployer).absolute()),
        programs=peers.programs(chosen.peers),
        jobs=chosen.jobs,
        shapes=chosen.shapes,
        verbs=chosen.verbs,
        runs=chosen.runs,
        note=lambda text: sys.stderr.write(f"{text}\n"),
    )
    results = [*bench.results()]
    if chosen.cpu:
        results = [each if each.tool == "apply" else _in_cpu_time(each) for each in results]
    found = tables(results, bench.programs)
    show = as_markdown if chosen.markdown else as_text
    head = f"{machine()}{', CPU time instead of wall time' if chosen.cpu else ''}"
    sys.stdout.write("\n\n".join((head, *map(show, found))) + "\n")
    if chosen.write:
        parts = [f"Measured on: {head}."]
        if plot := svg(results, head):
            pages.PLOT.write_text(plot)
            parts.append(f"![Seconds by number of jobs]({pages.PLOT.name})")
        pages.insert("measured", "\n\n".join((*parts, *map(as_markdown, found))))


if __name__ == "__main__":
    main()
