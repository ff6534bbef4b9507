"""`make bench`: the time, CPU and memory of whole commands, beside other tools; see docs/performance.md."""
