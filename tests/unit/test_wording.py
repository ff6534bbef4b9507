"""No banned phrase in messages, help, descriptions and pages.

`tests/cases/banned-phrases.txt` lists the phrases. Add a regular expression there, and it is checked everywhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployer.cli import VERBS, cli
from testing.workspace import ROOT

PHRASES = ROOT / "tests" / "cases" / "banned-phrases.txt"

# Between these lines a page may name banned words.
EXEMPT = re.compile(r"<!-- banned words -->.*?<!-- end of banned words -->", re.DOTALL)

# A blank in a phrase is also a line break.
BANNED = re.compile(
    "|".join(
        f"(?:{line})".replace(" ", r"\s+")
        for line in PHRASES.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ),
    re.IGNORECASE | re.DOTALL,
)


def matches(name: str, line: int, text: str) -> Iterator[str]:
    """Yields `file:line: phrase` for each banned phrase."""
    for match in BANNED.finditer(text):
        phrase = " ".join(match[0].split())
        yield f"{name}:{line + text.count(chr(10), 0, match.start())}: {phrase!r}"


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yields the string literals and docstrings of a module with their lines; values in f-strings as `{}`."""
    inner: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            yield node.lineno, "".join(map(_part, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


def in_module(name: str, source: str) -> list[str]:
    return [found for line, text in strings(source) for found in matches(name, line, text)]


def in_page(name: str, text: str) -> list[str]:
    hidden = EXEMPT.sub(lambda match: "\n" * match[0].count("\n"), text)
    return list(matches(name, 1, hidden))


def names(paths: Sequence[Path]) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in paths)


MODULES = names([*ROOT.glob("deployer/**/*.py"), ROOT / "docs" / "generate.py"])
PAGES = names(
    [
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("schemas/*.yaml"),
        *ROOT.glob("schemas/tables/*.yaml"),
        *ROOT.glob("deployer/**/*.md"),
        *ROOT.glob("tests/*/README.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)
HELP = [
    (),
    *((verb,) for verb in VERBS),
    *(("schema", verb) for verb in ("generate", "check", "show", "import")),
]


@pytest.mark.parametrize("name", MODULES)
def test_no_message_has_a_banned_phrase(name: str) -> None:
    assert in_module(name, (ROOT / name).read_text()) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_banned_phrase(name: str) -> None:
    assert in_page(name, (ROOT / name).read_text()) == []


@pytest.mark.parametrize("verb", HELP, ids=" ".join)
def test_no_help_has_a_banned_phrase(verb: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*verb, "--help"])
    assert (shown.exit_code, shown.output.startswith("Usage: ")) == (0, True)
    assert list(matches(f"deployer {' '.join(verb)} --help", 1, shown.output)) == []


EXAMPLE = '''"""A module.

What came of it is in the journal.
"""
RUN = f"the run {1}, which goes on, is {2}"
BOTH = (
    "whether it was carried "
    f"out {RUN} is not known"
)
FINE = "the run keeps running"
'''


def test_a_banned_phrase_is_found() -> None:
    assert in_module("a.py", EXAMPLE) == [
        "a.py:3: 'What came of'",
        "a.py:5: 'goes on'",
        "a.py:7: 'whether it was carried out {} is not known'",
    ]
    page = "# A page\n\nThe jobs are planned side\nby side.\n"
    assert in_page("a.md", page) == ["a.md:3: 'side by side'"]
    assert in_page("a.md", f"<!-- banned words -->\n{page}<!-- end of banned words -->\n{page}") == [
        "a.md:9: 'side by side'"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The next step goes on to list jobs.",
        "run plan again",
        "manifests are carriers",
        "It shows how many, and how long.",
    ],
)
def test_good_english_is_allowed(text: str) -> None:
    assert in_page("a.md", text) == []
