"""TLS, and the addresses of the services."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployer.cloud.auth import LOCAL
from deployer.cloud.transport import Call, Transport
from deployer.errors import NotSent, UsageError
from deployer.project.regions import KNOWN, of_region
from deployer.project.target import Target
from testing.client import Time
from testing.workspace import ROOT, SPECS, Workspace, manifest

# A certificate for this machine that signed itself, until 2126. Its key guards nothing.
TLS = ROOT / "tests" / "cases" / "tls"
CERTIFICATE = TLS / "cert.pem"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response_only(200)
        self.end_headers()
        self.wfile.write(b'{"sessions": [], "total": 0}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Nothing: clients hang up on a certificate that they do not trust."""


@pytest.fixture
def https() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, TLS / "key.pem")
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def usual_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def get(url: str, *, ca_file: Path | None = None, time: Time | None = None) -> object:
    with Transport(ca_file=ca_file, clock=(time or Time()).clock) as transport:
        return transport.send(Call("dli", url, "GET", "/", LOCAL)).value


def test_a_certificate_that_nobody_vouches_for(https: str) -> None:
    time = Time()
    with pytest.raises(NotSent, match=r"the server certificate is not trusted: self[- ]signed"):
        get(https, time=time)
    assert time.slept == []


def test_a_certificate_of_ones_own(https: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(https, ca_file=CERTIFICATE) == {"sessions": [], "total": 0}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "missing.pem"))
    assert get(https, ca_file=CERTIFICATE) == {"sessions": [], "total": 0}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    assert get(https) == {"sessions": [], "total": 0}


def test_a_bundle_of_the_environment_that_is_missing(https: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "missing.pem"))
    with pytest.raises(NotSent, match=r"cannot send the request: .*missing\.pem"):
        get(https)


@pytest.mark.parametrize(
    ("file", "why"),
    [("missing.pem", "No such file or directory"), ("key.pem", "contains no certificate"), (".", "")],
)
def test_a_ca_file_that_is_none(file: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"invalid caFile .*: {why}"):
        Transport(ca_file=TLS / file)


def test_the_ca_file_of_a_target(bare: Workspace, https: str) -> None:
    bare.write("one.yaml", manifest("SparkBatch", "alpha", SPECS["SparkBatch"]))
    bare.write("certificates/ca.pem", CERTIFICATE.read_text())
    bare.url = https
    bare.write_project(caFile="certificates/ca.pem")
    ran = bare.run("plan")
    assert (ran.code, "1 to create" in ran.out) == (0, True)
    bare.write_project(caFile="ca.pem")
    ran = bare.run("plan")
    assert (ran.code, "invalid caFile " in ran.err and ": No such file" in ran.err) == (3, True)


@pytest.mark.parametrize(
    "base", ["http://dli.example.com", "ftp://127.0.0.1", "https://", "127.0.0.1:80", ""]
)
def test_credentials_travel_to_https_or_this_machine_only(base: str) -> None:
    with pytest.raises(UsageError, match=r"must use https|is not a URL"):
        get(base)


@pytest.mark.parametrize(
    ("service", "region", "url"),
    [
        ("dli", "cn-north-4", "https://dli.cn-north-4.myhuaweicloud.com"),
        ("iam", "eu-west-101", "https://iam.eu-west-101.myhuaweicloud.eu"),
        ("mrs", "eu-de", "https://mrs.eu-de.otc.t-systems.com"),
        ("mrs", "ap-southeast-1", "https://mrs.ap-southeast-1.myhuaweicloud.cn"),
        ("dli", "ap-southeast-1", "https://dli.ap-southeast-1.myhuaweicloud.com"),
    ],
)
def test_the_endpoints_of_a_region(service: str, region: str, url: str) -> None:
    assert of_region(service, region) == url
    assert Target("prod", region=region).endpoint(service) == url
    other = Target("prod", region=region, endpoints={service: "https://here.example.com/"})
    assert other.endpoint(service) == "https://here.example.com"


def test_the_endpoints_of_the_sdk() -> None:
    dli = pytest.importorskip("huaweicloudsdkdli.v1.region.dli_region").DliRegion
    mrs = pytest.importorskip("huaweicloudsdkmrs.v2.region.mrs_region").MrsRegion
    ours, theirs = {}, {}
    for service, regions in (("dli", dli), ("mrs", mrs)):
        for region in regions.static_fields.values():
            ours[service, region.id] = [of_region(service, region.id)]
            theirs[service, region.id] = list(region.endpoints)
    assert len(theirs) > 50
    assert ours == theirs
    known = {(service, region) for service, regions in KNOWN.items() for region in regions}
    assert known - {*theirs} == {("dli", "eu-de"), ("mrs", "eu-de")}
    assert {*theirs} <= known
