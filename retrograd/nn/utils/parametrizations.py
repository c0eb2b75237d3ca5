"""Ready parametrizations of weights: of given length, of largest singular value 1, orthogonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import empty
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.linalg import matrix_exp, solve
from retrograd.nn.module import Module
from retrograd.nn.utils.normalized import as_matrix, norm_except, power_iteration, singular_value, unit, with_norms
from retrograd.nn.utils.parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

MAPS = ("matrix_exp", "cayley", "householder")


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return with_norms(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Splits a weight into lengths (`original0`) and directions (`original1`): Salimans & Kingma 2016, eq. 2.

    dim: the dimension whose slices have a length each; None: one length for all. A state of the older `weight_g` and
    `weight_v` loads too.
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def renamed(module: Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state for key in old):
            for i, key in enumerate(old):
                state[f"{prefix}parametrizations.{name}.original{i}"] = state.pop(key)

    module.register_load_state_dict_pre_hook(renamed)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: dim {dim} is out of range for a weight {weight.shape}.")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}.")
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            self.register_buffer("_u", direction(matrix, 0, eps))
            self.register_buffer("_v", direction(matrix, 1, eps))
            power_iteration(matrix, self._u, self._v, 15, eps, v_first=False)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_iteration(matrix, self._u, self._v, self.n_power_iterations, self.eps, v_first=False)
        return weight / singular_value(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def direction(matrix: Tensor, axis: int, eps: float) -> Tensor:
    """A random unit vector as long as a side of the matrix."""
    with no_grad():
        normals = empty(matrix.shape[axis], dtype=matrix.dtype, device=matrix.device).normal_(0, 1)
        return unit(normals, eps)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight by its largest singular value, found by power iteration: Miyato et al. 2018, algorithm 1.

    dim: the dimension of the outputs; 0, and for transposed convolutions 1. In training every reading of the weight
    takes `n_power_iterations` steps.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, output_dim(module, dim), eps))
    return module


def output_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight that counts its outputs, unless given."""
    if dim is not None:
        return dim
    transposed = any(cls.__name__.startswith("ConvTranspose") for cls in type(module).__mro__)
    return int(transposed)


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape, self.orthogonal_map, self.trivial = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        X = turned(X) if wide else X
        n, k = X.shape[-2:]
        if self.orthogonal_map == "householder":
            Q = reflections(ops.tril(X, k=-1)) * make(signs(X))
        else:
            lower = ops.tril(X)
            if n != k:
                fill = make(namespace(X).new_zeros(X._array, shape=(*X.shape[:-1], n - k)))
                lower = ops.concat(lower, fill, axis=-1)
            A = lower - turned(lower)  # skew-symmetric
            Q = (matrix_exp(A) if self.orthogonal_map == "matrix_exp" else cayley(A))[..., :k]
        if self.trivial and self.base is not None:
            Q = ops.matmul(self.base, Q)
        return turned(Q) if wide else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(f"orthogonal: expected a weight {self.shape}, got {Q.shape}.")
        xp = namespace(Q)
        host = np.asarray(xp.to_host(Q._array))
        wide = host.shape[-2] < host.shape[-1]
        host = host.swapaxes(-1, -2) if wide else host
        n, k = host.shape[-2:]
        if not self.trivial:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    f"orthogonal: a {self.orthogonal_map} weight takes no value when use_trivialization=False."
                )
            found = reflectors(host)
            return on_device_of(Q, found.swapaxes(-1, -2) if wide else found)
        if n != k:
            normals = empty((*host.shape[:-2], n, n - k), dtype=Q.dtype, device="cpu").normal_(0, 1)
            host = np.concatenate([host, normals.array], axis=-1)
        product = host.swapaxes(-1, -2) @ host
        if n != k or not np.allclose(product, np.eye(n), atol=10 * n * np.finfo(host.dtype).eps):
            q, r = np.linalg.qr(host)
            host = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
        self.base = on_device_of(Q, host)
        return on_device_of(Q, np.broadcast_to(-np.eye(*self.shape[-2:], dtype=host.dtype), self.shape))


def turned(x: Tensor) -> Tensor:
    """Every matrix transposed."""
    return ops.permute_dims(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def on_device_of(like: Tensor, host: Any) -> Tensor:
    """Host values on the device of a Tensor."""
    with like.device:
        return make(namespace(like).from_host(np.array(host, dtype=like.dtype)))


def signs(X: Tensor) -> Any:
    """The diagonal of X, 1 and −1, for the columns: a constant."""
    xp = namespace(X)
    return xp.expand_dims(xp.trunc(xp.diagonal(X._array)), axis=-2)


def cayley(A: Tensor) -> Tensor:
    """(I − A/2)⁻¹ (I + A/2), orthogonal for a skew-symmetric A."""
    identity = on_device_of(A, np.eye(A.shape[-1]))
    return solve(identity - 0.5 * A, identity + 0.5 * A)


def reflections(A: Tensor) -> Tensor:
    """The first columns of H₁ H₂ …, of the reflections along eᵢ + column i of A (strictly lower triangular)."""
    n, k = A.shape[-2:]
    V = A + on_device_of(A, np.eye(n, k))
    tau = 2 / ops.sum(V * V, axis=-2)
    Q = on_device_of(A, np.broadcast_to(np.eye(n, k), A.shape))
    for i in reversed(range(k)):
        v = V[..., i : i + 1]
        Q = Q - tau[..., None, i : i + 1] * ops.matmul(v, ops.matmul(turned(v), Q))
    return Q


def reflectors(Q: Any) -> Any:
    """The X from which `reflections` and the signs on its diagonal make Q, by LAPACK's QR."""
    raw, tau = np.linalg.qr(Q, mode="raw")
    A = np.ascontiguousarray(raw.swapaxes(-1, -2))
    i = np.arange(A.shape[-1])
    A[..., i, i] = np.sign(A[..., i, i]) * np.where(tau == 0, -1, 1)
    return A


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keeps a matrix, or a batch of them, orthogonal: QᵀQ = I, or QQᵀ = I where it is wide (Lezcano-Casado 2019).

    orthogonal_map: "matrix_exp", "cayley" or "householder"; the first for square matrices, else the last.
    `use_trivialization` starts from a base, so that any value can be assigned.
    Raises ValueError for a name that is no Tensor, for fewer than 2 dimensions and for another map.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: expected a matrix or a batch of matrices, got shape {weight.shape}.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f"orthogonal: orthogonal_map must be one of {MAPS}, got {orthogonal_map!r}.")
    register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
    return module
