"""Which hosts receive credentials, and that the host that is checked is the one that requests connects to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployer.cloud.auth import SigningAuth
from deployer.cloud.connections import Connections
from deployer.cloud.credentials import AccessKey
from deployer.cloud.exchange import Request
from deployer.cloud.hosts import MAX_CA_BYTES, Address, Hosts, ca_file, hosts, prepared
from deployer.errors import UsageError
from deployer.project.regions import is_vendor_host, of_region
from deployer.project.target import Target

SERVICES = ("dli", "mrs", "iam")


def refused(url: str, service: str = "dli", allowed: str = "") -> str:
    """The message for a URL that receives nothing."""
    with pytest.raises(UsageError) as raised:
        hosts({"DEPLOYER_ALLOWED_HOSTS": allowed}).check(service, url)
    return str(raised.value)


@pytest.mark.parametrize(
    ("service", "host"),
    [
        ("dli", "dli.cn-north-4.myhuaweicloud.com"),
        ("mrs", "mrs.my-kualalumpur-1.myhuaweicloud.com"),
        ("iam", "iam.eu-west-101.myhuaweicloud.eu"),
        ("iam", "iam.myhuaweicloud.com"),
        ("mrs", "mrs.ap-southeast-1.myhuaweicloud.cn"),
        ("mrs", "mrs.ap-southeast-1.myhuaweicloud.com"),
        ("dli", "dli.eu-de.otc.t-systems.com"),
        ("dli", "dli.eu-nl.otc.t-systems.com"),
    ],
)
def test_the_vendors_endpoints(service: str, host: str) -> None:
    for url in (f"https://{host}", f"https://{host}:443/v1", f"https://{host.upper()}/v1?a=b"):
        assert Hosts().check(service, url) == Address("https", host, 443)
    assert "must use https" in refused(f"http://{host}", service)
    assert f"set DEPLOYER_ALLOWED_HOSTS={host}:8443 outside" in refused(f"https://{host}:8443", service)
    with pytest.raises(UsageError, match="caFile is not accepted"):
        Hosts().check(service, f"https://{host}", own_ca=True)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "myhuaweicloud.com",
        "dli.myhuaweicloud.com",
        "dli.obs.myhuaweicloud.com",  # a bucket named dli
        "evil.obs.cn-north-4.myhuaweicloud.com",
        "dli.obs.cn-north-4.myhuaweicloud.com",
        "dli.evil.cn-north-4.myhuaweicloud.com",
        "evil.dli.cn-north-4.myhuaweicloud.com",
        "mrs.cn-north-4.myhuaweicloud.com",  # of another service
        "iam.myhuaweicloud.com",
        "obs.cn-north-4.myhuaweicloud.com",
        "dli.cn-north-4.myhuaweicloud.com.evil.com",
        "dli.cn-north-4.myhuaweicloud.com.",
        "dli.cn-north-4.myhuaweicloud.co",
        "dli.cn-north-4.myhuaweicloud.cn",
        "dli.cn-north-4.myhuaweicloud.eu",
        "dli.cn-north-4.xmyhuaweicloud.com",
        "dli-cn-north-4.myhuaweicloud.com",
        "dli.eu-de.t-systems.com",
        "dli.obs.otc.t-systems.com",
        "dli.eu-west-101.otc.t-systems.com",
        "dli.cn-n\u043erth-4.myhuaweicloud.com",  # a Cyrillic letter
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "127.0.0.1.",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "0.0.0.0",  # noqa: S104
        "128.0.0.1",
        "10.0.0.1",
        "[::]",
        "[::2]",
        "[::ffff:127.0.0.1]",
        "[::1%25lo]",
        "[::1%lo]",
    ],
)
def test_no_other_host_receives_credentials(host: str) -> None:
    assert host.encode("idna" if not host.isascii() else "ascii").decode() in refused(f"https://{host}") or (
        f"https://{host} is not a URL" in refused(f"https://{host}")
    )
    refused(f"http://{host}")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "localhost", "LocalHost", "[::1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine(host: str, scheme: str) -> None:
    for url in (f"{scheme}://{host}", f"{scheme}://{host}:8080/v1"):
        assert Hosts().check("dli", url, own_ca=True).host == host.lower()


@pytest.mark.parametrize(
    ("allowed", "yes", "no"),
    [
        ("dli.example.com", "https://dli.example.com", "https://dli.example.com:8443"),
        (" x , DLI.example.com ,", "https://Dli.Example.com/v1", "https://a.dli.example.com"),
        ("dli.example.com:8443", "https://dli.example.com:8443", "https://dli.example.com"),
        ("https://dli.example.com:8443/", "https://dli.example.com:8443", "http://dli.example.com:8443"),
        ("http://dli.example.com:8080", "http://dli.example.com:8080", "https://dli.example.com:8080"),
        ("dli.example.com", "https://dli.example.com:443", "http://dli.example.com"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", "https://[fd00::2]:8443"),
        ("xn--bcher-kva.example", "https://bücher.example", "https://bucher.example"),
        ("10.0.0.1", "https://10.0.0.1", "https://10.0.0.10"),
    ],
)
def test_hosts_that_the_environment_allows(allowed: str, yes: str, no: str) -> None:
    assert hosts({"DEPLOYER_ALLOWED_HOSTS": allowed}).check("dli", yes, own_ca=True)
    message = refused(no, allowed=allowed)
    remedy = re.search(r"set (DEPLOYER_ALLOWED_HOSTS)=(\S+) outside", message)
    assert remedy, message
    assert hosts({remedy[1]: remedy[2]}).check("dli", no)  # the advice is right


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.example.com",
        ".example.com",
        "a b",
        "a@b",
        "ftp://a",
        "a:99999",
        "a:b",
        "a/b",
        "a.",
        "bücher.de",
    ],
)
def test_an_entry_that_is_no_host(entry: str) -> None:
    with pytest.raises(UsageError, match=r"^DEPLOYER_ALLOWED_HOSTS: .* is invalid; expected host"):
        hosts({"DEPLOYER_ALLOWED_HOSTS": f"good.example.com,{entry}"})


@pytest.mark.parametrize(
    "url",
    [
        "https://dli.cn-north-4.myhuaweicloud.com@evil.com",
        "https://u:hunter2@dli.cn-north-4.myhuaweicloud.com",
        "https://evil.com\\@dli.cn-north-4.myhuaweicloud.com",
        "https://evil.com\\.dli.cn-north-4.myhuaweicloud.com",
        "https://evil.com#@dli.cn-north-4.myhuaweicloud.com",
        "https://evil.com?@dli.cn-north-4.myhuaweicloud.com",
        "https://dli.cn-north-4.myhuaweicloud.com\t.evil.com",
        "https://dli.cn-north-4.myhuaweicloud.com%2eevil.com",
        "https:\\\\evil.com",
        "https:/evil.com",
        "https:evil.com",
        "//evil.com",
        "evil.com",
        "ftp://127.0.0.1",
        "httpx://127.0.0.1",
        "https://",
        "https://:443",
        "https://127.0.0.1:x",
        "https://127.0.0.1:99999",
        "https://dli.x@evil.com/.myhuaweicloud.com",
        "https://dli.\ud800.com",
        "",
    ],
)
def test_a_url_that_parsers_read_differently(url: str) -> None:
    assert "hunter2" not in refused(url)


ANY_HOST = st.sampled_from(
    [
        *(f"{s}.cn-north-4.myhuaweicloud.com" for s in SERVICES),
        "127.0.0.1",
        "localhost",
        "[::1]",
        "allowed.example",
    ]
)
PIECE = st.one_of(
    ANY_HOST,
    st.sampled_from(
        ["https://", "HTTP://", "http://", "evil.com", "@", ":", "/", "\\", "?", "#", "%", "%2e", "."]
    ),
    st.sampled_from(
        [":443", ":80", "\t", "\n", " ", "[", "]", "[::1%25", "0x7f.1", "127.1", "u:p@", "。", "İ", "ß"]
    ),
    st.text(max_size=3),
)
ALLOWED = hosts({"DEPLOYER_ALLOWED_HOSTS": "allowed.example,http://allowed.example:8080"})
KEY = AccessKey("ak", "sk", "a test")


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECE, max_size=6).map("".join), st.sampled_from(["", "https://", "http://"]))
@example("dli.cn-north-4.myhuaweicloud.com\\@evil.com", "https://")
@example("evil.com\\@dli.cn-north-4.myhuaweicloud.com", "https://")
@example("127.0.0.1\t.evil.com", "http://")
def test_the_host_that_is_checked_is_the_host_that_is_connected(rest: str, scheme: str) -> None:
    """Whatever the URL: if it passes, it leads to an allowed host, signed or not, also as `requests` reads it."""
    url = f"{scheme}{rest}/v1"
    try:
        ALLOWED.check("dli", url)
    except UsageError:
        return
    sent, address = prepared(url)
    assert prepared(sent) == (sent, address)
    assert sent == str(requests.Request("GET", url).prepare().url).partition("#")[0]
    for request in (Request("GET", sent, {}), SigningAuth(KEY).authenticated(Request("GET", sent, {}))):
        pool = Connections(monotonic).pool(address)
        host = pool.host
        assert host == urlsplit(request.url).hostname
        if host not in {"localhost", "allowed.example", "dli.cn-north-4.myhuaweicloud.com"}:
            assert ip_address(host).is_loopback
        elif host != "localhost":
            secure = pool.scheme == "https" and pool.port == 443
            assert secure or (pool.scheme, host, pool.port) == ("http", "allowed.example", 8080)


@pytest.mark.parametrize(
    "region",
    ["x@evil.com/", "evil.com/", "cn-north-4\n", "", ".", "a.b", "CN-NORTH-4", "é", "x:80", "-a", "x" * 64],
)
def test_a_region_is_a_name(region: str) -> None:
    with pytest.raises(UsageError, match="invalid region"):
        of_region("dli", region)


def test_a_word_that_is_no_region_of_the_vendor_is_refused() -> None:
    for region in ("obs", "evil", "cn-north", "obs-4"):
        assert "not the vendor's endpoint of dli" in refused(of_region("dli", region))


def test_the_regions_of_the_sdk_are_the_vendors() -> None:
    dli = pytest.importorskip("huaweicloudsdkdli.v1.region.dli_region").DliRegion
    mrs = pytest.importorskip("huaweicloudsdkmrs.v2.region.mrs_region").MrsRegion
    for service, regions in (("dli", dli), ("mrs", mrs)):
        for region in regions.static_fields.values():
            for endpoint in region.endpoints:
                assert is_vendor_host(service, endpoint.removeprefix("https://"))


def test_all_endpoints_of_a_target_are_checked() -> None:
    for service in SERVICES:
        target = Target("prod", region="cn-north-4", endpoints={service: "https://evil.com"})
        with pytest.raises(UsageError, match=r"not sent to evil\.com: it is not the vendor's endpoint"):
            Hosts().check_target(target)
    Hosts().check_target(Target("prod", region="cn-north-4"))


# --- caFile -------------------------------------------------------------------------------------------------


def test_a_ca_file_is_a_regular_file_of_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "ca.pem").write_text("x")
    (project / "link").symlink_to("ca.pem")
    (project / "out").symlink_to("/proc/self/environ")
    (project / "large").write_bytes(b"x" * (MAX_CA_BYTES + 1))
    (tmp_path / "other").write_text("x")
    assert ca_file(project, Target("t")) is None
    for file in ("ca.pem", "link"):
        assert ca_file(project, Target("t", ca_file=file)) == project / "ca.pem"
    for file, why in {
        "../other": "is outside ",
        "/etc/passwd": "is outside ",
        "out": "is outside ",
        ".": "is outside ",
        "large": "is longer than 1024 KiB",
        "missing": "No such file or directory",
        "n\0l": "embedded null",
    }.items():
        with pytest.raises(UsageError, match=rf"^invalid caFile .*: .*{why}"):
            ca_file(project, Target("t", ca_file=file))
