"""Fixtures: an emulator on a free port with a clock that the test moves, and an HTTP client for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from deployer.emulator import Emulator


@dataclass
class Clock:
    now: float = 1_720_000_000.0

    def __call__(self) -> float:
        return self.now

    @property
    def ms(self) -> int:
        return int(self.now * 1000)


@dataclass(frozen=True)
class Api:
    server: Emulator
    session: requests.Session

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.server.url + path, timeout=10, **options)

    def get(self, path: str, **query: Any) -> Any:
        return self._value(self.call("GET", path, params=query))

    def post(self, path: str, body: Any) -> Any:
        return self._value(self.call("POST", path, json=body))

    def put(self, path: str, body: Any) -> Any:
        return self._value(self.call("PUT", path, json=body))

    def delete(self, path: str) -> Any:
        return self._value(self.call("DELETE", path))

    def refusal(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and error code of a call that fails, in the shape that DLI and MRS share."""
        response = self.call(method, path, **options)
        assert set(response.json()) == {"error_code", "error_msg"}
        return response.status_code, response.json()["error_code"]

    @staticmethod
    def _value(response: requests.Response) -> Any:
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Api]]:
    """Starts an emulator with options, and a client for it: `start(ak="a")`. Its delays take no time."""
    with ExitStack() as stack:

        def start(**options: Any) -> Api:
            server = Emulator(tmp_path / "own.db", **{"clock": clock, "wait": lambda _: None, **options})
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            return Api(stack.enter_context(server), session)

        yield start


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator.db", clock=clock) as running:
        yield running


@pytest.fixture
def api(server: Emulator) -> Iterator[Api]:
    with requests.Session() as session:
        session.trust_env = False
        yield Api(server, session)
