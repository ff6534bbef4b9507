"""What the store says when the remote cannot be used: one line, and what to do about it."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployer.state.store import Lock, Rejected, Snapshot, StateError
from testing.faults import says
from testing.git_server import LIST_FOR_PUSH, PUSH, GitServer, Remote, clone, git, recorded_git
from unit.state.conftest import REF, OpenChain

LOCK = Lock("0123456789ab", 180.0, "somebody@host", "2026-11-21T10:00:00Z", "deployer apply")
BRANCH = "refs/heads/deployer-state/tests/test"

BRANCH_ADVICE = "set state: {git: {branch: deployer-state}}"
PROTECTED_ADVICE = "allow whoever deploys to push to this branch, or remove its protection"
PERMISSION_ADVICE = "give the CI job the permission to write to the repository"
CREDENTIAL_ADVICE = (
    "give git a credential for this remote: an HTTP header, a credential helper, or an SSH key"
)
URL_ADVICE = "check the URL of the remote, and whether the credential may read it"
NETWORK_ADVICE = (
    "check the network, and https_proxy for an https URL; plan works without the shared state, apply does not"
)


def refused(chain: OpenChain, folder: Path, *, ref: str = REF) -> str:
    """Return what a write in the checkout fails with."""
    with pytest.raises(StateError) as caught:
        chain(folder, ref=ref).swap(Snapshot(), LOCK, {})
    return one_line(caught.value)


def unreadable(chain: OpenChain, folder: Path) -> str:
    """Return what a read in the checkout fails with."""
    with pytest.raises(StateError) as caught:
        chain(folder).read()
    return one_line(caught.value)


def one_line(error: StateError) -> str:
    assert not isinstance(error, Rejected)
    text = str(error)
    assert text.isprintable()
    return text


def test_refs_that_are_no_branches_are_refused(either: Path, remote: Remote, chain: OpenChain) -> None:
    """There is no change to a branch by itself: two runners would lock in two places."""
    remote.take_only_heads_and_tags()
    message = refused(chain, either)
    assert message.startswith(f"cannot write the shared state, {REF} of ")
    assert "only refs/heads/ and refs/tags/ can be pushed" in message
    assert BRANCH_ADVICE in message
    assert [*remote.refs()] == ["refs/heads/main"]
    written = chain(either, ref=BRANCH).swap(Snapshot(), LOCK, {})
    assert remote.refs()[BRANCH] == written.version


def test_hidden_refs_are_refused(either: Path, remote: Remote, chain: OpenChain) -> None:
    remote.hide("refs/deployer")
    message = refused(chain, either)
    assert "deny updating a hidden ref" in message
    assert BRANCH_ADVICE in message


@pytest.mark.parametrize("host", ["GitHub", "GitLab"])
def test_a_protected_branch_is_refused(either: Path, remote: Remote, chain: OpenChain, host: str) -> None:
    remote.protect("deployer*", host)
    message = refused(chain, either, ref=BRANCH)
    words = {
        "GitHub": "GH006: Protected branch update failed for",
        "GitLab": "You are not allowed to push code to protected branches",
    }
    assert words[host] in message
    assert message.endswith(f"; {PROTECTED_ADVICE}")
    assert [*remote.refs()] == ["refs/heads/main"]
    # Only the branches are protected.
    assert chain(either).swap(Snapshot(), LOCK, {}).version == remote.refs()[REF]


def test_a_branch_that_has_the_name_of_the_folder_is_in_the_way(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    remote.git("branch", "deployer-state", "main")
    message = refused(chain, project, ref=BRANCH)
    assert "'refs/heads/deployer-state' exists" in message
    assert message.endswith("; a branch has this name already; set another one: state.git.branch")


def test_a_lock_of_git_itself_is_named(project: Path, remote: Remote, chain: OpenChain) -> None:
    """As a crashed push leaves it on a host of one's own. Nothing is wrong with the ref then."""
    path = remote.folder / f"{REF}.lock"
    path.parent.mkdir(parents=True)
    path.touch()
    message = refused(chain, project)
    assert message.endswith("; another push is in progress, or one was cut off on the host; try again")
    path.unlink()
    assert chain(project).swap(Snapshot(), LOCK, {}).version == remote.refs()[REF]


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("", PERMISSION_ADVICE),
        ("GITHUB_ACTIONS", "give the job `permissions: contents: write`"),
        ("GITLAB_CI", "or use a project access token"),
    ],
)
def test_a_credential_that_may_only_read(
    online: Path,
    server: GitServer,
    chain: OpenChain,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    advice: str,
) -> None:
    if variable:
        monkeypatch.setenv(variable, "true")
    server.forbid_pushes()
    message = refused(chain, online)
    assert "Permission to tests/project.git denied to github-actions[bot]." in message
    assert message.endswith(advice)
    assert chain(online).read() == Snapshot()


def test_a_remote_that_is_there_and_takes_no_push_at_all(
    online: Path, remote: Remote, chain: OpenChain
) -> None:
    """As a mirror: git says only 403."""
    remote.git("config", "--replace-all", "http.receivepack", "false")
    message = refused(chain, online)
    assert "returned error: 403" in message
    assert message.endswith(PERMISSION_ADVICE)


def test_no_credential(online: Path, server: GitServer, chain: OpenChain) -> None:
    server.credentials = "somebody:a-token"
    for message in (refused(chain, online), unreadable(chain, online)):
        assert "could not read Username" in message
        assert message.endswith(CREDENTIAL_ADVICE)
    assert not server.count(PUSH)


def test_a_wrong_credential(online: Path, remote: Remote, server: GitServer, chain: OpenChain) -> None:
    server.credentials = "somebody:a-token"
    git(online, "remote", "set-url", "origin", server.url_of(remote, "somebody:an-old-token"))
    for message in (refused(chain, online), unreadable(chain, online)):
        assert "Authentication failed" in message
        assert message.endswith(CREDENTIAL_ADVICE)
        assert "an-old-token" not in message


def test_a_credential_that_expires_before_the_write(
    online: Path, server: GitServer, chain: OpenChain
) -> None:
    store = chain(online)
    assert store.read() == Snapshot()
    server.credentials = "somebody:a-token"
    with pytest.raises(StateError, match="give git a credential"):
        store.swap(Snapshot(), LOCK, {})


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_host_that_is_down(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, status: int
) -> None:
    server.rule(LIST_FOR_PUSH, says(status, "<html>\nno\n</html>"))
    assert f"returned error: {status}" in refused(chain, online)
    assert REF not in remote.refs()


def test_no_network(project: Path, chain: OpenChain) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    git(project, "remote", "set-url", "origin", f"http://127.0.0.1:{port}/project.git")
    for message in (refused(chain, project), unreadable(chain, project)):
        assert f"Failed to connect to 127.0.0.1 port {port}" in message
        assert message.endswith(NETWORK_ADVICE)


@pytest.mark.parametrize("url", ["http", "file", "path"])
def test_no_repository_at_the_url(
    project: Path, server: GitServer, chain: OpenChain, tmp_path: Path, url: str
) -> None:
    """`https://` with such a path may also be a private repository that the credential does not see."""
    urls = SimpleNamespace(http=f"{server.url}/other.git", file=f"file://{tmp_path}/no.git", path="../no.git")
    git(project, "remote", "set-url", "origin", getattr(urls, url))
    for message in (refused(chain, project), unreadable(chain, project)):
        assert "not found" in message or "does not appear to be a git repository" in message
        assert message.endswith(URL_ADVICE)


def test_a_remote_that_does_not_exist(project: Path, chain: OpenChain) -> None:
    git(project, "remote", "add", "upstream", "https://host.invalid/x")
    with pytest.raises(StateError) as caught:
        chain(project, name="upstraem")
    assert one_line(caught.value).startswith("state: git: the repository has no remote 'upstraem'")
    assert "upstream" in one_line(caught.value)
    assert one_line(caught.value).endswith("; set state.git.remote")


def test_a_repository_without_a_remote(project: Path, chain: OpenChain) -> None:
    git(project, "remote", "remove", "origin")
    with pytest.raises(StateError, match=r"has no remote 'origin': run 'git remote add") as caught:
        chain(project)
    assert one_line(caught.value).endswith("origin URL', or set 'state: local' in deployer.yaml")


def test_a_remote_without_a_url(project: Path, chain: OpenChain) -> None:
    git(project, "remote", "remove", "origin")
    git(project, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    with pytest.raises(StateError, match="has no remote 'origin'"):
        chain(project)


def test_a_folder_that_is_in_no_repository(project: Path, chain: OpenChain) -> None:
    """As an archive of the sources has it."""
    shutil.rmtree(project / ".git")
    with pytest.raises(StateError) as caught:
        chain(project)
    assert one_line(caught.value) == (
        f"state: git cannot be used: {project} is not in the work tree of a git repository; use a checkout, "
        "or set state: local"
    )


def test_a_bare_repository_is_no_checkout(remote: Remote, chain: OpenChain) -> None:
    """A folder in a pull request can look like one, with a configuration that names programs to run."""
    with pytest.raises(StateError):
        chain(remote.folder)


def test_no_git(project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "home"))
    with pytest.raises(StateError) as caught:
        chain(project)
    assert one_line(caught.value) == (
        "state: git needs git, which was not found on PATH; install it, or set state: local"
    )


def test_a_git_that_cannot_be_started(
    project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "home" / "git"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(StateError, match="state: git cannot run git: "):
        chain(project)


def test_a_checkout_of_another_user(
    project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the container of a CI job, whose checkout was made outside of it."""
    recorded_git(tmp_path / "recorded", monkeypatch, "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1")
    with pytest.raises(StateError) as caught:
        chain(project)
    message = one_line(caught.value)
    assert message.endswith(
        f"belongs to another user; run: git config --global --add safe.directory {project}"
    )


def test_an_old_git(project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded_git(tmp_path / "recorded", monkeypatch, "echo git version 2.17.1; exit")
    with pytest.raises(
        StateError, match=r"state: git needs git 2\.32 or newer; this is git version 2\.17\.1"
    ):
        chain(project)


def test_a_remote_that_is_a_shallow_clone(
    project: Path, remote: Remote, chain: OpenChain, tmp_path: Path
) -> None:
    """It is shallow only in its branches: the state is complete there."""
    folder = clone(remote.url, tmp_path / "shallow.git", "--bare", "--depth=1")
    git(project, "remote", "set-url", "origin", f"file://{folder}")
    first, second = chain(project), chain(project)
    first.swap(Snapshot(), LOCK, {})
    after = second.swap(second.read(), None, {})
    assert first.read() == after
