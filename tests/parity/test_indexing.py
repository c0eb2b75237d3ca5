"""Indexing functions against PyTorch: values, dtypes, gradients, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from tests.parity.expressions import Library, agree, compare

torch = pytest.importorskip("torch")

EXPRESSIONS = [
    "x.gather(1,L([[0,3]]))",
    "x.gather(1,L([[-1]]))",
    "x.gather(0,L([0]))",
    "x.gather(1,L([[0.]]))",
    "x.gather(1,L([[0],[0],[0]]))",
    "x.gather(1,L([[0]],dtype=T.int32))",
    "x.index_select(1,L([0,-1]))",
    "x.index_select(1,L([3]))",
    "x.index_select(1,L([[0]]))",
    "x.index_select(1,L(0))",
    "x.index_select(0,L([0],dtype=T.int32))",
    "x.index_select(0,L([0],dtype=T.uint8))",
    "x.index_add(1,L([0,-1]),x[:,:2])",
    "x.index_add(1,L([0,5]),x[:,:2])",
    "x.index_add(1,L([0,1]),x)",
    "x.index_add(1,L([0,1]),x[:,:2].double())",
    "x.index_copy(1,L([0,-1]),x[:,:2])",
    "x.index_fill(1,L([0,-1]),5)",
    "x.index_fill(1,L([7]),5)",
    "x.index_fill(1,L([1]),L([1.]))",
    "x.index_fill(1,L([1]),L(1.))",
    "x.index_put((L([0,1]),),L(9.))",
    "x.index_put([L([0,0]),L([1,1])],L([9.,1.]),accumulate=True)",
    "x.index_put((L([0]),),9.)",
    "x.index_put((L([-1]),),L(9.))",
    "x.index_put((None,L([-1]),),L(9.))",
    "x.scatter(1,L([[0,1]]),x[:1,:2])",
    "x.scatter(1,L([[0,1]]),5.)",
    "x.detach().scatter(1,L([[0,1]]),5.,reduce='add')",
    "x.scatter(1,L([[-1]]),5.)",
    "x.scatter(1,L([[3]]),5.)",
    "x.scatter(1,L([[0],[0],[0]]),x)",
    "x.scatter(1,L([[0]]),x.float())",
    "x.detach().scatter(1,L([[0,0]]),x.detach(),reduce='multiply')",
    "x.scatter(1,L([[0,0]]),x,reduce='sum')",
    "x.scatter_reduce(1,L([[0,0]]),x[:1,1:],reduce='mean')",
    "x.scatter_reduce(1,L([[0,0]]),x[:1,1:],reduce='mean',include_self=False)",
    "x.scatter_reduce(1,L([[0,0]]),x[:1,1:],reduce='amax',include_self=False)",
    "x.scatter_reduce(1,L([[0,0]]),x,reduce='foo')",
    "x.long().scatter_reduce(1,L([[0,0]]),x.long(),reduce='mean')",
    "x.masked_fill(x>2, 9)",
    "x.masked_fill(x, 9)",
    "x.masked_fill(L([True,False,True]), L(3.))",
    "x.masked_fill(L([True,False,True]), L([3.]))",
    "x.long().masked_fill(x>2, 1.5)",
    "L([1.,2.,3.]).masked_fill(x>2,0.)",
    "L([1.,2.,3.]).masked_fill_(x>2,0.)",
    "x.masked_select(L([True,False,True]))",
    "L([1.,2.,3.]).masked_select(x>2)",
    "x.masked_select(x)",
    "x.masked_scatter(x>2, L([7.,8.,9.,10.]))",
    "x.masked_scatter(x>2, L([7.]))",
    "x.take(L([0,-1,5]))",
    "x.take(L([6]))",
    "x.take(L([[0]]))",
    "x.take_along_dim(L([[0]]),1)",
    "x.take_along_dim(L([0,1]))",
    "x.take_along_dim(L([[-1]]),1)",
    "x.take_along_dim(L([0]),1)",
    "x.put(L([0,-1]),L([7.,8.]))",
    "x.put(L([0,0]),L([7.,8.]),accumulate=True)",
    "x.put(L([0,7]),L([7.,8.]))",
    "x.put(L([0]),L([7.,8.]))",
    "x.nonzero()",
    "x.nonzero(as_tuple=True)",
    "L(3.).nonzero()",
    "L(3.).nonzero(as_tuple=True)",
    "T.argwhere(L(3.))",
    "T.argwhere(x)",
    "T.where(x>2)",
    "L(0.).nonzero()",
    "x.gather(2,L([[0]]))",
    "L(3.).gather(0,L([0,0]))",
    "L(3.).gather(0,L(0))",
    "L(3.).index_select(0,L([0]))",
    "L(3.).index_select(0,L(0))",
    "x.gather(1,T.zeros(0,dtype=T.int64))",
    "L([1.,2.]).scatter_add(0,L([0,0]),L([5.,6.]))",
    "x.scatter_add(1,L([[0]]),5.)",
]


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_indexing_functions_give_what_pytorch_gives(source):
    agree(source, x=np.arange(6.0).reshape(2, 3))


SHAPES = [(3,), (2, 3), (3, 2, 4), (2, 1, 3, 2)]
integers = st.integers(-4, 3)
slices = st.builds(slice, st.none() | integers, st.none() | integers, st.none() | st.integers(1, 2))
index_lists = st.lists(st.integers(-2, 1), min_size=1, max_size=3)
matrices = st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)).map(list), min_size=1, max_size=2)
parts = st.one_of(
    slices, integers, st.none(), st.just(...), index_lists, matrices, st.booleans(), st.sampled_from(["mask", "matrix"])
)


def concrete(index, shape, module):
    """The index with masks made for the shape, and half of the lists as tensors."""
    made, axis = [], 0
    for part in index:
        if isinstance(part, str):
            size = 1 if part == "mask" else 2
            lengths = shape[axis : axis + size]
            part = module.tensor(
                (np.arange(int(np.prod(lengths))) % 2 == 0).reshape(lengths).tolist(), dtype=module.bool
            )
            axis += size
        elif isinstance(part, list) and len(part) != 2:
            part = module.tensor(part)
            axis += 1
        elif part is not None and part is not Ellipsis and not isinstance(part, bool):
            axis += 1
        made.append(part)
    return tuple(made)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(SHAPES), st.lists(parts, min_size=1, max_size=4).filter(lambda index: index.count(...) < 2))
def test_any_index_reads_and_writes_what_pytorchs_does(shape, index):
    values = {"x": np.arange(float(np.prod(shape))).reshape(shape), "v": np.array(0.5)}
    libraries = [Library(module, values) for module in (rg, torch)]
    for library in libraries:
        library.names["i"] = concrete(index, shape, library.module)
    programs = ["x[i]", "out = x * 2\nout[i] = 1.5", "out = x * 2\nout[i] = v.detach()"]
    if not names_an_element_twice(libraries[1].names["i"], shape):
        programs += ["out = x * 2\nout[i] = v", "out = x * 2\nout[i] *= v"]
    for program in programs:
        try:
            compare(program, *libraries)
        except IndexError:
            assert places_of(libraries[1].names["i"], shape).numel() == 0  # PyTorch checks no index of an empty result


def places_of(index, shape):
    """The elements that PyTorch takes, by number; none where it refuses the index."""
    try:
        return torch.arange(int(np.prod(shape))).reshape(shape)[index]
    except (IndexError, RuntimeError, TypeError):
        return torch.zeros(0)


def names_an_element_twice(index, shape):
    """Of values written to one element PyTorch gives all a gradient, retrograd only the last, which is seen."""
    places = places_of(index, shape)
    return places.unique().numel() < places.numel()
