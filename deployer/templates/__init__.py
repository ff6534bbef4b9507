"""Jinja in a process of its own: text and values -> rendered text that knows its source positions."""
