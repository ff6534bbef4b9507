"""Checked manifests: what should exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from deployer.model.data import Spec
from deployer.model.document import Source


class State(StrEnum):
    """The desired state (`lifecycle.state`)."""

    PRESENT = "present"
    RUNNING = "running"
    STOPPED = "stopped"
    ABSENT = "absent"


class OnChange(StrEnum):
    BLOCK = "block"
    REPLACE = "replace"
    SUBMIT = "submit"
    KEEP = "keep"


class OnFailure(StrEnum):
    KEEP = "keep"
    RESUBMIT = "resubmit"


class OnMissing(StrEnum):
    CREATE = "create"
    KEEP = "keep"


class Trigger(StrEnum):
    """What submits a run-once job: each apply that finds it due, or `deployer run` only."""

    APPLY = "apply"
    RUN = "run"


class Until(StrEnum):
    """The state that a dependency must reach before its dependents are applied."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The deployment settings of a job; the fields are the keys of `lifecycle` in a manifest."""

    state: State = State.PRESENT
    on_change: OnChange = OnChange.BLOCK
    on_failure: OnFailure = OnFailure.KEEP
    on_missing: OnMissing = OnMissing.CREATE
    trigger: Trigger = Trigger.APPLY
    rerun: datetime | None = None
    savepoint: bool = True
    protect: bool = False
    adopt: bool = False
    timeout: str = "30m"


class Identity(NamedTuple):
    """The identity of a job: `place` is its queue or cluster, empty if that is not part of it.

    `run` is the key of one run of a job with parameters, `date=2024-07-04`; empty for all others.
    """

    kind: str
    place: str
    name: str
    run: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.label}" + (f" in {self.place}" if self.place else "")

    @property
    def of_job(self) -> Identity:
        """The identity of the job, without that of one run."""
        return self._replace(run="") if self.run else self

    @property
    def label(self) -> str:
        """The name, with the key of the run if it has one."""
        return f"{self.name} {self.run}" if self.run else self.name

    @property
    def parts(self) -> tuple[str, ...]:
        """What identifies the job, without `run` where that is empty: as digests have had it before there were runs."""
        return tuple(self) if self.run else tuple(self)[:3]


class ParameterType(StrEnum):
    DATE = "date"
    MONTH = "month"
    HOUR = "hour"
    INTEGER = "integer"
    TEXT = "text"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a run-once job: `values` are all that it can have, `pattern` is what a text must match.

    `default` is None if each run must name its value; `earliest` is the `from` of a manifest, empty without one.
    """

    name: str
    type: ParameterType
    values: tuple[str, ...] = ()
    pattern: str = ""
    default: str | None = None
    earliest: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A job that must have reached a state before; `parameters` are values of its own that the dependent has not."""

    identity: Identity
    until: Until = Until.SUBMITTED
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A checked manifest: what should exist. `spec` uses the field names of the API reference, without the name.

    `rerun_requested` requests a new run, whenever the last one was submitted. `renamed_from` are the identities
    that the job had before. With `parameters` the spec has their marks, and is not sent before they are filled: then
    `definition` is the spec with the marks, and `values` are those of the run. See `deployer.parameters`.
    """

    identity: Identity
    source: Source
    spec: Spec
    lifecycle: Lifecycle = Lifecycle()
    labels: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[Dependency, ...] = ()
    rerun_requested: bool = False
    renamed_from: tuple[Identity, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    definition: Spec = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs_on_request(self) -> bool:
        """Whether only `deployer run` submits the job: so it wants, or a parameter has no default."""
        if self.lifecycle.trigger is Trigger.RUN:
            return True
        return any(parameter.default is None for parameter in self.parameters.values())

    @property
    def is_family(self) -> bool:
        """Whether the job stands for all its runs: it has parameters, which have no values yet."""
        return bool(self.parameters) and not self.identity.run

    @property
    def kind(self) -> str:
        return self.identity.kind

    @property
    def name(self) -> str:
        return self.identity.name
