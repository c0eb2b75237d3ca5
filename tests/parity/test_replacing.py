"""Copies with a part replaced, and the small facts of a tensor, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.expressions import agree

VALUES = np.array([[0.3, 1.5, -2.0, 0.7], [2.0, -1.0, 0.4, 0.1], [1.0, 1.1, 1.2, 0.2]])
OTHERS = np.array([[1.3, 0.5, 2.0, -0.7], [0.2, 1.7, -0.4, 1.1], [-1.0, 0.6, 0.3, 2.2]])


@pytest.mark.parametrize(
    "source",
    [
        "x.select_scatter(y[0], 0, 1)", "x.select_scatter(y[:, 0], 1, -1)", "x.select_scatter(y, 0, 1)",
        "T.select_scatter(x, y[0], 0, 5)", "x.slice_scatter(y[:2], start=1)", "x.slice_scatter(y[:, ::2], 1, 0, 4, 2)",
        "x.slice_scatter(y[:, 1:3], -1, 1, -1)", "x.slice_scatter(y)", "x.slice_scatter(y[:1])",
        "x.diagonal_scatter(y[:, 0])", "x.diagonal_scatter(y[0, :3], 1)", "x.diagonal_scatter(y[0])",
        "x.diagonal_scatter(y[1, :2], offset=-1, dim1=0, dim2=1)", "x.narrow_copy(1, 1, 2)", "x.narrow_copy(1, 1, 9)",
        "x.renorm(2, 0, 1.0)", "x.renorm(1, 1, 2.0)", "T.renorm(x, 3, -1, 1.5)", "x.renorm(0, 0, 1.)",
        "x.renorm(2, 0, -1.)", "x[0].renorm(2, 0, 1.)", "x.detach().clone().renorm_(2, 0, 1.0)", "x.sum_to_size(1, 4)",
        "x.sum_to_size(4)",
        "x.sum_to_size((3, 1))", "x.sum_to_size(2, 4)", "x.sum_to_size(1)", "x.sum_to_size(3, 4)", "x.sum_to_size()",
        # facts
        "x.is_signed()", "T.is_signed(L([1], dtype=T.uint8))", "x.is_same_size(y)", "x.is_same_size(y[0])",
        "x.is_inference()", "x[0, 0].is_nonzero()", "T.is_nonzero(L([0.]))", "T.is_nonzero(L([0., 1.]))", "x.is_sparse",
        "x.is_quantized", "x.is_meta", "x.get_device()", "x.is_conj()", "x.is_neg()", "x.real", "x.conj()",
        "x.resolve_conj()", "x.is_pinned()", "x.name", "x.is_shared()", "x.detach().clone().apply_(lambda v: v * 2)",
        "x.apply_(lambda v: v)",
        "x.detach().clone().map_(y.detach(), lambda a, b: a + b)", "x.unsafe_chunk(2)", "x.unsafe_split(2)",
        "x.nanquantile(0.5)", "x.nanquantile(L([0.1, 0.9], dtype=T.float64), 1)",
        "T.nanquantile(L([[1., nan, 2.], [nan, nan, nan], [4., 5., 9.]]), 0.3, dim=1, keepdim=True)",
    ],
)  # fmt: skip
def test_expressions_agree_to_second_gradients(source):
    agree(source, rtol=1e-7, x=VALUES, y=OTHERS, nan=float("nan"))


@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin", "sum"])
@pytest.mark.parametrize("include_self", [True, False])
def test_slices_are_combined_as_in_pytorch(reduce, include_self):
    options = f"{reduce!r}, include_self={include_self}"
    agree(f"x.detach().index_reduce(0, i, y.detach(), {options})", x=VALUES, y=OTHERS, i=np.array([0, 2, 0]))
    agree(
        f"x.detach().clone().index_reduce_(1, i, y[:, :2].detach(), {options})", x=VALUES, y=OTHERS, i=np.array([3, 3])
    )
    agree(f"x.detach().index_reduce(0, i, y.detach(), {options})", x=VALUES, y=OTHERS, i=np.array([0, 3, 0]))
