"""Excerpts of an author's file: which lines are shown, and that they contain no secret."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.secrets.excerpt import HIDDEN, sensitive_keys, shown_lines
from testing.workspace import ROOT

PATTERNS = ("fs.obs.*key", "*.endpoint.id")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        # what is masked in any text
        ("file: obs://AK:SK@b/x", "***"),
        ("args: --password hunter2 --in x", "***"),
        ("url: jdbc:mysql://{{ user }}:{{ pw }}@h", "***"),
        ('args: --password {{ "hunter2" }} --in x', "***"),
        ('{% set password = "hunter2" %}', "***"),
        ('{% if token == "hunter2" %}', "***"),
        ('a: {{ call(password="hunter2") }}', "***"),
        ('a: {{ db_password | default("hunter2") }}', "***"),
        ("{% set db_password %}hunter2{% endset %}", "***"),
        ("{% set token = secret('TOKEN') %}\na: b", "***\na: b"),
        ("{% set token %}\nhunter2\n{% endset %}\na: b", "***\n***\n***\n***"),
        # the value of a key, on its line
        ("password: hunter2", "***"),
        ("  - password :  hunter2 # old", "***"),
        ("'db.password': hunter2", "***"),
        ('{"password":"hunter2","b":1}', "***"),
        ("conf: {a: b, password: hunter2, c: d}", "***"),
        ("conf: {a: b, password: hunter2,\n  c: d}", "***\n***"),
        ("FS.OBS.my.key: hunter2\nfs.obs.my.keys: x", "***\nfs.obs.my.keys: x"),
        ("s3.endpoint.id: hunter2", "***"),
        ("{{ prefix }}.password: hunter2", "***"),
        ("# password: hunter2\na: b", "***\na: b"),
        ("password: &it hunter2", "***"),
        ('c: [{"key": "fs.obs.my.key", "value": "hunter2"}]', "***"),
        ('c: \'[{\\"key\\": \\"my.token\\", \\"value\\": \\"hunter2\\"}]\'', "***"),
        ("- key: my.token\n  value: hunter2\n- key: x\n  value: y", "- key: my.token\n***\n- key: x\n***"),
        ("- value: hunter2\n  key: my.token", "***\n  key: my.token"),
        ("- key: {{ a }}.token\n  value: hunter2", "- key: {{ a }}.token\n***"),
        ("? my.token\n: hunter2\na: b", "***\n***\na: b"),
        # an expression below it, or a literal: it is all the same
        ("password: {{ pw }}", "***"),
        ('password: "{{ a.b[0] }}{{ c1 }}"', "***"),
        ("- {password: {{ secret('DB') | urlencode }}}", "***"),
        ('password: {{ "hunter2" }}', "***"),
        ("password: {{ 12345678 }}", "***"),
        ("password: {{ pw }}hunter2", "***"),
        ("password: {{ pw }} # hunter2", "***"),
        ("password: {{ pw }", "***"),
        ("password:", "***"),
        ('password: ""', "***"),
        # the value of a key, on further lines
        ("token: |-\n  hunter2\n\n   hunter2\na: b", "***\n***\n\n***\na: b"),
        ("token:\n- hunter2\n- {{ pw }}\na: b", "***\n***\n***\na: b"),
        ("token:\n  a: hunter2\n  b: [\n    hunter2]\na: b", "***\n***\n***\n***\n***"),
        ("token: hunter2\n  hunter2\na: b", "***\n***\na: b"),
        ('token: "hunter2\na: hunter2\\"\nb" c\na: b', "***\n***\n***\n***"),
        ("token: 'hunter2''\na: hunter2\nb' c\na: b", "***\n***\n***\n***"),
        ("token: [\na: hunter2,\n']', hunter2]\na: b", "***\n***\n***\n***"),
        ("- token: hunter2\n  a: b\n- c", "***\n  a: b\n- c"),
        ("- token:\n  - hunter2\n- c", "***\n***\n- c"),
        ("c: {token:\nhunter2}\na: b", "***\n***\n***"),
        (
            "token:\n# x\n{% if y %}\n  hunter2\n{% endif %}\na: b",
            "***\n***\n***\n***\n***\na: b",
        ),
        ("token: [hunter2\n---\na: b", "***\n***\n***"),
        # a quote of a block before it is none of its own
        ('token: |\n  "x\npassword: "hunter2\na: hunter2"\nb: c', "***\n***\n***\n***\n***"),
        ("{a: 'x\n  ', password: {b: 'hunter2',\n  c: hunter2}}", "{a: 'x\n***\n***"),
        ('password: ""\na: \'\'\nb: "c"', "***\na: ''\nb: \"c\""),
        # where it is in doubt that a value ends on its line, nothing below is shown
        ("password: it's\na: b\n\n---\na: b", "***\n***\n\n***\n***"),
        ('password: "hunter2\\""\na: b', "***\n***"),
        ('{a: "x\n  ", password: "hunter2\n  hunter2"}', '{a: "x\n***\n***'),
        ('password: ["hunter2: {", "]"]\na: b', "***\n***"),
        ("password: \"{{ secret('DB') }}\"\na: b", "***\na: b"),
        ("conf: [{password: {{ pw }}, user: 'x'}]\na: b", "***\na: b"),
        # what a comment holds, as far as it goes
        ("# - --password\n# - hunter2\n#\na: b", "***\n***\n***\na: b"),
        ("a: b # token: |\n  hunter2", "***\n***"),
        # the item after an option
        ("- --password\n- hunter2\n- --in", "***\n***\n***"),
        ("  - '--password'\n\n  - >\n    hunter2\n  - x", "***\n\n***\n***\n***"),
        ("- --password\n# x\n- '{{ pw }}'\n- x", "***\n***\n***\n***"),
        ("- --token\n- --password\n- hunter2\n- x", "***\n***\n***\n***"),
        ('- "--token\n  "\n- hunter2\n- x', "***\n***\n***\n***"),
        ("    - --password\n  - hunter2\n    a: b\n  c: d", "***\n***\n***\n  c: d"),
        ("- --token\nqueue: x", "***\nqueue: x"),
        ("- --token\n  hunter2\nqueue: x", "***\n***\nqueue: x"),
        ('[a, "--password", "hunter2", "x"]', "***"),
        ("[--token, --sk, hunter2, {{ x }}]", "***"),
        ("[--token, {{ pw }}, --sk, 'a, hunter2']", "***"),
        ('[\n  "--password",\n  "hunter2",\n  "x"\n]', "[\n***\n***\n***\n***"),
        ("a: >\n  --password\n  hunter2\nb: c", "a: >\n***\n***\nb: c"),
        # a key file
        (
            "a: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2\n  -----END RSA PRIVATE KEY-----\nb: c",
            "a: |\n***\n***\n***\n***",
        ),
        ('a: "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"\nb: c', "***\n***"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2", "***\n***"),
    ],
)
def test_lines_of_a_file(file: str, shown: str) -> None:
    lines = shown_lines(file, PATTERNS)
    assert "hunter2" not in "".join(lines)
    assert lines == shown.replace("***", HIDDEN).split("\n")
    assert shown_lines(file.replace("\n", "\r\n"), PATTERNS) == lines


@pytest.mark.parametrize(
    "file",
    [
        "metadata:\n  name: reset-token\nspec:\n  queue: x\n",
        "a: {{ x.password }}\nb: \"{{ secret('DB_PASSWORD') }}\"\n",
        "secrets: {DB: {variable: DB_PW}}\nauth: {method: token}\n",
        "{% set token_name = 'x' %}\nwaive:\n  literal-secret: our test cluster\n",
        "args: [--tokenizer, bert, --max-tokens, '5']\n- --password-file\n- x\n",
        "key: x\nkeys: y\ntask: disk=1\n",
        "a: [it's, 'b', \"c\n\t]: {{ }\n}}\n",
        "-----BEGIN CERTIFICATE-----\nabc\n",
        "",
    ],
)
def test_other_lines_stay(file: str) -> None:
    assert shown_lines(file, PATTERNS) == file.split("\n")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (
            "secrets:\n  DB_PASSWORD: {}\n  B: {variable: C}\n\n  D:\n    file: /e\nf: 1",
            "***\n***\n***\n\n***\n***\nf: 1",
        ),
        (
            "targets:\n  t:\n    secrets: {A_TOKEN: {}, B: {file: c}}\n    auth: {method: token}",
            "targets:\n  t:\n***\n    auth: {method: token}",
        ),
        ("secrets:\n  A: hunter2", "***\n***"),
        ("secrets:\n  A: {value: hunter2, variable: B}", "***\n***"),
        ("secrets:\n  A: {varaible: hunter2}", "***\n***"),
        ("secrets:\n  A: {file: obs://a:hunter2@b}", "***\n***"),
        ("secrets:\n  A: |\n    hunter2\nb: 1", "***\n***\n***\nb: 1"),
        ("secrets:\n  A:\n    - hunter2\n  B: 'hunter2'", "***\n***\n***\n***"),
        ("secrets: {A: hunter2}\npassword: hunter2", "***\n***"),
        ("secrets: [hunter2]", "***"),
    ],
)
def test_lines_of_the_project_file(file: str, shown: str) -> None:
    """The tables' patterns of keys say enough: what `secrets` declares is hidden with the rest."""
    lines = shown_lines(file, sensitive_keys())
    assert "hunter2" not in "".join(lines)
    assert lines == shown.replace("***", HIDDEN).split("\n")


PARTS = (
    "password|token: |- |--sk|: |\"|'|[|]|{|}|,|{{ x }}|{{|}}|{% |%}|# |\n|\n  |\r|---|x|hunter2|"
    "-----BEGIN PRIVATE KEY-----|-----END|key: |value: |\\|\U000f0000|\U0010fffd|\ue004|obs://a:b@"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS.split("|")), max_size=30).map("".join) | st.text())
def test_lines_stay_lines(file: str) -> None:
    lines = shown_lines(file, PATTERNS)
    assert len(lines) == len(file.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    assert not any("\n" in line or "\r" in line for line in lines)


SECRET = st.text(" ab:-#'\"\\,]}\n", max_size=12).map(
    lambda text: (
        "hunter2"
        + "".join(f"{character}hunter2" if character in " :,\n" else character for character in text)
        + "hunter2"
    )
)
HARMLESS = st.sampled_from(
    ["x", "4G", "a b c d e", "{{ x }}", 3, True, None, "obs://b/x", "a: b", "- c", "x\ny\n"]
)
SECRETS = st.recursive(
    SECRET,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "user"]), inner, min_size=1)
    ),
    max_leaves=4,
)


def _with_secrets(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entry = st.tuples(st.sampled_from(["a", "queue"]), inner)
    secret = st.tuples(st.sampled_from(["password", "fs.obs.my.key", "db_token"]), SECRETS)
    items = inner.map(lambda item: [item]) | SECRET.map(lambda item: ["--password", item])
    return st.lists(entry | secret, max_size=4).map(dict) | st.lists(items, max_size=4).map(
        lambda pieces: [item for piece in pieces for item in piece]
    )


@settings(deadline=None)
@given(
    st.recursive(HARMLESS, _with_secrets, max_leaves=6),
    st.sampled_from([True, False, None]),
    st.sampled_from([None, '"', "'", "|", ">"]),
    st.sampled_from([20, 40, 80, 4000]),
    st.integers(2, 4),
)
def test_no_way_to_write_yaml_shows_a_secret(
    data: Any, flow: bool | None, style: str | None, width: int, indent: int
) -> None:
    file = yaml.safe_dump(
        data, default_flow_style=flow, default_style=style, width=width, indent=indent, sort_keys=False
    )
    assert "hunter2" not in "\n".join(shown_lines(file, PATTERNS))


@pytest.mark.parametrize(
    "piece",
    [
        *("password: x\n", "a: b\n", "{{", "{{ x }}", '"--sk",', "key: ", 'token: "', "-----BEGIN ", "- - "),
        *("- --sk\n", "{% set token ", "a.key", "'", "token: [\n", "? : ", " \t", "{% {# ", "&a !b "),
    ],
)
def test_long_files_are_no_trouble(piece: str) -> None:
    for file in (piece * (400_000 // len(piece)), f"token: {piece * 20_000}", f"{piece * 20_000}: token"):
        assert "hunter2" not in shown_lines(file + "\npassword: hunter2", PATTERNS)[-1]


def test_no_group_is_repeated_possessively() -> None:
    """Python 3.11 gets it wrong before 3.11.5, and shows what should be masked."""
    groups = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")
    found = [
        f"{file.name}:{number}"
        for file in sorted((ROOT / "deployer").rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"re\.compile|\br[f]?\"", line) and groups.search(line)
    ]
    assert found == []
