"""Strict YAML (`parse.parse`): files -> Documents with the line and column of every key and value."""

from deployer.documents.files import read_mapping, read_text
from deployer.documents.parse import PlainText, YamlText

__all__ = ["PlainText", "YamlText", "read_mapping", "read_text"]
