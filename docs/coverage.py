"""Writes docs/coverage.md: every public name of PyTorch's main modules, and whether it is here.

    python docs/coverage.py            write the page (needs PyTorch: pip install "retrograd[parity]")

A name is supported when it exists here and takes every argument that PyTorch's does; partly when arguments are missing
or are refused with a NotImplementedError, which is read from the signatures and from the source; not otherwise.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

import retrograd as rg

PAGE = Path(__file__).with_suffix(".md")

SECTIONS = {
    "torch.nn": (torch.nn, rg.nn),
    "torch.nn.functional": (torch.nn.functional, rg.nn.functional),
    "torch.nn.init": (torch.nn.init, rg.nn.init),
    "torch.nn.utils": (torch.nn.utils, rg.nn.utils),
    "torch.nn.utils.rnn": (torch.nn.utils.rnn, rg.nn.utils.rnn),
    "torch.optim": (torch.optim, rg.optim),
    "torch.optim.lr_scheduler": (torch.optim.lr_scheduler, rg.optim.lr_scheduler),
    "torch.autograd": (torch.autograd, rg.autograd),
    "torch.autograd.functional": (torch.autograd.functional, rg.autograd.functional),
    "torch.func": (torch.func, rg.func),
    "torch.linalg": (torch.linalg, rg.linalg),
    "torch.utils.data": (torch.utils.data, rg.data),
    "torch.Tensor": (torch.Tensor, rg.Tensor),
}

NOT_API = re.compile(
    r"(handle_torch_function|has_torch_function.*|boolean_dispatch|assert_int_or_pair|BroadcastingList.*|factory_kwargs"
    r"|is_tensor_like|NestedIOFunction|is_view_replay_enabled|Profiler.*|kineto_available|DeviceType|SavedTensor"
    r"|(set|is)_multithreading_enabled|enforce_grad_layout_policy|debug_unwrap|swap_in_optimizer.*|guess_datapipe.*"
    r"|ScalingType|SwizzleType|\w+_notes|native_\w+|as_subclass|reinforce|hash_tensor|module_load|symeig|volatile"
    r"|vmap_increment_nesting|functional_datapipe|argument_validation|runtime_validation.*|non_deterministic|cast"
    r"|PackedSequence_|bind|copy_method_params|functional_datapipes|guaranteed_datapipes_determinism|bisect_right"
    r"|\w+_with_indices)"
)
"""Names that are visible in PyTorch's modules and are no interface of theirs."""

REASONS = {
    "deprecated by PyTorch": r"(constant|dirac|eye|normal|orthogonal|sparse|uniform|(kaiming|xavier)_(normal|uniform))"
    r"|lstsq|solve|triangular_solve|Variable|variable|Container|NLLLoss2d|clip_grad_norm",
    "complex numbers": r"c(double|float|half)|chalf|angle|conj.*|imag|real|is_conj|resolve_conj|is_neg|resolve_neg"
    r"|i?stft|eig|eigvals",
    "sparse tensors": r".*sparse.*|SparseAdam|.*coalesce.*|(ccol|col|crow|row)_indices|(dense|sparse)_dim|indices"
    r"|values|smm|sspaddmm|to_dense|to_padded_tensor",
    "quantised and nested tensors": r"(de|is_)quanti.*|q_.*|qscheme|int_repr|is_nested|.*mkldnn.*|(scaled_)?\w*_mm",
    "other kinds of device": r"(is_)?(ipu|maia|mps|mtia|vulkan|xla|xpu|meta|hpu)",
    "many processes": r"DataParallel|SyncBatchNorm|DistributedSampler|share_memory_|is_shared|is_distributed",
    "data pipes": r".*DataPipe.*|.*DFIter.*|.*MapDataPipe.*|DataChunk|datapipes?",
    "untyped storage": r".*storage.*|set_|resize.*|data_ptr|const_data_ptr|is_set_to|record_stream|new|slice_inverse"
    r"|dim_order|as_strided.*|new_empty_strided|.*_like_strided",
}
"""Why a name is not here, where there is one reason for a group of them."""


class Entry(NamedTuple):
    """One name of PyTorch's and what is missing here: None for a name that is not here at all."""

    name: str
    missing: tuple[str, ...] | None


def main() -> None:
    PAGE.write_text(page())


def page() -> str:
    """The whole page."""
    sections = {title: [compared(name, *pair) for name in public(pair[0])] for title, pair in SECTIONS.items()}
    return "\n".join([*introduction(sections), *(line for item in sections.items() for line in section(*item))])


def introduction(sections: dict[str, list[Entry]]) -> Iterator[str]:
    """What the page is, and the counts."""
    version = torch.__version__.partition("+")[0]
    yield from (
        "# What of PyTorch is here",
        "",
        f"Every public name of PyTorch {version}'s main modules. Supported: here, with the same arguments; partly:",
        "here, but the arguments named raise (or, in brackets, do not exist); not: asking for it raises an",
        "AttributeError. [differences.md](differences.md) lists what differs on purpose. Written by",
        "`python docs/coverage.py`, which reads the signatures of both libraries.",
        "",
        "| module | names | supported | partly | not |",
        "|---|---:|---:|---:|---:|",
    )
    for title, entries in sections.items():
        counts = " | ".join(str(len(part)) for part in (entries, *sorted_out(entries)))
        yield f"| [`{title}`](#{anchor(title)}) | {counts} |"
    yield ""


def anchor(title: str) -> str:
    """The name that GitHub gives a heading."""
    return title.lower().replace(".", "")


def sorted_out(entries: list[Entry]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Supported, partly, not."""
    return (
        [e for e in entries if e.missing == ()],
        [e for e in entries if e.missing],
        [e for e in entries if e.missing is None],
    )


def section(title: str, entries: list[Entry]) -> Iterator[str]:
    """The three lists of one module."""
    supported, partly, absent = sorted_out(entries)
    yield from (f"## {title}", "")
    if supported:
        yield from ("**Supported:** " + ", ".join(f"`{e.name}`" for e in supported), "")
    if partly:
        yield from ("**Partly:**", "", "| name | not supported |", "|---|---|")
        yield from (f"| `{e.name}` | {', '.join(e.missing or ())} |" for e in partly)
        yield ""
    for reason, names in by_reason(absent).items():
        yield from (f"**Not** ({reason}): " + ", ".join(f"`{name}`" for name in names), "")


def by_reason(absent: list[Entry]) -> dict[str, list[str]]:
    """Absent names by the reason for it."""
    found: dict[str, list[str]] = {}
    for entry in absent:
        reasons = (reason for reason, pattern in REASONS.items() if re.fullmatch(pattern, entry.name))
        found.setdefault(next(reasons, "not yet"), []).append(entry.name)
    return dict(sorted(found.items(), key=lambda item: item[0] != "not yet"))


def public(module: Any) -> list[str]:
    """Names of a module, or of Tensor, that PyTorch's users are meant to use."""
    return [name for name in dir(module) if not name.startswith("_") and is_api(module, name)]


def is_api(module: Any, name: str) -> bool:
    """Whether a name is a function, a class, or an attribute of tensors; not what a module has only imported."""
    value = inspect.getattr_static(module, name)
    if isinstance(module, type):
        return not NOT_API.fullmatch(name)
    home = getattr(value, "__module__", None) or ""
    if isinstance(value, type):
        own = home.startswith((module.__name__, "torch._C"))
    else:
        own = callable(value) and (home.startswith("torch") or not isinstance(value, types.FunctionType))
    return own and home != "typing" and not NOT_API.fullmatch(name)


def compared(name: str, theirs: Any, ours: Any) -> Entry:
    """What of a name is missing here."""
    if not hasattr(ours, name):
        return Entry(name, None)
    asked, given = getattr(theirs, name), getattr(ours, name)
    if not callable(given) or not callable(asked):
        return Entry(name, ())
    refused = {f"`{n}`" for n in refused_by(given)}
    return Entry(name, tuple(sorted(refused | {f"({n})" for n in unknown_to(given, asked)})))


GENERAL = {"self", "input", "args", "kwargs", "cls", "out", "func", "orig_func", "from", "grad_variables"}
"""Parameters whose names say nothing, that cannot be given by name, or that PyTorch has long replaced."""


def unknown_to(ours: Any, theirs: Any) -> set[str]:
    """PyTorch's parameters that our function does not have."""
    have = parameters_of(ours)
    if have is None:
        return set()
    asked = parameters_of(theirs)
    return documented_options(theirs) - have if asked is None else asked - have


def parameters_of(function: Any) -> set[str] | None:
    """Names of the parameters; None where Python cannot tell, or where any are taken."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        return None
    return {p.name for p in parameters if not p.name.startswith("_")} - GENERAL


def documented_options(function: Any) -> set[str]:
    """What has a default in the first line of a docstring: bias of `conv2d(input, weight, bias=None) -> Tensor`."""
    match = re.search(r"\w+\((.*?)\)\s*->", inspect.getdoc(function) or "", re.DOTALL)
    return set(re.findall(r"(\w+)\s*=", match[1])) - GENERAL if match else set()


def refused_by(function: Any) -> set[str]:
    """Parameters that the source refuses: those whose value leads to a NotImplementedError, or handed to a refusal."""
    sources = [function]
    if isinstance(function, type):  # an optimizer hands its options on to the class that it extends
        sources = [vars(kind)["__init__"] for kind in function.__mro__ if "__init__" in vars(kind)]
    found = {name for source in sources for name in refused_in(source)}
    return found & ((parameters_of(function) or found) | {"layout", "pin_memory"})


def refused_in(function: Any) -> Iterator[str]:
    """Names of the parameters that one function's source refuses."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and any(is_refusal(child) for child in node.body):
            yield from tested(node.test)
        elif isinstance(node, ast.Call) and re.match("refus|implementation", getattr(node.func, "id", "")):
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def tested(test: ast.expr) -> Iterator[str]:
    """Names whose own value a condition asks for: `x`, `not x`, `x is None`, `x == 1`, and these joined."""
    if isinstance(test, ast.Name):
        yield test.id
    elif isinstance(test, ast.UnaryOp):
        yield from tested(test.operand)
    elif isinstance(test, ast.BoolOp):
        yield from (name for value in test.values for name in tested(value))
    elif isinstance(test, ast.Compare) and not isinstance(test.ops[0], ast.NotIn):
        yield from tested(test.left)


def is_refusal(statement: ast.stmt) -> bool:
    """Whether a statement is `raise NotImplementedError(...)`."""
    exception = statement.exc if isinstance(statement, ast.Raise) else None
    return isinstance(exception, ast.Call) and getattr(exception.func, "id", "") == "NotImplementedError"


if __name__ == "__main__":
    main()
