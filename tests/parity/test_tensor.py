"""Attributes of Tensors against PyTorch: what they return and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

Call = Callable[[Any], Any]


def leaf(m: Any) -> Any:
    return m.tensor([1.0, 2.0], requires_grad=True)


def assign(tensor: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(tensor, name, value)
    return tensor


READ: dict[str, Call] = {
    "size": lambda m: tuple(m.zeros(2, 3).size()),
    "size of a dimension": lambda m: m.zeros(2, 3).size(-1),
    "stride": lambda m: m.zeros(2, 3, 4).stride(),
    "stride of a dimension": lambda m: m.zeros(2, 3, 4).stride(1),
    "numel": lambda m: m.numel(m.zeros(2, 3)),
    "bytes": lambda m: (m.zeros(2, dtype=m.int16).nbytes, m.zeros(2).element_size(), m.zeros(2).itemsize),
    "dimensions": lambda m: (m.zeros(2, 3).dim(), m.zeros(()).ndim, m.zeros(1).ndimension()),
    "item": lambda m: m.tensor([[2.5]]).item(),
    "tolist": lambda m: m.tensor([[1, 2]]).tolist(),
    "numbers": lambda m: (int(m.tensor(2.5)), float(m.tensor(2)), bool(m.tensor([1])), complex(m.tensor(1.0))),
    "index": lambda m: ["a", "b"][m.tensor([1])],
    "index by truth": lambda m: ["a", "b"][m.tensor(True)],
    "membership": lambda m: (1 in m.tensor([1.0]), 2 in m.tensor([1.0]), m.tensor(1) in m.tensor([1.0])),
    "format": lambda m: (f"{m.tensor(1.5):.2f}", f"{m.tensor(2)}", f"{m.tensor([2])}"),
    "leaf": lambda m: (leaf(m).is_leaf, leaf(m).grad_fn, (leaf(m) * 2).is_leaf, m.ones(1).is_leaf),
    "flags": lambda m: (leaf(m).requires_grad, leaf(m).detach().requires_grad, leaf(m).data.requires_grad),
    "retains_grad": lambda m: (leaf(m).retains_grad, (leaf(m) * 2).retains_grad),
    "long of a result": lambda m: (leaf(m) * 2).long().requires_grad,
    "version": lambda m: (m.ones(1)._version, m.ones(1).zero_()._version, m.ones(1).data._version),
    "views": lambda m: (leaf(m).detach()._is_view(), m.ones(2).reshape(2, 1)._is_view()),
    "type": lambda m: m.ones(1).double().type().split(".")[1],
    "to itself": lambda m: (x := m.ones(1)).to(m.float32) is x,
    "dtype of to": lambda m: str(m.ones(1).to(m.int64).dtype).removeprefix("torch."),
    "data of another shape": lambda m: assign(leaf(m), data=m.ones(3)).tolist(),
    "grad assigned": lambda m: assign(leaf(m), grad=m.ones(2)).grad.tolist(),
}


@pytest.mark.parametrize("read", READ.values(), ids=READ.keys())
def test_attributes_read_as_in_pytorch(read: Call) -> None:
    assert read(rg) == read(torch)


WRONG: dict[str, Call] = {
    "item of several": lambda m: m.ones(2).item(),
    "truth of several": lambda m: bool(m.ones(2)),
    "truth of none": lambda m: bool(m.ones(0)),
    "int of several": lambda m: int(m.ones(2)),
    "float as index": lambda m: [1, 2][m.tensor(1.0)],
    "several as index": lambda m: [1, 2][m.tensor([1, 2])],
    "iteration of 0-d": lambda m: iter(m.tensor(1.0)),
    "length of 0-d": lambda m: len(m.tensor(1.0)),
    "membership of a string": lambda m: "a" in m.ones(1),
    "format of several": lambda m: f"{m.ones(2):.2f}",
    "size beyond": lambda m: m.ones(2).size(5),
    "size of 0-d": lambda m: m.ones(()).size(0),
    "grad of another shape": lambda m: assign(leaf(m), grad=m.ones(3)),
    "grad of another dtype": lambda m: assign(leaf(m), grad=m.ones(2).double()),
    "grad no tensor": lambda m: assign(leaf(m), grad=3),
    "integers with gradient": lambda m: assign(m.tensor([1]), requires_grad=True),
    "result without gradient": lambda m: (leaf(m) * 2).requires_grad_(False),
    "data of integers": lambda m: assign(leaf(m), data=m.tensor([1, 2])),
    "data no tensor": lambda m: assign(leaf(m), data=3),
    "hook without gradient": lambda m: m.ones(1).register_hook(print),
    "retain_grad without gradient": lambda m: m.ones(1).retain_grad(),
    "accumulation hook on a result": lambda m: (leaf(m) * 2).register_post_accumulate_grad_hook(print),
    "deepcopy of a result": lambda m: copy.deepcopy(leaf(m) * 2),
    "numpy of a graph": lambda m: leaf(m).numpy(),
    "backward of several": lambda m: (leaf(m) * 2).backward(),
    "backward without graph": lambda m: m.ones(1).backward(),
    "gradient of another shape": lambda m: (leaf(m) * 2).backward(m.ones(3)),
    "gradient a list of numbers": lambda m: (leaf(m) * 2)[:1].backward(gradient=[1.0]),
    "detach_ of a view": lambda m: leaf(m).reshape(2, 1).detach_(),
    "to an unknown device": lambda m: m.ones(1).to("nowhere"),
    "in place on a leaf": lambda m: leaf(m).zero_(),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG.keys())
def test_mistakes_raise_pytorch_s_types(call: Call) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whatever PyTorch raises
        call(torch)
    with pytest.raises(theirs.type):
        call(rg)
