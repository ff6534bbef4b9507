"""Tests what is escaped in every output: what cannot be seen, and what a CI runner interprets."""

from __future__ import annotations

import json
import random
import sys

import pytest
import yaml

from deployer.documents.dump import dump
from deployer.escape import first_difference, is_visible, json_text, log_lines, pair, printable

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt, Unicode 14.0.0, as Perl's \p{DI} lists it.
IGNORABLE = (
    "ad-ad 34f-34f 61c-61c 115f-1160 17b4-17b5 180b-180f 200b-200f 202a-202e 2060-206f 3164-3164 fe00-fe0f "
    "feff-feff ffa0-ffa0 fff0-fff8 1bca0-1bca3 1d173-1d17a e0000-e0fff"
)
# Not ignorable, but without a glyph: spaces, line ends, annotations, blank signs.
BLANK = (
    "0-1f 7f-a0 1680-1680 2000-200a 2028-2029 202f-202f 205f-205f 2800-2800 3000-3000 d800-dfff fff9-fffc 16fe4-16fe4 "
    "1d159-1d159 13441-13442"
)
COMMANDS = [
    "##[error]x",
    "##vso[task.setvariable variable=x]y",
    "##VSO[task.complete result=Succeeded;]",
    "##teamcity[buildStatus status='SUCCESS']",
    "section_start:1560896352:name",
    "section_end:1:name",
    "####vso[x]",
]


def code_points(ranges: str) -> set[int]:
    bounds = (pair.split("-") for pair in ranges.split())
    return {point for first, last in bounds for point in range(int(first, 16), int(last, 16) + 1)}


def test_no_character_that_cannot_be_seen_is_printed() -> None:
    unseen = code_points(IGNORABLE) | code_points(BLANK)
    assert [hex(point) for point in sorted(unseen) if is_visible(chr(point))] == []
    assert [hex(point) for point in sorted(unseen) if chr(point) in printable(f"a{chr(point)}b")] == []


def test_every_other_printable_character_is_kept() -> None:
    unseen = code_points(IGNORABLE) | code_points(BLANK)
    seen = [
        chr(point) for point in range(sys.maxunicode + 1) if point not in unseen and chr(point).isprintable()
    ]
    assert "".join(seen) == printable("".join(seen))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("before", ["", "  ", "text ", "\u3164"])
def test_no_ci_runner_finds_a_command(before: str, command: str) -> None:
    text = f"{before}{command}"
    for shown in (printable(text), *log_lines(text), *json_text({text: text}).split("\n")):
        assert command not in shown
        assert printable(shown) == shown
    assert command not in dump({"a": [text], text: 1})
    assert json.loads(json_text({text: text})) == {text: text}
    assert yaml.safe_load(dump({"a": [text], text: 1})) == {"a": [text], text: 1}


@pytest.mark.parametrize(
    "text", ["## [x]", "#[x]", "a##b c[0]", "section_start: 1", "section_started:1", "a_b ##"]
)
def test_text_that_is_no_command_is_kept(text: str) -> None:
    assert printable(text) == text


# --- long values


def test_all_differences_of_a_long_value_are_shown() -> None:
    words = [f"insert c{number} of t{number};" for number in range(500)]
    other = [*words]
    for number in (3, 250, 499):
        other[number] = f"drop table t{number};"
    live, desired = pair(" ".join(words), " ".join(other))
    for number in (3, 250, 499):
        assert f"drop table t{number};" in desired
        assert f"insert c{number} of t{number};" in live
    assert max(len(live), len(desired)) < 1000
    assert live.count("equal characters") == desired.count("equal characters") == 2


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ("x" * 500 + "A", "x" * 500 + "B"),
        ("x" * 500 + "A" + "x" * 500 + "B", "x" * 500 + "A" + "x" * 500 + "C"),
        ("A" + "x" * 300 + "B" + "y" * 300, "C" + "x" * 300 + "D" + "y" * 300),
        ("a " * 400, "a " * 401),
    ],
)
def test_long_values_that_differ_never_look_equal(live: str, desired: str) -> None:
    one, other = pair(live, desired)
    assert one != other


def test_random_changes_are_all_shown() -> None:
    """What is left out is equal on both sides: putting it back gives the values."""
    chosen = random.Random(11)  # noqa: S311 - not for security
    for _ in range(300):
        live = [chosen.choice("abcdefgh") * chosen.randint(1, 30) for _ in range(60)]
        desired = [*live]
        for _ in range(chosen.randint(1, 4)):
            desired[chosen.randrange(60)] = f"Z{chosen.random()}"
        _, shown = pair(" ".join(live), " ".join(desired))
        assert [word for word in desired if word.startswith("Z") and word not in shown] == []


@pytest.mark.parametrize("word", ["a ", "ab", "()", "select x, "])
def test_a_very_long_value_takes_no_time(word: str) -> None:
    text = word * (150_000 // len(word))
    live, desired = pair(text + "A" + text, "B" + text + text)
    assert "A" in live
    assert "B" in desired


def test_a_value_without_the_other_is_whole() -> None:
    text = "select 1; " * 15_000
    assert pair(None, text)[1] == json.dumps(text)
    assert pair(text, None)[0] == json.dumps(text)


def test_the_first_difference_has_a_limited_length() -> None:
    one, other = first_difference("x" * 9000 + "A" + "y" * 9000, "x" * 9000 + "B" + "y" * 9000)
    assert len(one) < 300
    assert "A" in one
    assert "B" in other
