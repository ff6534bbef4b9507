"""Reading the listing entry of a Flink job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testing.entries import FLINK, differences, observed


@pytest.mark.parametrize(
    ("entry", "savepoint"),
    [
        ({}, ""),
        ({"has_savepoint": False, "savepoint_path": None}, ""),
        ({"has_savepoint": True}, "yes"),
        ({"has_savepoint": "true", "savepoint_path": ""}, "yes"),
        ({"has_savepoint": "false"}, ""),
        ({"has_savepoint": True, "savepoint_path": "obs://b/s"}, "obs://b/s"),
        ({"savepoint_path": "obs://b/s"}, "obs://b/s"),
        ({"has_savepoint": {}, "savepoint_path": ["obs://b/s"]}, ""),
    ],
)
def test_a_flink_job_tells_where_it_left_its_state(entry: dict[str, Any], savepoint: str) -> None:
    assert observed("FlinkJar", **entry).savepoint == savepoint


@pytest.mark.parametrize("start", [0, "0", None, ""])
def test_a_flink_job_that_never_started_began_when_it_was_created(start: Any) -> None:
    assert observed("FlinkJar", start_time=start).submitted == FLINK["create_time"]
    assert observed("FlinkJar", start_time="9").submitted == 9


def flink(desired: dict[str, Any], **config: Any) -> dict[str, tuple[Any, Any]]:
    return differences("FlinkJar", desired, job_config={**FLINK["job_config"], **config})


def test_a_flink_job_without_its_definition_cannot_be_compared() -> None:
    wrong: list[Any] = [None, {}, [], "text"]
    for config in wrong:
        assert observed("FlinkJar", job_config=config).spec is None


@pytest.mark.parametrize(
    ("number", "word"), [(1, "exactly_once"), (2, "at_least_once"), (2, "AT_LEAST_ONCE")]
)
def test_a_checkpoint_mode_is_read_back_as_a_word(number: int, word: str) -> None:
    assert flink({"checkpoint_mode": number}, checkpoint_mode=word) == {}
    assert flink({"checkpoint_mode": 3 - number}, checkpoint_mode=word)["/checkpoint_mode"] != (None, None)
    assert flink({}, checkpoint_mode=None) == {}


def test_some_editions_show_the_image_beside_the_definition() -> None:
    config = {key: value for key, value in FLINK["job_config"].items() if key != "feature"}
    shown = differences("FlinkJar", {}, job_config=config, feature="custom", image="a/b:1")
    assert shown == {"/feature": ("custom", None), "/image": ("a/b:1", None)}


def test_the_place_that_says_something_counts() -> None:
    config = {
        **FLINK["job_config"],
        "feature": None,
        "flink_version": None,
        "main_class": "A",
        "image": "in:1",
    }
    shown = differences(
        "FlinkJar",
        {},
        job_config=config,
        feature="custom",
        image="a/b:1",
        flink_version="1.15",
        main_class=None,
    )
    assert shown == {
        "/feature": ("custom", None),
        "/image": ("in:1", None),
        "/main_class": ("A", None),
    }


def test_a_definition_may_be_text() -> None:
    assert observed("FlinkJar", job_config=json.dumps(FLINK["job_config"])).spec == observed("FlinkJar").spec


@pytest.mark.parametrize("mode", [1, "1", "exactly_once", "Exactly_Once", None])
def test_a_checkpoint_mode_may_be_a_number(mode: Any) -> None:
    assert flink({"checkpoint_mode": 1}, checkpoint_mode=mode) == {}
    assert bool(flink({"checkpoint_mode": 2}, checkpoint_mode=mode))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkpoint_mode", "at_most_once"),
        ("cu_number", "two"),
        ("dependency_jars", "a.jar,b.jar"),
        ("resource_config", "v2"),
        ("log_enabled", "on"),
        ("runtime_config", 7),
    ],
)
def test_a_definition_that_is_not_understood_cannot_be_compared(name: str, value: Any) -> None:
    assert observed("FlinkJar", job_config={**FLINK["job_config"], name: value}).spec is None


def test_numbers_and_flags_of_a_definition_may_be_text() -> None:
    desired = {"cu_number": 3, "log_enabled": True, "resource_config_version": "v2"}
    desired["resource_config"] = {"taskmanager_resource_spec": {"cpu": 1.5, "memory": "4 GB"}}
    machine = {"cpu": "1.5", "memory": "4G"}
    printed = {"cu_number": "3", "log_enabled": "true", "resource_config_version": "v2"}
    assert flink(desired, **printed, resource_config={"taskmanager_resource_spec": machine}) == {}
    assert flink(desired, **printed, resource_config=json.dumps({"taskmanager_resource_spec": machine})) == {}


@pytest.mark.parametrize(
    "live",
    [
        '[{"key":"a","value":1},{"key":"b","value":true},{"key":"own","value":null}]',
        [{"key": "a", "value": "1"}, {"key": "b", "value": "true"}],
        '{"a": "1", "b": "true"}',
        {"a": "1", "b": "true"},
        "a=1\nb=true\nown=2\n",
    ],
)
def test_settings_are_the_same_in_all_the_ways_to_write_them(live: Any) -> None:
    for desired in ('[{"key": "b", "value": "true"}, {"key": "a", "value": "1"}]', "a = 1\n\nb=true"):
        assert flink({"runtime_config": desired}, runtime_config=live) == {}
        changed = desired.replace("1", "2")
        assert flink({"runtime_config": changed}, runtime_config=live) == {"/runtime_config/a": ("1", "2")}


SETTINGS = '[{"key": "a", "value": "1"}, {"key": "secret.key", "value": "s3cr3t"}]'


@pytest.mark.parametrize(
    ("desired", "live", "shown"),
    [
        (SETTINGS, SETTINGS.replace(" ", ""), {}),
        ('[{"key": "a", "value": "1"}]', SETTINGS, {}),
        ('[{"key": "a", "value": "2"}]', SETTINGS, {"/runtime_config/a": ("1", "2")}),
        ('[{"key": "b", "value": "2"}]', SETTINGS, {"/runtime_config/b": (None, "2")}),
        (SETTINGS.replace("s3", "S3"), SETTINGS, {"/runtime_config/secret.key": (None, None)}),
        (SETTINGS, None, {"/runtime_config/a": (None, "1"), "/runtime_config/secret.key": (None, None)}),
        ("other", SETTINGS, {"/runtime_config": (None, None)}),
        ("", SETTINGS, {}),
        ('[{"other": 1}]', '[{"other": 1}]', {}),
    ],
)
def test_settings_that_the_service_adds_are_no_change(
    desired: str, live: str | None, shown: dict[str, Any]
) -> None:
    assert flink({"runtime_config": desired}, runtime_config=live) == shown


def test_log_levels_are_compared_as_the_json_that_they_are() -> None:
    live = '{"root_logger_level":"INFO","loggers_level_of_class":{"a":"WARN","b":"INFO"}}'
    same = '{"loggers_level_of_class": {"b": "INFO", "a": "WARN"}, "root_logger_level": "INFO"}'
    assert flink({"flink_log_config": same}, flink_log_config=live) == {}
    shown = flink({"flink_log_config": same.replace("WARN", "ERROR")}, flink_log_config=live)
    assert shown == {"/flink_log_config/loggers_level_of_class/a": ("WARN", "ERROR")}


def test_the_sizes_of_version_1_do_not_count_with_version_2() -> None:
    sizes = {"cu_number": 7, "manager_cu_number": 2, "parallel_number": 9, "tm_cus": 3, "tm_slot_num": 5}
    assert flink({"resource_config_version": "v2"}, resource_config_version="v2", **sizes) == {}
    shown = flink({}, resource_config_version="v1", **sizes)
    assert set(shown) == {f"/{name}" for name in sizes} - {"/tm_slot_num"}  # the service works that one out


@pytest.mark.parametrize("spelled", ["4G", "4 GB", "4gb", "4", "4096M", "4096 MB", "4194304k"])
def test_sizes_that_are_left_out_are_the_defaults_in_any_spelling(spelled: str) -> None:
    machine = {"cpu": 1, "memory": spelled}
    echo = {
        "max_slot": 1,
        "jobmanager_resource_spec": machine,
        "taskmanager_resource_spec": machine,
        "own": 1,
    }
    shown = {"resource_config_version": "v2", "resource_config": echo}
    assert flink({"resource_config_version": "v2"}, **shown) == {}
    assert flink({"resource_config_version": "v2", "resource_config": {"max_slot": 1}}, **shown) == {}
    asked = {"resource_config_version": "v2", "resource_config": {"jobmanager_resource_spec": {"cpu": 2}}}
    assert flink(asked, **shown) == {"/resource_config/jobmanager_resource_spec": (None, {"cpu": 2})}


def test_a_size_that_is_written_another_way_is_not_shown_beside_one_that_changed() -> None:
    asked = {"resource_config": {"taskmanager_resource_spec": {"cpu": 2, "memory": "6G"}}}
    echo = {"taskmanager_resource_spec": {"cpu": 2.0, "memory": "8 GB"}}
    shown = flink(asked, resource_config=echo)
    assert shown == {"/resource_config/taskmanager_resource_spec/memory": ("8G", "6G")}


def test_tags_are_compared_where_the_entry_shows_them() -> None:
    desired = {"tags": [{"key": "a", "value": "b"}, {"key": "c", "value": ""}]}
    assert flink(desired) == {}
    assert differences("FlinkJar", desired, tags=desired["tags"][::-1]) == {}
    assert set(differences("FlinkJar", desired, tags=[])) == {"/tags/0", "/tags/1"}
    assert differences("FlinkJar", desired, tags="a=b") == {}
