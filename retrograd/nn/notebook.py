"""How a Module shows itself in a notebook: a tree that unfolds, with the parameters of every part."""

from __future__ import annotations

from html import escape

from retrograd.autograd.notebook import row_of
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter

__all__ = ["as_html"]

OPEN = 12
"""A module with more parts than this is folded at first."""


def as_html(module: Module, name: str = "", top: bool = True) -> str:
    """The module's line, its own parameters in a table, and its parts, each of which unfolds."""
    children, parameters = list(module.named_children()), list(module.named_parameters(recurse=False))
    line = f"{escape(name + ': ') if name else ''}<b>{escape(module._get_name())}</b> {escape(module.extra_repr())}"
    line += f" <small>{counted(module)}</small>"
    if not children and not parameters:
        return f"<div style='margin-left: 2.2em'>{line}</div>"
    inside = tabulated(parameters) + "".join(as_html(child, n, top=False) for n, child in children)
    unfolded = " open" if top or (children and len(children) <= OPEN and not parameters) else ""
    return f"<details{unfolded} style='margin-left: {0 if top else 1}em'><summary>{line}</summary>{inside}</details>"


def counted(module: Module) -> str:
    """How many parameters there are, and how many of them are frozen."""
    total = sum(p.numel() for p in module.parameters())
    frozen = sum(p.numel() for p in module.parameters() if not p.requires_grad)
    if not total:
        return ""
    return f"{total:,} parameter{'s' * (total != 1)}" + (f", {frozen:,} frozen" if frozen else "")


def tabulated(parameters: list[tuple[str, Parameter]]) -> str:
    """Name, shape and dtype of each parameter."""
    if not parameters:
        return ""
    rows = (row_of((name, p.shape, p.dtype), "td") for name, p in parameters)
    head = row_of(("parameter", "shape", "dtype"), "th")
    return f"<table style='margin-left: 2.2em'><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
