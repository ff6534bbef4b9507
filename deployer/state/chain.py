"""The shared state as a chain of commits on a ref of a git remote.

The tip has `lock.json` while there is a lock, and a file for each run: `journal/DAY/RUN.jsonl`. A write is a commit
on top of the tip that was read, and its push succeeds only if that is still the tip.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from deployer.clock import utc_text
from deployer.state.git import Git, GitFailed, Remote, find_remote, git_for
from deployer.state.store import (
    MAX_LOCK_BYTES,
    RUN_FILE,
    Lock,
    Rejected,
    Snapshot,
    StateError,
    lock_from_json,
)

LOCK_FILE = "lock.json"
MAX_LINES = 4  # of the messages of a host
DAYS = 30  # of runs at the tip; older ones are in the history of the ref
MAX_RUN_BYTES = 64 * 1024 * 1024  # 10,000 jobs need 14 MB
MAX_BYTES = 128 * 1024 * 1024  # of all runs that are read, the newest first

_BLOB = re.compile(r"100644 blob ([0-9a-f]{40,64}) +([0-9]+)\t(.*)", re.DOTALL)


def ref_name(project: str, target: str, branch: str = "") -> str:
    """Return the ref of a project and target: outside of the branches, unless `branch` names their folder."""
    names = "/".join(
        re.sub(r"\.", "%2E", quote(name, safe="")).replace("~", "%7E") for name in (project, target)
    )
    return f"refs/heads/{branch}/{names}" if branch else f"refs/deployer/{names}"


@contextmanager
def open_chain(
    checkout: Path, name: str, ref: str, environment: Mapping[str, str], hidden: Collection[str] = ()
) -> Iterator[Chain]:
    """Open the chain at `ref` of the remote `name` of a checkout. Raises StateError."""
    remote = find_remote(checkout, name, environment, hidden)
    with git_for(remote, environment, hidden) as git:
        yield Chain(git, remote, ref, environment)


class Chain:
    """A store on a ref of a git remote."""

    def __init__(self, git: Git, remote: Remote, ref: str, environment: Mapping[str, str]) -> None:
        self._git = git
        self._remote = remote
        self._ref = ref
        self._environment = environment

    @property
    def name(self) -> str:
        return f"{self._ref} of {self._remote.shown}"

    def version(self) -> str:
        """Return the id of the tip; empty if the ref does not exist. Raises StateError."""
        try:
            lines = self._git.run("ls-remote", self._remote.url, self._ref).decode().splitlines()
        except GitFailed as error:
            raise self._explained(error, "read") from None
        return next((line.split("\t")[0] for line in lines if line.endswith(f"\t{self._ref}")), "")

    def read(self) -> Snapshot:
        """Read the tip. Raises StateError."""
        options = ("--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        try:
            self._git.run("fetch", *options, self._remote.url, f"+{self._ref}:{self._ref}")
        except GitFailed as error:
            if "couldn't find remote ref" in error.errors:
                return Snapshot()
            raise self._explained(error, "read") from None
        version = self._git.run("rev-parse", "--verify", self._ref).decode().strip()
        if self._git.run("cat-file", "-t", version).strip() != b"commit":
            raise StateError(
                f"the shared state, {self.name}, is not a commit; remove that ref, or name another"
            )
        sizes, blobs = {}, {}
        for entry in self._git.run("ls-tree", "-r", "-l", "-z", version).decode(errors="replace").split("\0"):
            if (found := _BLOB.fullmatch(entry)) and (found[3] == LOCK_FILE or RUN_FILE.fullmatch(found[3])):
                blobs[found[3]], sizes[found[3]] = found[1], int(found[2])
        wanted = _within_limits(sizes)
        contents = self._contents({file: blobs[file] for file in wanted})
        lock = contents.pop(LOCK_FILE, None)
        if lock is None and LOCK_FILE in blobs:
            lock = b""
        runs = {file: contents[file] for file in sorted(contents)}
        omitted = tuple(sorted({*blobs} - {*wanted}))
        return Snapshot(version, lock_from_json(lock) if lock is not None else None, runs, omitted)

    def written_at(self, snapshot: Snapshot) -> str:
        """Return when a state was written, by the clock of the machine that did. Raises StateError."""
        if not snapshot.version:
            return ""
        seconds = self._git.run("log", "-1", "--format=%ct", snapshot.version).decode().strip()
        return utc_text(datetime.fromtimestamp(int(seconds), UTC))

    def swap(self, before: Snapshot, lock: Lock | None, runs: Mapping[str, bytes | None]) -> Snapshot:
        """Push a commit on top of `before`, without the runs of more than 30 days ago.

        Raises Rejected if the tip is another one, and StateError.
        """
        removed = dict.fromkeys(_expired([*before.runs, *before.omitted, *runs], datetime.now(UTC).date()))
        changed = {**runs, **removed}
        commit = self._commit(before.version, {LOCK_FILE: lock.as_json() if lock else None, **changed})
        self._push(commit, before.version)
        return before.changed(commit, lock, changed)

    def compact(self, before: Snapshot) -> Snapshot:
        """Replace the chain by one commit with the content of its tip. Raises Rejected and StateError."""
        tree = self._git.run("rev-parse", f"{before.version}^{{tree}}").decode().strip()
        name, address = self._remote.committer.rstrip(">").split(" <")
        who = ("-c", f"user.name={name}", "-c", f"user.email={address}")
        commit = self._git.run(*who, "commit-tree", tree, "-m", self._message()).decode().strip()
        self._push(commit, before.version)
        return before.changed(commit, before.lock, {})

    def _contents(self, blobs: Mapping[str, str]) -> dict[str, bytes]:
        """Return the contents of blobs, by their file."""
        if not blobs:
            return {}
        listed = "".join(f"{blob}\n" for blob in blobs.values()).encode()
        output = self._git.run("cat-file", "--batch", data=listed)
        contents, position = {}, 0
        for file in blobs:
            end = output.index(b"\n", position)
            size = int(output[position:end].split()[2])
            contents[file] = output[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return contents

    def _message(self) -> str:
        # A branch would start a pipeline. The nonce makes each commit another one.
        skip = " [skip ci]" if self._ref.startswith("refs/heads/") else ""
        return f"deployer state{skip}\n\n{uuid.uuid4().hex}\n"

    def _commit(self, parent: str, files: Mapping[str, bytes | None]) -> str:
        """Return a new commit with changed files; those without content are removed."""
        message = self._message().encode()
        stream = [
            f"commit {self._ref}\nmark :1\ncommitter {self._remote.committer} {int(time.time())} +0000\n".encode(),
            b"data %d\n%s\n" % (len(message), message),
            f"from {parent}\n".encode() if parent else b"",
        ]
        for file, content in files.items():
            if content is None:
                stream.append(f"D {file}\n".encode())
            else:
                stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (file.encode(), len(content), content))
        stream.append(b"\nget-mark :1\ndone\n")
        return (
            self._git.run("fast-import", "--quiet", "--force", "--done", data=b"".join(stream))
            .decode()
            .strip()
        )

    def _push(self, commit: str, before: str) -> None:
        """Push a commit if the tip is still `before`. Raises Rejected if it is not, and StateError."""
        lease = f"--force-with-lease={self._ref}:{before}"
        # A plus before it would win over the lease.
        source = f"{commit}:{self._ref}"
        try:
            self._git.run("push", "--porcelain", "--no-verify", lease, self._remote.url, source)
        except GitFailed as error:
            try:
                tip = self.version()
            except StateError:
                raise self._explained(error, "write") from None
            if tip == commit:  # only the response was lost
                return
            if tip != before or "(stale info)" in error.output:
                raise Rejected(f"{self.name} was changed by somebody else") from None
            explained = self._explained(error, "write")
            # Another push is in progress on the host.
            raise Rejected(str(explained)) if "cannot lock ref" in error.output else explained from None

    def _explained(self, error: GitFailed, verb: str) -> StateError:
        """Return an error of one line that says what to set."""
        words = f"{error.errors}\n{error.output}"
        refused = re.search(r"\[remote rejected\] \((.*)\)", error.output)
        reason = refused[1] if refused else str(error)
        remote = re.findall(r"^remote: (?:error: |fatal: )?(\S.*)$", error.errors, re.MULTILINE)[:MAX_LINES]
        if lines := [line.strip() for line in remote if line.strip() not in reason]:
            reason = f"{reason}: {'; '.join(lines)}"
        advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, words, re.IGNORECASE)), "")
        if refused and not advice:
            advice = _PROTECTED if self._ref.startswith("refs/heads/") else _BRANCH
        permission = _permission(self._environment) if advice is _PERMISSION else advice
        return StateError(
            f"cannot {verb} the shared state, {self.name}: {reason}{f'; {permission}' if permission else ''}"
        )


_PERMISSION = "give the CI job the permission to write to the repository"
_BRANCH = "if the host takes only branches and tags, set state: {git: {branch: deployer-state}}"
_PROTECTED = "allow whoever deploys to push to this branch, or remove its protection"

# What to do about an error, by its words in git or at the hosts.
_ADVICE = (
    (
        r"shallow update not allowed|from a shallow repository",
        "the remote is a shallow clone; set state.git.remote to a complete one",
    ),
    (r"protected branch|GH006|GH013|repository rule violations", _PROTECTED),
    (r"' exists; cannot create '", "a branch has this name already; set another one: state.git.branch"),
    (r"cannot lock ref", "another push is in progress, or one was cut off on the host; try again"),
    (r"non-fast-forward|denyNonFastForwards", "the host does not allow replacing the history of a ref"),
    (
        r"permission to .* denied|returned error: 403|not allowed to (push|upload)|write access.* not granted"
        r"|deploy key|access denied|read.only|insufficient permission",
        _PERMISSION,
    ),
    (r"hidden ref|funny refname|pre-receive hook declined|hook declined", ""),
    (
        r"authentication failed|could not read (username|password)|terminal prompts disabled|returned error: 401"
        r"|permission denied \(|host key verification failed|invalid credentials",
        "give git a credential for this remote: an HTTP header, a credential helper, or an SSH key",
    ),
    (
        r"does not appear to be a git repository|repository .*not found|returned error: 404|repository not exported",
        "check the URL of the remote, and whether the credential may read it",
    ),
    (
        r"could not resolve|failed to connect|connection (refused|reset|timed out)|timed out|network is unreachable"
        r"|no route to host|couldn't connect|unable to access|early eof|hung up|returned error: 5|proxy",
        "check the network, and https_proxy for an https URL; plan works without the shared state, apply does not",
    ),
)


def _permission(environment: Mapping[str, str]) -> str:
    if environment.get("GITHUB_ACTIONS"):
        return "give the job `permissions: contents: write`"
    if environment.get("GITLAB_CI"):
        setting = "Settings > CI/CD > Job token permissions > Allow Git push requests to the repository"
        return f"turn on {setting}, or use a project access token"
    return _PERMISSION


def _within_limits(sizes: Mapping[str, int]) -> list[str]:
    """Return the files that are read: neither too large nor, together, too many; the newest first."""
    wanted, total = [], 0
    for file in sorted(sizes, reverse=True):
        if file == LOCK_FILE:
            wanted += [file] if sizes[file] <= MAX_LOCK_BYTES else []
        elif sizes[file] <= MAX_RUN_BYTES and total + sizes[file] <= MAX_BYTES:
            wanted.append(file)
            total += sizes[file]
    return wanted


def _expired(files: Collection[str], today: date) -> list[str]:
    """Return the runs of more than 30 days before today. A clock that is ahead must not remove those of the others."""
    days: dict[str, date] = {}
    for file in files:
        found = RUN_FILE.fullmatch(file)
        try:
            days[file] = date.fromisoformat(found[1]) if found else today
        except ValueError:
            days[file] = today
    newest = max((day for day in days.values() if day < today), default=today)
    is_ahead = today - newest > timedelta(days=DAYS)  # or nobody has deployed for so long
    oldest = (newest if is_ahead else today) - timedelta(days=DAYS)
    return [file for file, day in days.items() if day < oldest]
