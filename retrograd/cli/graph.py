"""`retrograd graph MODEL`: the computation graph of a model, as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import retrograd as rg
from retrograd import models, viz

__all__ = ["MODELS", "add_parser"]

MODELS = {"mlp": (models.mlp, (1, 784))}
"""Models by name: what makes them, and the shape of an input."""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("graph", help="draw a model's computation graph")
    parser.add_argument("model", choices=sorted(MODELS), help="which model")
    parser.add_argument("--out", type=Path, default=None, help="file to write: .svg, .png, .pdf or .dot (MODEL.svg)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draws the graph of one forward pass."""
    make, shape = MODELS[options.model]
    model, x = make(), rg.zeros(shape)
    named = {"input": x, **dict(model.named_parameters())}
    path = viz.graph(model(x), params=named).render(options.out or Path(f"{options.model}.svg"))
    print(path)
