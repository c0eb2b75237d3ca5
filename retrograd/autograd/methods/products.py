"""Products of vectors and matrices under PyTorch's names."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.autograd import ops as _ops
from retrograd.autograd.methods.arguments import dimension
from retrograd.autograd.methods.registry import in_place, public
from retrograd.autograd.ops.linalg import same_dtype
from retrograd.autograd.tensor import Tensor

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "cdist",
    "cross",
    "dist",
    "dot",
    "einsum",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "multi_dot",
    "mv",
    "outer",
    "tensordot",
    "trace",
    "vdot",
    "vector_cross",
]

ops: Any = _ops


def shaped(name: str, **operands: tuple[Any, int]) -> None:
    """RuntimeError unless every operand, given as (Tensor, number), has that number of dimensions."""
    for argument, (x, ndim) in operands.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): argument {argument!r} must be Tensor, not {type(x).__name__}")
        if x.ndim != ndim:
            what = ("scalar", "vector", "matrix", "batch of matrices")[ndim]
            raise RuntimeError(f"{name}: {argument} must be a {what} ({ndim} dimensions), got shape {x.shape}.")


def fitting(name: str, fits: bool, x: Tensor, y: Tensor, rule: str) -> None:
    """RuntimeError unless two shapes fit, and the dtypes are equal."""
    if not fits:
        raise RuntimeError(f"{name}: shapes {x.shape} and {y.shape} do not fit: {rule}.")
    same_dtype(name, x, y)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product: (*, n, m) times (*, m, p) gives (*, n, p), the leading dimensions broadcast.

    A 1-d operand is a row on the left and a column on the right. RuntimeError for shapes or dtypes that do not fit.

    >>> import retrograd as rg
    >>> rg.matmul(rg.tensor([[1.0, 2.0], [3.0, 4.0]]), rg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    return ops.matmul(input, other)  # type: ignore[no-any-return]


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices."""
    shaped("mm", input=(input, 2), mat2=(mat2, 2))
    return ops.matmul(input, mat2)  # type: ignore[no-any-return]


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: (b, n, m) times (b, m, p) gives (b, n, p)."""
    shaped("bmm", input=(input, 3), mat2=(mat2, 3))
    fits = input.shape[0] == mat2.shape[0] and input.shape[2] == mat2.shape[1]
    fitting("bmm", fits, input, mat2, f"mat2 must be ({input.shape[0]}, {input.shape[2]}, *)")
    return ops.bmm(input, mat2)  # type: ignore[no-any-return]


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix (n, m) times a vector (m,)."""
    shaped("mv", input=(input, 2), vec=(vec, 1))
    fitting("mv", input.shape[1] == vec.shape[0], input, vec, f"the vector must have {input.shape[1]} elements")
    return ops.mv(input, vec)  # type: ignore[no-any-return]


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Inner product of two vectors of the same length."""
    shaped("dot", input=(input, 1), tensor=(tensor, 1))
    fitting("dot", input.shape == tensor.shape, input, tensor, "both must have the same number of elements")
    return ops.dot(input, tensor)  # type: ignore[no-any-return]


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Inner product of two vectors, as `dot`: all numbers here are real."""
    shaped("vdot", input=(input, 1), other=(other, 1))
    return dot(input, other)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector (n,) and one of another (m,), as a matrix (n, m)."""
    shaped("outer", input=(input, 1), vec2=(vec2, 1))
    return ops.multiply(ops.expand_dims(input, axis=1), vec2)  # type: ignore[no-any-return]


def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """Alias of `outer`."""
    return outer(input, vec2)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Inner products over the last dimensions: (*a, n) and (*b, n) give (*a, *b); a scalar multiplies."""
    if not input.ndim or not other.ndim:
        return ops.multiply(input, other)  # type: ignore[no-any-return]
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner: the last dimensions of {input.shape} and {other.shape} must be equal, "
            f"got {input.shape[-1]} and {other.shape[-1]}."
        )
    return tensordot(input, other, ([-1], [-1]))


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sum of products over named dimensions.

    Each operand's dimensions are named by letters; products are summed over the letters that the part after `->` lacks.
    Without `->` the result has the letters that occur once, in alphabetical order. `...` stands for dimensions that
    broadcast; a letter repeated in an operand takes its diagonal. The sublist form `einsum(x, [0, 1], y, [1], [0])`
    names by integers. Operands have one dtype; RuntimeError for an equation that does not fit the shapes.

    >>> import retrograd as rg
    >>> a, b = rg.ones(2, 3), rg.ones(3, 4)
    >>> rg.einsum("ij,jk->ki", a, b).shape
    (4, 2)
    """
    if not isinstance(equation, str):
        equation, operands = written((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise ValueError("einsum(): must provide at least one operand")
    for i, operand in enumerate(operands):
        if not isinstance(operand, Tensor):
            raise TypeError(f"einsum(): operand {i} must be Tensor, not {type(operand).__name__}")
    return ops.einsum(equation, *operands)  # type: ignore[no-any-return]


def written(alternating: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """The equation and operands of the sublist form."""

    def term(labels: Sequence[Any]) -> str:
        for label in labels:
            if label is not Ellipsis and not (isinstance(label, int) and 0 <= label < 52):
                raise ValueError(f"einsum(): sublist labels must be integers below 52 or Ellipsis, got {label!r}")
        letters = string.ascii_uppercase + string.ascii_lowercase
        return "".join("..." if label is Ellipsis else letters[label] for label in labels)

    if len(alternating) < 2:
        raise ValueError("einsum(): must specify the equation string and at least one operand, or sublists")
    pairs = len(alternating) // 2
    equation = ",".join(term(alternating[2 * i + 1]) for i in range(pairs))
    if len(alternating) % 2:
        equation += "->" + term(alternating[-1])
    return equation, tuple(alternating[2 * i] for i in range(pairs))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sum of products over dimensions of a and b: the last `dims` of a with the first of b, or two lists of them.

    The result has the dimensions of a that are left, then those of b.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    of_a: Sequence[int]
    of_b: Sequence[int]
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims >= 0 and at most the number of dimensions, but got {dims=}")
        of_a, of_b = range(a.ndim - dims, a.ndim), range(dims)
    else:
        of_a, of_b = ([dimension(d, x.ndim) for d in chosen] for chosen, x in zip(dims, (a, b)))
    if len(of_a) != len(of_b):
        raise RuntimeError(f"tensordot: both operands need as many dims, got {len(of_a)} and {len(of_b)}")
    for i, j in zip(of_a, of_b):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but dim {i} of {a.shape} has size {a.shape[i]} "
                f"and dim {j} of {b.shape} has size {b.shape[j]}."
            )
    names_a = string.ascii_letters[: a.ndim]
    names_b = list(string.ascii_letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(of_a, of_b):
        names_b[j] = names_a[i]
    kept = [n for n in names_a if n not in names_b] + [n for n in names_b if n not in names_a]
    return ops.einsum(f"{names_a},{''.join(names_b)}->{''.join(kept)}", a, b)  # type: ignore[no-any-return]


# ---- a product added to something


def added(name: str, input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta·input + alpha·product; an input whose factor is 0 is ignored, NaN included."""
    if product.dtype.kind != "f" and float in (type(beta), type(alpha)):
        raise RuntimeError(f"{name}: for integer tensors beta and alpha must be integers, got {beta!r} and {alpha!r}.")
    if alpha != 1:
        product = ops.multiply(product, alpha)
    if beta == 0:
        return product
    same_dtype(name, input, product)
    result = ops.add(input if beta == 1 else ops.multiply(input, beta), product)
    if result.shape != product.shape:
        raise RuntimeError(f"{name}: input {input.shape} does not broadcast to the product's shape {product.shape}.")
    return result  # type: ignore[no-any-return]


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·input + alpha·(mat1 @ mat2), where input broadcasts to the product. With beta 0 the input is not read."""
    shaped("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return added("addmm", input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·input + alpha·(mat @ vec)."""
    shaped("addmv", mat=(mat, 2), vec=(vec, 1))
    return added("addmv", input, mv(mat, vec), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·input + alpha·Σ over the batch of batch1 @ batch2."""
    shaped("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return added("addbmm", input, ops.sum(bmm(batch1, batch2), axis=0), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·input + alpha·(batch1 @ batch2), matrix by matrix."""
    shaped("baddbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    return added("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta·input + alpha·(vec1 vec2ᵀ)."""
    shaped("addr", vec1=(vec1, 1), vec2=(vec2, 1))
    return added("addr", input, outer(vec1, vec2), beta, alpha)


# ---- others


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every element of input times the whole of other; ranks are made equal by leading ones."""
    ndim = max(input.ndim, other.ndim)
    left = (1,) * (ndim - input.ndim) + input.shape
    right = (1,) * (ndim - other.ndim) + other.shape
    a = ops.reshape(input, shape=tuple(n for length in left for n in (length, 1)))
    b = ops.reshape(other, shape=tuple(n for length in right for n in (1, length)))
    return ops.reshape(ops.multiply(a, b), shape=tuple(map(int.__mul__, left, right)))  # type: ignore[no-any-return]


def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix."""
    shaped("trace", input=(input, 2))
    return ops.sum(ops.diagonal(input, offset=0, axis1=0, axis2=1))  # type: ignore[no-any-return]


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """p-norms of all differences: x1 (*, n, d) and x2 (*, m, d) give (*, n, m).

    All derivatives of a zero distance are taken as 0. Distances are always computed from the differences, the most
    accurate of the ways that `compute_mode` chooses from, so it takes PyTorch's three values and changes nothing.
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode; choose from {modes}.")
    if x1.ndim < 2 or x2.ndim < 2:
        raise RuntimeError(f"cdist: both inputs need at least two dimensions, got {x1.shape} and {x2.shape}.")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist: X1 and X2 must have the same number of columns, got {x1.shape} and {x2.shape}.")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}.")
    if not x1.shape[-1]:
        differences = ops.subtract(ops.expand_dims(x1, axis=-2), ops.expand_dims(x2, axis=-3))
        return ops.sum(differences, axis=-1)  # type: ignore[no-any-return]
    try:
        batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except ValueError:
        raise RuntimeError(f"cdist: the batches of {x1.shape} and {x2.shape} do not broadcast.") from None
    x1, x2 = (x if x.shape[:-2] == batch else x.expand(*batch, *x.shape[-2:]) for x in (x1, x2))
    return ops.distances(x1, x2, p=p)  # type: ignore[no-any-return]


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """p-norm of the difference of two tensors that broadcast."""
    return ops.vector_norm(ops.subtract(input, other), ord=p)  # type: ignore[no-any-return]


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross product along a dimension of length 3 (by default the first such one); the others broadcast."""
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"cross: no dimension of size 3 in input {input.shape}.")
        dim -= input.ndim
    else:
        dim = dimension(dim, input.ndim) - input.ndim
    if input.ndim != other.ndim:
        raise RuntimeError(f"cross: inputs must have the same number of dimensions, got {input.ndim} and {other.ndim}.")
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(f"cross: inputs dimension {dim} must have length 3, got {input.shape} and {other.shape}.")

    def turned(x: Tensor, shift: int) -> Tensor:
        return ops.roll(x, shift=shift, axis=dim)  # type: ignore[no-any-return]

    return ops.subtract(  # type: ignore[no-any-return]
        ops.multiply(turned(input, -1), turned(other, 1)), ops.multiply(turned(input, 1), turned(other, -1))
    )


def vector_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross product along a dimension of length 3; the others broadcast."""
    return cross(input, other, dim)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """Product of several matrices, in the order that needs the fewest multiplications.

    The first may be a row and the last a column, as 1-d tensors.
    """
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot: expected at least 2 tensors but got {len(tensors)}")
    for x in tensors[1:-1]:
        shaped("linalg.multi_dot", tensor=(x, 2))
    lengths = [1 if tensors[0].ndim == 1 else tensors[0].shape[0], *(x.shape[0] for x in tensors[1:])]
    lengths.append(1 if tensors[-1].ndim == 1 else tensors[-1].shape[1])
    best: dict[tuple[int, int], tuple[float, int]] = {(i, i): (0.0, i) for i in range(len(tensors))}
    for span in range(1, len(tensors)):  # Cormen et al. 2009, section 15.2
        for i in range(len(tensors) - span):
            j = i + span
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + math.prod((lengths[i], lengths[k + 1], lengths[j + 1])), k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        if i == j:
            return tensors[i]
        k = best[i, j][1]
        return ops.matmul(product(i, k), product(k + 1, j))  # type: ignore[no-any-return]

    return product(0, len(tensors) - 1)


for function in (
    addbmm, addmm, addmv, addr, baddbmm, bmm, cross, dist, dot, ger, inner, kron, matmul, mm, mv, outer, trace, vdot,
):  # fmt: skip
    public(function)
public(cdist, method=False)
public(einsum, method=False)
public(tensordot, method=False)
for function in (addbmm, addmm, addmv, addr, baddbmm):
    in_place(function)
