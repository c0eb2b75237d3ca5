"""A training step, plain and compiled, and everything that it leaves behind, to be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg

__all__ = ["classifying", "compared", "same", "state"]


def classifying(model: Any, optimizer: Any) -> Callable[..., Any]:
    """The usual training step of a classifier."""

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = rg.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def array(tensor: Any) -> Any:
    """A Tensor's values on the host."""
    return np.array(tensor.detach().cpu().numpy())


def state(model: Any, optimizer: Any) -> dict[str, Any]:
    """Parameters, buffers, gradients, the optimizer's state, and the place in the random stream."""
    found = {name: array(value) for name, value in model.state_dict().items()}
    found |= {f"{name}.grad": array(p.grad) for name, p in model.named_parameters() if p.grad is not None}
    for number, values in optimizer.state_dict()["state"].items():
        found |= {f"{number}.{name}": array(v) for name, v in values.items() if isinstance(v, rg.Tensor)}
    found["stream"] = array(rg.get_rng_state())
    return found


def same(first: dict[str, Any], second: dict[str, Any], tolerance: float = 0.0) -> None:
    """AssertionError unless all is equal: bit for bit, or up to a tolerance."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, tolerance, tolerance, err_msg=name)


def compared(
    make: Callable[[], tuple[Any, Any, Callable[..., Any]]],
    batches: list[tuple[Any, ...]],
    tolerance: float = 0.0,
    **options: Any,
) -> Any:
    """Trains twice from one seed, as it is and compiled, over the same batches; returns the compiled step.

    `make()` gives a model, an optimizer and a step that takes a batch and returns a Tensor; `options` go to compile.
    """
    rg.manual_seed(0)
    model, optimizer, step = make()
    history = []
    rg.manual_seed(1)
    for batch in batches:
        loss = array(step(*batch))
        history.append((loss, state(model, optimizer)))
    rg.manual_seed(0)
    model, optimizer, step = make()
    compiled = rg.compile(step, fullgraph=True, **options)
    rg.manual_seed(1)
    for batch, (loss, expected) in zip(batches, history, strict=True):
        np.testing.assert_allclose(array(compiled(*batch)), loss, tolerance, tolerance)
        same(expected, state(model, optimizer), tolerance)
    return compiled
