"""DLI Flink Jar jobs: a long-lived definition. Creating one makes a draft; running it is a second call."""

from __future__ import annotations

import json
from typing import Any

from deployer.kinds.kind import (
    TAGS,
    Entry,
    Kind,
    Listing,
    Nature,
    Paging,
    dig,
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
    # job_idle and job_arrearage_stopped are left to UNKNOWN: nobody but a person can tell what to do.
}

# Written as a number, read back as a word.
CHECKPOINT_MODES = {"exactly_once": 1, "at_least_once": 2}

# JSON text: blanks and the order of keys mean nothing in it.
JSON_TEXTS = ("runtime_config", "flink_log_config")

# Sizes that count with resource_config_version v1 only; with v2 the listing may show anything for them.
V1_SIZES = {"cu_number", "manager_cu_number", "parallel_number", "tm_cus", "tm_slot_num"}


def observe(entry: Entry) -> LiveJob:
    """A live job from an entry of `job_list.jobs`, listed with show_detail=true."""
    config = entry.get("job_config")
    known = config if isinstance(config, dict) else {}
    # Some editions show these three beside job_config and not in it.
    lifted = {key: entry[key] for key in ("feature", "flink_version", "image") if entry.get(key) is not None}
    spec, unlisted = read_back(KIND.rows, {**entry, "job_config": {**lifted, **known}}, whole=False)
    if "checkpoint_mode" in spec:
        mode = text(spec["checkpoint_mode"])
        spec["checkpoint_mode"] = CHECKPOINT_MODES.get(mode.casefold(), spec["checkpoint_mode"])
    if spec.get("resource_config_version") == "v2":
        unlisted |= V1_SIZES
    return LiveJob(
        id=text(entry.get("job_id")),
        identity=Identity(KIND.name, "", text(entry.get("name"))),
        state=text(entry.get("status")),
        phase=phase_of(STATES, entry.get("status")),
        submitted=milliseconds(dig(entry, "start_time") or entry.get("create_time")),
        spec=expect(spec) if known else None,
        unlisted=unlisted,
        savepoint=_savepoint(entry),
    )


def _savepoint(entry: Entry) -> str:
    path = entry.get("savepoint_path")
    if isinstance(path, str) and path:
        return path
    return "yes" if text(entry.get("has_savepoint")).casefold() == "true" else ""


def expect(spec: Spec) -> Spec:
    """The spec with its JSON texts as the data they say."""
    return {**spec, **{name: _data(spec[name]) for name in JSON_TEXTS if name in spec}}


def _data(value: Any) -> Any:
    """What JSON text says, a list of keys and values as a map; anything else is left as it is."""
    try:
        data = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return value
    if isinstance(data, list) and all(isinstance(item, dict) and "key" in item for item in data):
        return {text(item["key"]): item.get("value") for item in data}
    return data if isinstance(data, dict) else value


KIND = Kind(
    name="FlinkJar",
    title="DLI Flink Jar job",
    nature=Nature.DEFINITION,
    service="dli",
    table="dli.flink-jar.create",
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
        query={"job_type": "flink_jar_job", "show_detail": "true"},
    ),
    observe=observe,
    expect=expect,
    start="dli.flink.run",
    stop="dli.flink.stop",
    update="dli.flink-jar.update",
    delete="dli.flink.delete",
    tag="dli.flink-tags.create",
    untag="dli.flink-tags.delete",
    show="dli.flink.get",
    shown="job_detail",
    mark=TAGS,
)
