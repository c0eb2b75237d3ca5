"""Products, norms and decompositions: values against NumPy, gradients against finite differences, on every device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd import ops
from retrograd.backends import Device
from tests.autograd.factory import each, function, host, tensor_of

DOUBLE = (np.float32, np.float64)


def with_itself(x: Any) -> Any:
    """A symmetric positive definite matrix made of any."""
    return x @ x.mT + 0.5 * np.eye(x.shape[-1])


def definite(x: rg.Tensor) -> rg.Tensor:
    """The same of Tensors."""
    with x.device:
        return x @ x.mT + 0.5 * rg.eye(x.shape[-1], dtype=x.dtype)


def symmetric(x: Any) -> Any:
    return x + x.mT


def well_placed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Matrices far from singular, with singular values far from each other."""
    k = min(shape[-2:])
    x = rng.uniform(-0.4, 0.4, shape)
    x[..., range(k), range(k)] += np.arange(1, k + 1) * 1.1
    return x


# ---- products
MATMUL = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)),
    ((2, 1, 2, 3), (3, 3, 2)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 2)),
    ((0, 2, 3), (3, 1)),
]  # fmt: skip
test_matmul = function(rg.matmul, np.matmul, "any", "any", shapes=MATMUL)
test_matmul_of_equal_shapes = function(rg.matmul, np.matmul, "any", "any", shapes=[((2, 2), (2, 2))])
test_mm = function(rg.mm, np.matmul, "any", "any", shapes=[((2, 3), (3, 4)), ((0, 2), (2, 0))])
test_bmm = function(rg.bmm, np.matmul, "any", "any", shapes=[((2, 2, 3), (2, 3, 2)), ((0, 2, 2), (0, 2, 2))])
test_mv = function(rg.mv, np.matmul, "any", "any", shapes=[((2, 3), (3,)), ((0, 3), (3,)), ((2, 0), (0,))])
test_dot = function(rg.dot, np.dot, "any", "any", shapes=[((3,), (3,)), ((0,), (0,))])
test_vdot = function(rg.vdot, np.vdot, "any", "any", shapes=[((3,), (3,))])
test_inner = function(
    rg.inner, np.inner, "any", "any", shapes=[((2, 3), (4, 3)), ((3,), (3,)), ((), (2,)), ((2, 1, 3), (3,))]
)
test_outer = function(rg.outer, np.outer, "any", "any", shapes=[((2,), (3,)), ((0,), (2,))])
test_ger = function(rg.ger, np.outer, "any", "any", shapes=[((2,), (3,))])
test_kron = function(
    rg.kron, np.kron, "any", "any", shapes=[((2, 3), (2, 2)), ((2,), (1, 3)), ((), (2,)), ((2, 1, 2), (3,))]
)
test_trace = function(rg.trace, np.trace, shapes=[(3, 3), (2, 3), (0, 2)])
test_linear = function(
    lambda x, w, b: ops.linear(x, w, b), lambda x, w, b: x @ w.T + b, "any", "any", "any",
    shapes=[((2, 3), (4, 3), (4,)), ((3,), (2, 3), (2,)), ((2, 1, 3), (2, 3), (2,)), ((0, 3), (2, 3), (2,)),
            ((2, 0), (3, 0), (3,)), ((2, 3), (4, 3), (1,))],
)  # fmt: skip
test_addmm = function(
    rg.addmm, lambda c, a, b, beta, alpha: beta * c + alpha * (a @ b), "any", "any", "any",
    shapes=[((2, 4), (2, 3), (3, 4)), ((4,), (2, 3), (3, 4)), ((), (2, 3), (3, 4))],
    beta=each(1, 0.5), alpha=each(1, -2.0),
)  # fmt: skip
test_addmv = function(
    rg.addmv, lambda c, a, b: c + a @ b, "any", "any", "any", shapes=[((2,), (2, 3), (3,)), ((), (2, 3), (3,))]
)
test_addbmm = function(
    rg.addbmm, lambda c, a, b: c + (a @ b).sum(0), "any", "any", "any", shapes=[((2, 2), (3, 2, 3), (3, 3, 2))]
)
test_baddbmm = function(
    rg.baddbmm, lambda c, a, b: c + a @ b, "any", "any", "any",
    shapes=[((3, 2, 2), (3, 2, 3), (3, 3, 2)), ((2,), (3, 2, 3), (3, 3, 2))],
)  # fmt: skip
test_addr = function(rg.addr, lambda c, a, b: c + np.outer(a, b), "any", "any", "any", shapes=[((2, 3), (2,), (3,))])
test_tensordot = function(
    rg.tensordot, lambda a, b, dims: np.tensordot(a, b, dims), "any", "any",
    shapes=[((2, 3), (3, 2))], dims=each(0, 1, ([0, 1], [1, 0]), ([-1], [0])),
)  # fmt: skip
test_cross = function(rg.cross, np.cross, "any", "any", shapes=[((2, 3), (2, 3)), ((1, 3), (2, 3)), ((3,), (3,))])
test_multi_dot = function(
    lambda *x: rg.linalg.multi_dot(x), lambda *x: np.linalg.multi_dot(x), "any", "any", "any", "any",
    shapes=[((2, 3), (3, 4), (4, 1), (1, 2)), ((2,), (2, 3), (3, 3), (3,))],
)  # fmt: skip

EINSUMS = {
    "a product of matrices": ("ij,jk->ik", (2, 3), (3, 4)),
    "implicit output": ("ba,cb", (2, 3), (4, 2)),
    "a transposition": ("ij->ji", (2, 3)),
    "a batch": ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    "a batch with its axes mixed": ("ibj,kjb->kbi", (2, 3, 2), (2, 2, 3)),
    "an ellipsis": ("...ij,jk->...ik", (2, 2, 3), (3, 2)),
    "ellipses that broadcast": ("...i,...i->...", (2, 1, 3), (4, 3)),
    "an ellipsis in the middle": ("i...j->j...i", (2, 3, 2)),
    "a diagonal": ("ii->i", (3, 3)),
    "a trace": ("ii", (3, 3)),
    "diagonals of a batch": ("bii,bij->bj", (2, 3, 3), (2, 3, 2)),
    "a label repeated three times": ("iii->i", (2, 2, 2)),
    "a sum over labels of one operand": ("ij,kl->jk", (2, 3), (2, 2)),
    "everything summed": ("ij,ij->", (2, 3), (2, 3)),
    "an outer product": ("i,j->ij", (2,), (3,)),
    "three operands": ("bi,ij,bj->b", (2, 3), (3, 2), (2, 2)),
    "a length of one that broadcasts": ("ij,jk->ik", (2, 1), (3, 4)),
    "scalars": (",i->i", (), (3,)),
    "no elements": ("ij,jk->ik", (0, 2), (2, 3)),
    "nothing to sum over": ("ij,jk->ik", (2, 0), (0, 3)),
}
for name, (equation, *shapes) in EINSUMS.items():
    globals()[f"test_einsum_of_{name.replace(' ', '_')}"] = function(
        lambda *x, equation=equation: rg.einsum(equation, *x),
        lambda *x, equation=equation: np.einsum(equation, *x),
        *["any"] * len(shapes),
        shapes=[tuple(shapes)],
        layouts=0 not in shapes[0],
        dtypes=DOUBLE,
    )

# ---- norms
ORDERS = each(0, 1, 2, 3, 2.5, 1.5, 0.5, -1, -2, math.inf, -math.inf)
test_vector_norm = function(
    rg.linalg.vector_norm, lambda x, ord, dim: np.linalg.vector_norm(x, ord=ord, axis=dim), "away from zero",
    shapes=[(2, 3), (3, 1)], ord=ORDERS, dim=each(None, 0, (0, 1)), rtol=1e-11, dtypes=DOUBLE,
)  # fmt: skip
test_vector_norm_of_halves = function(rg.linalg.vector_norm, lambda x: np.linalg.norm(x), shapes=[(2, 3), (), (0,)])
test_matrix_norm = function(
    rg.linalg.matrix_norm, lambda x, ord: np.linalg.matrix_norm(x, ord=ord), well_placed,
    shapes=[(2, 3), (2, 3, 2)], ord=each("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf), dtypes=DOUBLE,
)  # fmt: skip
test_norm = function(
    rg.norm, lambda x, p, dim: np.linalg.vector_norm(x, ord=p or 2, axis=dim), "away from zero", shapes=[(2, 3)],
    p=each(1, 2, 3.0, math.inf), dim=each(None, 1, (0, 1)), dtypes=DOUBLE,
)  # fmt: skip
test_dist = function(rg.dist, lambda x, y: np.linalg.norm(x - y), "any", "any", shapes=[((2, 3), (3,))])


def distances(a: Any, b: Any, p: float) -> Any:
    return np.linalg.vector_norm(a[..., :, None, :] - b[..., None, :, :], ord=p, axis=-1)


test_cdist = function(
    rg.cdist, distances, "distinct", lambda rng, shape: rng.uniform(3, 5, shape),
    shapes=[((2, 3), (4, 3)), ((2, 2, 2), (3, 2)), ((0, 2), (2, 2))], p=each(1.0, 2.0, 3.0, math.inf), dtypes=DOUBLE,
)  # fmt: skip

# ---- inverses and decompositions
SQUARE = [(3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)]
SOLVE = [((2, 2), (2, 3)), ((3, 2, 2), (2, 1)), ((2, 2), (2,)), ((2, 2), (0, 2, 1))]
test_inv = function(rg.linalg.inv, np.linalg.inv, well_placed, shapes=SQUARE, dtypes=DOUBLE)
test_det = function(rg.linalg.det, np.linalg.det, well_placed, shapes=SQUARE, dtypes=DOUBLE)
test_slogdet = function(rg.linalg.slogdet, np.linalg.slogdet, well_placed, shapes=SQUARE, dtypes=DOUBLE)
test_logdet = function(rg.logdet, lambda x: np.log(np.linalg.det(x)), well_placed, shapes=[(3, 3)], dtypes=DOUBLE)
test_solve = function(
    rg.linalg.solve, np.linalg.solve, well_placed, "any", shapes=SOLVE[:2] + SOLVE[3:], dtypes=DOUBLE, layouts=False
)
test_solve_for_a_vector = function(
    rg.linalg.solve, np.linalg.solve, well_placed, "any", shapes=SOLVE[2:3], dtypes=DOUBLE
)
test_solve_from_the_right = function(
    lambda a, b: rg.linalg.solve(a, b, left=False), lambda a, b: b @ np.linalg.inv(a), well_placed, "any",
    shapes=[((2, 2), (3, 2)), ((2, 2, 2), (1, 2))], dtypes=DOUBLE,
)  # fmt: skip
test_solve_triangular = function(
    rg.linalg.solve_triangular, lambda a, b, upper: np.linalg.solve(np.triu(a) if upper else np.tril(a), b),
    well_placed, "any", shapes=[((2, 2), (2, 3))], upper=each(False, True), dtypes=DOUBLE,
)  # fmt: skip
test_cholesky = function(
    lambda x, upper: rg.linalg.cholesky(definite(x), upper=upper),
    lambda x, upper: np.linalg.cholesky(with_itself(x), upper=upper),
    shapes=[(2, 2), (2, 3, 3), (0, 0)], upper=each(False, True), dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_qr = function(
    rg.linalg.qr, lambda x, mode: np.linalg.qr(x, mode), well_placed, shapes=[(3, 3), (2, 2, 3), (0, 0)],
    mode=each("reduced", "complete"), dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_qr_of_tall_matrices = function(rg.linalg.qr, np.linalg.qr, well_placed, shapes=[(3, 2), (2, 4, 2)], dtypes=DOUBLE)
test_svdvals = function(
    rg.linalg.svdvals, lambda x: np.linalg.svd(x, compute_uv=False), well_placed,
    shapes=[(3, 3), (2, 3, 2), (2, 3), (0, 2)],
    dtypes=DOUBLE, layouts=False,
)  # fmt: skip


def up_to_signs(decompose: Any) -> Any:
    """Singular and eigenvectors are defined up to their signs: their absolute values are compared."""
    return lambda x, **keywords: [abs(part) for part in decompose(x, **keywords)]


test_svd = function(
    up_to_signs(rg.linalg.svd), up_to_signs(np.linalg.svd), well_placed,
    shapes=[(3, 3), (2, 2, 3), (3, 2)], full_matrices=each(False), dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_svd_with_full_matrices = function(
    lambda x: [abs(part) for part in rg.linalg.svd(x)][1:],
    lambda x: [abs(part) for part in np.linalg.svd(x)][1:], well_placed,
    shapes=[(3, 2), (2, 3, 3)], dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_eigh = function(
    up_to_signs(lambda x, UPLO: rg.linalg.eigh(symmetric(x), UPLO)),
    up_to_signs(lambda x, UPLO: np.linalg.eigh(x + x.mT, UPLO)),
    well_placed, shapes=[(3, 3), (2, 2, 2)], UPLO=each("L", "U"), dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_eigvalsh = function(
    lambda x: rg.linalg.eigvalsh(symmetric(x)), lambda x: np.linalg.eigvalsh(x + x.mT), well_placed,
    shapes=[(3, 3), (2, 2, 2), (0, 0)], dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_pinv = function(
    rg.linalg.pinv,
    np.linalg.pinv,
    well_placed,
    shapes=[(3, 2), (2, 2, 3), (2, 2), (0, 2)],
    dtypes=DOUBLE,
    layouts=False,
)
test_lstsq = function(
    lambda a, b: rg.linalg.lstsq(a, b).solution, lambda a, b: np.linalg.pinv(a) @ b, well_placed, "any",
    shapes=[((4, 2), (4, 3)), ((2, 3), (2, 1)), ((2, 3, 2), (2, 3, 2))], dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_matrix_power = function(
    rg.linalg.matrix_power, np.linalg.matrix_power, well_placed, shapes=[(2, 2), (2, 3, 3)], n=each(1, 2, 3, 5, -1, -2),
    dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_matrix_exp = function(
    rg.linalg.matrix_exp,
    lambda x: np.linalg.matrix_power(sum(np.linalg.matrix_power(x / 64, n) / math.factorial(n) for n in range(20)), 64),
    shapes=[(3, 3), (2, 2, 2), (1, 1)], dtypes=DOUBLE, layouts=False,
)  # fmt: skip
test_cond = function(
    rg.linalg.cond, lambda x, p: np.linalg.cond(x, p), well_placed, shapes=[(2, 2), (2, 3, 3)], p=each(None, 1, "fro"),
    dtypes=DOUBLE, layouts=False,
)  # fmt: skip


# ---- edges


def test_the_norm_of_zero_has_the_subgradient_zero(device: Device) -> None:
    for ord in (0, 0.5, 1, 2, 3, math.inf):
        x = tensor_of(np.zeros(3), device)
        rg.linalg.vector_norm(x, ord).backward()
        np.testing.assert_array_equal(host(x.grad), np.zeros(3))


def test_a_zero_distance_has_the_gradient_zero(device: Device) -> None:
    for p in (1.0, 1.5, 2.0, 3.0, math.inf):
        x = tensor_of(np.ones((2, 3)), device)
        ops.sum(rg.cdist(x, x, p)).backward()
        np.testing.assert_array_equal(host(x.grad), np.zeros((2, 3)))


def test_a_singular_matrix_has_a_gradient_of_its_determinant(device: Device) -> None:
    x = tensor_of(np.array([[1.0, 2.0], [2.0, 4.0]]), device)
    rg.linalg.det(x).backward()
    np.testing.assert_allclose(host(x.grad), [[4, -2], [-2, 1]], atol=1e-12)


def test_equal_singular_values_have_gradients_though_their_vectors_have_none(device: Device) -> None:
    x = tensor_of(np.eye(3), device)
    ops.sum(rg.linalg.svdvals(x)).backward()
    np.testing.assert_allclose(host(x.grad), np.eye(3), atol=1e-15)
    (g,) = rg.autograd.grad(rg.linalg.svd(x).U[0, 1], x)
    assert not np.isfinite(host(g)).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: rg.linalg.inv(x),
        lambda x: rg.linalg.solve(x, x),
        lambda x: rg.linalg.cholesky(-x),
        lambda x: rg.linalg.matrix_power(x, -1),
    ],
)
def test_a_matrix_that_must_not_be_singular_raises_LinAlgError(call: Any, device: Device) -> None:
    x = tensor_of(np.ones((2, 2)), device)
    with pytest.raises(rg.linalg.LinAlgError) as caught:
        call(x)
    assert isinstance(caught.value, (RuntimeError, np.linalg.LinAlgError))


def test_qr_says_where_it_has_no_gradient(device: Device) -> None:
    x = tensor_of(np.arange(6.0).reshape(3, 2) ** 2, device)
    with pytest.raises(RuntimeError, match="not differentiable when mode='complete'"):
        ops.sum(rg.linalg.qr(x, "complete").R).backward()
    with pytest.raises(RuntimeError, match="depends on Q, which is not computed when mode='r'"):
        ops.sum(rg.linalg.qr(x, "r").R).backward()


MESSAGES = {
    "linear: input (32, 100) does not fit weight (10, 784): the last dimension must be 784, got 100.": lambda: (
        ops.linear(rg.ones(32, 100), rg.ones(10, 784), rg.ones(10))
    ),
    "linear: bias (3,) does not fit weight (2, 4)": lambda: ops.linear(rg.ones(5, 4), rg.ones(2, 4), rg.ones(3)),
    "matmul: shapes (2, 3) and (4, 5) cannot be multiplied": lambda: rg.ones(2, 3) @ rg.ones(4, 5),
    "matmul: the batch dimensions (2,) and (3,) do not broadcast": lambda: rg.ones(2, 2, 2) @ rg.ones(3, 2, 2),
    "matmul: both operands need at least one dimension": lambda: rg.tensor(1.0) @ rg.ones(2),
    "matmul: operands must have the same dtype, got float32 and float64": lambda: rg.ones(2) @ rg.ones(2).double(),
    "mm: input must be a matrix (2 dimensions), got shape (2,)": lambda: rg.mm(rg.ones(2), rg.ones(2, 2)),
    "bmm: shapes (2, 2, 3) and (3, 3, 2) do not fit": lambda: rg.bmm(rg.ones(2, 2, 3), rg.ones(3, 3, 2)),
    "mv: shapes (2, 3) and (2,) do not fit: the vector must have 3": lambda: rg.mv(rg.ones(2, 3), rg.ones(2)),
    "dot: shapes (2,) and (3,) do not fit": lambda: rg.dot(rg.ones(2), rg.ones(3)),
    "einsum: a label has the lengths 2 and 3": lambda: rg.einsum("ij,jk", rg.ones(2, 2), rg.ones(3, 3)),
    "einsum: the equation 'ij,j' is for 2 operands, got 1": lambda: rg.einsum("ij,j", rg.ones(2, 2)),
    "einsum: operand 0 has 2 dimensions, but": lambda: rg.einsum("i->i", rg.ones(2, 2)),
    "einsum: label 'k' appears more than once": lambda: rg.einsum("ij,jk->ikk", rg.ones(2, 2), rg.ones(2, 2)),
    "einsum: label 'z' of the output appears in no": lambda: rg.einsum("ij->ijz", rg.ones(2, 2)),
    "einsum: labels must be letters": lambda: rg.einsum("i?->i", rg.ones(2, 2)),
    "einsum: a label is repeated in an operand of shape (2, 3)": lambda: rg.einsum("ii", rg.ones(2, 3)),
    "einsum: operands must have the same dtype": lambda: rg.einsum("i,i", rg.ones(2), rg.ones(2).double()),
    "addmm: input (3, 2, 2) does not broadcast": lambda: rg.addmm(rg.ones(3, 2, 2), rg.ones(2, 2), rg.ones(2, 2)),
    "linalg.inv: A must be batches of square matrices": lambda: rg.linalg.inv(rg.ones(2, 3)),
    "linalg.inv: the input tensor A must have at least 2": lambda: rg.linalg.inv(rg.ones(2)),
    "linalg.inv: expected a float32 or float64 tensor": lambda: rg.linalg.inv(rg.ones(2, 2, dtype=rg.int64)),
    "linalg.solve: shapes of A (2, 2) and B (3, 1)": lambda: rg.linalg.solve(rg.eye(2), rg.ones(3)),
    "linalg.vector_norm cannot compute the inf norm on an empty": lambda: rg.linalg.vector_norm(rg.ones(0), math.inf),
    "cdist: X1 and X2 must have the same number of columns": lambda: rg.cdist(rg.ones(2, 2), rg.ones(3, 3)),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_operands_that_do_not_fit_are_told_what_to_do(message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        MESSAGES[message]()
    assert str(caught.value).startswith(message)
    assert str(caught.value).count("\n") < 3


def test_a_product_of_matrices_is_recorded_as_in_PyTorch() -> None:
    a, v = rg.ones(2, 2, requires_grad=True), rg.ones(2, requires_grad=True)
    names = {"MmBackward0": a @ a, "DotBackward0": rg.dot(v, v), "MvBackward0": rg.mv(a, v)}
    for name, result in names.items():
        assert result.grad_fn.name() == name


def test_a_transposition_by_einsum_is_a_view_that_in_place_changes_follow() -> None:
    x = rg.tensor([[1.0, 2.0], [3.0, 4.0]])
    y = rg.einsum("ij->ji", x)
    x.mul_(2)
    np.testing.assert_array_equal(y.numpy(), [[2, 6], [4, 8]])


def test_addmm_with_beta_zero_does_not_read_its_input() -> None:
    bad = rg.full((2, 2), math.nan)
    np.testing.assert_array_equal(rg.addmm(bad, rg.ones(2, 2), rg.ones(2, 2), beta=0).numpy(), np.full((2, 2), 2))


def test_addmm_in_place_replaces_the_value_and_keeps_the_gradient() -> None:
    a = rg.ones(2, 2, requires_grad=True)
    c = rg.ones(2, 2) * 1
    c.addmm_(a, a)
    ops.sum(c).backward()
    np.testing.assert_array_equal(c.detach().numpy(), np.full((2, 2), 3))
    np.testing.assert_array_equal(a.grad.numpy(), np.full((2, 2), 4))


def test_rank_counts_independent_columns(device: Device) -> None:
    x = tensor_of(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]]), device)
    assert rg.linalg.matrix_rank(x).item() == 2
    assert rg.linalg.matrix_rank(x, atol=100.0).item() == 0
