"""Whole commands and the output that they must have, a folder each."""
