"""How git is started: with what it needs to reach the remote, and with nothing else."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import deployer.state.git
from deployer.errors import DeployerError
from deployer.state.git import find_remote, git_for, without_credentials
from deployer.state.store import Lock, Snapshot, StateError
from testing.faults import says
from testing.git_server import (
    LIST_FOR_FETCH,
    LIST_FOR_PUSH,
    PUSH,
    GitServer,
    Held,
    RecordedGit,
    Remote,
    git,
    recorded_git,
)
from unit.state.conftest import REF, OpenChain

LOCK = Lock("0123456789ab", 180.0, "somebody@host", "2026-11-21T10:00:00Z", "deployer apply")

TOKEN = "a-token/with=signs"  # noqa: S105
CREDENTIALS = f"x-access-token:{TOKEN}"
IN_URL = "x-access-token:a-token%2Fwith%3Dsigns"
BASIC = base64.b64encode(CREDENTIALS.encode()).decode()
HEADER = f"AUTHORIZATION: basic {BASIC}"

# Credentials of the services, by the prefixes of their variables, and those that deployer.yaml names.
SECRETS = {
    "HW_ACCESS_KEY": "s1",
    "HW_SECRET_KEY": "s2",
    "OS_PASSWORD": "s3",
    "os_token": "s4",
    "HUAWEICLOUD_SDK_SK": "s5",
    "DEPLOYER_SECRET_DB": "s6",
    "DEPLOYER_SECRETS": "s7",
    "NAMED_BY_THE_USER": "s8",
}
NEEDED = {
    "SSH_AUTH_SOCK": "/run/agent",
    "SSH_AGENT_PID": "1",
    "https_proxy": "http://proxy.invalid:1",
    "NO_PROXY": "127.0.0.1",
    "GIT_SSL_CAINFO": "/etc/ca.pem",
    "RUNNER_TEMP": "/runner/_temp",
}


def use(store_of: OpenChain, folder: Path, **options: tuple[str, ...]) -> None:
    """Read and write as an apply does."""
    store = store_of(folder, **options)
    store.swap(store.read(), LOCK, {})
    store.version()


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedGit:
    return recorded_git(tmp_path / "recorded", monkeypatch)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def marker(path: Path) -> str:
    return f"touch '{path}'"


# --- the environment


def test_no_secret_is_in_the_environment_and_what_is_needed_is(
    project: Path, chain: OpenChain, recorded: RecordedGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SECRETS, **NEEDED}.items():
        monkeypatch.setenv(name, value)
    use(chain, project, hidden=("NAMED_BY_THE_USER",))
    environments = recorded.environments()
    assert len(environments) > 5
    for environment in environments:
        assert not {*SECRETS} & {*environment}
        assert not {*SECRETS.values()} & {*environment.values()}
        assert NEEDED.items() <= environment.items()
        assert environment["GIT_TERMINAL_PROMPT"] == "0"
        assert environment["LC_ALL"] == "C"


def test_a_credential_helper_and_ssh_do_not_see_the_secrets(
    remote: Remote,
    project: Path,
    online: Path,
    server: GitServer,
    chain: OpenChain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**SECRETS, **NEEDED}.items():
        monkeypatch.setenv(name, value)
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    server.credentials = CREDENTIALS
    answer = f"echo username=x-access-token; echo 'password={TOKEN}'"
    helper = script(
        tmp_path / "helper", f'env -0 >"{dumps}/helper.$$"; test "$1" = get && {{ {answer}; }}; true'
    )
    git(online, "config", "credential.helper", str(helper))
    ssh = script(tmp_path / "ssh", f'env -0 >"{dumps}/ssh.$$"; shift; exec sh -c "$*"')
    git(project, "config", "core.sshCommand", str(ssh))
    git(project, "config", "ssh.variant", "simple")
    git(project, "remote", "set-url", "origin", f"git@host.invalid:{remote.folder}")
    for folder in (online, project):
        use(chain, folder, hidden=("NAMED_BY_THE_USER",))
    for program in ("helper", "ssh"):
        texts = [path.read_text() for path in dumps.glob(f"{program}.*")]
        assert len(texts) >= 2
        for text in texts:
            environment = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
            assert not {*SECRETS} & {*environment}
            assert NEEDED.items() <= environment.items()


def test_an_ssh_command_of_the_environment_wins(
    remote: Remote, project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = script(tmp_path / "ssh", 'shift; exec sh -c "$*"')
    git(project, "config", "core.sshCommand", "false")
    git(project, "remote", "set-url", "origin", f"ssh://git@host.invalid{remote.folder}")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    use(chain, project)
    assert REF in remote.refs()


@pytest.mark.parametrize("where", ["variable", "setting"])
def test_a_relative_path_is_one_from_the_top_of_the_checkout(
    remote: Remote, project: Path, chain: OpenChain, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """As git itself does it; a key beside the sources is named so: `ssh -i deploy_key`."""
    script(project / "tools" / "ssh", 'shift; exec sh -c "$*"')
    git(project, "remote", "set-url", "origin", f"ssh://git@host.invalid{remote.folder}")
    git(project, "config", "ssh.variant", "simple")
    if where == "variable":
        monkeypatch.setenv("GIT_SSH_COMMAND", "./tools/ssh")
    else:
        git(project, "config", "core.sshCommand", "./tools/ssh")
    inner = project / "inner"
    inner.mkdir()
    use(chain, inner)
    assert REF in remote.refs()


@pytest.mark.parametrize("where", ["variable", "setting"])
def test_a_proxy_is_used(
    project: Path,
    remote: Remote,
    server: GitServer,
    chain: OpenChain,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    git(project, "remote", "set-url", "origin", f"http://host.invalid/{remote.folder.name}")
    if where == "variable":
        monkeypatch.setenv("http_proxy", server.url)
    else:
        git(project, "config", "http.http://host.invalid.proxy", server.url)
    use(chain, project)
    assert REF in remote.refs()
    assert {call.path.split("/project.git")[0] for call in server.calls} == {"http://host.invalid"}


def test_ssh_asks_nothing(
    project: Path, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is not known, or a key with a passphrase, is an error and not a question."""
    words = tmp_path / "words"
    script(
        tmp_path / "bin" / "ssh",
        f'printf "%s\\n" "$*" >>"{words}"; echo "Host key verification failed." >&2; exit 255',
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    git(project, "remote", "set-url", "origin", "git@host.invalid:project.git")
    with pytest.raises(StateError, match="give git a credential for this remote"):
        chain(project).read()
    assert "BatchMode=yes" in words.read_text()


def test_variables_that_aim_git_elsewhere_have_no_effect(
    online: Path,
    remote: Remote,
    server: GitServer,
    chain: OpenChain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a hook of another repository, or with tracing, which would write the credential down."""
    server.credentials = CREDENTIALS
    git(online, "config", "http.extraheader", HEADER)
    other = tmp_path / "other"
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(other))
    monkeypatch.setenv("GIT_NAMESPACE", "other")
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(other))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(other))
    for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE2_EVENT", "GIT_TRACE_PACKET"):
        monkeypatch.setenv(name, str(tmp_path / "trace"))
    use(chain, online)
    assert REF in remote.refs()
    assert not other.exists()
    assert not (tmp_path / "trace").exists()


def test_a_git_that_hangs_is_ended_with_the_programs_that_it_started(
    online: Path, remote: Remote, server: GitServer
) -> None:
    """Otherwise its push could take effect at any time; one that the host has may do so late."""
    held = Held(hung_up=True)
    server.rule(PUSH, held)
    found = find_remote(online, "origin", os.environ)
    with git_for(found, os.environ) as started:
        started.run("fetch", "--quiet", found.url, "main")
        with pytest.raises(StateError, match="git push did not end within 1 s"):
            started.run("push", found.url, f"FETCH_HEAD:{REF}", seconds=0.7)
        assert held.arrived.is_set()
        assert held.gave_up.wait(5)
        assert REF not in remote.refs()
        held.release()
        assert REF in remote.refs()


# --- programs that a checkout can name


def test_no_hook_runs(
    project: Path, remote: Remote, chain: OpenChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    names = [
        *("pre-push", "reference-transaction", "post-commit", "pre-commit", "post-checkout", "post-update"),
        *("pre-auto-gc", "post-index-change", "post-rewrite", "fsmonitor-watchman", "push-to-checkout"),
    ]
    for folder in (project / ".git" / "hooks", tmp_path / "template" / "hooks", tmp_path / "hooks"):
        for name in names:
            script(folder / name, marker(ran))
    home = Path(tmp_path / "home" / ".gitconfig")
    home.write_text(
        f'[init]\n\ttemplateDir = "{tmp_path}/template"\n[core]\n\thooksPath = "{tmp_path}/hooks"\n'
    )
    git(project, "config", "core.hooksPath", str(tmp_path / "hooks"))
    git(project, "config", "core.fsmonitor", str(tmp_path / "hooks" / "fsmonitor-watchman"))
    use(chain, project)
    store = chain(project)
    store.compact(store.read())
    assert not ran.exists()
    git(project, "push", "--quiet", "origin", "main:other")
    assert ran.exists()


def test_no_other_program_of_the_configuration_runs(
    project: Path, remote: Remote, chain: OpenChain, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    program = script(tmp_path / "program", marker(ran))
    for key in ("core.pager", "core.editor", "gpg.program", "core.alternateRefsCommand"):
        git(project, "config", key, str(program))
    for key in ("remote.origin.receivepack", "remote.origin.uploadpack", "remote.origin.vcs"):
        git(project, "config", key, str(program))
    for key in ("commit.gpgSign", "push.gpgSign", "tag.gpgSign", "log.showSignature"):
        git(project, "config", key, "true")
    use(chain, project)
    assert REF in remote.refs()
    assert not ran.exists()


SETTINGS = {
    "push.default": "nothing",
    "push.followTags": "true",
    "push.recurseSubmodules": "on-demand",
    "push.pushOption": "ci.skip",
    "fetch.prune": "true",
    "fetch.writeCommitGraph": "true",
    "fetch.unpackLimit": "1",
    "transfer.fsckObjects": "true",
    "remote.origin.mirror": "true",
    "remote.origin.fetch": "+refs/*:refs/*",
    "core.autocrlf": "true",
    "core.bigFileThreshold": "1",
    "i18n.commitEncoding": "latin1",
    "color.ui": "always",
    "core.abbrev": "4",
}


def test_settings_of_the_checkout_do_not_change_what_is_written(
    project: Path, remote: Remote, chain: OpenChain
) -> None:
    git(project, "tag", "--annotate", "--message=x", "v1")
    for key, value in SETTINGS.items():
        git(project, "config", key, value)
    first, second = chain(project), chain(project)
    before = remote.refs()
    runs = {"journal/2026-11-21/0123456789ab.jsonl": b"\xc3\xa4\r\n"}
    written = first.swap(first.read(), LOCK, runs)
    assert second.read() == written
    assert (written.lock, written.runs) == (LOCK, runs)
    assert remote.refs() == {**before, REF: written.version}


# --- credentials


def _header(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    git(folder, "config", f"http.{server.url}/.extraheader", HEADER)


def _included(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    """As actions/checkout leaves it since its version 6."""
    file = tmp_path / "runner" / "git-credentials-1.config"
    file.parent.mkdir()
    file.write_text(f'[http "{server.url}/"]\n\textraheader = {HEADER}\n')
    git(folder, "config", f"includeIf.gitdir:{folder}/.git.path", str(file))


def _url(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    """As a CI job of GitLab has it."""
    git(folder, "remote", "set-url", "origin", server.url_of(remote, IN_URL))


def _instead_of(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    git(folder, "remote", "set-url", "origin", "https://git.example.com/project.git")
    base = server.url_of(remote, IN_URL).removesuffix("project.git")
    git(folder, "config", f"url.{base}.insteadOf", "https://git.example.com/")


def _helper(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    stored = tmp_path / "credentials"
    stored.write_text(f"{server.url_of(remote, IN_URL).removesuffix('/project.git')}\n")
    git(folder, "config", "credential.helper", f"store --file='{stored}'")


def _home(folder: Path, tmp_path: Path, server: GitServer, remote: Remote) -> None:
    (tmp_path / "home" / ".gitconfig").write_text(f'[http "{server.url}"]\n\textraHeader = {HEADER}\n')


PLACES = [_header, _included, _url, _instead_of, _helper, _home]
Place = Callable[[Path, Path, GitServer, Remote], None]


@pytest.mark.parametrize("place", PLACES)
def test_the_credential_of_the_checkout_reaches_the_host(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, tmp_path: Path, place: Place
) -> None:
    server.credentials = CREDENTIALS
    with pytest.raises(StateError, match="give git a credential"):
        use(chain, online)
    place(online, tmp_path, server, remote)
    use(chain, online)
    assert REF in remote.refs()


def test_a_credential_in_the_variables_of_git_reaches_the_host(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a step of a workflow can have it, so that no file has it."""
    server.credentials = CREDENTIALS
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Somebody")
    monkeypatch.setenv("GIT_CONFIG_KEY_1", f"http.{server.url}/.extraHeader")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", HEADER)
    use(chain, online)
    assert REF in remote.refs()


def test_a_program_that_is_asked_for_the_credential(
    online: Path,
    remote: Remote,
    server: GitServer,
    chain: OpenChain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.credentials = CREDENTIALS
    answer = f"case $1 in User*) echo x-access-token ;; *) echo '{TOKEN}' ;; esac"
    monkeypatch.setenv("GIT_ASKPASS", str(script(tmp_path / "askpass", answer)))
    use(chain, online)
    assert REF in remote.refs()


def test_the_credential_of_one_host_is_not_sent_to_another_one(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain
) -> None:
    git(online, "config", "http.https://github.com/.extraheader", HEADER)
    use(chain, online)
    assert server.calls
    assert not any("basic" in str(call.headers).lower() for call in server.calls)


@pytest.mark.parametrize("place", PLACES)
def test_no_error_shows_the_credential(
    online: Path, remote: Remote, server: GitServer, chain: OpenChain, tmp_path: Path, place: Place
) -> None:
    place(online, tmp_path, server, remote)
    store = chain(online)
    shown = [store.name]
    for status in (403, 500):
        server.rule(LIST_FOR_FETCH, says(status, f"no entry for {server.url_of(remote, IN_URL)}"))
        server.rule(LIST_FOR_PUSH, says(status, f"no entry for {server.url_of(remote, IN_URL)}"))
        for action in (store.read, store.version, lambda: store.swap(Snapshot(), LOCK, {})):
            with pytest.raises(DeployerError) as caught:
                action()
            shown.append(f"{caught.value!s} {caught.value!r} {vars(caught.value)}")
        server.clear()
    for text in shown:
        assert "token" not in text.replace("job token", "")
        assert BASIC not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/p.git", "https://host/p.git"),
        ("https://token@host/p.git", "https://host/p.git"),
        ("https://user:token@host:8443/p.git", "https://host:8443/p.git"),
        ("https://user:tok@en@host/p.git", "https://host/p.git"),
        (
            "cannot reach 'https://u:token@host/p' or http://token@other",
            "cannot reach 'https://host/p' or http://other",
        ),
        ("https://host/p.git?private_token=abcdef", "https://host/p.git"),
        ("cannot reach 'https://host/p?token=abcdef'.", "cannot reach 'https://host/p'."),
        ("ssh://git@host/p.git", "ssh://host/p.git"),
        ("git@host:p.git", "git@host:p.git"),
        ("https://host/p@1.0.git", "https://host/p@1.0.git"),
        ("/srv/a@b.git", "/srv/a@b.git"),
    ],
)
def test_urls_are_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_a_git_of_the_project_is_not_run(project: Path, tmp_path: Path) -> None:
    """PATH may have the current folder, which a pull request can write to."""
    fake = project / "git"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f".{os.pathsep}{os.pathsep}{os.environ['PATH']}"}
    remote = find_remote(project, "origin", environment)
    with git_for(remote, environment) as git:
        git.run("version")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:tok%40en-1@host/p.git", "no user tok@en-1 (tok%40en-1)"),
        ("https://a-token-alone@host/p.git", "no token a-token-alone"),
        ("https://host/p.git?private_token=a-token-alone", "no token a-token-alone"),
    ],
)
def test_what_the_host_repeats_of_a_credential_is_hidden(url: str, said: str, tmp_path: Path) -> None:
    shown = deployer.state.git.Remote("origin", url, tmp_path).scrubbed(said)
    assert shown in {"no user *** (***)", "no token ***"}


def test_a_user_name_that_is_a_word_is_kept(tmp_path: Path) -> None:
    assert (
        deployer.state.git.Remote("origin", "https://git@host/p.git", tmp_path).scrubbed("fatal: git")
        == "fatal: git"
    )


def test_a_helper_of_git_that_hangs_does_not_hold_us_up(project: Path, tmp_path: Path) -> None:
    """Not even in a session of its own, with our pipes."""
    remote = find_remote(project, "origin", os.environ)
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\nsetsid sleep 6 &\nsleep 6\n")
    wrapper.chmod(0o755)
    environment = {**os.environ, "PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    git = deployer.state.git.Git(tmp_path, remote, environment)
    started = time.monotonic()
    with pytest.raises(DeployerError, match="did not end within 0 s"):
        git.run("version", seconds=0.2)
    assert time.monotonic() - started < 5
