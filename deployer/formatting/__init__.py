"""Formats the YAML files of a project: text -> text with the same values and comments, or the reason why not.

Public: `format.formatted`, and `files.selected` and `files.write`. `layout` reads the structure of a text with
ruamel.yaml, and changes the text itself: ruamel.yaml's own writer joins lists that take several lines, moves comments
and folds strings. It is not imported here, as it is an extra.
"""
