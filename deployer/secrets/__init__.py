"""Secret references, their values, and the masking of credentials.

Public: the names below, for templates and manifests; `store.Secrets` and `store.SecretSource`;
`compare.align_references`; `pointers.secret_pointers`, where a spec has secrets; `redact.masked` and `redact.redacted`;
`scrub.MASK`; `excerpt.shown_lines`; `files`, which reads no file outside of a folder.
"""

from deployer.secrets.references import (
    FILTERS,
    OPEN,
    deferred_reference,
    has_reference,
    may_have_marks,
    reference,
)

__all__ = ["FILTERS", "OPEN", "deferred_reference", "has_reference", "may_have_marks", "reference"]
