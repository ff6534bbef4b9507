"""What is masked, what is not, and that masking twice changes nothing."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.planning.diff import compare
from deployer.report.source_lines import masked_lines
from deployer.secrets import redact
from deployer.secrets.references import deferred_reference, reference
from testing.workspace import ROOT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("obs://AK:SK@bucket/x", "obs://***@bucket/x"),
        ("obs://AK:S/K+1@bucket/x@y", "obs://***@bucket/x@y"),
        ("obs://AK:12345@bucket", "obs://***@bucket"),
        ("s3a://:SK@bucket", "s3a://***@bucket"),
        ("jdbc:mysql://root:p@ss@db:3306/x", "jdbc:mysql://***@db:3306/x"),
        ("a obs://A:B@c,obs://D:E@f b", "a obs://***@c,obs://***@f b"),
        ("jdbc:dws://h:8000/db?user=u&password=p;x=1", "jdbc:dws://h:8000/db?user=u&password=***;x=1"),
        ("--password hunter2 --in x", "--password *** --in x"),
        ("-Dstore.password=x", "-Dstore.password=***"),
        ("--db-password 'a b' c", "--db-password *** c"),
        ("--secret-key=x --access_key x --api-key x", "--secret-key=*** --access_key *** --api-key ***"),
        ("--ak A --sk S", "--ak *** --sk ***"),
        ("secret=a, token: b; PASSWORD = c", "secret=***, token: ***; PASSWORD = ***"),
        ("fs.obs.secret.key=x,fs.obs.access.key=y", "fs.obs.secret.key=***,fs.obs.access.key=***"),
        ("secretKey=x accessKey=y passwd=z pwd=p", "secretKey=*** accessKey=*** passwd=*** pwd=***"),
        ('{"password": "a b", "n": 1}', '{"password": ***, "n": 1}'),
        ('{\\"password\\":\\"a b\\",\\"n\\":1}', '{\\"password\\":***,\\"n\\":1}'),
        ("password='x", "password=***"),
        ("password=***", "password=***"),
        ("x-auth-token: abc", "x-auth-token: ***"),
        ('token == "a b" or token != x', "token == *** or token != ***"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert redact.text(text) == shown
    assert redact.text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "obs://bucket:8020/x",
        "obs://bucket:8020/day@2024/x",
        "hdfs://a:8020,b:8020/x@y",
        "http://host:80?x=a@b",
        '{"url": "http://host:80", "mail": "a@b"}',
        "abfs://container@account/x",
        "obs://bucket/a:b@c",
        "obs://obs://b@c",
        "jdbc:mysql://host:3306/db",
        "someone@example.com: hello",
        "--tokenizer bert --max-tokens 5",
        "tokenizer=bert tokens=5 secretary=x",
        "the token bucket, the secret sauce, a password reset",
        "--password-file /x --secret-name y",
        "--password --verbose",
        "task: risk=1 disk=2 ask: sky=3",
        "spark.sql.shuffle.partitions=64",
        "2024-07-04T10:00:00Z",
        "",
    ],
)
def test_not_masked(text: str) -> None:
    assert redact.text(text) == text


FRAGMENTS = (
    "obs://|AK:SK|@|:|/|8020|--password|password|secret|token|izer|-k|.|ak|=| |\"|'|\\|,|x|***|*|\n|é|;|--"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS.split("|")), max_size=14).map("".join) | st.text())
def test_masking_twice_changes_nothing(text: str) -> None:
    assert redact.text(redact.text(text)) == redact.text(text)


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9+/=_.!-]{6,40}", fullmatch=True).filter(lambda it: not it[:6].isdigit()))
@pytest.mark.parametrize(
    "text", ["obs://AK:{}@b/x", "--password {}", "password={}", '"token": "{}"', "--sk '{}' x"]
)
def test_a_secret_is_gone(text: str, secret: str) -> None:
    if text == "--password {}" and secret.startswith("-"):
        return
    assert secret not in redact.text(text.format(secret))


@pytest.mark.parametrize(
    ("kind", "spec", "shown"),
    [
        (
            "SparkBatch",
            {"conf": {"spark.hadoop.fs.obs.secret.key": "x", "a": "1"}},
            {"conf": {"spark.hadoop.fs.obs.secret.key": "***", "a": "1"}},
        ),
        ("SparkSession", {"conf": {"My.PassWord": "x"}}, {"conf": {"My.PassWord": "***"}}),
        ("MrsJob", {"properties": {"fs.obs.access.key": "x"}}, {"properties": {"fs.obs.access.key": "***"}}),
        ("MrsJob", {"arguments": ["--password", "x", "y"]}, {"arguments": ["--password", "***", "y"]}),
        (
            "MrsJob",
            {"arguments": ["--token=x", "obs://A:B@c"]},
            {"arguments": ["--token=***", "obs://***@c"]},
        ),
        ("MrsJob", {"arguments": ["password", "x"]}, {"arguments": ["password", "x"]}),
        (
            "SparkBatch",
            {"numExecutors": 2, "file": "obs://b/x.jar"},
            {"numExecutors": 2, "file": "obs://b/x.jar"},
        ),
        (
            "SparkBatch",
            {"resources": [{"name": "x", "type": "secret=1"}]},
            {"resources": [{"name": "x", "type": "secret=***"}]},
        ),
        ("FlinkJar", {"entrypoint_args": "--sk x"}, {"entrypoint_args": "--sk ***"}),
    ],
)
def test_a_spec_that_can_be_shown(kind: str, spec: dict[str, Any], shown: dict[str, Any]) -> None:
    rows = KINDS[kind].spellings
    assert redact.masked(rows, spec) == shown
    assert redact.masked(rows, shown) == shown


@pytest.mark.parametrize(
    "piece", ["obs://a:", "://a:", "--password ", "password", "-a.", 'secret="', "://@", "token\\"]
)
def test_long_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    redact.text(piece * (1_500_000 // len(piece)))
    assert time.process_time() - began < 5


@pytest.mark.parametrize("live", [None, ["--password", "hunter1"]])
def test_a_diff_does_not_show_what_follows_an_option(live: list[str] | None) -> None:
    rows = KINDS["MrsJob"].rows
    desired = {"arguments": ["--password", "hunter2"]}
    changes = compare(rows, {} if live is None else {"arguments": live}, desired, frozenset())
    assert changes
    assert "hunter" not in str(changes)


@pytest.mark.parametrize(
    ("kind", "spec", "shown"),
    [
        ("MrsJob", {"arguments": [f"x{reference('A')}", "y"]}, {"arguments": ["secret(A)", "y"]}),
        ("MrsJob", {"arguments": ["--password", reference("A")]}, {"arguments": ["--password", "secret(A)"]}),
        ("MrsJob", {"arguments": [f"--password {reference('A')}"]}, {"arguments": ["secret(A)"]}),
        (
            "SparkBatch",
            {
                "conf": {
                    "fs.obs.secret.key": f"x{reference('B')}{deferred_reference('urlencode', reference('A'))}",
                    "a": "1",
                }
            },
            {"conf": {"fs.obs.secret.key": "secret(A, B)", "a": "1"}},
        ),
        ("FlinkJar", {"runtime_config": f"[{reference('A')}]"}, {"runtime_config": "secret(A)"}),
    ],
)
def test_marks_are_shown_by_name(kind: str, spec: dict[str, Any], shown: dict[str, Any]) -> None:
    assert redact.masked(KINDS[kind].spellings, spec) == shown


PATTERNS = ("fs.obs.*key", "*.endpoint.id")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        # what is masked in any text
        ("file: obs://AK:SK@b/x", "file: obs://***@b/x"),
        ("args: --password hunter2 --in x", "args: --password *** --in x"),
        ("url: jdbc:mysql://{{ user }}:{{ pw }}@h", "url: jdbc:mysql://***@h"),
        ('args: --password {{ "hunter2" }} --in x', "args: --password *** --in x"),
        ('{% set password = "hunter2" %}', "{% set password = *** %}"),
        ('{% if token == "hunter2" %}', "{% if token == *** %}"),
        ('a: {{ call(password="hunter2") }}', "a: {{ call(password=*** }}"),
        ('a: {{ db_password | default("hunter2") }}', "a: {{ db_password | default(***) }}"),
        ("{% set db_password %}hunter2{% endset %}", "{% set db_password %}***"),
        ("{% set token %}\nhunter2\n{% endset %}\na: b", "{% set token %}***\n***\n***\na: b"),
        # the value of a key, on its line
        ("password: hunter2", "password: ***"),
        ("  - password :  hunter2 # old", "  - password :  ***"),
        ("'db.password': hunter2", "'db.password': ***"),
        ('{"password":"hunter2","b":1}', '{"password":***'),
        ("conf: {a: b, password: hunter2, c: d}", "conf: {a: b, password: ***"),
        ("conf: {a: b, password: hunter2,\n  c: d}", "conf: {a: b, password: ***\n  c: d}"),
        ("FS.OBS.my.key: hunter2\nfs.obs.my.keys: x", "FS.OBS.my.key: ***\nfs.obs.my.keys: x"),
        ("s3.endpoint.id: hunter2", "s3.endpoint.id: ***"),
        ("{{ prefix }}.password: hunter2", "{{ prefix }}.password: ***"),
        ("# password: hunter2\na: b", "# password: ***\na: b"),
        ("password: &it hunter2", "password: ***"),
        ('c: [{"key": "fs.obs.my.key", "value": "hunter2"}]', 'c: [{"key": "fs.obs.my.key", "value": ***'),
        ('c: \'[{\\"key\\": \\"my.token\\", \\"value\\": \\"hunter2\\"}]\'', None),
        ("- key: my.token\n  value: hunter2\n- key: x\n  value: y", None),
        # an expression is no literal, unless one stands in it
        ("password: {{ pw }}", "password: {{ pw }}"),
        ('password: "{{ a.b[0] }}{{ c1 }}"', 'password: "{{ a.b[0] }}{{ c1 }}"'),
        ("- {password: {{ secret('DB') | urlencode }}}", "- {password: {{ secret('DB') | urlencode }}}"),
        ('password: {{ "hunter2" }}', "password: ***"),
        ("password: {{ 12345678 }}", "password: ***"),
        ("password: {{ pw }}hunter2", "password: {{ pw }}***"),
        ("password: {{ pw }} # hunter2", "password: {{ pw }}***"),
        ("password: {{ pw }", "password: ***"),
        ("password:", "password:"),
        ('password: ""', 'password: ""'),
        # the value of a key, on further lines
        ("token: |-\n  hunter2\n\n   hunter2\na: b", "token: |-\n  ***\n\n   ***\na: b"),
        ("token:\n- hunter2\n- {{ pw }}\na: b", "token:\n- ***\n- {{ pw }}\na: b"),
        ("token:\n  a: hunter2\n  b: [\n    hunter2]\na: b", "token:\n  ***\n  ***\n    ***\na: b"),
        ("token: hunter2\n  hunter2\na: b", "token: ***\n  ***\na: b"),
        ('token: "hunter2\na: hunter2\\"\nb" c\na: b', "token: ***\n***\n***\na: b"),
        ("token: 'hunter2''\na: hunter2\nb' c\na: b", "token: ***\n***\n***\na: b"),
        ("token: [\na: hunter2,\n']', hunter2]\na: b", "token: ***\n***\n***\na: b"),
        ("- token: hunter2\n  a: b\n- c", "- token: ***\n  a: b\n- c"),
        ("- token:\n  - hunter2\n- c", "- token:\n  - ***\n- c"),
        ("c: {token:\nhunter2}\na: b", "c: {token:\n***\na: b"),
        ("token:\n# x\n{% if y %}\n  hunter2\n{% endif %}\na: b", None),
        ("token: [hunter2\n---\na: b", "token: ***\n---\na: b"),
        # the item after an option
        ("- --password\n- hunter2\n- --in", "- --password\n- ***\n- --in"),
        ("  - '--password'\n\n  - >\n    hunter2\n  - x", "  - '--password'\n\n  - >\n    ***\n  - x"),
        ("- --password\n# x\n- '{{ pw }}'\n- x", "- --password\n# x\n- '{{ pw }}'\n- x"),
        ("- --token\n- --password\n- hunter2\n- x", "- --token\n- ***\n- ***\n- x"),
        ("- --token\nqueue: x", "- --token\nqueue: x"),
        ("- --token\n  hunter2\nqueue: x", "- --token\n  ***\nqueue: x"),
        ('[a, "--password", "hunter2", "x"]', '[a, "--password", ***, "x"]'),
        ("[--token, --sk, hunter2, {{ x }}]", "[--token, ***, ***, {{ x }}]"),
        ("[--token, {{ pw }}, --sk, 'a, hunter2']", "[--token, {{ pw }}, --sk, ***]"),
        ('[\n  "--password",\n  "hunter2",\n  "x"\n]', '[\n  "--password",\n  ***\n  "x"\n]'),
        ("a: >\n  --password\n  hunter2\nb: c", "a: >\n  --password\n  ***\nb: c"),
        # a key file
        (
            "a: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2\n  -----END RSA PRIVATE KEY-----\nb: c",
            "a: |\n  ***\n  ***\n  ***\nb: c",
        ),
        ('a: "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"\nb: c', 'a: "***\nb: c'),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2", "***\n***"),
    ],
)
def test_lines_of_a_file(file: str, shown: str | None) -> None:
    lines = masked_lines(file, PATTERNS)
    assert "hunter2" not in "".join(lines)
    assert len(lines) == len(file.split("\n"))
    if shown is not None:
        assert lines == shown.split("\n")
    assert masked_lines(file.replace("\n", "\r\n"), PATTERNS) == lines


@pytest.mark.parametrize(
    "file",
    [
        "metadata:\n  name: reset-token\nspec:\n  queue: x\n",
        "a: {{ x.password }}\nb: \"{{ secret('DB_PASSWORD') }}\"\n",
        "secrets: {DB: {variable: DB_PW}}\nauth: {method: token}\n",
        "{% set token = secret('TOKEN') %}\nwaive:\n  literal-secret: our test cluster\n",
        "args: [--tokenizer, bert, --max-tokens, '5']\n- --password-file\n- x\n",
        "key: x\nkeys: y\ntask: disk=1\n",
        "a: [it's, 'b', \"c\n\t]: {{ }\n}}\n",
        "-----BEGIN CERTIFICATE-----\nabc\n",
        "",
    ],
)
def test_other_lines_stay(file: str) -> None:
    assert masked_lines(file, PATTERNS) == file.split("\n")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("secrets:\n  DB_PASSWORD: {}\n  B: {variable: C}\n\n  D:\n    file: /e\nf: 1", None),
        ("targets:\n  t:\n    secrets: {A_TOKEN: {}, B: {file: c}}\n    auth: {method: token}", None),
        ("secrets:\n  A: hunter2", "secrets:\n  A: ***"),
        ("secrets:\n  A: {value: hunter2, variable: B}", "secrets:\n  A: {value: ***, variable: B}"),
        ("secrets:\n  A: {varaible: hunter2}", "secrets:\n  A: {varaible: ***}"),
        ("secrets:\n  A: {file: obs://a:hunter2@b}", "secrets:\n  A: {file: obs://***@b}"),
        ("secrets:\n  A: |\n    hunter2\nb: 1", "secrets:\n  ***\n    ***\nb: 1"),
        ("secrets:\n  A:\n    - hunter2\n  B: 'hunter2'", "secrets:\n  A:\n    - ***\n  ***"),
        ("secrets: {A: hunter2}\npassword: hunter2", "secrets: {A: ***}\npassword: ***"),
        ("secrets: [hunter2]", "secrets: ***"),
    ],
)
def test_lines_of_the_project_file(file: str, shown: str | None) -> None:
    patterns = [*PATTERNS, "*secret*", "*password*", "*token*"]
    assert masked_lines(file, patterns, declares=True) == (shown or file).split("\n")


PARTS = (
    "password|token: |- |--sk|: |\"|'|[|]|{|}|,|{{ x }}|{{|}}|{% |%}|# |\n|\n  |\r|---|x|hunter2|"
    "-----BEGIN PRIVATE KEY-----|-----END|key: |value: |\\|\U000f0000|\U0010fffd|\ue004|obs://a:b@"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS.split("|")), max_size=30).map("".join) | st.text())
def test_lines_stay_lines(file: str) -> None:
    lines = masked_lines(file, PATTERNS)
    assert len(lines) == len(file.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    assert not any("\n" in line or "\r" in line for line in lines)


SECRET = st.text(" ab:-#'\"\\,]}\n", max_size=12).map(
    lambda text: "hunter2" + "".join(f"{one}hunter2" if one in " :,\n" else one for one in text) + "hunter2"
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
    assert "hunter2" not in "\n".join(masked_lines(file, PATTERNS))


@pytest.mark.parametrize(
    "piece",
    [
        *("password: x\n", "a: b\n", "{{", "{{ x }}", '"--sk",', "key: ", 'token: "', "-----BEGIN ", "- - "),
        *("- --sk\n", "{% set token ", "a.key", "'", "token: [\n", "? : ", " \t", "{% {# ", "&a !b "),
    ],
)
def test_long_files_are_no_trouble(piece: str) -> None:
    for file in (piece * (400_000 // len(piece)), f"token: {piece * 20_000}", f"{piece * 20_000}: token"):
        assert "hunter2" not in masked_lines(file + "\npassword: hunter2", PATTERNS)[-1]


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
