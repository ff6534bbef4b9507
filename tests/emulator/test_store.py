"""Tests which jobs the emulator keeps when a server is stopped and started again."""

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from deployer.emulator import Emulator

from .conftest import Clock

SERVE = """
import sys
from pathlib import Path
from deployer.emulator import Emulator
server = Emulator(Path(sys.argv[1]), shared=len(sys.argv) > 2)
print(server.url, flush=True)
server.serve_forever()
"""
BATCHES = "/v2.0/p/batches"
FLINK = "/v1.0/p/streaming/flink-jobs"


@contextmanager
def process(database: Path, *, shared: bool = False) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", SERVE, str(database), *(["shared"] if shared else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


def create(session: requests.Session, url: str, name: str) -> str:
    body = {"file": "a.py", "queue": "q", "name": name}
    answer = session.post(url + BATCHES, json=body, timeout=10)
    job_id: str = answer.json()["id"]
    return job_id


def test_a_killed_server_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    with requests.Session() as session, process(database) as (running, url):
        ids = [create(session, url, f"job{index}") for index in range(50)]
        session.post(url + FLINK, json={"name": "orders"}, timeout=10)
        running.send_signal(signal.SIGKILL)
        running.wait()
    with Emulator(database) as server:
        listed = requests.get(server.url + BATCHES, timeout=10).json()["sessions"]
        assert [entry["id"] for entry in listed] == ids[::-1]
        again = requests.post(server.url + FLINK, json={"name": "orders"}, timeout=10)
        assert again.json()["error_code"] == "DLI.0006"


def test_an_interrupted_server_closes_its_database(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    with process(database) as (running, url):
        requests.post(url + FLINK, json={"name": "orders"}, timeout=10)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate()
    assert errors.endswith("KeyboardInterrupt\n")
    assert [file.name for file in tmp_path.iterdir()] == ["e.db"]


def test_two_servers_on_one_file_see_the_same_jobs(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    with (
        requests.Session() as session,
        process(database, shared=True) as (_, url),
        Emulator(database, shared=True) as server,
    ):
        theirs, ours = create(session, url, "theirs"), create(session, server.url, "ours")
        for place in (url, server.url):
            listed = session.get(place + BATCHES, timeout=10).json()["sessions"]
            assert [entry["id"] for entry in listed] == [ours, theirs]


@pytest.mark.parametrize("shared", [False, True])
def test_two_on_one_database_are_an_error_unless_both_share_it(tmp_path: Path, *, shared: bool) -> None:
    database = tmp_path / "e.db"
    with process(database, shared=shared) as (running, _):
        for mode in {False, not shared}:
            with pytest.raises(OSError, match="another emulator uses this database"):
                Emulator(database, shared=mode)
        running.send_signal(signal.SIGKILL)
        running.wait()
        with Emulator(database):
            pass
    assert [file.name for file in tmp_path.iterdir()] == ["e.db"]


def test_a_new_database_and_its_folder_are_made_for_the_user_alone(tmp_path: Path, clock: Clock) -> None:
    database = tmp_path / "project" / ".deployer" / "e.db"
    with Emulator(database, clock=clock):
        modes = {stat.S_IMODE(file.stat().st_mode) for file in database.parent.iterdir()}
    assert modes == {0o600}


def test_time_goes_on_between_two_servers(tmp_path: Path, clock: Clock) -> None:
    with Emulator(tmp_path / "e.db", clock=clock) as server, requests.Session() as session:
        job_id = create(session, server.url, "job")
    clock.now += 60
    with Emulator(tmp_path / "e.db", clock=clock) as server:
        state = requests.get(f"{server.url}{BATCHES}/{job_id}/state", timeout=10).json()
    assert state == {"id": job_id, "state": "success"}


def test_a_database_of_the_first_version_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    database = tmp_path / "e.db"
    with Emulator(database, clock=clock) as server, requests.Session() as session:
        old = create(session, server.url, "job")
    with closing(sqlite3.connect(database)) as connection:
        for column in ("through", "through_from", "through_until", "updated", "savepoint", "restored"):
            connection.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    with Emulator(database, clock=clock) as server:
        assert requests.get(f"{server.url}{BATCHES}/{old}", timeout=10).json()["name"] == "job"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not show open files")
def test_a_file_that_is_no_database_is_not_kept_open(tmp_path: Path) -> None:
    file = tmp_path / "e.db"
    file.write_text("no database\n" * 100)
    with pytest.raises(sqlite3.DatabaseError) as failure:
        Emulator(file)
    assert failure.tb, "its frames hold the connection, so nobody has collected it"
    assert file not in [descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()]
