"""Jinja in a separate process: text and values -> text that knows its source positions.

Public: `sandbox.Sandbox` with `Task`, whose results are `documents.parse.YamlText`, and `process.start_ahead`. The
engine itself is imported by the process only.
"""
