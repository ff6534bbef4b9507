"""Plan -> Outcomes: sends the requests of a plan in their order and records their results.

Public: `scheduler.apply` with `ApplyOptions` and `context.ApplyContext`; `created.check_created`, the last look at what
it created; `watch`; `journal` and `history`; `lock.hold`; `provenance`. They are not imported here: reading the journal
needs no HTTP library.
"""
