"""`import` writes manifests that plan as unchanged, run nothing and hold no credential."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from testing.faults import FaultProxy
from testing.live import call, create, start
from testing.slow import sampled
from testing.workspace import SPECS, Clock, Workspace, manifest

from .test_round_trip import allowed, objects, texts

CLUSTERS = {"clusters": {"reports": "c-1"}}


@pytest.fixture
def shop(workspace: Workspace) -> Workspace:
    """A project without manifests, whose target names a cluster."""
    workspace.write_project(**CLUSTERS)
    return workspace


def files(shop: Workspace) -> dict[str, str]:
    """The manifests that were written."""
    return {path.name: path.read_text() for path in sorted((shop.folder / "imported").glob("**/*.yaml"))}


def manifests(shop: Workspace) -> dict[str, Any]:
    """The manifests that were written, as plain YAML reads them, by name."""
    return {
        value["metadata"]["name"]: value
        for text in files(shop).values()
        for value in yaml.safe_load_all(text)
    }


def nothing_planned(shop: Workspace, jobs: int) -> None:
    plan = shop.plan()
    assert (plan["changes"], plan["errors"], plan["summary"]["unchanged"]) == ([], [], jobs)


SECRETS: dict[str, dict[str, Any]] = {
    "SparkBatch": {
        "args": ["--password", "first-secret", "--verbose", "{{day}}", "{% x", "{# y", "{{ z }}"],
        "conf": {
            "spark.db.url": "jdbc:mysql://me:second-secret@host:3306/db",
            "spark.hadoop.fs.obs.secret.key": "third-secret",
            "spark.note": "the value third-secret is also here",
        },
    },
    "FlinkJar": {
        "entrypoint_args": "--token fourth-secret --x 1",
        "runtime_config": '{"a.password": "fifth-secret", "b": "1"}',
    },
    "MrsJob": {"arguments": ["x.jar", "--access-key=sixth-secret", "y"], "properties": {"k.token": "*"}},
}
VALUES = ["first", "second", "third", "fourth", "fifth", "sixth"]


def test_one_job_of_each_kind(shop: Workspace, clock: Clock) -> None:
    for kind, spec in SPECS.items():
        create(shop.url, kind, f"{kind}-1", {**spec, **SECRETS.get(kind, {})})
    start(shop.url, create(shop.url, "FlinkJar", "running", SPECS["FlinkJar"]))
    clock.forward(60)
    ran = shop.run("import", "--all")
    assert (ran.code, ran.err) == (0, "")
    written = files(shop)
    assert sorted(written) == sorted([*(f"{kind}-1.yaml" for kind in SPECS), "running.yaml"])
    assert [value for value in VALUES if f"{value}-secret" in f"{ran.out}{ran.err}{written}"] == []
    assert shop.run("validate").code == 0
    pytest.importorskip("ruamel.yaml")
    ran = shop.run("fmt", "--check", "--diff", "imported")
    assert ran.code == 0, ran.out
    nothing_planned(shop, 5)

    keep = {"adopt": True, "onMissing": "keep", "protect": True}
    made = manifests(shop)
    assert {name: value["lifecycle"] for name, value in made.items()} == {
        "SparkBatch-1": {**keep, "onChange": "keep"},
        "SparkSession-1": {**keep, "onChange": "keep"},
        "MrsJob-1": {**keep, "onChange": "keep"},
        "FlinkJar-1": {**keep, "state": "stopped"},
        "running": {**keep, "state": "running"},
    }
    assert made["MrsJob-1"]["spec"]["cluster_id"] == "reports"
    assert made["SparkBatch-1"]["spec"]["conf"]["spark.note"].startswith("the value {{ secret(")
    assert made["SparkBatch-1"]["spec"]["args"][3] == '{{ dli_var("day") }}'
    assert "the service does not show this value" in written["MrsJob-1.yaml"]
    assert "Not shown by the service: jars, pyFiles" in written["SparkSession-1.yaml"]


def test_nothing_is_sent_whatever_part_is_merged(shop: Workspace, proxy: FaultProxy, clock: Clock) -> None:
    shop.write_project(**CLUSTERS)
    for kind, spec in SPECS.items():
        create(proxy.upstream, kind, f"{kind}-1", spec)
    clock.forward(10_000)
    assert shop.run("import", "--all").code == 0
    texts_of = files(shop)
    for kept in ([], *([name] for name in texts_of), [*texts_of]):
        for name, text in texts_of.items():
            path = shop.folder / "imported" / name
            path.write_text(text) if name in kept else path.unlink(missing_ok=True)
        proxy.clear()
        ran = shop.apply()
        assert ran.code == 0, ran.err
        assert {sent.method for sent in proxy.calls} == {"GET"}


def test_a_job_that_ended_or_expired_is_not_run_again(shop: Workspace, clock: Clock) -> None:
    create(shop.url, "SparkBatch", "gone", SPECS["SparkBatch"])
    assert shop.run("import", "--all").code == 0
    shop.write_project(projectId="another", **CLUSTERS)  # where nothing is listed
    assert shop.plan()["changes"] == []


def test_a_stream_that_was_stopped_meanwhile_is_not_started(shop: Workspace, clock: Clock) -> None:
    stream = create(shop.url, "FlinkJar", "clicks", SPECS["FlinkJar"])
    start(shop.url, stream)
    clock.forward(60)
    assert shop.run("import", "clicks").code == 0
    body = {"job_ids": [int(stream)], "trigger_savepoint": True}
    call(shop.url, "POST", "/v1.0/pid/streaming/jobs/stop", body)
    clock.forward(60)
    plan = shop.plan()
    assert plan["changes"] == []
    assert "not started because adopt is true and onMissing is keep" in str(plan["warnings"])
    # Until the lines are removed that keep it as it is.
    manifest = shop.folder / "imported" / "clicks.yaml"
    manifest.write_text(manifest.read_text().replace("  onMissing: keep\n", ""))
    assert [change["action"] for change in shop.plan()["changes"]] == ["start"]


def test_the_newest_run_is_the_manifest(shop: Workspace, clock: Clock) -> None:
    for number in (1, 2, 3):
        create(shop.url, "SparkBatch", "daily", {**SPECS["SparkBatch"], "numExecutors": number})
        clock.forward(100_000)
    ran = shop.run("import", "daily")
    assert (ran.code, "1 job imported, 2 older runs left out." in ran.out) == (0, True), ran.out
    assert manifests(shop)["daily"]["spec"]["numExecutors"] == 3
    again = shop.run("import", "--all", "--out", "more")
    assert (again.code, "0 jobs imported, 1 already in a manifest." in again.out) == (0, True), again.out
    covered = shop.run("import", "daily", "--out", "more")
    assert (covered.code, "already in a manifest: SparkBatch daily in q" in covered.err) == (3, True)


def test_only_older_runs_of_what_is_imported_are_counted(shop: Workspace, clock: Clock) -> None:
    for name in ("daily", "hourly", "hourly"):
        create(shop.url, "SparkBatch", name, SPECS["SparkBatch"])
        clock.forward(100_000)
    ran = shop.run("import", "daily")
    assert (ran.code, "1 job imported.\n" in ran.out) == (0, True), ran.out
    ran = shop.run("import", "hourly")
    assert "1 job imported, 1 already in a manifest, 1 older run left out." in ran.out, ran.out


def test_a_cluster_has_the_name_that_the_project_gives_it(shop: Workspace) -> None:
    create(shop.url, "MrsJob", "load", {**SPECS["MrsJob"], "arguments": ["--token", "a-token-of-it"]})
    create(shop.url, "MrsJob", "bad", {**SPECS["MrsJob"], "arguments": ["\ue004"]})
    ran = shop.run("import", "--all", "--group", "queue")
    assert (ran.code, [*files(shop)]) == (8, ["reports.yaml"]), ran.err
    assert "wrote imported/reports.yaml: MrsJob load in reports" in ran.out
    assert "# MrsJob load in reports /arguments/1" in ran.out
    assert "not imported: MrsJob bad in reports" in ran.err
    ran = shop.run("import", "load")
    assert "already in a manifest: MrsJob load in reports" in ran.err
    assert "c-1" not in f"{ran.out}{ran.err}"


def test_what_cannot_be_recognized_is_left_to_a_review(shop: Workspace) -> None:
    create(shop.url, "FlinkJar", "f", {**SPECS["FlinkJar"], "entrypoint_args": "--pw s3cretFlink --in x"})
    create(
        shop.url, "SparkBatch", "b", {**SPECS["SparkBatch"], "args": ["--pass", "s3cretSpark", "-p", "8080"]}
    )
    ran = shop.run("import", "--all", "--dry-run")
    words = (
        "Review the files before you commit them: only credentials that can be recognized were replaced.\n"
    )
    assert (words in ran.err, words in ran.out) == (True, False)
    ran = shop.run("import", "--all")
    assert (ran.code, words in ran.out) == (0, True)
    assert manifests(shop)["f"]["spec"]["entrypoint_args"] == '--pw {{ secret("F_ENTRYPOINT_ARGS") }} --in x'
    made = manifests(shop)["b"]["spec"]["args"]
    assert made == ["--pass", '{{ secret("B_PASS") }}', "-p", "8080"]
    assert "s3cret" not in f"{ran.out}{files(shop)}"
    assert words not in shop.run("import", "--all").out


def test_an_older_run_by_id_is_refused(shop: Workspace, clock: Clock) -> None:
    old = create(shop.url, "SparkBatch", "daily", SPECS["SparkBatch"])
    clock.forward(100_000)
    new = create(shop.url, "SparkBatch", "daily", SPECS["SparkBatch"])
    ran = shop.run("import", "--id", old)
    assert (ran.code, files(shop)) == (1, {})
    assert f"it is not the current run of its job: plan compares the manifest with run {new}" in ran.err
    assert shop.run("import", "--id", new).code == 0
    assert [*files(shop)] == ["daily.yaml"]


def test_defaults_of_the_project_are_removed_where_the_job_has_nothing(shop: Workspace, clock: Clock) -> None:
    shop.project["defaults"] = {
        "SparkBatch": {
            "spec": {
                "executorMemory": "8G",
                "spark_version": "3.3.1",
                "conf": {"spark.a": "1", "spark.b": "2"},
            },
            "lifecycle": {"onFailure": "resubmit"},
        }
    }
    shop.write_project(**CLUSTERS)
    create(shop.url, "SparkBatch", "bare", SPECS["SparkBatch"])
    create(shop.url, "SparkBatch", "full", {**SPECS["SparkBatch"], "conf": {"spark.b": "3", "spark.c": "4"}})
    clock.forward(100_000)
    ran = shop.run("import", "--all")
    assert ran.code == 0, ran.err
    nothing_planned(shop, 2)
    assert manifests(shop)["full"]["spec"]["conf"] == {"spark.b": "3", "spark.c": "4", "spark.a": None}
    assert manifests(shop)["bare"]["lifecycle"]["onFailure"] is None


def test_what_has_no_manifest_is_named_with_the_reason(shop: Workspace, clock: Clock) -> None:
    create(shop.url, "SparkSession", "", SPECS["SparkSession"])
    create(shop.url, "SparkBatch", "good", SPECS["SparkBatch"])
    create(shop.url, "SparkBatch", "password=abcdefgh", SPECS["SparkBatch"])
    create(shop.url, "SparkBatch", "key", {**SPECS["SparkBatch"], "conf": {"password=abcdefgh": "1"}})
    create(shop.url, "SparkBatch", "reserved", {**SPECS["SparkBatch"], "args": ["\ue004"]})
    clock.forward(10)
    ran = shop.run("import", "--all")
    assert (ran.code, [*files(shop)]) == (8, ["good.yaml"]), ran.err
    reasons = dict(re.findall(r"not imported: (.*?) \(.*?\): (.*)", ran.err))
    assert [*reasons.values()] == [
        "a key in spec/conf contains a credential, and a manifest cannot refer to a secret in a key",
        "its name contains a credential",
        "characters U+E000 to U+E009 are reserved for internal use",
        "the list does not show its name, which a manifest needs",
    ]
    assert "1 job imported, 4 not imported." in ran.out


def test_what_the_list_prints_as_one_text_is_named(shop: Workspace) -> None:
    statement = ["SELECT a, b FROM t WHERE c = 'x, y'"]
    options = ["--hivevar", "x=1", "select a, b from t; select 1;"]
    for name, sql in (("sql", statement), ("options", options)):
        create(shop.url, "MrsJob", name, {"cluster_id": "c-1", "job_type": "HiveSql", "arguments": sql})
    two = {"arguments": ["a, b", "c"], "properties": {"k": "1, l=2", "m": "3"}}
    create(shop.url, "MrsJob", "two", {**SPECS["MrsJob"], **two})
    create(shop.url, "MrsJob", "sure", {**SPECS["MrsJob"], "arguments": ["a"], "properties": {"k": "1, 2"}})
    assert shop.run("import", "--all").code == 0
    assert manifests(shop)["sql"]["spec"]["arguments"] == statement
    assert manifests(shop)["options"]["spec"]["arguments"] == options
    written = {name: " ".join(text.replace(" # ", " ").split()) for name, text in files(shop).items()}
    guessed = (
        "arguments: listed as one text: where an item has ', ' in it, where items begin and end is a guess;"
    )
    for name in ("sql", "options", "two"):
        assert f"{guessed} check it before the next run." in written[f"{name}.yaml"]
    assert "properties: listed as one text: a value with ', ' and '=' in it is" in written["two.yaml"]
    assert "listed as one text" not in written["sure.yaml"]
    nothing_planned(shop, 4)


PAIRS = '[{"key": "table.x", "value": "1"}, {"key": "flag", "value": true}]'


def test_settings_are_written_in_the_format_in_which_they_were_sent(shop: Workspace) -> None:
    one = '[{"key": "a.password", "value": "hunter-22"}, {"key": "b", "value": "2"}]'
    twice = '[{"key": "a.token", "value": "hunter-33"}, {"key": "a.token", "value": "1"}, {"key": "b", "value": "2"}]'
    settings = {
        "pairs": PAIRS,
        "object": '{"table.x": 1, "y": null}',
        "lines": "a=1\nb = 2\n",
        "secret": one,
        "twice": twice,
    }
    for name, text in settings.items():
        create(shop.url, "FlinkJar", name, {**SPECS["FlinkJar"], "runtime_config": text})
    log = '{"root_logger_level": "WARN", "loggers_level_of_class": {"a": null}}'
    create(shop.url, "FlinkJar", "log", {**SPECS["FlinkJar"], "flink_log_config": log})
    ran = shop.run("import", "--all")
    assert ran.code == 0, ran.err
    made = {name: value["spec"] for name, value in manifests(shop).items()}
    # The emulator adds an entry to a list, as the service does: which ones are added is not known.
    added = [{"key": "emulator.filled.in", "value": "true"}]
    assert json.loads(made["pairs"]["runtime_config"]) == json.loads(PAIRS) + added
    assert json.loads(made["object"]["runtime_config"]) == {"table.x": 1, "y": None}
    assert made["lines"]["runtime_config"] == settings["lines"]
    hidden = [{"key": "a.password", "value": "hidden"}, {"key": "b", "value": "2"}]
    without_braces = made["secret"]["runtime_config"].replace('{{ secret("SECRET_A_PASSWORD") }}', "hidden")
    assert json.loads(without_braces) == hidden + added
    assert json.loads(made["log"]["flink_log_config"]) == json.loads(log)
    written = files(shop)
    assert "hunter" not in f"{ran.out}{ran.err}{written}"
    for name in settings:
        assert (
            "# runtime_config: the service adds settings of its own; remove those" in written[f"{name}.yaml"]
        )
    other = [name for name in written if "in another format than that of the reference" in written[name]]
    assert other == ["lines.yaml", "object.yaml"]
    assert "# runtime_config: left out: an earlier value of a.token." in written["twice.yaml"]
    nothing_planned(shop, 6)


def test_what_was_chosen_for_a_job_stays(shop: Workspace) -> None:
    create(shop.url, "SparkBatch", "batch", {**SPECS["SparkBatch"], "spark_version": "3.3.1"})
    create(shop.url, "SparkBatch", "old", {**SPECS["SparkBatch"], "spark_version": "2.3.2"})
    chosen = {"flink_version": "1.15", "checkpoint_interval": 77, "tm_slot_num": 3}
    create(shop.url, "FlinkJar", "chosen", {**SPECS["FlinkJar"], **chosen})
    create(shop.url, "FlinkJar", "filled", SPECS["FlinkJar"])
    sizes = {"cu_number": 4, "parallel_number": 4, "tm_cus": 1}
    create(shop.url, "FlinkJar", "rounded", {**SPECS["FlinkJar"], **sizes})
    assert shop.run("import", "--all").code == 0
    made = {name: value["spec"] for name, value in manifests(shop).items()}
    assert (made["batch"]["spark_version"], made["old"]["spark_version"]) == ("3.3.1", "2.3.2")
    assert {name: made["chosen"][name] for name in chosen} == chosen
    assert made["filled"] == SPECS["FlinkJar"]
    assert made["rounded"] == {**SPECS["FlinkJar"], "cu_number": 4, "parallel_number": 4}
    written = files(shop)
    words = "  # the service fills it in; uncomment it to keep it"
    assert f"  # tm_slot_num: 2{words}" in written["rounded.yaml"]
    assert f"  # checkpoint_interval: 10{words}" in written["filled.yaml"]
    assert "fills it in" not in f"{written['batch.yaml']}{written['old.yaml']}{written['chosen.yaml']}"
    nothing_planned(shop, 5)


def test_the_project_that_deployed_a_job_is_named(shop: Workspace) -> None:
    shop.write("job.yaml", manifest("SparkBatch", "daily", SPECS["SparkBatch"]))
    assert shop.apply().code == 0
    (shop.folder / "job.yaml").unlink()
    assert shop.run("import", "daily").code == 0
    assert "# Project 'tests' deployed it.\n" in files(shop)["daily.yaml"]
    assert "conf" not in manifests(shop)["daily"]["spec"]
    nothing_planned(shop, 1)


def test_a_rule_that_a_live_job_violates_is_waived(shop: Workspace) -> None:
    spec = {key: value for key, value in SPECS["SparkBatch"].items() if key != "className"}
    create(shop.url, "SparkBatch", "odd", {**spec, "file": "obs://b/odd.jar"})
    assert shop.run("import", "odd").code == 0
    assert manifests(shop)["odd"]["waive"] == {"class-name-for-a-jar": "the live job violates it"}
    nothing_planned(shop, 1)


HOSTILE = [
    "../../etc/x",
    "/abs",
    "CON",
    "deployer",
    "_hidden",
    ".dot",
    "a\nb",
    "é漢",
    "A",
    "a",
    "x" * 120,
    "-",
    "*",
]


def test_hostile_names_become_plain_files(shop: Workspace) -> None:
    for name in HOSTILE:
        create(shop.url, "SparkBatch", name, SPECS["SparkBatch"])
    ran = shop.run("import", "--all", "--out", "jobs/new")
    assert ran.code == 0, ran.err
    found = [path.relative_to(shop.folder).as_posix() for path in shop.folder.rglob("*.yaml")]
    new = [path for path in found if path != "deployer.yaml"]
    assert [
        path for path in new if not re.fullmatch(r"jobs/new/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.yaml", path)
    ] == []
    assert (len(new), len({path.casefold() for path in new})) == (len(HOSTILE), len(HOSTILE))
    nothing_planned(shop, len(HOSTILE))


def test_no_file_is_overwritten_and_then_none_is_written(shop: Workspace) -> None:
    for name in ("a", "b"):
        create(shop.url, "SparkBatch", name, SPECS["SparkBatch"])
    shop.write("imported/b.yaml", "# mine\n")
    ran = shop.run("import", "--all")
    assert (ran.code, files(shop)) == (3, {"b.yaml": "# mine\n"})
    assert "files already exist: " in ran.err


@pytest.mark.parametrize(("group", "expected"), [("kind", ["flinkjar", "sparkbatch"]), ("queue", ["q"])])
def test_several_manifests_in_a_file(group: str, expected: list[str], shop: Workspace) -> None:
    for kind, name in (("SparkBatch", "a"), ("SparkBatch", "b"), ("FlinkJar", "c")):
        create(shop.url, kind, name, SPECS[kind])
    ran = shop.run("import", "--all", "--group", group)
    assert (ran.code, [*files(shop)]) == (0, [f"{stem}.yaml" for stem in expected]), ran.err
    nothing_planned(shop, 3)


def test_a_dry_run_prints_what_would_be_written(shop: Workspace) -> None:
    for name in ("a", "b"):
        create(shop.url, "SparkBatch", name, SPECS["SparkBatch"])
    ran = shop.run("import", "--all", "--dry-run")
    assert (ran.code, files(shop)) == (0, {})
    assert [value["metadata"]["name"] for value in yaml.safe_load_all(ran.out)] == ["a", "b"]
    assert ran.out.startswith("# imported/a.yaml\n# Imported from run ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no jobs selected: give NAME, --id, --kind or --select, or --all"),
        (["--all", "x"], "--all cannot be combined with NAME or --id"),
        (["dialy"], "'dialy' matches no live job without a manifest; did you mean 'daily'?"),
        (["--id", "none"], "--id none: no live job has this id"),
        (["--kind", "SparkBach", "x"], "unknown kind 'SparkBach'; did you mean 'SparkBatch'?"),
        (["--all", "--out", ".."], "is outside the project"),
        (["--all", "--out", ".hidden"], "no manifests are read in '.hidden'"),
        (["--all", "--out", "other"], "belongs to another project"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, shop: Workspace) -> None:
    create(shop.url, "SparkBatch", "daily", SPECS["SparkBatch"])
    shop.write("other/deployer.yaml", {})
    ran = shop.run("import", *arguments)
    assert (ran.code, message in ran.err, files(shop)) == (3, True, {}), ran.err


def test_without_a_project_it_says_how_to_make_one(shop: Workspace) -> None:
    (shop.folder / "deployer.yaml").unlink()
    ran = shop.run("import", "--all")
    assert (ran.code, "to create a project: deployer init" in ran.err) == (3, True)


def test_mrs_jobs_need_a_cluster(workspace: Workspace) -> None:
    create(workspace.url, "MrsJob", "m", SPECS["MrsJob"])
    ran = workspace.run("import", "--all")
    assert (ran.code, "MRS jobs are not read: no MRS cluster is known" in ran.err) == (0, True)
    assert workspace.run("import", "--kind", "MrsJob").code == 3
    assert workspace.run("import", "--kind", "MrsJob", "--cluster", "c-1").code == 0
    assert manifests(workspace)["m"]["spec"]["cluster_id"] == "c-1"


def test_a_listing_that_fails_does_not_stop_the_others(shop: Workspace, proxy: FaultProxy) -> None:
    from testing.faults import says

    shop.write_project(**CLUSTERS)
    create(proxy.upstream, "SparkBatch", "a", SPECS["SparkBatch"])
    proxy.rule("GET", "job-executions", says(500, {"error_code": "MRS.0001", "error_msg": "no"}))
    ran = shop.run("import", "--all")
    assert (ran.code, [*files(shop)]) == (8, ["a.yaml"])
    assert "MrsJob in reports: cannot be listed: GET " in ran.err


def test_secrets_are_added_to_the_project_which_keeps_the_rest(shop: Workspace) -> None:
    before = (shop.folder / "deployer.yaml").read_text() + "# the end\n"
    for number, expected in (
        (1, "secrets:\n  ONE_DB_PASSWORD: {}\n"),
        (2, "secrets:\n  TWO_DB_PASSWORD: {}\n"),
    ):
        if number == 1:
            shop.write("deployer.yaml", before)
        name = ["one", "two"][number - 1]
        conf = {"db.password": f"hunter-{number}"}
        create(shop.url, "SparkBatch", name, {**SPECS["SparkBatch"], "conf": conf})
        ran = shop.run("import", name)
        assert (ran.code, "hunter" in f"{ran.out}{ran.err}") == (0, False), ran.err
        assert expected in (shop.folder / "deployer.yaml").read_text()
        assert (shop.folder / "deployer.yaml").read_text().startswith(before)
        nothing_planned(shop, number)


def test_secrets_that_cannot_be_added_stop_the_import(shop: Workspace) -> None:
    shop.write("deployer.yaml", (shop.folder / "deployer.yaml").read_text() + "secrets: {A: {}}\n")
    create(shop.url, "SparkBatch", "one", {**SPECS["SparkBatch"], "conf": {"db.password": "hunter2"}})
    ran = shop.run("import", "one")
    assert (ran.code, files(shop)) == (1, {})
    assert "cannot add secrets to deployer.yaml: write 'secrets:' as a block" in ran.err
    ran = shop.run("import", "one", "--no-update-project")
    assert (ran.code, [*files(shop)]) == (0, ["one.yaml"])
    assert "  ONE_DB_PASSWORD: {}  # SparkBatch one" in ran.out
    assert "secrets: {A: {}}\n" in (shop.folder / "deployer.yaml").read_text()


def test_a_link_that_is_committed_does_not_redirect_the_project_file(shop: Workspace, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (shop.folder / ".deployer.yaml.new").symlink_to(victim)
    create(shop.url, "SparkBatch", "one", {**SPECS["SparkBatch"], "conf": {"db.password": "hunter2"}})
    assert shop.run("import", "one").code == 0
    assert victim.read_text() == "mine"
    assert "ONE_DB_PASSWORD" in (shop.folder / "deployer.yaml").read_text()
    assert not (shop.folder / "deployer.yaml").is_symlink()


def test_the_defaults_of_the_folder_count(shop: Workspace) -> None:
    create(shop.url, "SparkBatch", "one", {**SPECS["SparkBatch"], "numExecutors": 4})
    create(shop.url, "SparkBatch", "two", {**SPECS["SparkBatch"], "numExecutors": 7})
    shop.write("team/_defaults.yaml", "SparkBatch: {spec: {numExecutors: 4, feature: custom}}\n")
    assert shop.run("import", "--all", "--out", "team/live").code == 0
    one, two = ((shop.folder / f"team/live/{name}.yaml").read_text() for name in ("one", "two"))
    assert ("numExecutors: 7" in two, "feature: null" in one, "feature: null" in two) == (True, True, True)
    nothing_planned(shop, 2)


def test_an_excluded_folder_is_refused(shop: Workspace) -> None:
    shop.project["exclude"] = ["charts/"]
    shop.write_project(**CLUSTERS)
    shop.write("charts/x.yaml", "a: 1\n")
    ran = shop.run("import", "--all", "--out", "charts/jobs")
    assert (ran.code, "--out charts/jobs is excluded by 'charts/' (deployer.yaml:" in ran.err) == (3, True)


def test_a_project_that_would_become_invalid_is_left_as_it_is(shop: Workspace) -> None:
    for kind in ("SparkBatch", "FlinkJar"):
        create(shop.url, kind, "load", SPECS[kind])
    shop.write(
        "mine.yaml",
        [
            manifest("SparkBatch", "load", SPECS["SparkBatch"]),
            manifest("SparkBatch", "report", SPECS["SparkBatch"], dependsOn=["load"]),
        ],
    )
    ran = shop.run("import", "load")
    assert (ran.code, files(shop)) == (4, {}), ran.err
    assert "mine.yaml:19:3: error: 'load' is ambiguous" in ran.err
    assert "with the new manifests the project would be invalid; nothing was written" in ran.err


def test_jobs_are_chosen_from_a_list(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcd":
        create(shop.url, "SparkBatch", name, SPECS["SparkBatch"])
    ours, theirs = pty.openpty()
    os.write(ours, b"7\nx\n1, 3-4\n")
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        ran = shop.run("import")
    os.close(ours)
    assert (ran.code, [*files(shop)]) == (0, ["a.yaml", "c.yaml", "d.yaml"]), ran.err
    assert ran.err.count("expected numbers from 1 to 4, such as 1,3-5, or all") == 2
    lines = [line.split() for line in ran.out.splitlines()]
    assert [line[:5] for line in lines[:5]] == [
        ["NO", "KIND", "NAME", "PLACE", "STATE"],
        *([str(number), "SparkBatch", name, "q", "starting"] for number, name in enumerate("abcd", start=1)),
    ]


def tags(shop: Workspace, job: str) -> list[str]:
    found = call(shop.url, "GET", f"/v3/pid/dli_flink_job/{job}/tags")
    return sorted(tag["key"] for tag in found["tags"])


def test_marks_are_written_without_a_restart(shop: Workspace, proxy: FaultProxy, clock: Clock) -> None:
    shop.write_project(**CLUSTERS)
    stream = create(proxy.upstream, "FlinkJar", "clicks", SPECS["FlinkJar"])
    start(proxy.upstream, stream)
    create(proxy.upstream, "SparkBatch", "daily", SPECS["SparkBatch"])
    clock.forward(60)
    ran = shop.run("import", "--all", "--write-marks")
    assert (ran.code, files(shop)) == (3, {})
    assert "cannot prompt without a terminal; use --yes to write tags without confirmation" in ran.err
    proxy.clear()
    ran = shop.run("import", "--all", "--write-marks", "--yes")
    assert (ran.code, "marked FlinkJar clicks" in ran.out) == (0, True), ran.err
    assert [sent.path.rpartition("/")[2] for sent in proxy.calls if sent.method != "GET"] == ["create"]
    plan = shop.plan()
    assert (plan["changes"], plan["summary"]["unchanged"]) == ([], 2)
    (shop.folder / "imported" / "clicks.yaml").unlink()
    assert [orphan["name"] for orphan in shop.plan()["orphans"]] == ["clicks"]
    history = shop.run("history")
    assert "clicks" in history.out


def test_tags_of_another_project_are_left(shop: Workspace, clock: Clock) -> None:
    others = {**SPECS["FlinkJar"], "tags": [{"key": "deployer", "value": "other"}]}
    create(shop.url, "FlinkJar", "theirs", others)
    ran = shop.run("import", "--all", "--write-marks", "--yes")
    assert (
        "note: FlinkJar theirs: its tags make it this project's, taken over from project 'other'" in ran.err
    )
    assert (ran.code, "marked FlinkJar theirs" in ran.out) == (0, True), ran.err
    assert "tags" not in manifests(shop)["theirs"]["spec"]
    nothing_planned(shop, 1)
    (shop.folder / "imported" / "theirs.yaml").unlink()
    assert [orphan["name"] for orphan in shop.plan()["orphans"]] == ["theirs"]


def test_a_job_that_was_imported_before_gets_its_tags(shop: Workspace, proxy: FaultProxy) -> None:
    shop.write_project(**CLUSTERS)
    others = {**SPECS["FlinkJar"], "tags": [{"key": "deployer", "value": "other"}]}
    ids = {name: create(proxy.upstream, "FlinkJar", name, others) for name in ("theirs", "more", "left")}
    create(proxy.upstream, "FlinkJar", "nobodys", SPECS["FlinkJar"])
    assert shop.run("import", "--all").code == 0
    nothing_planned(shop, 4)
    before = files(shop)
    ran = shop.run("import", "theirs", "--write-marks")
    assert (ran.code, "use --yes to write tags" in ran.err) == (3, True)
    proxy.clear()
    for selection, number in ((["theirs", "nobodys"], 2), (["--id", ids["more"]], 1)):
        ran = shop.run("import", *selection, "--write-marks", "--yes")
        assert (ran.code, ran.out.count("marked FlinkJar ")) == (0, number), ran.err
    assert [sent.path.rpartition("/")[2] for sent in proxy.calls if sent.method != "GET"] == ["create"] * 3
    assert files(shop) == before
    nothing_planned(shop, 4)
    for name in ("theirs", "nobodys", "more", "left"):
        (shop.folder / "imported" / f"{name}.yaml").unlink()
    assert [orphan["name"] for orphan in shop.plan()["orphans"]] == ["more", "nobodys", "theirs"]
    again = shop.run("import", "--all", "--write-marks", "--yes")
    assert again.code == 0


def test_tags_are_not_written_for_what_differs_from_its_manifest(shop: Workspace) -> None:
    others = {**SPECS["FlinkJar"], "tags": [{"key": "deployer", "value": "other"}]}
    create(shop.url, "FlinkJar", "theirs", others)
    changed = {**SPECS["FlinkJar"], "entrypoint": "obs://b/new.jar"}
    shop.write("one.yaml", manifest("FlinkJar", "theirs", changed, lifecycle={"adopt": True}))
    ran = shop.run("import", "theirs", "--write-marks", "--yes")
    assert (ran.code, "'theirs': already in a manifest: FlinkJar theirs" in ran.err) == (3, True)


def test_marks_that_fail_are_reported(shop: Workspace, proxy: FaultProxy) -> None:
    from testing.faults import says

    shop.write_project(**CLUSTERS)
    create(proxy.upstream, "FlinkJar", "clicks", SPECS["FlinkJar"])
    proxy.rule("POST", "tags/create", says(400, {"error_code": "DLI.0001", "error_msg": "no"}))
    ran = shop.run("import", "--all", "--write-marks", "--yes")
    assert (ran.code, [*files(shop)]) == (8, ["clicks.yaml"])
    assert "not marked: FlinkJar clicks: " in ran.err


def test_a_credential_that_is_refused(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    create(shop.url, "SparkBatch", "a", SPECS["SparkBatch"])
    monkeypatch.setenv("HW_AUTH_TOKEN", "another-token")
    ran = shop.run("import", "--all")
    assert (ran.code, files(shop)) == (1, {})
    assert "SparkBatch, SparkSession: cannot be listed: not sent" in ran.err
    assert "another-token" not in f"{ran.out}{ran.err}"


# --- whatever a job may hold ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sampled(KINDS.values(), 4), ids=KINDS)
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_live_job_plans_as_unchanged(
    kind: Kind, data: st.DataObject, shop: Workspace, clock: Clock
) -> None:
    clock.forward(1)
    free = "pattern" not in kind.name_row.limits
    for number in range(5):
        spec = kind.in_reference_spelling(allowed(kind, data.draw(objects(kind.rows), label="spec")))
        name = f"job-{clock.now:.0f}-{number}" + (data.draw(texts, label="name") if free else "")
        create(shop.url, kind.name, name, spec)
    clock.forward(10)
    ran = shop.run("import", "--all", "--kind", kind.name, "--out", f"imported/{clock.now:.0f}")
    assert ran.code == 0, ran.err
    plan = shop.plan()
    assert (plan["changes"], plan["errors"]) == ([], [])
