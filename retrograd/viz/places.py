"""Where a Tensor stands in a recorded graph: found by the object, its node, its memory, in this order."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from retrograd.autograd.graph import Node, Pick
from retrograd.autograd.tensor import Tensor

__all__ = ["Place", "Places", "origin", "version_of"]


class Place(NamedTuple):
    """A vertex, and how often the memory had been changed in place when it was noted."""

    vertex: str
    version: int


class Places:
    """The vertices of the Tensors that were seen. It keeps none of them alive."""

    def __init__(self) -> None:
        self.tensors: dict[int, tuple[weakref.ref[Tensor], Place]] = {}
        self.nodes: dict[int, str] = {}
        self.stamps: dict[int, tuple[Any, str]] = {}
        self.arrays: dict[int, tuple[weakref.ref[Any], str]] = {}

    def __call__(self, tensor: Tensor) -> str | None:
        """The vertex of a Tensor, or None."""
        node = origin(tensor._node)
        if node is not None and node.seq in self.nodes:
            return self.nodes[node.seq]
        place = self.same(tensor)
        return None if place is None else place.vertex

    def same(self, tensor: Tensor) -> Place | None:
        """What was noted of this very object."""
        reference, place = self.tensors.get(id(tensor), (None, None))
        return place if reference is not None and reference() is tensor else None

    def put(self, tensor: Tensor, vertex: str) -> None:
        """Notes the vertex of a Tensor as it is now."""
        self.tensors[id(tensor)] = weakref.ref(tensor), Place(vertex, version_of(tensor))
        node = origin(tensor._node)
        if node is not None:
            self.nodes.setdefault(node.seq, vertex)
        self.stamps.setdefault(id(tensor._stamp), (tensor._stamp, vertex))
        try:
            self.arrays.setdefault(id(tensor._array), (weakref.ref(tensor._array), vertex))
        except TypeError:  # NumPy's scalars take no weak references
            return

    def sharing(self, tensor: Tensor) -> str | None:
        """The vertex of another Tensor on the same memory: what `detach()` or `.data` was called on."""
        stamp, vertex = self.stamps.get(id(tensor._stamp), (None, None))
        if stamp is tensor._stamp:
            return vertex
        reference, vertex = self.arrays.get(id(tensor._array), (None, None))
        return vertex if reference is not None and reference() is tensor._array else None

    def alive(self) -> dict[str, Tensor]:
        """The Tensors that somebody still holds, by their vertices."""
        found = {}
        for reference, place in self.tensors.values():
            tensor = reference()
            if tensor is not None:
                found[self(tensor) or place.vertex] = tensor
        return found


def origin(node: Node | None) -> Node | None:
    """The operation itself, for one of its several outputs."""
    return node.source if isinstance(node, Pick) else node


def version_of(tensor: Tensor) -> int:
    """How often the storage was changed in place."""
    stamp = tensor._stamp
    return stamp[1] if len(stamp) > 1 else 0
