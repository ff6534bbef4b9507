"""What the servers of the tests have in common: one runs in a thread as long as it is open."""

from __future__ import annotations

import threading
from socketserver import BaseServer
from typing import Self


class Served:
    """A context manager that serves `_server`, which a subclass sets."""

    _server: BaseServer

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
