"""Fixtures for the tests of requests: a server that only says what a test gives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.client import Time
from testing.faults import FaultProxy


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def service() -> Iterator[FaultProxy]:
    """A server that says what its rules say, and hangs up on anything else."""
    with FaultProxy("http://127.0.0.1:9") as server:
        yield server
