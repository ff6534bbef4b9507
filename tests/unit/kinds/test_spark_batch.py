"""Reading the listing entry of a batch, and the request body that it echoes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.model import Identity
from testing.entries import BATCH, FULL, differences, observed


@pytest.mark.parametrize("encoded", [str, json.dumps, json.loads])
def test_an_echo_is_read_however_often_it_is_encoded(encoded: Any) -> None:
    live = observed("SparkBatch", req_body=encoded(BATCH["req_body"]))
    assert live.spec == {"file": "a.py", "queue": "q", "auto_recovery": True, "sc_type": "A"}


@pytest.mark.parametrize("echo", [None, "", "{", "[]", '"text"', "7", '"\\"{}\\""', 7, [], "[" * 9999])
def test_a_batch_without_a_readable_echo_cannot_be_compared(echo: Any) -> None:
    assert observed("SparkBatch", req_body=echo).spec is None


@pytest.mark.parametrize(
    "echo",
    [
        {},
        {"queue": "q"},
        {"file": None},
        {"file": ""},
        {"file": 7},
        {"file": "a.py", "args": "a b"},
        {"file": "a.py", "conf": ["a=1"]},
        {"file": "a.py", "maxRetryTimes": "many"},
        {"file": "a.py", "resources": ["a.jar"]},
    ],
)
def test_an_echo_that_no_request_can_be_cannot_be_compared(echo: dict[str, Any]) -> None:
    assert observed("SparkBatch", req_body=json.dumps(echo)).spec is None


@pytest.mark.parametrize("name", [None, "", 0, False, [], {}])
def test_a_batch_without_a_name_of_its_own_has_that_of_its_echo(name: Any) -> None:
    assert observed("SparkBatch", name=name).identity.name == ""
    echo = json.dumps({"file": "a.py", "queue": "q", "Name": "echoed"})
    assert observed("SparkBatch", name=name, req_body=echo).identity.name == "echoed"


def test_an_echo_may_be_cut_off() -> None:
    whole = str(FULL["SparkBatch"]["req_body"])
    assert observed("SparkBatch", req_body=whole).spec
    assert {observed("SparkBatch", req_body=whole[:end]).spec is None for end in range(len(whole))} == {True}


def test_an_echo_may_have_its_quotes_escaped() -> None:
    """As the vendor's SDK shows it."""
    text = str(BATCH["req_body"]).replace('"', '\\"')
    assert observed("SparkBatch", req_body=text).spec == observed("SparkBatch").spec


SPELLED = {
    "class_name": "A",
    "PyFiles": ["a.py"],
    "driver_memory": "1G",
    "driverCores": 1,
    "executor_memory": "2048M",
    "executorCores": "2",
    "num_executors": 3,
    "auto_recovery": True,
    "maxRetryTimes": 5,
    "min_recovery_delay_time": 7,
    "obsBucket": "b",
    "sparkVersion": "3.3.1",
    "executionAgencyUrn": "agency",
    "catalogName": "dli",
    "scType": "B",
    "file": "a.jar",
    "clusterName": "q",
}


SENT = {
    "className": "A",
    "pyFiles": ["a.py"],
    "driverMemory": "1G",
    "driverCores": 1,
    "executorMemory": "2G",
    "executorCores": 2,
    "numExecutors": 3,
    "auto_recovery": True,
    "max_retry_times": 5,
    "minRecoveryDelayTime": 7,
    "obs_bucket": "b",
    "spark_version": "3.3.1",
    "execution_agency_urn": "agency",
    "catalog_name": "dli",
    "sc_type": "B",
    "file": "a.jar",
    "queue": "q",
}


def test_an_echo_may_spell_its_keys_in_any_mix() -> None:
    assert differences("SparkBatch", SENT, req_body=json.dumps(SPELLED)) == {}
    for name in SENT.keys() - {"queue", "file", "spark_version"}:
        left_out = {key: value for key, value in SENT.items() if key != name}
        assert set(differences("SparkBatch", left_out, req_body=json.dumps(SPELLED))) in (
            {f"/{name}"},
            {f"/{name}/0"},
        )


def test_of_two_spellings_the_one_that_says_something_counts() -> None:
    echo = {"file": "a.py", "class_name": None, "className": "A", "autoRecovery": None, "auto_recovery": True}
    spec = observed("SparkBatch", req_body=json.dumps(echo)).spec or {}
    assert (spec["className"], spec["auto_recovery"]) == ("A", True)


def test_what_the_service_adds_to_an_echo_is_no_change() -> None:
    lists = ("jars", "pyFiles", "files", "modelFiles", "resources", "modules", "groups")
    echo: dict[str, Any] = {name: [] for name in lists}
    echo |= {"archives": [], "args": [], "conf": {}, "className": "", "image": None, "feature": "basic"}
    echo |= {"autoRecovery": False, "minRecoveryDelayTime": 10000, "maxRetryTimes": 20, "name": "job"}
    small = {"file": "a.py", "queue": "q"}
    assert differences("SparkBatch", small, req_body=json.dumps(small | echo)) == {}


def test_an_old_entry_is_named_by_its_echo() -> None:
    entry = {"id": "b-1", "state": "dead", "req_body": '{"file": "a.py", "cluster_name": "q", "name": "job"}'}
    assert KINDS["SparkBatch"].observe(entry).identity == Identity("SparkBatch", "q", "job")
    assert observed("SparkBatch", req_body='{"file": "a.py"}').spec == {
        "file": "a.py",
        "queue": "q",
        "sc_type": "A",
    }


def test_a_batch_without_an_echo_cannot_be_compared() -> None:
    assert KINDS["SparkBatch"].observe({"id": "b-1", "state": "dead"}).spec is None


@pytest.mark.parametrize(
    ("listed", "echo", "asked", "shown"),
    [
        ("B", {}, {}, {"/sc_type": ("B", None)}),
        ("B", {}, {"sc_type": "B"}, {}),
        ("CUSTOMIZED", {}, {"sc_type": "B"}, {}),  # single sizes were given, and the preset is not told
        (["B"], {}, {"sc_type": "B"}, {}),
        ("CUSTOMIZED", {"sc_type": "B"}, {}, {"/sc_type": ("B", None)}),
    ],
)
def test_the_preset_of_a_batch_is_in_its_echo_or_in_its_entry(
    listed: Any, echo: dict[str, Any], asked: dict[str, Any], shown: dict[str, Any]
) -> None:
    small = {"file": "a.py", "queue": "q"}
    found = differences("SparkBatch", small | asked, req_body=json.dumps(small | echo), sc_type=listed)
    assert found == shown


def test_the_names_and_spellings_of_a_batch_are_compared_as_one() -> None:
    body = {"file": "a.py", "queue": "q", "class_name": "A", "max_retry_times": 3, "driverMemory": "2048 MB"}
    desired = {
        "file": "a.py",
        "cluster_name": "q",
        "className": "A",
        "max_retry_times": 3,
        "driverMemory": "2G",
    }
    assert differences("SparkBatch", desired, req_body=json.dumps(body)) == {}
