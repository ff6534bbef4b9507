"""Shell completion: what the real program answers, and what real shells make of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
import pytest

from deployer.cli import VERBS, cli
from deployer.cli.candidates import at_most
from deployer.cli.completion import SHELLS, script
from testing.workspace import Workspace

PROJECT = """\
apiVersion: deployer/v1
kind: Project
metadata: {name: shop}
targets:
  local: {emulator: true}
  prod: {region: cn-north-4, protected: true}
"""
JOBS = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: daily, labels: {team: orders}}
parameters: {date: {type: date}}
---
apiVersion: deployer/v1
kind: FlinkJar
metadata: {name: clicks, labels: {team: web}}
"""
PROGRAM = Path(sys.executable).parent / "deployer"


@pytest.fixture
def shop(bare: Workspace) -> Path:
    bare.write("deployer.yaml", PROJECT)
    bare.write("jobs.yaml", JOBS)
    return bare.folder


def asked(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """The lines of an answer; nothing is printed elsewhere, whatever happens."""
    ran = subprocess.run(
        [str(PROGRAM)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HW_AUTH_TOKEN": "no-token", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def in_bash(folder: Path, line: str, word: str | None = None) -> list[str]:
    """The answer for a line in bash, whose last word is `word`: what follows the last = unless it is given."""
    word = re.split(r"[\s=:]", line)[-1] if word is None else word
    lines = asked(folder, {"_DEPLOYER_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORD": word})
    return [line for line in lines if line]


def plain(folder: Path, line: str, word: str | None = None) -> list[str]:
    """The values that complete a line in bash."""
    return [item.removeprefix("plain,") for item in in_bash(folder, line, word)]


# --- what is completed ------------------------------------------------------------------------------------


def test_verbs_and_options(shop: Path) -> None:
    assert plain(shop, "deployer ") == list(VERBS)
    assert plain(shop, "deployer -t prod pl") == ["plan"]
    assert {"--target", "--version"} <= {*plain(shop, "deployer --")}
    assert {"--target", "--fail-on", "--out"} <= {*plain(shop, "deployer plan --")}
    assert plain(shop, "deployer state s") == ["show"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("plan -t ", ["local", "prod"]),
        ("-t p", ["prod"]),
        ("plan --target=", ["local", "prod"]),
        ("plan --target prod -t l", ["local"]),
        ("-t local plan -t prod -t local --select name=", ["clicks", "daily"]),
        ("plan --format ", ["text", "json", "markdown"]),
        ("plan --format=js", ["json"]),
        ("plan --fail-on ", ["changes", "drift", "failed", "orphans"]),
        ("plan --fail-on drift,f", ["drift,failed"]),
        ("plan --select ", ["kind=", "label.", "name="]),
        ("plan --select na", ["name="]),
        ("plan --select name=", ["clicks", "daily"]),
        ("plan --select name=d", ["daily"]),
        ("apply --rerun name=c", ["clicks"]),
        ("plan --select=name=d", ["daily"]),
        ("plan --select kind=", ["SparkBatch", "SparkSession", "FlinkJar", "MrsJob"]),
        ("plan --select label.", ["label.team="]),
        ("plan --select label.team=", ["orders", "web"]),
        ("plan --select kind=FlinkJar,label.team=", ["web"]),
        ("plan --select name=d*,kind=SparkBatch,name=", ["daily"]),
        ("cancel --limit d", ["delete="]),
        ("init --kind M", ["MrsJob"]),
        ("schema show P", ["Project", "Plan"]),
        ("explain distcp", ["distcp-takes-two"]),
        ("explain E03", [f"E03{number}" for number in range(9)]),
        ("explain FlinkJar.entrypoint_", ["FlinkJar.entrypoint_args"]),
        ("explain FlinkJar.resource_config.max", ["FlinkJar.resource_config.max_slot"]),
        ("explain NoKind.", []),
        ("completion ", list(SHELLS)),
    ],
)
def test_values(shop: Path, line: str, values: list[str]) -> None:
    assert sorted(plain(shop, f"deployer {line}")) == sorted(values)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("plan ", ["file,"]),
        ("plan --out ", ["file,"]),
        ("apply --plan=", ["file,"]),
        ("destroy ", ["plain,clicks", "plain,daily", "file,"]),
        ("destroy daily c", ["plain,clicks", "file,c"]),
        ("-C ", ["dir,"]),
        ("init ", ["dir,"]),
        ("-C elsewhere plan ", []),
        ("plan --set ", []),
        ("apply --confirm ", []),
    ],
)
def test_files_and_folders_are_for_the_shell(shop: Path, line: str, answer: list[str]) -> None:
    assert in_bash(shop, f"deployer {line}") == answer


def test_branches_and_tags(shop: Path) -> None:
    assert plain(shop, "deployer plan --changed-since ") == ["HEAD"]
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    for arguments in (
        ("init", "-q", "-b", "main"),
        (*author, "commit", "-q", "--allow-empty", "-m", "first"),
        ("branch", "feature/x"),
        ("branch", "$(touch hostile)".replace(" ", "\u00a0")),
        ("tag", "v1.0"),
    ):
        subprocess.run(["git", *arguments], cwd=shop, check=True, capture_output=True)
    assert sorted(plain(shop, "deployer plan --changed-since ")) == ["HEAD", "feature/x", "main", "v1.0"]
    assert plain(shop, "deployer plan --changed-since f") == ["feature/x"]


def test_the_project_is_that_of_the_command(shop: Path, tmp_path: Path) -> None:
    for line in (
        f"deployer -C {shop} plan -t ",
        f"deployer plan -C {shop} -t ",
        f"deployer plan {shop / 'jobs.yaml'} -t ",
        f"deployer -C {shop.parent} state show -C {shop.name} -t ",
    ):
        assert plain(tmp_path, line) == ["local", "prod"]
    assert plain(tmp_path, f"deployer -C {shop} plan --select name=") == ["clicks", "daily"]
    home = {"_DEPLOYER_COMPLETE": "bash_complete", "COMP_WORD": "", "HOME": str(shop)}
    assert asked(tmp_path, {**home, "COMP_LINE": "deployer -C ~ plan -t "}) == ["plain,local", "plain,prod"]


def test_names_are_those_of_the_target_and_the_values(shop: Path) -> None:
    (shop / "daily.yaml").write_text(
        JOBS.partition("---")[0].replace("daily", '"{{ target.name }}-{{ env }}"')
    )
    (shop / "mine.yaml").write_text("env: mine\n")
    line = "deployer plan -t prod {} --select name=prod"
    assert plain(shop, line.format("--set env=test")) == ["prod-test"]
    assert plain(shop, line.format("--values mine.yaml")) == ["prod-mine"]
    assert plain(shop, line.format("")) == []


def test_a_completion_ends_in_time() -> None:
    with at_most(0.01):
        signal.pause()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_quotes(shop: Path) -> None:
    """In quotes, bash does not split at =: the word at the cursor is the whole argument."""
    assert plain(shop, 'deployer plan --select "name=d', "name=d") == ["name=daily"]
    assert plain(shop, "deployer plan --select 'name=d", "'name=d") == ["name=daily"]


def test_descriptions(shop: Path) -> None:
    zsh = {"_DEPLOYER_COMPLETE": "zsh_complete", "COMP_WORDS": "deployer pla", "COMP_CWORD": "1"}
    assert asked(shop, zsh) == ["plain", "plan", VERBS["plan"]]
    fish = {"_DEPLOYER_COMPLETE": "fish_complete", "COMP_WORDS": "deployer app", "COMP_CWORD": "app"}
    assert asked(shop, fish) == [f"plain,apply\t{VERBS['apply']}"]
    targets = asked(shop, {**fish, "COMP_WORDS": "deployer plan -t ", "COMP_CWORD": ""})
    assert targets == ["plain,local\tbuilt-in emulator", "plain,prod\tcn-north-4, protected"]
    joined = {**fish, "COMP_WORDS": "deployer plan --format=j", "COMP_CWORD": "--format=j"}
    assert asked(shop, joined) == ["plain,--format=json"]


# Each parameter that is a name or a number of the user's own, or not to be typed without a thought.
_NOT_COMPLETED = {
    "settings", "confirm", "expect", "lock_timeout", "timeout", "run", "name", "limit", "lines", "parallelism", "port",
    "token", "watch", "confirm_project", "identifiers", "ak", "sk", "security_token", "user", "password", "running",
    "retention", "ids", "clusters", "report_limit", "exit_code", "issue", "repository", "number", "commit",
    "token_variable", "retry_blocked", "max_active", "most",
}  # fmt: skip


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    yield "", cli
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        yield verb, command
        if isinstance(command, click.Group):
            yield from ((f"{verb} {name}", inner) for name, inner in command.commands.items())


def test_the_parameters_of_jobs(shop: Path) -> None:
    assert plain(shop, "deployer run daily --param ") == ["date="]
    assert plain(shop, "deployer run d") == ["daily"]


def test_every_parameter_is_completed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    uncompleted = set()
    for verb, command in _commands():
        context = click.Context(command, info_name=verb)
        for param in command.params:
            if isinstance(param, click.Option) and (param.is_flag or param.count):
                continue
            if not param.shell_complete(context, "") and param.name not in _NOT_COMPLETED:
                uncompleted.add(f"{verb}: {param.name}")
    assert uncompleted == {"import: paths"}  # the names of live jobs: completion asks no service


# --- what may be in a project -----------------------------------------------------------------------------

HOSTILE = [
    "a;touch pwned",
    "$(touch pwned)",
    "`id`",
    "--yes",
    "a b",
    "a\tb",
    "\x1b[31mred",
    "a\nb",
    "~",
    "*",
    "a,b",
    "a:b",
    "'",
]


def test_only_names_that_a_shell_takes_as_they_are(shop: Path) -> None:
    Workspace(shop, None).write(
        "hostile.yaml",
        [
            {"kind": "SparkBatch", "metadata": {"name": name, "labels": {name: name, "tier": name}}}
            for name in HOSTILE
        ],
    )
    assert plain(shop, "deployer plan --select name=") == ["clicks", "daily"]
    assert plain(shop, "deployer plan --select label.") == ["label.team=", "label.tier="]
    assert plain(shop, "deployer plan --select label.tier=") == []
    targets: dict[str, object] = {name: {} for name in [*HOSTILE, "prod"]} | {"test": {"region": "\x1b[31m"}}
    Workspace(shop, None).write("deployer.yaml", {"targets": targets})
    fish = {"_DEPLOYER_COMPLETE": "fish_complete", "COMP_WORDS": "deployer plan -t ", "COMP_CWORD": ""}
    assert asked(shop, fish) == ["plain,prod", "plain,test\t\\u001b[31m"]


@pytest.mark.parametrize(
    "line", ["", "plan ", "plan -t ", "plan --select name=", "plan --select label.x=", "x -"]
)
@pytest.mark.parametrize(
    "project", [None, "", "targets: [", "targets: {a: {region: [1]}}", "kind: 1", "\x00"]
)
def test_a_broken_project_is_silent(bare: Workspace, project: str | None, line: str) -> None:
    bare.write("jobs.yaml", "kind: SparkBatch\nmetadata: {name: \n")
    if project is None:
        (bare.folder / "deployer.yaml").unlink()
    else:
        bare.write("deployer.yaml", project)
    found = in_bash(bare.folder, f"deployer {line}")
    assert found == [f"plain,{verb}" for verb in VERBS] if not line else "daily" not in found


@pytest.mark.parametrize(
    "environment",
    [
        {"_DEPLOYER_COMPLETE": "bash_complete"},
        {"_DEPLOYER_COMPLETE": "zsh_complete", "COMP_WORDS": "deployer", "COMP_CWORD": "x"},
        {"_DEPLOYER_COMPLETE": "tcsh_complete"},
        {"_DEPLOYER_COMPLETE": "1"},
    ],
)
def test_a_broken_question_is_silent(shop: Path, environment: Mapping[str, str]) -> None:
    assert asked(shop, environment) == []


# --- real shells ------------------------------------------------------------------------------------------


def test_the_scripts_are_printed(bare: Workspace) -> None:
    for shell in SHELLS:
        ran = bare.run("completion", shell)
        assert (ran.code, ran.out, ran.err) == (0, script(shell), "")
        assert f"_DEPLOYER_COMPLETE={shell}_complete" in ran.out
    assert bare.run("completion", "tcsh").code == 3


class _Shell:
    """An interactive shell on a terminal of its own; `ask` types a line, completes it and returns its arguments."""

    def __init__(self, descriptor: int, setup: Sequence[str]) -> None:
        self._descriptor = descriptor
        for line in setup:
            self._type(f"{line}; printf '<%s>' set\n", "<set>")

    def _type(self, text: str, until: str) -> re.Match[str]:
        os.write(self._descriptor, text.encode())
        seen = ""
        while True:
            try:
                seen += os.read(self._descriptor, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(seen) from None
            if found := re.search(until, seen, re.DOTALL):
                return found

    def ask(self, line: str) -> list[str]:
        """The cursor goes to the start and the end of the line, so that it becomes the arguments of printf."""
        typed = f"{line}\t\x01printf '<%s>' \x05 end\n"
        return re.findall("<(.*?)>", self._type(typed, "<deployer>(.*?)<end>")[1])


@contextmanager
def _interactive(command: Sequence[str], folder: Path, setup: Sequence[str]) -> Iterator[_Shell]:
    home = folder.parent / "home"
    home.mkdir()
    environment = {
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    descriptor, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=partial(_take_terminal, terminal),
    )
    os.close(terminal)
    try:
        yield _Shell(descriptor, setup)
    finally:
        process.kill()
        process.wait()
        os.close(descriptor)


def _take_terminal(terminal: int) -> None:
    """Makes it the terminal of this process."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


_INTERACTIVE = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], ['eval "$(deployer completion bash)"']),
    "zsh": (
        ["zsh", "-d", "-i"],
        ["autoload -Uz compinit", "compinit -u -D", 'eval "$(deployer completion zsh)"'],
    ),
    "fish": (["fish", "--no-config", "-i"], ["deployer completion fish | source"]),
}


@pytest.mark.parametrize("shell", _INTERACTIVE)
def test_a_real_shell(shop: Path, shell: str) -> None:
    command, setup = _INTERACTIVE[shell]
    if not shutil.which(command[0]):
        pytest.skip(f"{shell} is not installed")
    with _interactive(command, shop, setup) as opened:
        assert opened.ask("deployer pla") == ["plan"]
        assert opened.ask("deployer plan -t lo") == ["plan", "-t", "local"]
        assert opened.ask("deployer plan --select name=d") == ["plan", "--select", "name=daily"]
        assert opened.ask("deployer plan --select 'name=d")[-1].startswith("name=daily")
        assert opened.ask("deployer plan --select kind=FlinkJar,na")[-1] == "kind=FlinkJar,name="
        assert opened.ask("deployer plan --format=j") == ["plan", "--format=json"]
        assert opened.ask("deployer plan --fail-on drift,f") == ["plan", "--fail-on", "drift,failed"]
        assert opened.ask("deployer explain FlinkJar.entrypoint_") == ["explain", "FlinkJar.entrypoint_args"]
        assert opened.ask("deployer plan job") == ["plan", "jobs.yaml"]
        assert opened.ask("deployer destroy jo") == ["destroy", "jobs.yaml"]
        assert opened.ask("deployer destroy jobs.yaml cl") == ["destroy", "jobs.yaml", "clicks"]
        # A file that begins as a job does: both are offered.
        (shop / "clusters").mkdir()
        assert opened.ask("deployer destroy c") == ["destroy", "cl"]
        assert opened.ask("deployer apply --plan=job") == ["apply", "--plan=jobs.yaml"]
