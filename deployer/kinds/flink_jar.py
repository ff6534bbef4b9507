"""DLI Flink Jar jobs: a long-lived definition. Creating a job makes a draft; a second request starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deployer.kinds.coerce import as_text, json_data
from deployer.kinds.kind import (
    TAGS,
    Entry,
    Kind,
    Listing,
    Nature,
    Operations,
    Paging,
    get_path,
    milliseconds,
    phase_of,
    read_back,
    text,
)
from deployer.model import Identity, LiveJob, Phase, Spec

STATES = {
    "job_init": Phase.DRAFT,
    "job_submitting": Phase.PENDING,
    "job_submit_fail": Phase.FAILED,
    "job_running": Phase.ACTIVE,
    "job_running_exception": Phase.FAILED,
    "job_downloading": Phase.PENDING,
    "job_canceling": Phase.PENDING,
    "job_cancel_success": Phase.STOPPED,
    # A stop that failed leaves the job running, as a rule.
    "job_cancel_fail": Phase.ACTIVE,
    "job_savepointing": Phase.PENDING,
    "job_arrearage_recovering": Phase.PENDING,
    "job_finish": Phase.SUCCEEDED,
    # job_idle and job_arrearage_stopped are UNKNOWN: they need manual action.
}

# Sent as a number, listed as a word.
CHECKPOINT_MODES = {"exactly_once": 1, "at_least_once": 2}

# JSON strings: whitespace and the order of keys are not significant.
JSON_TEXTS = ("runtime_config", "flink_log_config")

# Sizes that apply with resource_config_version v1 only; with v2 the listed values are arbitrary.
V1_SIZES = {"cu_number", "manager_cu_number", "parallel_number", "tm_cus", "tm_slot_num"}


def observe(entry: Entry) -> LiveJob:
    """Return the live job of an entry of `job_list.jobs`, listed with show_detail=true."""
    config = entry.get("job_config")
    settings = json_data(config) if isinstance(config, str) else config
    if not isinstance(settings, dict):
        settings = {}
    spec, unobserved = read_back(KIND.rows, _as_listed(entry, settings), whole=False)
    if spec is not None and spec.get("resource_config_version") == "v2":
        unobserved |= V1_SIZES
    return LiveJob(
        id=text(entry.get("job_id")),
        identity=Identity(KIND.name, "", text(entry.get("name"))),
        state=text(entry.get("status")),
        phase=phase_of(STATES, entry.get("status")),
        submitted=milliseconds(entry.get("start_time")) or milliseconds(entry.get("create_time")),
        spec=expect(spec) if settings and spec is not None else None,
        unobserved=unobserved,
        savepoint=_savepoint(entry),
        texts={name: spec[name] for name in JSON_TEXTS if spec and isinstance(spec.get(name), str)},
    )


def _as_listed(entry: Entry, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry with each field at its listed path of the table, in the format of the request."""
    # Some editions show these outside job_config instead of in it, or the other way round.
    inner = {key: entry.get(key) for key in ("feature", "flink_version", "image") if config.get(key) is None}
    outer = {key: config.get(key) for key in ("main_class", "entrypoint_args") if entry.get(key) is None}
    moved = {**config, **_not_null(inner)}
    mode = moved.get("checkpoint_mode")
    if isinstance(mode, str):
        moved["checkpoint_mode"] = CHECKPOINT_MODES.get(mode.strip().casefold(), mode)
    for name in JSON_TEXTS:
        if isinstance(moved.get(name), dict | list):
            moved[name] = json.dumps(moved[name])
    # Tags in a format other than that of the request are read through their own API.
    top = {key: value for key, value in entry.items() if key != "tags" or _are_tags(value)}
    return {**top, **_not_null(outer), "job_config": moved}


def _not_null(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _are_tags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(get_path(tag, "key"), str) for tag in value)


def _savepoint(entry: Entry) -> str:
    path = entry.get("savepoint_path")
    if isinstance(path, str) and path:
        return path
    return "yes" if text(entry.get("has_savepoint")).casefold() == "true" else ""


def expect(spec: Spec) -> Spec:
    """Return the spec with its JSON strings parsed."""
    return {**spec, **{name: _parse_config(spec[name]) for name in JSON_TEXTS if name in spec}}


def _parse_config(value: Any) -> Any:
    """Return the data of a JSON string, with a list of keys and values as a mapping.

    Lines of key=value, as the console accepts them, become a mapping too; anything else stays unchanged.
    """
    if not isinstance(value, str):
        return value
    data = json_data(value)
    if isinstance(data, list) and all(isinstance(item, dict) and "key" in item for item in data):
        return {text(item["key"]): _setting(item.get("value")) for item in data}
    if isinstance(data, dict):
        return data
    lines = [line.partition("=") for line in value.splitlines() if line.strip()]
    if data is None and lines and all(separator and key.strip() for key, separator, _ in lines):
        return {key.strip(): setting.strip() for key, _, setting in lines}
    return value


def _setting(value: Any) -> str | None:
    return None if value is None else as_text(value)


def fills(spec: Spec) -> dict[str, tuple[int, ...]]:
    """Return the values that the service fills in. The rounding of the slots is not documented."""
    units, managers, parallel, per_manager = (
        int(spec.get(name) or KIND.spellings[name].default)
        for name in ("cu_number", "manager_cu_number", "parallel_number", "tm_cus")
    )
    slots, workers = parallel * per_manager, units - managers
    rounded = (slots // workers, -(-slots // workers)) if workers > 0 else ()
    return {"checkpoint_interval": (10,), "tm_slot_num": rounded}


KIND = Kind(
    name="FlinkJar",
    title="DLI Flink Jar job",
    nature=Nature.DEFINITION,
    service="dli",
    operations=Operations(
        create="dli.flink-jar.create",
        get="dli.flink.get",
        start="dli.flink.run",
        stop="dli.flink.stop",
        update="dli.flink-jar.update",
        delete="dli.flink.delete",
        list_tags="dli.flink-tags.list",
        add_tags="dli.flink-tags.create",
        remove_tags="dli.flink-tags.delete",
    ),
    name_field="name",
    place="",
    id="job.job_id",
    listing=Listing(
        table="dli.flink.list",
        items="job_list.jobs",
        total="job_list.total_count",
        paging=Paging.RECORD,
        offset="offset",
        limit="limit",
        id="job_id",
        query={"show_detail": "true", "order": "desc"},
        only={"job_type": "flink_jar_job"},
        by_name="name",
    ),
    observe=observe,
    expect=expect,
    fills=fills,
    entry="job_detail",
    ownership_field=TAGS,
    deciding=(
        "/entrypoint",
        "/main_class",
        "/entrypoint_args",
        "/dependency_jars",
        "/dependency_files",
        "/image",
        "/feature",
        "/flink_version",
        "/runtime_config",
        "/execution_agency_urn",
    ),
)
