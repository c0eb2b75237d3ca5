"""The API reference: pages made from the objects themselves, with what is attached to them at run time.

Reading the source alone would miss most of the public names: `rg.exp`, `Tensor.exp` and the in-place `Tensor.exp_` are
registered when the library is imported. So the pages show what a user sees who asks Python.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import retrograd

__all__ = ["PAGES", "Page", "index", "prose", "signature", "write"]


@dataclass(frozen=True)
class Page:
    """One page of the reference: which module it shows, and how its names are written."""

    file: str
    title: str
    module: str
    prefix: str
    skip: frozenset[str] = field(default_factory=frozenset)


KNOWN = (
    Page("tensor.md", "Tensor", "retrograd", "Tensor"),
    Page("functions.md", "rg: functions of tensors", "retrograd", "rg", frozenset({"autograd", "vmap", "Tensor"})),
    Page("autograd.md", "rg.autograd", "retrograd.autograd", "autograd", frozenset({"Tensor", "methods", "ops"})),
    Page("autograd-functional.md", "rg.autograd.functional", "retrograd.autograd.functional", "autograd.functional"),
    Page("func.md", "rg.func", "retrograd.func", "func"),
    Page("linalg.md", "rg.linalg", "retrograd.linalg", "linalg"),
    Page("nn.md", "rg.nn", "retrograd.nn", "nn", frozenset({"functional", "init", "utils"})),
    Page("nn-functional.md", "rg.nn.functional", "retrograd.nn.functional", "nn.functional"),
    Page("nn-init.md", "rg.nn.init", "retrograd.nn.init", "nn.init"),
    Page("nn-utils.md", "rg.nn.utils", "retrograd.nn.utils", "nn.utils"),
    Page("nn-utils-rnn.md", "rg.nn.utils.rnn", "retrograd.nn.utils.rnn", "nn.utils.rnn"),
    Page("optim.md", "rg.optim", "retrograd.optim", "optim"),
    Page("lr-scheduler.md", "rg.optim.lr_scheduler", "retrograd.optim.lr_scheduler", "optim.lr_scheduler"),
    Page("swa-utils.md", "rg.optim.swa_utils", "retrograd.optim.swa_utils", "optim.swa_utils"),
    Page("data.md", "rg.data", "retrograd.data", "data"),
    Page("transforms.md", "rg.data.transforms", "retrograd.data.transforms", "data.transforms"),
    Page("training.md", "rg.training", "retrograd.training", "training"),
    Page("models.md", "rg.models", "retrograd.models", "models"),
    Page("io.md", "rg.io", "retrograd.io", "io"),
    Page("viz.md", "rg.viz", "retrograd.viz", "viz"),
    Page("viz-plots.md", "rg.viz.plots", "retrograd.viz.plots", "viz.plots"),
    Page("utils-checkpoint.md", "rg.utils.checkpoint", "retrograd.utils.checkpoint", "utils.checkpoint"),
    Page("cuda.md", "rg.cuda", "retrograd.cuda", "cuda"),
    Page("backends.md", "rg.backends", "retrograd.backends", "backends"),
)


def rooms() -> tuple[Page, ...]:
    """Pages of the library's rooms that the list does not know: what is added to it appears without being listed."""
    known = {page.module for page in KNOWN} | {"retrograd.cli", "retrograd.utils"}
    modules = [importlib.import_module(f"retrograd.{name}") for name in retrograd.ROOMS]
    return tuple(
        Page(f"{m.__name__.removeprefix('retrograd.')}.md", m.__name__.replace("retrograd", "rg", 1), m.__name__,
             m.__name__.removeprefix("retrograd."))
        for m in modules
        if m.__name__ not in known and getattr(m, "__all__", None)
    )  # fmt: skip


PAGES = (*KNOWN, *rooms())

WIDTH = 88
FITS = 108
"""A line of a docstring that ends although the next word would have fitted was ended on purpose."""


# ---- what there is


def members(page: Page) -> dict[str, Any]:
    """The public names of a page, in the order of the groups that they are defined in."""
    if page.prefix == "Tensor":
        return tensor_members()
    module = importlib.import_module(page.module)
    names = [n for n in module.__all__ if n not in page.skip]
    found = {n: getattr(module, n) for n in names}
    return {n: o for n, o in found.items() if not isinstance(o, ModuleType) and (callable(o) or page.prefix != "rg")}


def tensor_members() -> dict[str, Any]:
    """Methods and properties of Tensor that are no function of `rg`, and are not the in-place form of one."""
    from retrograd import Tensor
    from retrograd.autograd.methods import FUNCTIONS

    public = {n: getattr(Tensor, n) for n in dir(Tensor) if not n.startswith("_")}
    return {n: o for n, o in public.items() if n not in FUNCTIONS and not (n.endswith("_") and n[:-1] in public)}


def group(page: Page, name: str, thing: Any) -> str:
    """The file that offers it, or defines it, as a heading."""
    function = thing.fget if isinstance(thing, property) else inspect.unwrap(thing) if callable(thing) else thing
    offering = [m for m in below(page.module) if name in m.__all__]
    module = offering[0].__name__ if offering else getattr(function, "__module__", None) or ""
    return module.rpartition(".")[2].replace("_", " ").capitalize() if module.startswith("retrograd.") else "Other"


@functools.cache
def below(package: str) -> list[ModuleType]:
    """The modules of a package that list their names, without packages, which pass on the names of others."""
    found = [m for name, m in sorted(sys.modules.items()) if name.startswith(f"{package}.") and hasattr(m, "__all__")]
    return [m for m in found if not hasattr(m, "__path__")] if package != "retrograd" else []


def own_methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class itself defines and explains; a layer's `forward` is its call."""
    hidden = {"forward", "extra_repr", "reset_parameters"} if kind.__name__ != "Module" else set()
    bases = [b for b in kind.__mro__ if b is kind or (kind.__name__ == "Module" and b.__module__.startswith("retro"))]
    for base in bases:
        for name, thing in vars(base).items():
            function = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
            shown = isinstance(function, property) or inspect.isfunction(function)
            if shown and not name.startswith("_") and name not in hidden and getattr(function, "__doc__", None):
                yield name, function


def index() -> dict[str, str]:
    """Every documented name, as people write it, with the page and place that explains it."""
    places: dict[str, str] = {}
    for page in PAGES:
        for name, thing in members(page).items():
            place = f"reference/{page.file}#{page.prefix}.{name}"
            full = f"{page.prefix}.{name}"
            places[full] = place
            places.setdefault(full if full.startswith("rg.") else f"rg.{full}", place)
            if inspect.isclass(thing):
                for method, _ in own_methods(thing):
                    places.setdefault(f"{name}.{method}", f"reference/{page.file}#{full}.{method}")
    from retrograd.autograd.methods import FUNCTIONS

    for name in FUNCTIONS:
        places.setdefault(f"Tensor.{name}", places.get(f"rg.{name}", ""))
    return {name: place for name, place in places.items() if place}


# ---- pages


def write(page: Page) -> str:
    """A page of the reference as Markdown."""
    found = members(page)
    groups: dict[str, list[str]] = {}
    for name, thing in found.items():
        groups.setdefault(group(page, name, thing) if len(found) > 25 else "", []).append(name)
    lines = [f"# {page.title}", "", introduction(page), ""]
    if len(groups) > 1:
        lines += ["| group | names |", "|---|---|"]
        groups = dict(sorted(groups.items(), key=lambda pair: (pair[0] == "Other", pair[0])))
        for title, names in groups.items():
            links = ", ".join(f"[`{n}`](#{page.prefix}.{n})" for n in names)
            lines.append(f"| [{title}](#{slug(title)}) | {links} |")
    elif len(found) > 6:
        lines += [" · ".join(f"[`{n}`](#{page.prefix}.{n})" for n in found)]
    for title, names in groups.items():
        if title:
            lines += ["", f"## {title} {{ #{slug(title)} }}"]
        for name in names:
            lines += ["", *entry(page, name, found[name])]
    if page.prefix == "Tensor":
        lines += ["", *forms_of_functions()]
    return "\n".join([*lines, ""])


def introduction(page: Page) -> str:
    """The module's own first words."""
    if page.prefix == "Tensor":
        from retrograd import Tensor

        return (
            f"{prose((Tensor.__doc__ or '').split('`_array`')[0].strip())}\n\n"
            "Most methods are the functions of [`rg`](functions.md) with the tensor as their first argument: "
            "`x.exp()` is `rg.exp(x)`. [The end of this page](#methods-of-functions) lists them. A name that ends in "
            "`_` changes the tensor in place. What follows are the methods and attributes that are no such function."
        )
    return prose(re.split(r"\n\s*>>>", inspect.getdoc(importlib.import_module(page.module)) or "")[0].strip())


def entry(page: Page, name: str, thing: Any) -> list[str]:
    """Heading, call, explanation and example of a name; of a class its methods as well."""
    full = f"{page.prefix}.{name}"
    lines = [f"### {name} {{ #{full} }}", ""]
    if (call := signature(full, thing)) is not None:
        lines += ["```python", call, "```", ""]
    elif not callable(thing) and not isinstance(thing, property):
        return [*lines, f"A {type(thing).__name__}."]
    lines.append(prose(documentation(thing)))
    if inspect.isclass(thing) and not issubclass(thing, tuple):
        for method, function in own_methods(thing):
            lines += ["", f"#### {name}.{method} {{ #{full}.{method} }}", ""]
            if (call := signature(method, function, bound=True)) is not None:
                lines += ["```python", call, "```", ""]
            lines.append(prose(documentation(function)))
    return lines


def documentation(thing: Any) -> str:
    """The docstring of the thing itself, not one that it inherits from Python."""
    text = inspect.getdoc(thing.fget if isinstance(thing, property) and thing.fget else thing) or ""
    if callable(thing) and not inspect.isclass(thing) and text == inspect.getdoc(type(thing)):
        return ""
    return text


def forms_of_functions() -> list[str]:
    """The table of methods that are functions of `rg`, and of in-place forms."""
    from retrograd import Tensor
    from retrograd.autograd.methods import FUNCTIONS

    methods = sorted(n for n in dir(Tensor) if n in FUNCTIONS and not n.startswith("_"))
    links = ", ".join(f"[`{n}`](functions.md#rg.{n})" for n in methods)
    inplace = ", ".join(f"`{n}`" for n in dir(Tensor) if n.endswith("_") and n[0] != "_" and hasattr(Tensor, n[:-1]))
    return [
        "## Methods that are functions { #methods-of-functions }", "", links, "",
        "## In-place forms", "", inplace,
    ]  # fmt: skip


# ---- text


def signature(name: str, thing: Any, bound: bool = False) -> str | None:
    """The call as one would write it, a parameter per line where it is long; None for what is not called."""
    if isinstance(thing, property) or not callable(thing):
        return None
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return f"{name}(...)"
    parameters = list(found.parameters.values())
    if parameters and parameters[0].name in ("self", "cls") and (bound or not inspect.isclass(thing)):
        parameters = parameters[1:]
    parts = written(parameters)
    result = "" if inspect.isclass(thing) or found.return_annotation in (found.empty, None, "None") else (
        f" -> {annotation(found.return_annotation)}"
    )  # fmt: skip
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def written(parameters: list[inspect.Parameter]) -> list[str]:
    """Parameters with their types and defaults, `/` and `*` between their kinds."""
    parts: list[str] = []
    before: Any = None
    for p in parameters:
        if before is p.POSITIONAL_ONLY and p.kind is not p.POSITIONAL_ONLY:
            parts.append("/")
        if p.kind is p.KEYWORD_ONLY and before not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            parts.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        typed = "" if p.annotation in (p.empty, "Any") else f": {annotation(p.annotation)}"
        default = "" if p.default is p.empty else f" = {value(p.default)}" if typed else f"={value(p.default)}"
        parts.append(f"{stars}{p.name}{typed}{default}")
        before = p.kind
    if before is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    return parts


def annotation(found: Any) -> str:
    """A type as the source writes it."""
    text = found if isinstance(found, str) else getattr(found, "__name__", str(found))
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text)


def value(default: Any) -> str:
    """A default; of objects without a literal the name alone, which is the same in every build."""
    if inspect.isroutine(default) or inspect.isclass(default):
        return str(default.__name__)
    text = "..." if "<factory>" in repr(default) else repr(default)
    return "..." if " at 0x" in text or len(text) > 60 else text


def prose(text: str) -> str:
    """A docstring as Markdown: examples and aligned columns as blocks, everything else as plain text."""
    blocks = [b for b in re.split(r"\n\s*\n", text) if b.strip()]
    return "\n\n".join(map(block, blocks))


def block(text: str) -> str:
    """One paragraph, example, list or table of a docstring."""
    lines = text.splitlines()
    examples = [i for i, line in enumerate(lines) if line.lstrip().startswith(">>>")]
    if examples and examples[0] == 0:
        return fenced("pycon", inspect.cleandoc(text))
    if examples:
        head, tail = lines[: examples[0]], lines[examples[0] :]
        return f"{block(chr(10).join(head))}\n\n{fenced('pycon', inspect.cleandoc(chr(10).join(tail)))}"
    aligned = [bool(re.match(r"\s*\S.*? {2,}\S", line)) for line in lines]
    if any(aligned) and sum(aligned) + sum(line.startswith("  ") for line in lines) >= 2:
        return table(lines, aligned)
    if all(line.startswith("    ") for line in lines):
        return fenced("text", inspect.cleandoc(text))
    return paragraph(lines)


def table(lines: list[str], aligned: list[bool]) -> str:
    """Names and their explanations in two columns become a list; what stands before or after them stays text."""
    before: list[str] = []
    after: list[str] = []
    items: list[list[str]] = []
    for line, in_columns in zip(lines, aligned):
        if in_columns:
            name, _, meaning = re.match(r"\s*(\S.*?)( {2,})(\S.*)", line).groups()  # type: ignore[union-attr]
            items.append([name, meaning])
        elif items and line.startswith("  "):
            items[-1][1] += " " + line.strip()
        else:
            (after if items else before).append(line)
    rows = [f"- `{name.strip('`')}` — {plain(meaning)}" for name, meaning in items]
    parts = [paragraph(before) if before else "", "\n".join(rows), paragraph(after) if after else ""]
    return "\n\n".join(filter(None, parts))


def paragraph(lines: list[str]) -> str:
    """Plain text that keeps the line breaks which were meant."""
    out = lines[0].strip()
    for line, following in itertools.pairwise(lines):
        meant = len(line) + 1 + len(following.split()[0]) <= FITS and line.rstrip()[-1:] in ".:;)"
        out += ("<br>\n" if meant else "\n") + following.strip()
    return plain(out)


def plain(text: str) -> str:
    """Text outside of backticks with Markdown's signs escaped."""
    parts = re.split(r"(``.+?``|`[^`]+`|<br>)", text, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"([\\*_\[\]#|$~^])", r"\\\1", part).replace("<", "&lt;")
                   for i, part in enumerate(parts))  # fmt: skip


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def slug(title: str) -> str:
    return f"group-{title.lower().replace(' ', '-')}"


Writer = Callable[[Page], str]
