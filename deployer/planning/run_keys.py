"""The runs of jobs with parameters in a listing: each gets the key of its values as a part of its identity.

The mark of a batch is certain, if this project has written it. Else the values are read from what the listing shows;
if they are not certain, the run is not told: it may be any run of its job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.kinds import KINDS
from deployer.kinds.kind import Kind
from deployer.kinds.ownership import Owner, is_owned, matches_fingerprint, recorded_parameters
from deployer.model import Identity, Job, LiveJob
from deployer.parameters import types
from deployer.parameters.keys import run_key, values_of
from deployer.parameters.reading import NotTold, Told, at, is_as_sent, marked, read
from deployer.parameters.references import concrete
from deployer.parameters.runs import with_values
from deployer.secrets.redact import masked

__all__ = ["NOT_TOLD", "Values", "values_of", "values_of_run", "with_run_keys"]

# In place of a key, which has a name and a value.
NOT_TOLD = "?"


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a live run; None if they are not told, and `reason` says why."""

    told: Mapping[str, str] | None
    reason: str = ""

    @property
    def key(self) -> str:
        return NOT_TOLD if self.told is None else run_key(self.told)


def values_of_run(job: Job, live: LiveJob, owner: Owner | None) -> Values:
    """Return the values of a live run of a job with parameters, by its mark or by what the listing shows."""
    kind = KINDS[job.kind]
    recorded = recorded_parameters(live) if is_owned(live, owner) else {}
    is_whole = recorded.keys() == job.parameters.keys()
    if is_whole and all(types.is_value(job.parameters[name], value) for name, value in recorded.items()):
        copied = _copied_mark(kind, job, live, recorded)
        return Values(None, copied) if copied else Values(recorded)
    if live.spec is None:
        return Values(None, "the listing does not show what was sent")
    found = read(job.definition or job.spec, job.parameters, live.spec, live.unobserved, kind.expect)
    if not isinstance(found, NotTold):
        return Values(found.values)
    if not found.path:
        return Values(None, "the listing does not show what was sent")
    if found.live is None:
        return Values(None, f"{found.path} is missing")
    # Without showing a secret.
    return Values(None, f"{found.path} is {at(masked(kind.spellings, live.spec), found.steps)!r}")


def _copied_mark(kind: Kind, job: Job, live: LiveJob, recorded: Mapping[str, str]) -> str:
    """Return why the mark of a run is not its own; empty if nothing says so.

    Whoever edits a run in the console and submits it again copies its mark and its fingerprint with it.
    """
    definition = job.definition or job.spec
    if live.spec is None or not live.ownership.get("fingerprint"):
        return ""
    fields = marked(kind.expect(definition))
    filled = concrete(fields, recorded)
    if all(is_as_sent(live.spec.get(name), value) for name, value in filled.items()):
        return ""
    found = read(definition, job.parameters, live.spec, live.unobserved, kind.expect)
    is_other = isinstance(found, Told) and found.is_strict and found.values != recorded
    if not is_other or not matches_fingerprint(kind, with_values(job, recorded), live):
        return ""
    return f"its mark says {run_key(recorded)}, but other values were sent"


def with_run_keys(runs: Iterable[LiveJob], jobs: Iterable[Job], owner: Owner | None) -> Sequence[LiveJob]:
    """Return live runs, those of `jobs` with parameters with their keys. A moved run is found by its name."""
    families = {job.identity.of_job: job for job in jobs if job.parameters}
    if not families:
        return runs if isinstance(runs, Sequence) else [*runs]
    by_identity: dict[Identity, Job] = {}
    by_name: dict[tuple[str, str], Job] = {}
    for job in families.values():
        for identity in (job.identity.of_job, *(former.of_job for former in job.renamed_from)):
            by_identity[identity] = job
            by_name[identity.kind, identity.name] = job

    def keyed(run: LiveJob) -> LiveJob:
        identity = run.identity
        family = by_identity.get(identity) or by_name.get((identity.kind, identity.name))
        if family is None or identity.run:
            return run
        return replace(run, identity=identity._replace(run=values_of_run(family, run, owner).key))

    return [*map(keyed, runs)]
