"""A job with parameters and the values of one run -> the job that is planned and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployer.errors import DeployerError
from deployer.model import Job, Parameter
from deployer.parameters.keys import run_key
from deployer.parameters.references import concrete


def defaults(parameters: Mapping[str, Parameter]) -> dict[str, str] | None:
    """Return the default of each parameter; None if one has none."""
    found = {name: parameter.default for name, parameter in parameters.items()}
    given = {name: value for name, value in found.items() if value is not None}
    return given if len(given) == len(found) else None


def with_values(job: Job, values: Mapping[str, str]) -> Job:
    """Return the run of a job with these values: its spec is filled, and its identity is that of the run.

    Raises DeployerError if the values cannot be filled in.
    """
    definition = job.definition or job.spec
    try:
        spec = concrete(definition, values)
    except ValueError as error:
        raise DeployerError(f"{job.identity}: {error}") from None
    key = run_key(values)
    return replace(
        job,
        identity=job.identity._replace(run=key),
        spec=spec,
        definition=definition,
        values={**values},
        renamed_from=tuple(former._replace(run=key) for former in job.renamed_from),
    )
