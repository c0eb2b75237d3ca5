"""Reductions, scans and sorting against PyTorch: values, dtypes, gradients to second order, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.expressions import agree

inf, nan = float("inf"), float("nan")
VALUES = {
    "D": np.array([[1.0, 3.5, 2.0], [0.25, 3.0, 5.0]]),
    "F": np.array([[1.0, 3.0, 2.0], [0.5, 3.25, 5.0]], np.float32),
    "Z": np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]),  # zeros
    "Q": np.array([[1.0, 1.0, 0.5], [2.0, 2.0, 2.0]]),  # ties
    "N": np.array([[nan, 1.0, 2.0], [3.0, nan, nan]]),
    "C": np.linspace(-1, 1, 24).reshape(2, 3, 4) ** 3,
    "S": np.array(2.0),
    "E": np.zeros(0),
    "W": np.zeros((2, 0)),
    "I": np.array([[1, 3, 2], [0, 3, 5]]),
    "J": np.array([[1, 3, 2], [0, 3, 5]], np.int16),
    "U": np.array([[1, 3], [0, 200]], np.uint8),
    "B": np.array([[True, False], [True, True]]),
}

DIMS = ["", "0", "1", "-1", "dim=0, keepdim=True", "(0,1)", "(0,), True", "dim=()", "2", "(0,0)"]
SEVERAL = ["sum", "mean", "nansum", "nanmean", "var", "std", "amax", "amin", "all", "any"]
ONE = ["prod", "max", "min", "argmax", "argmin"]
ONE_DIMS = ["", "0", "1", "-1", "0, True", "dim=1, keepdim=True", "2"]

NO_EMPTY_DIM = {"var", "std"}
"""With dim=() PyTorch's gradient of these is infinite; here it is that of dim=None."""

EXPRESSIONS = [
    *[f"{x}.{f}({d})" for f in SEVERAL for d in DIMS for x in "DZ" if not (f in NO_EMPTY_DIM and "()" in d)],
    *[f"{x}.{f}({d})" for f in ONE for d in ONE_DIMS for x in "DZ"],
    *[f"{x}.{f}()" for f in [*SEVERAL, *ONE] for x in "FIJBS" if (f, x) not in (("var", "S"), ("std", "S"))],
    *[f"S.{f}(0)" for f in [*SEVERAL, *ONE] if f not in ("var", "std")],
    *[f"W.{f}({d})" for f in [*SEVERAL, *ONE] for d in ("0", "1")],
    *[f"E.{f}()" for f in [*SEVERAL, *ONE]],
    "C.sum((0,2))", "C.mean((-1,0), True)", "C.var((0,2))", "C.amax((0,2))", "C.prod(1)", "C.std((1,2), correction=0)",
    "D.sum(0, dtype=T.float32)", "D.detach().sum(dtype=T.int64)", "D.mean(0, dtype=T.float32)",
    "I.mean(dtype=T.float32)",
    "I.sum(dtype=T.float32)", "B.sum(0)", "U.sum()", "I.prod(0)", "J.prod()", "I.prod(dtype=T.float64)",
    "D.prod((0,1))",
    "T.sum(D, 0, True)", "T.sum(input=D, dim=1)", "D.sum([])", "D.sum([0, 1])", "D.sum('a')", "D.sum(1.5)",
    # variance
    "D.var(False)", "D.var(0, False)", "D.var(0, True, True)", "D.var(0, unbiased=False)", "D.var(correction=0)",
    "D.var(0, correction=0, keepdim=True)", "D.var(1, correction=2)", "D.std(False)", "D.std(1, False)", "D.var(None)",
    "T.var(D, 1, correction=1, unbiased=True)", "D.std(0)", "T.var_mean(D, 0)", "T.std_mean(D)", "I.var()", "I.std()",
    "T.var_mean(D, (0, 1), correction=0, keepdim=True)", "T.std_mean(D, 1, False)", "D.detach().var(0, correction=2)",
    "S.detach().var()", "E.detach().var()",
    # extrema
    "Q.amax()", "Q.amax(1)", "Q.amin((0,1))", "Q.max()", "Q.max(1)", "Q.min(0)", "T.max(D, Q)", "T.min(D, other=Q)",
    "D.max(Q)", "D.max((0,1))", "T.aminmax(D)", "T.aminmax(D, dim=1, keepdim=True)", "T.aminmax(D, dim=0).min",
    "D.aminmax(0)", "T.max(D, 1).values", "D.max(1).indices", "D.max(1)[0]", "I.max(0)", "B.max(0)", "I.amax(1)",
    "B.argmax()", "N.detach().argmax(1)", "N.detach().max(1)", "N.detach().min(1)", "N.detach().amax(1)",
    "D.argmax(None)",
    "D.argmax(None, True)", "I.argmin(1, keepdim=True)",
    # truth and counts
    "I.all(0)", "I.any(1, True)", "B.all()", "U.all()", "U.any(0)", "N.detach().all()", "C.all((0,2))", "D.all(())",
    "D.count_nonzero()", "Z.count_nonzero(0)", "Z.count_nonzero((0,1))", "B.count_nonzero(dim=1)",
    # not a number
    "N.nansum()", "N.nansum(1)", "N.nanmean(1)", "N.nanmean(0, True)", "I.nansum()", "I.nanmean()", "N.detach().sum()",
    # medians and quantiles
    "D.median()", "D.median(0)", "D.median(1, True)", "Q.median()", "I.median()", "I.median(1)", "B.median()",
    "N.detach().median()", "N.detach().median(1)", "N.detach().nanmedian()", "N.nanmedian(1).values", "N.nanmedian(0)",
    "L([nan]).nanmedian(0)", "E.detach().median()", "W.median(1)", "S.median()", "S.median(0)", "D.median(3)",
    "D.quantile(0.5)", "D.quantile(0.3, 0)", "D.quantile(0.3, 1, True)", "D.quantile(L([0.25, 0.5]).double(), 1, True)",
    "D.quantile(0.3, interpolation='nearest')", "D.quantile(0.3, 1, interpolation='lower')", "D.quantile(1.3)",
    "D.quantile(0.3, 1, interpolation='higher')", "D.quantile(0.3, 1, interpolation='midpoint')", "I.quantile(0.3)",
    "D.quantile(0.3, interpolation='x')", "E.quantile(0.3)", "D.quantile(0.5, keepdim=True)",
    "N.detach().quantile(0.5, 1)",
    "T.quantile(F, 0.4, dim=0)", "S.quantile(0.5)",
    # logarithms of sums
    "D.logsumexp(1)", "D.logsumexp((0,1), True)", "I.logsumexp(0)", "W.logsumexp(1)", "D.logsumexp()", "S.logsumexp(0)",
    "T.logsumexp(D * 1000, dim=0)", "C.logsumexp((0, -1))", "L([-inf, -inf]).logsumexp(0)", "L([inf, 1.]).logsumexp(0)",
    # norms
    "D.norm()", "D.norm(dim=1)", "D.norm(1, 0)", "D.norm(3, (0,1))", "D.norm(p=inf, dim=1, keepdim=True)", "D.norm(0)",
    # scans
    *[f"{x}.{f}({d})" for f in ("cumsum", "cumprod") for x in "DZF" for d in ("0", "1", "-1", "2", "")],
    # PyTorch takes the logarithm of a gradient here, and loses second derivatives where that is 0, as for Z
    *[f"{x}.logcumsumexp({d})" for x in "DF" for d in ("0", "1", "-1", "2", "")],
    *[f"{x}.{f}({d})" for f in ("cummax", "cummin") for x in "DQIB" for d in ("0", "-1", "2")],
    "I.cumsum(0)", "B.cumsum(1)", "J.cumprod(1)", "D.cumsum(0, dtype=T.float32)", "I.cumprod(1, dtype=T.float64)",
    "S.cumsum(0)", "S.cumprod(-1)", "S.cummax(0)", "E.cumsum(0)", "W.cumsum(1)", "N.detach().cummax(1)",
    "N.detach().cummin(1)", "U.cummin(0)", "I.logcumsumexp(0)", "C.cumprod(1)", "S.logcumsumexp(0)",
    "D.diff()", "D.diff(2, 0)", "D.diff(n=0)", "D.diff(dim=0, prepend=D)", "D.diff(append=D)", "B.diff()", "I.diff(2)",
    "S.diff()", "D.diff(-1)", "D.diff(9)",
    # order
    *[f"{x}.sort({d})" for x in "DI" for d in ("", "0", "0, True", "descending=True, stable=True", "2", "dim=1")],
    "L([1, 1, 0]).sort(descending=True, stable=True)", "S.sort()", "E.sort()", "N.detach().sort(1)",
    "B.sort(stable=True)",
    "L([nan, 1., 2.]).sort(descending=True)", "T.sort(D, stable=True)", "T.sort(D, dim=0, descending=True)",
    "D.argsort()", "D.argsort(0, descending=True)", "D.argsort(stable=True, dim=1)", "D.msort()", "D.argsort(5)",
    "D.topk(2)", "D.topk(1, 0, False)", "D.topk(4)", "D.topk(-1)", "D.topk(2, 1, True, True)", "S.topk(1)", "E.topk(0)",
    "L([nan, 1., 2.]).topk(2)", "I.topk(2, largest=False)", "D.kthvalue(2)", "D.kthvalue(1, 0, True)", "D.kthvalue(0)",
    "D.kthvalue(4)", "S.kthvalue(1)", "I.kthvalue(2, 1)",
    # unique values
    "I.unique()", "I.unique(return_inverse=True)", "I.unique(return_counts=True)", "I.unique(True, True, True)",
    "I.unique(dim=0)", "T.unique(I, dim=1, return_inverse=True, return_counts=True)", "D.detach().unique()",
    "B.unique()",
    "E.detach().unique()", "L([nan, nan]).unique()", "L([1,1,2,1]).unique_consecutive()", "I.unique(dim=3)",
    "T.unique_consecutive(L([1,1,2,1]), return_inverse=True, return_counts=True)",
    "T.unique_consecutive(L([[1,1],[1,1],[2,1]]), dim=0)", "T.unique_consecutive(I, return_inverse=True)",
    # searching and counting
    "T.searchsorted(L([1.,2.,3.]), L([2.,5.]))", "T.searchsorted(L([1.,2.,3.]), 2., right=True)",
    "T.searchsorted(D.detach().sort(1).values, D.detach(), side='right')", "T.bucketize(L([2.,5.]), L([1.,2.,3.]))",
    "T.bucketize(2, L([1.,2.]), right=True)", "T.searchsorted(L([1,2]), L([1,2]), out_int32=True)",
    "L([1,1,3]).bincount()",
    "T.searchsorted(L([[1,2]]), L([[1],[2]]))", "T.searchsorted(L([1,2]), L([1]), side='up')",
    "T.searchsorted(L([1,2]), L([1]), side='left', right=True)", "T.bucketize(L([2.]), D.detach())",
    "L([1,1,3]).bincount(L([.5,1,2]), minlength=6)", "L([-1]).bincount()", "F.detach().bincount()", "I.bincount()",
    "L([1,1,3]).bincount(L([1,2]))", "L([1,1]).bincount(L([1,2]))",
]  # fmt: skip


@pytest.mark.parametrize("source", dict.fromkeys(EXPRESSIONS))
def test_expressions_give_what_pytorch_gives(source):
    used = {name: value for name, value in VALUES.items() if name in source}
    agree(source, rtol=2e-5 if "F" in source or "32" in source else 1e-10, **used, nan=nan, inf=inf)
