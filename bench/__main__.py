"""The command line of `make bench`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from bench import peers
from bench.measure import Bench
from bench.shapes import SHAPES
from bench.table import as_text, tables

VERBS = ("start-up", "validate", "plan", "apply", "peers")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench, or python -m bench", description=__doc__)
    parser.add_argument("--jobs", default="100,1000", help="numbers of jobs, default %(default)s")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="default %(default)s")
    parser.add_argument("--verbs", default=",".join(VERBS), help="default %(default)s")
    parser.add_argument(
        "--runs", type=int, default=5, help="runs of which medians are taken (3 from 2,000 jobs)"
    )
    parser.add_argument("--work", type=Path, default=Path("build/bench"), help="keeps projects; %(default)s")
    parser.add_argument(
        "--deployer", default=shutil.which("deployer", path=str(Path(sys.executable).parent)), help="program"
    )
    parser.add_argument(
        "--peers",
        default=os.environ.get("BENCH_PEERS", ""),
        help="folders with programs of peers, before PATH",
    )
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        work=chosen.work.absolute(),
        deployer=chosen.deployer,
        programs=peers.programs(chosen.peers),
        jobs=[int(number) for number in chosen.jobs.split(",")],
        shapes=chosen.shapes.split(","),
        verbs=chosen.verbs.split(","),
        runs=chosen.runs,
        note=lambda text: sys.stderr.write(f"{text}\n"),
    )
    found = tables([*bench.results()], bench.programs)
    sys.stdout.write("\n\n".join(map(as_text, found)) + "\n")


if __name__ == "__main__":
    main()
