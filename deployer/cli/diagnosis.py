"""The checks of `doctor` in their order. A failed one does not stop those that do not need its result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployer.cli import session, shared_state
from deployer.cli.options import Options
from deployer.cli.state_folder import require_own_state, state_folder
from deployer.cloud.auth import LOCAL, AuthContext
from deployer.cloud.client import Client
from deployer.cloud.credentials import AccessKey, ResolvedCredential
from deployer.cloud.hosts import Address, ca_file, hosts, prepared
from deployer.cloud.parallel import in_parallel
from deployer.cloud.transport import Transport
from deployer.doctor import contract as responses
from deployer.doctor import git, machine, questions, services
from deployer.doctor.check import Check, Status, failed, ok, skipped, warning
from deployer.doctor.services import Place
from deployer.errors import DeployerError, Exit, InvalidInput
from deployer.kinds import KINDS
from deployer.project.load import Project
from deployer.project.load import load as load_project
from deployer.project.regions import is_vendor_host, of_region
from deployer.project.target import Retry, Target
from deployer.report.contract import ContractReport
from deployer.report.text import count

CONFIGURATION = "configuration"
# The kinds that are read in a project without jobs: sessions are withdrawn.
_FIRST_KINDS = ("SparkBatch", "FlinkJar")
# A report shows what a service answers now.
_ONCE = Retry(attempts=1, capacity_seconds=0)


@dataclass(slots=True)
class Diagnosis:
    """The checks so far, and what they have found for those that follow."""

    checks: list[Check] = field(default_factory=list)
    project: Project | None = None
    target: Target | None = None
    places: tuple[Place, ...] = ()
    silent: set[str] = field(default_factory=set)


def project_checks(options: Options) -> Diagnosis:
    """Check versions, configuration and git, without a request to a service."""
    found = Diagnosis([*machine.versions()])
    found.checks += _configuration(options, found)
    folder = found.project.folder if found.project else Path()
    found.checks += git.repository(folder, os.environ)
    if found.project and found.target:
        found.checks.append(_shared_state(found.project, found.target))
    return found


def _configuration(options: Options, found: Diagnosis) -> Iterator[Check]:
    try:
        found.project = load_project(session.project_folder(options))
    except DeployerError as error:
        yield _invalid("deployer.yaml", error, "correct it; deployer init creates a project")
        return
    yield ok(CONFIGURATION, "deployer.yaml", f"valid; {count(len(found.project.targets), 'target')}")
    try:
        found.target = found.project.target(options.target)
    except DeployerError as error:
        yield _invalid("target", error, "select a target with -t")
        return
    target = found.target
    where = "built-in emulator" if target.emulator else target.region or "endpoints in deployer.yaml"
    yield ok(CONFIGURATION, "target", f"{target.name} ({where})")
    found.places = _places((), target)
    try:
        loaded = session.load(options, project=found.project)
    except DeployerError as error:
        yield _invalid("manifests", error, "correct them; deployer validate shows each with its place")
        return
    found.places = _places([(job.kind, job.spec) for job in loaded.selected_jobs], target)
    errors = sum(problem.severity == "error" for problem in loaded.problems)
    warnings = len(loaded.problems) - errors
    words = f"{count(len(loaded.jobs), 'job')}, {count(errors, 'error')}, {count(warnings, 'warning')}"
    advice = "deployer validate shows each finding with its place"
    if errors:
        yield failed(CONFIGURATION, "manifests", words, advice, Exit.INVALID)
    elif warnings:
        yield warning(CONFIGURATION, "manifests", words, advice)
    else:
        yield ok(CONFIGURATION, "manifests", words)


def _invalid(name: str, error: DeployerError, advice: str) -> Check:
    if isinstance(error, InvalidInput):
        first = str(error.problems[0]) if error.problems else "invalid"
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return failed(CONFIGURATION, name, f"{first}{more}", advice, error.exit_code)
    return failed(CONFIGURATION, name, str(error), advice, error.exit_code)


def _places(jobs: Sequence[tuple[str, Mapping[str, object]]], target: Target) -> tuple[Place, ...]:
    """Return the listings of jobs; without any those of a new project: its clusters, and kinds without a place."""
    if not jobs:
        jobs = [(name, {}) for name in _FIRST_KINDS]
        for kind in KINDS.values():
            if kind.place in kind.path_fields:
                jobs += [(kind.name, {kind.place: cluster}) for cluster in target.clusters.values()]
    found: dict[tuple[str, ...], Place] = {}
    for name, spec in jobs:
        path_values = KINDS[name].path_values(spec)
        found.setdefault((name, *path_values.values()), Place(KINDS[name], path_values))
    return tuple(place for _, place in sorted(found.items()))


def _shared_state(project: Project, target: Target) -> Check:
    if not shared_state.is_shared(project, target):
        return git.no_shared_state("not shared: the state of this target is in .deployer/")
    try:
        with shared_state.open_state(project, target) as chain:
            snapshot = chain.read()
    except DeployerError as error:
        advice = "check the remote, the branch and the token of git"
        return failed(git.GIT, "shared state", str(error), advice, error.exit_code)
    held = f"; locked by {snapshot.lock}" if snapshot.lock else ""
    return ok(
        git.GIT,
        "shared state",
        f"{chain.name} can be read: {count(len(snapshot.runs), 'journal')}{held}; writing is not tried",
    )


@contextmanager
def connected(found: Diagnosis) -> Iterator[Client | None]:
    """Check credential, endpoints, clock and project id, and return a client; None if no request can be sent."""
    project, target = found.project, found.target
    if project is None or target is None:
        found.checks.append(skipped(services.CREDENTIALS, "services", "without a target nothing is asked"))
        yield None
    elif target.emulator:
        with _emulator(found, project, target) as client:
            yield client
    else:
        with _cloud(found, project, target) as client:
            yield client


@contextmanager
def _emulator(found: Diagnosis, project: Project, target: Target) -> Iterator[Client | None]:
    found.checks.append(skipped(services.CREDENTIALS, "credential", "the built-in emulator needs none"))
    try:
        require_own_state(project.folder)
        server = session.emulator(state_folder(project.folder) / f"{target.name}.db")
    except DeployerError as error:
        advice = "check the folder .deployer/ of the project"
        found.checks.append(failed(services.ENDPOINTS, "emulator", str(error), advice, error.exit_code))
        yield None
        return
    with server, Transport(retry=_ONCE) as transport:
        endpoints = dict.fromkeys(_service_names(found.places), server.url)
        for service, address in services.addresses(hosts({}), endpoints, own_ca=False)[1].items():
            found.checks.append(services.endpoint(service, server.url, address, transport).check)
        local = replace(target, endpoints=endpoints)
        yield Client(local, AuthContext(LOCAL, target.project_id), transport)


def _urls(target: Target, places: Sequence[Place]) -> dict[str, str]:
    """Return the URLs of the services that have one. Raises UsageError if a service of `places` has none."""
    needed = {place.kind.service for place in places}
    return {
        service: target.endpoint(service)
        for service in sorted({*_service_names(places), *target.endpoints})
        if service in needed or service in target.endpoints or target.region
    }


def _service_names(places: Sequence[Place]) -> list[str]:
    return sorted({kind.service for kind in KINDS.values()} | {place.kind.service for place in places})


@contextmanager
def _cloud(found: Diagnosis, project: Project, target: Target) -> Iterator[Client | None]:
    checks = found.checks
    try:
        allowed = hosts(os.environ)
        own_ca = ca_file(project.folder, target)
        urls = _urls(target, found.places)
    except DeployerError as error:
        advice = "correct the target in deployer.yaml"
        checks.append(failed(services.ENDPOINTS, "configuration", str(error), advice, error.exit_code))
        yield None
        return
    refused, reached = services.addresses(allowed, urls, own_ca=own_ca is not None)
    # As for every other verb: a credential is not even read while an endpoint may not receive it.
    credential: ResolvedCredential | None = None
    if refused:
        checks.append(skipped(services.CREDENTIALS, "credential", "not read: an endpoint may not receive it"))
    else:
        lines, credential = services.credential(target, os.environ)
        checks += lines
    try:
        iam = services.iam_url(target, credential)
    except DeployerError as error:
        refused.append(failed(services.ENDPOINTS, "iam", str(error), "set endpoints.iam", error.exit_code))
        iam = ""
    if iam:
        urls["iam"] = iam
        problems, more = services.addresses(allowed, {"iam": iam}, own_ca=own_ca is not None)
        refused += problems
        reached |= more
    else:  # permitted or not, no command uses it
        reached.pop("iam", None)
        urls.pop("iam", None)
    checks += machine.proxies(reached.values())
    scrub = credential.scrubber() if credential else str
    try:
        transport = Transport(hosts=allowed, scrub=scrub, ca_file=own_ca, rate=target.rate, retry=_ONCE)
    except DeployerError as error:
        refused.append(failed(services.ENDPOINTS, "caFile", str(error), "correct caFile", error.exit_code))
        checks += refused
        yield None
        return
    with transport:
        checks += refused
        client = _signed_in(found, target, transport, credential, urls, reached)
        yield client if not refused else None


def _signed_in(
    found: Diagnosis,
    target: Target,
    transport: Transport,
    credential: ResolvedCredential | None,
    urls: Mapping[str, str],
    reached: Mapping[str, Address],
) -> Client | None:
    probes = in_parallel(
        lambda service: services.endpoint(service, urls[service], reached[service], transport),
        sorted(reached),
    )
    found.checks += [probe.check for probe in probes]
    found.silent |= {probe.service for probe in probes if probe.check.status is Status.FAILED}
    signs = credential is not None and isinstance(credential.credential, AccessKey)
    found.checks.append(services.clock(probes, signs=signs))
    if credential is None or len(reached) < len(urls):
        found.checks.append(skipped(services.LOGIN, "project id", "no credential can be sent"))
        return None
    if "iam" in found.silent:
        found.checks.append(skipped(services.LOGIN, "project id", "iam does not answer"))
        return None
    checks, context = services.session(target, credential, transport)
    found.checks += checks
    return Client(target, context, transport) if context else None


def permission_checks(found: Diagnosis, client: Client | None) -> None:
    """Check the reads that a plan of the project sends."""
    if client is None:
        found.checks += [
            skipped(services.PERMISSIONS, f"list {place.name}", "not sent: see the checks above")
            for place in found.places
        ]
    else:
        found.checks += services.reads(client, found.places, found.silent)
    found.checks.append(services.writes())


def contract(found: Diagnosis, client: Client) -> ContractReport:
    """Read the listings of all kinds, and compare what they show with the response tables."""
    places = {(place.kind.name, *place.path_values.values()): place for place in found.places}
    for kind in KINDS.values():
        if not kind.path_fields:
            places.setdefault((kind.name,), Place(kind, {}))
    if found.target:
        for place in _places((), found.target):
            places.setdefault((place.kind.name, *place.path_values.values()), place)
    samples = responses.collect(client, [*places.values()], found.silent)
    differences, coverage = responses.compare(samples)
    return ContractReport(
        public_place(found.target), samples, differences, coverage, questions.answers(samples)
    )


def public_place(target: Target | None) -> str:
    """Return the region if its services are the vendor's; the names and hosts of others are not published."""
    if target is None or target.emulator:
        return "built-in emulator"
    urls = _urls(target, ())
    is_vendor = bool(target.region) and all(
        url == of_region(service, target.region) and is_vendor_host(service, prepared(url).address.host)
        for service, url in urls.items()
    )
    return f"region {target.region}" if is_vendor else "endpoints that are not the vendor's"
