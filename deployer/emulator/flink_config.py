"""The parameters of Flink jobs in create and update, and how `job_config` returns them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.emulator.api import json_text
from deployer.emulator.checks import Check, ParameterError, boolean, list_of, number, one_of, record, text
from deployer.emulator.flink_family import JAR

# DLI API, "Batch Adding Resource Tags".
MOST_TAGS = 20
tag = record({"key": text(least=1, most=128), "value": text(most=255)}, required=("key", "value"))

_count = number(least=1)
_machine = record({"cpu": number(least=0.5, whole=False), "memory": text(least=1)})

# Parameters of all types of jobs.
FIELDS: Mapping[str, Check] = {
    "name": text(pattern="[A-Za-z0-9_-]{1,57}"),
    "desc": text(most=512),
    "queue_name": text(most=128),
    "cu_number": number(least=2),
    "manager_cu_number": _count,
    "parallel_number": number(least=1, most=2000),
    "tm_cus": _count,
    "tm_slot_num": _count,
    "log_enabled": boolean,
    "obs_bucket": text(),
    "smn_topic": text(),
    "restart_when_exception": boolean,
    "resume_checkpoint": boolean,
    "resume_max_num": number(least=-1),
    "checkpoint_enabled": boolean,
    "checkpoint_mode": one_of(1, 2),
    "checkpoint_interval": number(least=1, most=3600),
    "flink_version": text(),
    "execution_agency_urn": text(),
    "runtime_config": text(),
    "flink_log_config": text(),
    "resource_config_version": one_of("v1", "v2"),
    "resource_config": record(
        {
            "max_slot": _count,
            "parallel_number": _count,
            "jobmanager_resource_spec": _machine,
            "taskmanager_resource_spec": _machine,
        }
    ),
}

# DLI API, "Creating a Flink Jar job".
_JAR: Mapping[str, Check] = {
    **FIELDS,
    "main_class": text(),
    "entrypoint": text(),
    "entrypoint_args": text(),
    "dependency_jars": list_of(text()),
    "dependency_files": list_of(text()),
    "checkpoint_path": text(),
    "feature": one_of("basic", "custom"),
    "image": text(),
}

# The vendor's SDK: a description may be longer in an update.
UPDATE: Mapping[str, Check] = {"desc": text(most=2048)}
CREATE: Mapping[str, Check] = {"tags": list_of(tag, most=MOST_TAGS)}

_check_jar = record({**_JAR, **CREATE}, required=("name",))
_check_jar_update = record({**_JAR, **UPDATE, "job_type": one_of(JAR)})

# Parameters that the detail response has at its top level, or not at all.
_ELSEWHERE = {
    *("name", "desc", "queue_name", "main_class", "entrypoint_args", "sql_body", "run_mode", "job_type"),
    *("tags", "template_id"),
}

# The second half: fields on the detail pages that are not parameters of Jar jobs.
_DEFAULTS: Mapping[str, Any] = {
    **{key: None for key in _JAR if key not in _ELSEWHERE},
    "cu_number": 2,
    "manager_cu_number": 1,
    "parallel_number": 1,
    "tm_cus": 1,
    "log_enabled": False,
    "restart_when_exception": False,
    "resume_checkpoint": False,
    "resume_max_num": -1,
    "checkpoint_enabled": False,
    "checkpoint_mode": 1,
    "checkpoint_interval": 10,
    "feature": "basic",
    "resource_config_version": "v1",
    "root_id": -1,
    "edge_group_ids": None,
    "graph_editor_enabled": False,
    "graph_editor_data": "",
    "executor_number": None,
    "executor_cu_number": None,
    "real_cu_number": None,
    "idle_state_retention": 3600,
    "config_url": None,
    "udf_jar_url": None,
    "dirty_data_strategy": None,
    "operator_config": None,
    "static_estimator_config": None,
}

_MODES = {1: "exactly_once", 2: "at_least_once"}

# It is known that the service adds entries to runtime_config, but not which ones.
_ADDED = {"key": "emulator.filled.in", "value": "true"}


def check_jar(body: Any) -> None:
    _check_jar("", body)
    check_whole(body)


def check_jar_update(body: Any) -> None:
    """Check an update without the stored parameters of the job: see check_whole."""
    _check_jar_update("", body)


def check_whole(body: Mapping[str, Any]) -> None:
    """Check the constraints between the parameters of a job."""
    if body.get("resume_max_num") == 0:
        raise ParameterError("resume_max_num must be -1 or greater than 0")
    if _workers(body) < 1:
        raise ParameterError("cu_number must be greater than manager_cu_number")
    if "resource_config" in body and body.get("resource_config_version") != "v2":
        raise ParameterError("resource_config needs resource_config_version v2")


def job_config(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with defaults; checkpoint_mode is a number in requests, and a word here."""
    config = {**_DEFAULTS, **{key: value for key, value in body.items() if key not in _ELSEWHERE}}
    if config["tm_slot_num"] is None:
        # The formula on the page is a division that may have a remainder.
        config["tm_slot_num"] = -(-config["parallel_number"] * config["tm_cus"] // _workers(body))
    config["checkpoint_mode"] = _MODES[config["checkpoint_mode"]]
    config["runtime_config"] = _runtime_config(body.get("runtime_config"))
    return config


def _workers(body: Mapping[str, Any]) -> int:
    units: int = body.get("cu_number", _DEFAULTS["cu_number"])
    managers: int = body.get("manager_cu_number", _DEFAULTS["manager_cu_number"])
    return units - managers


def _runtime_config(given: str | None) -> str | None:
    """Return the entries: a string with a JSON array of {key, value} in real requests; the page says String."""
    try:
        entries = json.loads(given or "")
    except ValueError:
        return given
    return json_text([*entries, _ADDED]) if isinstance(entries, list) else given
