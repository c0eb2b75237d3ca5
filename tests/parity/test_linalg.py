"""Products, norms and decompositions against PyTorch: values, dtypes, gradients to second order, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from tests.parity.expressions import Library, agree, outcome, plain, same, torch

_rng = np.random.default_rng(3)
VALUES = {
    "A": _rng.normal(size=(3, 3)),
    "M": _rng.normal(size=(4, 3)),
    "B": _rng.normal(size=(2, 3, 3)),
    "C": _rng.normal(size=(2, 4, 3)),
    "v": _rng.normal(size=3),
    "w": _rng.normal(size=3),
    "u": _rng.normal(size=4),
    "s": _rng.normal(size=()),
    "Z": np.zeros((2, 3)),
    "E": np.zeros((0, 3)),
    "N": np.arange(6).reshape(2, 3),
    "f": _rng.normal(size=(3, 3)).astype(np.float32),
    "h": _rng.normal(size=(3, 3)).astype(np.float16),
    "t": (3 + _rng.normal(size=(3, 3))),
    "inf": float("inf"),
}

PRODUCTS = [
    "A @ A",
    "A @ v",
    "v @ A",
    "v @ w",
    "B @ v",
    "v @ B",
    "B @ A",
    "A @ B",
    "C @ B",
    "C @ A",
    "E @ A",
    "A @ E.T",
    "E.T @ E",
    "A.matmul(v)",
    "T.matmul(M, A)",
    "T.matmul(M, M)",
    "s @ A",
    "A @ s",
    "A @ f",
    "B @ C",
    "C.mT @ C[:, None]",
    "N @ N.T",
    "f @ f",
    "A.mm(A)",
    "A.mm(v)",
    "T.mm(M, M)",
    "T.mm(A, f)",
    "T.bmm(C, B)",
    "T.bmm(C, C)",
    "T.bmm(A, A)",
    "T.mv(A, v)",
    "M.mv(v)",
    "M.mv(u)",
    "v.mv(A)",
    "T.dot(v, w)",
    "v.dot(u)",
    "T.dot(A, v)",
    "T.dot(v, f[0])",
    "T.vdot(v, w)",
    "T.inner(A, B)",
    "T.inner(v, w)",
    "T.inner(s, A)",
    "T.inner(A, u)",
    "T.outer(v, u)",
    "T.ger(v, u)",
    "T.outer(A, v)",
    "T.addmm(v, M, A)",
    "T.addmm(A, A, A, beta=2, alpha=-0.5)",
    "T.addmm(u, M, A)",
    "T.addmm(s, M, A)",
    "A.addmm(A, f)",
    "T.addmv(v, A, w)",
    "T.addmv(u, M, v, beta=0.5, alpha=3)",
    "T.addmv(v, M, w)",
    "T.addbmm(A, B, B)",
    "T.addbmm(A, B, B, beta=0.5, alpha=2)",
    "T.baddbmm(v, B, B)",
    "T.baddbmm(B, B, B, beta=2, alpha=3)",
    "T.addr(A, v, w)",
    "T.addr(A, v, w, beta=2, alpha=3)",
    "T.addmm(N, N, N.T, beta=0.5)",
    "T.kron(A, v)",
    "T.kron(A, M)",
    "T.kron(s, A)",
    "T.kron(B, v)",
    "T.trace(A)",
    "M.trace()",
    "T.trace(v)",
    "N.trace()",
    "T.tensordot(A, A)",
    "T.tensordot(A, A, 1)",
    "T.tensordot(v, w, 0)",
    "T.tensordot(A, B, ([0], [1]))",
    "T.tensordot(C, B, dims=([0, 2], [0, 1]))",
    "T.tensordot(A, M, 1)",
    "T.tensordot(A, A, 5)",
    "T.tensordot(A, A, ([0, 1], [0]))",
    "T.tensordot(A, B, ([0], [7]))",
    "T.cross(A, A.flip(0), dim=1)",
    "T.linalg.cross(A, B)",
    "T.linalg.cross(A, B[0])",
    "T.linalg.cross(B[:1], B)",
    "T.linalg.cross(M.T, M.T)",
    "T.cross(M, M)",
    "T.linalg.multi_dot([v, A, M.T, u])",
    "T.linalg.multi_dot([A, A])",
    "T.linalg.multi_dot([A])",
]

EINSUMS = [
    "T.einsum('ij,jk->ik', A, A)",
    "T.einsum('ij,jk', A, A)",
    "T.einsum('ba,cb', A, M)",
    "T.einsum('ii', A)",
    "T.einsum('ii->i', A)",
    "T.einsum('ij->ji', A)",
    "T.einsum(' i j , j -> i ', A, v)",
    "T.einsum('...ij,...jk->...ik', C, B)",
    "T.einsum('...ij,...j', B, v)",
    "T.einsum('...i->i', B)",
    "T.einsum('...,...->...', A, v)",
    "T.einsum('i...->...i', B)",
    "T.einsum('ij,kl->', A, M)",
    "T.einsum('ij,kl->il', A, M)",
    "T.einsum('bii->b', B)",
    "T.einsum('bij,bjk,k->bi', B, B, v)",
    "T.einsum('ij,ij,ij->i', A, A, A)",
    "T.einsum('Ab,bA', A, A)",
    "T.einsum('aB,Bc', A, A)",
    "T.einsum('i,j', v, w)",
    "T.einsum(',i->i', s, v)",
    "T.einsum('->', s)",
    "T.einsum('ij->', A)",
    "T.einsum('ij,jk', A[:, :1], A)",
    "T.einsum('bj,bj->b', A, A[:1])",
    "T.einsum('ij,jk', E, A)",
    "T.einsum(A, [0, 1], M, [2, 1], [0, 2])",
    "T.einsum(A, [0, 1], M, [2, 1])",
    "T.einsum(B, [..., 0], [0])",
    "T.einsum('ij,jk', (A, A))",
    "T.einsum('ij,jk', A, M)",
    "T.einsum('ij,jk', A)",
    "T.einsum('i->i', A)",
    "T.einsum('ij->ijz', A)",
    "T.einsum('ij->ii', A)",
    "T.einsum('i?->i', A)",
    "T.einsum('ii', M)",
    "T.einsum('i..j', A)",
    "T.einsum('i...j...', A)",
    "T.einsum('ij,jk', A, f)",
    "T.einsum('ij')",
    "T.einsum('ij,jk', N, N.T)",
    "T.einsum('bij,bjk->bki', C, B)",
    "T.einsum('bij,bkj->ikb', C, B)",
]

NORMS = [
    *[f"T.linalg.vector_norm(A, {o})" for o in (0, 1, 2, 3, 0.5, -1, -2, "inf", "-inf")],
    *[f"T.linalg.vector_norm(B, {o}, dim=(0, -1), keepdim=True)" for o in (1, 2, 3.5, "inf")],
    *[f"T.linalg.vector_norm(Z, {o}, dim=1)" for o in (0, 1, 2, 3, "inf")],
    *[f"T.linalg.matrix_norm(B, {o})" for o in ("'fro'", "'nuc'", 1, -1, 2, -2, "inf", "-inf")],
    *[f"T.linalg.matrix_norm(C, {o}, dim=(0, 2), keepdim=True)" for o in ("'fro'", "'nuc'", 1, -2, "inf")],
    *[f"T.linalg.norm(M, {o})" for o in ("None", "'fro'", "'nuc'", 1, 2, "-inf")],
    *[f"T.linalg.norm(v, {o})" for o in ("None", 0, 1, 2, 3, "inf")],
    "T.linalg.norm(B)",
    "T.linalg.norm(B, dim=1)",
    "T.linalg.norm(B, 1, dim=1)",
    "T.linalg.norm(B, 2, dim=(1, 2))",
    "T.linalg.norm(B, 1)",
    "T.linalg.norm(v, 'fro')",
    "T.linalg.norm(B, dim=(0, 1, 2))",
    "T.linalg.norm(N)",
    "T.linalg.norm(f, dtype=T.float64)",
    "T.linalg.norm(f)",
    "T.linalg.vector_norm(A, 2, dtype=T.int64)",
    "T.linalg.vector_norm(s)",
    "T.linalg.vector_norm(s, 3, dim=0)",
    "T.linalg.vector_norm(E)",
    "T.linalg.vector_norm(E, inf)",
    "T.linalg.vector_norm(E, inf, dim=1)",
    "T.linalg.vector_norm(E, 1, dim=0)",
    "T.linalg.vector_norm(E, -1, dim=0)",
    "T.linalg.vector_norm(A, 'fro')",
    "T.linalg.vector_norm(A, dim=(0, 0))",
    "T.linalg.vector_norm(A, dim=2)",
    "T.linalg.matrix_norm(v)",
    "T.linalg.matrix_norm(A, 3)",
    "T.linalg.matrix_norm(A, dim=(0, 0))",
    "T.norm(A)",
    "A.norm()",
    "A.norm(1)",
    "A.norm(p=3, dim=0)",
    "A.norm(2, 1, True)",
    "A.norm('fro', dim=(0, 1))",
    "A.norm('nuc')",
    "B.norm(dim=(0, 1))",
    "B.norm('nuc')",
    "B.norm('nuc', dim=(0, 2))",
    "A.norm('x')",
    "A.norm(inf)",
    "A.norm(None)",
    "N.norm()",
    "Z.norm()",
    "Z.norm(dim=1)",
    "T.norm(f, dtype=T.float64)",
    "s.norm()",
    "T.dist(A, v)",
    "T.dist(A, A)",
    "T.dist(A, v, 1)",
]

DISTANCES = [  # PyTorch has no second derivative of cdist
    "T.cdist(A, M)",
    "T.cdist(A, M, 1)",
    "T.cdist(A, M, 3.0)",
    "T.cdist(A, M, inf)",
    "T.cdist(B, M)",
    "T.cdist(C, B, 1.5)",
    "T.cdist(A, v)",
    "T.cdist(A, M.T)",
    "T.cdist(A, M, -1)",
    "T.cdist(E, A)",
    "T.cdist(A, A)",
    "T.cdist(A, M, compute_mode='donot_use_mm_for_euclid_dist')",
    "T.cdist(A, M, compute_mode='x')",
]

DECOMPOSITIONS = [
    "T.linalg.inv(A)",
    "T.linalg.inv(B)",
    "A.inverse()",
    "T.linalg.det(A)",
    "T.det(B)",
    "A.det()",
    "T.linalg.slogdet(B)",
    "A.slogdet()",
    "T.logdet(A @ A.T)",
    "T.logdet(-(A @ A.T))",
    "A.logdet().isnan()",
    "T.linalg.solve(A, v)",
    "T.linalg.solve(A, M.T)",
    "T.linalg.solve(B, C.mT)",
    "T.linalg.solve(A, M, left=False)",
    "T.linalg.solve(B, A)",
    "T.linalg.solve(A, u)",
    "T.linalg.solve(B, B[:, 0])",
    "T.linalg.solve(A, f)",
    "T.linalg.solve(A, v, left=False)",
    "T.linalg.solve_triangular(A, M.T, upper=True)",
    "T.linalg.solve_triangular(A, M.T, upper=False, unitriangular=True)",
    "T.linalg.solve_triangular(A, M, upper=True, left=False)",
    "T.linalg.cholesky(A @ A.T)",
    "T.linalg.cholesky(B @ B.mT, upper=True)",
    "T.cholesky(A @ A.T)",
    "(A @ A.T).cholesky(True)",
    "T.linalg.qr(A).R.abs()",
    "T.linalg.qr(A)[0].abs()",
    "T.linalg.qr(M).R.abs()",
    "T.linalg.qr(M.T).R.abs()",
    "T.linalg.qr(C)[0].abs()",
    "T.linalg.qr(M.T, mode='complete')[1].abs()",
    "T.linalg.qr(M, 'complete')[0].shape",
    "T.linalg.qr(M, 'r').Q.shape",
    "T.linalg.qr(A, 'x')",
    "T.qr(A)[1].abs()",
    "T.qr(M, some=False)[0].shape",
    "T.linalg.svd(A).S",
    "T.linalg.svd(M)[1]",
    "T.linalg.svd(A).U.abs()",
    "T.linalg.svd(M, full_matrices=False).U.abs()",
    "T.linalg.svd(C, full_matrices=False)[2].abs()",
    "T.linalg.svd(M.T).U.abs()",
    "T.linalg.svd(M).U.shape",
    "T.linalg.svdvals(C)",
    "(lambda r: (r.U * r.S) @ r.Vh)(T.linalg.svd(A))",
    "T.svd(M)[2].abs()",
    "T.svd(M, some=False)[0].shape",
    "T.linalg.eigh(A + A.T).eigenvalues",
    "T.linalg.eigh(A + A.T).eigenvectors.abs()",
    "T.linalg.eigh(B + B.mT, 'U')[0]",
    "T.linalg.eigvalsh(B + B.mT)",
    "T.linalg.eigvalsh(A)",
    "T.linalg.eigh(A, 'X')",
    "T.linalg.eigh(M)",
    "T.linalg.pinv(M)",
    "T.linalg.pinv(C)",
    "T.linalg.pinv(M.T)",
    "T.linalg.pinv(A)",
    "T.pinverse(M)",
    "T.linalg.pinv(A + A.T, hermitian=True)",
    "T.linalg.pinv(M, rtol=0.9).shape",
    "T.linalg.pinv(M.detach(), atol=1.0)",
    "T.linalg.pinv(M.detach(), rtol=0.5)",
    "T.linalg.lstsq(M, u[:, None]).solution",
    "T.linalg.lstsq(M, u).solution.shape",
    "T.linalg.lstsq(M.T, v[:, None]).solution",
    "T.linalg.lstsq(C, C).solution",
    "[p.shape for p in T.linalg.lstsq(M, M)]",
    "T.linalg.lstsq(M, M, driver='gelsd')[1:]",
    "T.linalg.lstsq(M.detach(), M.detach(), driver='gelss')[1:]",
    "T.linalg.lstsq(M.detach(), M.detach(), driver='gels')[1:]",
    "T.linalg.lstsq(M, v[:, None])",
    "T.linalg.lstsq(M, M, driver='x')",
    "T.linalg.matrix_power(A, 0)",
    "T.linalg.matrix_power(A, 1)",
    "T.linalg.matrix_power(B, 5)",
    "A.matrix_power(-2)",
    "T.linalg.matrix_power(M, 2)",
    "T.linalg.matrix_power(A, 0.5)",
    "T.linalg.matrix_rank(M)",
    "T.linalg.matrix_rank(A * 0)",
    "T.linalg.matrix_rank(A, atol=1.0)",
    "T.linalg.matrix_rank(B)",
    "T.linalg.matrix_exp(A)",
    "T.matrix_exp(B)",
    "T.linalg.cond(A)",
    "T.linalg.cond(M)",
    "T.linalg.cond(A, -2)",
    "T.linalg.cond(M, 1)",
    "T.linalg.inv(M)",
    "T.linalg.inv(v)",
    "T.linalg.inv(N)",
    "T.linalg.inv(h)",
    "T.linalg.det(M)",
    "T.linalg.svd(v)",
    "T.linalg.cholesky(M)",
    "T.linalg.inv(E)",
    "T.linalg.inv(T.zeros(0, 0))",
    "T.linalg.det(T.zeros(2, 0, 0))",
    "T.linalg.svdvals(E)",
    "T.linalg.pinv(E)",
]

SINGLE = [
    "f @ f",
    "T.linalg.inv(f)",
    "T.linalg.det(f)",
    "T.linalg.svdvals(f)",
    "T.einsum('ij,kj', f, f)",
    "f.norm()",
]


@pytest.mark.parametrize("source", PRODUCTS + EINSUMS + NORMS)
def test_products_and_norms_give_what_pytorch_gives(source):
    agree(source, rtol=1e-4 if "f" in source else 1e-9, **VALUES)


@pytest.mark.parametrize("source", DECOMPOSITIONS)
def test_decompositions_give_what_pytorch_gives(source):
    agree(source, rtol=1e-6, **VALUES)


@pytest.mark.parametrize("source", DISTANCES)
def test_distances_have_pytorchs_values_and_first_gradients(source):
    libraries = [Library(rg, VALUES), Library(torch, VALUES)]
    (ours, error), (theirs, refused) = (outcome(library, source) for library in libraries)
    if refused is not None:
        assert isinstance(error, type(refused)), (error, refused)
        return
    same(plain(ours), plain(theirs), 1e-7)
    pairs = [
        library.module.autograd.grad((out**3).sum(), [library.leaves[n] for n in "ABCM"], allow_unused=True)
        for library, out in zip(libraries, (ours, theirs))
    ]
    for a, b in zip(*pairs):
        assert (a is None) == (b is None)
        if a is not None:
            same(plain(a), plain(b), 1e-6)


@pytest.mark.parametrize("source", SINGLE)
def test_float32_stays_float32(source):
    agree(source, rtol=2e-3, f=VALUES["f"])


@pytest.mark.parametrize("ord", [0.5, 1, 1.5, 2, 3, float("inf")])
def test_subgradients_at_zero_are_those_of_pytorch(ord):
    agree(
        f"T.linalg.vector_norm(Z, {str(ord).replace('inf', 'float(chr(105)+chr(110)+chr(102))')})", Z=np.zeros((2, 3))
    )
    results = []
    for library in (rg, torch):
        x = library.tensor([[1.0, 2.0], [3.0, 1.0]], requires_grad=True)
        library.cdist(x, x, ord).sum().backward()
        results.append(x.grad.numpy())
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.parametrize(
    "source", ["linalg.inv(T.ones(2, 2))", "linalg.solve(T.zeros(2, 2), T.ones(2))", "linalg.cholesky(-T.eye(2))"]
)
def test_singular_matrices_raise_LinAlgError_in_both(source):
    for library in (rg, torch):
        with pytest.raises(library.linalg.LinAlgError):
            eval(f"T.{source}", {"T": library})


def test_nodes_are_named_as_in_pytorch():
    for source in (
        "x @ x",
        "x.mv(v)",
        "x[0].dot(v)",
        "x[None].bmm(x[None])",
        "T.linalg.inv(x)",
        "T.linalg.det(x)",
        "T.linalg.pinv(x)",
        "T.linalg.svdvals(x)",
        "x.norm()",
        "T.linalg.solve(x, v[:, None])",
        "T.linalg.matrix_exp(x)",
    ):
        names = []
        for library in (rg, torch):
            x = library.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
            result = eval(source, {"T": library, "x": x, "v": library.tensor([1.0, 2.0])})
            names.append(result.grad_fn.name())
        assert names[0] == names[1]
