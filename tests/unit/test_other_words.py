"""The verbs of other tools: each leads to a verb that exists."""

from __future__ import annotations

import re

import click
import pytest

from deployer.cli import VERBS, cli
from deployer.cli.other_words import SENTENCES, no_such_verb


def test_no_verb_is_taken_for_that_of_another_tool() -> None:
    assert {*SENTENCES} & {*VERBS} == set()


@pytest.mark.parametrize("word", SENTENCES)
def test_each_sentence_names_what_exists(word: str) -> None:
    commands = re.findall(r"'deployer ([^']+)'", SENTENCES[word])
    assert commands
    for command in commands:
        name, *arguments = command.split()
        if name == "VERB" or name.startswith("--"):
            continue
        options = {option for param in _command(name).params for option in param.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= {*options, "--help"}


def _command(verb: str) -> click.Command:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None, verb
    return command


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("pln", "no such verb 'pln'; did you mean 'plan'?"),
        ("Deploy", "no such verb 'Deploy'; 'deployer apply' creates, updates and starts jobs"),
        ("xyzzy", "no such verb 'xyzzy'"),
    ],
)
def test_an_unknown_verb(word: str, message: str) -> None:
    assert no_such_verb(word, list(VERBS)) == message
