"""deployer.yaml: the project, its targets, values and defaults.

Public: `load.load`, which returns a `load.Project`; `target.Target`. They are not imported here.
"""
