"""A corpus of hostile files, through the real command: they come with a pull request, from anybody.

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
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from deployer.cli import run
from testing.workspace import Workspace

SENTINEL = "what-stands-outside-5d1f"
SECONDS = 5
HEAD = "apiVersion: deployer/v1\nkind: SparkBatch\nmetadata: {name: NAME}\n"
SPEC = "spec: {file: a.py, queue: q}\n"
GOOD = HEAD + SPEC
VALUES = r"""
name: daily
queue: q
list: [1, 2, 3]
mapping: {a: {b: 1}}
text: "x\nqueue: prod\n---\nkind: SparkBatch"
quotes: "\"'}], {#"
jinja: "{{ queue }}{% if %}"
rtl: "a\u202Eb\u2066c"
commands: "x\n::error file=a::b\n##[error]c"
"""


class Case(NamedTuple):
    """A hostile file, and the words that its finding must have; without words the file is sound."""

    file: str
    content: str | bytes
    words: str | None = ""

    def bytes(self) -> bytes:
        name = re.sub(r"[^a-z0-9]", "-", self.file.removesuffix(".yaml").casefold()).strip("-")
        text = self.content
        return (
            text if isinstance(text, bytes) else text.replace("NAME", name).encode("utf-8", "surrogatepass")
        )


def args(*expressions: str) -> str:
    """A batch with an argument for each expression."""
    return f"{HEAD}spec:\n  file: a.py\n  queue: q\n  args:\n" + "".join(f"  - {it}\n" for it in expressions)


def bomb(lines: int, width: int) -> str:
    return "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, lines)
    )


def merge_bomb(lines: int) -> str:
    rows = [
        f"a{n}: &a{n} {{{', '.join(f'k{k}: {{<<: *a{n - 1}}}' for k in range(9))}}}" for n in range(1, lines)
    ]
    return "\n".join(["a0: &a0 {x: [1, 2, 3]}", *rows])


YAML = [
    Case("alias-bomb.yaml", bomb(30, 9), "more than 100000 values"),
    Case(
        "alias-bomb-in-a-spec.yaml",
        HEAD + "x: {" + bomb(12, 9).replace("\n", ",\n ") + "}\n" + SPEC,
        "100000 values",
    ),
    Case(
        "alias-bomb-of-text.yaml",
        "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 9000 + "]\n",
        "100000 values",
    ),
    Case("merge-bomb.yaml", merge_bomb(30), "more than 100000 values"),
    Case("merge-of-many.yaml", "a: &a {x: 1}\nb: {<<: [" + "*a, " * 120_000 + "]}", "100000 values"),
    Case("cycle.yaml", HEAD + "spec: &s {file: a.py, conf: *s}\n", "stands inside its own anchor"),
    Case("cycle-of-a-list.yaml", "&a [*a]", "stands inside its own anchor"),
    Case("cycle-by-merge.yaml", "a: &a {<<: *a}", "stands inside its own anchor"),
    Case("deep-list.yaml", "[" * 100_000, "nested deeper than 64"),
    Case("deep-mapping.yaml", "a: " + "{a: " * 100_000, "nested deeper than 64"),
    Case("deep-blocks.yaml", "\n".join(" " * n + "a:" for n in range(2000)), "nested deeper than 64"),
    Case("deep-dashes.yaml", "- " * 50_000, "nested deeper than 64"),
    Case("deep-keys.yaml", "? " * 50_000, "text"),
    Case(
        "deep-by-aliases.yaml",
        "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 99)),
        "nested",
    ),
    Case(
        "many-anchors.yaml",
        "".join(f"k{n}: &a{n} 1\n" for n in range(5_000)) + "z: *nosuch\n",
        "no anchor before it",
    ),
    Case("one-key-often.yaml", "k: 1\n" * 500, "stands twice"),
    Case("long-key.yaml", "k" * 200_000 + ": 1", ""),
    Case("long-number.yaml", GOOD + f"waive: {{x: {'9' * 100_000}}}\n", ""),
    Case("long-exponent.yaml", args("1e999999999", '"1e999999999"', "0x" + "f" * 5000), None),
    Case("tag-of-python.yaml", args("!!python/object/apply:os.system ['echo x']"), "is not supported"),
    Case("tag-of-python-name.yaml", "!!python/name:os.system", "is not supported"),
    Case(
        "tag-of-python-in-a-template.yaml",
        args("{{ queue }}", "!!python/object/new:os.system [x]"),
        "not supported",
    ),
    Case("binary.yaml", args("!!binary aGk="), "is not supported"),
    Case("directive.yaml", "%YAML 9.9\n%TAG ! tag:x,2002:\n---\n" + GOOD, ""),
    Case("many-documents-broken.yaml", "---\na: [\n" * 300, "E010"),
    Case("many-documents-empty.yaml", "---\n" * 20_005, "20000 documents"),
    Case("many-documents-dots.yaml", "...\n" * 5_000, ""),
    Case("only-quotes.yaml", "'" * 99_999, ""),
    Case("only-percents.yaml", "%" * 99_999, ""),
    Case("only-colons.yaml", ":" * 99_999, ""),
    Case("only-stars.yaml", "* " * 9999, ""),
    Case("only-backslashes.yaml", 'a: "' + "\\" * 99_998 + '"', ""),
    Case("only-spaces.yaml", " " * 1_000_000, None),
    Case("only-newlines.yaml", "\n" * 1_000_000, None),
    Case("a-scalar.yaml", "x" * 100_000, "expected a manifest"),
    Case("kind-of-odd-characters.yaml", 'kind: "\\u202e\\u001b[31m\\n::error::x"', "there is no kind"),
]

BYTES = [
    Case("nul.yaml", GOOD.replace("a.py", "a\0.py"), "'\\x00' is not allowed"),
    Case("nul-first.yaml", b"\0" * 1000, "not allowed"),
    Case("nul-escaped.yaml", GOOD.replace("a.py", '"a\\0.py"'), None),
    Case("bell.yaml", GOOD + "# \a", "'\\x07' is not allowed"),
    Case("escape.yaml", GOOD.replace("a.py", "\x1b[2J\x1b]0;owned\a"), "not allowed"),
    Case("delete.yaml", GOOD + "\x7f: 1", "not allowed"),
    Case("c1.yaml", GOOD + "\x9b31m: 1", "not allowed"),
    Case("right-to-left.yaml", HEAD + "\u202espec\u202c: {}\n" + SPEC, "unknown field"),
    Case("isolates.yaml", HEAD + "spec: {file: a.py, queue: q, \u2066x\u2069\u200f: 1}\n", "unknown field"),
    Case("joiners.yaml", HEAD + "sp\u200dec: {}\n" + SPEC, "unknown field"),
    Case("tags.yaml", HEAD + "\U000e0041\U000e0042: {}\n" + SPEC, "unknown field"),
    Case("line-separator.yaml", GOOD + "# \u2028spec: x", "not allowed"),
    Case("next-line.yaml", GOOD + "# \x85spec: x", "not allowed"),
    Case("surrogate.yaml", b"a: \xed\xa0\x80", "not UTF-8"),
    Case("surrogate-escaped.yaml", args('"\\ud800"'), ""),
    Case("surrogate-pair-escaped.yaml", args('"\\ud83d\\ude00"'), ""),
    Case("surrogate-of-jinja.yaml", args("{{ '\\ud800' }}"), ""),
    Case("surrogate-in-text-of-jinja.yaml", args("x{{ '\\udc80' }}"), ""),
    Case("overlong.yaml", b"a: \xc0\xaf", "not UTF-8"),
    Case("latin-1.yaml", "a: é".encode("latin-1"), "not UTF-8"),
    Case("utf-16.yaml", GOOD.encode("utf-16"), "not UTF-8"),
    Case("utf-16-without-a-mark.yaml", GOOD.encode("utf-16-le"), "not allowed"),
    Case("utf-32.yaml", GOOD.encode("utf-32"), "not UTF-8"),
    Case("utf-7.yaml", "+AHs-: 1", ""),
    Case("bom.yaml", "\ufeff" + GOOD, None),
    Case("bom-twice.yaml", "\ufeff\ufeff" + GOOD, "not allowed"),
    Case("bom-in-a-document.yaml", GOOD + "---\n\ufeff" + GOOD.replace("NAME", "NAME-2"), "not allowed"),
    Case("ten-megabytes.yaml", b"# " + b"x" * 10_000_000, "larger than 2 MiB"),
    Case("ten-megabytes-of-jinja.yaml", b"{{" * 5_000_000, "larger than 2 MiB"),
    Case("long-line.yaml", HEAD + "spec: {file: a.py, queue: q, " + "x" * 2_000_000 + ": 1}\n", ""),
    Case("gzip.yaml", b"\x1f\x8b\x08\0\0\0\0\0", "not UTF-8"),
    Case(
        "github-commands.yaml",
        HEAD + 'spec: {file: a.py, queue: q, "::set-env name=A::x": 1, "##[add-path]x": 1}\n',
    ),
    Case(
        "github-command-on-a-line.yaml",
        HEAD + "spec:\n  file: a.py\n  queue: q\n::warning::x: 1\n",
        "unknown field",
    ),
]

MARKS = [
    Case(f"mark-{number}.yaml", GOOD.replace("a.py", f"{mark}0{mark}"), "reserved")
    for number, mark in enumerate(map(chr, range(0xE000, 0xE008)))
] + [
    Case("mark-in-a-template.yaml", args("{{ queue }}\ue0000\ue001"), "reserved"),
    Case("mark-in-an-expression.yaml", args("{{ '\ue0000\ue001' }}"), "reserved"),
    Case("mark-by-an-escape.yaml", args('"\\ue0000\\uE001"'), "reserved"),
    Case("mark-by-a-long-escape.yaml", args('"\\U0000E0000\\U0000E001"'), "reserved"),
    Case("mark-by-an-escape-in-a-template.yaml", args("{{ queue }}", '"\\ue0000\\ue001"'), "reserved"),
    Case("mark-by-an-escape-of-jinja.yaml", args("{{ '\\ue000' ~ 0 ~ '\\ue001' }}"), "reserved"),
    Case("mark-by-a-format.yaml", args("{{ '%c0%c' % (57344, 57345) }}"), "reserved"),
    Case("mark-in-a-key.yaml", HEAD + "spec: {file: a.py, queue: q, conf: {\ue0000\ue001: x}}\n", "reserved"),
    Case(
        "mark-in-a-key-of-jinja.yaml", HEAD + "spec: {file: a.py, queue: q, conf: {{ {'\\ue002': 1} }}}\n", ""
    ),
    Case(
        "mark-by-an-escape-in-a-key.yaml",
        HEAD + 'spec: {file: a.py, queue: q, conf: {"\\ue000": x}}\n',
        "reserved",
    ),
    Case("mark-in-a-comment.yaml", GOOD + "# {{ queue }} \ue000", "reserved"),
    Case("mark-in-an-anchor.yaml", GOOD.replace("a.py", "&\ue000 a.py"), ""),
    Case("mark-of-a-secret.yaml", args("\ue004TOKEN\ue005", "{{ queue }}"), "reserved"),
    Case(
        "mark-in-for-each.yaml",
        'forEach: ["\\ue000"]\n' + GOOD.replace("NAME", "NAME-{{ each }}"),
        "reserved",
    ),
]

# Each is refused at once; what takes its second of computing is in test_what_takes_too_long.
TEMPLATES = [
    Case(f"template-{number:02}.yaml", f"{HEAD}{text}\n", words)
    for number, (text, words) in enumerate(
        [
            ("{{ range(10 ** 12) }}", "Range too big"),
            ("{% for i in range(10 ** 12) %}{% endfor %}", "Range too big"),
            ("{{ 10 ** 10 ** 8 }}", "40 digits"),
            ("{{ 9 ** 9 ** 9 ** 9 }}", "40 digits"),
            ("{{ (9 ** 999) * (9 ** 9999) }}", "a number of more than"),
            ("{{ 2 | round(-400) ** 99999 }}", ""),
            ("{{ 1 * 10 ** -(10 ** 9) }}", ""),
            ("{{ 'x' * 10 ** 10 }}", "2,097,152 characters"),
            ("{{ 10 ** 10 * 'x' }}", "2,097,152 characters"),
            ("{{ [0] * 10 ** 10 }}", ""),
            ("{{ (1, 2) * 10 ** 10 }}", ""),
            ("{{ ('x' * 2000000) ~ ('x' * 2000000) }}", "2,097,152 characters"),
            ("{{ '%1000000000d' % 1 }}", "more memory"),
            ("{{ '%*d' % (10 ** 9, 1) }}", "more memory"),
            ("{{ '%.*f' % (10 ** 9, 1) }}", ""),
            ("{{ '%.1000000000f' % 1 }}", ""),
            ("{{ '%1000000000d' | format(1) }}", "more memory"),
            ("{{ '{:1000000000}'.format(1) }}", "more memory"),
            ("{{ '{:{}}'.format(1, 10 ** 9) }}", ""),
            ("{{ '{:.1000000000f}'.format(1.5) }}", ""),
            ("{{ 'x'.center(10 ** 9) }}", ""),
            ("{{ 'x'.zfill(10 ** 9) }}", ""),
            ("{{ 'x'.ljust(10 ** 12) }}", ""),
            ("{{ 'a\\tb'.expandtabs(10 ** 9) }}", ""),
            ("{{ 'x' | center(10 ** 9) }}", "more memory"),
            ("{{ 'x\ny' | indent(10 ** 9) }}", ""),
            ("{{ mapping | tojson(indent=10 ** 9) }}", ""),
            ("{{ mapping | tojson(10 ** 9) }}", ""),
            ("{{ mapping | pprint }}", ""),
            ("{{ [1] | batch(10 ** 10, 0) | list }}", ""),
            ("{{ 'x' | replace('', 'y' * 2000000) }}", ""),
            ("{{ 'xxxxxxxxxx'.replace('x', 'y' * 2000000) }}", ""),
            ("{{ ('x' * 8000).join(['y'] * 8000) }}", ""),
            ("{{ (['x' * 8000] * 8000) | join }}", ""),
            ("{{ 'x'.encode('utf-16') }}", ""),
            ("{{ lipsum(10 ** 9) }}", "undefined"),
            ("{{ lipsum.__globals__ }}", "undefined"),
            ("{{ lipsum.__globals__.os.popen('id').read() }}", "undefined"),
            ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", ""),
            ("{{ joiner.__init__.__globals__ }}", ""),
            ("{{ namespace.__init__.__globals__ }}", ""),
            ("{{ self.__init__.__globals__ }}", ""),
            ("{{ self._TemplateReference__context }}", ""),
            ("{{ config }}", "undefined"),
            ("{{ config.items() }}", "undefined"),
            ("{{ request.application.__globals__ }}", "undefined"),
            ("{{ environment }}", "undefined"),
            ("{{ ''.__class__.__mro__[1].__subclasses__() }}", ""),
            ("{{ ''['__class__'] }}", ""),
            ("{{ '' | attr('__class__') }}", ""),
            ("{{ ['x'] | map(attribute='__class__') | list }}", ""),
            ("{{ ['x'] | map('attr', '__class__') | list }}", ""),
            ("{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}", ""),
            ("{{ '{x.__class__}'.format_map({'x': 1}) }}", ""),
            ("{{ ('{x.__class__}' | attr('format_map'))({'x': 1}) }}", ""),
            ("{{ ['{0.__class__}'] | map('format', 1) | list }}", ""),
            ("{{ secret.__globals__ }}", ""),
            ("{{ secret.__self__._environment }}", ""),
            ("{{ range.__self__ }}", ""),
            ("{{ dict.mro() }}", ""),
            ("{{ loop.__class__ }}", "'loop' is undefined"),
            ("{% set x = namespace() %}{% set x.__class__ = 1 %}", ""),
            ("{% for x in [1] recursive %}{{ loop.__init__.__globals__ }}{% endfor %}", ""),
            ("{% macro m() %}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}", ""),
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself too often"),
            ("{% macro m() %}{{ n() }}{% endmacro %}{% macro n() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
            ("{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}", ""),
            ("{{ list | map('list') }}", ""),
            ("{{ " + "(" * 20_000 + " }}", ""),
            ("{{ " + "[" * 500 + "]" * 500 + " }}", ""),
            ("{{ " + "not " * 20_000 + "1 }}", ""),
            ("{{ " + "-" * 20_000 + "1 }}", ""),
            ("{{ 1" + " + 1" * 20_000 + " }}", ""),
            ("{{ 1" + " | abs" * 20_000 + " }}", ""),
            ("{{ x" + ".x" * 20_000 + " }}", ""),
            ("{% if 1 %}" * 3000, ""),
            ("{% for i in [1] %}" * 30 + "{% endfor %}" * 30, ""),
            ("{#" * 5_000, ""),
            ("{% raw %}" * 20_000, ""),
            ("{{ '" + "\\" * 50_001 + "' }}", ""),
            ("{% include ['/etc/passwd', '../outside.yaml'] ignore missing %}", "leads out of the project"),
            ("{% include '../outside.yaml' %}", "leads out of the project"),
            ("{% include '_link.yaml' %}", "leads out of the project"),
            ("{% include '_folder/outside.yaml' %}", "leads out of the project"),
            ("{% include '/proc/self/environ' %}", "leads out of the project"),
            ("{% include '/dev/zero' %}", "leads out of the project"),
            ("{% include '_fifo' %}", "it is not a file"),
            ("{% include '_zero' %}", "leads out of the project"),
            ("{% include 'deployer.yaml\\0' %}", ""),
            ("{% include '.git/config' %}", "hidden file"),
            ("{% include '_git' %}", "hidden file"),
            ("{% include 'x' * 5000 %}", ""),
            ("{% include '\\u202e::error::x' %}", "there is no file"),
            ("{% import 'os' as os %}{{ os.environ }}", "there is no file"),
            ("{% do list.append(1) %}", "unknown tag"),
            ("{{ list.append(1) }}", ""),
            ("{{ mapping.update({'a': 1}) }}", ""),
            ("{{ now() }}", "undefined"),
            ("{{ [1, 2] | random }}", "there is no filter"),
            ("{{ {} is filter('x') }}", ""),
            ("{{ {1: 2, [1]: 3} }}", ""),
            ("{{ ('a' * 30) | wordwrap(1) | length }}", ""),
            ("{{ nosuch['\u202e\x1b'] }}", ""),
        ]
    )
]

CIRCLES = [
    Case("includes-itself.yaml", "{% include 'includes-itself.yaml' %}", "calls itself too often"),
    Case("extends-itself.yaml", "{% extends './extends-itself.yaml' %}", "calls itself too often"),
    Case("imports-itself.yaml", "{% import 'imports-itself.yaml' as x %}", "calls itself too often"),
    Case("_circle.yaml", "{% include '_circle.yaml' %}", "calls itself too often"),
    Case("includes-a-circle.yaml", "{% include '_circle.yaml' %}", None),
]

INJECTED = {
    "text": "x\nqueue: prod\n---\nkind: SparkBatch",
    "quotes": "\"'}], {#",
    "jinja": "{{ queue }}{% if %}",
    "rtl": "a\u202eb\u2066c",
    "commands": "x\n::error file=a::b\n##[error]c",
}
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
SOUND = [Case(f"injected-{name}.yaml", INJECTION.replace("VALUE", name), None) for name in INJECTED]
THOUSAND = Case(
    "a-thousand-documents.yaml",
    "".join(f"---\n{GOOD.replace('NAME', f'NAME-{number}')}" for number in range(1000)),
    None,
)
CASES = [*YAML, *BYTES, *MARKS, *TEMPLATES, *CIRCLES, *SOUND, THOUSAND]

# Names that a checkout on Linux can have.
NAMES = [
    "a\nb.yaml",
    "::error::x.yaml",
    "\x1b[31m.yaml",
    "\u202elmay.yaml",
    "##[error]x.yaml",
    "a b%0A.yaml",
    "-v.yaml",
]
ODD = "wrong: 1\n"


PROJECT = """apiVersion: deployer/v1
kind: Project
metadata: {name: hostile}
defaultTarget: test
values: [values.yaml]
targets:
  test: {emulator: true}
"""
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
    assert "##[" not in text
    assert not [line for line in text.split("\n") if not line.isprintable()]
    return Seen(code, out.getvalue(), err.getvalue())


def project(above: Path, cases: Iterable[Case]) -> Path:
    """A project with these cases, and what they try to reach outside of it."""
    made = above / "project"
    (made / ".git").mkdir(parents=True)
    (above / "outside").mkdir()
    for secret in (above / "outside.yaml", above / "outside" / "outside.yaml", made / ".git" / "config"):
        secret.write_text(f"{SENTINEL}: 1\n")
    (made / "deployer.yaml").write_text(PROJECT)
    (made / "values.yaml").write_text(VALUES)
    for case in cases:
        (made / case.file).write_bytes(case.bytes())
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
    others = [case for case in CASES if case not in TEMPLATES]
    parts = [TEMPLATES[at : at + 15] for at in range(0, len(TEMPLATES), 15)]
    by_file: dict[str, list[str]] = {}
    for part in ([*others, *odd], *parts):
        folder = project(tmp_path_factory.mktemp("hostile"), part)
        seen = command("validate", "-C", str(folder), "--format", "json")
        assert seen.code == 4
        found: dict[str, list[str]] = {}
        for it in json.loads(seen.out)["findings"]:
            if it["severity"] == "error":
                found.setdefault(it["file"], []).append(f"{it['message']} [{it['code']}]")
        by_file |= found
    return by_file


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_file(case: Case, found: Mapping[str, list[str]]) -> None:
    said = found.get(case.file, [])
    if case.words is None:
        assert said == []
    else:
        assert [it for it in said if case.words in it], said


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("link.yaml", "leads out of the project folder"),
        ("environment.yaml", "leads out of the project folder"),
        ("zero.yaml", "leads out of the project folder"),
        ("hidden.yaml", "leads to a hidden file"),
        ("loop.yaml", "cannot be read"),
        ("fifo.yaml", "it is not a file"),
        *((name, "the manifest lacks 'kind'") for name in NAMES),
    ],
)
def test_what_is_no_file_or_has_an_odd_name(file: str, words: str, found: Mapping[str, list[str]]) -> None:
    (said,) = found[file]
    assert words in said


def test_every_other_file_is_sound(found: Mapping[str, list[str]]) -> None:
    """Nothing is told of a file that is not there, and a linked folder is not read."""
    assert found.keys() <= {*NAMES, *LINKS, "fifo.yaml", *(case.file for case in CASES)}


# --- what is printed --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with what a terminal or a CI runner could obey."""
    cases = [Case(name, ODD) for name in NAMES]
    return str(project(tmp_path_factory.mktemp("odd"), [*BYTES[:25], *BYTES[-2:], *MARKS, *cases]))


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
        (Path(folder) / case.file).write_bytes(case.bytes())
    seen = command("render", "-C", folder)
    assert seen.code == 0
    assert not [line for line in seen.out.splitlines() if line.lstrip().startswith("::")]
    documents = {it["metadata"]["name"]: it for it in yaml.safe_load_all(seen.out)}
    for name, value in INJECTED.items():
        it = documents[f"injected-{name}"]
        assert it == {
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
        ("it: \ue000", "values.yaml:1:5: error: the characters U+E000"),
        ('it: "\\ue003"', "values.yaml:1:5: error: the characters U+E000"),
        ("\ue000: 1", "values.yaml:1:1: error: the characters U+E000"),
        ("it: *a", "values.yaml:1:5: error: the alias '*a'"),
        ("it: &a [*a]", "values.yaml:1:9: error: the alias '*a' stands inside"),
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
        workspace.write(case.file, case.bytes())
    plan = workspace.plan()
    assert [it["place"] for it in plan["changes"]] == ["q"] * len(SOUND)
    ran = workspace.run("plan", "-v")
    assert ran.code == 0
    for line in (ran.out + ran.err).split("\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    applied = workspace.apply()
    assert applied.code == 0, applied.err
    assert workspace.plan()["changes"] == []


# --- time -------------------------------------------------------------------------------------------------

SLOW = {
    "three-loops.yaml": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
    + "{% endfor %}" * 3,
    "one-instruction.yaml": "{{ [1] | slice(10 ** 10, 0) | list }}",
    "comments.yaml": "{#" * 50_000,
    "memory.yaml": "{% set n = namespace(x=1) %}{% for i in range(99) %}{% set n.x = [n.x] * 2 %}{% endfor %}"
    "{{ n.x }}",
    "regular-expression.yaml": "{{ ('www.' * 900000) | urlize | length }}",
    "words.yaml": "{{ ('a ' * 4000000) | wordwrap(1) | title | wordcount }}",
    "tags.yaml": "{{ ('<' * 4000000) | striptags }}",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process there has no limits")
@pytest.mark.parametrize("files", [list(SLOW)[:3], list(SLOW)[3:]])
def test_what_takes_too_long(bare: Workspace, files: list[str]) -> None:
    """The command as its own process. Computing time is measured, as others may use the machine."""
    for file in files:
        bare.write(file, SLOW[file])
    bare.write("good.yaml", GOOD.replace("NAME", "good"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [sys.executable, "-m", "deployer", "validate"],
        cwd=bare.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 4
    assert "Traceback" not in ran.stderr
    assert [file for file in files if f"{file}:1:" not in ran.stderr] == []
    assert "good.yaml" not in ran.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
