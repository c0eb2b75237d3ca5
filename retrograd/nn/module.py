"""Module: a function with parameters, made of smaller ones; the base of every layer and network."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from retrograd.autograd.methods.creation import empty_like
from retrograd.autograd.tensor import Tensor
from retrograd.nn.hooks import EVERY, NONE, REGISTRATIONS, Hooked, announced
from retrograd.nn.parameter import Buffer, Parameter
from retrograd.nn.state import Stateful

__all__ = ["Module"]


class Module(Stateful, Hooked):
    """A function with parameters. A subclass makes its parts in `__init__` and computes in `forward`.

    Parameters, buffers (`register_buffer`) and modules that are assigned as attributes are found by `parameters()`,
    `state_dict()`, `to()` and so on, in the order of their assignment.

    >>> import retrograd as rg
    >>> class Affine(rg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = rg.nn.Parameter(rg.tensor(2.0))
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> [name for name, _ in Affine().named_parameters()]
    ['scale']
    """

    # Attributes of an instance are its parts; `_registered` says, in order, which of them are what.
    training: bool
    _registered: dict[str, str]
    _transient: set[str]
    call_super_init: bool = False
    """Whether `__init__` hands its arguments on to the next class, for multiple inheritance."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if (args or kwargs) and not self.call_super_init:
            raise TypeError(f"{type(self).__name__}: Module.__init__() takes no arguments, got {args} and {kwargs}.")
        vars(self).update(training=True, _registered={}, _transient=set())
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(), which a call of the module runs.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None and not EVERY:
                return self.forward(*args, **kwargs)
            return (self._hooks or NONE).call(self, args, kwargs)
        except AttributeError as error:
            refuse_foreign(self, (*args, *kwargs.values()), error)
            raise

    # ---- attributes

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        registered = vars(self).get("_registered")
        kind = "parameter" if isinstance(value, Parameter) else "module" if isinstance(value, Module) else None
        if registered is None:
            if kind or isinstance(value, Buffer):
                kind = kind or "buffer"
                raise AttributeError(
                    f"cannot assign {kind}s before Module.__init__() call; begin {type(self).__name__}.__init__ with "
                    "super().__init__()."
                )
        elif kind:
            self._place(name, kind)
        elif name in registered:
            kind = registered[name]
            refuse(kind, name, value)
            if isinstance(value, Buffer):
                (self._transient.discard if value.persistent else self._transient.add)(name)
        elif isinstance(value, Buffer):
            self.register_buffer(name, value, value.persistent)
            return
        object.__setattr__(self, name, announced(self, kind, name, value) if kind and REGISTRATIONS else value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._registered.pop(name, None)
        self._transient.discard(name)

    def _place(self, name: str, kind: str) -> None:
        """Notes that an attribute is of a kind; one that changes its kind moves to the end."""
        if self._registered.get(name) != kind:
            self._registered.pop(name, None)
            self._transient.discard(name)
            self._registered[name] = kind

    def _own(self, kind: str) -> dict[str, Any]:
        """This module's attributes of a kind, without those of its children."""
        own = vars(self)
        return {name: own[name] for name, k in self._registered.items() if k == kind}

    @property
    def _parameters(self) -> dict[str, Parameter | None]:
        return self._own("parameter")

    @property
    def _buffers(self) -> dict[str, Tensor | None]:
        return self._own("buffer")

    @property
    def _modules(self) -> dict[str, Module | None]:
        return self._own("module")

    def _register(self, kind: str, name: str, value: Any) -> None:
        if "_registered" not in vars(self):
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f'{kind} name can\'t contain "." and can\'t be empty string "", got {name!r}')
        if hasattr(self, name) and self._registered.get(name) != kind:
            raise KeyError(f"attribute '{name}' already exists")
        value = announced(self, kind, name, value)
        self._place(name, kind)
        object.__setattr__(self, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter; None keeps the name, for one that is left out (a layer without bias)."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{type(param).__name__}' object to parameter '{name}' (Parameter or None)")
        if param is not None and param.grad_fn is not None:
            raise ValueError(f"cannot assign non-leaf Tensor to parameter '{name}': parameters must be leaves")
        self._register("parameter", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a Tensor that moves and is saved with the module but is not learned; `persistent=False` is not saved."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None)")
        self._register("buffer", name, tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Adds a child under a name that need not be an identifier."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._register("module", name, module)

    add_module = register_module

    # ---- what is inside

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their paths ("" for itself); each once unless told otherwise."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._own("module").items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names; each once."""
        seen: set[Module] = set()
        for name, child in self._own("module").items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return (child for _, child in self.named_children())

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        seen: set[int] = set()
        for path, module in modules:
            for name, value in module._own(kind).items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths; one that is shared comes once."""
        return self._named("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        return self._named("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "body.0"; "" is this one. Raises AttributeError where there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}` (of {target!r})")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` (of {target!r}) is not a Module")
        return module  # type: ignore[no-any-return]

    def _get(self, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module._registered.get(name) != kind:
            raise AttributeError(f"{type(module).__name__}: `{name}` (of {target!r}) is not a {kind}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "body.0.weight"."""
        return self._get("parameter", target)  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path."""
        return self._get("buffer", target)  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a path; with `strict` only where there is one.

        Raises ValueError for an empty path and what is no Module, AttributeError where the path leads nowhere.
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}` (of {target!r})")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` (of {target!r}) is not a Module")
        setattr(parent, name, module)

    # ---- modes, devices, dtypes

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls fn on every module below and then on this one: to initialise weights, say."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switches to training (dropout drops), or with False to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            vars(module)["training"] = mode
        return self

    def eval(self) -> Self:
        """Switches to evaluation: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Lets gradients into all parameters, or with False freezes them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach()
                    parameter.grad.zero_()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the value of every parameter, its gradient, and every buffer; the objects stay the same."""
        for module in self.modules() if recurse else (self,):
            for parameter in module._own("parameter").values():
                if parameter is not None:
                    convert(parameter, fn)
            for name, buffer in module._own("buffer").items():
                if buffer is not None:
                    object.__setattr__(module, name, fn(buffer))
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves parameters and buffers to a device, or converts those that are floating to a floating dtype.

        `to(device)`, `to(dtype)`, `to(device, dtype)` or `to(tensor)`, in place; gradients go along.
        Raises TypeError for a dtype that is not floating.
        """
        device, dtype = destination(*args, **kwargs)
        if dtype is not None and dtype.kind not in "fc":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._apply(lambda t: t.to(device=device, dtype=dtype if t.dtype.kind in "fc" else None))

    def cpu(self) -> Self:
        """Moves everything to the host."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Moves everything to a GPU, the current one unless named."""
        return self._apply(lambda t: t.cuda(device))

    def type(self, dst_type: Any) -> Self:
        """Converts everything to a dtype."""
        return self._apply(lambda t: t.to(dtype=dst_type))

    def float(self) -> Self:
        """Converts what is floating to float32."""
        return self._apply(lambda t: t.float() if t.dtype.kind == "f" else t)

    def double(self) -> Self:
        """Converts what is floating to float64."""
        return self._apply(lambda t: t.double() if t.dtype.kind == "f" else t)

    def half(self) -> Self:
        """Converts what is floating to float16."""
        return self._apply(lambda t: t.half() if t.dtype.kind == "f" else t)

    def bfloat16(self) -> Self:
        """Not supported: NotImplementedError."""
        raise NotImplementedError("Module.bfloat16: there is no bfloat16; use half() or float().")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves to a device without the values: parameters and buffers are new, to be filled or loaded."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self) -> Self:
        """Not supported: NotImplementedError."""
        raise NotImplementedError("Module.share_memory: not supported; hand a state_dict to the other process.")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Not supported: NotImplementedError."""
        raise NotImplementedError("Module.compile: there is no compiler; call the module as it is.")

    # ---- printing

    def extra_repr(self) -> str:
        """What stands between the parentheses of `repr`; subclasses say their settings."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        below = [f"({name}): {indented(repr(child))}" for name, child in self._own("module").items()]
        if not below and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + below) + "\n)"

    def _repr_html_(self) -> str:
        from retrograd.nn.notebook import as_html

        return as_html(self)


def refuse_foreign(module: Module, given: tuple[Any, ...], error: AttributeError) -> None:
    """TypeError where a layer of the library failed on an argument that is no Tensor. Other errors are the caller's."""
    if isinstance(error.obj, Tensor) or not type(module).__module__.startswith("retrograd.nn."):
        return
    if any(error.obj is value for value in given):
        what = "unpack it, e.g. out, _ = lstm(x)" if isinstance(error.obj, tuple) else "rg.tensor(...) makes one"
        name, kind = type(module).__name__, type(error.obj).__name__
        raise TypeError(f"{name}: expected a Tensor, got {kind}; {what}.") from None


def indented(text: str) -> str:
    """All lines but the first moved in by two."""
    first, newline, rest = text.partition("\n")
    return first + newline + textwrap.indent(rest, "  ")


def refuse(kind: str, name: str, value: Any) -> None:
    """A registered name takes only its kind, or None."""
    if value is None or (kind == "buffer" and isinstance(value, Tensor)):
        return
    expected = {"parameter": "nn.Parameter", "buffer": "Tensor", "module": "nn.Module"}[kind]
    child = "child " if kind == "module" else ""
    raise TypeError(f"cannot assign '{type(value).__name__}' as {child}{kind} '{name}' ({expected} or None expected)")


def convert(parameter: Parameter, fn: Callable[[Tensor], Tensor]) -> None:
    """Gives a parameter, and its gradient, another value in place."""
    old = parameter.detach()
    new = fn(old)
    if new is old:
        return
    grad = parameter.grad
    parameter.grad = None
    parameter.data = new
    if grad is not None:
        parameter.grad = fn(grad.detach())


def destination(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Device and dtype from the arguments of `to`."""
    import numpy as np

    from retrograd.backends import Device

    if unknown := set(kwargs) - {"device", "dtype", "non_blocking"}:
        raise TypeError(f"Module.to: unexpected {', '.join(sorted(unknown))}; it takes device, dtype or a tensor")
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, (str, int, Device)) and not isinstance(value, bool):
            device = value
        elif isinstance(value, (np.dtype, type)):
            dtype = value
        elif not isinstance(value, bool):  # non_blocking
            raise TypeError(f"Module.to: expected a device, a dtype or a tensor, got {value!r}")
    return device, None if dtype is None else np.dtype(dtype)
