"""The store on a git ref: a write succeeds only on top of what was read, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployer.state.chain import Chain
from deployer.state.store import Lock, Rejected, Snapshot, StateError
from testing.faults import Call, Fault, hangs_up, says
from testing.git_server import (
    FETCH,
    LIST,
    LIST_FOR_FETCH,
    LIST_FOR_PUSH,
    PUSH,
    GitServer,
    Held,
    Remote,
    clone,
    git,
)
from unit.state.conftest import REF, OpenChain

LOCK = Lock("0123456789ab", 180.0, "somebody@host", "2026-11-21T10:00:00Z", "deployer apply")
TODAY = datetime.now(UTC).date()
FILE = f"journal/{TODAY}/0123456789ab.jsonl"
OTHER_FILE = f"journal/{TODAY}/ba9876543210.jsonl"


def day(ago: int) -> str:
    return f"journal/{TODAY - timedelta(days=ago)}/0123456789ab.jsonl"


def outcome(swap: Callable[[], Snapshot]) -> str:
    try:
        return swap().version
    except Rejected:
        return "rejected"


def test_what_was_written_is_read_by_another_checkout(either: Path, remote: Remote, chain: OpenChain) -> None:
    first, second = chain(either), chain(either)
    assert first.read() == second.read() == Snapshot()
    assert first.version() == ""
    locked = first.swap(Snapshot(), LOCK, {FILE: b'{"event": "planned"}\n'})
    assert second.read() == locked
    assert (locked.lock, locked.runs) == (LOCK, {FILE: b'{"event": "planned"}\n'})
    assert second.version() == locked.version == remote.refs()[REF]
    released = second.swap(locked, None, {OTHER_FILE: b"x\n"})
    assert first.read() == released
    assert (released.lock, sorted(released.runs)) == (None, [FILE, OTHER_FILE])
    assert remote.commits(REF) == [released.version, locked.version]


def test_a_write_on_what_is_no_longer_the_tip_is_rejected(
    either: Path, remote: Remote, chain: OpenChain
) -> None:
    first, second = chain(either), chain(either)
    start = first.swap(Snapshot(), None, {FILE: b"1\n"})
    assert second.read() == start
    won = first.swap(start, LOCK, {})
    for before in (Snapshot(), start):
        with pytest.raises(Rejected):
            second.swap(before, LOCK, {FILE: b"2\n"})
    assert remote.refs()[REF] == won.version
    assert second.read() == won


def test_two_equal_writes_in_the_same_second_have_one_winner(
    either: Path, remote: Remote, chain: OpenChain
) -> None:
    """To git the same commit twice is one that is there already."""
    for number in range(10):
        ref = f"{REF}{number}"
        first, second = (chain(either, ref=ref) for _ in range(2))
        started = int(time.time())
        won = first.swap(Snapshot(), LOCK, {FILE: b"1\n"})
        with pytest.raises(Rejected):
            second.swap(Snapshot(), LOCK, {FILE: b"1\n"})
        assert remote.refs()[ref] == won.version
        if started == int(time.time()):
            return
    pytest.fail("the machine is too slow: no two writes were made in the same second")


def test_one_of_many_at_once_wins(either: Path, remote: Remote, chain: OpenChain) -> None:
    many = 6
    chains = [chain(either) for _ in range(many)]
    start = threading.Barrier(many)
    seen = Snapshot()

    def swap(number: int) -> str:
        start.wait()
        return outcome(lambda: chains[number].swap(seen, LOCK, {FILE: b"%d\n" % number}))

    with ThreadPoolExecutor(many) as pool:
        for _ in range(2):
            outcomes = list(pool.map(swap, range(many)))
            assert outcomes.count("rejected") == many - 1
            (winner,) = {*outcomes} - {"rejected"}
            (seen,) = {found.version: found for found in map(Chain.read, chains)}.values()
            assert seen.version == winner == remote.refs()[REF]
            assert seen.runs[FILE] == b"%d\n" % outcomes.index(winner)
    assert len(remote.commits(REF)) == 2


def test_a_ref_that_somebody_removed_is_written_anew(either: Path, remote: Remote, chain: OpenChain) -> None:
    store = chain(either)
    gone = store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    remote.git("update-ref", "-d", REF)
    with pytest.raises(Rejected):
        store.swap(gone, LOCK, {})
    assert store.read() == Snapshot()
    again = store.swap(store.read(), None, {FILE: b"2\n"})
    assert remote.commits(REF) == [again.version]


# --- faults on the way


def bad_gateway(*, after: bool) -> Fault:
    return says(502, "bad gateway", after=after)


ANSWERS: dict[str, Callable[..., Fault]] = {"hangs up": hangs_up, "502": bad_gateway}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_lost_answer_to_a_write_is_no_failure(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, answer: str
) -> None:
    store = chain(online)
    server.rule(PUSH, ANSWERS[answer](after=True))
    written = store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert remote.refs()[REF] == written.version
    again = store.swap(written, None, {})
    assert (remote.refs()[REF], chain(online).read()) == (again.version, again)


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_write_that_never_arrived_is_an_error_and_not_a_rejection(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, answer: str
) -> None:
    """Nobody else has written: to try again is right."""
    store = chain(online)
    server.rule(PUSH, ANSWERS[answer](after=False))
    with pytest.raises(StateError, match="check the network") as caught:
        store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert not isinstance(caught.value, Rejected)
    assert REF not in remote.refs()
    server.clear()
    assert store.swap(Snapshot(), LOCK, {FILE: b"1\n"}).version == remote.refs()[REF]


def test_a_lost_answer_to_a_write_that_somebody_has_built_upon_is_a_rejection(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    """What is there then must be read again, whoever wrote it."""
    store, other = chain(online), chain(online)

    def built_upon(call: Call) -> None:
        call.forward()
        remote.write(REF, {"lock.json": "{}"}, parent=remote.refs()[REF])

    server.rule(PUSH, built_upon, nth=1)
    with pytest.raises(Rejected):
        store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert other.read().version == remote.refs()[REF]


def test_a_lost_answer_while_the_remote_cannot_be_read_is_an_error(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    """It leaves open whether the write took effect; the next one on the old tip finds out."""
    store = chain(online)
    server.rule(PUSH, hangs_up(after=True))
    server.rule(LIST_FOR_FETCH, hangs_up(after=False))
    with pytest.raises(StateError) as caught:
        store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert not isinstance(caught.value, Rejected)
    server.clear()
    with pytest.raises(Rejected):
        store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert (store.read().lock, store.read().version) == (LOCK, remote.refs()[REF])


def held_while_the_client_gives_up(server: GitServer) -> Held:
    """The first push is kept, and the connection of each one breaks: curl sends a request again by itself."""
    late = Held(hangs_up=True)
    server.rule(PUSH, late, nth=1)
    server.rule(PUSH, hangs_up(after=False))
    return late


def test_a_write_that_arrives_late_is_not_overwritten(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    """The client has given up, and has seen that nothing was written."""
    store = chain(online)
    late = held_while_the_client_gives_up(server)
    with pytest.raises(StateError) as caught:
        store.swap(Snapshot(), LOCK, {FILE: b"late\n"})
    assert not isinstance(caught.value, Rejected)
    assert store.version() == ""
    server.clear()
    late.release()
    with pytest.raises(Rejected):
        store.swap(Snapshot(), LOCK, {FILE: b"second\n"})
    assert store.read().runs == {FILE: b"late\n"}
    assert len(remote.commits(REF)) == 1


def test_a_write_that_arrives_after_another_one_has_no_effect(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    store, other = chain(online), chain(online)
    late = held_while_the_client_gives_up(server)
    with pytest.raises(StateError):
        store.swap(Snapshot(), LOCK, {FILE: b"late\n"})
    server.clear()
    won = other.swap(Snapshot(), LOCK, {FILE: b"first\n"})
    late.release()
    assert remote.refs()[REF] == won.version
    assert store.read() == won


def test_a_write_loses_to_one_that_is_made_while_it_is_under_way(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    """It was the tip when the push began, and is no longer when git takes it."""
    slow, fast = chain(online), chain(online)
    held = Held()
    server.rule(PUSH, held, nth=1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(outcome, lambda: slow.swap(Snapshot(), LOCK, {FILE: b"slow\n"}))
        assert held.arrived.wait(5)
        won = fast.swap(Snapshot(), LOCK, {FILE: b"fast\n"})
        held.release()
        assert late.result() == "rejected"
    assert remote.refs()[REF] == won.version


def test_a_tip_that_moves_while_it_is_read_is_read_whole(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    store, other = chain(online), chain(online)
    seen = other.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    held = Held()
    server.rule(FETCH, held)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(store.read)
        assert held.arrived.wait(5)
        moved = other.swap(seen, None, {FILE: b"2\n"})
        held.release()
        assert reading.result() in (seen, moved)
    assert store.read() == moved


@pytest.mark.parametrize("kind", [LIST_FOR_FETCH, LIST, FETCH])
@pytest.mark.parametrize("fault", [hangs_up(after=False), says(500, "no")], ids=["hangs up", "500"])
def test_a_read_that_fails_is_never_an_empty_state(
    online: Path, server: GitServer, chain: OpenChain, kind: str, fault: Fault
) -> None:
    """An empty state would mean that nobody has the lock."""
    store = chain(online)
    store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    server.rule(kind, fault)
    with pytest.raises(StateError, match="cannot read the shared state"):
        store.read()
    if kind != FETCH:
        with pytest.raises(StateError, match="cannot read the shared state"):
            store.version()
    server.clear()
    assert store.read().lock == LOCK


def test_large_journals_pass(online: Path, server: GitServer, chain: OpenChain) -> None:
    """Git sends what is larger than 1 MiB in chunks, with a request before it."""
    store = chain(online)
    content = b"".join(b"%064x\n" % pow(number, 40, 2**256) for number in range(60_000))
    written = store.swap(Snapshot(), LOCK, {FILE: content})
    assert server.calls[-1].headers.get("Transfer-Encoding") == "chunked"
    assert chain(online).read() == written


# --- what is in the chain


def test_the_lock_and_the_runs_are_files_of_the_tip(project: Path, remote: Remote, chain: OpenChain) -> None:
    store = chain(project)
    locked = store.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    assert remote.files(REF) == {"lock.json": LOCK.as_json().decode(), FILE: "1\n"}
    store.swap(locked, None, {FILE: b"1\n2\n"})
    assert remote.files(REF) == {FILE: "1\n2\n"}


def test_runs_of_more_than_30_days_leave_the_tip_and_stay_in_its_history(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    remote.write(REF, {day(31): "old\n", day(30): "30\n", day(1): "1\n"})
    store = chain(project)
    after = store.swap(store.read(), None, {FILE: b"new\n"})
    assert sorted(after.runs) == sorted([day(30), day(1), FILE])
    assert store.read() == after
    assert remote.files(f"{REF}~")[day(31)] == "old\n"


def test_a_clock_that_is_ahead_removes_no_runs_of_the_others(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    ahead = f"journal/{TODAY + timedelta(days=400)}/ba9876543210.jsonl"
    remote.write(REF, {ahead: "ahead\n", day(2): "2\n"})
    store = chain(project)
    after = store.swap(store.read(), None, {FILE: b"new\n"})
    assert sorted(after.runs) == sorted([ahead, day(2), FILE])


def test_messages_in_a_branch_skip_the_pipeline(project: Path, remote: Remote, chain: OpenChain) -> None:
    branch = "refs/heads/deployer-state/tests/test"
    for ref in (REF, branch):
        store = chain(project, ref=ref)
        store.swap(store.swap(Snapshot(), LOCK, {}), None, {})
    assert [message.splitlines()[0] for message in remote.messages(branch)] == [
        "deployer state [skip ci]"
    ] * 2
    assert [message.splitlines()[0] for message in remote.messages(REF)] == ["deployer state"] * 2


def test_a_strict_remote_takes_a_chain(either: Path, remote: Remote, chain: OpenChain) -> None:
    for setting in ("receive.denyNonFastForwards", "receive.fsckObjects", "receive.denyDeletes"):
        remote.configure(setting)
    first, second = chain(either), chain(either)
    start = first.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    after = second.swap(second.read(), None, {FILE: b"2\n"})
    assert remote.commits(REF) == [after.version, start.version]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (None, None),
        ("Zoë Ångström", "zoe@example.com"),
        ("a <b> c\n", " <x@y>"),
        ("", ""),
        ("J\udcf6rg", "j@x"),
    ],
    ids=["none", "accents", "brackets", "empty", "not UTF-8"],
)
def test_any_committer_passes_the_checks_of_a_strict_remote(
    project: Path,
    remote: Remote,
    chain: OpenChain,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    address: str | None,
) -> None:
    """A fresh runner has none, and the bytes of a name need not be UTF-8."""
    remote.configure("receive.fsckObjects")
    if name is not None and address is not None:
        monkeypatch.setenv("GIT_COMMITTER_NAME", name)
        monkeypatch.setenv("GIT_COMMITTER_EMAIL", address)
    git(project, "config", "user.useConfigOnly", "true")
    assert chain(project).swap(Snapshot(), LOCK, {}).version == remote.refs()[REF]


def test_compacting_leaves_one_commit_with_the_same_content(
    either: Path, remote: Remote, chain: OpenChain
) -> None:
    store, other = chain(either), chain(either)
    before = store.swap(store.swap(Snapshot(), LOCK, {FILE: b"1\n"}), None, {OTHER_FILE: b"2\n"})
    assert other.read() == before
    after = store.compact(before)
    assert remote.commits(REF) == [after.version]
    assert other.read() == after
    assert (after.lock, after.runs) == (before.lock, before.runs)
    with pytest.raises(Rejected):
        other.compact(before)
    assert other.swap(after, LOCK, {}).version == remote.refs()[REF]


def test_compacting_is_refused_where_the_history_of_a_branch_is_kept(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    remote.configure("receive.denyNonFastForwards")
    branch = "refs/heads/deployer/tests/test"
    store = chain(project, ref=branch)
    before = store.swap(store.swap(Snapshot(), LOCK, {}), None, {})
    with pytest.raises(StateError, match="does not allow replacing the history") as caught:
        store.compact(before)
    assert not isinstance(caught.value, Rejected)
    assert remote.refs()[branch] == before.version


# --- what others may have put there


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"run": 1}', "[" * 60_000, '{"lease": 1e999}', "\0"],
    ids=["empty", "cut", "list", "null", "number", "deep", "infinite", "binary"],
)
def test_a_lock_that_cannot_be_read_is_a_lock(
    project: Path, remote: Remote, chain: OpenChain, content: str
) -> None:
    remote.write(REF, {"lock.json": content})
    lock = chain(project).read().lock
    assert lock is not None
    assert lock.lease == 180


def test_a_lock_of_any_size_is_a_lock(project: Path, remote: Remote, chain: OpenChain) -> None:
    remote.write(REF, {"lock.json": " " * 100_000})
    assert chain(project).read().lock is not None


def test_files_that_are_none_of_ours_are_kept_and_not_read(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    others = {"README": "x", "journal/2026-13-01/x": "x", "journal/x.jsonl": "x", "lock.json.bak": "x"}
    remote.write(REF, others)
    store = chain(project)
    seen = store.read()
    assert (seen.lock, seen.runs) == (None, {})
    store.swap(seen, None, {FILE: b"1\n"})
    assert remote.files(REF) == {**others, FILE: "1\n"}


def test_a_ref_that_is_no_commit_is_an_error(project: Path, remote: Remote, chain: OpenChain) -> None:
    blob = git(remote.folder, "hash-object", "-w", "--stdin", text="x").strip()
    remote.git("update-ref", REF, blob)
    with pytest.raises(StateError):
        chain(project).read()


# --- the checkout


def shallow(url: str, folder: Path) -> Path:
    return clone(url, folder, "--depth=1")


def detached(url: str, folder: Path) -> Path:
    clone(url, folder)
    git(folder, "checkout", "--quiet", "--detach")
    return folder


def linked(url: str, folder: Path) -> Path:
    clone(url, folder)
    git(folder, "worktree", "add", "--quiet", "../linked")
    return folder.parent / "linked"


def below(url: str, folder: Path) -> Path:
    clone(url, folder)
    inner = folder / "a" / "folder"
    inner.mkdir(parents=True)
    return inner


def single_branch(url: str, folder: Path) -> Path:
    return clone(url, folder, "--single-branch", "--no-tags", "--filter=blob:none")


def fetched_only(url: str, folder: Path) -> Path:
    """As actions/checkout makes it: init, remote add, fetch of one commit."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", url)
    git(folder, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", "main")
    git(folder, "checkout", "--quiet", "--force", "FETCH_HEAD")
    return folder


@pytest.mark.parametrize("make", [shallow, detached, linked, below, single_branch, fetched_only])
def test_every_kind_of_checkout_shares_the_state(
    project: Path, remote: Remote, chain: OpenChain, tmp_path: Path, make: Callable[[str, Path], Path]
) -> None:
    first = chain(project)
    seen = first.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    second = chain(make(remote.url, tmp_path / "second"))
    assert second.read() == seen
    after = second.swap(seen, None, {FILE: b"2\n"})
    assert first.read() == after
    assert remote.commits(REF) == [after.version, seen.version]


def test_a_relative_remote_is_relative_to_the_top_of_the_checkout(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    git(project, "remote", "set-url", "origin", "../host/project.git")
    inner = project / "inner"
    inner.mkdir()
    assert chain(inner).swap(Snapshot(), LOCK, {}).version == remote.refs()[REF]


def test_another_remote_and_its_push_url_are_used(project: Path, remote: Remote, chain: OpenChain) -> None:
    git(project, "remote", "add", "upstream", "https://host.invalid/project.git")
    git(project, "config", "remote.upstream.pushurl", "there:project.git")
    git(project, "config", f"url.{remote.url}.insteadOf", "there:project.git")
    store = chain(project, name="upstream")
    written = store.swap(store.read(), LOCK, {})
    assert written.version == remote.refs()[REF] == store.version()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("make", [shallow, detached, linked])
def test_nothing_in_the_repository_of_the_user_changes(
    online: Path,
    remote: Remote,
    server: GitServer,
    chain: OpenChain,
    tmp_path: Path,
    make: Callable[[str, Path], Path],
) -> None:
    """Its refs, its HEAD, the file of a shallow clone, its objects, and its index."""
    folder = make(server.url_of(remote), tmp_path / "second")
    git(folder, "status")
    before = everything(tmp_path / "second")
    store, other = chain(folder), chain(online)
    store.swap(store.read(), LOCK, {FILE: b"1\n"})
    seen = other.swap(other.read(), None, {FILE: b"2\n"})
    assert store.read() == seen
    store.compact(seen)
    assert everything(tmp_path / "second") == before
    assert git(folder, "status", "--porcelain", "--ignored") == ""
    assert git(folder, "for-each-ref", "refs/deployer") == ""


def test_clones_and_plain_fetches_do_not_take_the_state(
    project: Path, remote: Remote, chain: OpenChain, tmp_path: Path
) -> None:
    chain(project).swap(Snapshot(), LOCK, {FILE: b"1\n"})
    folder = clone(remote.url, tmp_path / "second")
    git(folder, "fetch", "--quiet", "--all", "--tags")
    git(folder, "pull", "--quiet")
    assert "deployer" not in git(folder, "for-each-ref")
    assert "deployer" not in git(folder, "ls-remote", "--heads", "--tags", "origin")


# --- cost


def test_the_number_of_requests(online: Path, server: GitServer, chain: OpenChain) -> None:
    """Over a network each takes a good part of a second."""
    store, other = chain(online), chain(online)
    seen = other.swap(Snapshot(), LOCK, {FILE: b"1\n"})
    server.clear()
    store.version()
    assert [call.kind for call in server.calls] == [LIST_FOR_FETCH, LIST]
    server.clear()
    store.read()
    assert [call.kind for call in server.calls] == [LIST_FOR_FETCH, LIST, FETCH]
    server.clear()
    store.swap(seen, None, {FILE: b"2\n"})
    assert [call.kind for call in server.calls] == [LIST_FOR_PUSH, PUSH]


def test_a_slow_remote_is_waited_for(online: Path, server: GitServer, chain: OpenChain) -> None:
    server.latency = 0.05
    store = chain(online)
    written = store.swap(store.read(), LOCK, {FILE: b"1\n"})
    assert store.read() == written


def test_stores_do_not_share_refs(project: Path, remote: Remote, chain: OpenChain) -> None:
    stores: list[Chain] = [chain(project, ref=f"refs/deployer/{name}") for name in ("a/b", "a/b2", "x/a")]
    for number, store in enumerate(stores):
        store.swap(Snapshot(), LOCK, {FILE: b"%d\n" % number})
    remote.write("refs/deployer/z/refs/deployer/a/b", {"lock.json": "{}"})
    assert [store.version() for store in stores] == [
        remote.refs()[f"refs/deployer/{name}"] for name in ("a/b", "a/b2", "x/a")
    ]
