"""Why a tensor has no gradient, in words."""

from __future__ import annotations

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.modes import state
from retrograd.autograd.tensor import Tensor
from retrograd.nn.parameter import Parameter
from retrograd.viz.recorder import RECORDINGS
from retrograd.viz.structure import Graph, Vertex

__all__ = ["why_no_grad"]

REASONS = {
    "no_grad": "it was computed inside no_grad(): do it outside, or within enable_grad()",
    "inference_mode": "it was computed inside inference_mode(): do it outside",
    "detach": "detach() (or .data) cut it from the graph: use the original, or clone() for a copy that keeps the graph",
    "integer": "its dtype is an integer one, and integers have no derivative: use a floating form of the operation",
    "boolean": "it is a truth value, and these have no derivative: use a smooth form of the comparison",
    "no derivative": "the operation has no derivative with respect to the operand that requires one",
}


def why_no_grad(tensor: Tensor, recording: Graph | None = None) -> str:
    """Says why a tensor does not require a gradient, or why its `.grad` is empty, and what to do about it.

    What a tensor alone can tell is little: a tensor that was computed without gradient looks like one that was made so.
    Where `viz.record` has seen it computed (the last recording that somebody holds, or the one given), the operation
    and the way to it are told. Raises TypeError for what is no Tensor.

    >>> import retrograd as rg
    >>> x = rg.ones(2, requires_grad=True)
    >>> with rg.viz.record() as g:
    ...     y = (x * 2).detach().exp()
    >>> print(rg.viz.why_no_grad(y))
    Exp does not require a gradient: on the way, at detach of Mul, detach() (or .data) cut it from the graph: use the
    original, or clone() for a copy that keeps the graph.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"why_no_grad: expected a Tensor, got {type(tensor).__name__}")
    if tensor._node is not None:
        return why_empty(tensor)
    graphs = [recording] if recording is not None else [RECORDINGS[began].graph for began in sorted(RECORDINGS)[::-1]]
    for graph in graphs:
        if graph.places is None:  # read from a file
            continue
        if (id := graph.places(tensor)) is not None:
            return told(graph, graph[id])
        if (id := graph.places.sharing(tensor)) is not None:  # nothing was computed from it yet
            return f"It is {graph[id].label} without its gradient: {REASONS['detach']}."
    return alone(tensor)


def why_empty(tensor: Tensor) -> str:
    """Of a tensor that does require a gradient."""
    if getattr(tensor, "_grad", None) is not None:
        return "It requires a gradient and has one."
    if isinstance(tensor._node, AccumulateGrad):
        return (
            "It is a leaf that requires a gradient: .grad is filled by backward() of something computed from it. "
            "Either backward() has not run, or its output does not depend on this tensor, or zero_grad() cleared it."
        )
    return (
        f"It requires a gradient (grad_fn={tensor._node!r}), but only leaves keep theirs: "
        "call retain_grad() on it before backward()."
    )


def told(graph: Graph, vertex: Vertex) -> str:
    """From the recording: the nearest place on the way where a gradient stopped."""
    who = vertex.label
    pending, seen = [vertex], {vertex.id}
    sources = []
    for v in pending:  # breadth first: the list grows while it is read
        if (reason := v.facts.get("stopped")) is not None:
            above = ", ".join(p.label for p in graph.parents(v))
            where = "" if v is vertex else f"on the way, at {v.label} of {above}, "
            return f"{who} does not require a gradient: {where}{REASONS[reason]}."
        parents = graph.parents(v)
        if not parents:
            sources.append(v.label)
        for parent in parents:
            if parent.id not in seen:
                seen.add(parent.id)
                pending.append(parent)
    if sources == [who]:
        return f"{who} does not require a gradient: it was made so. Call requires_grad_() on it before computing."
    names = ", ".join(dict.fromkeys(sources))
    return (
        f"{who} does not require a gradient: nothing it was computed from does ({names}). "
        "Call requires_grad_() on one of these before computing."
    )


def alone(tensor: Tensor) -> str:
    """From the tensor itself: its dtype, its memory, the mode of this thread."""
    if tensor.dtype.kind not in "fc":
        return (
            f"Its dtype is {tensor.dtype}, and only floating dtypes have gradients: make it with a floating dtype, "
            "or use x.float() before what is to be differentiated."
        )
    base = getattr(tensor, "_whole", None)
    if getattr(tensor, "_refusal", "").endswith("no_grad mode"):
        return "It is a view that was made inside no_grad(): take the view outside."
    if base is not None and base._node is not None:
        return "It is a view of a tensor that has come to require a gradient after the view was taken: take it again."
    if isinstance(tensor, Parameter):
        return "It is a Parameter that is frozen (requires_grad=False): call requires_grad_() to train it."
    now = " Recording is off in this thread just now." if not state.grad else ""
    return (
        "It has no graph. Either it was made without requires_grad=True, or computed from tensors that require none, "
        f"or under no_grad(), or detached.{now} "
        "To see which, compute it inside `with rg.viz.record() as g:` and ask again."
    )
