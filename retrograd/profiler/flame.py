"""Flame graphs (Gregg 2016, "The flame graph"): a box per stack of calls, as wide as its time, under what called it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from retrograd.profiler.rows import duration
from retrograd.profiler.timeline import Event

__all__ = ["flame_graph", "folded"]

WIDTH, HEIGHT, MARGIN = 1200, 18, 4
LETTER = 6.6  # width of a letter at this size
COLOURS = {
    "operation": "#a9d4f5",
    "rule": "#f4cdb8",
    "module": "#d7e7da",
    "label": "#d7e7da",
    "step": "#f6dd9a",
    "pass": "#e8e8e8",
    "all": "#ffffff",
}


def folded(events: Sequence[Event]) -> list[str]:
    """A line for every stack, `outer;inner nanoseconds`, with the time that none of its calls inside has taken."""
    times: Counter[tuple[str, ...]] = Counter()
    for event in events:
        times[event.stack] += event.self_time
    return [f"{';'.join(name.replace(';', ',') for name in stack)} {time}" for stack, time in sorted(times.items())]


@dataclass
class Box:
    """All calls with the same stack."""

    name: str
    kind: str
    time: int = 0
    calls: int = 0
    inside: dict[tuple[str, str], Box] = field(default_factory=dict)


def flame_graph(events: Sequence[Event], total: int) -> str:
    """The picture; `total` nanoseconds are its full width."""
    root = tree(events)
    root.time = max(total, sum(box.time for box in root.inside.values()), 1)
    shapes = list(drawn(root, 0.0, 0, WIDTH / root.time, root.time))
    height = (depth_of(root) + 1) * HEIGHT + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'font-family="ui-monospace, monospace" font-size="11">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *shapes,
            "</svg>\n",
        ]
    )


def tree(events: Sequence[Event]) -> Box:
    """Boxes within boxes; what encloses an event is found from the times, thread by thread."""
    root = Box("all", "all", calls=1)
    open_: dict[int, list[tuple[int, Box]]] = {}
    for event in events:  # by their beginning
        stack = open_.setdefault(event.thread, [])
        del stack[len(event.stack) - 1 :]
        around = stack[-1][1] if stack else root
        box = around.inside.setdefault((event.name, event.kind), Box(event.name, event.kind))
        box.time += event.time
        box.calls += 1
        stack.append((event.start, box))
    return root


def depth_of(box: Box) -> int:
    """How many boxes lie upon each other."""
    return max((1 + depth_of(child) for child in box.inside.values()), default=0)


def drawn(box: Box, x: float, depth: int, scale: float, total: int) -> Iterator[str]:
    """A box with its text and tooltip, then those called by it, the longest first; what is too narrow is left out."""
    width = box.time * scale
    if width < 0.3:
        return
    y = MARGIN + depth * HEIGHT
    told = f"{box.name}: {duration(box.time * 1e-9)}, {100 * box.time / total:.1f} %, {box.calls} calls"
    room = int((width - 6) / LETTER)
    text = box.name if len(box.name) <= room else box.name[: room - 1] + "…" if room > 2 else ""
    yield (
        f'<g><title>{escape(told)}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.4, 0.3):.1f}" '
        f'height="{HEIGHT - 1}" rx="2" fill="{COLOURS[box.kind]}" stroke="#8a8a8a" stroke-width="0.3"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text></g>'
    )
    for child in sorted(box.inside.values(), key=lambda child: -child.time):
        yield from drawn(child, x, depth + 1, scale, total)
        x += child.time * scale
