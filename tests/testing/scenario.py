"""Scenarios: a project, a script of commands, and the output that a reader sees.

The real command runs in this process, against the emulator over HTTP. The emulator's clock is the scenario's
own and moves by `wait` only, so times and states are the same in each run; what is not (ids, digests, the
journal's times) gets a stand-in.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TextIO
from urllib.parse import urlsplit

from deployer.cli import run
from deployer.emulator import Emulator
from deployer.state.chain import open_chain, ref_name
from deployer.state.store import Lock
from testing.git_server import git
from testing.workspace import Clock

TOKEN = "a-token-for-tests"  # noqa: S105

# Where the project files of scenarios say that the emulator is.
ADDRESS = "http://127.0.0.1:8080"

# What stands before a line of stderr.
STDERR = "2> "

# After a command during which the emulator's clock went on, however often it was asked, it goes to the next
# full minute.
_MINUTE = 60

# So often is no clock asked in a scenario that ends.
_MOST_ASKED = 20_000

# How often, and after how many seconds each, it is asked whether an interrupt was noticed.
_MOST_LOOKS = 1000
_LOOK_SECONDS = 0.01

_OURS = frozenset({"script", "expected.txt"})

# The credentials of whoever runs the tests, and what tells of a CI.
_FOREIGN = re.compile(r"(HW|OS|HUAWEICLOUD|DEPLOYER|GITHUB|GITLAB|CI)(_.*)?")
_OWN = {"HW_AUTH_TOKEN": TOKEN, "NO_COLOR": "1", "COLUMNS": "80", "LOGNAME": "ann"}


class ScriptError(Exception):
    """A line of a script that cannot be carried out; the text names it."""


class _LimitedClock(Clock):
    """A clock that gives up even while it moves: a script whose wait never ends must not hang."""

    def __call__(self) -> float:
        if self.asked >= _MOST_ASKED:
            raise RuntimeError("somebody waits for a time that does not come")
        return super().__call__()


class _Transcript:
    """What a command prints, in the order in which it does, with a prefix before each line of stderr.

    A signal handler writes to the file descriptor itself, so that leads into a pipe meanwhile.
    """

    def __init__(self) -> None:
        self._written: list[tuple[str, str]] = []
        self._said = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self.out = _Stream(lambda text: self._add("", text))
        self.err = _Stream(lambda text: self._add(STDERR, text))

    def _add(self, prefix: str, text: str) -> None:
        self._drain()
        self._written.append((prefix, text))
        if prefix == STDERR:
            self._said.set()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._written.append((STDERR, os.read(self._read, 65536).decode()))
            self._said.set()

    def wait_for_word(self, interrupt: Callable[[], object]) -> None:
        """Returns when the interrupt has had something said on stderr, by a signal handler or otherwise."""
        self._said.clear()
        interrupt()
        with suppress(OSError):  # the command has ended meanwhile, and its transcript with it
            for _ in range(_MOST_LOOKS):
                if self._said.is_set() or select.select([self._read], [], [], _LOOK_SECONDS)[0]:
                    return

    @contextmanager
    def recording(self) -> Iterator[None]:
        sys.stderr.flush()
        before = os.dup(2)
        os.dup2(self._write, 2)
        try:
            with redirect_stdout(self.out), redirect_stderr(self.err):
                yield
        finally:
            os.dup2(before, 2)
            self._drain()
            for descriptor in (before, self._read, self._write):
                os.close(descriptor)

    @property
    def text(self) -> str:
        """The lines as they were begun: one of stdout is not broken by one of stderr."""
        lines: list[str] = []
        open_prefix: str | None = None
        for prefix, text in self._written:
            for part in text.splitlines(keepends=True):
                if open_prefix == prefix:
                    lines[-1] += part
                else:
                    if open_prefix is not None:
                        lines[-1] += "\n"
                    lines.append(prefix + part)
                open_prefix = None if part.endswith("\n") else prefix
        joined = "".join(lines)
        return joined if joined.endswith("\n") or not joined else f"{joined}\n"


class _Stream(io.TextIOBase):
    encoding = "utf-8"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._to = write

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("this stream takes text")
        self._to(text)
        return len(text)

    def writable(self) -> bool:
        return True


class _Terminal(io.StringIO):
    """Somebody who types, and sees it."""

    def __init__(self, line: str, echo: Callable[[str], object]) -> None:
        super().__init__(f"{line}\n")
        self._echo = echo

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # as io.StringIO itself has it
        line = super().readline(size)
        self._echo(line)
        return line


@dataclass
class _StandIns:
    """Numbered names for what is another in each run; the same thing keeps its number."""

    texts: Mapping[str, str]
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        for found, stand_in in self.texts.items():
            text = text.replace(found, stand_in)
        text = _VERSIONS.sub(r"\1\2 VERSION", _SKEW.sub("SKEW ", text))
        text = _RANDOM.sub(self._stand_in, text)
        return _SEVERAL.sub(_in_order, _REAL_TIME.sub("TIME", text))

    def _stand_in(self, match: re.Match[str]) -> str:
        [sort] = [name for name, value in match.groupdict().items() if value is not None and name != "gap"]
        numbers = self._numbers.setdefault(sort, {})
        number = numbers.setdefault(match[sort], len(numbers) + 1)
        stand_in = f"{sort}-{number}"
        # In a table the columns behind it stay where they are.
        return stand_in.ljust(len(match[sort])) + match["gap"] if match["gap"] else stand_in


_RANDOM = re.compile(
    r"(?:(?P<DIGEST>\b[0-9a-f]{64}\b)"
    r"|(?P<ID>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<COMMIT>\b[0-9a-f]{40}\b)"
    r"|(?P<REQUEST>\b[0-9a-f]{32}\b)"
    r"|(?P<RUN>\b[0-9a-f]{12}\b))(?P<gap>  )?"
)
# The journal's times are those of this machine; all others are the emulator's.
_REAL_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d UTC|T\d\d:\d\d:\d\d\.\d{3}\+00:00| to \d{4}-\d\d-\d\d)"
    r"|\d+ s later"
)

# What `doctor` says about this machine, and about its clock beside that of the emulator.
_VERSIONS = re.compile(
    r"(ok +(?:deployer|Python|libyaml|packages)) +.*|^(deployer) \S+, Python [^ ,]+", re.MULTILINE
)
_SKEW = re.compile(r"\d+ s (?:ahead of|behind) (?=the service)")


@contextmanager
def _process(folder: Path, environment: Mapping[str, str], stdin: TextIO) -> Iterator[None]:
    """What a process has of its own, for a command that runs in ours."""
    before, variables, typing = Path.cwd(), dict(os.environ), sys.stdin
    for name in filter(_FOREIGN.fullmatch, variables):
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(folder)
    sys.stdin = stdin
    try:
        yield
    finally:
        sys.stdin = typing
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)


# Several ids in a row are sorted by what they are, so their order is another in each run.
_SEVERAL = re.compile(r"ID-[0-9]+(?:, ID-[0-9]+)+")


def _in_order(match: re.Match[str]) -> str:
    return ", ".join(sorted(match[0].split(", "), key=lambda stand_in: int(stand_in[3:])))


class Scenario:
    """The project in `source`, copied to `folder`, with an emulator of its own. A context manager."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source = source
        self._folder = folder / "project"
        self._database = folder / "emulator.db"
        self._clock = _LimitedClock()
        self._ticks = 0.0
        self._answer: str | None = None
        self._environment = dict(_OWN)
        self._meanwhile: list[tuple[str, ...]] = []
        self._failed = ""
        self._transcript: _Transcript | None = None
        self._emulator = Emulator(self._database, token=TOKEN, clock=self._clock, wait=self._do_meanwhile)
        self._normal = _StandIns(
            {
                str(self._folder): "PROJECT",
                str(folder): "FOLDER",
                self._emulator.url: ADDRESS,
                f"@{socket.gethostname()}": "@HOST",
            }
        )
        self._commands: Mapping[str, Callable[..., str]] = {
            "deployer": self._deployer,
            "wait": self._wait,
            "edit": self._edit,
            "copy": self._copy,
            "remove": self._remove,
            "show": self._show,
            "env": self._set,
            "end": self._end,
            "call": self._call,
            "fault": self._fault,
            "git": self._git,
            "lock": self._lock,
            "during": self._during,
            "answer": self._will_answer,
            "tick": self._will_tick,
        }

    def __enter__(self) -> Self:
        shutil.copytree(self._source, self._folder, ignore=lambda _, names: _OURS & {*names})
        if not (self._folder / "deployer.yaml").exists():
            shutil.copy(self._source.parent / "deployer.yaml", self._folder)
        for file in filter(Path.is_file, self._folder.rglob("*")):
            file.write_text(file.read_text(encoding="utf-8").replace(ADDRESS, self._emulator.url), "utf-8")
        self._emulator.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._emulator.__exit__(None, None, None)

    def play(self) -> str:
        """Carries the script out and returns what a reader sees; raises ScriptError."""
        seen = []
        for number, line in enumerate(self._source.joinpath("script").read_text("utf-8").splitlines(), 1):
            command = line.strip().removeprefix("$ ")
            if not command or command.startswith("#"):
                seen.append(f"{command}\n" if command else "")
                continue
            try:
                seen.append(f"$ {command}\n{self._normal(self._carry_out(command))}")
            except (ScriptError, ValueError, TypeError, OSError) as error:
                place = f"{self._source.name}/script:{number}"
                raise ScriptError(f"{''.join(seen)}{place}: {command}: {error}") from None
        return f"{''.join(seen).rstrip()}\n"

    def _carry_out(self, command: str) -> str:
        name, *arguments = shlex.split(command)
        if name not in self._commands:
            raise ScriptError(f"there is no such command; known: {', '.join(self._commands)}")
        return self._commands[name](*arguments)

    def _deployer(self, *arguments: str) -> str:
        transcript = self._transcript = _Transcript()
        typing = io.StringIO() if self._answer is None else _Terminal(self._answer, transcript.out.write)
        self._clock.tick = self._ticks
        with _process(self._folder, self._environment, typing), transcript.recording():
            code = run(arguments)
        if self._failed:
            raise ScriptError(f"meanwhile: {self._failed}")
        if self._ticks:
            self._clock.now = (self._clock.now // _MINUTE + 1) * _MINUTE
        self._clock.tick, self._ticks, self._answer = 0.0, 0.0, None
        return f"{transcript.text}[exit {int(code)}]\n\n"

    def _wait(self, seconds: str) -> str:
        self._clock.now += float(seconds)
        return ""

    def _edit(self, file: str, old: str, new: str) -> str:
        path = self._folder / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ScriptError(f"{old!r} stands in it {text.count(old)} times, not once")
        path.write_text(text.replace(old, new.replace("\\n", "\n")), encoding="utf-8")
        return ""

    def _copy(self, file: str, to: str) -> str:
        shutil.copy(self._folder / file, self._folder / to)
        return ""

    def _remove(self, file: str) -> str:
        (self._folder / file).unlink()
        return ""

    def _show(self, file: str) -> str:
        return self._folder.joinpath(file).read_text(encoding="utf-8").rstrip("\n") + "\n\n"

    def _set(self, name: str, value: str) -> str:
        self._environment[name] = value
        return ""

    def _end(self, name: str, state: str, result: str = "") -> str:
        with sqlite3.connect(self._database) as connection:
            query = "SELECT family, number, id FROM jobs WHERE name = ? ORDER BY number DESC"
            found = connection.execute(query, [name]).fetchone()
        connection.close()
        if found is None:
            raise ScriptError(f"there is no live job {name}")
        family, number, identity = found
        self._emulator.store.end(number if family == "dli.flink" else identity, state, result)
        return ""

    def _call(self, method: str, path: str, body: str = "") -> str:
        connection = http.client.HTTPConnection(urlsplit(self._emulator.url).netloc)
        headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json"}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        if answer.status >= 400:
            raise ScriptError(f"HTTP {answer.status}: {content}")
        return ""

    def _fault(self, rule: str) -> str:
        if rule == "none":
            self._emulator.faults.clear()
        else:
            self._emulator.faults.add(json.loads(rule))
        return ""

    def _git(self, *arguments: str) -> str:
        git(self._folder, *arguments)
        return ""

    def _lock(self, run: str, name: str) -> str:
        """Locks the shared state as another machine does, with a plan to create a batch."""
        planned = {
            "format": 1,
            "event": "planned",
            "run": run,
            "number": -1,
            "time": "2024-07-03T09:46:40+00:00",
            "target": "test",
            "project": "pid",
            "revision": "",
            "author": "bob@ci",
            "action": "create",
            "call": "create",
            "kind": "SparkBatch",
            "place": "general",
            "name": name,
            "source": f"{name}.yaml:1",
            "reason": "not deployed",
            "id": "",
        }
        lock = Lock(run, 3600, "bob@ci", "2024-07-03 09:46:40 UTC", "deployer apply -t test")
        with open_chain(self._folder, "origin", ref_name("shop", "test"), os.environ) as chain:
            file = f"journal/{datetime.now(UTC).date()}/{run}.jsonl"
            chain.swap(chain.read(), lock, {file: json.dumps(planned).encode() + b"\n"})
        return ""

    def _during(self, method: str, path: str, nth: str, *command: str) -> str:
        """A delay stands for what is done while the call is under way: it is the number of the command."""
        self._meanwhile.append(command)
        rule = {"method": method, "path": path, "nth": int(nth), "delay": len(self._meanwhile)}
        self._emulator.faults.add(rule)
        return ""

    def _do_meanwhile(self, number: float) -> None:
        command = self._meanwhile[int(number) - 1]
        try:
            self._interrupt() if command == ("interrupt",) else self._commands[command[0]](*command[1:])
        except Exception as error:  # noqa: BLE001 - told when the command under way has ended
            self._failed = f"{shlex.join(command)}: {error}"

    def _interrupt(self) -> None:
        """Presses Ctrl-C, and returns when that was noticed."""
        assert self._transcript is not None
        self._transcript.wait_for_word(lambda: os.kill(os.getpid(), signal.SIGINT))

    def _will_answer(self, text: str) -> str:
        self._answer = text.replace("\\n", "\n")
        return ""

    def _will_tick(self, seconds: str) -> str:
        self._ticks = float(seconds)
        return ""
