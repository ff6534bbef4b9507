"""The fast path of masking: it may say that a spec has nothing to mask, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deployer.kinds.tables import Row

# One of these is in every name of a secret, and in every pattern of a table for the keys of secret values.
IN_NAMES = ("pass", "pw", "secret", "token", "credential", "key", "ak", "sk")

# A secret key of the vendor is at least this long, without a break.
_KEY_LENGTH = 40
_LIKE_A_KEY = re.compile(rf"[A-Za-z0-9]{{{_KEY_LENGTH}}}")


def is_plain(rows: Mapping[str, Row], spec: Mapping[str, Any]) -> bool:
    """Return whether `redact.masked` surely changes nothing in a spec; false is a doubt."""
    for name, value in spec.items():
        row = rows.get(name)
        # The keys of a map are looked at below; a secret field, or a map in a string, is a doubt.
        if row is not None and row.sensitive and (row.sensitive is True or not isinstance(value, dict)):
            return False
    text = repr(spec)  # quicker than a look at each string, and between two strings there is always a quote
    # References are not ASCII, and neither is what only a pattern that ignores case takes for a letter of a name.
    # Some characters are escaped here, such as those of references.
    if not text.isascii() or "\\" in text or ("://" in text and "@" in text):
        return False
    folded = text.lower()
    if any(map(folded.__contains__, IN_NAMES)):
        return False
    return not _LIKE_A_KEY.search(text)
