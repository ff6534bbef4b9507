"""Flink SQL jobs, which share listing, runs and tags with Jar jobs (DLI API, "Flink job APIs")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.emulator import flink
from deployer.emulator.api import DLI, Request, Route, json_text
from deployer.emulator.checks import Check, ParameterError, boolean, list_of, number, one_of, record, text
from deployer.emulator.flink_config import CREATE, FIELDS, UPDATE, check_whole
from deployer.emulator.flink_family import SQL, body_of, job_of

# DLI API, "Creating a SQL job".
_SQL: Mapping[str, Check] = {
    **FIELDS,
    "sql_body": text(most=1024 * 1024),
    "template_id": number(),
    "run_mode": one_of("shared_cluster", "exclusive_cluster", "edge_node"),
    "idle_state_retention": number(least=0),
    "edge_group_ids": list_of(text()),
    "dirty_data_strategy": text(),
    "udf_jar_url": text(),
    "operator_config": text(),
    "static_estimator_config": text(),
}

_check_sql = record({**_SQL, **CREATE, "job_type": one_of(*SQL)}, required=("name",))
_check_sql_update = record({**_SQL, **UPDATE})

_GRAPHS = ("simple_graph", "job_graph")
_check_graph = record(
    {
        "sql_body": text(least=1),
        "flink_version": text(),
        "cu_number": number(),
        "manager_cu_number": number(),
        "parallel_number": number(),
        "tm_cus": number(),
        "tm_slot_num": number(),
        "operator_config": text(),
        "static_estimator": boolean,
        "job_type": one_of(*SQL),
        "graph_type": one_of(*_GRAPHS),
        "static_estimator_config": text(),
    },
    required=("sql_body",),
)


def create(request: Request) -> Any:
    """Without a type it is of the one that its run_mode allows."""
    _check_sql("", request.body)
    check_whole(request.body)
    shared = request.body.get("run_mode", "shared_cluster") == "shared_cluster"
    filled = {
        "run_mode": "shared_cluster",
        "job_type": "flink_sql_job" if shared else "flink_opensource_sql_job",
    }
    return flink.add(request, {**filled, **request.body})


def update(request: Request) -> Any:
    _check_sql_update("", request.body)
    return flink.change(request, request.body, SQL)


def graph(request: Request) -> Any:
    """A static graph of the statements; here it has one node for each."""
    _check_graph("", request.body)
    if body_of(job_of(request))["job_type"] not in SQL:
        raise ParameterError("only SQL jobs have a static graph")
    statements = [text.strip() for text in request.body["sql_body"].split(";") if text.strip()]
    nodes = [{"id": number, "contents": text} for number, text in enumerate(statements, 1)]
    return {"is_success": True, "message": "", "error_code": "", "stream_graph": json_text({"nodes": nodes})}


_STREAMING = "/v1.0/{project}/streaming"
ROUTES = (
    Route("POST", f"{_STREAMING}/sql-jobs", DLI, create),
    Route("PUT", f"{_STREAMING}/sql-jobs/{{job}}", DLI, update),
    Route("POST", "/v3/{project}/streaming/jobs/{job}/gen-graph", DLI, graph),
)
