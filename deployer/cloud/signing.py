"""AK/SK signing with SDK-HMAC-SHA256, as in the vendor's "API Request Signing Guide" and `huaweicloudsdkcore`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

ALGORITHM = "SDK-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def authorization(ak: str, sk: str, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the Authorization header of a request; all `headers` are signed."""
    lines = sorted((name.lower(), value.strip()) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    parts = urlsplit(url)
    canonical = "\n".join(
        (
            method.upper(),
            _path(parts.path),
            canonical_query(parts.query),
            *(f"{name}:{value}" for name, value in lines),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, dict(lines)["x-sdk-date"], digest))
    signature = hmac.new(sk.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Access={ak}, SignedHeaders={names}, Signature={signature}"


def canonical_query(query: str) -> str:
    """Return a query in the form that is signed and must be sent: sorted by name and value, a blank as %20."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    decoded = sorted((unquote(name), unquote(value)) for name, value in pairs)
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in decoded)


def _path(path: str) -> str:
    """Return each segment quoted, with a / at the end even if the URL has none."""
    canonical = "/".join(_quoted(segment) for segment in unquote(path).split("/"))
    return canonical if canonical.endswith("/") else f"{canonical}/"


def _quoted(text: str) -> str:
    return quote(text, safe="~")
