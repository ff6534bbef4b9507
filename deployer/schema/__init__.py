"""JSON Schemas from the parameter tables, and the violations and broken rules of a document.

Public: `validate.violations`, `rules.broken`, `explain.explain`, `files.generate`. They are not imported here: most
need the JSON Schema library, and `explain` does not.
"""
