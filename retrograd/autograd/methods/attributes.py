"""What a Tensor knows of itself: its gradient and place in the graph, its layout, and its value as Python's numbers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.graph import AccumulateGrad, Hook, Node, RemovableHandle, RetainGrad, backward
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import method, public
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.autograd.view import leave_views, memory
from retrograd.backends import Device, backend_of, device_of

__all__: list[str] = []

_function: Callable[..., Any]
_getter: Callable[[Tensor], Any]


def attribute(
    name: str,
    read: Callable[[Tensor], Any],
    assign: Callable[[Tensor, Any], None] | None = None,
    delete: Callable[[Tensor], None] | None = None,
) -> None:
    """Registers `Tensor.name` as a property."""
    setattr(Tensor, name, property(read, assign, delete))


# ---- the gradient


def _get_grad(self: Tensor) -> Tensor | None:
    """The gradient that `backward` has accumulated, or None. Can be assigned and deleted."""
    try:
        return self._grad
    except AttributeError:
        if self._node is not None and not isinstance(self._node, AccumulateGrad) and not _get_retains_grad(self):
            warnings.warn(
                "backward() does not fill the .grad of a Tensor that is not a leaf; call retain_grad() on it before.",
                UserWarning,
                stacklevel=2,
            )
        return None


def _set_grad(self: Tensor, grad: Tensor | None) -> None:
    if grad is None:
        _delete_grad(self)
        return
    if not isinstance(grad, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(grad).__name__}")
    if grad is self:
        raise RuntimeError("can't assign a Tensor as its own grad")
    if grad.shape != self.shape:
        raise RuntimeError(f"grad of shape {grad.shape} assigned to a tensor of shape {self.shape}; make them equal.")
    if grad.dtype != self.dtype:
        raise RuntimeError(
            f"grad of dtype {grad.dtype} assigned to a tensor of dtype {self.dtype}; they must be equal."
        )
    if _get_device(grad) != _get_device(self):
        raise RuntimeError(f"grad on {_get_device(grad)} assigned to a tensor on {_get_device(self)}; move one.")
    self._grad = grad


def _delete_grad(self: Tensor) -> None:
    if hasattr(self, "_grad"):
        del self._grad


attribute("grad", _get_grad, _set_grad, _delete_grad)


def _get_requires_grad(self: Tensor) -> bool:
    """Whether operations on this Tensor are recorded. Can be assigned on a leaf of floating dtype."""
    return self._node is not None


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Has operations on this leaf recorded from now on, or no longer; returns it.

    Raises RuntimeError for integer dtypes, and for a False on a result of recorded operations: detach() that.
    """
    if requires_grad and self._node is None:
        if self.dtype.kind not in "fc":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.dtype}; use x.float()."
            )
        self._node = AccumulateGrad(self)
    elif not requires_grad and self._node is not None:
        if not isinstance(self._node, AccumulateGrad):
            raise RuntimeError("you can only change requires_grad flags of leaf variables; detach() a computed one.")
        self._node = None
    return self


def _set_requires_grad(self: Tensor, requires_grad: bool) -> None:
    requires_grad_(self, requires_grad)


attribute("requires_grad", _get_requires_grad, _set_requires_grad)
method(requires_grad_)


# ---- the place in the graph


def _get_grad_fn(self: Tensor) -> Node | None:
    """The node that computed this Tensor; None for a leaf."""
    return None if isinstance(self._node, AccumulateGrad) else self._node


def _get_is_leaf(self: Tensor) -> bool:
    """Whether no recorded operation computed this Tensor: `backward` fills the `.grad` of leaves."""
    return self._node is None or isinstance(self._node, AccumulateGrad)


def _get_version(self: Tensor) -> int:
    """How often the storage was changed in place."""
    return self._stamp[1] if len(self._stamp) > 1 else 0


def _get_base(self: Tensor) -> Tensor | None:
    """The Tensor that this one is a view of; None for one that is no view."""
    return getattr(self, "_whole", None)


def _is_view(self: Tensor) -> bool:
    """Whether this Tensor shows the memory of another one that it follows in the graph."""
    return hasattr(self, "_whole")


def detach(self: Tensor) -> Tensor:
    """The same memory, cut from the graph: changes in place are seen by both, gradients do not pass."""
    return make(memory(self), None, self._stamp)


def detach_(self: Tensor) -> Tensor:
    """Cuts this Tensor itself from the graph; it becomes a leaf. Raises RuntimeError for a view."""
    if _is_view(self):
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    self._node = None
    return self


def clone(self: Tensor) -> Tensor:
    """A copy with memory of its own; the gradient passes through."""
    out: Tensor = ops.copy(self)
    return out


def _get_data(self: Tensor) -> Tensor:
    """The same memory without graph and without version checks. Assigned, it replaces the array, not the leaf."""
    return make(memory(self))


def _set_data(self: Tensor, data: Tensor) -> None:
    if not isinstance(data, Tensor):
        raise TypeError(f"data must be a Tensor, got {type(data).__name__}")
    if self._node is not None and data.dtype.kind not in "fc":
        raise RuntimeError(f"data of a tensor that requires grad must have a floating point dtype, got {data.dtype}")
    leave_views(self)
    self._array = data.array
    self._stamp = list(self._stamp)  # what was saved keeps the old array, which later changes do not reach
    node = self._node
    if isinstance(node, AccumulateGrad) and (node.shape, node.dtype) != (self.shape, self.dtype):
        self._node = AccumulateGrad(self)
        self._node.hooks, self._node.after = node.hooks, node.after


for _name, _getter in {
    "grad_fn": _get_grad_fn, "is_leaf": _get_is_leaf, "_version": _get_version, "_base": _get_base
}.items():  # fmt: skip
    attribute(_name, _getter)
attribute("data", _get_data, _set_data)
method(_is_view)
for _function in (detach, detach_):
    method(_function)
public(clone)


# ---- backward and hooks


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds to the `.grad` of every leaf the gradient of this Tensor, weighted by `gradient` (1 for a scalar).

    The graph's saved values are dropped on the way unless `retain_graph`; with `create_graph` the gradients have a
    graph themselves. With `inputs` only those leaves receive theirs. Raises RuntimeError without a graph, for a
    `gradient` missing or of another shape, and for saved values that were freed or changed in place.

    >>> import retrograd as rg
    >>> x = rg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).backward(gradient=rg.tensor([1.0, 1.0]))
    >>> x.grad
    tensor([2., 4.])
    """
    backward(self, gradient, retain_graph, create_graph, inputs)


def retain_grad(self: Tensor) -> None:
    """Has `backward` keep the gradient of this computed Tensor in `.grad`. Raises RuntimeError without a graph."""
    if self._node is None:
        raise RuntimeError("retain_grad: this tensor gets no gradient, for no input of it has requires_grad=True.")
    if isinstance(self._node, AccumulateGrad) or _get_retains_grad(self):
        return
    if self._node.hooks is None:
        self._node.hooks = []
    self._node.hooks.append(RetainGrad(self))


def _get_retains_grad(self: Tensor) -> bool:
    """Whether `backward` keeps the gradient of this computed Tensor."""
    hooks = self._node.hooks if self._node is not None else None
    return any(isinstance(hook, RetainGrad) and hook.tensor() is self for hook in hooks or ())


def register_hook(self: Tensor, hook: Hook) -> RemovableHandle:
    """Calls `hook(grad)` with this Tensor's gradient in every backward; what it returns, if not None, replaces it.

    Raises RuntimeError for a Tensor that does not require a gradient.
    """
    if self._node is None:
        raise RuntimeError(
            "a hook is never called on a tensor that doesn't require gradient; call requires_grad_() first."
        )
    return self._node.add_hook(hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Calls `hook(tensor)` after every backward has added to this leaf's `.grad`."""
    if self._node is None:
        raise RuntimeError(
            "a hook is never called on a tensor that doesn't require gradient; call requires_grad_() first."
        )
    if not isinstance(self._node, AccumulateGrad):
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if self._node.after is None:
        self._node.after = []
    self._node.after.append(hook)
    return RemovableHandle(self._node.after, hook)


method(_backward, name="backward")
attribute("retains_grad", _get_retains_grad)
for _function in (retain_grad, register_hook, register_post_accumulate_grad_hook):
    method(_function)


# ---- layout


def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or the length of one dimension."""
    return self.shape if dim is None else self.shape[_existing(dim, self.ndim)]


def _existing(dim: int, ndim: int) -> int:
    if ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return dimension(dim, ndim)


def stride(self: Tensor, dim: int | None = None) -> Any:
    """Steps in memory, in elements, from one index to the next of every dimension, or of one."""
    array = self.array
    steps = tuple(step // array.itemsize for step in array.strides)
    return steps if dim is None else steps[_existing(dim, self.ndim)]


def numel(input: Tensor) -> int:
    """Number of elements."""
    count: int = input._array.size
    return count


def dim(self: Tensor) -> int:
    """Number of dimensions."""
    return self.ndim


def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self.dtype.itemsize


def _get_nbytes(self: Tensor) -> int:
    """Bytes of all elements."""
    return numel(self) * self.dtype.itemsize


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is float16, float32 or float64."""
    return input.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex: never, complex dtypes are not supported."""
    return input.dtype.kind == "c"


def _get_device(self: Tensor) -> Device:
    """Where the elements are."""
    return device_of(self._array)


def _get_is_cuda(self: Tensor) -> bool:
    """Whether the elements are on an NVIDIA GPU."""
    return _get_device(self).type == "cuda"


def _get_is_cpu(self: Tensor) -> bool:
    """Whether the elements are in the host's memory."""
    return _get_device(self).type == "cpu"


public(numel)
public(is_floating_point)
public(is_complex)
method(numel, name="nelement")
method(dim, name="ndimension")
for _function in (size, stride, dim, element_size):
    method(_function)
for _name, _getter in {
    "device": _get_device,
    "nbytes": _get_nbytes,
    "itemsize": element_size,
    "is_cuda": _get_is_cuda,
    "is_cpu": _get_is_cpu,
}.items():
    attribute(_name, _getter)


# ---- the value as Python's numbers


def item(self: Tensor) -> Any:
    """The only element as a Python number; waits for the device. RuntimeError unless there is exactly one."""
    if self._array.size != 1:
        raise RuntimeError(
            f"item: expected one element, got {numel(self)} elements of shape {self.shape}; use tolist()."
        )
    return namespace(self).to_host(self._array).item()


def tolist(self: Tensor) -> Any:
    """The elements as Python numbers in nested lists; a number for a 0-d tensor."""
    return namespace(self).to_host(self._array).tolist()


def __bool__(self: Tensor) -> bool:
    if self._array.size != 1:
        what = "more than one value" if self._array.size else "no values"
        raise RuntimeError(f"the truth of a tensor with {what} is ambiguous, shape {self.shape}; use any() or all().")
    return bool(item(self))


def _number(self: Tensor) -> Any:
    if self._array.size != 1:
        raise ValueError(f"only one element makes a Python number, got shape {self.shape}; tolist() gives all of them.")
    return item(self)


def __int__(self: Tensor) -> int:
    return int(_number(self))


def __float__(self: Tensor) -> float:
    return float(_number(self))


def __complex__(self: Tensor) -> complex:
    return complex(_number(self))


def __index__(self: Tensor) -> int:
    if self.dtype.kind not in "iub" or self._array.size != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(self))


def __iter__(self: Tensor) -> Iterator[Tensor]:
    if self.ndim == 0:
        raise TypeError("a 0-d tensor cannot be iterated over; item() gives its value.")
    return iter(self.unbind(0))


def __contains__(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, bool, int, float, np.generic)):
        raise RuntimeError(f"`in` a Tensor takes a Tensor or a number, got {type(element).__name__}.")
    array = ops.equal(self, element)._array
    return bool(namespace(self).any(array))


def __format__(self: Tensor, spec: str) -> str:
    return format(item(self), spec) if self.ndim == 0 else object.__format__(self, spec)


for _function in (
    item, tolist, __bool__, __int__, __float__, __complex__, __index__, __iter__, __contains__, __format__
):  # fmt: skip
    method(_function)


# ---- copies of leaves


def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    _refuse_computed(self, "deepcopied")
    new = _leaf(type(self), namespace(self).copy(self.array), self._node is not None)
    memo[id(self)] = new
    if hasattr(self, "_grad"):
        new._grad = copy.deepcopy(self._grad, memo)
    if hasattr(self, "__dict__"):
        vars(new).update(copy.deepcopy(vars(self), memo))
    return new


def __reduce_ex__(self: Tensor, protocol: Any) -> Any:
    _refuse_computed(self, "pickled")
    place = _get_device(self)
    host = namespace(self).to_host(self.array)
    return restored, (type(self), host, str(place), self._node is not None, getattr(self, "__dict__", {}))


def restored(kind: type[Tensor], host: Any, device: str, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    """The leaf that `pickle` wrote, on its device."""
    place = Device(device)
    with place:
        tensor = _leaf(kind, backend_of(place).from_host(host), requires_grad)
    if attributes:
        vars(tensor).update(attributes)
    return tensor


def _leaf(kind: type[Tensor], array: Any, requires_grad: bool) -> Tensor:
    tensor = kind.__new__(kind)
    tensor._array, tensor._node, tensor._stamp = array, None, [0]
    return requires_grad_(tensor, requires_grad)


def _refuse_computed(tensor: Tensor, verb: str) -> None:
    if not _get_is_leaf(tensor):
        raise RuntimeError(f"only leaves can be {verb}; this Tensor has the graph {tensor._node!r}: detach() it first.")


method(__deepcopy__)
method(__reduce_ex__)
