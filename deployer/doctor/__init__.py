"""Checks of the machine, the project's folder and the services, and of what the services return. Nothing is written.

Each check is a function that returns a `Check`; `cli.diagnosis` puts them in order. `contract` compares responses with
the response tables, `questions` answers from them what no page says, and `masking` hides their values.
"""
