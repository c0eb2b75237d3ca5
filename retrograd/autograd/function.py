"""`Function`: an operation of one's own, with a forward and a backward written by hand.

The context that both receive is the node of the graph itself. What the user's backward returns may be saved or shared
elsewhere, so the engine gets views of it, and writes into none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from retrograd.autograd.graph import Node, Parts, Pick
from retrograd.autograd.modes import no_grad, set_grad_enabled, state
from retrograd.autograd.recording import trace_call, used_twice
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.autograd.view import changed_in_place, prepare
from retrograd.backends import backend_of_array

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Saved:
    """A tensor kept for backward: its array and its place in the graph, and how recently it had been changed."""

    __slots__ = ("array", "node", "stamp", "tick")

    def __init__(self, tensor: Tensor, node: Node | int | None) -> None:
        self.array, self.node, self.stamp, self.tick = tensor._array, node, tensor._stamp, tensor._stamp[0]


class FunctionCtx(Node):
    """The context of one call of a Function, and its node in the graph: attributes may be set freely."""

    function: ClassVar[type[Function]]

    def __init__(self) -> None:
        self.hooks = None
        self.parents = ()
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: list[Saved | None] = []
        self._state = "forward"  # then "recorded", then "freed"
        self._dirty: tuple[Tensor, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True
        self._single = True
        self._outputs: list[tuple[Any, Any] | None] = []  # of every output its shape and dtype, if it is a Tensor
        self._is_tensor: tuple[bool, ...] = ()  # for every argument

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs, outputs or other Tensors for backward; changing one of them in place makes backward raise."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was saved. RuntimeError when it has been freed, or changed in place since."""
        if self._state == "forward":
            return self._to_save
        if self._state == "freed":
            raise used_twice(self)
        return tuple(None if saved is None else self._unpacked(saved) for saved in self._saved)

    def _unpacked(self, saved: Saved) -> Tensor:
        if saved.stamp[0] != saved.tick:
            raise RuntimeError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"saved by {self.name()}, changed by {saved.stamp[2]}.\n"
                "Use an out-of-place operation there, or clone() before it."
            )
        node = saved.node
        if isinstance(node, int):  # one of our own outputs: kept by number, for a node that held itself would live on
            node = self if self._single else Pick(self, node, saved.array)
        return make(saved.array, node, saved.stamp)

    def mark_dirty(self, *args: Tensor) -> None:
        """Names the inputs that forward has changed in place; they must be among its outputs."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Names the outputs that have no gradient."""
        self._constant = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, the default) or None for an output to which no gradient came."""
        self._materialize = value

    # ---- the way forward

    def connect(self, args: Sequence[Any], outputs: Sequence[Any], single: bool) -> list[Any]:
        """Makes this the node of the outputs; returns them as the caller gets them."""
        self._single = single
        self.parents = tuple(a._node if isinstance(a, Tensor) else None for a in args)
        inputs = {id(a) for a in args if isinstance(a, Tensor)}
        self._check_dirty(inputs, outputs)
        for tensor in self._dirty:
            prepare(tensor, make(tensor._array, self))
        stamps = {id(a._stamp) for a in args if isinstance(a, Tensor)}
        results: list[Any] = []
        for out in outputs:
            results.append(self._own(out, stamps, results))
        self._number(outputs, results)
        self.seq = next(clock)
        self._outputs = [(out.shape, out.dtype) if isinstance(out, Tensor) else None for out in results]
        for i, out in enumerate(results):
            if isinstance(out, Tensor) and self._differentiable(out, outputs[i]):
                self._give(out, self if single else Pick(self, i, out._array))
        several = ((-1,), None)  # a cotangent of several outputs is a Parts, which says the same
        self.shape, self.dtype = (single and self._outputs[0]) or several
        self._state = "recorded"
        for saved in self._saved:  # a change that forward itself made is no change since
            if saved is not None:
                saved.tick = saved.stamp[0]
        if state.anomaly:
            trace_call(self)
        return results

    def _check_dirty(self, inputs: set[int], outputs: Sequence[Any]) -> None:
        for tensor in self._dirty:
            if id(tensor) not in inputs:
                raise RuntimeError("mark_dirty: only inputs can be marked as changed in place")
            if not any(out is tensor for out in outputs):
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as output. The inputs "
                    "that are modified inplace must all be outputs of the Function."
                )

    def _own(self, out: Any, stamps: set[int], earlier: Sequence[Any]) -> Any:
        """The output itself, or a copy of one that lives elsewhere: it can have but one place in the graph."""
        if not isinstance(out, Tensor) or any(out is tensor for tensor in self._dirty):
            return out
        if id(out._stamp) in stamps or out._node is not None or any(out is other for other in earlier):
            return make(namespace(out).copy(out._array))
        return make(out._array, None, out._stamp) if hasattr(out, "_whole") else out

    def _differentiable(self, out: Tensor, raw: Tensor) -> bool:
        return out.dtype.kind in "fc" and not any(raw is tensor for tensor in self._constant)

    def _give(self, out: Tensor, node: Node) -> None:
        if any(out is tensor for tensor in self._dirty):
            changed_in_place(out, make(out._array, node, out._stamp), self.function.__name__)
        elif out._node is None:
            out._node = node

    def _number(self, outputs: Sequence[Any], results: Sequence[Any]) -> None:
        """Turns what is to be saved into records; an output becomes its number."""
        for i, tensor in enumerate(self._to_save):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(tensor).__name__}"
                )
            place = next((i for i, out in enumerate(outputs) if out is tensor), None) if tensor is not None else None
            if tensor is None:
                self._saved.append(None)
            elif place is None:
                self._saved.append(Saved(tensor, tensor._node))
            elif any(outputs[place] is constant for constant in self._constant):
                self._saved.append(Saved(results[place], None))
            else:
                self._saved.append(Saved(results[place], place))
        self._to_save = ()

    # ---- the way back

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        """Calls the user's backward; the gradients as arrays."""
        gs = self._called(g, keep)
        return [None if x is None else x.array[...] for x in gs]

    def backward_recorded(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        """The same with Tensors, recorded."""
        return self._called(g, keep)

    def _called(self, g: Any, keep: bool) -> Sequence[Tensor | None]:
        try:
            found = self.function.rule()(self, *self._incoming(g))
        finally:
            if self._saved and not keep:
                self._saved, self._state = [], "freed"
        gs = list(found) if isinstance(found, (tuple, list)) else [found]
        return self._checked(gs)

    def _incoming(self, g: Any) -> list[Tensor | None]:
        """The gradient of every output."""
        of = g.of if isinstance(g, Parts) else {0: g}
        some = next(iter(of.values()))
        like = some._array if isinstance(some, Tensor) else some
        xp = backend_of_array[like.__class__]
        gs: list[Tensor | None] = []
        for i, entry in enumerate(self._outputs):
            if i in of:
                gs.append(of[i] if isinstance(some, Tensor) else make(of[i]))
            elif entry and self._materialize:
                gs.append(make(xp.astype(xp.new_zeros(like, shape=entry[0]), dtype=entry[1])))
            else:
                gs.append(None)
        return gs

    def _checked(self, gs: list[Any]) -> list[Tensor | None]:
        """The gradients, one per argument of forward."""
        expected, got = len(self.parents), len(gs)
        while len(gs) > expected and gs[-1] is None:
            gs.pop()
        if len(gs) != expected:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {expected}, got {got})"
            )
        for i, (g, parent) in enumerate(zip(gs, self.parents)):
            if g is None:
                continue
            if not isinstance(g, Tensor):
                raise RuntimeError(
                    f"{self.name()} returned a {type(g).__name__} at position {i}; it must be a Tensor or None"
                )
            if parent is None and not self._is_tensor[i]:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different from None at position {i + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return gs


class FunctionMeta(type):
    """Gives every Function the class of its contexts."""

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        cls.context = type(f"{name}Backward", (FunctionCtx,), {"function": cls})


class Function(metaclass=FunctionMeta):
    """An operation with a gradient of one's own: subclass it, and call `apply`.

    `forward(ctx, *args)` computes, unrecorded, and keeps what backward needs with `ctx.save_for_backward`;
    `backward(ctx, *grads)` gets the gradient of every output and returns one per argument of forward, None for those
    without. Alternatively `forward(*args)` computes alone and `setup_context(ctx, inputs, output)` keeps. A backward of
    differentiable operations can be differentiated again; mark others `@once_differentiable`.

    Differs from PyTorch in one thing: an output that shares memory with an input, and is not marked dirty, is a copy.

    >>> import retrograd as rg
    >>> class Cube(rg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = rg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    context: ClassVar[type[FunctionCtx]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"{type(self).__name__} should not be instantiated: call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs: a Tensor, or a tuple. With `setup_context` it gets no context."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keeps what backward needs, after a forward without context."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Gradients of the arguments from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward
    """The other name of `backward`: a subclass defines one of the two."""

    @classmethod
    def rule(cls) -> Callable[..., Any]:
        """The backward of the user."""
        if cls.vjp is Function.vjp:
            return cls.backward
        if cls.backward is Function.backward:
            return cls.vjp
        raise RuntimeError(
            f"{cls.__name__}: both 'backward' and 'vjp' are implemented, which are one thing; implement one of them."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Calls forward and puts the operation into the graph."""
        ctx = cls.context()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a._node is not None for a in args)
        ctx._is_tensor = tuple(isinstance(a, Tensor) for a in args)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        if isinstance(output, list):
            raise TypeError(f"{cls.__name__}.forward: expected a Tensor or tuple of Tensors, but got list")
        single = not isinstance(output, tuple)
        outputs = (output,) if single else output
        if not (state.grad and any(ctx.needs_input_grad)):
            results = [plain(out, ctx) for out in outputs]
        else:
            results = ctx.connect(args, outputs, single)
        return results[0] if single else tuple(results)


def plain(out: Any, ctx: FunctionCtx) -> Any:
    """An output where nothing is recorded: it requires no gradient."""
    if isinstance(out, Tensor) and out._node is not None and not any(out is tensor for tensor in ctx._dirty):
        return make(out._array, None, out._stamp)
    return out


class Undifferentiable(Node):
    """Stands above a gradient that cannot be differentiated again, and says so when that is tried."""

    __slots__ = ()

    def __init__(self, g: Tensor, parents: tuple[Node | None, ...]) -> None:
        self.seq, self.hooks, self.parents = next(clock), None, parents
        self.shape, self.dtype = g.shape, g.dtype

    def backward(self, g: Any, xp: Any, keep: bool) -> Sequence[Any]:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

    backward_recorded = backward


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a Function's backward that uses operations without gradient: differentiating it again raises."""

    @functools.wraps(backward)
    def once(ctx: FunctionCtx, *grads: Any) -> Any:
        recorded = state.grad
        with set_grad_enabled(False):
            found = backward(ctx, *grads)
        if not recorded:
            return found
        parents = (*ctx.parents, *(g._node for g in grads if isinstance(g, Tensor)))

        def guarded(g: Any) -> Any:
            return make(g._array, Undifferentiable(g, parents), g._stamp) if isinstance(g, Tensor) else g

        return tuple(map(guarded, found)) if isinstance(found, (tuple, list)) else guarded(found)

    return once
