"""JSON Schemas from the parameter tables, and the violations and broken rules of a document.

Public: `validate.violations`, `rules.broken`, `explain.explain`, `files.generate`. They are not imported here: each
needs other libraries. `verdict` is the fast path of `validate` and `rules`, `violations` the careful one of `validate`.
"""
