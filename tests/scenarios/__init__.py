"""Scenarios: scripts of commands and their expected output, one folder each."""
