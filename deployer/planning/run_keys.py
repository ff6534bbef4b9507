"""The runs of jobs with parameters in a listing: each gets the key of its values as a part of its identity.

The mark of a batch is certain, if this project has written it. Else the values are read from what the listing shows;
if they are not certain, the run is not told: it may be any run of its job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.kinds import KINDS
from deployer.kinds.ownership import Owner, is_as_sent, is_owned, recorded_parameters
from deployer.model import Identity, Job, LiveJob
from deployer.parameters import types
from deployer.parameters.keys import run_key
from deployer.parameters.reading import NotTold, at, is_contradicted, read
from deployer.secrets.redact import masked

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
    spec = job.definition or job.spec
    is_whole = recorded.keys() == job.parameters.keys()
    if is_whole and all(types.is_value(job.parameters[name], value) for name, value in recorded.items()):
        as_sent = is_as_sent(live)
        if as_sent is None and live.spec is not None:
            as_sent = not is_contradicted(
                recorded, spec, job.parameters, live.spec, live.unobserved, kind.expect
            )
        if as_sent is False:
            return Values(None, f"its marks say {run_key(recorded)}, but what was sent says otherwise")
        return Values(recorded)
    if live.spec is None:
        return Values(None, "the listing does not show what was sent")
    found = read(spec, job.parameters, live.spec, live.unobserved, kind.expect)
    if not isinstance(found, NotTold):
        return Values(found.values)
    if not found.path:
        return Values(None, "the listing does not show what was sent")
    if found.live is None:
        return Values(None, f"{found.path} is missing")
    # Without showing a secret.
    return Values(None, f"{found.path} is {at(masked(kind.spellings, live.spec), found.steps)!r}")


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
