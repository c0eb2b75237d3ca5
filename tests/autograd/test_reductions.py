"""Reductions, scans and sorting: one line each gives all facts of the factory; then what the factory cannot say."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.gradcheck import gradcheck, gradgradcheck
from tests.autograd.factory import each, function

SHAPES = [(2, 3), (), (4,), (2, 0), (2, 1, 3)]
FILLED = [(2, 3), (), (4,), (2, 1, 3)]
MATRICES = [(2, 3), (3, 2), (2, 2, 3)]


def tensor(values, device="cpu"):
    return rg.tensor(values, dtype=rg.float64, device=device, requires_grad=True)


# ---- of all elements
test_sum = function(rg.sum, np.sum, shapes=SHAPES)
test_mean = function(rg.mean, np.mean, shapes=FILLED)
test_prod = function(rg.prod, np.prod, "away from zero", shapes=SHAPES)
test_var = function(rg.var, lambda x: np.var(x, ddof=1), shapes=[(2, 3), (4,), (2, 1, 3)])
test_std = function(rg.std, lambda x: np.std(x, ddof=1), shapes=[(2, 3), (4,), (2, 1, 3)])
test_max = function(rg.max, np.max, "distinct", shapes=FILLED)
test_min = function(rg.min, np.min, "distinct", shapes=FILLED)
test_amax = function(rg.amax, np.max, "distinct", shapes=FILLED)
test_amin = function(rg.amin, np.min, "distinct", shapes=FILLED)
test_aminmax = function(rg.aminmax, lambda x: (x.min(), x.max()), "distinct", shapes=FILLED)
test_median = function(rg.median, lambda x: np.sort(x.ravel())[(x.size - 1) // 2], "distinct", shapes=FILLED)
test_nanmedian = function(rg.nanmedian, lambda x: np.sort(x.ravel())[(x.size - 1) // 2], "distinct", shapes=FILLED)
test_nansum = function(rg.nansum, np.nansum, shapes=SHAPES)
test_nanmean = function(rg.nanmean, np.nanmean, shapes=FILLED)
test_quantile = function(rg.quantile, np.quantile, "distinct", shapes=FILLED, q=each(0.0, 0.3, 1.0),
                         dtypes=(np.float32, np.float64))  # fmt: skip

# ---- along dimensions
DIMS = {"dim": each(0, -1, (0, 1), (-2,)), "keepdim": each(False, True)}
ONE = {"dim": each(0, -1), "keepdim": each(False, True)}


def along(reduce, **options):
    return lambda x, dim, keepdim: reduce(x, axis=dim, keepdims=keepdim, **options)


test_sum_along = function(rg.sum, along(np.sum), shapes=MATRICES, **DIMS)
test_mean_along = function(rg.mean, along(np.mean), shapes=MATRICES, **DIMS)
test_nansum_along = function(rg.nansum, along(np.nansum), shapes=MATRICES, **DIMS)
test_nanmean_along = function(rg.nanmean, along(np.nanmean), shapes=MATRICES, **DIMS)
test_prod_along = function(rg.prod, along(np.prod), "away from zero", shapes=MATRICES, **ONE)
test_var_along = function(
    lambda x, dim, keepdim: rg.var(x, dim, correction=0, keepdim=keepdim), along(np.var), shapes=MATRICES, **DIMS
)
test_std_along = function(
    lambda x, dim, keepdim: rg.std(x, dim, False, keepdim), along(np.std), "distinct", shapes=[(3, 2), (4, 3)], **ONE
)
test_var_mean = function(rg.var_mean, lambda x, dim: (np.var(x, axis=dim, ddof=1), np.mean(x, axis=dim)),
                         shapes=[(3, 2), (2, 2, 2)], dim=each(0, (0, 1)))  # fmt: skip
test_std_mean = function(rg.std_mean, lambda x, dim: (np.std(x, axis=dim, ddof=1), np.mean(x, axis=dim)), "distinct",
                         shapes=[(3, 2), (2, 2, 2)], dim=each(0, (0, 1)))  # fmt: skip
test_amax_along = function(rg.amax, along(np.max), "distinct", shapes=MATRICES, **DIMS)
test_amin_along = function(rg.amin, along(np.min), "distinct", shapes=MATRICES, **DIMS)
test_logsumexp = function(rg.logsumexp, lambda x, dim, keepdim: np.log(np.exp(x).sum(axis=dim, keepdims=keepdim)),
                          shapes=MATRICES, **DIMS)  # fmt: skip


def with_places(values, places):
    return lambda x, dim, keepdim: (values(x, axis=dim, keepdims=keepdim), places(x, axis=dim, keepdims=keepdim))


test_max_along = function(rg.max, with_places(np.max, np.argmax), "distinct", shapes=MATRICES, **ONE)
test_min_along = function(rg.min, with_places(np.min, np.argmin), "distinct", shapes=MATRICES, **ONE)
test_median_along = function(
    lambda x, dim, keepdim: rg.median(x, dim, keepdim).values,
    lambda x, dim, keepdim: np.median(x, axis=dim, keepdims=keepdim),
    "distinct",
    shapes=[(3, 3), (5, 1, 3)],
    **ONE,
)
test_nanmedian_along = function(
    lambda x, dim, keepdim: rg.nanmedian(x, dim, keepdim).values,
    lambda x, dim, keepdim: np.nanmedian(x, axis=dim, keepdims=keepdim),
    "distinct",
    shapes=[(3, 3), (5, 1, 3)],
    **ONE,
)
test_quantile_along = function(
    rg.quantile,
    lambda x, q, dim, keepdim, interpolation: np.quantile(x, q, axis=dim, keepdims=keepdim, method=interpolation),
    "distinct",
    shapes=[(2, 3)],
    q=each(0.4, [0.1, 0.9]),
    interpolation=each("linear", "lower", "higher", "midpoint"),
    dtypes=(np.float32, np.float64),
    **ONE,
)
NO_GRADIENT = {"gradients": False, "shapes": MATRICES}
test_argmax = function(rg.argmax, along(np.argmax), "distinct", **NO_GRADIENT, **ONE)
test_argmin = function(rg.argmin, along(np.argmin), "distinct", **NO_GRADIENT, **ONE)
test_all = function(rg.all, along(np.all), "booleans", **NO_GRADIENT, **DIMS)
test_any = function(rg.any, along(np.any), "booleans", **NO_GRADIENT, **DIMS)
test_count_nonzero = function(rg.count_nonzero, lambda x, dim: np.count_nonzero(x, axis=dim), "integers",
                              **NO_GRADIENT, dim=DIMS["dim"])  # fmt: skip

# ---- scans
SCANNED = [(2, 3), (4,), (2, 0), (5, 1, 2)]
test_cumsum = function(rg.cumsum, lambda x, dim: np.cumsum(x, axis=dim), shapes=SCANNED, dim=each(0, -1))
test_cumprod = function(rg.cumprod, lambda x, dim: np.cumprod(x, axis=dim), shapes=SCANNED, dim=each(0, -1))
test_logcumsumexp = function(rg.logcumsumexp, lambda x, dim: np.log(np.cumsum(np.exp(x), axis=dim)),
                             shapes=SCANNED, dim=each(0, -1))  # fmt: skip
test_cummax = function(lambda x, dim: rg.cummax(x, dim).values, lambda x, dim: np.maximum.accumulate(x, axis=dim),
                       "distinct", shapes=SCANNED, dim=each(0, -1))  # fmt: skip
test_cummin = function(lambda x, dim: rg.cummin(x, dim).values, lambda x, dim: np.minimum.accumulate(x, axis=dim),
                       "distinct", shapes=SCANNED, dim=each(0, -1))  # fmt: skip
test_diff = function(rg.diff, lambda x, n, dim: np.diff(x, n=n, axis=dim), shapes=[(3, 4), (4,), (0,)],
                     n=each(0, 1, 2), dim=each(0, -1))  # fmt: skip

# ---- order
test_sort = function(
    rg.sort,
    lambda x, dim, descending: (
        (np.flip(np.sort(x, dim), dim), np.argsort(-x, dim)) if descending else (np.sort(x, dim), np.argsort(x, dim))
    ),
    "distinct",
    shapes=[(2, 3), (4,), (2, 0)],
    dim=each(0, -1),
    descending=each(False, True),
)
test_argsort = function(rg.argsort, lambda x, dim: np.argsort(x, dim), "distinct", dim=each(0, -1), **NO_GRADIENT)
test_msort = function(rg.msort, lambda x: np.sort(x, 0), "distinct", shapes=MATRICES)
test_topk = function(
    lambda x, k, largest: rg.topk(x, k, 0, largest).values,
    lambda x, k, largest: (-np.sort(-x, 0) if largest else np.sort(x, 0))[:k],
    "distinct",
    shapes=[(3, 2), (4,)],
    k=each(0, 1, 3),
    largest=each(True, False),
)
test_kthvalue = function(
    lambda x, k: rg.kthvalue(x, k, 0).values, lambda x, k: np.sort(x, 0)[k - 1], "distinct", shapes=[(3, 2), (4,)],
    k=each(1, 3),
)  # fmt: skip
test_unique = function(
    lambda x: rg.unique(x, return_inverse=True, return_counts=True),
    lambda x: np.unique(x, return_inverse=True, return_counts=True),
    "integers",
    shapes=[(4, 3), (5,), (0,)],
    gradients=False,
)
test_bincount = function(rg.bincount, np.bincount, "naturals", shapes=[(7,), (0,)], gradients=False)
test_searchsorted = function(
    lambda x, right: rg.searchsorted(rg.sort(x).values, x + 0.05, right=right),
    lambda x, right: np.searchsorted(np.sort(x), x + 0.05, side="right" if right else "left"),
    shapes=[(5,), (0,)],
    right=each(False, True),
    gradients=False,
)


# ---- where gradients are not what a formula says
ZEROS = {
    "no zero": [2.0, 3.0, 4.0],
    "one zero": [2.0, 0.0, 4.0],
    "two zeros": [0.0, 3.0, 0.0],
    "only zeros": [0.0, 0.0, 0.0],
    "one factor": [0.0],
}


@pytest.mark.parametrize("values", ZEROS.values(), ids=ZEROS)
@pytest.mark.parametrize("product", [rg.prod, lambda x: rg.prod(x, 0), lambda x: rg.cumprod(x, 0)])
def test_products_with_zeros_have_right_gradients_to_second_order(product, values, device):
    x = tensor(values, device)
    assert gradcheck(product, (x,))
    assert gradgradcheck(product, (x,))


def test_a_third_derivative_of_a_product_with_a_zero_is_right(device):
    x = tensor([2.0, 0.0, 4.0], device)
    (g,) = rg.autograd.grad(x.prod(), x, create_graph=True)
    (h,) = rg.autograd.grad(g[1], x, create_graph=True)
    (third,) = rg.autograd.grad(h[0], x)
    assert third.tolist() == [0.0, 0.0, 1.0]


def test_equal_extrema_share_the_gradient_and_an_index_takes_it_all(device):
    x = tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], device)
    for extremum, wanted in {
        rg.amax: [[0, 0.5, 0.5], [0, 0, 0]],
        rg.amin: [[1, 0, 0], [0, 0, 0]],
    }.items():
        (g,) = rg.autograd.grad(extremum(x), x)
        assert g.tolist() == wanted
    (g,) = rg.autograd.grad(x.amax(1).sum(), x)
    np.testing.assert_allclose(g.tolist(), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    (g,) = rg.autograd.grad(x.max(1).values.sum(), x)
    assert g.tolist() == [[0, 1, 0], [1, 0, 0]]
    (g,) = rg.autograd.grad(x.median(), x)
    np.testing.assert_allclose(g.tolist(), [[0, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_the_deviation_of_equal_numbers_has_gradient_zero(device):
    x = tensor([2.0, 2.0], device)
    (g,) = rg.autograd.grad(x.std(), x, create_graph=True)
    assert g.tolist() == [0.0, 0.0]


def test_half_precision_sums_do_not_stagnate(device):
    x = rg.ones(5000, dtype=rg.float16, device=device)
    assert x.sum().item() == 5000
    assert x.mean().item() == 1
    assert x.cumsum(0)[-1].item() == 5000
    assert rg.full((300,), 300.0, dtype=rg.float16, device=device).var().item() == 0


def test_logsumexp_takes_infinities_and_nothing(device):
    inf = float("inf")
    assert tensor([-inf, -inf], device).logsumexp(0).item() == -inf
    assert tensor([inf, 1.0], device).logsumexp(0).item() == inf
    assert tensor([-inf, 1.0], device).logsumexp(0).item() == 1.0
    assert rg.zeros(2, 0, device=device).logsumexp(1).tolist() == [-inf, -inf]


def test_logcumsumexp_keeps_small_terms_before_large_ones(device):
    x = tensor([-1000.0, 0.0, 1000.0], device)
    y = x.logcumsumexp(0)
    assert y.tolist() == [-1000.0, 0.0, 1000.0]
    (g,) = rg.autograd.grad(y.sum(), x)
    assert g.tolist() == [1.0, 1.0, 1.0]


def test_not_a_number_is_the_greatest_and_first_in_extrema(device):
    nan = float("nan")
    x = rg.tensor([1.0, nan, 3.0, nan], device=device)
    assert x.max(0).indices.item() == 1
    assert x.min(0).indices.item() == 1
    assert x.argmax().item() == 1
    assert x.sort().indices.tolist() == [0, 2, 1, 3]
    assert x.sort(descending=True).indices.tolist() == [1, 3, 2, 0]
    assert x.topk(3).indices.tolist() == [1, 3, 2]
    assert np.isnan(x.median().item())
    assert x.nanmedian().item() == 1.0
    assert x.nanmedian(0).indices.item() == 0
    assert x.median(0).indices.item() == 1
    assert x.nansum().item() == 4.0
    assert x.nanmean().item() == 2.0
    assert x.cummax(0).indices.tolist() == [0, 1, 1, 3]
    assert np.isnan(x.quantile(0.5).item())


def test_sorting_is_stable_in_both_directions(device):
    x = rg.tensor([1, 0, 1, 0], device=device)
    assert x.argsort().tolist() == [1, 3, 0, 2]
    assert x.argsort(descending=True).tolist() == [0, 2, 1, 3]


def test_results_have_names_and_print_them():
    values, indices = rg.tensor([3, 1]).sort()
    found = rg.tensor([3, 1]).sort()
    assert values.tolist() == found.values.tolist() == [1, 3]
    assert indices.tolist() == found[1].tolist() == [1, 0]
    assert repr(found) == "rg.return_types.sort(\nvalues=tensor([1, 3]),\nindices=tensor([1, 0]))"


def test_unique_consecutive_counts_runs(device):
    x = rg.tensor([1, 1, 2, 1, 1, 1], device=device)
    values, inverse, counts = x.unique_consecutive(return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 2, 1], [0, 0, 1, 2, 2, 2], [2, 1, 3])
    rows = rg.tensor([[1, 1], [1, 1], [2, 1]], device=device)
    assert rows.unique_consecutive(dim=0).tolist() == [[1, 1], [2, 1]]
    assert rg.tensor([], device=device).unique_consecutive().shape == (0,)


def test_unique_slices_are_sorted(device):
    values, inverse = rg.tensor([[2, 1], [0, 3], [2, 1]], device=device).unique(dim=0, return_inverse=True)
    assert values.tolist() == [[0, 3], [2, 1]]
    assert inverse.tolist() == [1, 0, 1]


def test_rows_are_searched_in_their_own_sequences(device):
    sequence = rg.tensor([[1.0, 3.0], [2.0, 4.0]], device=device)
    values = rg.tensor([[3.0, 0.0], [3.0, 5.0]], device=device)
    assert rg.searchsorted(sequence, values).tolist() == [[1, 0], [1, 2]]
    assert rg.searchsorted(sequence, values, right=True).tolist() == [[2, 0], [1, 2]]
    assert rg.searchsorted(sequence[0], 2.0, out_int32=True).dtype == rg.int32


def test_weights_are_summed_by_bincount(device):
    x = rg.tensor([1, 1, 3], device=device)
    assert x.bincount(rg.tensor([0.5, 1.0, 2.0], device=device), minlength=6).tolist() == [0, 1.5, 0, 2, 0, 0]


def test_differences_join_what_is_given_before_and_after(device):
    x = rg.tensor([1, 4], device=device)
    assert x.diff(prepend=rg.tensor([0], device=device), append=rg.tensor([9, 9], device=device)).tolist() == [
        1,
        3,
        5,
        0,
    ]
    assert rg.tensor([True, False, False], device=device).diff().tolist() == [True, False]
