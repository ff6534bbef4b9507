"""The register of all routes: a new kind of job is one more module, and one more line in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from deployer.emulator import batches, flink, mrs, sessions
from deployer.emulator.api import Route

ROUTES = (
    *batches.ROUTES,
    *sessions.ROUTES,
    *flink.ROUTES,
    *mrs.ROUTES,
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace(".", r"\.")))


_PATTERNS = tuple((route, _pattern(route.path)) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """The route of a call, and what stands in its placeholders; None when there is no such call."""
    for route, pattern in _PATTERNS:
        if route.method == method and (match := pattern.fullmatch(path)):
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
