"""Linear systems in other clothes against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from tests.parity.expressions import agree

rng = np.random.default_rng(0)
SQUARE = rng.normal(size=(4, 4)) + 3 * np.eye(4)
FACTOR = np.tril(rng.normal(size=(2, 4, 4))) + 3 * np.eye(4)
RIGHT = rng.normal(size=(2, 4, 3))


@pytest.mark.parametrize(
    "source",
    [
        "T.cholesky_solve(b, l.tril())", "b.cholesky_solve(l.tril())", "T.cholesky_solve(b, l.tril().mT, upper=True)",
        "T.cholesky_solve(b[0], l.tril())", "T.cholesky_solve(b[0, 0], l[0].tril())",
        "T.cholesky_solve(b[:, :2], l.tril())",
        "T.cholesky_inverse(l.tril())", "l[0].tril().cholesky_inverse()", "l.tril().mT.cholesky_inverse(upper=True)",
        "tuple(T.linalg.inv_ex(a))", "tuple(T.linalg.inv_ex(a[:, :2]))",
        "T.linalg.inv_ex(T.zeros(2, 2)).info.bool()",
        "tuple(T.linalg.cholesky_ex(a @ a.T))", "tuple(T.linalg.cholesky_ex(a @ a.T, upper=True))",
        "T.linalg.cholesky_ex(-T.eye(2)).info.bool()",
        "tuple(T.linalg.solve_ex(a, b[0]))", "T.linalg.solve_ex(T.zeros(2, 2), T.ones(2, 1)).info.bool()",
        "T.linalg.tensorinv(a.reshape(2, 2, 4), ind=2)", "T.linalg.tensorinv(a, ind=1)", "T.linalg.tensorinv(a, ind=0)",
        "T.linalg.tensorinv(b, ind=1)", "T.linalg.tensorsolve(a.reshape(2, 2, 4), b[0, :, 0].reshape(2, 2))",
        "T.linalg.tensorsolve(a.reshape(2, 4, 2), b[0, :, 0].reshape(2, 2), dims=(1,))",
        "T.linalg.tensorsolve(a, b[0])", "T.linalg.vecdot(a, a * 2)", "T.linalg.vecdot(b[0], b[1], dim=0)",
        "T.linalg.vecdot(a, a.float())", "T.linalg.vander(a[0])", "T.linalg.vander(a, N=3)", "T.linalg.vander(a, N=1)",
        "T.linalg.diagonal(b)", "T.linalg.diagonal(b, offset=1)", "T.linalg.diagonal(b, dim1=0, dim2=1)",
    ],
)  # fmt: skip
def test_expressions_agree_to_second_gradients(source):
    agree(source, rtol=1e-8, a=SQUARE, l=FACTOR, b=RIGHT)


def test_a_singular_matrix_of_a_batch_is_told_from_the_others():
    agree("T.linalg.inv_ex(T.stack([a.detach(), a.detach() * 0])).info.bool()", a=SQUARE)
    agree("T.linalg.inv_ex(T.stack([a.detach(), a.detach() * 0])).inverse[0]", rtol=1e-9, a=SQUARE)


def test_errors_are_raised_where_they_are_asked_for():
    for call in (
        lambda: rg.linalg.inv_ex(rg.zeros(2, 2), check_errors=True),
        lambda: rg.linalg.cholesky_ex(-rg.eye(2), check_errors=True),
        lambda: rg.linalg.solve_ex(rg.zeros(2, 2), rg.ones(2, 1), check_errors=True),
    ):
        with pytest.raises(rg.linalg.LinAlgError):
            call()
