"""Tests how the emulator checks signed requests. The signatures of the vectors are from the vendor's SDK."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from deployer.emulator.signature import canonical_request, claim, signature

from .conftest import Api, Clock

AK, SK = "AKID", "SKSECRET"
DATE = "20240101T000000Z"
HOST = "dli.cn-north-4.myhuaweicloud.com"
HEADERS = {"Host": HOST, "X-Project-Id": "pid", "X-Sdk-Date": DATE}
QUERY = "/v2.0/pid/batches?from=0&job_name=a%20b~c&size=100"
BATCHES = "/v2.0/pid/batches"

Start = Callable[..., Api]


def authorization(signature: str, headers: str = "host;x-project-id;x-sdk-date", ak: str = AK) -> str:
    return f"SDK-HMAC-SHA256 Access={ak}, SignedHeaders={headers}, Signature={signature}"


# What the SDK's own signer made of two requests.
GET = {
    **HEADERS,
    "Authorization": authorization("45ce707e6b5fead5bf965ed2ab2f3ccd695b9afa5988d447867d54fb44859322"),
}
POST = {
    **HEADERS,
    "Content-Type": "application/json",
    "Authorization": authorization(
        "49593bc4d701dc77bc8e0413ef6ecedf920f8f1f3d7ccba51eb141534576d394",
        "content-type;host;x-project-id;x-sdk-date",
    ),
}


@pytest.fixture
def api(start: Start, clock: Clock) -> Api:
    clock.now = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    return start(ak=AK, sk=SK)


def sign(
    method: str, path: str, body: bytes = b"", date: str = DATE, sk: str = SK, **more: Any
) -> dict[str, str]:
    """A signer in few lines, from the rules alone; it takes paths and queries that need no quoting."""
    headers = {"Host": "h", "X-Sdk-Date": date, **more}
    named = sorted((name.lower(), value) for name, value in headers.items())
    signed = ";".join(name for name, _ in named)
    lines = "".join(f"{name}:{value}\n" for name, value in named)
    path, _, query = path.partition("?")
    text = f"{method}\n{path}/\n{query}\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    text = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(text.encode()).hexdigest()}"
    return {
        **headers,
        "Authorization": authorization(hmac.new(sk.encode(), text.encode(), "sha256").hexdigest(), signed),
    }


def refusal(response: requests.Response) -> str:
    """Why a call was refused."""
    body = response.json()
    assert (response.status_code, body["error_code"]) == (401, "APIGW.0301")
    assert body["request_id"] == response.headers["X-Request-Id"]
    intro, _, why = body["error_msg"].partition(": ")
    assert intro == "Incorrect IAM authentication information"
    return str(why)


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"), [("GET", QUERY, GET, b""), ("POST", BATCHES, POST, b'{"a": 1}')]
)
def test_vectors(method: str, target: str, headers: dict[str, str], body: bytes) -> None:
    claimed = claim(headers["Authorization"])
    assert claimed is not None
    lower = {name.lower(): value for name, value in headers.items()}
    assert (
        signature(SK, DATE, canonical_request(method, target, lower, claimed.signed, body))
        == claimed.signature
    )


def test_the_vectors_are_let_in(api: Api) -> None:
    assert api.call("GET", QUERY, headers=GET).json()["total"] == 0
    # It is the service that does not like the body.
    assert api.call("POST", BATCHES, headers=POST, data=b'{"a": 1}').json()["error_code"] == "DLI.0001"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", QUERY.replace("100", "10"), GET, b""),
        ("GET", QUERY.replace("%20", "+"), GET, b""),
        ("GET", QUERY.replace("pid", "other"), GET, b""),
        ("DELETE", QUERY, GET, b""),
        ("GET", QUERY, {**GET, "X-Project-Id": "other"}, b""),
        ("GET", QUERY, {**GET, "Host": "mrs.cn-north-4.myhuaweicloud.com"}, b""),
        ("POST", BATCHES, POST, b'{"a": 2}'),
        ("POST", BATCHES, {**POST, "Content-Type": "application/json;charset=utf8"}, b'{"a": 1}'),
    ],
)
def test_what_was_signed_cannot_be_changed(
    api: Api, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    why = refusal(api.call(method, path, headers=headers, data=body))
    assert why.startswith(f"verify aksk signature fail, canonicalRequest:{method}|/v2.0/")
    assert SK not in why


def test_the_order_of_a_query_does_not_matter(api: Api) -> None:
    other = "/v2.0/pid/batches?size=100&job_name=a%20b~c&from=0"
    assert api.call("GET", other, headers=GET).status_code == 200


def test_a_body_that_is_not_signed(api: Api) -> None:
    """As the vendor's SDK does it with content that is not JSON."""
    canonical = (
        "POST\n/v2.0/pid/batches/\n\ncontent-type:text/csv\nhost:h\n"
        f"x-sdk-content-sha256:UNSIGNED-PAYLOAD\nx-sdk-date:{DATE}\n\n"
        "content-type;host;x-sdk-content-sha256;x-sdk-date\nUNSIGNED-PAYLOAD"
    )
    headers = {
        "Host": "h",
        "Content-Type": "text/csv",
        "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD",
        "X-Sdk-Date": DATE,
        "Authorization": authorization(
            signature(SK, DATE, canonical), "content-type;host;x-sdk-content-sha256;x-sdk-date"
        ),
    }
    assert api.call("POST", BATCHES, headers=headers, data=b"a,b").json()["error_code"] == "DLI.0001"


@pytest.mark.parametrize(("minutes", "right"), [(-15, True), (15, True), (-15.1, False), (15.1, False)])
def test_the_clocks_may_differ_by_15_minutes(api: Api, clock: Clock, minutes: float, right: bool) -> None:
    clock.now += 60 * minutes
    response = api.call("GET", QUERY, headers=GET)
    if right:
        assert response.status_code == 200
    else:
        server = datetime.fromtimestamp(clock.now, UTC).strftime("%Y%m%dT%H%M%SZ")
        assert refusal(response) == f"signature expired, signature time:{DATE},server time:{server}"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({**GET, "Authorization": "Basic YTpi"}, "authorization format is incorrect"),
        (
            {**GET, "Authorization": authorization("0" * 64, ak="OTHER")},
            "Get secretKey failed,ak:OTHER,err:ak not exist",
        ),
        ({**GET, "X-Sdk-Date": "yesterday"}, "x-sdk-date 'yesterday' is not in the format YYYYMMDDTHHMMSSZ"),
        (
            {**GET, "Authorization": authorization("0" * 64, "x-sdk-date")},
            "the signed headers must be there, and host, x-sdk-date signed",
        ),
        (
            {**GET, "Authorization": authorization("0" * 64, "host;x-sdk-date;x-not-there")},
            "the signed headers must be there, and host, x-sdk-date signed",
        ),
        ({"Host": HOST}, "x-auth-token not found"),
    ],
)
def test_other_ways_to_be_refused(api: Api, headers: dict[str, str], why: str) -> None:
    assert refusal(api.call("GET", QUERY, headers=headers)) == why


def test_five_wrong_signatures_lock_the_key_for_five_minutes(api: Api, clock: Clock) -> None:
    wrong, right = sign("GET", BATCHES, sk="guess"), sign("GET", BATCHES)
    for _ in range(4):
        assert "verify aksk signature fail" in refusal(api.call("GET", BATCHES, headers=wrong))
    assert api.call("GET", BATCHES, headers=right).status_code == 200, "and the count begins again"
    for _ in range(5):
        assert "verify aksk signature fail" in refusal(api.call("GET", BATCHES, headers=wrong))
    locked = "AK access failed to reach the limit,forbidden."
    assert refusal(api.call("GET", BATCHES, headers=right)) == locked
    clock.now += 299
    assert refusal(api.call("GET", BATCHES, headers=right)) == locked
    clock.now += 1
    assert api.call("GET", BATCHES, headers=right).status_code == 200


def test_a_temporary_key_needs_its_token_among_the_signed_headers(start: Start, clock: Clock) -> None:
    clock.now = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    api = start(ak=AK, sk=SK, security_token="temporary")  # noqa: S106

    def get(headers: dict[str, Any]) -> requests.Response:
        return api.call("GET", BATCHES, headers=headers)

    token: dict[str, Any] = {"X-Security-Token": "temporary"}
    assert get(sign("GET", BATCHES, **token)).status_code == 200
    assert refusal(get(sign("GET", BATCHES))) == "the security token is invalid"
    older: dict[str, Any] = {"X-Security-Token": "older"}
    assert refusal(get(sign("GET", BATCHES, **older))) == "the security token is invalid"
    unsigned = refusal(get({**sign("GET", BATCHES), **token}))
    assert unsigned == "the signed headers must be there, and host, x-sdk-date, x-security-token signed"


def test_a_token_does_as_well_as_a_signature(start: Start, clock: Clock) -> None:
    clock.now = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    api = start(ak=AK, sk=SK, token="a-token")  # noqa: S106
    for headers in (sign("GET", BATCHES), {"X-Auth-Token": "a-token"}):
        assert api.call("GET", BATCHES, headers=headers).status_code == 200
    assert refusal(api.call("GET", BATCHES, headers={"X-Auth-Token": "other"})) == "decrypt token fail"


def test_without_a_key_signatures_are_not_looked_at(start: Start) -> None:
    assert start().call("GET", BATCHES, headers=sign("GET", BATCHES, sk="any")).status_code == 200


def test_with_a_token_only_no_key_is_known(start: Start) -> None:
    api = start(token="a-token")  # noqa: S106
    why = refusal(api.call("GET", BATCHES, headers=sign("GET", BATCHES)))
    assert why == "Get secretKey failed,ak:AKID,err:ak not exist"
