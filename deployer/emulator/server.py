"""The emulator: server, gateway, store and faults together."""

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
from deployer.emulator.lock import DatabaseLock
from deployer.emulator.routes import ROUTES, Router
from deployer.emulator.store import Limits, Store

# The interval in seconds in which a server checks whether it should stop: short at the end of a command or a test,
# long in the foreground, where it should use no CPU.
_SOON = 0.002
_LATER = 0.1


class Emulator:
    """The server. It listens on its port after construction.

    As a context manager it serves in a daemon thread; `serve_forever` serves in the calling thread. Both close the
    port, the connections and the database at the end. Every project, queue and cluster is accepted.

    `clock` is time.time or that of a test; all times, states, tokens and the Date header depend on it. `wait` is
    called with the seconds of a delay. `more_routes` are additional API operations. `shared` allows others that share
    the database too; otherwise two on one database are an OSError. For the other parameters see Credentials, Limits
    and Rule.
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
        shared: bool = False,
    ) -> None:
        self._closing = threading.Event()
        self.faults = Faults(faults)
        access = Access(Credentials(token, ak, sk, security_token, user, password), clock)
        router = Router((*ROUTES, *iam.routes(access), *admin.routes(self.faults), *more_routes))
        self._lock = DatabaseLock(database, shared=shared)
        try:
            self.store = Store(database, clock, Limits(running, retention))
        except BaseException:
            self._lock.release()
            raise
        gateway = Gateway(self.store, access, self.faults, router, wait or self._closing.wait)
        try:
            self._http = Server(port, clock, gateway.respond)
        except BaseException:
            self.store.close()
            self._lock.release()
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
        """Serve until shutdown() or a KeyboardInterrupt, which is raised again. Everything is closed in both cases."""
        try:
            self._http.serve_forever(_LATER)
        finally:
            self.close()

    def shutdown(self) -> None:
        """End a serve_forever() in another thread, and wait until it accepts no more connections."""
        self._http.shutdown()

    def close(self) -> None:
        """Close port, connections and database. Only needed if the server never served; may be called twice."""
        self._closing.set()
        self._http.server_close()
        self._http.hang_up()
        self.store.close()
        self._lock.release()
