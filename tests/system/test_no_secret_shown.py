"""A secret value is in no output, for every verb, format and fault."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml

from deployer.emulator import Emulator
from testing.faults import Call, hangs_up, listed, proxied, says, truncated
from testing.slow import sampled
from testing.workspace import SPECS, Workspace, manifest

SENTINEL = 'S3nt1nel"/\\+&é=v0lue'
VERBS = (
    ["validate"],
    ["validate", "--format", "json"],
    ["validate", "--format", "github"],
    ["validate", "--all-targets"],
    ["render"],
    ["render", "--origins"],
    ["plan", "-v"],
    ["plan", "--format", "json"],
    ["plan", "--format", "markdown"],
    ["plan", "--report", "html=shown.html"],
    ["validate", "--report", "sarif=shown.sarif", "--report", "junit=shown.xml"],
    ["status"],
    ["status", "--format", "json"],
    ["list", "--all"],
    ["list", "--all", "--format", "json"],
    ["logs"],
    ["wait", "--timeout", "0s"],
    ["doctor"],
    ["doctor", "--contract"],
)


def forms(value: str) -> set[str]:
    """The sentinel as it could appear, a good part of it being enough."""
    data = value.encode()
    dumped = [json.dumps(value, ensure_ascii=escaped)[1:-1] for escaped in (True, False)]
    again = [json.dumps(text)[1:-1] for text in dumped]
    coded = {base64.b64encode(data).decode().rstrip("="), base64.urlsafe_b64encode(data).decode().rstrip("=")}
    quoted = {quote(value), quote(value, safe=""), quote_plus(value), data.hex(), repr(value)[1:-1]}
    return {value, "S3nt1nel", "v0lue", *dumped, *again, *coded, *quoted}


def assert_hidden(*texts: str) -> None:
    for text in texts:
        for form in forms(SENTINEL):
            assert form not in text


def everything(workspace: Workspace, *more: list[str]) -> Iterator[tuple[list[str], str]]:
    for arguments in (*VERBS, *more):
        ran = workspace.run(*arguments)
        reports = "".join(path.read_text(encoding="utf-8") for path in workspace.folder.glob("shown.*"))
        yield arguments, ran.out + ran.err + reports


# --- secrets that are asked for ---------------------------------------------------------------------------

# Each kind with a secret wherever one fits: alone, inside text, in a list, in a map, and through each filter.
MARKED: dict[str, dict[str, Any]] = {
    "SparkBatch": {
        "args": ["--password", "@", "--url=jdbc:mysql://u:@%h/db", "@x", "plain"],
        "conf": {
            "spark.hadoop.fs.obs.secret.key": "@",
            "spark.x": "a@b",
            "spark.y": "@64",
            "spark.z": "@url",
        },
        "driverMemory": "4G",
    },
    "SparkSession": {"conf": {"spark.x": "@", "spark.sha": "@sha"}},
    "FlinkJar": {
        "entrypoint_args": "--password @ --host h",
        # Unchanged, its quote would end the JSON string: then the live job is not as requested.
        "runtime_config": '{"a": "@url", "b": "x"}',
        "desc": "about @",
    },
    "MrsJob": {
        "arguments": ["obs://b/mr.jar", "wordcount", "@", "x@y"],
        "properties": {"fs.obs.secret.key": "@", "other": "a@"},
    },
}
CALLS = {
    "@64": '{{ ("u:" ~ secret("S")) | b64encode }}',
    "@url": '{{ secret("S") | urlencode }}',
    "@sha": '{{ secret("S") | sha256 }}',
    "@": '{{ secret("S") }}',
}


def asked_for(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: asked_for(item) for key, item in value.items()}
    if isinstance(value, list):
        return [asked_for(item) for item in value]
    for word, call in CALLS.items():
        if isinstance(value, str) and word in value:
            return value.replace(word, call)
    return value


@pytest.fixture
def asking(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A job of each kind that asks for the secret S, whose value is the sentinel."""
    monkeypatch.setenv("DEPLOYER_SECRET_S", SENTINEL)
    workspace.write_project(secrets={"S": {}})
    for kind, more in MARKED.items():
        workspace.write(f"{kind}.yaml", manifest(kind, f"job-{kind}", asked_for(SPECS[kind] | more)))
    return workspace


@pytest.mark.slow
def test_secrets_reach_the_service_and_no_output(
    asking: Workspace, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for _, shown in everything(asking):
        assert_hidden(shown)
    assert asking.run("plan", "--out", "plan.json", "--set", f"some.password={SENTINEL}").code == 0
    stale = asking.apply("--plan", "plan.json", "--set", f"some.password={SENTINEL}", "--expect", "0")
    assert stale.code == 6
    assert_hidden(stale.out, stale.err)
    refused = asking.apply("--plan", "plan.json")
    assert "--set some.password=VALUE" in refused.err
    assert_hidden(refused.err)
    ran = asking.apply()
    assert ran.code == 0, ran.err
    stale = asking.apply("--plan", "plan.json", "--set", f"some.password={SENTINEL}")
    assert stale.code == 6
    assert_hidden(stale.out, stale.err)
    assert_hidden(ran.out, ran.err)
    (entry,) = listed(emulator.url, "SparkBatch")
    sent = json.loads(entry["req_body"])
    assert sent["args"] == [
        "--password",
        SENTINEL,
        f"--url=jdbc:mysql://u:{SENTINEL}%h/db",
        f"{SENTINEL}x",
        "plain",
    ]
    assert sent["conf"]["spark.y"] == base64.b64encode(f"u:{SENTINEL}".encode()).decode()
    assert sent["conf"]["spark.z"] == quote(SENTINEL, safe="/")
    # What was sent is what is asked for, though its value is not known here.
    assert asking.plan()["changes"] == []
    for _, shown in everything(asking, ["apply", "--yes"]):
        assert_hidden(shown)
    assert_hidden(caplog.text)
    for path in asking.folder.rglob("*"):
        if path.is_file():
            assert_hidden(path.read_text("utf-8", "replace"))


CHANGES: tuple[tuple[str, Any], ...] = (
    ("args", ["new", "--password", "@"]),
    ("args", ["@"]),
    ("args", ["@", "@", "@", "@", "@", "plain", "more"]),
    ("conf", {"spark.other": "@"}),
    ("conf", {"spark.x": "c@d", "spark.n": "1"}),
)


@pytest.mark.parametrize(("field", "value"), sampled(CHANGES, 5))
def test_what_changed_shows_no_secret_of_the_live_job(asking: Workspace, field: str, value: Any) -> None:
    """The live side is plain text: where a value moved it may be the secret that is now somewhere else."""
    assert asking.apply().code == 0
    spec = SPECS["SparkBatch"] | MARKED["SparkBatch"] | {field: value}
    asking.write("SparkBatch.yaml", manifest("SparkBatch", "job-SparkBatch", asked_for(spec)))
    assert len(asking.plan()["changes"]) == 1
    for _, shown in everything(asking):
        assert_hidden(shown)


def echoed(call: Call) -> bytes:
    """A refusal that repeats the body of the request, in several codes."""
    text = call.body.decode()
    values = [text, quote(text), base64.b64encode(call.body).decode(), json.dumps(text)]
    return json.dumps({"error_code": "DLI.0001", "error_msg": " ".join(values)}).encode()


@pytest.mark.parametrize("kind", sampled(SPECS, 4))
def test_a_service_that_repeats_what_it_was_sent(
    asking: Workspace, emulator: Emulator, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(asking, emulator.url, secrets={"S": {}}) as proxy:
        proxy.rule("POST", "", lambda call: says(400, echoed(call).decode())(call))
        for path in asking.folder.glob("*.yaml"):
            if path.stem not in {"deployer", kind}:
                path.unlink()
        ran = asking.apply()
        assert ran.code == 1
        assert "DLI.0001" in ran.out + ran.err
        assert_hidden(ran.out, ran.err)
        proxy.clear()
        for fault in (hangs_up(after=False), says(502, "<html>"), truncated, says(200, "[")):
            proxy.clear()
            proxy.rule("POST", "", fault)
            ran = asking.apply()
            assert_hidden(ran.out, ran.err)


def test_a_secret_that_is_not_there_stops_everything(
    asking: Workspace, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking.write("plain.yaml", manifest("MrsJob", "plain", SPECS["MrsJob"]))
    monkeypatch.delenv("DEPLOYER_SECRET_S")
    assert asking.run("plan").code == 0
    ran = asking.apply()
    assert ran.code == 1
    assert "S" in ran.err
    assert "No changes were applied." in ran.err
    assert not any(listed(emulator.url, kind) for kind in SPECS)
    # Only what is sent needs its secrets.
    assert asking.apply("--select", "name=plain").code == 0


def test_no_secret_in_the_list_of_processes(asking: Workspace) -> None:
    """Nor in the environment of a child: templates are rendered in one."""
    watcher = (
        "import os, pathlib, runpy, sys, subprocess\n"
        "class Watched(subprocess.Popen):\n"
        "    def __init__(self, args, *more, **given):\n"
        "        assert given.get('env') is not None, 'the child inherits the environment'\n"
        "        print('CHILD', args, given['env'], file=sys.stderr)\n"
        "        super().__init__(args, *more, **given)\n"
        "subprocess.Popen = Watched\n"
        "sys.argv = ['deployer', 'apply', '--yes']\n"
        "runpy.run_module('deployer', run_name='__main__')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", watcher], cwd=asking.folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "CHILD" in ran.stderr
    assert_hidden(ran.stdout, ran.stderr)


def test_the_embedded_emulator_gets_no_secret(asking: Workspace) -> None:
    """It would keep it in a file."""
    asking.targets = {"local": {"emulator": True, "secrets": {"S": {}}}}
    asking.write_project()
    assert asking.apply("-t", "local").code == 0
    assert asking.plan("-t", "local")["changes"] == []
    for path in (asking.folder / ".deployer").iterdir():
        assert SENTINEL.encode() not in path.read_bytes()
        assert b"S3nt1nel" not in path.read_bytes()


def test_a_traceback_shows_no_secret(asking: Workspace) -> None:
    """An emulator that cannot be reached, and one that answers nonsense, with everything printed."""
    env = {**os.environ, "DEPLOYER_DEBUG": "1"}
    asking.url = "http://127.0.0.1:1"
    asking.write_project(secrets={"S": {}})
    ran = subprocess.run(
        [sys.executable, "-m", "deployer", "apply", "--yes"],
        cwd=asking.folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert_hidden(ran.stdout, ran.stderr)


# --- plain-text secrets -----------------------------------------------------------------------------------

PLAIN = "S3nt1nel-v0lue"
LITERAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SparkBatch", {"conf": {"fs.obs.access.key": PLAIN}}),
    ("SparkBatch", {"conf": {"fs.obs.secret.key": PLAIN}}),
    ("SparkBatch", {"conf": {"spark.hadoop.fs.obs.access.key": PLAIN}}),
    ("SparkBatch", {"conf": {"spark.hadoop.fs.obs.secret.key": PLAIN}}),
    ("SparkBatch", {"args": ["--password", PLAIN]}),
    ("SparkBatch", {"args": [f"--password={PLAIN}"]}),
    ("SparkBatch", {"args": [f"jdbc:mysql://user:{PLAIN}@host/db"]}),
    ("SparkBatch", {"args": [f"jdbc:oracle:thin:@h?password={PLAIN}"]}),
    ("SparkBatch", {"jars": [f"obs://AK:{PLAIN}@bucket/x.jar"]}),
    ("SparkSession", {"conf": {"my.password": PLAIN}}),
    ("FlinkJar", {"entrypoint_args": f"--token {PLAIN} --x"}),
    ("FlinkJar", {"runtime_config": json.dumps({"some.secret": PLAIN})}),
    ("MrsJob", {"arguments": ["a.jar", "wordcount", "--secret-key", PLAIN]}),
    ("MrsJob", {"arguments": ["a.jar", "wordcount", f"obs://AK:{PLAIN}@bucket/"]}),
    ("MrsJob", {"properties": {"fs.obs.secret.key": PLAIN}}),
)


@pytest.mark.parametrize(("kind", "more"), sampled(LITERAL, 8))
def test_a_secret_in_plain_text_is_pointed_out_and_masked(
    workspace: Workspace, kind: str, more: dict[str, Any]
) -> None:
    workspace.write("job.yaml", manifest(kind, "job", SPECS[kind] | more))
    assert "plain-text secret; use" in workspace.run("validate").err
    for _, shown in everything(workspace):
        assert_hidden(shown)
    assert workspace.apply().code == 0
    assert len(more) == 1
    workspace.write("job.yaml", manifest(kind, "job", SPECS[kind]))
    for _, shown in everything(workspace, ["apply", "--yes"]):
        assert_hidden(shown)
    spec = yaml.safe_dump(SPECS[kind] | more).replace(PLAIN, f"{PLAIN}-2")
    workspace.write("job.yaml", manifest(kind, "job", yaml.safe_load(spec)))
    for _, shown in everything(workspace):
        assert_hidden(shown)


# As the vendor makes them: 20 and 40 characters.
ACCESS_KEY, SECRET_KEY = "QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"
KEYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SparkBatch", {"args": [ACCESS_KEY, SECRET_KEY, "x"]}),
    ("SparkBatch", {"args": ["x", SECRET_KEY, ACCESS_KEY]}),
    ("SparkBatch", {"args": ["--user", ACCESS_KEY, "--key", SECRET_KEY]}),
    ("SparkBatch", {"args": [f"user={ACCESS_KEY}", f"--pass={SECRET_KEY}"]}),
    ("SparkBatch", {"args": [f"{ACCESS_KEY},{SECRET_KEY}"]}),
    ("FlinkJar", {"entrypoint_args": f"in {ACCESS_KEY} {SECRET_KEY} out"}),
    ("FlinkJar", {"runtime_config": json.dumps([{"key": "a", "value": f"{ACCESS_KEY} {SECRET_KEY}"}])}),
    ("MrsJob", {"arguments": ["a.jar", "wordcount", ACCESS_KEY, SECRET_KEY]}),
)


@pytest.mark.parametrize(("kind", "more"), sampled(KEYS, 8))
def test_an_access_key_with_its_secret_key_is_pointed_out_and_masked(
    workspace: Workspace, kind: str, more: dict[str, Any]
) -> None:
    def assert_masked() -> None:
        for _, shown in everything(workspace, ["apply", "--yes"]):
            assert ACCESS_KEY not in shown
            assert SECRET_KEY not in shown

    workspace.write("job.yaml", manifest(kind, "job", SPECS[kind] | more))
    found = [line for line in workspace.run("validate").err.splitlines() if "W061 literal-secret" in line]
    in_items = isinstance(next(iter(more.values())), list) and len(next(iter(more.values()))) > 1
    assert len(found) == (2 if in_items else 1)
    assert_masked()
    others = str(more).replace(SECRET_KEY, SECRET_KEY[::-1]).replace(ACCESS_KEY, ACCESS_KEY[::-1])
    for spec in (SPECS[kind] | yaml.safe_load(others), SPECS[kind]):
        workspace.write("job.yaml", manifest(kind, "job", spec))
        assert_masked()


def test_an_error_beside_a_key_pair_does_not_show_it(bare: Workspace) -> None:
    for number, (kind, more) in enumerate(KEYS):
        text = yaml.safe_dump(manifest(kind, "job", SPECS[kind] | more), sort_keys=False)
        for place, end in enumerate(BREAKS):
            for at, line in enumerate(text.splitlines()):
                if ACCESS_KEY in line or SECRET_KEY in line:
                    broken = [*text.splitlines()[: at + 1], end]
                    bare.write(f"{number}-{place}-{at}.yaml", text + "\n".join(["---", *broken]))
                    bare.write(
                        f"t-{number}-{place}-{at}.yaml", text.replace(line, f"{line} {{{{ nosuch }}}}")
                    )
    ran = bare.run("validate")
    assert ran.code == 4
    assert ACCESS_KEY not in ran.out + ran.err
    assert SECRET_KEY not in ran.out + ran.err


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        ([{"key": "table.exec.state.ttl", "value": "1 h"}], ""),
        ([{"key": "a", "value": "1"}, {"key": "fs.obs.secret.key", "value": "hunter2"}], "hunter2"),
        ({"a": "1", "my.password": "hunter2"}, "hunter2"),
        ({"a": "1", "state.backend": "rocksdb", "n": 3}, ""),
        ("a=1\nfs.obs.secret.key=hunter2\n", "hunter2"),
        ("a=1\nb.c=2\n", ""),
        ("neither of them", "neither of them"),
    ],
)
def test_the_settings_of_a_stream_are_told_apart(bare: Workspace, settings: Any, secret: str) -> None:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    bare.write("job.yaml", manifest("FlinkJar", "job", SPECS["FlinkJar"] | {"runtime_config": text}))
    ran = bare.run("validate")
    assert ("W061" in ran.err) == bool(secret)
    rendered = bare.run("render").out
    assert "runtime_config" in rendered
    if secret:
        assert secret not in rendered
        assert "***" in rendered
        assert ("a" in rendered.split("runtime_config")[1]) or secret == text
    else:
        assert yaml.safe_load(rendered)["spec"]["runtime_config"] == text


BREAKS = ("  nosuch: 1", "  [", "  x: {{ nosuch }}", "\tx: 1", "  - a")


@pytest.mark.parametrize(("kind", "more"), sampled(LITERAL, 8))
def test_an_error_beside_a_secret_does_not_show_it(bare: Workspace, kind: str, more: dict[str, Any]) -> None:
    """Each line of the file gets its turn to be the one that is wrong."""
    lines = yaml.safe_dump(manifest(kind, "job", SPECS[kind] | more), sort_keys=False).splitlines()
    for number, line in enumerate(lines):
        wrong = [*lines[:number], f"{line} {{{{ nosuch }}}}", *lines[number + 1 :]]
        bare.write(f"template-{number}.yaml", "\n".join(wrong))
        for place, breaks in enumerate(BREAKS):
            bare.write(f"plain-{number}-{place}.yaml", "\n".join([*lines[: number + 1], breaks]))
    for style in ("text", "json", "github"):
        ran = bare.run("validate", "--format", style)
        assert ran.code == 4
        assert_hidden(ran.out, ran.err)


def test_a_waiver_for_a_secret_in_plain_text(bare: Workspace) -> None:
    spec = SPECS["SparkBatch"] | {"args": ["--password", PLAIN]}
    waive = {"literal-secret": "it is the one of the demo"}
    bare.write("job.yaml", manifest("SparkBatch", "job", spec, waive=waive))
    ran = bare.run("validate", "--strict")
    assert (ran.code, ran.err) == (0, "")
