"""Runs the real command on hostile files, as anybody could send them in a pull request.

Whatever they hold, there is no traceback and no hang, the finding names the file, no other file is hidden by
it, nothing of a file outside of the project is shown, and no output holds what a terminal or CI runner obeys.
Most of them share one project and one run of each format.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from deployer.cli import run
from testing.slow import sampled
from testing.workspace import ROOT, Workspace

SENTINEL = "what-stands-outside-5d1f"
HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: NAME}\n"
SPEC = "spec: {file: a.py, queue: q}\n"
GOOD = HEAD + SPEC
FOLDER = ROOT / "tests" / "cases" / "hostile"
VALUES = (FOLDER / "values.yaml").read_text()
EXPECTED = yaml.safe_load((FOLDER / "expected.yaml").read_text())


class Case(NamedTuple):
    """A hostile file, and the words that its finding must have; without words the file is sound."""

    file: str
    content: bytes
    words: str | None = ""


def made(file: str, text: str, words: str | None = "") -> Case:
    """Return a case that is made here; its job bears the file's name."""
    name = re.sub(r"[^a-z0-9]", "-", file.removesuffix(".yaml").casefold()).strip("-")
    return Case(file, text.replace("NAME", name).encode(), words)


def read(folder: str) -> list[Case]:
    """Read the cases that are files of tests/cases/hostile."""
    return [
        Case(path.name, path.read_bytes(), EXPECTED.get(f"{folder}/{path.name}", ""))
        for path in sorted((FOLDER / folder).iterdir())
    ]


def args(*expressions: str) -> str:
    """A batch with an argument for each expression."""
    return f"{HEAD}spec:\n  file: a.py\n  queue: q\n  args:\n" + "".join(
        f"  - {expression}\n" for expression in expressions
    )


def bomb(lines: int, width: int) -> str:
    return "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, lines)
    )


def merge_bomb(lines: int) -> str:
    rows = [
        f"a{n}: &a{n} {{{', '.join(f'k{k}: {{<<: *a{n - 1}}}' for k in range(9))}}}" for n in range(1, lines)
    ]
    return "\n".join(["a0: &a0 {x: [1, 2, 3]}", *rows])


# What is too large for a file.
GENERATED = [
    made("alias-bomb.yaml", bomb(30, 9), "more than 100000 values"),
    made(
        "alias-bomb-in-a-spec.yaml",
        HEAD + "x: {" + bomb(12, 9).replace("\n", ",\n ") + "}\n" + SPEC,
        "100000 values",
    ),
    made(
        "alias-bomb-of-text.yaml",
        "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 9000 + "]\n",
        "100000 values",
    ),
    made("merge-bomb.yaml", merge_bomb(30), "more than 100000 values"),
    made("merge-of-many.yaml", "a: &a {x: 1}\nb: {<<: [" + "*a, " * 120_000 + "]}", "100000 values"),
    made("deep-list.yaml", "[" * 100_000, "nested deeper than 64"),
    made("deep-mapping.yaml", "a: " + "{a: " * 100_000, "nested deeper than 64"),
    made("deep-blocks.yaml", "\n".join(" " * n + "a:" for n in range(2000)), "nested deeper than 64"),
    made("deep-dashes.yaml", "- " * 50_000, "nested deeper than 64"),
    made("deep-keys.yaml", "? " * 50_000, "strings"),
    made(
        "deep-by-aliases.yaml",
        "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 99)),
        "nested",
    ),
    made(
        "many-anchors.yaml",
        "".join(f"k{n}: &a{n} 1\n" for n in range(5_000)) + "z: *nosuch\n",
        "no preceding anchor",
    ),
    made("one-key-often.yaml", "k: 1\n" * 500, "duplicate key"),
    made("long-key.yaml", "k" * 200_000 + ": 1"),
    made("long-number.yaml", GOOD + f"waive: {{x: {'9' * 100_000}}}\n"),
    made("long-exponent.yaml", args("1e999999999", '"1e999999999"', "0x" + "f" * 5000), None),
    made("many-documents-broken.yaml", "---\na: [\n" * 300, "E010"),
    made("many-documents-empty.yaml", "---\n" * 20_005, "20000 documents"),
    made("many-documents-dots.yaml", "...\n" * 5_000),
    made("only-quotes.yaml", "'" * 99_999),
    made("only-percents.yaml", "%" * 99_999),
    made("only-colons.yaml", ":" * 99_999),
    made("only-stars.yaml", "* " * 9999),
    made("only-backslashes.yaml", 'a: "' + "\\" * 99_998 + '"'),
    made("only-spaces.yaml", " " * 1_000_000, None),
    made("only-newlines.yaml", "\n" * 1_000_000, None),
    made("a-scalar.yaml", "x" * 100_000, "expected a manifest"),
    made("nul-first.yaml", "\0" * 1000, "not allowed"),
    made("ten-megabytes.yaml", "# " + "x" * 10_000_000, "larger than 2 MiB"),
    made("ten-megabytes-of-jinja.yaml", "{{" * 5_000_000, "larger than 2 MiB"),
    made("long-line.yaml", HEAD + "spec: {file: a.py, queue: q, " + "x" * 2_000_000 + ": 1}\n"),
    made(
        "a-thousand-documents.yaml",
        "".join(f"---\n{GOOD.replace('NAME', f'NAME-{number}')}" for number in range(1000)),
        None,
    ),
]
GENERATED_TEMPLATES = [
    made(file, f"{HEAD}{text}\n")
    for file, text in {
        "deep-parentheses.yaml": "{{ " + "(" * 20_000 + " }}",
        "deep-brackets.yaml": "{{ " + "[" * 500 + "]" * 500 + " }}",
        "many-nots.yaml": "{{ " + "not " * 20_000 + "1 }}",
        "many-minuses.yaml": "{{ " + "-" * 20_000 + "1 }}",
        "long-sum.yaml": "{{ 1" + " + 1" * 20_000 + " }}",
        "many-filters.yaml": "{{ 1" + " | abs" * 20_000 + " }}",
        "many-attributes.yaml": "{{ x" + ".x" * 20_000 + " }}",
        "deep-conditions.yaml": "{% if 1 %}" * 3000,
        "deep-loops.yaml": "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
        "many-comments.yaml": "{#" * 5_000,
        "many-raw-blocks.yaml": "{% raw %}" * 20_000,
        "many-backslashes.yaml": "{{ '" + "\\" * 50_001 + "' }}",
    }.items()
]
CHARACTERS = read("characters")
# Each is refused at once; what takes its second of computing is in test_what_takes_too_long_is_ended.
TEMPLATES = [*read("templates"), *GENERATED_TEMPLATES]
INCLUDED = [case for case in TEMPLATES if case.file.startswith("_")]

INJECTED = {
    "text": "x\nqueue: prod\n---\nkind: SparkBatch",
    "quotes": "\"'}], {#",
    "jinja": "{{ queue }}{% if %}",
    "rtl": "a\u202eb\u2066c",
    "commands": "x\n::error file=a::b\n##[error]c",
    "azure": "x ##vso[task.setvariable variable=a]b",
    "teamcity": "x ##teamcity[buildStatus status='SUCCESS']",
    "gitlab": "section_start:1560896352:a\r\x1b[0Kb",
    "unseen": "a\u3164b\uffa0c\u2800d\u034fe\ufe0ff\u17b4g\u180bh\u115fi",
}
# What no output may have: see tests/unit/test_escape.py.
UNSEEN = re.compile("[\u3164\uffa0\u2800\u034f\ufe0f\u17b4\u115f]")
COMMANDS = ("##[", "##vso[", "##teamcity[", "section_start:1")
# Wherever an expression can stand.
INJECTION = """\
apiVersion: deployer/v1
kind: SparkBatch
metadata: {name: NAME}
spec:
  file: {{ VALUE }}
  queue: q
  args:
  - "{{ VALUE }}"
  - '{{ VALUE }}'
  - {{ VALUE }}
  - |-
    {{ VALUE }}
  - >-
    {{ VALUE }}
  - {{ [0, VALUE][1] }}
  - {% if true %}{{ VALUE }}{% endif %}

  - {% filter trim %}{{ VALUE }}{% endfilter %}

  conf: {a: {{ VALUE }}, {{ VALUE }}: b}
"""
SOUND = [made(f"injected-{name}.yaml", INJECTION.replace("VALUE", name), None) for name in INJECTED]
OTHERS = [*CHARACTERS, *read("yaml"), *GENERATED, *SOUND]
CASES = [*OTHERS, *TEMPLATES]

# Names that a checkout on Linux can have.
NAMES = [
    "a\nb.yaml",
    "::error::x.yaml",
    "\x1b[31m.yaml",
    "\u202elmay.yaml",
    "##[error]x.yaml",
    "a##vso[task.complete result=Succeeded;]x.yaml",
    "##teamcity[x].yaml",
    "section_start:1:x.yaml",
    "a\u3164b\ufe0f.yaml",
    "a b%0A.yaml",
    "-v.yaml",
]
ODD = b"wrong: 1\n"


LINKS = {
    "link.yaml": "../outside.yaml",
    "environment.yaml": "/proc/self/environ",
    "loop.yaml": "loop.yaml",
    "hidden.yaml": ".git/config",
    "zero.yaml": "/dev/zero",
    "linked": "../outside",
    "_link.yaml": "../outside.yaml",
    "_folder": "../outside",
    "_zero": "/dev/zero",
    "_git": ".git/config",
}


class Seen(NamedTuple):
    code: int
    out: str
    err: str


def command(*arguments: str) -> Seen:
    """One command in this process, whose output is checked for what holds of all."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    text = out.getvalue() + err.getvalue()
    assert SENTINEL not in text
    assert "Traceback" not in text
    assert not [command for command in COMMANDS if command in text]
    assert not UNSEEN.search(text)
    assert not [line for line in text.split("\n") if not line.isprintable()]
    return Seen(code, out.getvalue(), err.getvalue())


def project(above: Path, cases: Iterable[Case]) -> Path:
    """A project with these cases, and what they try to reach outside of it."""
    made = above / "project"
    (made / ".git").mkdir(parents=True)
    (above / "outside").mkdir()
    for secret in (above / "outside.yaml", above / "outside" / "outside.yaml", made / ".git" / "config"):
        secret.write_text(f"{SENTINEL}: 1\n")
    for file in ("deployer.yaml", "values.yaml"):
        (made / file).write_bytes((FOLDER / file).read_bytes())
    for case in cases:
        (made / case.file).write_bytes(case.content)
    for link, target in LINKS.items():
        (made / link).symlink_to(target)
    os.mkfifo(made / "fifo.yaml")
    os.mkfifo(made / "_fifo")
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What `validate` says of each file that has an error.

    The templates go in parts: on a machine that is busy some take more than their time, and after the third
    of a project no more is rendered.
    """
    odd = [Case(name, ODD) for name in NAMES]
    parts = [TEMPLATES[at : at + 15] for at in range(0, len(TEMPLATES), 15)]
    by_file: dict[str, list[str]] = {}
    for part in ([*OTHERS, *odd], *parts):
        folder = project(tmp_path_factory.mktemp("hostile"), {*part, *INCLUDED})
        seen = command("validate", "-C", str(folder), "--format", "json")
        assert seen.code == 4
        found: dict[str, list[str]] = {}
        for finding in json.loads(seen.out)["findings"]:
            if finding["severity"] == "error":
                found.setdefault(finding["file"], []).append(f"{finding['message']} [{finding['code']}]")
        by_file |= found
    return by_file


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_file(case: Case, found: Mapping[str, list[str]]) -> None:
    messages = found.get(case.file, [])
    if case.words is None:
        assert messages == []
    else:
        assert [message for message in messages if case.words in message], messages


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("link.yaml", "is outside the project folder"),
        ("environment.yaml", "is outside the project folder"),
        ("zero.yaml", "is outside the project folder"),
        ("hidden.yaml", "refers to a hidden file"),
        ("loop.yaml", "cannot read file"),
        ("fifo.yaml", "cannot read file: not a file"),
        *((name, "missing required field 'kind'") for name in NAMES),
    ],
)
def test_what_is_no_file_or_has_an_odd_name(file: str, words: str, found: Mapping[str, list[str]]) -> None:
    (message,) = found[file]
    assert words in message


def test_each_case_has_one_file() -> None:
    assert len({case.file for case in CASES}) == len(CASES)
    assert [file for file in EXPECTED if not (FOLDER / file).is_file()] == []


def test_every_other_file_is_sound(found: Mapping[str, list[str]]) -> None:
    """Nothing is told of a file that is not there, and a linked folder is not read."""
    assert found.keys() <= {*NAMES, *LINKS, "fifo.yaml", *(case.file for case in CASES)}


# --- what is printed --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with what a terminal or a CI runner could obey."""
    cases = [Case(name, ODD) for name in NAMES]
    return str(project(tmp_path_factory.mktemp("odd"), [*CHARACTERS, *cases]))


@pytest.mark.parametrize("style", ["text", "github"])
def test_no_output_is_obeyed(odd: str, style: str) -> None:
    seen = command("validate", "-C", odd, "--format", style)
    assert seen.code == 4
    lines = (seen.out + seen.err).splitlines()
    ours = r"::(error|warning) file=[^:]+::" if style == "github" else "(?!)"
    assert not [line for line in lines if line.lstrip().startswith("::") and not re.match(ours, line)]


def test_nothing_is_rendered_that_is_obeyed(tmp_path: Path) -> None:
    folder = str(project(tmp_path, []))
    for link in (Path(folder) / name for name in [*LINKS, "fifo.yaml"]):
        link.unlink()
    for case in SOUND:
        (Path(folder) / case.file).write_bytes(case.content)
    seen = command("render", "-C", folder)
    assert seen.code == 0
    assert not [line for line in seen.out.splitlines() if line.lstrip().startswith("::")]
    documents = {document["metadata"]["name"]: document for document in yaml.safe_load_all(seen.out)}
    for name, value in INJECTED.items():
        assert documents[f"injected-{name}"] == {
            "apiVersion": "deployer/v1",
            "kind": "SparkBatch",
            "metadata": {"name": f"injected-{name}"},
            "spec": {"file": value, "queue": "q", "args": [value] * 8, "conf": {"a": value, value: "b"}},
        }


@pytest.mark.parametrize(
    "value", [*INJECTED.values(), "}", "]", "- a", "# x", "&a", "*a", "!!int x", "a: b", "%x", "\\"]
)
def test_what_is_set_stays_one_value(bare: Workspace, value: str) -> None:
    bare.write("a.yaml", args("{{ it }}", '"{{ it }}"', "x{{ it }}"))
    ran = bare.run("render", "--set", f"it={json.dumps(value)}")
    assert ran.code == 0, ran.err
    spec = yaml.safe_load(ran.out)["spec"]
    assert spec == {"file": "a.py", "queue": "q", "args": [value, value, f"x{value}"]}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('it="\\ue000"', "must be a YAML scalar"),
        ("it=\ue000", "must be a YAML scalar"),
        ("\ue000=1", ""),
        ("it=[&a [*a]]", ""),
        ("it=\0", ""),
        ("it=\udcff", ""),
        ("it=" + "[" * 10_000, ""),
        ("it=!!python/name:os.system", ""),
        ("it.__class__=1", ""),
        ("project.name=x", ""),
        ("a." * 10_000 + "b=1", ""),
        ("=", ""),
    ],
)
def test_a_hostile_setting(bare: Workspace, setting: str, words: str) -> None:
    bare.write("a.yaml", args("{{ it }}"))
    ran = bare.run("validate", "--set", setting)
    assert ran.code in (3, 4)
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err) < 5000
    assert not [line for line in ran.err.split("\n") if not line.isprintable()]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("it: \ue000", "values.yaml:1:5: error: characters U+E000"),
        ('it: "\\ue003"', "values.yaml:1:5: error: characters U+E000"),
        ("\ue000: 1", "values.yaml:1:1: error: characters U+E000"),
        ("it: *a", "values.yaml:1:5: error: alias '*a'"),
        ("it: &a [*a]", "values.yaml:1:9: error: alias '*a' is inside"),
        (bomb(30, 9), "more than 100000 values"),
        ("it: " + "[" * 9999, "nested deeper than 64"),
        ("it: !!python/name:os.system", "is not supported"),
        ("project: {name: x}", "values.yaml:1:1: error: "),
        ("it: \x1b[31m", "values.yaml:1:5: error: "),
        ("x" * 9_000_000, "values.yaml: error: larger than 2 MiB"),
        (GOOD.encode("utf-16"), "values.yaml:1:1: error: not UTF-8"),
        ('it: "\\ud800"', "values.yaml:1:8: error: "),
    ],
)
def test_hostile_values(bare: Workspace, values: str | bytes, words: str) -> None:
    bare.write_project(values=["values.yaml"])
    bare.write("values.yaml", values)
    bare.write("a.yaml", args("{{ it }}"))
    ran = bare.run("validate")
    assert ran.code == 4
    assert words in ran.err
    assert not [line for line in ran.err.split("\n") if not line.isprintable()]


@pytest.mark.parametrize(
    "name", ["../outside.yaml", "link.yaml", "folder/outside.yaml", ".git/config", "/dev/zero", "fifo"]
)
def test_values_from_elsewhere(bare: Workspace, name: str) -> None:
    bare.write("../outside.yaml", f"{SENTINEL}: 1")
    bare.write(".git/config", f"{SENTINEL}: 1")
    (bare.folder / "link.yaml").symlink_to("../outside.yaml")
    (bare.folder / "folder").symlink_to("..")
    os.mkfifo(bare.folder / "fifo")
    bare.write_project(values=[name])
    ran = bare.run("validate")
    assert ran.code == 4
    assert SENTINEL not in ran.out + ran.err
    assert ran.err.startswith((f"{name}: error: ", "deployer.yaml"))


def test_a_plan_of_injected_values(workspace: Workspace) -> None:
    """What is planned and applied is one job, in its queue, whatever its values say."""
    workspace.write_project(values=["values.yaml"])
    workspace.write("values.yaml", VALUES)
    for case in SOUND:
        workspace.write(case.file, case.content)
    plan = workspace.plan()
    assert [change["place"] for change in plan["changes"]] == ["q"] * len(SOUND)
    ran = workspace.run("plan", "-v")
    assert ran.code == 0
    for line in (ran.out + ran.err).split("\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert not [command for command in COMMANDS if command in line]
        assert not UNSEEN.search(line)
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    assert workspace.plan()["changes"] == []


# --- work without end --------------------------------------------------------------------------------------

SLOW = {
    "three-loops.yaml": (
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}" + "{% endfor %}" * 3,
        "exceeded 1 s of CPU time",
    ),
    "one-instruction.yaml": (
        "{{ [1] | slice(10 ** 10, 0) | list }}",
        "exceeded 1 s of CPU time",
    ),
    "comments.yaml": ("{#" * 50_000, "exceeded 1 s of CPU time"),
    "memory.yaml": (
        "{% set n = namespace(x=1) %}{% for i in range(99) %}{% set n.x = [n.x] * 2 %}{% endfor %}{{ n.x }}",
        "nested deeper than 64 levels",
    ),
    "regular-expression.yaml": (
        "{{ ('www.' * 900000) | urlize | length }}",
        "exceeds 2,097,152 characters",
    ),
    "words.yaml": (
        "{{ ('a ' * 4000000) | wordwrap(1) | title | wordcount }}",
        "exceeds 2,097,152 characters",
    ),
    "tags.yaml": ("{{ ('<' * 4000000) | striptags }}", "exceeds 2,097,152 characters"),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process there has no limits")
@pytest.mark.parametrize("files", sampled([list(SLOW)[3:], list(SLOW)[:3]], 2))
def test_what_takes_too_long_is_ended(bare: Workspace, files: list[str]) -> None:
    """The command as its own process: each template is ended by a limit, and the sound file is not hit."""
    for file in files:
        bare.write(file, SLOW[file][0])
    bare.write("good.yaml", GOOD.replace("NAME", "good"))
    ran = subprocess.run(
        [sys.executable, "-m", "deployer", "validate", "--format", "json"],
        cwd=bare.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 4
    assert "Traceback" not in ran.stderr
    findings = {finding["file"]: finding for finding in json.loads(ran.stdout)["findings"]}
    assert findings.keys() == set(files)
    for file in files:
        assert findings[file]["line"] == 1
        assert SLOW[file][1] in findings[file]["message"]
