"""The one door to the terminal: each module turns values into text of one format, and none reads a file.

`findings`, `history`, `json`, `markdown`, `stale`, `status` and `text` write, `terminal` shows: a command
imports those that it needs.
"""
