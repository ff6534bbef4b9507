"""All output: each module formats values in one format, and none reads a file.

`findings`, `history`, `json`, `markdown`, `stale`, `status` and `text` format, `terminal` prints: a command
imports those that it needs. `field_values`, `line_diff`, `secrets` and `uncompared` format the parts of a plan.
"""
