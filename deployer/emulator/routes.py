"""All routes: a new kind of job is one module, and one line here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from deployer.emulator import batches, flink, flink_runs, flink_tags, mrs, sessions
from deployer.emulator.api import Route

ROUTES = (
    *batches.ROUTES,
    *sessions.ROUTES,
    *flink.ROUTES,
    *flink_runs.ROUTES,
    *flink_tags.ROUTES,
    *mrs.ROUTES,
)


class Router:
    """A lookup of routes; a path without placeholders takes precedence."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_shape: dict[tuple[str, int], list[tuple[Route, re.Pattern[str]]]] = {}
        for route in sorted(routes, key=lambda route: route.path.count("{")):
            shape = self._by_shape.setdefault((route.method, route.path.count("/")), [])
            shape.append((route, _pattern(route.path)))

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """Return the route and the values of its placeholders; None if there is no such route."""
        for route, pattern in self._by_shape.get((method, path.count("/")), ()):
            if match := pattern.fullmatch(path):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace(".", r"\.")))
