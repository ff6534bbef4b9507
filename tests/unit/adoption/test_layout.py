"""The text of a manifest renders to exactly its data, whatever its strings hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from deployer.adoption.layout import Block, Entry, data, text
from deployer.documents.parse import parse
from deployer.secrets.references import reference
from deployer.templates.sandbox import Sandbox, Task

AWKWARD = [
    "{{",
    "}}",
    "{%",
    "#}",
    "{# x #}",
    "{{x}}",
    "{{ x }}",
    "{{-",
    "'",
    '"',
    "\n",
    " ",
    "\\",
    "x: y",
    "#",
    "\u2028",
]
# Some of the private-use characters are marks of our own.
texts = st.lists(
    st.sampled_from([*AWKWARD, reference("A"), reference("B_2")])
    | st.text(st.characters(codec="utf-8", exclude_categories=["Co", "Cs"]), max_size=4),
    max_size=6,
).map("".join)
keys = texts.filter(lambda key: "\ue004" not in key)
values = st.recursive(
    texts | st.integers(-9, 9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


def read_back(written: str, folder: Path) -> Any:
    with Sandbox(folder, {}, frozenset({"A", "B_2"})) as sandbox:
        (rendered,) = sandbox.render([Task("x.yaml", written)])
    assert not isinstance(rendered, tuple), (rendered, written)
    documents, problems = parse(rendered)
    assert (problems, len(documents)) == ([], 1), (problems, written)
    return documents[0].value


@pytest.mark.parametrize("quoted", [False, True])
@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_any_data_is_read_back(
    quoted: bool, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    fields = data.draw(st.dictionaries(keys, values, min_size=1, max_size=8), label="fields")
    comments = tuple(data.draw(st.lists(texts, max_size=2), label="comments"))
    entries = (
        *(Entry(f"k{key}", value, comments) for key, value in fields.items()),
        Entry("", comments=comments),
    )
    block = Block((Entry("first", 1), Entry("spec", Block(entries), comments)))
    assert read_back(text(block, comments, quoted=quoted), folder) == data_of(block)


def data_of(block: Block) -> Any:
    return data(block)


def test_what_is_written_is_yaml_for_editors_too() -> None:
    block = Block(
        (Entry("a", {"b": f"x {reference('A')}", "c": reference("A"), "d": ["{{x}}", "{% y", "\x01{{"]}),)
    )
    written = text(block, ["with {{ braces }}"])
    assert yaml.safe_load(written) == {
        "a": {
            "b": 'x {{ secret("A") }}',
            "c": '{{ secret("A") }}',
            "d": ['{{ dli_var("x") }}', '{{ "{%" }} y', "\x01{{ '{{' }}"],
        }
    }
    assert written.startswith("# with { { braces }}\n")


def test_every_character_can_be_seen() -> None:
    hidden = "a\u202eb\u3164c\t\u200b"
    written = text(Block((Entry("a", hidden), Entry("b", {hidden: "é"}), Entry("c", "é", (hidden,)))))
    assert written.replace("\n", "").isprintable()
    assert "\u3164" not in written
    assert yaml.safe_load(written) == {"a": hidden, "b": {hidden: "é"}, "c": "é"}
    assert written.endswith("c: é\n")
