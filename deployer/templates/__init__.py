"""Jinja in a process of its own (`sandbox.Sandbox`): text and values -> text with source locations."""
