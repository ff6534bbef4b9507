"""The characters that files cannot contain: placeholders, markers, secrets and parameters are made of them."""

from __future__ import annotations

import re

RESERVED = re.compile("[\ue000-\ue009]")
# One of them as an escape in double quotes.
ESCAPED = re.compile(r"\\(u|U0000)[eE]00[0-9]")
MESSAGE = "characters U+E000 to U+E009 are reserved for internal use"
