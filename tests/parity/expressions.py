"""One expression evaluated by PyTorch and by retrograd: values, dtypes, gradients to second order, exceptions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")


class Library:
    """What an expression sees: `T` the library, `L` its tensor function, and the named tensors."""

    def __init__(self, module: Any, values: dict[str, Any]) -> None:
        self.module = module
        self.leaves: dict[str, Any] = {}
        self.names: dict[str, Any] = {"T": module, "L": module.tensor}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                tensor = module.tensor(value.tolist(), dtype=getattr(module, value.dtype.name)).reshape(value.shape)
                if value.dtype.kind == "f":
                    tensor.requires_grad_()
                    self.leaves[name] = tensor
                self.names[name] = tensor
            else:
                self.names[name] = value

    def evaluate(self, source: str) -> Any:
        """The value of an expression, or of `out` after a program that begins with it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not source.startswith("out ="):
                return eval(source, self.names)
            exec(source, self.names)
            return self.names["out"]

    def tensors(self, result: Any) -> list[Any]:
        if isinstance(result, (list, tuple)):
            return [t for part in result for t in self.tensors(part)]
        return [result] if isinstance(result, self.module.Tensor) else []

    def gradients(self, result: Any) -> tuple[list[Any], list[Any]]:
        """First and second gradients of a fixed function of the results; None for a leaf that is not reached."""
        total = None
        for i, out in enumerate(self.tensors(result)):
            if out.requires_grad:
                weights = np.cos(np.arange(float(np.prod(out.shape, dtype=int))) + i).reshape(tuple(out.shape))
                weights = self.module.tensor(weights.tolist(), dtype=out.dtype).reshape(tuple(out.shape))
                term = (out * out * weights).sum()
                total = term if total is None else total + term
        leaves = list(self.leaves.values())
        if total is None or not leaves:
            return [None] * len(leaves), [None] * len(leaves)
        first = self.module.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
        again = [(g * g).sum() for g in first if g is not None and g.requires_grad]
        if not again:
            return list(first), [None] * len(leaves)
        return list(first), list(self.module.autograd.grad(again, leaves, allow_unused=True))


def plain(result: Any) -> Any:
    """A result without its library: nested lists of (shape, dtype, values), numbers, shapes."""
    if isinstance(result, (rg.Tensor, torch.Tensor)):
        array = np.asarray(result.detach().numpy())
        return (tuple(result.shape), array.dtype.name, array)
    if isinstance(result, (list, tuple)):
        return [plain(part) for part in result]
    return str(result).rpartition(".")[2] if isinstance(result, (torch.dtype, np.dtype)) else result


def same(ours: Any, theirs: Any, rtol: float) -> None:
    if isinstance(theirs, list):
        assert isinstance(ours, list), (ours, theirs)
        assert len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs):
            same(a, b, rtol)
    elif isinstance(theirs, tuple):
        assert ours[:2] == theirs[:2], (ours, theirs)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=rtol, atol=rtol)
    else:
        assert ours == theirs, (ours, theirs)


def agree(source: str, rtol: float = 1e-12, **values: Any) -> None:
    """Asserts that both libraries give the same for an expression of these values, or raise the same."""
    compare(source, Library(rg, values), Library(torch, values), rtol)


def compare(source: str, ours: Library, theirs: Library, rtol: float = 1e-12) -> None:
    """The same for libraries that hold the values already."""
    expected, refused = outcome(theirs, source)
    result, error = outcome(ours, source)
    if refused is not None:
        assert error is not None, f"{source}: nothing raised instead of {refused!r}"
        assert isinstance(error, type(refused)), f"{source}: {error!r} instead of {refused!r}"
        return
    if error is not None:
        raise error
    same(plain(result), plain(expected), rtol)
    for mine, reference in zip(ours.gradients(result), theirs.gradients(expected)):
        for a, b in zip(mine, reference, strict=True):
            if a is None or b is None:  # not reached is as good as zero
                assert not np.any(plain(b if a is None else a)[2] if a is not b else 0)
            else:
                same(plain(a), plain(b), rtol)


def outcome(library: Library, source: str) -> tuple[Any, Exception | None]:
    """What an expression gives, or the exception that it raises."""
    try:
        return library.evaluate(source), None
    except Exception as error:
        return None, error
