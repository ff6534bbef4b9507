"""Strict YAML: files -> Documents with the line and column of every key and value.

Public: `parse.parse`, `parse.PlainText`, `parse.YamlText`; `files.read_mapping` and `files.read_text`, or for many
files `folder.Folder`; `dump.dump`; `budget.Budget`, what all files of a run may take. They are not imported here, so
that a verb loads the YAML parser only if it needs it.
"""
