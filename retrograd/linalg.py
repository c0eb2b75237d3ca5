"""Linear algebra, `rg.linalg`: the names of torch.linalg.

Every function takes batches (the last two dimensions are the matrix), float32 or float64, and is differentiable to any
order unless its docstring says otherwise. A matrix that is singular, or not positive definite, where it must not be
raises `LinAlgError`.
"""

from retrograd.autograd.methods.decompositions import (
    cholesky,
    cond,
    det,
    eigh,
    eigvalsh,
    inv,
    lstsq,
    matrix_exp,
    matrix_power,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
    svdvals,
)
from retrograd.autograd.methods.norms import matrix_norm, vector_norm
from retrograd.autograd.methods.norms import norm_of as norm
from retrograd.autograd.methods.products import matmul, multi_dot
from retrograd.autograd.methods.products import vector_cross as cross
from retrograd.autograd.methods.solving import (
    cholesky_ex,
    inv_ex,
    solve_ex,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
)
from retrograd.autograd.methods.solving import matrix_diagonal as diagonal
from retrograd.autograd.promotion import LinAlgError

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
