"""Graphs that several tests draw."""

import shutil

import pytest

import retrograd as rg
from retrograd import nn, viz

HAS_DOT = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
NASTY = '"]; evil [label="\\ <script>alert(1)</script> </script><b>&amp; `x` #35; end\nnew --> line | {a} \u2028 \x07'
"""A name that tries to break out of every language it is written in."""


class Block(nn.Module):
    """A residual block."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.relu = nn.ReLU()

    def forward(self, x):
        return x + self.relu(self.linear(x))


class Tower(nn.Module):
    """Six equal blocks between two layers."""

    def __init__(self, blocks=6):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.blocks = nn.Sequential(*[Block() for _ in range(blocks)])
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.blocks(self.first(x)))


def tower(**options):
    """The recorded forward and backward pass of a Tower."""
    rg.manual_seed(0)
    model = Tower()
    with viz.record(model, **options) as g:
        loss = model(rg.ones(1, 3)).sum()
        loss.backward()
    return g.name(loss=loss)


def lecture():
    """y = ln x1 + x1 x2 - sin x2 at (2, 5)."""
    x1, x2 = rg.tensor(2.0, requires_grad=True), rg.tensor(5.0, requires_grad=True)
    with viz.record({"x1": x1, "x2": x2}) as g:
        y = x1.log() + x1 * x2 - x2.sin()
        y.backward()
    return g.name(y=y)


def nasty():
    """A graph whose names are hostile."""
    a = rg.tensor(1.0, requires_grad=True)
    g = viz.graph({NASTY: a * a}, params={NASTY: a})
    for v in g:
        v.module = NASTY.replace(".", "")
        v.facts["arguments"] = {NASTY: NASTY}
    return g
