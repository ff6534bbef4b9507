"""The shared state of a project and target: one lock and one journal for all machines.

`store` is what a store of it can do, `chain` the store on a git ref, `git` runs git, `lease` is the protocol on top.
"""
