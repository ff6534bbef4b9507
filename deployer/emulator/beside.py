"""What the vendor's clients can do with Flink jobs besides; no manifest has a use for it."""

from __future__ import annotations

from deployer.emulator import flink_files, flink_runs, flink_sql, flink_tags, flink_views

ROUTES = (
    *flink_runs.BESIDE,
    *flink_tags.BESIDE,
    *flink_views.ROUTES,
    *flink_sql.ROUTES,
    *flink_files.ROUTES,
)
