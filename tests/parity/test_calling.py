"""The ways in which PyTorch's functions are called: by keyword, by NumPy's names, with operands of other kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import retrograd as rg
from tests.parity.expressions import agree

torch = pytest.importorskip("torch")

# fmt: off
REDUCTIONS = (
    "sum", "mean", "nansum", "nanmean", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "all", "any",
    "median", "var", "std", "logsumexp",
)
# fmt: on
SCANS = ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "argsort", "sort"]
EXPRESSIONS = [
    *[f"x.{name}(axis=1)" for name in (*REDUCTIONS, *SCANS)],
    *[f"x.{name}(axis=0, keepdims=True)" for name in REDUCTIONS],
    *[f"x.{name}(True)" for name in ("sum", "mean", "amax", "argmax", "all")],
    "x.sum(dim=1, axis=1)",
    "T.cat([x, x], axis=1)",
    "T.concatenate([x, x], axis=-1)",
    "T.max(x, dim=T.tensor(1))",
    "T.max(x, T.tensor(1.))",
    "x.max(1, keepdim=True)",
    "T.cumsum(x, dim=T.tensor(1))",
    "x.reshape(shape=(3, 2))",
    "x.view(size=(3, 2))",
    "n.view(T.float64)",
    "n.view(dtype=T.int32).shape",
    "x[:, :1].detach().view(T.int16)",
    "n.t().view(T.int32)",
    "x.permute(dims=(1, 0))",
    "[(x * 1)._base, x._base is None, x[0]._base is x, x[0][1:]._base is x]",
    "x.expand(size=(2, 2, 3))",
    "x.repeat(repeats=(2, 1))",
    "x.tile(dims=(2,))",
    "x.flip(dims=[0])",
    "x.swapaxes(axis0=0, axis1=1)",
    "T.swapaxes(input=x, axis0=0, axis1=-1)",
    "T.det(input=x @ x.t())",
    "T.slogdet(input=x @ x.t()).logabsdet",
    "T.matrix_power(input=x @ x.t(), n=2)",
    "2 ** n",
    "n ** n",
    "(-1) ** n",
    "b ** n",
    "bytes ** bytes",
    "bytes / 300",
    "bytes / -1",
    "bytes ** 300",
    "b - n",
    "n - b",
    "n - b[0, 0]",
    "b - 1",
    "2.5 - b",
    "n.sub(b)",
    "+b",
    "~x",
    "~n",
    "x == [1.0]",
    "x != (1, 2)",
    "[x == {}, {} != x, x == None]",
    "x[T.tensor([1, 0], dtype=T.uint8)]",
    "[x[:, T.tensor([2, 0])].view(-1), x[:, x[0] < 1].view(-1), x.index_select(1, T.tensor([0, 1])).view(-1)]",
    "x[:, T.tensor([1, 0, 1], dtype=T.uint8)]",
    "T.tensor(0.5).masked_scatter(T.tensor(True), T.tensor([2.0, 3.0]))",
    "s.masked_scatter(s > 9, s.sin())",
    "s.masked_scatter(s < 9, s.sin())",
    "T.nn.functional.relu_(x * 1)",
    "T.nn.functional.leaky_relu_(x * 1, 0.2)",
    "T.nn.functional.hardtanh_(x * 1, -0.5, 0.5)",
]


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_a_call_means_what_it_means_in_pytorch(source):
    agree(
        source,
        1e-10,
        x=np.array([[0.3, -1.2, 0.7], [2.1, 0.4, -0.6]]),
        s=np.array(0.7),
        n=np.array([[3, -2, 0], [1, -1, 4]]),
        b=np.array([[True, False, True], [False, True, True]]),
        bytes=np.array([2, 3, 1], dtype=np.uint8),
    )


class Metres:
    """A quantity of another library, which knows how to meet a tensor."""

    def __radd__(self, other: Any) -> tuple[str, Any]:
        return "sum", other

    def __rmatmul__(self, other: Any) -> tuple[str, Any]:
        return "product", other

    def __gt__(self, other: Any) -> str:
        return "less"


@pytest.mark.parametrize("library", [rg, torch], ids=["retrograd", "torch"])
def test_an_operand_of_another_library_answers_for_itself(library):
    x = library.tensor([1.0, 2.0])
    assert (x + Metres())[0] == "sum"
    assert (x + Metres())[1] is x
    assert (x @ Metres())[0] == "product"
    assert (x < Metres()) == "less"
    with pytest.raises(TypeError):
        x - Metres()
