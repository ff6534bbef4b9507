"""SDK-HMAC-SHA256, as the gateway verifies it ("API Request Signing Guide", "AK/SK Signing Algorithm").

All strings here have one character per byte of the request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_to_bytes

_HEADER = re.compile(r"SDK-HMAC-SHA256 Access=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Claim:
    """The content of an Authorization header: access key, signed headers and signature."""

    access: str
    signed: tuple[str, ...]
    signature: str


def claim(header: str) -> Claim | None:
    found = _HEADER.fullmatch(header)
    return Claim(found[1], tuple(found[2].split(";")), found[3]) if found else None


def canonical_request(
    method: str, target: str, headers: Mapping[str, str], signed: Collection[str], body: bytes
) -> str:
    """Return the text that is signed; `headers` have lower-case names, and include all that are `signed`."""
    path, _, query = target.partition("?")
    lines = [
        method.upper(),
        _path(path),
        _query(query),
        *(f"{name}:{headers[name].strip()}" for name in signed),
        "",
        ";".join(signed),
        _payload(headers, body),
    ]
    return "\n".join(lines)


def signature(secret: str, date: str, canonical: str) -> str:
    """Return the signature. The secret itself is the key: this algorithm derives none."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    text = f"SDK-HMAC-SHA256\n{date}\n{digest}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _path(path: str) -> str:
    """Return the path with a slash at the end, even if the request has none."""
    quoted = quote(unquote_to_bytes(path), safe="/~")
    return quoted if quoted.endswith("/") else f"{quoted}/"


def _query(query: str) -> str:
    """Return the query. A plus sign is literal: a client that sent it for a blank has another signature."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    decoded = sorted((unquote(name), unquote(value)) for name, _, value in pairs)
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in decoded)


def _payload(headers: Mapping[str, str], body: bytes) -> str:
    """Return the hash of the body. The vendor's SDK does not hash a non-JSON body; a signed header states that."""
    if body and headers.get("x-sdk-content-sha256") == "UNSIGNED-PAYLOAD":
        return "UNSIGNED-PAYLOAD"
    return hashlib.sha256(body).hexdigest()
