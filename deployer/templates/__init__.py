"""Jinja in a separate process: text and values -> text that knows its source positions.

Public: `sandbox.Sandbox` with `Task`, and `rendered.RenderedText`. The engine itself is imported by the process only.
"""
