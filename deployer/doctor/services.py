"""Checks of a target's services: endpoints, clock, credential, project, and each read that a plan needs.

Only reads are sent, and the login of a user with a password. A refused credential is sent once: a key or a user is
locked after several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.cloud.auth import AuthContext, PasswordAuth, sign_in
from deployer.cloud.client import Client
from deployer.cloud.credentials import Password, ResolvedCredential, find
from deployer.cloud.hosts import Address, Hosts
from deployer.cloud.iam import NoAuth
from deployer.cloud.transport import Call, Transport
from deployer.doctor.check import Check, Status, failed, ok, skipped, warning
from deployer.errors import ApiError, DeployerError, NotSent, RequestFailed, ResponseTimeout, UsageError
from deployer.kinds.kind import Kind, text
from deployer.project.target import Target

CREDENTIALS = "credentials"
ENDPOINTS = "endpoints"
CLOCK = "clock"
LOGIN = "login"
PERMISSIONS = "permissions"

# A signature is refused beyond 15 minutes; with a token, only times in reports are wrong.
_WARN_SECONDS, _REFUSED_SECONDS = 60, 15 * 60
_METHODS = {"token": "a token", "aksk": "an access key", "password": "a user and password"}


@dataclass(frozen=True, slots=True)
class Place:
    """A listing that a plan reads: a kind, and for some kinds a cluster."""

    kind: Kind
    path_values: Mapping[str, str]

    @property
    def name(self) -> str:
        return " in ".join((self.kind.name, *self.path_values.values()))


def credential(
    target: Target, environment: Mapping[str, str]
) -> tuple[list[Check], ResolvedCredential | None]:
    """Check which credential is used, by the names of its variables."""
    try:
        found = find(target, environment)
    except DeployerError as error:
        advice = "set one of them where deployer runs, never in a file of the repository"
        return [failed(CREDENTIALS, "credential", str(error), advice, error.exit_code)], None
    source = found.credential.source
    checks = [ok(CREDENTIALS, "credential", source)]
    others = [name for name in _other_sources(target, environment) if name != source]
    if others:
        checks.append(ok(CREDENTIALS, "not used", f"{'; '.join(others)}: the first one has precedence"))
    return checks, found


def _other_sources(target: Target, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the sources of the credentials that another `auth.method` would use."""
    if target.auth:
        return
    for method in _METHODS:
        try:
            yield find(replace(target, auth=method, variable=""), environment).credential.source
        except DeployerError:
            continue


def iam_url(target: Target, found: ResolvedCredential | None) -> str:
    """Return the URL of IAM if a command would use it; empty if not. Raises UsageError."""
    if found is None:
        return ""
    needs_login = isinstance(found.credential, Password)
    if not needs_login and (target.project_id or found.project_id):
        return ""
    return target.endpoints.get("iam") or found.iam or target.endpoint("iam")


def addresses(
    hosts: Hosts, urls: Mapping[str, str], *, own_ca: bool
) -> tuple[list[Check], dict[str, Address]]:
    """Check that each service's URL may receive a credential, and return where it leads."""
    checks: list[Check] = []
    found: dict[str, Address] = {}
    for service, url in urls.items():
        try:
            found[service] = hosts.check(service, url, own_ca=own_ca)
        except UsageError as error:
            advice = "correct region or endpoints of the target"
            checks.append(failed(ENDPOINTS, service, str(error), advice, error.exit_code))
    return checks, found


@dataclass(frozen=True, slots=True)
class Probe:
    """The check of an endpoint. `skew`: by how many seconds the local clock was ahead; None without a response."""

    service: str
    check: Check
    skew: float | None = None


def endpoint(service: str, url: str, address: Address, transport: Transport) -> Probe:
    """Check that a service answers over HTTP, by a request without a credential."""
    base = url.rstrip("/").removesuffix("/v3") if service == "iam" else url
    try:
        transport.send(Call(service, base.rstrip("/"), "GET", "/", NoAuth()))
        status = 200
    except UsageError as error:
        return Probe(
            service, failed(ENDPOINTS, service, str(error), "correct the certificates", error.exit_code)
        )
    except ApiError as error:
        if not error.status:
            return Probe(service, failed(ENDPOINTS, service, str(error), _unreachable(error)))
        status = error.status
    now, then = transport.clock.utc(), transport.server_time
    return Probe(service, _answered(service, address, status), now - then.timestamp() if then else None)


def _answered(service: str, address: Address, status: int) -> Check:
    encrypted = "TLS verified" if address.scheme == "https" else "no TLS"
    if 300 <= status < 400 or status in {407, 502, 503, 504}:
        return warning(
            ENDPOINTS,
            service,
            f"{address.entry} resolves, {encrypted}, but answers HTTP {status}",
            "look for a proxy or a login page before the service, or try again later",
        )
    return ok(
        ENDPOINTS, service, f"{address.entry} resolves, {encrypted}, HTTP {status} without a credential"
    )


def _unreachable(error: ApiError) -> str:
    words = str(error)
    if "resolve" in words:
        return "check region and endpoints of the target, and the name server or proxy of this machine"
    if "certificate" in words or "TLS" in words:
        return (
            "set REQUESTS_CA_BUNDLE to the certificates of your proxy, or caFile to those of a private cloud"
        )
    return "check the network, the firewall, and HTTPS_PROXY and NO_PROXY of this machine"


def clock(probes: Iterable[Probe], *, signs: bool) -> Check:
    """Check the local clock against the first service that told its time; a signature has a time."""
    seconds = next((probe.skew for probe in probes if probe.skew is not None), None)
    if seconds is None:
        return skipped(CLOCK, "clock", "no response had a Date header")
    skew = round(seconds)
    words = f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the service" if skew else "as the service"
    advice = "set the clock of this machine, with NTP"
    if signs and abs(skew) > _REFUSED_SECONDS:
        return failed(CLOCK, "clock", f"{words}: signatures are refused beyond 15 minutes", advice)
    if abs(skew) > _WARN_SECONDS:
        return warning(CLOCK, "clock", words, advice)
    return ok(CLOCK, "clock", words)


def session(
    target: Target, found: ResolvedCredential, transport: Transport
) -> tuple[list[Check], AuthContext | None]:
    """Log in if the credential is a password, and find the project id."""
    try:
        context = sign_in(target, found, transport)
        checks = [_token_life(context)]
    except ApiError as error:
        return [failed(LOGIN, "login", str(error), _advice(error)), _no_project()], None
    except UsageError as error:
        advice = "set projectId of the target (console: My Credentials)"
        return [failed(LOGIN, "project id", str(error), advice, error.exit_code)], None
    source = "deployer.yaml" if target.project_id else "the environment or credentials file"
    if not (target.project_id or found.project_id):
        source = "IAM, by the name of the region"
    return [*checks, ok(LOGIN, "project id", f"{context.project_id}, from {source}")], context


def _no_project() -> Check:
    return skipped(LOGIN, "project id", "the login failed")


def _token_life(context: AuthContext) -> Check:
    if isinstance(context.auth, PasswordAuth):
        minutes = context.auth.token().seconds / 60
        return ok(LOGIN, "login", f"accepted; the token is valid for {minutes / 60:.1f} hours, then renewed")
    if context.credential is None:
        return skipped(LOGIN, "token", "the built-in emulator needs no credential")
    return skipped(LOGIN, "token", f"not known without asking IAM; {context.credential.check}")


def reads(client: Client, places: Sequence[Place], silent: set[str]) -> Iterator[Check]:
    """Check each read that a plan sends for the kinds of the project, except for services that are `silent`."""
    for place in places:
        kind = place.kind
        name = f"list {place.name}"
        if reason := _reason_to_skip(client, kind, silent):
            yield skipped(PERMISSIONS, name, reason)
            continue
        try:
            page = client.first_page(kind, place.path_values, {})
        except ApiError as error:
            if isinstance(error, NotSent | ResponseTimeout):
                silent.add(kind.service)
            yield _refused(name, error)
            continue
        except UsageError as error:
            advice = "set region or endpoints of the target"
            yield failed(PERMISSIONS, name, str(error), advice, error.exit_code)
            continue
        yield ok(PERMISSIONS, name, f"allowed; {page.total} in the list")
        identifier = next(filter(None, (text(entry.get(kind.listing.id)) for entry in page.entries)), "")
        yield from _reads_of_one(client, place, identifier)


def _reads_of_one(client: Client, place: Place, identifier: str) -> Iterator[Check]:
    """Check the reads of one job."""
    kind = place.kind

    def show() -> bool:
        return client.show(kind, identifier, place.path_values) is not None

    def read_tags() -> bool:
        client.tags(kind, identifier)
        return True

    if kind.operations.get:
        yield _read_of_one(client, f"show {place.name}", identifier, show)
    if kind.operations.list_tags:
        yield _read_of_one(client, f"tags of {place.name}", identifier, read_tags)


def _read_of_one(client: Client, name: str, identifier: str, read: Callable[[], bool]) -> Check:
    if not identifier:
        return skipped(PERMISSIONS, name, "no job is listed")
    if client.is_refused:
        return skipped(PERMISSIONS, name, _REFUSED)
    try:
        is_found = read()
    except ApiError as error:
        return _refused(name, error)
    if is_found:
        return ok(PERMISSIONS, name, "allowed")
    advice = "run it again: the job may have been deleted in between"
    return warning(PERMISSIONS, name, "allowed, but a listed job does not exist", advice)


_REFUSED = "not sent: the credential has been refused"


def _reason_to_skip(client: Client, kind: Kind, silent: set[str]) -> str:
    if client.is_refused:
        return _REFUSED
    return f"{kind.service} does not answer" if kind.service in silent else ""


def _refused(name: str, error: ApiError) -> Check:
    return failed(PERMISSIONS, name, str(error), _advice(error))


def writes() -> Check:
    """Tell that writes are not tried."""
    return Check(
        PERMISSIONS,
        "writes",
        Status.SKIPPED,
        "not tried: nothing may change; create, update, stop and cancel may still be refused",
        "apply a job of no consequence first; the vendor's pages on permissions of DLI and MRS name the actions",
    )


def _advice(error: ApiError) -> str:
    if error.status == 401:
        return "renew the credential; it was sent once and is not repeated, because repeated errors lock it"
    if error.status == 403:
        return "ask the administrator of the account for this permission in this project"
    if error.status == 404:
        return "check the region, and whether the service is offered there"
    if error.status == 429:
        return "try again in a minute, or lower rate.requestsPerSecond of the target"
    if isinstance(error, RequestFailed):
        return "look the code up in the error codes of the service's API reference"
    return "try again; if it stays, check the network and the proxy of this machine"
