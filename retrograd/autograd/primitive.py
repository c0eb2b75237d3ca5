"""Primitives: declare a forward and its VJP once; the function that records it is generated (`recording.py`).

    @primitive
    def hypot(xp, x, y):
        return xp.sqrt(x * x + y * y)

    hypot.vjps(x=lambda xp, g, x, out: ..., y=...)      # one rule per input: what one needs is saved only for it, or
    @hypot.vjp
    def _(xp, g, x, y, out): ...                # jointly: one cotangent per input (None: no gradient)

Inputs are Tensors; keyword-only parameters are static. A rule names what it needs, and exactly that is saved: an input
(`x`), its shape or dtype (`x_shape`, `x_dtype`), the result (`out`), a static parameter (`axis`), a residual that the
forward returned beside its result. `needs`, in a joint rule, says which inputs want a cotangent; `arrived`, which
of several outputs had one (the others' are zeros).

A forward with `*arrays` takes any number of Tensors; its joint rule returns a list, and may name `shapes` and
`dtypes`. Rules run on arrays and on Tensors: they use operators and the contract's functions, never an array method,
and return new values or g itself, never a saved value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, Protocol, cast, overload

import numpy as np

from retrograd.autograd.graph import Node
from retrograd.autograd.recording import SCOPE, backward_source, recorder_source, variadic_backward, variadic_recorder
from retrograd.backends import backend_of_array

__all__ = ["REGISTRY", "Primitive", "elementwise", "nondifferentiable", "primitive"]

Rule = Callable[..., Any]
WRITTEN = frozenset({"coerced", "kernel", "kernels", "node", "primitive", *SCOPE})
"""Names that the generated recorders use themselves."""
KEPT = frozenset({"g", "keep", "node", "xp", *vars(Node)["__slots__"]})
"""Names that nodes, and their generated `backward`, use themselves."""
REGISTRY: dict[str, Primitive] = {}
"""All primitives, by the name of the function that declares them."""


class Recorder(Protocol):
    """The generated function: call it with Tensors; attach rules to it."""

    primitive: Primitive

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def vjp(self, rule: Rule) -> Rule:
        """Attaches the joint rule: all cotangents at once, in the order of the inputs."""

    def vjps(self, **rules: Rule) -> None:
        """Attaches one rule per input, by name. An input without a rule is not differentiable."""


class Kernels(dict[type, Callable[..., Any]]):
    """The forward, by the type of the first array; bound to a backend when one of its arrays first comes by."""

    def __init__(self, forward: Callable[..., Any] | str) -> None:
        super().__init__()
        self.forward = forward

    def __missing__(self, kind: type) -> Callable[..., Any]:
        xp = backend_of_array[kind]
        if isinstance(self.forward, str):
            scalar = getattr(xp, "scalar_functions", {}) if issubclass(kind, np.generic) else {}
            self[kind] = scalar.get(self.forward) or getattr(xp, self.forward)
        else:
            self[kind] = functools.partial(self.forward, xp)
        return self[kind]


class Primitive:
    """What is known of a primitive; `record` is the function that users call, `node` the class of its nodes."""

    forward: Any
    """A function of xp and the inputs, or the name of the backend's function."""

    def __init__(
        self,
        forward: Callable[..., Any] | str,
        parameters: list[inspect.Parameter],
        name: str,
        title: str | None,
        *,
        promotes: tuple[str, ...] = (),
        floating: bool = False,
        view: bool = False,
        outputs: bool = False,
        residuals: tuple[str, ...] = (),
        constant: bool = False,
        heavy: tuple[str, ...] = (),
    ) -> None:
        self.name, self.forward = name, forward
        self.promotes, self.floating, self.view = promotes, floating, view
        self.outputs, self.residuals, self.constant, self.heavy = outputs, residuals, constant, heavy
        self.elementwise = isinstance(forward, str)
        self.title = f"{title or ''.join(part.capitalize() for part in name.split('_'))}Backward0"
        self.inputs = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.static = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.kernels = Kernels(forward)
        self.rules: dict[str, Rule] = {}
        self.joint: Rule | None = None
        self.needs: dict[str, list[str]] = {}
        self.saved: list[str] = []
        self.freed: list[str] = []
        self.scope = {**SCOPE, "kernels": self.kernels, "primitive": self}
        self.record: Any
        self.record = variadic_recorder(self) if self.variadic else FunctionType(write_first.__code__, self.scope, name)
        self.record.primitive, self.record.vjp, self.record.vjps = self, self.attach_joint, self.attach_each
        self.record.__doc__ = getattr(forward, "__doc__", None) or f"The backend's `{name}`, elementwise."
        if taken := WRITTEN & {*self.inputs, *self.static, *self.residuals}:
            raise TypeError(f"{name}: parameters may not be named {sorted(taken)}, which its code uses itself")
        if name in REGISTRY:
            raise ValueError(f"a primitive {name!r} is declared already")
        REGISTRY[name] = self

    def attach_joint(self, rule: Rule) -> Rule:
        """`@recorder.vjp`"""
        self.joint = rule
        self.attach(dict.fromkeys([self.variadic] if self.variadic else self.inputs, rule))
        return rule

    def attach_each(self, **rules: Rule) -> None:
        """`recorder.vjps(x=..., y=...)`"""
        if unknown := set(rules) - set(self.inputs):
            raise TypeError(f"{self.name}: rules for {sorted(unknown)}, but its inputs are {self.inputs}")
        self.attach(rules)

    def attach(self, rules: dict[str, Rule]) -> None:
        """Takes the rules, and notes which values they need by what they name."""
        self.rules = rules
        self.needs = {n: list(r.__code__.co_varnames[2 : r.__code__.co_argcount]) for n, r in rules.items()}
        self.saved = sorted(self.wanted - {"needs", "arrived"})
        arrays = {*self.inputs, *self.residuals, *self.heavy, "out", self.variadic}
        self.freed = [n for n in self.saved if n in arrays]  # shapes and axes stay: PyTorch too reverses these twice
        known = {*self.inputs, *self.static, *self.residuals, "out", self.variadic}
        known |= {f"{n}_{what}" for n in self.inputs for what in ("shape", "dtype")}
        known |= {"shapes", "dtypes"} if self.variadic else set()
        if taken := KEPT & set(self.saved):
            raise TypeError(f"{self.name}: a rule may not name {sorted(taken)}, which nodes use themselves")
        if unknown := set(self.saved) - known:
            raise TypeError(f"{self.name}: a rule names {sorted(unknown)}; it may name {sorted(map(str, known))}")

    @property
    def wanted(self) -> set[str]:
        """All names in the rules."""
        return {name for names in self.needs.values() for name in names}

    @functools.cached_property
    def node(self) -> Any:
        """The class of the nodes: a slot for everything that is saved, and `backward`."""
        stamps = [f"{n}_stamp" for n in self.saved if n in self.inputs or n == "out"]
        extra = (["out_shapes", "out_dtypes"] if self.outputs else []) + (["stamps"] if self.variadic else [])
        body: dict[str, Any] = {
            "__slots__": (*self.saved, *stamps, *extra),
            "__module__": __name__,
            "saves": tuple(self.saved),
            "primitive": self,
        }
        self.scope |= {f"rule_{name}": rule for name, rule in self.rules.items()}
        for method, recorded in (("backward", False), ("backward_recorded", True)):
            if self.variadic:
                body[method] = variadic_backward(recorded)
            elif self.rules:
                body[method] = self.written(backward_source(self, method, recorded), method)
        return type(self.title, (Node,), body)

    def write(self) -> None:
        """Puts the generated source in the place of `write_first`."""
        self.scope |= {f"default_{n}": default for n, default in self.static.items()}
        self.scope["Kind"] = self.node
        fresh = self.written(recorder_source(self), self.name)
        self.record.__kwdefaults__, self.record.__code__ = fresh.__kwdefaults__, fresh.__code__

    def written(self, source: str, name: str) -> Any:
        """The function that a source defines."""
        exec(compile(source, f"<{self.name}>", "exec"), self.scope)
        return self.scope.pop(name)


def write_first(*args: Any, **kwargs: Any) -> Any:
    """What a recorder is until its first call: writing all of them at import would take longer than importing NumPy."""
    primitive.write()  # type: ignore[attr-defined]  # a name in the recorder's own scope
    return primitive.record(*args, **kwargs)  # type: ignore[attr-defined]


@overload
def primitive(forward: Callable[..., Any], /) -> Recorder: ...
@overload
def primitive(*, name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Recorder]: ...
def primitive(forward: Callable[..., Any] | None = None, *, name: str | None = None, **options: Any) -> Any:
    """Declares a primitive from its forward `f(xp, x, ..., *, static...)`; gives the function that records it.

    `name` is what PyTorch shows in grad_fn, without Backward0. Options: `promotes` lists inputs brought to a common
    dtype; `floating` turns integers into the default float dtype; `view` marks a result that may share its input's
    storage; `outputs` a forward that returns a tuple of results; `residuals` names what the forward returns after its
    result (constants for the rule: indices, masks); `constant` an operation whose result carries no gradient; `heavy`
    lists static parameters that hold arrays, which backward frees like these.
    """
    if forward is None:
        return functools.partial(primitive, name=name, **options)
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    return cast(Recorder, Primitive(forward, parameters, forward.__name__.rstrip("_"), name, **options).record)


def nondifferentiable(forward: Callable[..., Any], /) -> Recorder:
    """Declares an operation whose result carries no gradient: comparisons, indices, counts."""
    return primitive(constant=True)(forward)


def elementwise(name: str, rule: Rule | None = None, /, *, backward: str | None = None, **options: Any) -> Recorder:
    """Declares an elementwise primitive whose forward is the backend's function of that name.

    One input: `elementwise("tanh", lambda xp, g, out: g * (1 - out * out))`. Two, that broadcast and are brought to a
    common dtype: `elementwise("multiply", x=lambda xp, g, y: g * y, y=lambda xp, g, x: g * x, backward="Mul")`.
    """
    rules = {n: options.pop(n) for n in ("x", "y") if n in options}
    names = ("x", "y") if options.pop("binary", bool(rules)) else ("x",)
    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
    options.setdefault("promotes", names if len(names) == 2 else ())
    declared = Primitive(name, parameters, name, backward, **options)
    if rule is not None:
        declared.attach_joint(rule)
    elif rules:
        declared.attach_each(**rules)
    return cast(Recorder, declared.record)
