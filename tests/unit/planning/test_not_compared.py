"""What the differences of a change leave open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.kinds import KINDS
from deployer.kinds.ownership import fingerprint
from deployer.model import Change, FieldChange, OnChange, Phase
from testing.plans import decided, job, run

BATCH = {"file": "a.jar", "className": "Main", "queue": "q"}


def changed(kind: str, sent: dict[str, Any], spec: dict[str, Any], **live: Any) -> Change:
    before = run(job(kind, spec=sent), Phase.SUCCEEDED, **live)
    return decided(job(kind, spec=spec), before)[0]


def test_what_only_the_live_job_has_is_listed() -> None:
    change = changed("SparkBatch", {**BATCH, "spark_version": "3.3.1"}, {**BATCH, "className": "Other"})
    assert [field.path for field in change.fields] == ["/className"]
    assert change.live_only == (FieldChange("/spark_version", "3.3.1", None, additional=True),)
    assert change.not_compared == ()


def test_what_is_a_difference_is_not_listed_again() -> None:
    sent = {**BATCH, "numExecutors": 2, "conf": {"a": "1", "b": "2"}}
    change = changed("SparkBatch", sent, {**BATCH, "numExecutors": 3, "conf": {"a": "1"}})
    assert {field.path for field in change.fields} == {"/numExecutors", "/conf/b"}
    assert change.live_only == ()


def test_keys_of_the_live_job_are_listed_without_their_secrets() -> None:
    spec = {"entrypoint": "a.jar", "runtime_config": '{"a": "1"}'}
    sent = {"entrypoint": "b.jar", "runtime_config": '{"a": "1", "b": "2", "db.password": "hunter2"}'}
    change = changed("FlinkJar", sent, spec, savepoint="obs://b/s")
    hidden = FieldChange("/runtime_config/db.password", None, None, sensitive=True, additional=True)
    assert change.live_only == (FieldChange("/runtime_config/b", "2", None, additional=True), hidden)


def test_fields_that_the_service_does_not_return_are_listed() -> None:
    spec = {"kind": "spark", "sc_type": "A", "conf": {"a": "1"}, "jars": ["a.jar"], "waived": 1}
    hidden = frozenset({"conf", "jars", "files"})
    change = changed("SparkSession", {**spec, "sc_type": "B"}, spec, unobserved=hidden)
    assert change.not_compared == ("/conf", "/jars", "/waived")


def test_without_a_spec_nothing_is_compared() -> None:
    batch = replace(job(spec=BATCH), rerun_requested=True)
    change, _ = decided(batch, run(batch, Phase.FAILED, spec=None))
    assert change.not_compared == ("/file", "/className")


def test_the_same_fingerprint_is_a_comparison() -> None:
    batch = replace(job(spec={**BATCH, "waived": 1}), rerun_requested=True)
    mark = {"fingerprint": fingerprint(KINDS["SparkBatch"], batch)}
    change, _ = decided(batch, run(batch, Phase.FAILED, ownership=mark))
    assert change.not_compared == ()


@pytest.mark.parametrize(
    ("on_change", "listed"), [(OnChange.REPLACE, True), (OnChange.SUBMIT, True), (OnChange.BLOCK, False)]
)
def test_only_what_sends_a_body_lists_them(on_change: OnChange, *, listed: bool) -> None:
    before = run(job(spec={**BATCH, "spark_version": "3.3.1"}), Phase.ACTIVE)
    change, _ = decided(job(spec={**BATCH, "className": "Other"}, on_change=on_change), before)
    assert bool(change.live_only) is listed


def test_a_create_lists_nothing() -> None:
    change, _ = decided(job(spec=BATCH))
    assert (change.not_compared, change.live_only) == ((), ())
