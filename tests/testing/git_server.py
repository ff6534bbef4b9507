"""Git remotes on this machine: a bare repository, and a server for it over HTTP that can go wrong in any way.

A fault takes a `GitCall`, as those in `testing.faults` do, and says what is answered, None for a connection that
breaks; `call.forward()` lets git carry it out.
"""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import urlsplit

import pytest

from testing.faults import Answer, Call, Fault
from testing.served import Served
from testing.workspace import Workspace

GIT_SECONDS = 10
PATIENCE_SECONDS = 10
"""How long a held request waits for a test that has failed meanwhile."""

# The tests' own git: the same on every machine, without what its user or its administrator configured.
_ALONE = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "A Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "A Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "LC_ALL": "C",
}


def git(folder: Path, *arguments: str, text: str | None = None) -> str:
    """Run git in a folder, without the configuration of whoever runs the tests, and return what it printed.

    `text` is its input.
    """
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_ALONE,
        input=text or "",
        capture_output=True,
        text=True,
        check=True,
        timeout=GIT_SECONDS,
    ).stdout


def without_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `home` an empty home folder, and remove the variables that git, ssh and CI systems set."""
    for name in list(os.environ):
        prefixes = ("GIT_", "SSH_", "GITHUB_", "GITLAB_", "CI_", "DEPLOYER_")
        if name.startswith(prefixes) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@dataclass(frozen=True)
class Remote:
    """A bare repository, as a host keeps it."""

    folder: Path

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def configure(self, key: str, value: str = "true") -> None:
        """Set a key such as `receive.denyNonFastForwards`."""
        self.git("config", "--add", key, value)

    def hook(self, name: str, script: str) -> None:
        """Install a script, whose first line names its interpreter, in place of the one that was there."""
        path = self.folder / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def take_only_heads_and_tags(self) -> None:
        """Refuse all other refs, as Alibaba's Codeup and similar hosts do."""
        self.hook("pre-receive", _ONLY_HEADS_AND_TAGS)

    def protect(self, pattern: str, host: str = "GitLab") -> None:
        """Refuse pushes to the branches that a shell pattern names, in the words of GitHub or GitLab."""
        if host == "GitHub":
            self.configure("receive.procReceiveRefs", "refs/heads")
            script = _GITHUB_PROTECTED.replace("PATTERN", pattern)
            self.hook("proc-receive", f"#!{sys.executable}\n{script}")
        else:
            self.hook("pre-receive", _GITLAB_PROTECTED.replace("PATTERN", pattern))

    def hide(self, prefix: str) -> None:
        """Hide the refs below `prefix`: they are not listed, and a push to them is refused."""
        self.configure("transfer.hideRefs", prefix)

    def refs(self, prefix: str = "refs") -> dict[str, str]:
        """Return the refs below `prefix` and their commits, those that are hidden too."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ") for line in lines)

    def files(self, revision: str) -> dict[str, str]:
        """Return the paths and texts of all files of a commit."""
        names = self.git("ls-tree", "-r", "-z", "--name-only", revision).split("\0")
        return {name: self.git("cat-file", "blob", f"{revision}:{name}") for name in names if name}

    def messages(self, revision: str) -> list[str]:
        """Return the messages of a commit and of those before it, the newest first."""
        texts = self.git("log", "--first-parent", "--format=%B%x00", revision).split("\0")
        return [text.strip() for text in texts if text.strip()]

    def commits(self, revision: str) -> list[str]:
        """Return a commit and those before it, the newest first."""
        return self.git("rev-list", "--first-parent", revision).split()

    def write(self, ref: str, files: Mapping[str, str], *, parent: str | None = None) -> str:
        """Put a commit of these files on a ref, as another program would, and return its name."""
        tree = _tree(self.folder, files)
        parents = ["-p", parent] if parent else []
        commit = self.git("commit-tree", tree, *parents, "-m", "written by a test").strip()
        self.git("update-ref", ref, commit)
        return commit


def bare_repository(folder: Path) -> Remote:
    """Create an empty bare repository that takes pushes over HTTP."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", ".")
    remote = Remote(folder)
    remote.configure("http.receivepack")
    remote.configure("receive.autogc", "false")
    return remote


def publish(workspace: Workspace, remote: Remote, url: str | None = None) -> None:
    """Make the workspace a checkout of the remote, whose branch `main` gets what is in the folder.

    `url` is what the checkout calls the remote; without it, its path.
    """
    git(workspace.folder, "init", "--quiet", "--initial-branch=main", ".")
    git(workspace.folder, "add", ".")
    git(workspace.folder, "commit", "--quiet", "--message=The project")
    git(workspace.folder, "remote", "add", "origin", url or remote.url)
    git(workspace.folder, "push", "--quiet", "--force", remote.url, "main")
    git(workspace.folder, "update-ref", "refs/remotes/origin/main", "main")


def clone(url: str, folder: Path, *options: str) -> Path:
    """Clone into a folder, and return it."""
    git(folder.parent, "clone", "--quiet", *options, url, folder.name)
    return folder


def checkout(like: Workspace, url: str, folder: Path, *options: str) -> Workspace:
    """Clone a published workspace again, as a second runner does; `options` are those of `git clone`."""
    clone(url, folder, *options)
    file = folder / "deployer.yaml"
    published = file.read_bytes()
    copy = Workspace(folder, like.capture, like.url, like.targets, like.project)
    file.write_bytes(published)
    return copy


@cache
def _exec_path() -> Path:
    return Path(git(Path(), "--exec-path").strip())


LIST_FOR_FETCH = "list for fetch"
LIST = "list"
FETCH = "fetch"
LIST_FOR_PUSH = "list for push"
PROBE = "probe"
PUSH = "push"


@dataclass(frozen=True)
class GitCall(Call):
    """A request of git; `upstream` is the folder that holds the repositories, `body` as it was before gzip."""

    @property
    def kind(self) -> str:
        """What git wants: one of the constants above."""
        url = urlsplit(self.path)
        if url.path.endswith("/info/refs"):
            return LIST_FOR_PUSH if "git-receive-pack" in url.query else LIST_FOR_FETCH
        if url.path.endswith("/git-receive-pack"):
            return PROBE if self.body == b"0000" else PUSH
        if url.path.endswith("/git-upload-pack"):
            return PROBE if self.body == b"0000" else LIST if b"command=ls-refs" in self.body[:40] else FETCH
        return url.path

    @property
    def credentials(self) -> str:
        """USER:PASSWORD as the client sent them; empty without."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        scheme, _, value = headers.get("authorization", "").partition(" ")
        return base64.b64decode(value).decode() if scheme.lower() == "basic" else ""

    def forward(self) -> Answer:
        """Let git carry out the request."""
        url = urlsplit(self.path)
        names = {name.lower(): value for name, value in self.headers.items()}
        environment = {
            **_ALONE,
            "GIT_PROJECT_ROOT": self.upstream,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": names.get("git-protocol", ""),
            "REQUEST_METHOD": self.method,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": names.get("content-type", ""),
            "CONTENT_LENGTH": str(len(self.body)),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": self.credentials.partition(":")[0],
        }
        done = subprocess.run(
            [str(_exec_path() / "git-http-backend")],
            env=environment,
            input=self.body,
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split(" ")[0])
        return Answer(status, body, headers)


@dataclass
class Held:
    """A fault that keeps a request from git until the test calls `release`; `arrived` is set when it is there.

    With `hangs_up` the connection breaks at once, and with `hung_up` the client is waited for to break it, which
    sets `gave_up`. Git carries the request out nevertheless when it is released.
    """

    hangs_up: bool = False
    hung_up: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    gave_up: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _processed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> Answer | None:
        self.arrived.set()
        if self.hung_up:
            call.wait_for_hang_up()
            self.gave_up.set()
        if self.hangs_up:
            threading.Thread(target=self._process, args=(call,)).start()
            return None
        return self._process(call)

    def release(self) -> None:
        """Let git carry out the request, and return when it has."""
        self._released.set()
        assert self._processed.wait(PATIENCE_SECONDS)

    def _process(self, call: Call) -> Answer | None:
        answer = call.forward() if self._released.wait(PATIENCE_SECONDS) else None
        self._processed.set()
        return answer


@dataclass
class _Rule:
    kind: str
    fault: Fault
    nth: int | None
    seen: int = 0

    def meets(self, call: GitCall) -> bool:
        if call.kind != self.kind:
            return False
        self.seen += 1
        return self.nth in (None, self.seen)


class GitServer(Served):
    """The repositories in a folder, over HTTP. After `rule(PUSH, fault, nth=2)` the second push goes wrong.

    `credentials`, USER:PASSWORD, are what is demanded; `latency` is how many seconds each request takes at least.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.credentials = ""
        self.latency = 0.0
        self.calls: list[GitCall] = []
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.git = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def url_of(self, remote: Remote, credentials: str = "") -> str:
        """Return the address of a repository in the folder, with USER:PASSWORD in it if given."""
        at = f"{credentials}@" if credentials else ""
        return f"http://{at}127.0.0.1:{self.port}/{remote.folder.relative_to(self.folder)}"

    def rule(self, kind: str, fault: Fault, *, nth: int | None = None) -> None:
        self._rules.append(_Rule(kind, fault, nth))

    def forbid_pushes(self) -> None:
        """Answer as GitHub does to a token that may only read."""
        self.rule(LIST_FOR_PUSH, _forbidden)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self.calls.clear()

    def count(self, kind: str | None = None) -> int:
        """Return how many requests of a kind there were; without one, of any."""
        return sum(kind in (None, call.kind) for call in list(self.calls))

    def fault_for(self, call: GitCall) -> Callable[[GitCall], Answer | None]:
        with self._lock:
            self.calls.append(call)
            met = [rule.fault for rule in self._rules if rule.meets(call)]
        if self.latency:
            time.sleep(self.latency)
        if self.credentials and call.credentials != self.credentials:
            return _unauthorized
        return met[0] if met else GitCall.forward


def _unauthorized(_: Call) -> Answer:
    return Answer(401, b"", {"WWW-Authenticate": 'Basic realm="tests"', "Content-Type": "text/plain"})


def _forbidden(_: Call) -> Answer:
    text = b"Permission to tests/project.git denied to github-actions[bot]."
    return Answer(403, text, {"Content-Type": "text/plain; charset=utf-8"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    git: GitServer

    def server_bind(self) -> None:
        """Without asking the name service for our own name."""
        TCPServer.server_bind(self)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients are killed while they are answered."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait 40 ms for the first one's ACK
    server: _Server

    def _handle(self) -> None:
        body = self._body()
        if body is None:  # the client was killed while it sent
            self.close_connection = True
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        server = self.server.git
        headers = dict(self.headers)
        call = GitCall(
            self.command, self.path, headers, body, str(server.folder), partial(self.rfile.read, 1)
        )
        answer = server.fault_for(call)(call)
        if answer is None:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.length is not None

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            return body if len(body) == length else None
        pieces: list[bytes] = []
        while line := self.rfile.readline().strip():
            size = int(line.split(b";")[0], 16)
            piece = self.rfile.read(size)
            if len(piece) < size:
                return None
            self.rfile.readline()
            if not size:
                return b"".join(pieces)
            pieces.append(piece)
        return None

    do_GET = do_POST = _handle  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing: stderr belongs to the command under test."""


@dataclass(frozen=True)
class RecordedGit:
    """A `git` before the real one in PATH, which writes down what it was started with."""

    folder: Path

    def environments(self) -> list[dict[str, str]]:
        """Return the environment of each git that was started, in no order."""
        texts = [path.read_bytes().decode() for path in self.folder.glob("*.environment")]
        return [dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry) for text in texts]

    def commands(self) -> list[list[str]]:
        """Return the arguments of each git that was started, in no order."""
        return [path.read_text().split("\0")[:-1] for path in self.folder.glob("*.arguments")]


def recorded_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = "") -> RecordedGit:
    """Put a `git` first in PATH that records each start; `script` is what it does, in shell, before the real one."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "git"
    name = f'"{folder}/$$'
    text = f'env -0 >{name}.environment"\nprintf \'%s\\0\' "$@" >{name}.arguments"\n'
    real = subprocess.run(
        ["sh", "-c", "command -v git"], capture_output=True, text=True, check=True
    ).stdout.strip()
    program.write_text(f'#!/bin/sh\n{text}{script}\nexec {real} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return RecordedGit(folder)


def _tree(folder: Path, files: Mapping[str, str]) -> str:
    """Write a tree of nested folders, and return its name."""
    entries = []
    for name in sorted({path.split("/")[0] for path in files}):
        if name in files:
            blob = git(folder, "hash-object", "-w", "--stdin", text=files[name]).strip()
            entries.append(f"100644 blob {blob}\t{name}")
        else:
            below = {
                path[len(name) + 1 :]: text for path, text in files.items() if path.startswith(f"{name}/")
            }
            entries.append(f"040000 tree {_tree(folder, below)}\t{name}")
    return git(folder, "mktree", text="".join(f"{entry}\n" for entry in entries)).strip()


_ONLY_HEADS_AND_TAGS = """#!/bin/sh
while read -r old new ref; do
    case "$ref" in
        refs/heads/*|refs/tags/*) ;;
        *) echo "only refs/heads/ and refs/tags/ can be pushed" >&2; exit 1 ;;
    esac
done
"""

_GITLAB_PROTECTED = """#!/bin/sh
while read -r old new ref; do
    case "$ref" in
        refs/heads/PATTERN)
            echo "GitLab: You are not allowed to push code to protected branches on this project." >&2
            exit 1 ;;
    esac
done
"""

# GitHub's reason stands in the line of the ref, where only proc-receive can put it: gitprotocol in git's manual
# has its packets.
_GITHUB_PROTECTED = r"""
import sys
from fnmatch import fnmatch

def packets():
    while (size := int(sys.stdin.buffer.read(4), 16)) > 4:
        yield sys.stdin.buffer.read(size - 4).rstrip(b"\n")

def send(*texts):
    for text in texts:
        sys.stdout.buffer.write(b"%04x" % (len(text) + 4) + text)
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()

options = b"push-options" in b"".join(packets())
send(b"version=1\0push-options" if options else b"version=1")
refs = [line.split(b" ")[2] for line in packets()]
if options:
    list(packets())
answers = []
for ref in refs:
    name = ref.decode()
    if fnmatch(name, "refs/heads/PATTERN"):
        print(f"error: GH006: Protected branch update failed for {name}.", file=sys.stderr)
        print("error: Changes must be made through a pull request.", file=sys.stderr)
        answers.append(b"ng " + ref + b" protected branch hook declined")
    else:
        answers += [b"ok " + ref, b"option fall-through"]
send(*answers)
"""
