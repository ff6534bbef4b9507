"""The real command in forked processes that can be killed, without starting Python each time.

One process imports the command and forks for each run. It has no thread, so that a fork is a clean copy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.workspace import TOKEN, Ran

_SERVER = """
import json, os, signal, sys
from pathlib import Path
import deployer.cli, deployer.cli.commands.apply, deployer.cli.commands.plan
import deployer.cloud.transport, deployer.cloud.client, deployer.cloud.auth
import deployer.apply.scheduler, deployer.apply.deployment, deployer.apply.journal, deployer.apply.provenance
import deployer.apply.lock, deployer.cloud.credentials
from deployer.cloud.error_codes import find_hint
from deployer.kinds import KINDS
for kind in KINDS.values():
    kind.rows
find_hint("", "")

def command(order):
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(Path(order["output"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["deployer", *order["arguments"]]
    try:
        deployer.cli.main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        # As the end of an interpreter: it waits for the threads that are still at work.
        import threading
        threading._shutdown()
        os._exit(int(end.code or 0))

for line in sys.stdin:
    child = os.fork()
    if not child:
        command(json.loads(line))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Commands:
    """Runs one command after the other. `pid` waits for that of the one that is running."""

    server: subprocess.Popen[str]
    output: Path

    def __post_init__(self) -> None:
        self._pid = 0
        self._is_known = threading.Event()

    def pid(self) -> int:
        assert self._is_known.wait(10)
        return self._pid

    def run(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
        """Runs `deployer ARGUMENTS` in a folder; a signal that ended it is a negative code."""
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": dict(environment or {}),
            "output": str(self.output),
        }
        assert self.server.stdin
        assert self.server.stdout
        self._is_known.clear()
        self.server.stdin.write(f"{json.dumps(order)}\n")
        self.server.stdin.flush()
        self._pid = int(self.server.stdout.readline())
        self._is_known.set()
        code = int(self.server.stdout.readline())
        out, err = (Path(self.output, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return Ran(code, out, err)


@contextmanager
def commands(output: Path) -> Iterator[Commands]:
    """Commands whose output is kept below `output`, with the credentials of the tests and no others."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HW_", "OS_", "HUAWEICLOUD_")) and name != "CI"
    }
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**kept, "HW_AUTH_TOKEN": TOKEN, "NO_COLOR": "1"},
    )
    with server:
        try:
            yield Commands(server, output)
        finally:
            assert server.stdin
            server.stdin.close()
