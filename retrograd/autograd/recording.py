"""The generated half of a primitive: the function that records a call, and the node's `backward`, written as source.

Unrolled by arity, as `dataclasses` writes `__init__`: a loop over `*args` would cost a microsecond per operation, as
much as all the rest. `print(recorder_source(rg.autograd.ops.multiply.primitive))` shows it. Below: what it calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.autograd.graph import Node, Parts, Pick
from retrograd.autograd.modes import state
from retrograd.autograd.promotion import NUMBER, coerce, explain, floating, promote
from retrograd.autograd.tensor import Tensor, clock, make
from retrograd.autograd.trace import user_line
from retrograd.autograd.view import as_view
from retrograd.backends import backend_of_array

if TYPE_CHECKING:
    from retrograd.autograd.primitive import Primitive

__all__ = ["SCOPE", "backward_source", "recorder_source", "variadic_recorder"]

NEVER: list[Any] = [0]
"""The stamp of a value that was not saved."""
LARGE = 2**20
"""Elements from which on an elementwise operation may be worth more than one thread."""


# ---- writing


def recorder_source(p: Primitive) -> str:
    """The function that users call: unwrap, compute, wrap, and, where a gradient is wanted, make the node."""
    first, arrays = p.inputs[0], ", ".join(f"{n}_a" for n in p.inputs)
    operands = ", ".join(p.inputs)
    parents = [f"{n}_p" for n in p.inputs if n in p.needs]
    passed = "".join(f", {n}={n}" for n in p.static)
    lines = [f"def {p.name}({signature(p)}):", "    try:"]
    lines += ["        " + line for line in unwrapping_lines(p)]
    lines += [f"        large = {first}_a.size >= LARGE"] if p.elementwise else []
    lines.append("    except AttributeError:")
    lines += ["        large = False"] if p.elementwise else []
    lines.append(f"        coerced = coerce(primitive, {operands})")
    lines.append("        if coerced[2] is None: return coerced[0]")
    lines.append(f"        ({operands},), ({arrays},), kernel = coerced")
    lines += [f"    {n}_p = {n}._node" for n in p.inputs if n in p.needs]
    if p.floating:
        idle = " and ".join(f"{q} is None" for q in parents) or "True"
        lines.append(f"    if {idle}: {arrays} = floating({arrays})")
    lines.append("    try:")
    if p.elementwise:
        lines.append(f"        out_a = in_ranges(kernel, {arrays}) if large else kernel({arrays})")
    else:
        lines.append(f"        out_a = kernel({arrays}{passed})")
    lines.append("    except Exception as error:")
    lines.append(f"        raise explain(error, primitive, {operands}) from None")
    if p.residuals:
        lines.append(f"    out_a, {', '.join(p.residuals)} = out_a")
    if p.outputs:
        lines.append("    out = tuple([make(a) for a in out_a])")
    else:
        lines.append("    out = new(Tensor)")
        lines.append("    out._array = out_a")
        static = ", ".join(f"{n!r}: {n}" for n in p.static)
        lines.append(f"    as_view({first}, out, primitive, {{{static}}})" if p.view else "    out._stamp = [0]")
        lines.append("    out._node = None")
    if parents:
        lines.append(f"    if ({' or '.join(f'{q} is not None' for q in parents)}) and state.grad:")
        lines += ["        " + line for line in saving_lines(p)]
    elif not p.constant:
        lines.append(f"    refuse_gradient(primitive, {operands})")
    return "\n".join([*lines, "    return out"])


def signature(p: Primitive) -> str:
    """Parameters as Python writes them."""
    empty = inspect.Parameter.empty
    static = [n if default is empty else f"{n}=default_{n}" for n, default in p.static.items()]
    return ", ".join([*p.inputs, *(["*", *static] if static else [])])


def unwrapping_lines(p: Primitive) -> list[str]:
    """The arrays of the inputs and the forward to call; AttributeError where an input is not a Tensor.

    With two inputs of common dtype the second may be a number: the most frequent of what is not a Tensor.
    """
    first, second = p.inputs[0], p.inputs[-1]
    lines = [f"{n}_a = {n}._array" for n in p.inputs]
    if p.view:
        lines.append(f"if isinstance({first}_a, generic): {first}_a = {first}.array")
    lines.append(f"kernel = kernels[{first}_a.__class__]")
    if p.promotes:
        mixed = ", ".join(f"{n}_a" for n in p.promotes)
        differ = " or ".join(f"{p.promotes[0]}_a.dtype is not {n}_a.dtype" for n in p.promotes[1:])
        lines.append(f"if {differ}: {mixed} = promote({mixed})")
    if len(p.inputs) == len(p.promotes) == 2:
        return [
            f"if {second}.__class__ in NUMBERS:",
            f"    {first}_a = {first}._array",
            f"    if {first}_a.dtype.kind != 'f': raise AttributeError",
            f"    kernel = kernels[{first}_a.__class__]",
            f"    {second}_a, {second} = {second}, NUMBER",
            "else:",
            *["    " + line for line in lines],
        ]
    return lines


def saving_lines(p: Primitive) -> list[str]:
    """Makes the node: its number, its parents, and the values that the rules of wanted inputs name."""
    parents = "".join(f"{n}_p, " if n in p.needs else "None, " for n in p.inputs)
    lines = ["node = Kind()", "node.seq = next(clock)", "node.hooks = None", f"node.parents = ({parents})"]
    for name in p.saved:
        wanting = [n for n in p.needs if name in p.needs[n]]
        unless = (
            "" if len(wanting) == len(p.needs) else f" if {' or '.join(f'{n}_p is not None' for n in wanting)} else "
        )
        if name in p.inputs:
            lines.append(f"node.{name} = {name}_a{unless and unless + 'None'}")
            lines.append(f"node.{name}_stamp = {name}._stamp{unless and unless + 'NEVER'}")
        elif name == "out":
            lines.append(f"node.out = out_a{unless and unless + 'None'}")
            lines.append(
                f"node.out_stamp = {'Latest(out)' if p.outputs else 'out._stamp'}{unless and unless + 'NEVER'}"
            )
        elif name in p.static or name in p.residuals:
            lines.append(f"node.{name} = {name}")
        else:
            lines.append(f"node.{name} = {name.rpartition('_')[0]}_a.{name.rpartition('_')[2]}")
    lines.append("if state.anomaly: trace_call(node)")
    if p.outputs:
        return [*lines, "give_outputs(node, out)"]
    return [*lines, "node.shape = out_a.shape", "node.dtype = out_a.dtype", "out._node = node"]


def backward_source(p: Primitive, method: str, recorded: bool) -> str:
    """The node's method that takes the saved values, checks that they are unchanged, and calls the rules."""
    lines = [f"def {method}(node, g, xp, keep):"]
    if p.saved:
        lines.append("    try:")
        lines.append(f"        {'; '.join(f'{n} = node.{n}' for n in p.saved)}")
        lines.append("    except AttributeError:")
        lines.append("        raise used_twice(node) from None")
        checked = [n for n in p.saved if n in p.inputs or n == "out"]
        lines += [
            f"    if node.{n}_stamp[0] > node.seq: raise changed(primitive, {n!r}, node.{n}_stamp)" for n in checked
        ]
        if p.freed:
            lines.append(f"    if not keep: del {', '.join(f'node.{n}' for n in p.freed)}")
    lines.append(f"    {''.join(f'{n}_p, ' if n in p.needs else '_, ' for n in p.inputs)}= node.parents")
    if "arrived" in p.wanted:
        lines.append("    arrived = set(g.of)")
    if p.outputs:
        lines.append("    g = g.all(node.out_shapes, node.out_dtypes)")
        lines.append("    xp = backend_of_array[g[0].__class__]")
    if recorded:
        lines += [f"    {n} = rebuild(node, {n!r}, {n})" for n in p.saved]
    if any("needs" in names for names in p.needs.values()):
        lines.append(
            f"    needs = ({''.join(f'{n}_p is not None, ' if n in p.needs else 'False, ' for n in p.inputs)})"
        )
    if p.joint:
        call = f"rule_{p.inputs[0]}({', '.join(['xp', 'g', *p.needs[p.inputs[0]]])})"
        lines.append(f"    return ({call},)" if len(p.inputs) == 1 else f"    return {call}")
    else:
        calls = {n: f"rule_{n}({', '.join(['xp', 'g', *names])})" for n, names in p.needs.items()}
        if len(calls) > 1:
            calls = {n: f"None if {n}_p is None else {call}" for n, call in calls.items()}
        lines.append(f"    return ({''.join(f'{calls.get(n)}, ' for n in p.inputs)})")
    return "\n".join(lines)


# ---- what the written functions call


def give_outputs(node: Node, outs: tuple[Tensor, ...]) -> None:
    """Gives every floating output of a node with several its Pick."""
    node.shape, node.dtype = (-1,), None  # a cotangent of such a node is a Parts, which says the same
    node.out_shapes = [out.shape for out in outs]  # type: ignore[attr-defined]
    node.out_dtypes = [out.dtype for out in outs]  # type: ignore[attr-defined]
    for i, out in enumerate(outs):
        if out.dtype.kind in "fc":
            out._node = Pick(node, i, out._array)


def rebuild(node: Any, name: str, value: Any) -> Any:
    """A saved value as a Tensor at its place in the graph, for a gradient that is itself recorded."""
    p: Primitive = node.primitive
    if name == "out":
        if p.outputs:
            return tuple(make(a, Pick(node, i, a)) for i, a in enumerate(value))
        return make(value, node, node.out_stamp)
    if name == p.variadic:
        return [make(a, parent, NEVER) for a, parent in zip(value, node.parents, strict=True)]
    if value.__class__ not in backend_of_array:
        return value
    if name in p.inputs:
        return make(value, node.parents[p.inputs.index(name)], getattr(node, f"{name}_stamp"))
    return make(value) if name in p.residuals else value


def used_twice(node: Node) -> RuntimeError:
    return RuntimeError(
        f"Trying to backward through the graph a second time: the values saved by {node.name()} have been freed.\n"
        "Pass retain_graph=True to the first backward or autograd.grad call."
    )


class Latest:
    """The stamp of several outputs: that of the one that was changed last."""

    __slots__ = ("stamps",)

    def __init__(self, outs: tuple[Tensor, ...]) -> None:
        self.stamps = [out._stamp for out in outs]

    def __getitem__(self, key: Any) -> Any:
        return max(self.stamps, key=lambda stamp: stamp[0])[key]

    def __len__(self) -> int:
        return len(max(self.stamps, key=lambda stamp: stamp[0]))


def changed(p: Primitive, name: str, stamp: Any) -> RuntimeError:
    what = "output" if name == "out" else f"input {name}"
    version, who = stamp[1:3] if len(stamp) > 2 else (1, "an in-place operation")
    return RuntimeError(
        f"{p.name}'s {what} was changed in place (version {version}) by {who}, and its gradient needs the old value.\n"
        "Use an out-of-place operation there, or clone() before it."
    )


def refuse_gradient(p: Primitive, *operands: Any) -> None:
    """An operation without rules must not silently cut the graph."""
    if state.grad and any(operand._node is not None for operand in operands):
        raise NotImplementedError(f"{p.name} has no gradient; detach() its input, or use it under no_grad()")


def in_ranges(kernel: Callable[..., Any], *arrays: Any) -> Any:
    """An elementwise operation on a large array, on as many threads as its backend has for it."""
    return backend_of_array[arrays[0].__class__].in_ranges(kernel, *arrays)


def trace_call(node: Node) -> None:
    """Notes on a node the user's line that recorded it."""
    node.trace = user_line()


# ---- any number of inputs


def variadic_recorder(p: Primitive) -> Callable[..., Any]:
    """The recorder of a primitive with `*arrays`: not unrolled, called with any number of Tensors."""

    def record(*tensors: Any, **static: Any) -> Any:
        static = {**p.static, **static}
        try:
            operands: Any = tensors
            arrays: Any = [t._array for t in tensors]
            kernel = p.kernels[arrays[0].__class__]
        except (AttributeError, IndexError):
            operands, arrays, kernel = coerce(p, *tensors)
        if p.promotes and len({a.dtype for a in arrays}) > 1:
            arrays = promote(*arrays)
        try:
            array = kernel(*arrays, **static)
        except Exception as error:
            raise explain(error, p, *operands) from None
        out: Any = tuple(make(a) for a in array) if p.outputs else make(array)
        if state.grad and any(t._node is not None for t in operands):
            if not p.needs:
                refuse_gradient(p, *operands)
            node = p.node()
            node.seq, node.hooks = next(clock), None
            node.parents = tuple(t._node for t in operands)
            node.stamps = [t._stamp for t in operands] if p.variadic in p.saved else []
            for name in p.saved:
                setattr(node, name, _value_to_save(p, name, arrays, array, static))
            if "out" in p.saved:
                node.out_stamp = Latest(out) if p.outputs else out._stamp
            if state.anomaly:
                trace_call(node)
            if p.outputs:
                give_outputs(node, out)
            else:
                node.shape, node.dtype, out._node = array.shape, array.dtype, node
        return out

    record.__name__ = record.__qualname__ = p.name
    record.__module__ = "retrograd.autograd.ops"
    return record


def _value_to_save(p: Primitive, name: str, arrays: Any, out: Any, static: dict[str, Any]) -> Any:
    if name == p.variadic:
        return list(arrays)
    if name in ("shapes", "dtypes"):
        return [getattr(a, name[:-1]) for a in arrays]
    return out if name == "out" else static[name]


def variadic_backward(recorded: bool) -> Callable[..., Any]:
    """The `backward` of such a node: its joint rule returns a sequence, one cotangent per input."""

    def backward(node: Any, g: Any, xp: Any, keep: bool) -> Any:
        p: Primitive = node.primitive
        try:
            values = {name: getattr(node, name) for name in p.saved}
        except AttributeError:
            raise used_twice(node) from None
        for stamp in node.stamps:
            if stamp[0] > node.seq:
                raise changed(p, str(p.variadic), stamp)
        if not keep:
            for name in p.freed:
                delattr(node, name)
        if isinstance(g, Parts):
            g = g.all(node.out_shapes, node.out_dtypes)
            xp = backend_of_array[g[0].__class__]
        if recorded:
            values = {name: rebuild(node, name, value) for name, value in values.items()}
        if "needs" in p.wanted:
            values["needs"] = tuple(parent is not None for parent in node.parents)
        return p.joint(xp, g, **values)  # type: ignore[misc]

    return backward


SCOPE: dict[str, Any] = {
    "__name__": "retrograd.autograd.ops",
    "NEVER": NEVER,
    "LARGE": LARGE,
    "Latest": Latest,
    "NUMBER": NUMBER,
    "NUMBERS": frozenset((float, int)),
    "Tensor": Tensor,
    "as_view": as_view,
    "backend_of_array": backend_of_array,
    "changed": changed,
    "clock": clock,
    "coerce": coerce,
    "explain": explain,
    "floating": floating,
    "generic": np.generic,
    "give_outputs": give_outputs,
    "in_ranges": in_ranges,
    "make": make,
    "new": Tensor.__new__,
    "promote": promote,
    "rebuild": rebuild,
    "refuse_gradient": refuse_gradient,
    "state": state,
    "trace_call": trace_call,
    "used_twice": used_twice,
}
"""Names that the written functions use."""
