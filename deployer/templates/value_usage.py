"""Which of the project's values an expression of a template uses, as far as its tree tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jinja2 import nodes

Names = tuple[str, ...]


class _Bound(NamedTuple):
    """The meaning of a name bound in a template; `exact` if it is another name for one value."""

    names: Names = ()
    exact: bool = False


class Scope:
    """The names that a template has bound; any other is one of the project's values.

    `ever` collects all that are bound in it and in what is inside.
    """

    def __init__(self, bound: Mapping[str, _Bound], ever: set[str]) -> None:
        self._bound = dict(bound)
        self.ever = ever

    @classmethod
    def without_values(cls, names: Iterable[str]) -> Scope:
        """Returns a scope in which `names` stand for no value."""
        return cls(dict.fromkeys(names, _Bound()), set())

    def inner(self) -> Scope:
        return Scope(self._bound, self.ever)

    def of(self, *expressions: nodes.Node | None) -> Names:
        """Returns the names that expressions use, as `db.host`."""
        found: dict[str, None] = {}
        for expression in expressions:
            if expression is not None:
                found |= dict.fromkeys(self._of(expression))
        return tuple(found)

    def bind(self, target: nodes.Node, value: nodes.Node) -> None:
        """Notes `target = value`; both branches of a condition may do that."""
        chain = _attribute_path(value)
        exact = chain is not None and self._bound.get(chain[0], _Bound(exact=True)).exact
        self.bind_names(target, self.of(value), exact=exact and isinstance(target, nodes.Name))

    def bind_names(self, target: nodes.Node, names: Names, *, exact: bool = False) -> None:
        for name in _targets(target):
            before = self._bound.get(name, _Bound())
            both = tuple(dict.fromkeys((*before.names, *names)))
            self._bound[name] = _Bound(both, exact and not before.names)
            self.ever.add(name)

    def hide(self, *targets: nodes.Node) -> None:
        """Forgets what stood for the names that `targets` bind anew."""
        for target in targets:
            self._bound |= dict.fromkeys(_targets(target), _Bound())
            self.ever.update(_targets(target))

    def _of(self, node: nodes.Node) -> Names:
        if chain := _attribute_path(node):
            base, *steps = chain
            bound = self._bound.get(base)
            if bound is None:
                return (".".join(chain),)
            return (".".join([*bound.names, *steps]),) if bound.exact and bound.names else bound.names
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            # The last step is a method, not a value.
            return self.of(node.node.node, *node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs)
        return self.of(*node.iter_child_nodes())


def _attribute_path(node: nodes.Node) -> list[str] | None:
    """Returns the steps of `db["main"].host`; None for anything computed."""
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


def _targets(target: nodes.Node) -> list[str]:
    """Returns the names that are bound: one, those of a tuple, that of a namespace."""
    if isinstance(target, nodes.Name | nodes.NSRef):
        return [target.name]
    return [name for child in target.iter_child_nodes() for name in _targets(child)]
