"""Strict YAML (`parse.parse`): files -> Documents that know the line and column of all that is in them."""

from deployer.documents.files import read_mapping, read_text
from deployer.documents.parse import PlainText, YamlText

__all__ = ["PlainText", "YamlText", "read_mapping", "read_text"]
