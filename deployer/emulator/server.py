"""The parts put together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployer.emulator import admin, iam
from deployer.emulator.access import Access, Credentials
from deployer.emulator.api import Route
from deployer.emulator.faults import Faults
from deployer.emulator.gateway import Gateway
from deployer.emulator.http1 import Server
from deployer.emulator.routes import ROUTES, Router
from deployer.emulator.store import Limits, Store

# How often, in seconds, a server looks whether it should end: at the end of a command or a test nobody wants
# to wait, and in the foreground it should cost nothing.
_SOON = 0.002
_LATER = 0.1


class Emulator:
    """The server, on its port from the construction on.

    As a context manager it serves in a daemon thread; `serve_forever` serves in the caller's. Both give back
    port, connections and database at their end. Any project, queue and cluster is taken.

    `clock` is time.time or a test's own: all times, states, tokens and the Date header go by it. `wait` is
    what a fault with a delay does with its seconds. `more_routes` are API operations that it does not have
    by itself. For the others see Credentials, Limits and Rule.
    """

    def __init__(
        self,
        database: Path,
        *,
        port: int = 0,
        token: str | None = None,
        ak: str | None = None,
        sk: str | None = None,
        security_token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        running: int | None = None,
        retention: float | None = None,
        faults: Iterable[Any] = (),
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] | None = None,
        more_routes: Iterable[Route] = (),
    ) -> None:
        self._closing = threading.Event()
        self.faults = Faults(faults)
        access = Access(Credentials(token, ak, sk, security_token, user, password), clock)
        router = Router((*ROUTES, *iam.routes(access), *admin.routes(self.faults), *more_routes))
        self.store = Store(database, clock, Limits(running, retention))
        gateway = Gateway(self.store, access, self.faults, router, wait or self._closing.wait)
        try:
            self._http = Server(port, clock, gateway.respond)
        except BaseException:
            self.store.close()
            raise
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_SOON,), name="emulator", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.shutdown()
            self._thread.join()
        finally:
            self.close()

    def serve_forever(self) -> None:
        """Returns after shutdown(); a KeyboardInterrupt passes through. Either way everything is closed."""
        try:
            self._http.serve_forever(_LATER)
        finally:
            self.close()

    def shutdown(self) -> None:
        """Ends a serve_forever() in another thread, and waits until it took no more connections."""
        self._http.shutdown()

    def close(self) -> None:
        """Give back port, connections and database. Only one that never served needs it; twice is once."""
        self._closing.set()
        self._http.server_close()
        self._http.hang_up()
        self.store.close()
