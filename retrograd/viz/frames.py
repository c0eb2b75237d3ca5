"""Backward step by step: a picture for every rule that runs, as a slide show, an animated SVG or a GIF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrograd.autograd.tensor import Tensor
from retrograd.files import atomic_write
from retrograd.viz.colours import theme
from retrograd.viz.dot import escape
from retrograd.viz.facts import number
from retrograd.viz.render import piped
from retrograd.viz.structure import Graph, Vertex

__all__ = ["Frame", "Frames", "backward_frames"]

MOST = 200
"""Steps of one show: beyond that nobody watches it."""
COLOURS = {  # waiting, running, done; light and dark
    False: {"waiting": "#f2f2f2", "running": "#f6c98f", "done": "#9fd8c3"},
    True: {"waiting": "#2a2f36", "running": "#9a5b0c", "done": "#0b5c45"},
}


@dataclass(frozen=True)
class Frame:
    """One moment: which rule runs, and which vertices have their gradient by then (`done`, ids)."""

    running: str
    done: tuple[str, ...]
    caption: str
    dot: str

    @property
    def svg(self) -> str:
        """The picture as SVG text; needs the program `dot`."""
        return str(piped(self.dot, "svg").decode())

    def _repr_svg_(self) -> str:
        return self.svg


class Frames(Sequence[Frame]):
    """The moments of a backward pass, in order; a notebook shows them as an animation."""

    def __init__(self, graph: Graph, dark: bool) -> None:
        self.graph, self.dark = graph, dark
        steps = [v for v in reversed(graph.vertices) if v.requires_grad and v.kind != "output"]
        steps.sort(key=lambda v: v.kind != "operation")  # leaves, older than all operations, come last
        if len(steps) > MOST:
            raise ValueError(f"backward_frames: {len(steps)} steps are too many to watch, {MOST} are the most.")
        self.frames = [self.frame(steps, i) for i in range(len(steps) + 1)]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: Any) -> Any:
        return self.frames[i]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def frame(self, steps: list[Vertex], i: int) -> Frame:
        """The moment when the i-th gradient arrives; the last shows all."""
        done = tuple(v.id for v in steps[:i])
        running = steps[i] if i < len(steps) else None
        caption = "backward is done" if running is None else f"{i + 1} of {len(steps)}: {what_runs(running)}"
        id = "" if running is None else running.id
        return Frame(id, done, caption, moment(self.graph, id, set(done), caption, self.dark))

    # ---- as one file

    def to_svg(self, seconds: float = 1.0) -> str:
        """All moments in one SVG that plays by itself, over and over, with no script; needs the program `dot`."""
        pictures = [svg_parts(frame.svg) for frame in self.frames]
        size = pictures[0][0]
        whole = seconds * len(pictures)
        shown = []
        for i, (_, body) in enumerate(pictures):
            marks = f"{i / len(pictures):.5f};{(i + 1) / len(pictures):.5f}"
            values, times = (
                ("inline;none", f"0;{marks.split(';')[1]}") if i == 0 else ("none;inline;none", f"0;{marks}")
            )
            if i == len(pictures) - 1:
                values, times = ("none;inline", f"0;{marks.split(';')[0]}") if i else ("inline;inline", "0;1")
            animate = (
                f'<animate attributeName="display" values="{values}" keyTimes="{times}" dur="{whole:g}s" '
                'calcMode="discrete" repeatCount="indefinite"/>'
            )
            shown.append(f'<g display="{"inline" if i == 0 else "none"}">{animate}{distinct(body, i)}</g>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size}>\n'
            + "\n".join(shown)
            + "\n</svg>\n"
        )

    def render(self, path: str | Path, seconds: float = 1.0) -> Path:
        """Writes an animated .svg or .gif (that one needs Pillow); each moment lasts so many seconds."""
        path = Path(path)
        if path.suffix == ".svg":
            content = self.to_svg(seconds).encode()
        elif path.suffix == ".gif":
            content = self.gif(seconds)
        else:
            raise ValueError(f"backward_frames: {path.name!r} ends in none of .svg, .gif")
        with atomic_write(path) as file:
            file.write(content)
        return path

    def gif(self, seconds: float) -> bytes:
        """The moments as a GIF."""
        try:
            from PIL import Image
        except ImportError:
            raise RuntimeError(
                'a GIF needs Pillow, which comes with matplotlib: pip install "retrograd[viz]"'
            ) from None
        pictures = [Image.open(io.BytesIO(piped(frame.dot, "png"))).convert("RGB") for frame in self.frames]
        size = max(p.width for p in pictures), max(p.height for p in pictures)
        ground = theme(self.dark).ground
        sheets = [Image.new("RGB", size, ground) for _ in pictures]
        for sheet, picture in zip(sheets, pictures):
            sheet.paste(picture, (0, 0))
        out = io.BytesIO()
        sheets[0].save(out, "GIF", save_all=True, append_images=sheets[1:], duration=round(1000 * seconds), loop=0)
        return out.getvalue()

    def _repr_html_(self) -> str:
        return self.to_svg()


def backward_frames(source: Graph | Tensor, params: Any = None, *, dark: bool = False) -> Frames:
    """The backward pass, one picture for every gradient that arrives.

    source  a recording in which backward ran (its gradients are shown as numbers or norms), any other Graph, or an
            output, whose graph is read with `params` as in `viz.graph`

    Indexing gives single frames; `render("steps.svg")` or `.gif` writes them as one animation.
    Raises ValueError for more steps than one watches.

    >>> import retrograd as rg
    >>> a = rg.tensor(3.0, requires_grad=True)
    >>> with rg.viz.record({"a": a}) as g:
    ...     (a * a).backward()
    >>> [frame.caption for frame in rg.viz.backward_frames(g)]
    ['1 of 2: MulBackward0 gets 1', '2 of 2: a gets 6', 'backward is done']
    """
    if isinstance(source, Tensor):
        from retrograd.viz.reading import graph

        source = graph(source, params=params)
    return Frames(source, dark)


def what_runs(vertex: Vertex) -> str:
    """A step in words."""
    name = vertex.facts.get("rule", vertex.label) if vertex.kind == "operation" else vertex.label
    return f"{name} gets {amount(vertex)}"


def amount(vertex: Vertex) -> str:
    """A gradient as a number, a norm, or a shape."""
    if "grad" in vertex.facts:
        return number(vertex.facts["grad"])
    if "grad_norm" in vertex.facts:
        return f"‖{number(vertex.facts['grad_norm'])}‖"
    return f"a gradient {vertex.shape}"


def moment(graph: Graph, running: str, done: set[str], caption: str, dark: bool) -> str:
    """The DOT text of one frame; gradients yet to come are written in the ground's colour, so that nothing moves."""
    ink, fills = theme(dark), COLOURS[dark]
    out = [
        "digraph {",
        f'  graph [rankdir=TB bgcolor="{ink.ground}" fontname="Helvetica" fontcolor="{ink.text}" labelloc=t',
        f'    label="{escape(caption)}"]',
        f'  node [fontname="Helvetica" fontsize=11 shape=box style=filled fontcolor="{ink.text}" color="{ink.border}"]',
    ]
    for v in graph.vertices:
        look = "running" if v.id == running else "done" if v.id in done else "waiting"
        fill = fills[look] if v.requires_grad else ink.ground
        text = ink.text if look != "waiting" else fill
        value = f" = {number(v.facts['value'])}" if isinstance(v.facts.get("value"), (int, float)) else ""
        lines = markup(v.label + value)
        if v.requires_grad and v.kind != "output":
            lines += f'<BR/><FONT COLOR="{text}">∂ {markup(amount(v))}</FONT>'
        wide = ' color="#d55e00" penwidth=3' if look == "running" else ""
        out.append(f'  {v.id} [fillcolor="{fill}"{wide} label=<{lines}>]')
    for e in graph.edges:
        active = e.target == running and e.grad
        flow = ' color="#d55e00" penwidth=3 dir=both arrowhead=none' if active else ""
        out.append(f'  {e.source} -> {e.target} [color="{ink.line}"{flow}]')
    return "\n".join([*out, "}", ""])


def markup(text: str) -> str:
    """Text inside DOT's HTML-like labels."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\n", "<BR/>")):
        text = text.replace(character, entity)
    return "".join(c for c in text if c >= " ")


def svg_parts(svg: str) -> tuple[str, str]:
    """The attributes of size, and what is inside the root element."""
    head = re.search(r"<svg\s([^>]*)>", svg)
    assert head is not None  # dot writes one
    size = " ".join(re.findall(r'(?:width|height|viewBox)="[^"]*"', head.group(1)))
    return size, svg[head.end() : svg.rindex("</svg>")]


def distinct(body: str, i: int) -> str:
    """Ids that no other frame has."""
    return re.sub(r'\bid="([^"]*)"', rf'id="f{i}_\1"', body)
