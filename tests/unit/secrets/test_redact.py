"""Masking: what is masked, what is not, and that masking twice changes nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.planning.diff import compare
from deployer.secrets import redact
from deployer.secrets.references import deferred_reference, reference

# An access key and its secret key.
AK, SK = "QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


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
        ("--pw s3cretFlink --pass=x -pw y", "--pw *** --pass=*** -pw ***"),
        (
            "--pwd a --db-pass b --dbpw='c d' --user.pass e",
            "--pwd *** --db-pass *** --dbpw=*** --user.pass ***",
        ),
        ("secret=a, token: b; PASSWORD = c", "secret=***, token: ***; PASSWORD = ***"),
        ("fs.obs.secret.key=x,fs.obs.access.key=y", "fs.obs.secret.key=***,fs.obs.access.key=***"),
        ("secretKey=x accessKey=y passwd=z pwd=p", "secretKey=*** accessKey=*** passwd=*** pwd=***"),
        ('{"password": "a b", "n": 1}', '{"password": ***, "n": 1}'),
        ('{\\"password\\":\\"a b\\",\\"n\\":1}', '{\\"password\\":***,\\"n\\":1}'),
        ("password='x", "password=***"),
        ("password=***", "password=***"),
        ("x-auth-token: abc", "x-auth-token: ***"),
        ('token == "a b" or token != x', "token == *** or token != ***"),
        (f"in {AK} {SK} out", "in *** *** out"),
        (f"copy({SK!r},\n  {AK!r})", "copy('***',\n  '***')"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert redact.redacted(text) == shown
    assert redact.redacted(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "obs://bucket:8020/x",
        "obs://bucket:8020/day@2024/x",
        "hdfs://a:8020,b:8020/x@y",
        "http://host:80?x=a@b",
        '{"url": "http://host:80", "mail": "a@b"}',
        "abfs://container@account/x",
        f"{AK} {SHA1}",
        f"{AK} {SHA1.upper()}",
        f"{AK} {SHA1[:20]}{SHA1[20:].upper()}",
        f"{AK} {'x' * 100} {SK}",
        f"{AK.lower()} {SK}",
        f"x{AK} {SK}x",
        f"20240703000000000000 {SK}",
        AK,
        SK,
        "obs://bucket/a:b@c",
        "obs://obs://b@c",
        "jdbc:mysql://host:3306/db",
        "someone@example.com: hello",
        "--tokenizer bert --max-tokens 5",
        "tokenizer=bert tokens=5 secretary=x",
        "the token bucket, the secret sauce, a password reset",
        "--password-file /x --secret-name y",
        "--password --verbose",
        "-p 8080 --port 1 --passes 3 --bypass x --pass --pass-through x --pwm 3 --first-pass 1",
        "pass=1 pw=2 /pw 3",
        "task: risk=1 disk=2 ask: sky=3",
        "spark.sql.shuffle.partitions=64",
        "2024-07-04T10:00:00Z",
        "",
    ],
)
def test_not_masked(text: str) -> None:
    assert redact.redacted(text) == text


FRAGMENTS = (
    "--pw|-pass|"
    "obs://|AK:SK|@|:|/|8020|--password|password|secret|token|izer|-k|.|ak|=| |\"|'|\\|,|x|***|*|\n|é|;|--"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS.split("|")), max_size=14).map("".join) | st.text())
def test_masking_twice_changes_nothing(text: str) -> None:
    assert redact.redacted(redact.redacted(text)) == redact.redacted(text)


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9+/=_.!-]{6,40}", fullmatch=True).filter(lambda word: not word[:6].isdigit()))
@pytest.mark.parametrize(
    "text", ["obs://AK:{}@b/x", "--password {}", "password={}", '"token": "{}"', "--sk '{}' x", "--pw={}"]
)
def test_a_secret_is_gone(text: str, secret: str) -> None:
    if text == "--password {}" and secret.startswith("-"):
        return
    assert secret not in redact.redacted(text.format(secret))


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
        ("MrsJob", {"arguments": ["--pass", "x", "-p", "y"]}, {"arguments": ["--pass", "***", "-p", "y"]}),
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
        ("MrsJob", {"arguments": [AK, SK, AK]}, {"arguments": ["***", "***", "***"]}),
        ("MrsJob", {"arguments": ["x", AK, "-k", SK]}, {"arguments": ["x", "***", "-k", "***"]}),
        ("MrsJob", {"arguments": [AK, "x", SK]}, {"arguments": [AK, "x", SK]}),
        ("MrsJob", {"arguments": [AK, SHA1, "x"]}, {"arguments": [AK, SHA1, "x"]}),
        ("MrsJob", {"arguments": [AK, SK[:39]]}, {"arguments": [AK, SK[:39]]}),
        (
            "FlinkJar",
            {"runtime_config": '[{"key": "a", "value": "1"}, {"key": "b.secret", "value": "x"}]'},
            {"runtime_config": '[{"key": "a", "value": "1"}, {"key": "b.secret", "value": "***"}]'},
        ),
        ("FlinkJar", {"runtime_config": '{"a": {"password": "x"}}'}, {"runtime_config": '{"a": "***"}'}),
        ("FlinkJar", {"runtime_config": '{"a": 1,  "b": [2]}'}, {"runtime_config": '{"a": 1,  "b": [2]}'}),
        ("FlinkJar", {"runtime_config": "a=1\r\nb.token=x\n"}, {"runtime_config": "a=1\r\nb.token=***\n"}),
        ("FlinkJar", {"runtime_config": '[{"key": "a", "x": "1"}]'}, {"runtime_config": "***"}),
        ("FlinkJar", {"runtime_config": "x y"}, {"runtime_config": "***"}),
    ],
)
def test_a_spec_that_can_be_shown(kind: str, spec: dict[str, Any], shown: dict[str, Any]) -> None:
    rows = KINDS[kind].spellings
    assert redact.masked(rows, spec) == shown
    assert redact.masked(rows, shown) == shown


@pytest.mark.parametrize(
    "piece",
    [
        f"{AK} ",
        f"{SK} ",
        "obs://a:",
        "://a:",
        "--password ",
        "password",
        "-a.",
        'secret="',
        "://@",
        "token\\",
    ],
)
def test_long_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    redact.redacted(piece * (1_500_000 // len(piece)))
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
