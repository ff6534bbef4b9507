"""Parameters of run-once jobs: their types and values, their marks in a spec, and reading them back from a live run.

`types` knows what a value of each type is, `references` the marks of `{{ param("date") }}`, `layout` what can be read
back from a text, `reading` the values of a live run, and `keys` the key of a run: `date=2024-07-04,region=north`.
Nothing here calls a service, and nothing guesses: a run whose values are not certain is not told.
"""
