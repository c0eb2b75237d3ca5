"""What a program takes for granted, checked at every call: a failed guard has the step recorded anew.

Guarded are the arguments; the Tensors that are read (shape, dtype, device, whether they require a gradient); plain
values, and the identity of everything else, in the closure of the function, in the globals that it names, and in the
attributes of the modules that it calls; and the modes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.modes import state
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor
from retrograd.nn.hooks import EVERY
from retrograd.nn.module import Module

__all__ = ["Guard", "Guards", "argument_guards", "around", "mode_guards", "module_guards", "tensor_guards"]

NUMBERS = (bool, int, float, complex, str, bytes, type(None))
SMALL = 32
"""Elements up to which the numbers in a container are compared."""


class Guard:
    """An expression over names, that must equal, or be, what it was; and what it speaks of."""

    def __init__(
        self, expression: str, names: dict[str, Any], subject: str, value: Any, equal: bool | None = None
    ) -> None:
        self.expression, self.names, self.subject = expression, names, subject
        self.equal = plain(value) if equal is None else equal
        self.value = snapshot(value) if self.equal else value

    def source(self, number: int) -> tuple[str, dict[str, Any]]:
        """As a condition, with the names that it uses."""
        names = {f"{name}_{number}": thing for name, thing in self.names.items()}
        expression = self.expression
        for name in self.names:
            expression = expression.replace(f"${name}", f"{name}_{number}")
        names[f"was_{number}"] = self.value
        if self.value is True and " is " in expression:
            return expression, names
        if self.value is None or self.value is True or self.value is False:
            return f"{expression} is {self.value}", names
        if not self.equal:
            return f"{expression} is was_{number}", names
        condition = f"{expression} == was_{number}"
        if isinstance(self.value, (int, float)):  # 1 == 1.0 == True
            condition += f" and {expression}.__class__ is {type(self.value).__name__}"
        return condition, names


class Guards:
    """Many conditions as one function; `broken()` names the first that does not hold."""

    def __init__(self, guards: Iterable[Guard], parameters: str = "") -> None:
        self.guards = list(guards)
        self.parameters = parameters
        scope: dict[str, Any] = {}
        conditions = []
        for i, guard in enumerate(self.guards):
            condition, names = guard.source(i)
            conditions.append(condition)
            scope |= names
        self.scope, self.conditions = scope, conditions
        self.hold: Callable[..., bool] = self.compiled(conditions)

    def compiled(self, conditions: list[str]) -> Any:
        text = " and ".join(conditions) or "True"
        return eval(f"lambda {self.parameters}: {text}", self.scope)

    def holds(self, *args: Any) -> bool:
        """Whether all conditions hold; a name that is gone is one that does not."""
        try:
            return self.hold(*args)
        except (KeyError, AttributeError, ValueError, RuntimeError):
            return False

    def broken(self, *args: Any) -> str | None:
        """What has changed."""
        for guard, condition in zip(self.guards, self.conditions):
            try:
                if not self.compiled([condition])(*args):
                    return guard.subject
            except (KeyError, AttributeError, ValueError, RuntimeError):
                return guard.subject
        return None


def plain(value: Any) -> bool:
    """Whether a value is compared, not identified."""
    if isinstance(value, NUMBERS):
        return value == value
    if type(value) in (tuple, list, set, frozenset):
        return len(value) <= SMALL and all(isinstance(part, NUMBERS) for part in value)
    if type(value) is dict:
        return len(value) <= SMALL and all(isinstance(part, NUMBERS) for part in (*value, *value.values()))
    return False


def snapshot(value: Any) -> Any:
    """A container as it is now."""
    return value.copy() if isinstance(value, (list, set, dict)) else value


# ---- where the function looks


def around(function: Any) -> list[Guard]:
    """What a function and those that it names can see: closure, globals, attributes of their objects."""
    found: list[Guard] = []
    walk(function, found, set())
    return found


def walk(thing: Any, found: list[Guard], seen: set[int]) -> None:
    """Adds the guards of a function, or of an object that is called."""
    if id(thing) in seen or len(found) > 2000:
        return
    seen.add(id(thing))
    if isinstance(thing, types.MethodType):
        owner = thing.__self__
        walk(thing.__func__, found, seen)
        if not isinstance(owner, (Module, type)) and hasattr(owner, "__dict__"):
            attributes(owner, names_in(thing.__func__.__code__), found)
        return
    thing = getattr(thing, "__wrapped__", thing)
    if not isinstance(thing, types.FunctionType):
        return
    module = thing.__module__ or ""
    if module.partition(".")[0] in ("retrograd", "numpy"):
        return
    code = thing.__code__
    named = names_in(code)
    for name, cell in zip(code.co_freevars, thing.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        found.append(Guard("$cell.cell_contents", {"cell": cell}, f"the variable {name!r}", value))
        follow(value, named, found, seen)
    for name in sorted(named & set(thing.__globals__)):
        value = thing.__globals__[name]
        if not isinstance(value, types.ModuleType):
            found.append(Guard(f"$names[{name!r}]", {"names": thing.__globals__}, f"the global {name!r}", value))
            follow(value, named, found, seen)
    for i, value in enumerate(thing.__defaults__ or ()):
        found.append(
            Guard(f"$function.__defaults__[{i}]", {"function": thing}, f"a default of {thing.__name__}", value)
        )


def follow(value: Any, named: set[str], found: list[Guard], seen: set[int]) -> None:
    """Adds what lies behind a value: functions, and the attributes of objects that are named."""
    if isinstance(value, (types.FunctionType, types.MethodType)):
        walk(value, found, seen)
    elif isinstance(value, (list, tuple)) and not plain(value) and len(value) <= SMALL:
        for i, part in enumerate(value):
            found.append(Guard(f"$nest[{i}]", {"nest": value}, f"element {i} of a {type(value).__name__}", part))
    elif isinstance(value, dict) and not plain(value) and len(value) <= SMALL:
        for key, part in value.items():
            if isinstance(key, NUMBERS):
                found.append(Guard(f"$nest[{key!r}]", {"nest": value}, f"element {key!r} of a dict", part))
    elif not isinstance(value, (Tensor, Module, type, types.ModuleType)) and hasattr(value, "__dict__"):
        attributes(value, named if not type(value).__module__.startswith("retrograd.") else set(), found)


def attributes(owner: Any, named: set[str], found: list[Guard]) -> None:
    """Those attributes of an object that a function names."""
    for name in sorted(named & set(vars(owner))):
        subject = f"the attribute {name!r} of a {type(owner).__name__}"
        found.append(Guard(f"$owner.{name}", {"owner": owner}, subject, vars(owner)[name]))


def names_in(code: types.CodeType) -> set[str]:
    """Globals and attributes that code names, that of inner functions included."""
    found = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_in(constant)
    return found


# ---- modules, Tensors, modes


def module_guards(modules: Iterable[tuple[Module, dict[str, Any]]]) -> Iterator[Guard]:
    """What modules that were called had as attributes, and how many hooks."""
    for module, before in modules:
        kind = type(module).__name__
        for name, value in before.items():
            if name not in ("_registered", "_transient", "_hooks"):
                yield Guard(f"$own[{name!r}]", {"own": vars(module)}, f"the attribute {name!r} of a {kind}", value)
        hooks = before.get("_hooks")
        yield Guard("$module._hooks", {"module": module}, f"the hooks of a {kind}", hooks)
        for name in ("before", "after", "before_backward", "after_backward") if hooks is not None else ():
            count = len(getattr(hooks, name))
            yield Guard(f"len($hooks.{name})", {"hooks": hooks}, f"the hooks of a {kind}", count)
        if type(module).forward.__module__.partition(".")[0] != "retrograd":
            yield from around(type(module).forward)
    yield Guard("len($every)", {"every": EVERY}, "the hooks of all modules", len(EVERY))


def tensor_guards(read: Iterable[tuple[Tensor, Any, bool]]) -> Iterator[Guard]:
    """Tensors that are read have the same shape, dtype and kind, and require a gradient, or none, as before."""
    for tensor, array, required in read:
        subject, names = f"a Tensor of shape {tuple(array.shape)}", {"tensor": cast(Any, tensor)}
        yield Guard("$tensor._array.shape", names, f"the shape of {subject}", tuple(array.shape), equal=True)
        yield Guard("$tensor._array.dtype", names, f"the dtype of {subject}", array.dtype, equal=True)
        if array.ndim:  # without dimensions NumPy has scalars and arrays, and both will do
            yield Guard("$tensor._array.__class__", names, f"the device of {subject}", type(array))
        if required:
            names = {**names, "leaf": AccumulateGrad}
            yield Guard("$tensor._node.__class__ is $leaf", names, f"whether {subject} requires a gradient", True)
            yield Guard("bool($tensor._node.hooks)", names, f"the hooks of {subject}", False)
        else:
            yield Guard("$tensor._node", names, f"whether {subject} requires a gradient", None)


def mode_guards() -> Iterator[Guard]:
    """The switches of this thread, and the default dtype."""
    for name in ("grad", "inference"):
        yield Guard(f"$state.{name}", {"state": state}, f"the mode {name!r}", getattr(state, name))
    yield Guard("$dtype()", {"dtype": get_default_dtype}, "the default dtype", get_default_dtype(), equal=True)


def argument_guards(leaves: list[Any]) -> Iterator[Guard]:
    """What is passed: Tensors of the same shape, dtype, layout and need of a gradient; equal numbers; same objects."""
    for i, leaf in enumerate(leaves):
        subject = f"argument {i}"
        if not isinstance(leaf, Tensor):
            yield Guard(f"x{i}", {}, subject, leaf)
            continue
        array = leaf._array
        yield Guard(f"x{i}.__class__", {}, subject, type(leaf))
        yield Guard(f"x{i}._array.shape", {}, f"the shape of {subject}", tuple(array.shape), equal=True)
        yield Guard(f"x{i}._array.dtype", {}, f"the dtype of {subject}", array.dtype, equal=True)
        yield Guard(f"x{i}._array.strides", {}, f"the layout of {subject}", tuple(array.strides), equal=True)
        yield Guard(f"x{i}._node.__class__", {}, f"whether {subject} requires a gradient", leaf._node.__class__)
    tensors = [(i, leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    if len(tensors) > 1:
        same = [next(j for j, other in tensors if other is leaf) for _, leaf in tensors]
        for (i, _), first in zip(tensors, same):
            if first != i:
                yield Guard(f"x{i} is x{first}", {}, f"argument {i} being argument {first}", True)
        distinct = f"len({{{', '.join(f'id(x{i})' for i, _ in tensors)}}})"
        yield Guard(distinct, {}, "which arguments are the same Tensor", len(set(same)))
