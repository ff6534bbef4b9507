"""Files -> Manifests -> checked Jobs."""
