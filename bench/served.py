"""An emulator in a process of its own, as a service elsewhere would be."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from bench.processes import environment

_FAULTS = "/_emulator/faults"


@dataclass(frozen=True, slots=True)
class Served:
    """An emulator that is running."""

    url: str

    def count(self, delay: float = 0.0) -> None:
        """Delay each request by so many seconds, and count from here."""
        self._send("DELETE")
        self._send("POST", json.dumps({"path": "", "delay": delay}).encode())

    @property
    def counted(self) -> int:
        """Returns the number of requests since `count`."""
        with urlopen(self.url + _FAULTS) as response:  # noqa: S310 - a loopback address
            faults = json.load(response)
        return int(faults["faults"][0]["matched"] if isinstance(faults, dict) else faults[0]["matched"])

    def _send(self, method: str, body: bytes | None = None) -> None:
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(self.url + _FAULTS, body, headers, method=method)):  # noqa: S310
            pass


@contextmanager
def served(deployer: str, database: Path) -> Iterator[Served]:
    """Run the emulator on a database."""
    process = subprocess.Popen(
        [deployer, "emulator", "--port", "0", "--db", str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )
    with process:
        try:
            assert process.stdout
            yield Served(process.stdout.readline().removeprefix("listening on ").strip())
        finally:
            process.terminate()
