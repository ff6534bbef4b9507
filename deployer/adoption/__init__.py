"""Live jobs -> manifests, for `deployer import`. Pure but for `verify`, which reads the texts back as files.

`choose` finds the jobs that need a manifest, `draft` makes one as data, `layout` writes it as text, `verify` proves
that it plans as unchanged, and `files` gives the texts to files.
"""
