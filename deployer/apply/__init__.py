"""Plan -> Outcomes: what is sent, in which order, and what the services did.

Public: `scheduler.apply` with `ApplyOptions` and `context.ApplyContext`; `watch`; `journal`;
`lock.held`; `provenance`. They are not imported here: what only reads the journal needs no HTTP library.
"""
