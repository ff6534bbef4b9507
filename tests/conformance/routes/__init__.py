"""Emulator routes for operations on Flink jobs that the SDK has and no manifest uses."""

from __future__ import annotations

from deployer.emulator.api import Route

from . import files, savepoints, sql, tags, views


def routes() -> tuple[Route, ...]:
    """For one emulator: `Emulator(..., more_routes=routes())`."""
    return (*savepoints.ROUTES, *tags.ROUTES, *views.ROUTES, *sql.ROUTES, *files.routes())
