"""Files -> Manifests -> checked Jobs, and the files of `init`.

Public: `read.read`, `check.check` and `scaffold.files`.
"""
