"""Modules that hold modules: in a row, in a list, in a dict; and lists and dicts of parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from retrograd.autograd.tensor import Tensor
from retrograd.nn.module import Module, indented
from retrograd.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class Numbered(Module):
    """Modules under the names "0", "1", ...: what Sequential and ModuleList have in common."""

    def _all(self) -> list[Any]:
        return list(self._own("module").values())

    def _renumber(self, modules: Iterable[Any]) -> None:
        modules = list(modules)
        for module in modules:
            if module is not None and not isinstance(module, Module):
                raise TypeError(f"{type(module).__name__} is not a Module subclass")
        for name in self._own("module"):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.register_module(str(i), module)

    def _name_at(self, index: int) -> str:
        names = list(self._own("module"))
        if not -len(names) <= index < len(names):
            raise IndexError(f"index {index} is out of range: there are {len(names)} modules")
        return names[index]

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        return getattr(self, self._name_at(index))

    def _part(self, index: slice) -> Any:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = self._all()
        if isinstance(index, int):
            self._name_at(index)
        del modules[index]
        self._renumber(modules)

    def __len__(self) -> int:
        return len(self._own("module"))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def append(self, module: Module) -> Self:
        """Adds a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Adds a module before the one at the index."""
        modules = self._all()
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"index {index} is out of range: there are {len(modules)} modules")
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int = -1) -> Any:
        """Takes a module out."""
        module = self[index]
        del self[index]
        return module


class Sequential(Numbered):
    """Modules in a row: each gets what the one before it gave.

    Made from modules, or from one dict of them whose keys become their names.

    >>> import retrograd as rg
    >>> model = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.ReLU())
    >>> model(rg.ones(5, 2)).shape
    (5, 3)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.register_module(name, module)
        else:
            for i, module in enumerate(args):
                self.register_module(str(i), module)

    def forward(self, input: Any) -> Any:
        own = vars(self)
        for name, kind in self._registered.items():
            if kind == "module":
                input = own[name](input)
        return input

    def _part(self, index: slice) -> Any:
        return type(self)(dict(list(self._own("module").items())[index]))

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*(self._all() * checked_factor(self, times)))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        return self.extend(self._all() * (checked_factor(self, times) - 1))


def checked_factor(sequence: Sequential, times: int) -> int:
    """How often a Sequential is to be repeated: at least once."""
    if not isinstance(times, int):
        raise TypeError(f"unsupported operand type(s) for *: {type(sequence)} and {type(times)}")
    if times <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for {type(sequence)}")
    return times


class ModuleList(Numbered):
    """A list of modules whose parameters are found; how they are called is up to its owner."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _part(self, index: slice) -> Any:
        return type(self)(self._all()[index])

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def insert(self, index: int, module: Module) -> None:
        """Adds a module before the one at the index."""
        super().insert(index, module)

    def __repr__(self) -> str:
        """Equal neighbours on one line, counted."""
        runs: list[tuple[int, int, str]] = []
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            f"({first}): {indented(text)}"
            if first == last
            else f"({first}-{last}): {last - first + 1} x {indented(text)}"
            for first, last, text in runs
        ]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class ModuleDict(Module):
    """A dict of modules whose parameters are found, in the order in which they were put in."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Puts modules in under their names."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __getitem__(self, key: str) -> Any:
        return self._own("module")[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._own("module"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._own("module"))

    def __contains__(self, key: object) -> bool:
        return key in self._own("module")

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._own("module").keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._own("module").values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and modules."""
        return self._own("module").items()

    def pop(self, key: str) -> Any:
        """Takes a module out."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Takes all out."""
        for key in list(self):
            del self[key]


def as_parameter(value: Any) -> Any:
    """Tensors become Parameters, as they are put into a list or dict of them."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list whose Tensors are parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(values or ())

    def append(self, value: Any) -> Self:
        """Adds a value at the end."""
        setattr(self, str(self._size), as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Any) -> Self:
        """Adds values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def _name_at(self, index: int) -> str:
        if not -self._size <= index < self._size:
            raise IndexError(f"index {index} is out of range: there are {self._size} values")
        return str(index % self._size)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name_at(index), as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, str(i)) for i in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n".join(f"  ({i}): {described(value)}" for i, value in enumerate(self))

    def __repr__(self) -> str:
        extra = self.extra_repr()
        return (
            f"{self._get_name()}(\n" + "\n".join("  " + line for line in extra.split("\n")) + "\n)"
            if extra
            else (f"{self._get_name()}()")
        )


class ParameterDict(Module):
    """A dict whose Tensors are parameters, in the order in which they were put in (a plain dict's items sorted)."""

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def update(self, parameters: Any) -> None:
        """Puts values in under their names, from a mapping or pairs; TypeError or ValueError for anything else."""
        for key, value in pairs_of(parameters):
            self[key] = value

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: keys must be strings, got {type(key).__name__} {key!r}.")
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"attribute '{key}' already exists")
        self._keys[key] = None
        setattr(self, key, as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """The values."""
        return (self[key] for key in self._keys)

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and values."""
        return ((key, self[key]) for key in self._keys)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a name, or the default."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a name, under which the default is put in if there is none."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Takes a value out."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes the last name and value out."""
        if not self._keys:
            raise KeyError("ParameterDict.popitem: it is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Takes all out."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """Another ParameterDict of the same parameters."""
        return ParameterDict(list(self.items()))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new ParameterDict with these names and one value."""
        return ParameterDict([(key, default) for key in keys])

    def __or__(self, other: Any) -> ParameterDict:
        joined = self.copy()
        joined.update(other)
        return joined

    def __ror__(self, other: Any) -> ParameterDict:
        joined = ParameterDict(other)
        joined.update(self)
        return joined

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterDict should not be called.")

    def extra_repr(self) -> str:
        return "\n".join(f"  ({key}): {described(value)}" for key, value in self.items())

    __repr__ = ParameterList.__repr__  # it needs only extra_repr


def pairs_of(parameters: Any) -> Iterable[tuple[str, Any]]:
    """Names and values of a mapping or of a sequence of pairs. PyTorch sorts a plain dict, and so the state's order."""
    if not isinstance(parameters, Iterable):
        raise TypeError(
            "ParametersDict.update should be called with an iterable of key/value pairs, "
            f"but got {type(parameters).__name__}"
        )
    if isinstance(parameters, (OrderedDict, ParameterDict)):
        return parameters.items()
    if isinstance(parameters, Mapping):
        return sorted(parameters.items())
    pairs = list(parameters)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, Iterable):
            raise TypeError(f"ParameterDict update sequence element #{i} should be Iterable; is {type(pair).__name__}")
        if len(pair) != 2:  # type: ignore[arg-type]  # as dict.update, which takes what has a length
            raise ValueError(f"ParameterDict update sequence element #{i} has length {len(pair)}; 2 is required")  # type: ignore[arg-type]
    return pairs


def described(value: Any) -> str:
    """A value of a ParameterList or ParameterDict in one line."""
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"{kind} containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}]"
