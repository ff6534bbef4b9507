"""Fixtures: the vendor's SDK as an independent client of the emulator, with its own models and signatures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.emulator import Emulator
from testing.workspace import TOKEN, Clock

from .routes import routes

AK, SK, PROJECT = "AKIDOFTESTS", "a-secret-for-tests", "pid"

Connect = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The SDK warns of its own doings: of calls that it will drop, and of Python's that it should."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture
def clock() -> Clock:
    """The SDK signs with the machine's time, and this may not be far from it."""
    return Clock(time.time())


@pytest.fixture
def emulator(tmp_path: Path, clock: Clock) -> Iterator[Emulator]:
    database = tmp_path / "emulator.db"
    with Emulator(database, token=TOKEN, ak=AK, sk=SK, clock=clock, more_routes=routes()) as server:
        yield server


@pytest.fixture
def connect(emulator: Emulator) -> Connect:
    """Makes an SDK client: `connect(DliClient)`, or one with another secret: `connect(DliClient, sk="x")`."""
    from huaweicloudsdkcore.auth.credentials import BasicCredentials

    def client(kind: Any, *, sk: str = SK) -> Any:
        key = BasicCredentials(AK, sk, PROJECT)
        return kind.new_builder().with_credentials(key).with_endpoint(emulator.url).build()

    return client
