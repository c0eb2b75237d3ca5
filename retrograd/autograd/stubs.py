"""Writes the stub files that tell editors and mypy what is attached to Tensor and to `rg` at run time.

`python -m retrograd.autograd.stubs` writes `retrograd/__init__.pyi`, `retrograd/autograd/tensor.pyi` and
`retrograd/autograd/ops/__init__.pyi`; a test checks that they are current.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from retrograd.autograd.tensor import Tensor

__all__ = ["stubs", "write"]

HEADER = "# Written by `python -m retrograd.autograd.stubs`: change the functions, not this file.\n"
UNSAFE_OVERRIDES = {"__eq__", "__ne__"}


class Writer:
    """One stub file: the declarations, and the imports that their annotations need."""

    def __init__(self, module: str, taken: set[str]) -> None:
        self.module = module
        self.taken = taken  # names that this file gives another meaning, so that int, float … need an alias
        self.imports: set[str] = set()
        self.lines: list[str] = []

    def function(self, name: str, function: Any, method: bool) -> None:
        """Declares a function, or a method."""
        parameters, returns = self.signature(name, function, method)
        ignored = "  # type: ignore[override]" if name in UNSAFE_OVERRIDES else ""
        self.lines.append(f"{'    ' * method}def {name}({parameters}) -> {returns}: ...{ignored}")

    def signature(self, name: str, function: Any, method: bool) -> tuple[str, str]:
        primitive = getattr(function, "primitive", None)
        if primitive is not None:
            return self.of_primitive(primitive, method)
        found = inspect.signature(function)
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        text: list[str] = []
        before: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
        for parameter in found.parameters.values():
            if before is parameter.POSITIONAL_ONLY is not parameter.kind:
                text.append("/")
            if parameter.kind is parameter.KEYWORD_ONLY and before not in (before.VAR_POSITIONAL, before.KEYWORD_ONLY):
                text.append("*")
            text.append(self.parameter(parameter, scope, first=method and not text))
            before = parameter.kind
        returns = "Tensor" if name.endswith("_") and not name.startswith("_") else None
        return ", ".join(text), returns or self.annotation(found.return_annotation, scope)

    def of_primitive(self, primitive: Any, method: bool) -> tuple[str, str]:
        """Operators are the primitives themselves, which say their inputs and static parameters."""
        names = ["self", *primitive.inputs[1:]] if method else list(primitive.inputs)
        text = [n if n == "self" else f"{n}: {self.typing('Any')}" for n in names]
        if primitive.variadic:
            text.append(f"*{primitive.variadic}: {self.typing('Any')}")
        elif primitive.static:
            text.append("*")
        for n, default in primitive.static.items():
            text.append(f"{n}: {self.typing('Any')}" + (" = ..." if default is not inspect.Parameter.empty else ""))
        return ", ".join(text), self.typing("Any") if primitive.outputs else self.tensor()

    def parameter(self, parameter: inspect.Parameter, scope: dict[str, Any], first: bool) -> str:
        if first:
            return "self"
        stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL) + "**" * (parameter.kind is parameter.VAR_KEYWORD)
        default = "" if parameter.default is parameter.empty else " = ..."
        return f"{stars}{parameter.name}: {self.annotation(parameter.annotation, scope)}{default}"

    # ---- annotations

    def typing(self, name: str, module: str = "typing") -> str:
        self.imports.add(f"from {module} import {name}")
        return name

    def annotation(self, annotation: Any, scope: dict[str, Any]) -> str:
        """An annotation as it was written, its names imported; Any where it cannot be told."""
        if annotation is inspect.Signature.empty:
            return self.typing("Any")
        if annotation is None:
            return "None"
        source = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")
        try:
            return ast.unparse(Names(self, scope).visit(ast.parse(source, mode="eval")))
        except (Unknown, SyntaxError):
            return self.typing("Any")

    def name(self, name: str, scope: dict[str, Any]) -> str:
        """How this file spells a name of another module."""
        if name in scope:
            value = scope[name]
        elif hasattr(builtins, name):
            return self.builtin(name)
        else:
            raise Unknown(name)
        if value is Tensor:
            return self.tensor()
        if value is np:
            self.imports.add("import numpy as np")
            return "np"
        if value is Any:
            return self.typing("Any")
        if getattr(value, "__module__", "") == "collections.abc":
            return self.typing(name, "collections.abc")
        if isinstance(value, type) and value.__module__.startswith("retrograd."):
            alias = f"_{value.__name__}"
            self.imports.add(f"from {value.__module__} import {value.__name__} as {alias}")
            return alias
        raise Unknown(name)

    def tensor(self) -> str:
        if self.module != "retrograd.autograd.tensor":
            self.imports.add("from retrograd.autograd.tensor import Tensor as Tensor")
        return "Tensor"

    def builtin(self, name: str) -> str:
        if name not in self.taken:
            return name
        self.imports.add(f"from builtins import {name} as _{name}")
        return f"_{name}"

    def text(self) -> str:
        return HEADER + "\n".join(sorted(self.imports)) + "\n\n" + "\n".join(self.lines) + "\n"


class Unknown(Exception):
    """A name that a stub cannot spell."""


class Names(ast.NodeTransformer):
    """Respells the names of an annotation."""

    def __init__(self, writer: Writer, scope: dict[str, Any]) -> None:
        self.writer, self.scope = writer, scope

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ALIASES:
            return ast.parse(ALIASES[node.id](self.writer), mode="eval").body
        return ast.Name(self.writer.name(node.id, self.scope))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.visit(node.value)
        return node


def _hook(writer: Writer) -> str:
    writer.imports |= {"from collections.abc import Callable"}
    return "Callable[[Tensor], Tensor | None]"


ALIASES: dict[str, Callable[[Writer], str]] = {"Hook": _hook}
"""Type aliases of the library that stubs write out."""


def tensor_stub() -> str:
    """The stub of `retrograd.autograd.tensor`: the class with all that the methods attached."""
    from retrograd.autograd import tensor as module

    members = {
        n: v for n, v in vars(Tensor).items() if n not in ("__slots__", "__annotations__", "__doc__", "__module__")
    }
    writer = Writer("retrograd.autograd.tensor", {n for n in members if not n.startswith("__")})
    writer.imports |= {"import itertools", "import weakref", "from typing import Any"}
    writer.imports.add("from retrograd.autograd.graph import Node as _Node")
    writer.lines += ["Stamp = list[Any]", "clock: itertools.count[int]", "", "class Tensor:"]
    for slot in sorted({*vars(Tensor)["__slots__"]} - {"__weakref__"}):
        writer.lines.append(f"    {slot}: {Tensor.__annotations__[slot].replace('Node', '_Node')}")
    for name in sorted(members):
        value = members[name]
        if isinstance(value, property):
            returns = writer.annotation(inspect.signature(value.fget).return_annotation, value.fget.__globals__)  # type: ignore[arg-type, union-attr]
            writer.lines += ["    @property", f"    def {name}(self) -> {returns}: ..."]
            if value.fset is not None:
                writer.lines += [f"    @{name}.setter", f"    def {name}(self, value: {returns}) -> None: ..."]
            if value.fdel is not None:
                writer.lines += [f"    @{name}.deleter", f"    def {name}(self) -> None: ..."]
        elif callable(value) and name != "__hash__":
            writer.function(name, value, method=True)
    writer.lines.append(f"    def __hash__(self) -> {writer.builtin('int')}: ...")
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            writer.lines.append("")
            writer.function(name, value, method=False)
    return writer.text()


def front_door_stub() -> str:
    """The stub of `retrograd`: its functions, dtypes, classes and rooms."""
    door: Any = importlib.import_module("retrograd")
    from retrograd.autograd.dtypes import NAMES
    from retrograd.autograd.methods import FUNCTIONS
    from retrograd.backends import Device

    writer = Writer("retrograd", {*NAMES, *FUNCTIONS})
    writer.imports |= {
        "import numpy as np",
        "from typing import Any",
        "from retrograd.autograd.tensor import Tensor as Tensor",
    }
    for room in ("autograd", *door.ROOMS):
        if importlib.util.find_spec(f"retrograd.{room}") is not None:
            writer.imports.add(f"from retrograd import {room} as {room}")
    writer.imports.add("from retrograd.profiler import profile as profile")
    for name in door.LAYERS:
        home = "top_level" if name in importlib.import_module("retrograd.nn.top_level").__all__ else "functional"
        writer.imports.add(f"from retrograd.nn.{home} import {name} as {name}")
    for name in door.__all__:
        value = getattr(door, name)
        if name in NAMES or name == "autograd" or value is Tensor:
            continue
        if inspect.ismodule(value):
            writer.imports.add(
                f"from {value.__name__.rpartition('.')[0]} import {value.__name__.rpartition('.')[2]} as {name}"
            )
        elif isinstance(value, float):
            writer.lines.append(f"{name}: {writer.builtin('float')}")
        elif value is Device:
            writer.imports.add("from retrograd.backends.device import Device as _Device")
            writer.lines.append(f"{name} = _Device")
        elif isinstance(value, type) or name not in FUNCTIONS:
            writer.imports.add(f"from {value.__module__} import {getattr(value, '__name__', name)} as {name}")
    writer.lines += [
        "__version__: str",
        "ROOMS: tuple[str, ...]",
        "LAYERS: tuple[str, ...]",
        "DTYPES: dict[str, np.dtype[Any]]",
    ]
    writer.lines += [f"{name}: np.dtype[Any]" for name in NAMES]
    for name, function in sorted(FUNCTIONS.items()):
        if not isinstance(function, type):
            writer.function(name, function, method=False)
    return writer.text()


def ops_stub() -> str:
    """The stub of `retrograd.autograd.ops`: the primitives, called with Tensors."""
    from retrograd.autograd import ops
    from retrograd.autograd.primitive import REGISTRY

    writer = Writer("retrograd.autograd.ops", set())
    for name, value in sorted(vars(ops).items()):
        source = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        if name not in REGISTRY and str(source).startswith(f"{ops.__name__}."):
            home = ops.__name__ if inspect.ismodule(value) else source
            writer.imports.add(f"from {home} import {name} as {name}")
    for name, primitive in sorted(REGISTRY.items()):
        writer.function(name, primitive.record, method=False)
    return writer.text()


def stubs() -> dict[Path, str]:
    """The text of every stub file, by its path."""
    package = Path(__file__).resolve().parents[1]
    return {
        package / "__init__.pyi": front_door_stub(),
        package / "autograd" / "tensor.pyi": tensor_stub(),
        package / "autograd" / "ops" / "__init__.pyi": ops_stub(),
    }


def write() -> None:
    """Writes the stub files beside their modules."""
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
