"""Loading deployer.yaml, its targets and values, and finding manifests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.documents.parse import MAX_DEPTH
from deployer.errors import InvalidInput, UsageError
from deployer.project import load as project
from deployer.project.values import parse_assignment, template_values, value_layers
from testing.workspace import SPECS, Workspace, findings, manifest

PROJECT = """\
apiVersion: deployer/v1
kind: Project
metadata: {name: orders}
defaultTarget: test
values: [common.yaml]
targets:
  test:
    emulator: true
    values: [test.yaml]
  prod:
    region: cn-north-4
    projectId: abc123
    auth: {method: token, variable: HW_AUTH_TOKEN_PROD}
    clusters: {reports: id-1}
"""


def batch(name: str, **more: Any) -> dict[str, Any]:
    return manifest("SparkBatch", name, SPECS["SparkBatch"], **more)


def rendered(bare: Workspace, *arguments: str) -> Any:
    """What `deployer render` prints."""
    ran = bare.run("render", *arguments)
    assert ran.code == 0, ran.err
    return list(yaml.safe_load_all(ran.out))


@pytest.fixture
def shop(bare: Workspace) -> Workspace:
    """A project with values on every level."""
    bare.write("deployer.yaml", PROJECT)
    bare.write("common.yaml", "of: {project: p, target: p, file: p, set: p}\nlist: [1, 2]\ntext: 1.10\n")
    bare.write("test.yaml", "of: {target: t, file: t, set: t}\n")
    return bare


# --- where the project is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate",),
        ("validate", "-C", "jobs/deep"),
        ("-C", "jobs", "validate", "-C", "deep"),
        ("validate", "jobs/deep"),
        ("validate", "jobs/deep/a.yaml"),
        ("-C", "..", "validate", "project/jobs"),
        ("-C", "..", "validate", "project/jobs/deep/a.yaml", "project"),
        ("-C", "/", "validate", "FOLDER"),
    ],
)
def test_the_project_is_looked_up_upwards(bare: Workspace, arguments: tuple[str, ...]) -> None:
    bare.write("jobs/deep/a.yaml", batch("a"))
    bare.write("b.yaml", batch("b"))
    ran = bare.run(*(str(bare.folder) if argument == "FOLDER" else argument for argument in arguments))
    assert (ran.code, ran.err) == (0, "")
    assert "2 jobs" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-C", "..", "validate"), "no deployer.yaml found in"),
        (("validate", "-C", "nowhere"), "-C nowhere: No such file or directory"),
        (("validate", "nowhere.yaml"), "nowhere.yaml: no such file or folder"),
        (("validate", "deployer.yaml", ".."), ".. is outside the project"),
        (("validate", "-t", "tets"), "unknown target 'tets' in deployer.yaml; did you mean 'test'?"),
        (("validate", "--values", "nowhere.yaml", "--nonsense"), "--nonsense"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    bare: Workspace, arguments: tuple[str, ...], words: str
) -> None:
    ran = bare.run(*arguments)
    assert ran.code == 3
    assert words in ran.err


def test_a_folder_of_that_name_is_not_a_project(bare: Workspace) -> None:
    bare.write("jobs/deployer.yaml/a.yaml", batch("a"))
    assert "1 job " in bare.run("validate", "-C", "jobs").out


# --- deployer.yaml ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "defaultTarget",
            "defaultTraget",
            "4:1: error: unknown field 'defaultTraget'; did you mean 'defaultTarget'?",
        ),
        (
            "defaultTarget: test",
            "defaultTarget: pord",
            "4:16: error: unknown target 'pord'; did you mean 'prod'?",
        ),
        ("deployer/v1", "deployer/v2", "1:13: error: 'apiVersion' must be 'deployer/v1'"),
        ("kind: Project", "kind: Projekt", "2:7: error: 'kind' must be 'Project'"),
        ("{name: orders}", "{}", "3:1: error: missing required field 'name' in metadata"),
        ("{name: orders}", "{name: a/b}", "3:18: error: 'name' must match"),
        (
            "{name: orders}",
            "{name: 7}",
            "3:18: error: 'name' must be a string, got the number 7 (quote it)",
        ),
        ("[common.yaml]", "common.yaml", "5:9: error: 'values' must be a list"),
        ("emulator: true", "emulator: yes", "8:15: error: 'emulator' must be true or false, got 'yes'"),
        ("region", "regoin", "11:5: error: unknown field 'regoin' in targets.prod; did you mean 'region'?"),
        ("method: token", "method: tokn", "13:20: error: 'method' must be one of token, password, aksk"),
        ("HW_AUTH_TOKEN_PROD", "AWS_SECRET", "13:37: error: 'variable' must match"),
        ("abc123", "1e3", "12:16: error: 'projectId' must be a string, got the number 1000.0 (quote it)"),
        ("  prod:", "  p rod:", "10:3: error: 'p rod' must match"),
        ("  prod:", "  test:", "10:3: error: duplicate key 'test', first defined at 7:3"),
        ("    clusters", "   clusters", "14:4: error: "),
        (
            "kind: Project",
            "kind: Project\n---\na: 1",
            "deployer.yaml:1:1: error: expected a single YAML mapping",
        ),
        (PROJECT, "", "deployer.yaml:1:1: error: missing required field 'targets'"),
        (PROJECT, "- a", "deployer.yaml:1:1: error: expected a single YAML mapping"),
        (PROJECT, "a: \udcff", "deployer.yaml:1:4: error: not UTF-8: byte 0xff"),
    ],
)
def test_problems_of_the_project_file(bare: Workspace, old: str, new: str, problem: str) -> None:
    text = PROJECT.replace(old, new, 1)
    bare.write("deployer.yaml", text.encode("utf-8", "surrogateescape"))
    ran = bare.run("validate")
    assert ran.code == 4
    assert problem in ran.err
    assert ran.err.startswith("deployer.yaml:")


@pytest.mark.parametrize(("arguments", "name"), [((), "test"), (("-t", "prod"), "prod")])
def test_the_target(shop: Workspace, arguments: tuple[str, ...], name: str) -> None:
    assert f"for target {name};" in shop.run("validate", *arguments).out


def test_without_a_default_the_target_must_be_named(bare: Workspace) -> None:
    bare.write("deployer.yaml", PROJECT.replace("defaultTarget: test\nvalues: [common.yaml]\n", ""))
    bare.write("test.yaml", "a: 1")
    ran = bare.run("validate")
    assert ran.code == 3
    assert "select a target with -t: test, prod" in ran.err
    only = PROJECT[: PROJECT.index("  prod:")].replace("defaultTarget: test\nvalues: [common.yaml]\n", "")
    bare.write("deployer.yaml", only)
    assert "for target test;" in bare.run("validate").out


def test_a_target_has_endpoints(shop: Workspace) -> None:
    target = project.load(shop.folder).target("prod")
    assert target.endpoint("dli") == "https://dli.cn-north-4.myhuaweicloud.com"
    assert (target.project_id, target.variable, target.clusters) == (
        "abc123",
        "HW_AUTH_TOKEN_PROD",
        {"reports": "id-1"},
    )
    shop.write(
        "deployer.yaml",
        PROJECT.replace("region:", 'endpoints: {dli: "https://dli.example.com/"}\n    region:'),
    )
    target = project.load(shop.folder).target("prod")
    assert target.endpoint("dli") == "https://dli.example.com"
    assert target.endpoint("mrs") == "https://mrs.cn-north-4.myhuaweicloud.com"
    with pytest.raises(UsageError, match="no region and no endpoint for dli"):
        project.load(shop.folder).target("test").endpoint("dli")


# --- values -----------------------------------------------------------------------------------------------


def test_the_order_of_values(shop: Workspace) -> None:
    shop.write("_more.yaml", "of: {file: f, set: f}\nlist: [3]\n")
    words = ["of | tojson", "list | tojson", "text", "project.name", "target.name"]
    shop.write(
        "jobs/a.yaml",
        batch("a") | {"spec": SPECS["SparkBatch"] | {"args": [f"{{{{ {word} }}}}-" for word in words]}},
    )

    def args(*arguments: str) -> list[Any]:
        (shown,) = rendered(shop, *arguments)
        return [yaml.safe_load(arg.removesuffix("-")) for arg in shown["spec"]["args"]]

    values = {"project": "p", "target": "t", "file": "f", "set": "s"}
    assert args("--values", "_more.yaml", "--set", "of.set=s", "--set", "new.deep=1") == [
        *(values, [3], 1.1, "orders", "test")
    ]
    assert args("-t", "prod") == [dict.fromkeys(values, "p"), [1, 2], 1.1, "orders", "prod"]


def test_the_last_values_file_and_setting_win(shop: Workspace) -> None:
    shop.write("one.yaml", "x: 1\ny: {a: 1}")
    shop.write("two.yaml", "x: 2\ny: 2")
    found = project.load(shop.folder)
    target = found.target(None)
    settings = ["z=1", "z.a=2", "z.b=3", "y.c=4"]
    layers = value_layers(found, target, ["one.yaml", "two.yaml"], settings)
    seen = template_values(found, target, layers)
    assert (seen["x"], seen["y"], seen["z"]) == (2, {"c": 4}, {"a": 2, "b": 3})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("2024-01-01", "2024-01-01"),
        ("0123", "0123"),
        (".nan", ".nan"),
        ("'3'", "3"),
        ('"a\\nb"', "a\nb"),
        ("a=b", "a=b"),
        ("a b ", "a b"),
        ("é\u202e", "é\u202e"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_setting_is_a_yaml_scalar(text: str, value: Any) -> None:
    assert parse_assignment(f"a.b={text}").value == {"a": {"b": value}}


@pytest.mark.parametrize(
    "setting",
    [
        "a",
        "=1",
        "a..b=1",
        ".a=1",
        "a=hunter2: x",
        "a=[hunter2]",
        "a={hunter2: 1}",
        "a=hunter2\n---\nb",
        "a=*hunter2",
        "a=!!str hunter2",
        "a='hunter2",
        "a=hunter2\0",
        "a=hunter2\udcff",
        "project=hunter2",
        "target.name=hunter2",
        ".".join("a" * (MAX_DEPTH + 1)) + "=hunter2",
        ".".join("a" * 10_000) + "=hunter2",
    ],
)
def test_a_setting_that_makes_no_sense(bare: Workspace, setting: str) -> None:
    ran = bare.run("validate", "--set", setting)
    assert ran.code == 3
    assert "--set" in ran.err
    assert "hunter2" not in ran.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\nproject: {}\n", "common.yaml:2:1: error: value 'project' is reserved"),
        ("a: 1\ntarget: x\n", "common.yaml:2:1: error: value 'target' is reserved"),
        ("a: [\n", "common.yaml:1:4: error: "),
        ("a: 1\na: 2\n", "common.yaml:2:1: error: duplicate key 'a', first defined at 1:1"),
        ("a: 1\n1: 2\n", "common.yaml:2:1: error: mapping keys must be strings; quote the key"),
        ("- a\n", "common.yaml:1:1: error: expected a single YAML mapping"),
        ("a: 1\n---\nb: 1\n", "common.yaml:1:1: error: expected a single YAML mapping"),
        (b"a: \xe9\n", "common.yaml:1:4: error: not UTF-8: byte 0xe9"),
        (None, "common.yaml: error: cannot read file: No such file or directory"),
    ],
)
def test_problems_of_a_values_file(shop: Workspace, content: Any, problem: str) -> None:
    (shop.folder / "common.yaml").unlink()
    if content is not None:
        shop.write("common.yaml", content)
    ran = shop.run("validate")
    assert ran.code == 4
    assert ran.err.startswith(problem)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../outside.yaml", "../outside.yaml: error: is outside the project folder"),
        ("OUTSIDE", "outside.yaml: error: is outside the project folder"),
        ("link.yaml", "link.yaml: error: is outside the project folder"),
        ("folder/link.yaml", "folder/link.yaml: error: is outside"),
        ("loop.yaml", "loop.yaml: error: cannot read file: "),
        ("jobs", "jobs: error: cannot read file: not a file"),
        ("jobs/../nowhere.yaml", "error: cannot read file: No such file"),
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_values_stay_in_the_project(bare: Workspace, name: str, words: str, option: bool) -> None:
    outside = bare.write("../outside.yaml", "a: 1")
    (bare.folder / "link.yaml").symlink_to("../outside.yaml")
    (bare.folder / "folder").symlink_to("..")
    bare.write("../link.yaml", "a: 1")
    (bare.folder / "loop.yaml").symlink_to("loop.yaml")
    (bare.folder / "jobs").mkdir()
    name = name.replace("OUTSIDE", str(outside))
    if not option:
        bare.write_project(values=[name])
    ran = bare.run("validate", *(("--values", name) if option else ()))
    if option and Path(name).name == "outside.yaml":
        # Who gives the command may read any file; who writes the project may not.
        assert f"{Path(name).name}: error: is outside" not in ran.err
        return
    assert ran.code == 4
    assert words in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, ""])
def test_a_values_file_with_no_file_name(bare: Workspace, name: str) -> None:
    bare.write_project(values=[name])
    ran = bare.run("validate")
    assert ran.code == 4
    assert "cannot read file: " in ran.err


# --- which files are manifests ----------------------------------------------------------------------------


def test_which_files_are_manifests(shop: Workspace) -> None:
    for file in (
        *(
            "a.yaml",
            "b.yml",
            "jobs/c.yaml",
            "jobs/x.yaml/d.yml",
            "jobs/.e.yaml",
            "_f.yaml",
            ".ci/g.yaml",
            "_h/i.yaml",
        ),
        *(
            "sub/deployer.yaml",
            "sub/j.yaml",
            "sub/deep/k.yaml",
            "l.json",
            "m.yaml.bak",
            "n.YAML",
            "jobs/deployer.yml",
        ),
        *("jobs/given.yaml", "jobs/test.yaml", "o p.yaml"),
    ):
        shop.write(file, "")
    (shop.folder / "link").symlink_to("jobs")
    (shop.folder / "linked.yaml").symlink_to("jobs/c.yaml")
    found = project.load(shop.folder)
    assert project.manifest_files(found, ["jobs/../jobs/given.yaml"]) == [
        *("a.yaml", "b.yml", "jobs/c.yaml", "jobs/deployer.yml", "jobs/test.yaml", "jobs/x.yaml/d.yml"),
        *("linked.yaml", "o p.yaml"),
    ]


@pytest.mark.parametrize("name", ["./values/../values/a.yaml", "ABSOLUTE"])
def test_a_values_file_is_no_manifest_however_it_is_named(bare: Workspace, name: str) -> None:
    file = bare.write("values/a.yaml", "a: 1")
    bare.write("values/b.yaml", "b: 1")
    bare.write_project(values=[name.replace("ABSOLUTE", str(file))])
    ran = bare.run("validate", "--values", "b.yaml", "-C", "values")
    assert ran.code == 0
    assert ran.err.startswith("note: no manifests found in ")


@pytest.mark.parametrize("target", ["../outside.yaml", "/etc/hostname", "sub/../../outside.yaml"])
def test_a_manifest_that_leads_out_of_the_project(bare: Workspace, target: str) -> None:
    bare.write("../outside.yaml", batch("a"))
    bare.write("sub/b.yaml", batch("b"))
    (bare.folder / "link.yaml").symlink_to(target)
    ran = bare.run("validate")
    assert ran.code == 4
    assert findings(ran.err) == ["link.yaml: error: is outside the project folder"]


def test_manifests_that_cannot_be_read(bare: Workspace) -> None:
    (bare.folder / "a.yaml").symlink_to("a.yaml")
    (bare.folder / "b.yaml").symlink_to("nowhere")
    bare.write("c.yaml", b"a: \xff")
    ran = bare.run("validate")
    assert ran.code == 4
    assert [line.split("error: ")[1][:17] for line in ran.err.splitlines()] == ["cannot read file:"] * 2 + [
        "not UTF-8: byte 0"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_manifest(bare: Workspace) -> None:
    bare.write("a.yaml", batch("a")).chmod(0)
    assert "a.yaml: error: cannot read file: Permission denied" in bare.run("validate").err


def test_load_raises_what_it_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        project.find(tmp_path)
    with pytest.raises(InvalidInput):
        project.load(tmp_path)


@pytest.mark.parametrize("content", ["", "# nothing yet\n"])
def test_a_values_file_may_be_empty(bare: Workspace, content: str) -> None:
    bare.write("common.yaml", content)
    bare.write_project(values=["common.yaml"])
    assert bare.run("validate").code == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"waits": {"poll": "1s"}}, "'waits' was renamed to 'polling'"),
        ({"polling": {"poll": "1s"}}, "'poll' was renamed to 'interval'"),
        ({"polling": {"settle": "1s"}}, "'settle' was renamed to 'consistencyDelay'"),
        ({"retry": {"waitForPlace": "1m"}}, "'waitForPlace' was renamed to 'capacityTimeout'"),
    ],
)
def test_a_renamed_key_is_an_error_that_names_the_new_one(
    bare: Workspace, target: dict[str, Any], message: str
) -> None:
    bare.write_project(**target)
    ran = bare.run("validate")
    assert (ran.code, ran.err.count("error:")) == (4, 1)
    assert f"error: {message} [E035]" in ran.err


def test_a_renamed_key_is_not_suggested(bare: Workspace) -> None:
    bare.write_project(wait={"poll": "1s"})
    ran = bare.run("validate")
    assert ran.code == 4
    assert "unknown field 'wait'" in ran.err
    assert "waits" not in ran.err


@pytest.mark.parametrize(
    ("target", "longest", "too_long", "words"),
    [
        ("polling.consistencyDelay", "10m 600s 0010m 0h", "11m 601s 1h 0601s 9999h", "at most 10m"),
        ("polling.interval", "10m 600s 5s", "11m 1000s 1h", "at most 10m"),
        ("retry.capacityTimeout", "24h 1440m 9999s 0024h", "25h 1441m 100h 9999m", "at most 24h"),
    ],
)
def test_a_duration_has_a_maximum(
    bare: Workspace, target: str, longest: str, too_long: str, words: str
) -> None:
    part, key = target.split(".")
    for duration in longest.split():
        bare.write_project(**{part: {key: duration}})
        assert bare.run("validate").code == 0, duration
    for duration in too_long.split():
        bare.write_project(**{part: {key: duration}})
        [found] = findings(bare.run("validate").err)
        assert f"error: '{key}' must be {words}" in found, duration


def test_a_timeout_has_a_maximum(bare: Workspace) -> None:
    for timeout in ("720h", "43200m", "2592000s", "1h", "99h"):
        bare.write("a.yaml", batch("a", lifecycle={"timeout": timeout}))
        assert bare.run("validate").code == 0, timeout
    for timeout in ("721h", "43201m", "2592001s", "1000h", "9" * 5000 + "s"):
        bare.write("a.yaml", batch("a", lifecycle={"timeout": timeout}))
        [found] = findings(bare.run("validate").err)
        assert "error: 'timeout' must be at most 720h" in found, timeout
