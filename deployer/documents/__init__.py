"""Strict YAML: files -> Documents that know the line and column of everything in them."""
