"""The jobs of all families, in one SQLite table.

States are not stored but computed in the query, from the time a job was started and what its family says
about the time passed since, so they can be filtered and paged by, and nothing runs between two calls. Only a
state that a job was ended in is stored, and wins. All times are milliseconds since 1970.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.emulator.family import Family

# SQL over the columns of Job with one `?`, and the value for it.
Condition = tuple[str, Any]

_LAYOUT = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    family TEXT NOT NULL,
    project TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    only_name TEXT,
    body TEXT NOT NULL,
    created INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    end_state TEXT,
    end_result TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_only_name ON jobs (family, project, only_name)
    WHERE only_name IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (family, project, created);
CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (family, project, name, created);
"""


class NameTakenError(Exception):
    """The project has a job of that name, in a family where a name can be taken once."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as of now. `scope` is its queue or cluster, `body` JSON text in its family's own form.

    `number` is unique among the jobs of all families. `started` is None for a draft; `state` and `result`
    hold since the time `since`.
    """

    number: int
    id: str
    project: str
    scope: str
    name: str
    body: str
    created: int
    started: int | None
    state: str
    result: str
    since: int


class Store:
    """Safe for threads, and for several processes on one file.

    What was committed outlives the process, however it ends: in WAL mode with synchronous=NORMAL a commit is
    in the operating system's hands when it returns, without the wait for the disk that only a power cut asks
    for.
    """

    def __init__(self, database: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        database.parent.mkdir(parents=True, exist_ok=True)
        # Job bodies hold what their authors put into them, passwords too. SQLite's side files copy the mode.
        database.touch(mode=0o600)
        self._connection = sqlite3.connect(
            database, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(f"BEGIN IMMEDIATE; {_LAYOUT} COMMIT;")

    def now(self) -> int:
        return int(self._clock() * 1000)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(
        self, family: Family, *, project: str, scope: str, name: str, body: str, only: bool = False
    ) -> Job:
        """Creates a job, and starts it unless its family begins with a draft.

        With `only`, the name can be taken once among such jobs of the project, or NameTakenError is raised.
        """
        identity, now = str(uuid.uuid4()), self.now()
        values = (identity, family.name, project, scope, name, name if only else None, body, now)
        try:
            self._run(
                "INSERT INTO jobs (id, family, project, scope, name, only_name, body, created, started) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, None if family.draft else now),
            )
        except sqlite3.IntegrityError:
            raise NameTakenError(name) from None
        return self._read(family, project, identity)[0]

    def get(self, family: Family, project: str, identity: str | int) -> Job | None:
        """A job by its id, or, when `identity` is an integer, by its number."""
        return next(iter(self._read(family, project, identity)), None)

    def find(
        self,
        family: Family,
        project: str,
        where: Iterable[Condition],
        *,
        order: str = "created DESC, number DESC",
        limit: int,
        offset: int,
    ) -> tuple[int, list[Job]]:
        """How many jobs there are, and those from the record index `offset` on."""
        where = [*where]
        tests = "".join(f" AND ({sql})" for sql, _ in where)
        values = (self.now(), project, *(value for _, value in where))
        matching = f"FROM ({family.rows}) WHERE 1{tests}"
        total = self._run(f"SELECT count(*) {matching}", values)[0][0]
        rows = self._run(f"SELECT * {matching} ORDER BY {order} LIMIT ? OFFSET ?", (*values, limit, offset))
        return total, [Job(*row) for row in rows]

    def start(self, family: Family, project: str, number: int, states: Collection[str]) -> bool:
        """Starts a job that is in one of `states`, as if it had never run; False when there is none."""
        held = ", ".join(map(repr, states))
        chosen = f"SELECT number FROM ({family.rows}) WHERE number = ?3 AND state IN ({held})"  # noqa: S608
        return bool(
            self._run(
                "UPDATE jobs SET started = ?1, ended = NULL, end_state = NULL, end_result = NULL "  # noqa: S608
                f"WHERE number = ({chosen}) RETURNING number",
                (self.now(), project, number),
            )
        )

    def end(self, identity: str | int, state: str, result: str = "") -> None:
        """For tests: from now on the job is in `state`, whatever the time says. MRS takes a result too."""
        if not self._run(
            "UPDATE jobs SET ended = ?1, end_state = ?2, end_result = ?3 "  # noqa: S608
            f"WHERE {_key(identity)} = ?4 RETURNING number",
            (self.now(), state, result, identity),
        ):
            raise KeyError(identity)

    def _read(self, family: Family, project: str, identity: str | int) -> list[Job]:
        sql = f"SELECT * FROM ({family.rows}) WHERE {_key(identity)} = ?3"  # noqa: S608
        return [Job(*row) for row in self._run(sql, (self.now(), project, identity))]

    def _run(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def _key(identity: str | int) -> str:
    return "number" if isinstance(identity, int) else "id"
