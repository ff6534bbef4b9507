"""Secret references, their values, and the masking of credentials."""

from deployer.secrets.compare import align_references
from deployer.secrets.references import (
    CLOSE,
    FILTERS,
    OPEN,
    SEP,
    deferred_reference,
    display_text,
    has_reference,
    reference,
    referenced_names,
    texts_with_references,
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
    "align_references",
    "deferred_reference",
    "display_text",
    "has_reference",
    "reference",
    "referenced_names",
    "texts_with_references",
]
