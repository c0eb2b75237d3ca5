"""The pictures of the documentation, drawn by the library when the site is built, on light and on dark ground.

In a page: `{{ picture trace | What the reader is to see. }}`
"""

from __future__ import annotations

import functools
import html
import io
import posixpath
import re
from collections.abc import Callable
from typing import Any

import retrograd as rg
from retrograd import models, nn, viz

__all__ = ["PICTURES", "drawn", "expand"]

DIRECTIVE = re.compile(r"^\{\{ picture (?P<name>[\w-]+) \| (?P<text>.+?) \}\}$", re.MULTILINE)
Drawing = Callable[[bool], str]
PICTURES: dict[str, Drawing] = {}
"""Functions from "on dark ground?" to SVG, by the name of the picture."""


def picture(function: Drawing) -> Drawing:
    PICTURES[function.__name__.replace("_", "-")] = function
    return function


def drawn() -> dict[str, str | bytes]:
    """All pictures, light and dark, by their place in the site."""
    return {
        f"pictures/{name}-{ground}.svg": draw(ground == "dark")
        for name, draw in PICTURES.items()
        for ground in ("light", "dark")
    }


def expand(markdown: str, page: str) -> str:
    """The page with its pictures: of each the one that suits the ground."""

    def figure(found: re.Match[str]) -> str:
        if found["name"] not in PICTURES:
            raise ValueError(f"{page}: there is no picture {found['name']!r}; there are {', '.join(PICTURES)}")
        stem = posixpath.relpath(f"pictures/{found['name']}", posixpath.dirname(page) or ".")
        text = html.escape(re.sub(r"[`*_]", "", found["text"]), quote=True)
        images = "\n".join(f"![{text}]({stem}-{ground}.svg#only-{ground})" for ground in ("light", "dark"))
        return (
            f'<figure class="picture" markdown>\n{images}\n<figcaption markdown>{found["text"]}</figcaption>\n</figure>'
        )

    return DIRECTIVE.sub(figure, markdown)


# ---- graphs


@picture
def trace(dark: bool) -> str:
    """y = ln x1 + x1 x2 - sin x2 at (2, 5), with every value and gradient."""
    return traced().to_svg(dark=dark, legend=False, show=("value", "grad"), view="forward")


@picture
def steps(dark: bool) -> str:
    """The backward pass of the trace, one gradient after the other."""
    return viz.backward_frames(traced(), dark=dark).to_svg(seconds=1.5)


@picture
def trace_backward(dark: bool) -> str:
    return traced().to_svg(dark=dark, legend=False, show=("shape",), view="both", direction="right")


def traced() -> viz.Graph:
    x1, x2 = (rg.tensor(v, dtype=rg.float64, requires_grad=True) for v in (2.0, 5.0))
    with viz.record() as g:
        y = rg.log(x1) + x1 * x2 - rg.sin(x2)
        y.backward()
    return g.name(x1=x1, x2=x2, y=y)


@picture
def step(dark: bool) -> str:
    """The three operations that the chapter on backward follows."""
    w, x = rg.tensor([2.0, -1.0], requires_grad=True), rg.tensor([3.0, 4.0])
    loss = (w * x).tanh().sum()
    return viz.graph({"loss": loss}, params={"w": w}, inputs={"x": x}).to_svg(dark=dark, legend=True, direction="right")


@picture
def second(dark: bool) -> str:
    """The graph of a gradient in a second shade."""
    x = rg.tensor(1.5, requires_grad=True)
    y = x.tanh()
    (first,) = rg.autograd.grad(y, x, create_graph=True)
    return viz.graph({"dy/dx": first}, params={"x": x}, of=y).to_svg(dark=dark)


@picture
def network(dark: bool) -> str:
    """The tutorial's network."""
    rg.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    images, labels = rg.rand(32, 1, 8, 8), rg.randint(0, 10, (32,))
    with viz.record(model, inputs={"images": images, "labels": labels}) as g:
        loss = nn.functional.cross_entropy(model(images), labels)
    return g.name(loss=loss).to_svg(dark=dark, depth=0)


@picture
def resnet(dark: bool) -> str:
    """ResNet-18 at the default settings."""
    return read_resnet().to_svg(dark=dark)


@functools.cache
def read_resnet() -> viz.Graph:
    model = models.resnet18().eval()
    with viz.record(model) as g:
        model(rg.zeros(1, 3, 64, 64))
    return g


@picture
def views(dark: bool) -> str:
    """A row of a tensor, doubled in place."""
    x = rg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    y[0].mul_(2)
    return viz.graph({"sum": y.sum()}, params={"x": x}).to_svg(dark=dark, direction="right", legend=False)


@picture
def layers(dark: bool) -> str:
    """The rooms of the package, and who imports whom: a graph like any other."""
    rooms = {"cli": ["models"], "models": ["viz", "io", "data"], "viz": ["optim"], "io": ["optim"], "data": ["optim"],
             "optim": ["nn"], "nn": ["autograd"], "autograd": ["backends"], "backends": ["NumPy", "CuPy"]}  # fmt: skip
    kinds = {"NumPy": "input", "CuPy": "input", "autograd": "parameter", "backends": "parameter"}
    names = dict.fromkeys([*rooms, "NumPy", "CuPy"])
    vertices = [viz.Vertex(name, kinds.get(name, "module"), name) for name in names]
    edges = [viz.Edge(above, below) for above, under in rooms.items() for below in under]
    return viz.Graph(vertices, edges).to_svg(dark=dark, legend=False, roll=False, depth=0)


# ---- curves


@picture
def digits(dark: bool) -> str:
    """Loss and accuracy while the tutorial's network learns."""
    history = trained()
    return plotted(dark, lambda axes: [axes.plot(range(1, 21), v, label=k) for k, v in history.items()], "epoch")


@functools.cache
def trained() -> dict[str, list[float]]:
    """The tutorial's training, and what came of every epoch."""
    from retrograd.data import DataLoader, Digits, random_split

    rg.manual_seed(0)
    train, test = random_split(Digits(), [1438, 359])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = rg.optim.Adam(model.parameters(), lr=0.003)
    history: dict[str, list[float]] = {"training loss": [], "share of unseen digits read right": []}
    for _ in range(20):
        losses = []
        for images, labels in DataLoader(train, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history["training loss"].append(sum(losses) / len(losses))
        with rg.no_grad():
            images, labels = next(iter(DataLoader(test, batch_size=len(test))))
            history["share of unseen digits read right"].append(rg.training.accuracy(model(images), labels))
    return history


def plotted(dark: bool, draw: Callable[[Any], Any], label: str) -> str:
    """An SVG of one pair of axes; text stays text, and the file is the same in every build."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink, ground = ("#eceff1", "#00000000") if dark else ("#1a1a1a", "#ffffff00")
    looks = dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], ink)
    with mpl.rc_context({**looks, "axes.facecolor": ground, "svg.hashsalt": "retrograd", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained", facecolor=ground)
        axes = figure.subplots()
        draw(axes)
        axes.set_xlabel(label)
        axes.set_ylim(0)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
