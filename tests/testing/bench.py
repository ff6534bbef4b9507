"""`make bench`: how long each verb takes with many jobs, half of them templates, on a local emulator.

Compare two checkouts in one sitting: `make bench` in the one, then in the other, twice. Machines are noisy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
MANIFEST = """apiVersion: deployer/v1
kind: SparkBatch
metadata: {{name: job-{number}, labels: {{team: a}}}}
spec:
  file: obs://bucket/job-{number}.jar
  className: com.example.Job
  queue: {queue}
  args: ["--date", "2024-07-04", "--number", "{number}"]
  numExecutors: 4
  conf: {{spark.sql.shuffle.partitions: 64, spark.x: true}}
"""
PROJECT = """apiVersion: deployer/v1
kind: Project
metadata: {name: bench}
values: [values.yaml]
targets: {local: {emulator: true}}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "deployer.yaml").write_text(PROJECT)
        (root / "values.yaml").write_text("queue: q\n")
        for number in range(JOBS):
            queue = "{{ queue }}" if number % 2 else "q"
            (root / f"job-{number}.yaml").write_text(MANIFEST.format(number=number, queue=queue))
        for verb in ("validate", "plan", "apply --yes", "plan --detailed-exitcode", "status"):
            started = time.perf_counter()
            command = [sys.executable, "-m", "deployer", *verb.split()]
            subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - started
            sys.stdout.write(f"{verb:<26} {seconds:6.2f} s  {JOBS / seconds:8.0f} jobs/s\n")


if __name__ == "__main__":
    main()
