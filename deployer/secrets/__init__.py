"""Secret references, their values, and the masking of whatever looks like a credential."""

from deployer.secrets.compare import aligned
from deployer.secrets.references import (
    CLOSE,
    FILTERS,
    OPEN,
    SEP,
    deferred,
    holds_mark,
    mark,
    marked,
    names,
    shown,
)
from deployer.secrets.scrub import MASK
from deployer.secrets.store import Secrets, SecretSource

__all__ = [
    "CLOSE",
    "FILTERS",
    "MASK",
    "OPEN",
    "SEP",
    "SecretSource",
    "Secrets",
    "aligned",
    "deferred",
    "holds_mark",
    "mark",
    "marked",
    "names",
    "shown",
]
