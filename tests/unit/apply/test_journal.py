"""The journal: what is written before a request, what is known after a crash, and what `history` shows."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.apply import journal
from deployer.apply.history import read, unsettled
from deployer.apply.journal import Journal
from deployer.errors import DeployerError, Exit
from deployer.model import Action, Change, Identity, Job, Source
from testing.client import Time
from testing.workspace import ROOT, Workspace

SHA = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {"GITHUB_RUN_ID": "77", "GITHUB_ACTOR": "ann", "GITHUB_SHA": SHA}


def change(name: str = "alpha", reason: str = "it is not there") -> Change:
    job = Job(Identity("SparkBatch", "q", name), Source("jobs/a.yaml", 3), {"file": "a.jar"})
    return Change(Action.SUBMIT, job, reason)


def opened(folder: Path, target: str = "prod", **more: Any) -> Journal:
    return Journal.open(folder, target, "pid", **{"environment": GITHUB, "clock": Time().clock, **more})


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / journal.FILE).read_bytes().splitlines()]


# --- writing ----------------------------------------------------------------------------------------------


def test_an_intent_is_there_before_its_outcome(tmp_path: Path) -> None:
    time = Time()
    with opened(tmp_path, clock=time.clock) as log:
        entry = log.intent(change(), "create")
        (intent,) = read(tmp_path).intents
        assert (intent.result, intent.ended, intent.settled) == ("", None, False)
        time.now += 2.5
        entry.record_outcome("done", id="b-1", message="submitted", request_id="r-1")
    assert lines(tmp_path) == [
        {
            "format": 1,
            "event": "intent",
            "run": log.run,
            "number": 1,
            "time": "2024-07-03T09:46:40.000+00:00",
            "target": "prod",
            "project": "pid",
            "project_name": "",
            "revision": SHA,
            "author": "ann, GitHub run 77",
            "action": "submit",
            "call": "create",
            "kind": "SparkBatch",
            "place": "q",
            "name": "alpha",
            "source": "jobs/a.yaml:3",
            "reason": "it is not there",
            "id": "",
        },
        {
            "format": 1,
            "event": "outcome",
            "run": log.run,
            "number": 1,
            "time": "2024-07-03T09:46:42.500+00:00",
            "result": "done",
            "id": "b-1",
            "request_id": "r-1",
            "message": "submitted",
        },
    ]
    (intent,) = read(tmp_path).intents
    assert (intent.identity, intent.result, intent.id, intent.request_id) == (
        Identity("SparkBatch", "q", "alpha"),
        "done",
        "b-1",
        "r-1",
    )
    assert intent.ended is not None
    assert (intent.ended - intent.time).total_seconds() == 2.5


def test_it_is_only_appended_to_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / journal.FILE
    file.write_text('{"anything": 1}\n')
    file.chmod(0o644)
    with opened(tmp_path) as log:
        log.intent(change(), "create")
    assert file.read_text().startswith('{"anything": 1}\n{')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", ['{"format": 1, "event": "int', '{"format": 1}', "\x00\x00", "\n\n"])
def test_after_a_torn_line_a_new_one_begins(tmp_path: Path, torn: str) -> None:
    with opened(tmp_path) as log:
        log.intent(change("before"), "create").record_outcome("done")
    with (tmp_path / journal.FILE).open("a") as file:
        file.write(torn)
    with opened(tmp_path) as log:
        log.intent(change("after"), "create").record_outcome("done")
    found = read(tmp_path)
    assert [(intent.identity.name, intent.result) for intent in found.intents] == [
        ("before", "done"),
        ("after", "done"),
    ]
    assert found.broken == bool(torn.strip())


def test_threads_and_other_processes_do_not_mix_their_lines(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path, "other") as second, ThreadPoolExecutor(4) as pool:
        ready = threading.Barrier(4)

        def write(log: Journal, name: str) -> None:
            ready.wait()
            for number in range(25):
                log.intent(change(f"{name}{number}"), "create").record_outcome("done", id=f"{name}{number}")

        for log, name in ((first, "a"), (first, "b"), (second, "c"), (second, "d")):
            pool.submit(write, log, name)
    found = read(tmp_path)
    assert (len(found.intents), found.broken) == (100, 0)
    assert {intent.id for intent in found.intents} == {
        f"{name}{number}" for name in "abcd" for number in range(25)
    }
    assert all(intent.id == intent.identity.name for intent in found.intents)


def test_no_secret_is_written(tmp_path: Path) -> None:
    with opened(tmp_path, scrub=lambda text: text.replace("hunter2", "(secret)")) as log:
        entry = log.intent(change(reason="differs: hunter2"), "create", id="hunter2")
        entry.record_outcome(
            "failed", "hunter2", "said hunter2, obs://AK:SK@host and --password x", "hunter2"
        )
    text = (tmp_path / journal.FILE).read_text()
    assert "said (secret)" in text
    assert not re.search("hunter2|AK:SK|password x", text)


def test_a_request_id_is_whole(tmp_path: Path) -> None:
    """Support asks for it; a short secret is in it by chance."""
    number = "06bdc5f7ea3d41e09768a2b4c6d8e0f1"
    with opened(tmp_path, scrub=lambda text: text.replace("d41e", "***")) as log:
        log.intent(change(), "create").record_outcome("failed", "1", f"request {number}", number)
    [intent] = read(tmp_path).intents
    assert (intent.request_id, intent.message) == (number, "request 06bdc5f7ea3***09768a2b4c6d8e0f1")


def test_a_line_is_never_long(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.intent(change(reason="\x00" * 100_000), "create").record_outcome("failed", message="é" * 100_000)
    found = read(tmp_path)
    assert (len(found.intents[0].message), found.broken) == (journal.MAX_TEXT, 0)


@pytest.mark.parametrize("made", [Path.mkdir, lambda path: path.symlink_to("/dev/null"), os.mkfifo])
def test_a_journal_that_is_no_file(tmp_path: Path, made: Callable[[Path], object]) -> None:
    made(tmp_path / journal.FILE)
    with pytest.raises(DeployerError, match="no request was sent"):
        opened(tmp_path)
    with pytest.raises(DeployerError, match="is not a regular file"):
        read(tmp_path)


def test_a_full_disk_stops_what_was_not_sent(tmp_path: Path) -> None:
    """A limit on the size of files is as good as a full disk; it is that of another process."""
    code = """
import resource, signal, sys
from pathlib import Path
from deployer.apply.journal import Journal
from unit.apply.test_journal import change
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal.open(Path(sys.argv[1]), "prod", "pid", environment={"GITHUB_RUN_ID": "1"}) as log:
    entry = log.intent(change(), "create")
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1], "journal.jsonl").stat().st_size + 9,) * 2)
    entry.record_outcome("done")
    log.intent(change(), "create")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot write journal" in ran.stderr
    assert "the request was not sent" in ran.stderr
    found = read(tmp_path)
    assert ([intent.result for intent in found.intents], found.broken) == ([""], 1)


# --- after a crash ----------------------------------------------------------------------------------------


def names(folder: Path, target: str = "prod") -> list[str]:
    return [intent.identity.name for intent in unsettled(read(folder), target)]


def test_what_is_not_known(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    with opened(tmp_path) as log:
        for name, result in (("a", "done"), ("b", "unknown"), ("c", "failed")):
            log.intent(change(name), "create").record_outcome(result)
        log.intent(change("d"), "create")
    with opened(tmp_path, "other") as log:
        log.intent(change("e"), "create")
    assert (names(tmp_path), names(tmp_path, "other")) == (["b", "d"], ["e"])
    assert unsettled(read(tmp_path), "prod")[0].time.isoformat() == "2024-07-03T09:46:40+00:00"


def test_a_later_run_settles_the_jobs_that_it_sent(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for name in ("a", "b", "c"):
            log.intent(change(name), "create")
    with opened(tmp_path) as log:
        log.intent(change("a"), "create").record_outcome("done")
        log.intent(change("b"), "create").record_outcome("unknown")
    assert names(tmp_path) == ["b", "c", "b"]
    with opened(tmp_path, "other") as log:
        log.intent(change("b"), "create").record_outcome("done")
    assert names(tmp_path) == ["b", "c", "b"]
    with opened(tmp_path) as log:
        log.intent(change("b"), "create").record_outcome("failed")
    assert names(tmp_path) == ["c"]


def test_the_same_run_settles_nothing_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.intent(change("a"), "create").record_outcome("unknown")
        log.intent(change("a"), "start").record_outcome("done")
    assert names(tmp_path) == ["a"]


def test_a_killed_process_leaves_its_intent(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from deployer.apply.journal import Journal
from unit.apply.test_journal import change
log = Journal.open(Path(sys.argv[1]), "prod", "pid", environment={"GITHUB_RUN_ID": "1"})
log.intent(change("a"), "create").record_outcome("done")
log.intent(change("b"), "create")
print("sent", flush=True)
sys.stdin.read()
"""
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        arguments, cwd=ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == ["b"]


# --- reading ----------------------------------------------------------------------------------------------


def test_only_the_end_of_a_long_journal_is_read(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for number in range(100):
            log.intent(change(f"a{number}"), "create").record_outcome("done")
    size = (tmp_path / journal.FILE).stat().st_size
    found = read(tmp_path, most=size // 2)
    assert found.intents[-1].identity.name == "a99"
    assert (len(found.intents) in range(45, 51), found.broken) == (True, 0)
    assert size // 2 <= found.cut < size // 2 + 1000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None)
@given(
    name=st.sampled_from(["format", "event", "run", "number", "time", "name", "id", "reason"]), value=anything
)
def test_any_line_can_be_read_or_is_counted(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with opened(folder) as log:
        log.intent(change(), "create")
    (line,) = lines(folder)
    (folder / journal.FILE).write_text(json.dumps({**line, name: value}) + "\n" + json.dumps(value) + "\n")
    found = read(folder)
    assert len(found.intents) + found.broken == 2


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[" * 50_000,
        b"9" * 5000,
        b"x" * 100_000,
        b'{"format": 2, "event": "intent"}',
        b'{"format": 1, "event": "intent"}',
        b'{"format": 1, "event": "other", "run": "r", "number": 1, "time": "2024-07-03T09:46:40Z"}',
        b'{"format": 1, "event": "outcome", "run": "r", "number": true, "time": "2024-07-03T09:46:40Z"}',
        b'{"format": 1, "event": "intent", "run": "r", "number": 1, "time": "2024-07-03T09:46:40"}',
        b'{"format": 1, "event": "intent", "run": "r", "number": 1, "time": "0001-01-01T00:00:00+14:00"}',
    ],
)
def test_a_broken_line_is_counted(tmp_path: Path, line: bytes) -> None:
    with opened(tmp_path) as log:
        log.intent(change(), "create").record_outcome("done")
    with (tmp_path / journal.FILE).open("ab") as file:
        file.write(line + b"\n")
    found = read(tmp_path)
    assert ([intent.result for intent in found.intents], found.broken) == (["done"], 1)


# --- history ----------------------------------------------------------------------------------------------


@pytest.fixture
def state(bare: Workspace) -> Path:
    folder = bare.folder / ".deployer"
    folder.mkdir()
    return folder


def test_history(bare: Workspace, state: Path) -> None:
    with opened(state) as log:
        log.intent(change("a"), "create").record_outcome("done", "b-1", "submitted", "r-1")
        log.intent(change("b"), "create").record_outcome("unknown", message="the answer was lost")
    with opened(state, "test") as log:
        log.intent(change("c"), "cancel", id="b-9")
    ran = bare.run("history")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert ran.out == (
        f"2024-07-03 09:46:40 UTC to prod (project pid) by ann, GitHub run 77, revision {SHA}\n"
        "  2024-07-03 09:46:40 UTC create (submit) SparkBatch a in q: done, id b-1, request r-1, submitted\n"
        "      jobs/a.yaml:3: it is not there\n"
        "  2024-07-03 09:46:40 UTC create (submit) SparkBatch b in q: outcome unknown, the answer was lost\n"
        "      jobs/a.yaml:3: it is not there\n"
        "\n"
        f"2024-07-03 09:46:40 UTC to test (project pid) by ann, GitHub run 77, revision {SHA}\n"
        "  2024-07-03 09:46:40 UTC cancel (submit) SparkBatch c in q: outcome not recorded, id b-9\n"
        "      jobs/a.yaml:3: it is not there\n"
    )
    requests = bare.run("history", "--format", "json").json["requests"]
    assert [(request["name"], request["result"], request["request_id"]) for request in requests] == [
        ("a", "done", "r-1"),
        ("b", "unknown", None),
        ("c", None, None),
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], "abc"),
        (["--limit", "2"], "bc"),
        (["-t", "prod"], "ab"),
        (["--select", "name=[ac]"], "ac"),
        (["--select", "kind=MrsJob"], ""),
        (["--select", "name=a", "--select", "name=b,kind=SparkBatch"], "ab"),
        (["-t", "prod", "--limit", "1"], "b"),
    ],
)
def test_which_calls_are_shown(bare: Workspace, state: Path, options: list[str], shown: str) -> None:
    for target, calls in (("prod", "ab"), ("test", "c")):
        with opened(state, target) as log:
            for name in calls:
                log.intent(change(name), "create")
    requests = bare.run("history", "--format", "json", *options).json["requests"]
    assert "".join(request["name"] for request in requests) == shown


def test_a_project_without_a_journal(bare: Workspace) -> None:
    ran = bare.run("history")
    assert (ran.code, ran.out, ran.err) == (Exit.DONE, "No requests recorded.\n", "")
    assert bare.run("history", "--format", "json").json == {"format_version": "1.0", "requests": []}
    assert not (bare.folder / ".deployer").exists()


def test_it_needs_no_manifest_that_is_right(bare: Workspace) -> None:
    bare.write("broken.yaml", "{{")
    assert bare.run("history").code == Exit.DONE


@pytest.mark.parametrize("options", [["--limit", "0"], ["--select", "label.a=b"], ["--select", "x=y"]])
def test_what_history_cannot_do(bare: Workspace, options: list[str]) -> None:
    assert bare.run("history", *options).code == Exit.USAGE


def test_a_hostile_journal_is_printable(bare: Workspace, state: Path) -> None:
    with opened(state) as log:
        log.intent(change("a"), "create").record_outcome("done")
    text = (state / journal.FILE).read_text()
    evil = json.dumps("\x1b]0;x\x07\u202e\n##[group]")[1:-1]
    for word in (
        "prod",
        "pid",
        "ann",
        "submit",
        "create",
        "SparkBatch",
        '"q',
        '"a"',
        "yaml",
        "not there",
        "done",
    ):
        text = text.replace(word, f"{word[:-1]}{evil}{word[-1]}")
    (state / journal.FILE).write_text(text + "not a line\n")
    ran = bare.run("history")
    assert (ran.code, ran.err) == (Exit.DONE, "note: .deployer/journal.jsonl: 1 unreadable line\n")
    assert len(ran.out.splitlines()) == 3
    assert not re.search("\x1b|\x07|\u202e|##\\[", ran.out)
    assert "\\u001b]0;x" in ran.out
