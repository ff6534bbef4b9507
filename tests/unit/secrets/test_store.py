"""The values of secrets: their sources, and how references are replaced by them."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from deployer.errors import DeployerError
from deployer.model import SecretStatus
from deployer.secrets.references import (
    CLOSE,
    OPEN,
    SEP,
    deferred_reference,
    has_reference,
    reference,
    referenced_names,
)
from deployer.secrets.store import MAX_BYTES, Secrets, SecretSource
from testing.secret_values import A, B, secrets_of


def test_values_fill_all_marks() -> None:
    secrets = secrets_of(A="hunter2", B="p w/ü")
    value = {
        "a": [f"x{A}y{B}", 1, None],
        "b": {"c": deferred_reference("b64encode", f"me:{A}")},
        "d": "plain",
    }
    assert secrets.filled(value) == {
        "a": ["xhunter2yp w/ü", 1, None],
        "b": {"c": base64.b64encode(b"me:hunter2").decode()},
        "d": "plain",
    }
    assert referenced_names(value) == {"A", "B"}


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_urlencode_is_that_of_jinja(value: str) -> None:
    expected = Environment(autoescape=False).from_string("{{ it | urlencode }}").render(it=value)  # noqa: S701
    assert secrets_of(A=value).filled(deferred_reference("urlencode", A)) == expected


def test_filters_nest() -> None:
    digest = "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"
    secrets = secrets_of(A="hunter2")
    assert secrets.filled(deferred_reference("sha256", A)) == digest
    twice = secrets.filled(f"-{deferred_reference('b64encode', deferred_reference('sha256', A) + A)}-")
    assert twice == f"-{base64.b64encode(f'{digest}hunter2'.encode()).decode()}-"
    deep = A
    for _ in range(3000):
        deep = deferred_reference("sha256", deep)
    assert len(secrets.filled(deep)) == 64


@pytest.mark.parametrize(
    "text",
    [
        A * 1000,
        deferred_reference("b64encode", A * 1000),
        "".join(f"{OPEN}b64encode{SEP}" for _ in range(100)) + A + CLOSE * 100,
    ],
)
def test_a_short_text_cannot_become_endless(text: str) -> None:
    with pytest.raises(DeployerError, match="a string with secrets exceeds"):
        secrets_of(A="x" * 60_000).filled(text)


@pytest.mark.parametrize(
    "text",
    [
        OPEN,
        SEP,
        CLOSE,
        A[:-1],
        A[1:],
        A + CLOSE,
        f"{OPEN}upper{SEP}{A}{CLOSE}",
        f"{OPEN}secret{SEP}{A}{CLOSE}",
        f"{OPEN}sha256{SEP}{A}",
    ],
)
def test_a_damaged_mark_is_never_sent(text: str) -> None:
    with pytest.raises(DeployerError, match="damaged"):
        secrets_of(A="hunter2").filled([text])
    assert has_reference(text)


def test_what_is_missing_is_told_without_a_value(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"from-file\r\n")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "latin").write_bytes(b"hunter2\xff")
    (tmp_path / "largest").write_bytes(b"x" * MAX_BYTES)
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "folder").mkdir()
    files = ("good", "empty", "latin", "largest", "large", "folder", "nowhere", "nul\0")
    sources = {name: SecretSource(name, file=name) for name in files} | {
        name: SecretSource(name) for name in ("set", "unset", "blank", "half", "former")
    }
    values = {"set": "hunter2", "blank": "", "half": "hunter2\udcff"}
    environment = {f"DEPLOYER_SECRET_{name}": value for name, value in values.items()}
    environment |= {"former": "hunter2", "DEPLOYER_SECRETS_DIR": str(tmp_path)}
    secrets = Secrets(sources, environment, Path("/elsewhere"))
    assert secrets.missing([*sources, "sett"]) == [
        "secret 'blank': the variable DEPLOYER_SECRET_blank is empty",
        "secret 'empty': the file empty is empty",
        "secret 'folder': the file folder is not a file",
        "secret 'former': the variable DEPLOYER_SECRET_former is not set (the variable former is: rename it, or list "
        "it in DEPLOYER_SECRETS_VARIABLES)",
        "secret 'half': the variable DEPLOYER_SECRET_half is not UTF-8",
        "secret 'large': the file large is longer than 64 KiB",
        "secret 'latin': the file latin is not UTF-8",
        "secret 'nowhere': the file nowhere cannot be read: No such file or directory",
        secrets.missing(["nul\0"])[0],
        "secret 'sett' is not listed under 'secrets' in deployer.yaml; did you mean 'set'?",
        "secret 'unset': the variable DEPLOYER_SECRET_unset is not set",
    ]
    assert secrets.filled(reference("good") + reference("set")) == "from-filehunter2"
    with pytest.raises(DeployerError, match=r"^secret 'latin': the file latin is not UTF-8$") as caught:
        secrets.filled({"a": [reference("latin")]})
    assert caught.value.__context__ is None
    assert repr(secrets).startswith("Secrets(blank, empty, ")
    assert "hunter2" not in repr(secrets)


@pytest.mark.parametrize(
    ("content", "value"),
    [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x\r", "x\r"), (" x ", " x ")],
)
def test_a_file_loses_one_newline(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "file").write_bytes(content.encode())
    environment = {"DEPLOYER_SECRETS_DIR": str(tmp_path)}
    secrets = Secrets({"A": SecretSource("A", file="file")}, environment, Path("/elsewhere"))
    assert secrets.filled(A) == value
    (tmp_path / "file").unlink()
    assert secrets.filled(A) == value  # it was read once


# --- what deployer.yaml may name ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """A folder of secrets, and a project beside it that an attacker has filled."""

    folder: Path
    project: Path

    def secrets(self, *sources: SecretSource, **environment: str) -> Secrets:
        there = {"DEPLOYER_SECRETS_DIR": str(self.folder), **environment}
        return Secrets({source.name: source for source in sources}, there, self.project)

    def reason(self, file: str, **environment: str) -> str:
        """Why the file is refused; the plan says the same."""
        secrets = self.secrets(SecretSource("A", file=file), **environment)
        (message,) = secrets.missing(["A"])
        reason = message.removeprefix(f"secret 'A': the file {file} ")
        assert secrets.status("A") == SecretStatus("A", f"file {file} in DEPLOYER_SECRETS_DIR", reason)
        return reason


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "run" / "secrets", tmp_path / "project")
    for folder in (machine.folder / "..data", machine.project):
        folder.mkdir(parents=True)
    (machine.folder / "..data" / "db").write_text("hunter2\n")
    (machine.folder / "db").symlink_to("..data/db")  # as Kubernetes mounts them
    (machine.folder / "out").symlink_to("/proc/self/environ")
    os.mkfifo(machine.folder / "pipe")
    (machine.project / "key").write_text("of the attacker")
    (tmp_path / "run" / "other").write_text("another secret")
    return machine


@pytest.mark.parametrize("file", ["db", "./db", "..data/db", "{folder}/db"])
def test_a_file_below_the_folder_is_read_also_through_links_inside(machine: Machine, file: str) -> None:
    secrets = machine.secrets(SecretSource("A", file=file.format(folder=machine.folder)))
    assert secrets.status("A").status == "set"
    assert secrets.filled(A) == "hunter2"


@pytest.mark.parametrize(
    "file",
    [
        "/proc/self/environ",
        "../../../../../../../../../../proc/self/environ",
        "/dev/stdin",
        "/etc/passwd",
        "../other",
        "..data/../../other",
        "out",
        "../../project/key",
        "../../project/link",
        ".",
    ],
)
def test_no_other_file_is_read(machine: Machine, file: str) -> None:
    (machine.project / "link").symlink_to("/proc/self/environ")
    assert machine.reason(file).startswith("is outside ")


def test_a_pipe_is_not_waited_for(machine: Machine) -> None:
    assert machine.reason("pipe") == "is not a file"


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("", "DEPLOYER_SECRETS_DIR is not set; set it to a folder outside the project"),
        (" ", "DEPLOYER_SECRETS_DIR is not set; set it to a folder outside the project"),
        ("secrets", "DEPLOYER_SECRETS_DIR must be an absolute path"),
        ("{project}", "DEPLOYER_SECRETS_DIR must be a folder outside the project that does not contain it"),
        (
            "{project}/..",
            "DEPLOYER_SECRETS_DIR must be a folder outside the project that does not contain it",
        ),
        (
            "{project}/sub",
            "DEPLOYER_SECRETS_DIR must be a folder outside the project that does not contain it",
        ),
        ("/", "DEPLOYER_SECRETS_DIR must be a folder outside the project that does not contain it"),
        ("/proc/self", "DEPLOYER_SECRETS_DIR must not be in /proc, /dev, /sys"),
        ("/dev", "DEPLOYER_SECRETS_DIR must not be in /proc, /dev, /sys"),
    ],
)
def test_the_folder_is_named_outside_and_is_no_part_of_the_project(
    machine: Machine, folder: str, why: str
) -> None:
    folder = folder.format(project=machine.project)
    for file in ("environ", "key", "db"):
        assert machine.reason(file, DEPLOYER_SECRETS_DIR=folder) == f"is not allowed: {why}"


@pytest.mark.parametrize(
    "variable",
    ["PG_PASSWORD", "GITHUB_TOKEN", "HW_SECRET_KEY", "deployer_secret_x", "DEPLOYER_EMULATOR_TOKEN"],
)
def test_a_variable_needs_the_prefix_or_is_listed_outside(machine: Machine, variable: str) -> None:
    source = SecretSource("PG", variable=variable)
    secrets = machine.secrets(source, **{variable: "hunter2", "DEPLOYER_SECRETS_VARIABLES": "OTHER, PG"})
    reason = (
        f"is not allowed: rename it to DEPLOYER_SECRET_{variable}, or list it in DEPLOYER_SECRETS_VARIABLES, "
        "outside the repository"
    )
    assert secrets.missing(["PG"]) == [f"secret 'PG': the variable {variable} {reason}"]
    assert secrets.status("PG") == SecretStatus("PG", f"variable {variable}", reason)
    listed = machine.secrets(
        source, **{variable: "hunter2", "DEPLOYER_SECRETS_VARIABLES": f"OTHER, {variable}"}
    )
    assert listed.filled(reference("PG")) == "hunter2"
    assert listed.status("PG") == SecretStatus("PG", f"variable {variable}", "set")


def test_the_name_alone_is_the_variable_with_the_prefix(machine: Machine) -> None:
    both = {"PG": "plain", "DEPLOYER_SECRET_PG": "prefixed"}
    source = SecretSource("PG")
    assert machine.secrets(source, **both).filled(reference("PG")) == "prefixed"
    assert machine.secrets(source, **both).status("PG").source == "variable DEPLOYER_SECRET_PG"
    assert machine.secrets(source, PG="plain").status("PG").status == "not set"
    listed = machine.secrets(source, **both, DEPLOYER_SECRETS_VARIABLES="PG")
    assert (listed.filled(reference("PG")), listed.status("PG").source) == ("plain", "variable PG")


def test_a_status_reads_no_value(machine: Machine) -> None:
    environment = {"DEPLOYER_SECRET_B": "hunter2"}
    secrets = machine.secrets(SecretSource("A", file="db"), SecretSource("B"), **environment)
    (machine.folder / "..data" / "db").write_bytes(b"\xff")  # nothing that could be read
    assert [secrets.status(name).status for name in "AB"] == ["set", "set"]
    assert secrets.scrubbed("hunter2") == "hunter2"


def test_the_emulator_gets_made_up_values() -> None:
    secrets = Secrets({"A": SecretSource("A", file="nowhere")}, {}, Path(), made_up=True)
    assert secrets.missing(["A"]) == []
    assert secrets.filled(f"x{A}") == "xemulated-A"
    assert secrets.scrubbed("the target is emulated-A emulated") == "the target is emulated-A emulated"
    assert secrets.missing(["B"]) == ["secret 'B' is not listed under 'secrets' in deployer.yaml; known: A"]
