"""The gradient of a table of which few rows were looked up: dense for everybody, rows alone for an optimizer."""

import copy
import tracemalloc

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.rows import Waiting
from tests.autograd.factory import tensor_of

ROWS, COLUMNS = 100, 3
INDICES = np.array([4, 7, 4, 99, 0, 4, 7])
WEIGHTS = np.arange(1.0, 1 + len(INDICES))[:, None] * np.array([1.0, -2.0, 0.5])
WHOLE = np.zeros((ROWS, COLUMNS))
np.add.at(WHOLE, INDICES, WEIGHTS)


def host(t):
    return t.detach().cpu().numpy()


def looked_up(device, table=None):
    """A table, and a loss whose gradient is WHOLE."""
    if table is None:
        table = tensor_of(np.random.default_rng(0).standard_normal((ROWS, COLUMNS)), device)
    indices, weights = rg.tensor(INDICES, device=device), rg.tensor(WEIGHTS, device=device)
    return table, (rg.nn.functional.embedding(indices, table) * weights).sum()


def test_the_gradient_is_a_dense_tensor_for_whoever_looks(device):
    table, loss = looked_up(device)
    loss.backward()
    np.testing.assert_array_equal(host(table.grad), WHOLE)
    assert type(table.grad) is rg.Tensor
    assert (table.grad.shape, table.grad.dtype, table.grad.device) == (table.shape, table.dtype, table.device)


LOOKS = {
    "a copy": lambda t: copy.deepcopy(t.grad),
    "a product": lambda t: t.grad * 1,
    "a new value": lambda t: t.grad.add_(0),
    "a detached alias": lambda t: t.grad.detach(),
    "a list": lambda t: rg.tensor(t.grad.tolist(), dtype=t.dtype, device=t.device),
    "a clone": lambda t: t.grad.clone(),
    "an array": lambda t: rg.tensor(t.grad.cpu().numpy(), device=t.device),
    "itself, after its norm was cut": lambda t: rg.nn.utils.clip_grad_norm_([t], 1e9) * 0 + t.grad,
}


@pytest.mark.parametrize("look", LOOKS)
def test_whatever_is_done_with_the_gradient_is_done_with_the_whole(device, look):
    table, loss = looked_up(device)
    loss.backward()
    np.testing.assert_array_equal(host(LOOKS[look](table)), WHOLE)


def test_gradients_add_up_over_calls_and_over_lookups(device):
    table, loss = looked_up(device)
    loss.backward()
    looked_up(device, table)[1].backward()
    np.testing.assert_array_equal(host(table.grad), 2 * WHOLE)
    table.grad = None
    (looked_up(device, table)[1] + looked_up(device, table)[1] + table.sum()).backward()
    np.testing.assert_array_equal(host(table.grad), 2 * WHOLE + 1)


def test_hooks_and_grad_and_other_operations_see_the_whole(device):
    table, loss = looked_up(device)
    (found,) = rg.autograd.grad(loss, table)
    np.testing.assert_array_equal(host(found), WHOLE)
    seen = []
    table.register_hook(lambda g: seen.append(host(g)) or 2 * g)
    looked_up(device, table)[1].backward()
    np.testing.assert_array_equal(seen[0], WHOLE)
    np.testing.assert_array_equal(host(table.grad), 2 * WHOLE)
    leaf = tensor_of(np.ones((ROWS, COLUMNS)), device)
    looked_up(device, leaf * 3)[1].backward()
    np.testing.assert_array_equal(host(leaf.grad), 3 * WHOLE)


def test_the_gradient_does_not_follow_what_is_changed_after_backward(device):
    table = tensor_of(np.zeros((ROWS, COLUMNS)), device)
    indices, g = rg.tensor(INDICES, device=device), rg.tensor(WEIGHTS, device=device)
    rg.nn.functional.embedding(indices, table).backward(g)
    indices.zero_()
    g.zero_()
    np.testing.assert_array_equal(host(table.grad), WHOLE)


OPTIMIZERS = {
    "plain": lambda p: rg.optim.SGD(p, lr=0.3),
    "uphill": lambda p: rg.optim.SGD(p, lr=0.3, maximize=True),
    "with momentum": lambda p: rg.optim.SGD(p, lr=0.3, momentum=0.9),
    "with weight decay": lambda p: rg.optim.SGD(p, lr=0.3, weight_decay=0.1),
    "Adam": lambda p: rg.optim.Adam(p, lr=0.3),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_goes_where_it_goes_with_the_whole(device, kind):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((4000, COLUMNS)).astype(np.float32)
    ends = []
    for look in (True, False):
        table = tensor_of(start, device)
        optimizer = OPTIMIZERS[kind]([table])
        for _ in range(3):
            optimizer.zero_grad()
            looked_up(device, table)[1].backward()
            if look:
                table.grad.sum()
            optimizer.step()
        ends.append(host(table))
    np.testing.assert_array_equal(*ends)


def test_a_step_of_plain_descent_never_needs_memory_for_the_whole():
    layer = rg.nn.Embedding(100_000, 64)
    optimizer = rg.optim.SGD(layer.parameters(), lr=0.1)
    indices = rg.tensor(INDICES)
    tracemalloc.start()
    try:
        for _ in range(2):
            optimizer.zero_grad()
            layer(indices).sum().backward()
            optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < layer.weight.nbytes / 10
    assert isinstance(layer.weight.grad, Waiting)
