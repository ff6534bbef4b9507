"""The jobs of all families, in one SQLite table.

States are not stored but computed in the query, from the start time of a job and the phases of its family, so
that they can be used in filters and pages, and nothing runs between two requests. Only the state in which a job
was ended is stored, and overrides the computed one from the time at which it ends; so is the state before that.
All times are milliseconds since 1970.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deployer.emulator.family import Family, ending

# A SQL condition on the columns of Job with one `?`, and its value.
Condition = tuple[str, Any]

# Columns that databases of the first version do not have.
_ADDED = {
    "through": "TEXT",
    "through_from": "INTEGER",
    "through_until": "INTEGER",
    "updated": "INTEGER",
    "savepoint": "TEXT",
    "restored": "TEXT",
}

_LAYOUT = f"""
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
    end_result TEXT,
    {", ".join(f"{column} {type_}" for column, type_ in _ADDED.items())}
);
CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_only_name ON jobs (family, project, only_name)
    WHERE only_name IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (family, project, created);
CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (family, project, name, created);
"""


class NameTakenError(Exception):
    """The project already has a job with that name, in a family with unique names."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a service: active jobs per cluster, and the seconds for which ended jobs are kept."""

    running: int | None = None
    retention: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job at the current time. `scope` is its queue or cluster, `body` JSON in the format of its family.

    `number` is unique among the jobs of all families. `started` is None for a draft; `since` is the time of the
    current `state` and `result`. `savepoint` is the path of the newest one, `restored` that of the one from which
    the job was last started.
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
    updated: int | None
    savepoint: str | None
    restored: str | None


class Store:
    """The jobs in a database. Safe for threads, and for several processes on one file.

    A commit survives the end of the process: in WAL mode with synchronous=NORMAL it has reached the operating
    system when it returns, without waiting for the disk, which would matter only after a power failure. Of the
    limits, the store applies the retention, to jobs that run once.
    """

    def __init__(self, database: Path, clock: Callable[[], float], limits: Limits = Limits()) -> None:
        self._clock = clock
        self.limits = limits
        # A view of the store at another time or with other pages: see glimpse().
        self._ago = self._shift = 0
        self._repeats = False
        self._lock = threading.RLock()
        database.parent.mkdir(parents=True, exist_ok=True)
        # Job bodies may contain passwords. SQLite's side files have the same mode.
        database.touch(mode=0o600)
        self._connection = sqlite3.connect(
            database, timeout=30, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(f"BEGIN IMMEDIATE; {_LAYOUT} COMMIT;")
        known = {row[1] for row in self._run("PRAGMA table_info(jobs)")}
        for column in _ADDED.keys() - known:
            self._run(f"ALTER TABLE jobs ADD COLUMN {column} {_ADDED[column]}")

    def now(self) -> int:
        return int(self._clock() * 1000) - self._ago

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def glimpse(self, *, ago: float = 0, shift: int = 0, repeats: bool = False) -> Self:
        """Return a view of the same jobs for a faulty listing.

        It shows the jobs of `ago` seconds ago; pages after the first begin `shift` records too late (or early),
        or repeat the previous one with `repeats`.
        """
        other = copy(self)
        other._ago, other._shift, other._repeats = int(ago * 1000), shift, repeats
        return other

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the reads and writes inside as one transaction, rolled back on an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def add(
        self, family: Family, *, project: str, scope: str, name: str, body: str, only: bool = False
    ) -> Job:
        """Create a job, and start it unless its family begins with a draft.

        With `only`, the name must be unique among such jobs of the project; raises NameTakenError otherwise.
        """
        identity, now = str(uuid.uuid4()), self.now()
        columns = {
            "id": identity,
            "family": family.name,
            "project": project,
            "scope": scope,
            "name": name,
            "only_name": name if only else None,
            "body": body,
            "created": now,
            "started": None if family.draft else now,
        }
        values = ", ".join(f":{column}" for column in columns)
        try:
            self._run(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({values})", **columns)  # noqa: S608
        except sqlite3.IntegrityError:
            raise NameTakenError(name) from None
        return self._read(family, project, identity)[0]

    def get(self, family: Family, project: str, identity: str | int) -> Job | None:
        """Return a job by its id, or by its number if `identity` is an integer."""
        return next(iter(self._read(family, project, identity)), None)

    def find(
        self,
        family: Family,
        project: str,
        where: Iterable[Condition] = (),
        *,
        order: str = "created DESC, number DESC",
        limit: int = -1,
        offset: int = 0,
    ) -> tuple[int, list[Job]]:
        """Return the number of jobs, and the jobs from the record index `offset`."""
        matching, values = self._matching(family, project, where)
        if offset:
            offset = max(0, offset + self._shift - (limit if self._repeats else 0))
        total = self._run(f"SELECT count(*) {matching}", **values)[0][0]
        page = f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        return total, [Job(*row) for row in self._run(f"SELECT * {matching} {page}", **values)]

    def set(self, job: Job, **columns: int | str | None) -> None:
        """Update columns of a job; a new `only_name` may raise NameTakenError."""
        try:
            self._run(f"UPDATE jobs SET {_assigned(columns)} WHERE number = :key", key=job.number, **columns)  # noqa: S608
        except sqlite3.IntegrityError:
            raise NameTakenError(job.name) from None

    def delete(self, job: Job) -> None:
        self._run("DELETE FROM jobs WHERE number = :number", number=job.number)

    def end(self, identity: str | int, state: str, result: str = "") -> None:
        """Put a job into `state` from now on, regardless of the time. MRS jobs also have a result."""
        columns = ending(self.now(), state, 0, state, result)
        update = f"UPDATE jobs SET {_assigned(columns)} WHERE {_key(identity)} = :key RETURNING number"  # noqa: S608
        if not self._run(update, key=identity, **columns):
            raise KeyError(identity)

    def _visible(self, family: Family) -> list[Condition]:
        shown: list[Condition] = []
        if self._ago:
            shown.append(("created <= ?", self.now()))
        if self.limits.retention is not None and not family.draft:
            oldest = self.now() - int(self.limits.retention * 1000)
            shown.append((f"NOT ({family.over} AND since < ?)", oldest))
        return shown

    def _read(self, family: Family, project: str, identity: str | int) -> list[Job]:
        matching, values = self._matching(family, project, [(f"{_key(identity)} = ?", identity)])
        return [Job(*row) for row in self._run(f"SELECT * {matching}", **values)]

    def _matching(
        self, family: Family, project: str, where: Iterable[Condition]
    ) -> tuple[str, dict[str, Any]]:
        """Return the end of a SELECT, and the values of its named parameters."""
        tests, values = ["1"], {"now": self.now(), "project": project}
        for index, (sql, value) in enumerate([*where, *self._visible(family)]):
            tests.append(f"({sql.replace('?', f':value{index}')})")
            values[f"value{index}"] = value
        return f"FROM ({family.rows}) WHERE {' AND '.join(tests)}", values

    def _run(self, sql: str, **values: Any) -> list[Any]:
        """Run one statement, with all its parameters named.

        A sequence of values works only with plain `?`: Python 3.12.0 to 3.12.3 warn about `?1`, 3.14 rejects names.
        """
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def _assigned(columns: Iterable[str]) -> str:
    return ", ".join(f"{column} = :{column}" for column in columns)


def _key(identity: str | int) -> str:
    return "number" if isinstance(identity, int) else "id"
