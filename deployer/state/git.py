"""Running git for the shared state: in an empty repository of its own, with the settings of the checkout.

The checkout is only asked for its configuration, because there CI systems leave the credential of the remote.
Nothing in it changes: a fetch with a depth, for instance, would turn a full clone into a shallow one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deployer.errors import nearest
from deployer.secrets import redact
from deployer.state.store import StateError

SECONDS = 60.0
END_SECONDS = 1.0
MIN_SECRET = 6  # shorter user names and passwords are also parts of other words
MINIMUM = (2, 32)  # the first version that takes its whole configuration from the environment

# The prefixes of variables with credentials of the services, and those of this program.
_CREDENTIALS = ("HW_", "OS_", "HUAWEICLOUD_", "DEPLOYER_")

# The variables of git that reach the remote. All others redirect it to other files, trace, or call programs.
_KEPT = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|PROXY_COMMAND|ALLOW_PROTOCOL|PROTOCOL_FROM_USER"
    r"|(COMMITTER|AUTHOR)_(NAME|EMAIL)|SSL_\w+|HTTP_\w+)"
)
_CONFIGURATION = re.compile(r"GIT_CONFIG_(COUNT|(KEY|VALUE)_[0-9]+|PARAMETERS|GLOBAL|SYSTEM|NOSYSTEM)")

# The settings of the checkout that matter for reaching the remote. url.* is applied when its URL is read.
_SETTINGS = re.compile(r"(http|credential|ssh|protocol)\..+|core\.(sshcommand|gitproxy)")

# A folder in a pull request can look like a bare repository whose configuration names programs to run.
SAFE = (
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
)


class GitFailed(StateError):
    """git ended with an error. `output` is its own, `errors` its messages."""

    def __init__(self, message: str, output: str = "", errors: str = "") -> None:
        super().__init__(message)
        self.output = output
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of a checkout. `url` may have credentials; `shown` has none.

    `settings` are the settings with which the checkout reaches it, `committer` is the user's name and address.
    Relative paths in them, and in variables such as GIT_SSH_COMMAND, are relative to `top`, that of the checkout.
    """

    name: str
    url: str
    top: Path
    settings: tuple[tuple[str, str], ...] = ()
    committer: str = "deployer <deployer@localhost>"

    @property
    def shown(self) -> str:
        return without_credentials(self.url)

    def scrubbed(self, text: str) -> str:
        """Return a text without the credentials of the URL: a host may repeat them in its messages."""
        address, _, query = self.url.partition("://")[2].partition("?")
        user = address.rpartition("@")[0] if "@" in address.split("/")[0] else ""
        parts = [*user.split(":", 1), *(item.rpartition("=")[2] for item in query.split("&"))]
        for secret in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
            if len(secret) >= MIN_SECRET:
                text = text.replace(secret, "***")
        return text


class Git:
    """git in a bare repository, without hooks and prompts, and without the credentials of the services."""

    def __init__(self, folder: Path, remote: Remote, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._remote = remote
        self._environment = environment

    def run(self, *arguments: str, data: bytes = b"", seconds: float = SECONDS) -> bytes:
        """Return the output of git. Raises GitFailed."""
        words = (f"--git-dir={self._folder}", *arguments)
        return _run(self._remote.top, words, self._environment, data, seconds, self._remote.scrubbed)


@contextmanager
def git_for(remote: Remote, environment: Mapping[str, str], hidden: Collection[str] = ()) -> Iterator[Git]:
    """Return git in an empty repository that reaches `remote`. Raises StateError.

    `hidden` names the variables with secrets that git does not get.
    """
    given = _for_remote(remote, _without_secrets(environment, hidden))
    with tempfile.TemporaryDirectory(prefix="deployer-state-", ignore_cleanup_errors=True) as folder:
        git = Git(Path(folder), remote, given)
        git.run("init", "--quiet", "--bare", "--template=")
        yield git


def checkout_git(
    checkout: Path, environment: Mapping[str, str], hidden: Collection[str] = ()
) -> Callable[..., bytes]:
    """Return a function that runs git in a checkout, only to read it: it raises GitFailed.

    No replacement of an object counts, and a partial clone fetches nothing (with git 2.45 or newer).
    """
    given = {**_without_secrets(environment, hidden), **_configuration(environment)}
    given |= {"GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}

    def ask(*arguments: str, data: bytes = b"") -> bytes:
        return _run(checkout, (*SAFE, *arguments), given, data, SECONDS)

    return ask


def find_remote(
    checkout: Path, name: str, environment: Mapping[str, str], hidden: Collection[str] = ()
) -> Remote:
    """Return a remote of the checkout that `checkout` lies in. Raises StateError."""
    given = {**_without_secrets(environment, hidden), **_configuration(environment)}

    def ask(*arguments: str) -> str:
        return _run(checkout, (*SAFE, *arguments), given, b"", SECONDS).decode(errors="replace")

    version = ask("version")
    numbers = re.search(r"([0-9]+)\.([0-9]+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < MINIMUM:
        raise StateError(
            f"state: git needs git {MINIMUM[0]}.{MINIMUM[1]} or newer; this is {version.strip()}"
        )
    try:
        settings = [
            _setting(record) for record in ask("config", "--list", "--includes", "-z").split("\0") if record
        ]
        top = Path(ask("rev-parse", "--show-toplevel").strip())
    except GitFailed as error:
        if "dubious ownership" in error.errors:
            words = f"belongs to another user; run: git config --global --add safe.directory {checkout.absolute()}"
            raise StateError(f"state: git cannot be used: the repository {words}") from None
        if (
            "not a git repository" in error.errors
            or "this operation must be run in a work tree" in error.errors
        ):
            words = "is not in the work tree of a git repository; use a checkout, or set state: local"
            raise StateError(f"state: git cannot be used: {checkout.absolute()} {words}") from None
        raise
    names = {
        key.split(".", 1)[1].rpartition(".")[0]
        for key, _ in settings
        if re.fullmatch(r"remote\..+\.(push)?url", key)
    }
    if name not in names:
        advice = f"{nearest(name, sorted(names))}; set state.git.remote"
        if not names:
            advice = f": run 'git remote add {name} URL', or set 'state: local' in deployer.yaml"
        raise StateError(f"state: git: the repository has no remote '{name}'{advice}")
    # Reading from another place than the one that is written to would show an old state.
    url = ask("remote", "get-url", "--push", name).splitlines()[0]
    if _is_relative(url):
        url = os.path.normpath(top / url)
    kept = tuple((key, value) for key, value in settings if _SETTINGS.fullmatch(key))
    return Remote(name, url, top, kept, _committer(dict(settings), environment))


def without_credentials(url: str) -> str:
    """Return a URL, or a text with URLs, without user names, passwords and tokens."""
    without_user = re.sub(r"(?<=://)[^/\s]*@", "", url)
    return re.sub(r"(?<=://)([^\s'\"?]*)\?[^\s'\"]*", r"\1", without_user)


def _setting(record: str) -> tuple[str, str]:
    key, separator, value = record.partition("\n")
    return key, value if separator else "true"


def _is_relative(url: str) -> bool:
    """Return whether a URL is a relative path: it has neither a scheme nor a host."""
    return "://" not in url and not Path(url).is_absolute() and ":" not in url.split("/")[0]


def _committer(settings: Mapping[str, str], environment: Mapping[str, str]) -> str:
    name = environment.get("GIT_COMMITTER_NAME") or settings.get("user.name", "")
    address = environment.get("GIT_COMMITTER_EMAIL") or settings.get("user.email", "")
    # A variable need not be UTF-8; the bytes that are not cannot be encoded again.
    name, address = (re.sub(r"[\x00-\x1f<>\ud800-\udfff]", "", text).strip() for text in (name, address))
    return f"{name} <{address}>" if name and address else "deployer <deployer@localhost>"


def _without_secrets(environment: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """Return the environment of git: all but what is secret, and what changes what git does."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(_CREDENTIALS)
        and name not in {*hidden, "SSH_ASKPASS"}
        and (not name.startswith("GIT_") or _KEPT.fullmatch(name))
    }
    kept["PATH"] = search_path(environment)
    return {**kept, "LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0", "GCM_INTERACTIVE": "never"}


def _configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that configure git in the checkout."""
    return {name: value for name, value in environment.items() if _CONFIGURATION.fullmatch(name)}


def _for_remote(remote: Remote, environment: dict[str, str]) -> dict[str, str]:
    """Add the settings of the checkout to an environment, instead of those of the user and the system."""
    settings = [
        *remote.settings,
        ("core.hooksPath", os.devnull),
        ("credential.interactive", "false"),
        ("gc.auto", "0"),
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", "30"),
        ("push.gpgSign", "false"),
    ]
    added = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    has_ssh = {"GIT_SSH", "GIT_SSH_COMMAND"} & {*environment} or any(
        key == "core.sshcommand" for key, _ in settings
    )
    if not has_ssh:
        added["GIT_SSH_COMMAND"] = (
            "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ControlMaster=no -o ControlPath=none"
        )
    return {**environment, **added}


def git_program(environment: Mapping[str, str]) -> str:
    """Return the git on PATH; empty if there is none."""
    return shutil.which("git", path=search_path(environment)) or ""


def search_path(environment: Mapping[str, str]) -> str:
    """Return PATH without relative folders: in the project a pull request can add programs."""
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())


def _run(
    folder: Path,
    arguments: Collection[str],
    environment: Mapping[str, str],
    data: bytes,
    seconds: float,
    scrub: Callable[[str], str] = str,
) -> bytes:
    """Return the output of git. Raises GitFailed."""
    verb = next((word for word in arguments if not word.startswith("-") and "=" not in word), "")
    program = git_program(environment)
    if not program:
        raise StateError("state: git needs git, which was not found on PATH; install it, or set state: local")
    try:
        # A session of its own: Ctrl-C does not end a push halfway, and no terminal can be asked.
        process = subprocess.Popen(  # noqa: S603 - no shell
            [program, *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise StateError(f"state: git cannot run git: {error.strerror}") from None
    try:
        output, errors = process.communicate(data, timeout=seconds)
    except BaseException as error:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:  # a helper in a session of its own still has the pipes
            for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
                pipe.close()
            process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise GitFailed(f"git {verb} did not end within {seconds:.0f} s", errors="timed out") from None
        raise
    if process.returncode:
        words, printed = (
            redact.redacted(scrub(without_credentials(text.decode(errors="replace"))))
            for text in (errors, output)
        )
        raise GitFailed(_first_error(words, verb), printed, words)
    return output


def _first_error(errors: str, verb: str) -> str:
    """Return the line of git's messages that says what is wrong."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    own = [line for line in lines if re.match(r"(fatal|error|ERROR): ?\S", line)]
    # Before this line stands what ssh or the host has to say.
    specific = [line for line in own if "Could not read from remote repository" not in line]
    return (specific or lines or [f"git {verb} failed"])[0]
