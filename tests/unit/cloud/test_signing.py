"""Signatures: fixed vectors, the signer of huaweicloudsdkcore as an oracle, and requests over HTTP."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.clock import Clock
from deployer.cloud.auth import SigningAuth
from deployer.cloud.credentials import AccessKey
from deployer.cloud.signing import authorization, canonical_query
from deployer.cloud.transport import Call as Sent
from deployer.cloud.transport import Transport
from testing.faults import Call, FaultProxy, says

HOST = "dli.cn-north-4.myhuaweicloud.com"
DATE = "20240101T000000Z"
HEADERS = {"Host": HOST, "X-Project-Id": "pid", "X-Sdk-Date": DATE}
KEY = AccessKey("AKID", "SKSECRET", "the access key of the test")


@pytest.mark.parametrize(
    ("method", "query", "more", "body", "names", "signature"),
    [
        (
            "GET",
            "?size=100&from=0&job_name=a%20b~c",
            {},
            b"",
            "host;x-project-id;x-sdk-date",
            "45ce707e6b5fead5bf965ed2ab2f3ccd695b9afa5988d447867d54fb44859322",
        ),
        (
            "POST",
            "",
            {"Content-Type": "application/json"},
            b'{"a": 1}',
            "content-type;host;x-project-id;x-sdk-date",
            "49593bc4d701dc77bc8e0413ef6ecedf920f8f1f3d7ccba51eb141534576d394",
        ),
    ],
)
def test_the_vectors(
    method: str, query: str, more: dict[str, str], body: bytes, names: str, signature: str
) -> None:
    url = f"https://{HOST}/v2.0/pid/batches{query}"
    assert authorization("AKID", "SKSECRET", method, url, HEADERS | more, body) == (
        f"SDK-HMAC-SHA256 Access=AKID, SignedHeaders={names}, Signature={signature}"
    )


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("b=1&a=2", "a=2&b=1"),
        ("a=2&a=1", "a=1&a=2"),
        ("a=x%20y&b=%7E~", "a=x%20y&b=~~"),
        ("a=x+y", "a=x%2By"),
        ("a", "a="),
        ("a=b=c&&", "a=b%3Dc"),
        ("n=%E4%BD%A0/*", "n=%E4%BD%A0%2F%2A"),
    ],
)
def test_a_query_is_sent_as_it_is_signed(query: str, canonical: str) -> None:
    assert canonical_query(query) == canonical
    assert canonical_query(canonical) == canonical


@dataclass
class _Key:
    ak: str
    sk: str


def oracle(sk: str, method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """What the vendor's own signer says."""
    sdk_request = pytest.importorskip("huaweicloudsdkcore.sdk_request")
    signer = pytest.importorskip("huaweicloudsdkcore.signer.signer")
    parts = urlsplit(url)
    request = sdk_request.SdkRequest(
        method,
        schema=parts.scheme,
        host=parts.netloc,
        resource_path=parts.path,
        query_params=parse_qsl(parts.query, keep_blank_values=True),
        header_params=dict(headers),
        body=body,
    )
    signed: str = signer.Signer(_Key("AKID", sk)).sign(request).header_params["Authorization"]
    return signed


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_plain = st.text("abcXYZ019-._~", min_size=1, max_size=12)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.lists(_text, max_size=4),
    query=st.dictionaries(_text.filter(bool), _text, max_size=4),
    headers=st.dictionaries(st.sampled_from(["X-A", "X-Project-Id", "x-security-token"]), _plain),
    body=st.binary(max_size=64),
    sk=st.text("abcXYZ019+/%", min_size=1, max_size=40),
)
def test_the_vendor_signs_the_same(
    method: str, path: list[str], query: dict[str, str], headers: dict[str, str], body: bytes, sk: str
) -> None:
    prepared = requests.Request(method, f"https://{HOST}/v1/x", params=query).prepare()
    quoted = "/".join(quote(part, safe="") for part in path)
    url = f"https://{HOST}/{quoted}?{canonical_query(urlsplit(str(prepared.url)).query.replace('+', '%20'))}"
    headers = {**headers, "Host": HOST, "X-Sdk-Date": DATE}
    assert authorization("AKID", sk, method, url, headers, body) == oracle(sk, method, url, headers, body)


def sent(auth: SigningAuth, method: str, path: str, **more: Any) -> Call:
    """What a server sees of a signed request."""
    with FaultProxy("") as server:
        server.rule(method, "", says(200, {}))
        with Transport() as transport:
            transport.send(Sent("dli", server.url, method, path, auth, **more))
        return server.calls[0]


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/v2.0/pid/batches", {"query": {"size": "100", "from": "0", "job_name": "a b~c+d/ä"}}),
        ("GET", "/v2/pid/clusters/..%2Fx%20y/job-executions", {}),
        ("POST", "/v2.0/pid/batches", {"body": {"name": "ä"}}),
        ("DELETE", "/v2.0/pid/batches/1", {}),
    ],
)
def test_what_arrives_is_what_was_signed(method: str, path: str, more: dict[str, Any]) -> None:
    key = AccessKey("AKID", "SKSECRET", "", security_token="temporary")  # noqa: S106
    call = sent(SigningAuth(key, "pid", Clock(utc=lambda: 1_704_067_200.9)), method, path, **more)
    scheme, _, parameters = call.headers["Authorization"].partition(" ")
    names = dict(item.split("=", 1) for item in parameters.split(", "))["SignedHeaders"].split(";")
    expected = {"host", "x-sdk-date", "x-project-id", "x-security-token"}
    assert {*names} == expected | ({"content-type"} if "body" in more else set())
    assert (scheme, call.headers["X-Sdk-Date"]) == ("SDK-HMAC-SHA256", DATE)
    seen = {name: value for name, value in call.headers.items() if name.lower() in names}
    url = f"http://{call.headers['Host']}{call.path}"
    assert authorization("AKID", "SKSECRET", method, url, seen, call.body) == call.headers["Authorization"]
    assert urlsplit(url).query == canonical_query(urlsplit(url).query)


def test_without_a_project_or_a_security_token_neither_is_sent() -> None:
    call = sent(SigningAuth(KEY), "GET", "/v3/projects")
    assert {"X-Project-Id", "X-Security-Token"}.isdisjoint(call.headers)
    assert "SignedHeaders=host;x-sdk-date," in call.headers["Authorization"]


def test_no_key_in_what_is_shown() -> None:
    shown = f"{KEY!r} {SigningAuth(KEY)!r} {vars(SigningAuth(KEY))!r}"
    assert "SKSECRET" not in shown
    assert "AKID" not in shown
    assert hashlib.sha256(b"").hexdigest() not in shown
