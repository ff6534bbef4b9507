"""Finds the names of the project's values in an expression of a template, from its syntax tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from jinja2 import nodes

Names = tuple[str, ...]


def bound_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template binds itself, anywhere: by set, for, with, macro, call or import."""
    found: set[str] = set()
    for node in tree.find_all((nodes.Name, nodes.Macro, nodes.Import, nodes.FromImport)):
        match node:
            case nodes.Name(ctx="load"):
                pass
            case nodes.Name() | nodes.Macro():
                found.add(node.name)
            case nodes.Import():
                found.add(node.target)
            case nodes.FromImport():
                found |= {name[1] if isinstance(name, tuple) else name for name in node.names}
    return frozenset(found)


def used_values(expression: nodes.Node, no_values: Collection[str]) -> Names:
    """Return the names in `expression`, such as `db.host`, except those that start with one of `no_values`.

    Names bound by the template are not resolved.
    """
    used = (".".join(chain) for chain in _chains(expression) if chain[0] not in no_values)
    return tuple(dict.fromkeys(used))


def _chains(node: nodes.Node) -> Iterator[list[str]]:
    if chain := _attribute_path(node):
        yield chain
        return
    children = node.iter_child_nodes()
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        # The last step is a method, not a value.
        yield from _chains(node.node.node)
        children = node.iter_child_nodes(exclude=("node",))
    for child in children:
        yield from _chains(child)


def _attribute_path(node: nodes.Node) -> list[str] | None:
    """Return the steps of `db["main"].host`; None for a computed step."""
    match node:
        case nodes.Name():
            return [node.name]
        case nodes.Getattr():
            inner = _attribute_path(node.node)
            return inner and [*inner, node.attr]
        case nodes.Getitem(arg=nodes.Const(value=str() | int() as step)):
            inner = _attribute_path(node.node)
            return inner and [*inner, str(step)]
    return None
