"""Nested tuples, lists and dicts of anything, as a flat list of leaves and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

__all__ = ["Structure", "flatten", "map_leaves", "spread"]


class Structure(NamedTuple):
    """The form of a nest: equal for nests that differ in their leaves alone."""

    kind: Any
    """Of the container; None for a leaf."""
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return 1 if self.kind is None else sum(child.size for child in self.children)

    def built(self, leaves: Iterable[Any]) -> Any:
        """The nest of this form with these leaves."""
        return self._built(iter(leaves))

    def _built(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        parts = [child._built(leaves) for child in self.children]
        if issubclass(self.kind, dict):
            return dict(zip(self.keys, parts))
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        if self.keys:
            return "{" + ", ".join(f"{key!r}: {child}" for key, child in zip(self.keys, self.children)) + "}"
        return ("[{}]" if issubclass(self.kind, list) else "({})").format(", ".join(map(str, self.children)))


LEAF = Structure(None)


def flatten(nest: Any) -> tuple[list[Any], Structure]:
    """The leaves of nested tuples, lists and dicts, from left to right, and the form that holds them.

    >>> leaves, form = flatten({"a": (1, 2), "b": [3]})
    >>> leaves
    [1, 2, 3]
    >>> form.built([4, 5, 6])
    {'a': (4, 5), 'b': [6]}
    """
    if not isinstance(nest, (tuple, list, dict)):
        return [nest], LEAF
    parts = [flatten(part) for part in (nest.values() if isinstance(nest, dict) else nest)]
    keys = tuple(nest) if isinstance(nest, dict) else ()
    return [leaf for leaves, _ in parts for leaf in leaves], Structure(
        type(nest), keys, tuple(form for _, form in parts)
    )


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """The same nest with the function's values in the leaves' places."""
    leaves, form = flatten(nest)
    return form.built([function(leaf) for leaf in leaves])


def spread(prefix: Any, form: Structure) -> list[Any] | None:
    """One value per leaf of a form, from a nest that has the form's upper part; None where it has not."""
    if not isinstance(prefix, (tuple, list, dict)):
        return [prefix] * form.size
    keys = tuple(prefix) if isinstance(prefix, dict) else ()
    if form.kind is None or len(prefix) != len(form.children) or keys != form.keys:
        return None
    found: list[Any] = []
    for part, child in zip(prefix.values() if isinstance(prefix, dict) else prefix, form.children):
        values = spread(part, child)
        if values is None:
            return None
        found += values
    return found
