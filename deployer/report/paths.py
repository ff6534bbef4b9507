"""Paths of fields as people write them, as the messages of a plan do; JSON keeps the JSON Pointers."""

from deployer.planning.paths import path_words, pointer_words

__all__ = ["path_words", "pointer_words"]
