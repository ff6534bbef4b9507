"""What the vendor's clients can do with Flink jobs besides; no manifest has a use for it."""

from __future__ import annotations

from deployer.emulator.api import Route

from . import files, savepoints, sql, tags, views


def routes() -> tuple[Route, ...]:
    """For one emulator: `Emulator(..., more_routes=routes())`."""
    return (*savepoints.ROUTES, *tags.ROUTES, *views.ROUTES, *sql.ROUTES, *files.routes())
