"""The characters that files cannot contain: placeholders, markers and secret references are made of them."""

from __future__ import annotations

import re

RESERVED = re.compile("[\ue000-\ue007]")
# One of them as an escape in double quotes.
ESCAPED = re.compile(r"\\(u|U0000)[eE]00[0-7]")
MESSAGE = "characters U+E000 to U+E007 are reserved for internal use"
