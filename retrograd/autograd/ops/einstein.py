"""Sums of products named by the axes: Einstein's convention.

An equation is first brought to plain letters (`parsed`): the ellipsis becomes letters of its own, a label that an
operand repeats becomes its diagonal. What remains is a primitive whose rule is an einsum again, hence every order of
derivative.
"""

from __future__ import annotations

import functools
import string
from typing import Any, NamedTuple

from retrograd.autograd.ops.linalg import same_dtype
from retrograd.autograd.ops.shape import diagonal, permute_dims
from retrograd.autograd.primitive import primitive
from retrograd.autograd.tensor import Tensor

Axes = tuple[tuple[int, int], ...]


class Equation(NamedTuple):
    """An equation in plain letters, none twice in an operand."""

    terms: tuple[str, ...]
    output: str
    diagonals: tuple[Axes, ...]
    """For every operand the pairs of axes whose diagonal is to be taken, one after the other."""


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sum of products that an equation names, e.g. "bij,bjk->bik".

    Operands of one dtype; the lengths of a label must be equal, or 1. RuntimeError for an equation that does not fit.
    """
    parsed_equation = parsed(equation, tuple([x.ndim for x in operands]))
    if any(parsed_equation.diagonals):
        operands = tuple(map(diagonals, operands, parsed_equation.diagonals))
    terms, output = parsed_equation.terms, parsed_equation.output
    check_lengths(terms, operands)
    if len(terms) == 1 and len(terms[0]) == len(output):
        return permute_dims(operands[0], axes=tuple(map(terms[0].index, output)))  # type: ignore[no-any-return]
    return contraction(*operands, equation=f"{','.join(terms)}->{output}")  # type: ignore[no-any-return]


@primitive(name="Einsum")
def contraction(xp: Any, *operands: Any, equation: str) -> Any:
    """An einsum in plain letters, none twice in an operand, and not a mere transposition."""
    same_dtype("einsum", *operands)
    if operands[0].dtype.char == "e":
        wide = [xp.astype(x, "float32") for x in operands]
        return xp.astype(xp.einsum(equation, *wide), operands[0].dtype)
    if len(operands) == 2:
        product = as_matmul(equation, operands[0].shape, operands[1].shape)
        if product is not None:
            return product.of(xp, *operands)
    return xp.einsum(equation, *operands)


@contraction.vjp
def _(
    xp: Any, g: Any, operands: list[Any], equation: str, shapes: list[tuple[int, ...]], needs: tuple[bool, ...]
) -> list[Any]:
    inputs, output = equation.split("->")
    terms = inputs.split(",")
    gs: list[Any] = []
    for i, (term, shape, needed) in enumerate(zip(terms, shapes, needs, strict=True)):
        if not needed:
            gs.append(None)
            continue
        elsewhere = [output, *terms[:i], *terms[i + 1 :]]
        known = "".join(label for label in term if any(label in other for other in elsewhere))
        found = contracted(xp, f"{','.join(elsewhere)}->{known}", g, *operands[:i], *operands[i + 1 :])
        if len(known) < len(term):  # a label that was summed away alone: the gradient is the same all along it
            lengths = dict(zip(known, found.shape))
            found = xp.reshape(found, shape=tuple(lengths.get(label, 1) for label in term))
        whole = tuple(n if m == 1 else m for n, m in zip(shape, found.shape))
        gs.append(xp.broadcast_to(found, shape=whole) if whole != found.shape else found)
    return gs


def contracted(xp: Any, equation: str, *operands: Any) -> Any:
    """An einsum of arrays or Tensors, in plain letters."""
    if isinstance(operands[0], Tensor):
        return einsum(equation, *operands)
    return contraction.primitive.forward(xp, *operands, equation=equation)


# ---- two operands as one product of matrices


class Product(NamedTuple):
    """How two operands become a batch of matrices, and their product the result."""

    left: tuple[tuple[int, ...], tuple[int, ...]]
    right: tuple[tuple[int, ...], tuple[int, ...]]
    result: tuple[tuple[int, ...], tuple[int, ...]]

    def of(self, xp: Any, x: Any, y: Any) -> Any:
        x, y = (xp.reshape(xp.permute_dims(a, axes), shape) for a, (axes, shape) in ((x, self.left), (y, self.right)))
        shape, axes = self.result
        return xp.permute_dims(xp.reshape(xp.matmul(x, y), shape), axes)


@functools.lru_cache(1024)
def as_matmul(equation: str, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> Product | None:
    """The product of matrices that an equation of two operands is; None where a label stands alone, or broadcasts."""
    inputs, output = equation.split("->")
    x, y = inputs.split(",")
    lengths = dict(zip(x, x_shape))
    if any(lengths.setdefault(label, n) != n for label, n in zip(y, y_shape)):
        return None
    batch = [label for label in output if label in x and label in y]
    summed = [label for label in x if label in y and label not in output]
    rows = [label for label in output if label not in y]
    columns = [label for label in output if label not in x]
    if len(batch) + len(rows) + len(summed) < len(x) or len(batch) + len(columns) + len(summed) < len(y):
        return None

    def size(labels: list[str]) -> int:
        product = 1
        for label in labels:
            product *= lengths[label]
        return product

    lead = tuple(lengths[label] for label in batch)
    made = [*batch, *rows, *columns]
    return Product(
        (tuple(map(x.index, [*batch, *rows, *summed])), (*lead, size(rows), size(summed))),
        (tuple(map(y.index, [*batch, *summed, *columns])), (*lead, size(summed), size(columns))),
        (tuple(lengths[label] for label in made), tuple(map(made.index, output))),
    )


# ---- equations


def diagonals(x: Any, axes: Axes) -> Any:
    """x with the diagonals of these pairs of axes, each as a last axis."""
    for first, second in axes:
        if x.shape[first] != x.shape[second]:
            raise RuntimeError(
                f"einsum: a label is repeated in an operand of shape {x.shape}, but its lengths differ: "
                f"{x.shape[first]} and {x.shape[second]}."
            )
        x = diagonal(x, offset=0, axis1=first, axis2=second)
    return x


def check_lengths(terms: tuple[str, ...], operands: tuple[Any, ...]) -> None:
    """RuntimeError when a label has several lengths (1 broadcasts)."""
    lengths: dict[str, int] = {}
    for term, operand in zip(terms, operands):
        for label, n in zip(term, operand.shape):
            seen = lengths.setdefault(label, n)
            if n != seen and n != 1:
                if seen != 1:
                    shapes = " and ".join(str(x.shape) for x in operands)
                    raise RuntimeError(
                        f"einsum: a label has the lengths {seen} and {n}, which do not broadcast (shapes {shapes})."
                    )
                lengths[label] = n


@functools.lru_cache(1024)
def parsed(equation: str, ndims: tuple[int, ...]) -> Equation:
    """An equation for operands of so many dimensions, in plain letters. RuntimeError where it does not fit."""
    inputs, arrow, written = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise RuntimeError(f"einsum: the equation {equation!r} is for {len(terms)} operands, got {len(ndims)}.")
    counts = [covered(equation, term, ndim, i) for i, (term, ndim) in enumerate(zip(terms, ndims))]
    unused = [letter for letter in string.ascii_letters if letter not in equation]
    widest = max(counts)
    if widest > len(unused):
        raise RuntimeError(f"einsum: the operands of {equation!r} have too many dimensions.")
    rest = "".join(unused[:widest])
    plain = [term.replace("...", rest[widest - n :]) for term, n in zip(terms, counts)]
    if arrow:
        covered(equation, written, None, None)
        output = written.replace("...", rest)
    else:
        text = "".join(terms).replace(".", "")
        output = rest + "".join(sorted(label for label in set(text) if text.count(label) == 1))
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum: label {label!r} appears more than once in the output of {equation!r}.")
        if label not in rest and not any(label in term for term in plain):
            raise RuntimeError(f"einsum: label {label!r} of the output appears in no operand of {equation!r}.")
    steps = [without_repeats(term) for term in plain]
    return Equation(tuple(term for term, _ in steps), output, tuple(axes for _, axes in steps))


def covered(equation: str, term: str, ndim: int | None, place: int | None) -> int:
    """How many dimensions a term's ellipsis stands for; RuntimeError where the term cannot be."""
    labels = term.replace("...", "", 1)
    if not (labels.isascii() and (labels.isalpha() or not labels)):
        raise RuntimeError(f"einsum: labels must be letters, with at most one ellipsis per operand; got {equation!r}.")
    if ndim is None:
        return 0
    if len(labels) > ndim or (len(labels) < ndim and labels == term):
        raise RuntimeError(
            f"einsum: operand {place} has {ndim} dimensions, but the equation {equation!r} names {len(labels)} of them."
        )
    return ndim - len(labels)


def without_repeats(term: str) -> tuple[str, Axes]:
    """A term after the diagonals of repeated labels have been taken, and the axes of these."""
    axes = []
    for label in term:
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            axes.append((first, second))
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + label
    return term, tuple(axes)
