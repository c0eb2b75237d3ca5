"""Shape functions: one line each gives all facts of the factory; then what views and copies owe the user."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from tests.autograd.factory import each, function, tensor_of

MATRICES = [(2, 3), (3, 1), (0, 2)]
CUBES = [(2, 3, 4), (1, 2, 1), (2, 0, 3)]
ANY = [(2, 3), (), (0,), (2, 1, 3)]

test_reshape = function(lambda x: x.reshape(-1), lambda x: x.reshape(-1), shapes=ANY)
test_view = function(lambda x: x.view(3, -1), lambda x: x.reshape(3, -1), shapes=[(2, 3), (6,)], layouts=False)
test_flatten = function(
    rg.flatten,
    lambda x, start_dim: x.reshape(*x.shape[:start_dim], -1),
    shapes=[(2, 3, 4), (2, 1, 0)],
    start_dim=each(0, 1),
)
test_unflatten = function(lambda x: rg.unflatten(x, 1, (2, -1)), lambda x: x.reshape(2, 2, -1), shapes=[(2, 4), (2, 2)])
test_ravel = function(rg.ravel, np.ravel, shapes=[(2, 3), (), (2, 0)])
test_squeeze = function(rg.squeeze, lambda x: x.squeeze(), shapes=[(2, 1, 3), (), (1, 1), (1, 0)])
test_squeeze_dim = function(
    rg.squeeze, lambda x, dim: x.squeeze(dim), shapes=[(2, 1, 1), (3, 1, 1)], dim=each(1, (1, 2), (-1, 1))
)
test_unsqueeze = function(rg.unsqueeze, lambda x, dim: np.expand_dims(x, dim), shapes=ANY, dim=each(0, -1))
test_transpose = function(
    rg.transpose, lambda x, dim0, dim1: x.swapaxes(dim0, dim1), shapes=CUBES, dim0=0, dim1=each(2, -2)
)
test_t = function(rg.t, np.transpose, shapes=[(2, 3), (3,), ()])
test_permute = function(rg.permute, lambda x, dims: x.transpose(dims), shapes=CUBES, dims=each((2, 0, 1), (-1, 1, 0)))
test_movedim = function(
    rg.movedim,
    lambda x, source, destination: np.moveaxis(x, source, destination),
    shapes=CUBES,
    source=each(0, -1),
    destination=each(2, 1),
)
test_T = function(lambda x: x.T, np.transpose, shapes=MATRICES)
test_mT = function(lambda x: x.mT, lambda x: x.swapaxes(-1, -2), shapes=CUBES)
test_expand = function(
    lambda x: x.expand(2, -1, 3), lambda x: np.broadcast_to(x, (2, x.shape[0], 3)), shapes=[(2, 3), (2, 1), (1, 1)]
)
test_broadcast_to = function(
    lambda x: rg.broadcast_to(x, (4, 2, 3)),
    lambda x: np.broadcast_to(x, (4, 2, 3)),
    shapes=[(2, 3), (3,), (), (4, 1, 1)],
)
test_repeat = function(
    lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3)), shapes=[(2, 3), (2,), (1, 2, 2), (0, 2)]
)
test_tile = function(rg.tile, lambda x, dims: np.tile(x, dims), shapes=[(2, 3), (1, 2, 2)], dims=each((2,), (2, 1)))
test_repeat_interleave = function(
    rg.repeat_interleave,
    lambda x, repeats, dim: np.repeat(x, repeats, dim),
    shapes=[(2, 3), (1, 2)],
    repeats=each(2, 0),
    dim=each(None, 0, -1),
)
test_cat = function(
    lambda x, y: rg.cat([x, y, x], dim=-1),
    lambda x, y: np.concatenate([x, y, x], -1),
    "any",
    "any",
    shapes=[((2, 3), (2, 1)), ((2,), (0,)), ((2, 2), (2, 2))],
)
test_stack = function(
    lambda x, y: rg.stack([x, y], dim=1),
    lambda x, y: np.stack([x, y], 1),
    "any",
    "any",
    shapes=[((2, 3), (2, 3)), ((2,), (2,)), ((0, 1), (0, 1))],
)
test_hstack = function(
    lambda x, y: rg.hstack([x, y]),
    lambda x, y: np.hstack([x, y]),
    "any",
    "any",
    shapes=[((2, 3), (2, 1)), ((), (3,)), ((2,), (1,))],
)
test_vstack = function(
    lambda x, y: rg.vstack([x, y]),
    lambda x, y: np.vstack([x, y]),
    "any",
    "any",
    shapes=[((2, 3), (1, 3)), ((), (1,)), ((2,), (2,))],
)
test_dstack = function(
    lambda x, y: rg.dstack([x, y]),
    lambda x, y: np.dstack([x, y]),
    "any",
    "any",
    shapes=[((2, 3), (2, 3)), ((2,), (2,)), ((), ())],
)
test_split = function(
    lambda x: rg.split(x, 2, 1), lambda x: np.split(x, range(2, x.shape[1], 2), 1), shapes=[(2, 3), (1, 4)]
)
test_split_by_lengths = function(
    lambda x: rg.split(x, [1, 0, 2], 1), lambda x: np.split(x, [1, 1], 1), shapes=[(2, 3), (0, 3)]
)
test_chunk = function(lambda x: rg.chunk(x, 2, -1), lambda x: np.split(x, [2], -1), shapes=[(2, 3), (4,)])
test_tensor_split = function(lambda x: rg.tensor_split(x, 3), lambda x: np.array_split(x, 3), shapes=[(5,), (4, 2)])
test_unbind = function(lambda x: rg.unbind(x, 1), lambda x: tuple(x.swapaxes(0, 1)), shapes=[(2, 3), (3, 1, 2), (0, 2)])
test_flip = function(lambda x: x.flip(0, -1), lambda x: np.flip(x, (0, -1)), shapes=[(2, 3), (0, 2), (2, 1, 2)])
test_roll = function(
    rg.roll,
    lambda x, shifts, dims: np.roll(x, shifts, dims),
    shapes=[(2, 3), (0, 2)],
    shifts=each((1, -1)),
    dims=each((0, 1), (1, 1)),
)
test_rot90 = function(
    rg.rot90,
    lambda x, k, dims: np.rot90(x, k, dims),
    shapes=[(2, 3), (2, 1)],
    k=each(-1, 0, 1, 2, 3),
    dims=each((0, 1), (1, 0)),
)
test_diag = function(
    rg.diag, lambda x, diagonal: np.diag(x, diagonal), shapes=[(2, 3), (3,), (3, 3)], diagonal=each(0, 1, -1)
)
test_diagonal = function(
    rg.diagonal,
    lambda x, offset, dim1, dim2: x.diagonal(offset, dim1, dim2),
    shapes=CUBES,
    offset=each(0, 1, -1),
    dim1=each(0, 2),
    dim2=1,
)
test_diag_embed = function(rg.diag_embed, None, shapes=[(2, 3), (2,), (0,)], offset=each(0, 2, -1))
test_diagflat = function(rg.diagflat, lambda x: np.diagflat(x), shapes=[(2, 3), (2,), ()])
test_tril = function(
    rg.tril, lambda x, diagonal: np.tril(x, diagonal), shapes=[(2, 3), (2, 3, 3)], diagonal=each(0, 1, -1)
)
test_triu = function(
    rg.triu, lambda x, diagonal: np.triu(x, diagonal), shapes=[(2, 3), (2, 3, 3)], diagonal=each(0, 1, -1)
)
test_narrow = function(
    rg.narrow,
    lambda x, dim, start, length: x[:, start : start + length],
    shapes=[(2, 3), (2, 4, 1)],
    dim=1,
    start=each(0, 1),
    length=each(0, 2),
)
test_select = function(
    rg.select, lambda x, dim, index: x[:, index], shapes=[(2, 3), (2, 4, 1)], dim=1, index=each(0, -1)
)
test_unfold = function(
    lambda x, size, step: x.unfold(1, size, step),
    lambda x, size, step: np.lib.stride_tricks.sliding_window_view(x, size, 1)[:, ::step],
    shapes=[(2, 5), (1, 4, 2)],
    size=each(1, 3),
    step=each(1, 2, 3),
)
test_pad = function(
    lambda x: ops_pad(x, (1, 2), 0.5),
    lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 2)], constant_values=0.5),
    shapes=[(2, 3), (2,), (0,)],
)
test_cutting_pad = function(
    lambda x: ops_pad(x, (-1, 1, 0, -1)), lambda x: np.pad(x[:-1, 1:], [(0, 0), (0, 1)]), shapes=[(2, 3), (3, 1)]
)
test_meshgrid = function(
    lambda x, y: rg.meshgrid(x, y, indexing="xy"), np.meshgrid, "any", "any", shapes=[((2,), (3,)), ((1,), (2,))]
)
test_block_diag = function(lambda x, y: rg.block_diag(x, y), None, "any", "any", shapes=[((2, 3), (2,)), ((), (1, 1))])
test_cartesian_prod = function(
    lambda x, y: rg.cartesian_prod(x, y),
    lambda x, y: np.stack([a.ravel() for a in np.meshgrid(x, y, indexing="ij")], 1),
    "any",
    "any",
    shapes=[((2,), (3,)), ((1,), (1,))],
)
test_contiguous = function(lambda x: x.T.contiguous(), np.transpose, shapes=MATRICES)


def ops_pad(x, widths, value=None):
    from retrograd.autograd.methods.padding import pad

    return pad(x, widths, value=value)


VIEWS = {
    "reshape": lambda x: x.reshape(3, 2),
    "view": lambda x: x.view(6),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "T": lambda x: x.T,
    "expand": lambda x: x.expand(1, 2, 3),
    "index": lambda x: x[1, 1:],
    "element": lambda x: x[0, 0],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "diagonal": lambda x: x.diagonal(),
    "split": lambda x: x.split(1)[1],
    "chunk": lambda x: x.chunk(2, 1)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "unfold": lambda x: x.unfold(1, 1, 2),
}


@pytest.mark.parametrize("make_view", VIEWS.values(), ids=VIEWS.keys())
def test_a_change_of_the_tensor_is_seen_through_its_view(make_view, device):
    x = tensor_of(np.zeros((2, 3)), device, gradient=False)
    view = make_view(x)
    x.fill_(5.0)
    assert view._is_view()
    assert set(np.ravel(view.tolist())) == {5.0}
    assert view._version == x._version == 1


@pytest.mark.parametrize(
    "make_view", [v for k, v in VIEWS.items() if k != "unfold"], ids=[k for k in VIEWS if k != "unfold"]
)
def test_a_change_of_a_view_is_seen_by_the_tensor(make_view, device):
    x = tensor_of(np.zeros((2, 3)), device, gradient=False)
    view = make_view(x)
    view.fill_(1.0)
    assert int(np.sum(x.tolist())) == max(1, int(np.prod(view.shape)))


COPIES = {
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(0),
    "rot90": lambda x: x.rot90(2),
    "repeat": lambda x: x.repeat(1, 1),
    "tile": lambda x: x.tile(1),
    "repeat_interleave": lambda x: x.repeat_interleave(1, 0),
    "cat": lambda x: rg.cat([x]),
    "stack": lambda x: rg.stack([x]),
    "tril": lambda x: x.tril(5),
    "clone": lambda x: x.clone(),
    "list index": lambda x: x[[0, 1]],
    "mask": lambda x: x[x == x],
    "gather": lambda x: x.gather(1, rg.zeros(2, 3, dtype=rg.int64)),
    "diag": lambda x: rg.diag(x),
    "reshape of a transposed matrix": lambda x: x.T.reshape(6),
    "contiguous": lambda x: x.T.contiguous(),
}


@pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES.keys())
def test_a_copy_does_not_follow_its_source(make_copy):
    x = rg.zeros(2, 3)
    copy = make_copy(x)
    x.fill_(5.0)
    assert not copy._is_view()
    assert set(np.ravel(copy.tolist())) == {0.0}


def test_a_view_that_would_need_a_copy_is_refused():
    with pytest.raises(RuntimeError, match="reshape"):
        rg.zeros(2, 3).T.view(6)


def test_the_gradient_of_many_pieces_is_joined_once():
    x = rg.zeros(1000, requires_grad=True)
    pieces = x.unbind()
    nodes = {id(p.grad_fn.next_functions[0][0]) for p in pieces} | {id(p.grad_fn.source) for p in pieces}
    assert len({p.grad_fn.source for p in pieces}) == 1
    (pieces[3] + pieces[5] * 2).backward()
    assert x.grad[3].item() == 1
    assert x.grad[5].item() == 2
    assert x.grad[4].item() == 0
    assert nodes


def test_an_unused_piece_gets_a_zero_gradient_at_its_place():
    x = rg.ones(5, requires_grad=True)
    first, _ = x.split([2, 3])
    (first * first)[0].backward()
    assert x.grad.tolist() == [2, 0, 0, 0, 0]


def test_joined_tensors_take_their_common_dtype():
    joined = rg.cat([rg.ones(1, dtype=rg.int64), rg.ones(1, dtype=rg.float64)])
    assert joined.dtype == rg.float64


def test_rows_of_a_matrix_are_iterated_as_views():
    x = rg.zeros(2, 3)
    for row in x:
        row.fill_(1.0)
    assert x.tolist() == [[1, 1, 1], [1, 1, 1]]
