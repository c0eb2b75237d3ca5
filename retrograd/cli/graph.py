"""`retrograd graph MODEL`: the computation graph of a model, as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from retrograd import viz
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.tree import flatten
from retrograd.models.catalogue import CATALOGUE
from retrograd.viz.colours import METRICS
from retrograd.viz.picture import Picture
from retrograd.viz.render import ENDINGS
from retrograd.viz.views import VIEWS

__all__ = ["add_parser"]

BACKWARD = ("backward_time", "grad_norm")
"""Metrics that are known only after a backward pass."""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("graph", help="draw a model's computation graph")
    add = parser.add_argument
    add("model", choices=sorted(CATALOGUE), metavar="MODEL", help=f"one of {', '.join(sorted(CATALOGUE))}")
    add("--out", type=Path, default=None, help=f"file to write (MODEL.svg); its ending is one of {', '.join(ENDINGS)}")
    add("--html", action="store_true", help="a page that folds and unfolds modules (MODEL.html); needs no Graphviz")
    add("--depth", type=int, default=None, help="levels of modules to open, 0 for all (as many as stay readable)")
    add("--collapse", nargs="*", default=(), metavar="PATH", help="modules to draw as one box, e.g. layer1 'layer*'")
    add("--view", choices=VIEWS, default="forward", help="the computation, its backward pass, or both")
    add("--color", choices=("role", *METRICS), default="role", help="what colours stand for")
    add("--show", nargs="*", default=None, metavar="FACT", help="facts on the boxes, e.g. shape flops saved")
    add("--max-nodes", type=int, default=300, help="boxes at most; the middle is hidden beyond that (300)")
    add("--right", action="store_true", help="left to right in place of top to bottom")
    add("--no-roll", action="store_true", help="draw repeated equal modules one by one")
    add("--no-legend", action="store_true", help="without explanation of the colours")
    add("--dark", action="store_true", help="light text on a dark ground")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draws the graph of one forward pass in eval mode; backward runs too where the picture needs it."""
    path = options.out or Path(f"{options.model}.{'html' if options.html else 'svg'}")
    if options.html and path.suffix != ".html":
        raise ValueError(f"--html writes a page: {path.name!r} must end in .html")
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path.name!r} ends in none of {', '.join(ENDINGS)}")
    picture = {
        "view": options.view,
        "depth": options.depth,
        "collapse": options.collapse,
        "roll": not options.no_roll,
        "max_nodes": options.max_nodes,
        "color": options.color,
        "dark": options.dark,
        "legend": not options.no_legend,
        "direction": "right" if options.right else "down",
        "title": options.model,
    } | ({} if options.show is None else {"show": options.show})
    Picture.of(picture)  # a wrong option is told before the model runs
    print(recorded(options.model, options.color).render(path, **picture))


def recorded(name: str, color: str) -> viz.Graph:
    """The graph of a model on its example."""
    entry = CATALOGUE[name]
    model = entry.build().eval()
    example = entry.example()
    with viz.record(model, times=color.endswith("_time"), stats=color == "grad_norm") as graph:
        result = model(*example)
        if color in BACKWARD:
            first = next(t for t in flatten(result)[0] if isinstance(t, Tensor) and t.requires_grad)
            first.sum().backward()
    return graph
