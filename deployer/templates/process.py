"""The process that renders templates: it has no environment and no credentials, and few permissions."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import deployer
from deployer.errors import DeployerError
from deployer.templates import protocol

START_SECONDS = 60.0
# Responses that wait to be read.
MAX_WAITING = 32

# Garbage is collected from the first task on.
_BOOT = "import gc, sys; gc.disable(); sys.path += sys.argv[1:]; from deployer.templates.worker import main; main()"
# Variables that Python may need to start.
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


_started: list[subprocess.Popen[bytes]] = []


def start_ahead() -> None:
    """Start the process of the first `Child` now, so that it is ready earlier.

    One that is not used ends when this process does, as its input ends.
    """
    if not _started:
        _started.append(_process())


class Child:
    """The process, and the threads that serve its pipes: otherwise both sides could wait for each other."""

    def __init__(self, common: Mapping[str, Any]) -> None:
        self._process = _started.pop() if _started else _process()
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._responses: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._is_ready = False
        self._at_end = False
        self._is_late = False
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._write, self._read)]
        for thread in self._threads:
            thread.start()
        self.send(protocol.encoded(common))

    def send(self, message: bytes) -> None:
        self._messages.put(message)

    def receive(self, seconds: float) -> bytes | None:
        """Return the next response; None after a timeout."""
        if not self._is_ready:
            if self._next(START_SECONDS) != protocol.READY:
                self.end()
                raise DeployerError("cannot start the template renderer")
            self._is_ready = True
        return self._next(seconds)

    def end(self) -> str:
        """End the process; return the cause if it ended by itself."""
        died, late = self._at_end, self._is_late
        self._process.kill()  # without effect if it has ended by itself
        self._messages.put(None)
        while not self._at_end:
            self._next(None)
        for thread in self._threads:
            thread.join()
        code = self._process.wait()
        if late:
            return "the template renderer timed out"
        return _cause(code) if died else "the template renderer returned an invalid response"

    def _next(self, seconds: float | None) -> bytes | None:
        try:
            response = self._responses.get(timeout=seconds)
        except queue.Empty:
            self._is_late = True
            return None
        self._at_end = response is None
        return response

    def _write(self) -> None:
        stream = self._process.stdin
        with suppress(OSError):
            while stream and (message := self._messages.get()) is not None:
                protocol.write(stream, message)
        with suppress(OSError):
            if stream:
                stream.close()

    def _read(self) -> None:
        stream = self._process.stdout
        while stream and (response := protocol.read(stream, protocol.MAX_RESPONSE)) is not None:
            self._responses.put(response)
        self._responses.put(None)
        if stream:
            stream.close()


def _process() -> subprocess.Popen[bytes]:
    flags = ["-s", "-S", "-P", "-W", "ignore", *(["-B"] if sys.dont_write_bytecode else [])]
    if sys.pycache_prefix:
        flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    own = str(Path(deployer.__file__).parents[1])
    path = dict.fromkeys(str(Path(entry).absolute()) for entry in (own, *filter(None, sys.path)))
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, *flags, "-c", _BOOT, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, "PYTHONHASHSEED": "0"},  # sets have a deterministic order
            # Ctrl-C is handled by the parent.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise DeployerError(f"cannot start the template renderer: {error.strerror}") from None


def _cause(code: int) -> str:
    """Return the reason for which the process ended by itself."""
    if code in (protocol.OUT_OF_TIME, -getattr(signal, "SIGPROF", 0)):
        return f"the template exceeded {protocol.SECONDS:g} s of CPU time"
    if code == protocol.OUT_OF_MEMORY:
        return f"the template exceeded {protocol.MEMORY // 2**20} MiB of memory"
    return f"the template renderer exited with {code}"
