"""Compiled functions whose results are differentiated outside: a compiled model in a training loop that is not."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from tests.compiler.test_layers import NETWORKS, batches
from tests.compiler.training import array, same, state


@pytest.mark.parametrize("name", NETWORKS)
def test_a_compiled_model_trains_as_the_model_does(name):
    network, shape = NETWORKS[name]
    data = batches(shape)

    def train(compiling):
        rg.manual_seed(0)
        model = network()
        if any(isinstance(m, nn.LazyLinear) for m in model.modules()):
            model(data[0][0])
        optimizer = rg.optim.Adam(model.parameters(), lr=0.01)
        forward = rg.compile(model, fullgraph=True) if compiling else model
        history = []
        for x, y in data:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(forward(x), y)
            loss.backward()
            optimizer.step()
            history.append((array(loss), state(model, optimizer)))
        return history

    for (loss, expected), (found_loss, found) in zip(train(False), train(True), strict=True):
        np.testing.assert_array_equal(found_loss, loss)
        same(expected, found)


def test_several_results_and_arguments_that_require_a_gradient():
    w = rg.rand(3, requires_grad=True)

    def two(x, y):
        a = (w * x).tanh()
        return {"a": a, "b": [a * y, 5], "c": y.detach()}

    compiled = rg.compile(two, fullgraph=True)
    for _ in range(3):
        x, y = (rg.rand(3, requires_grad=True) for _ in range(2))
        gradients = []
        for function in (two, compiled):
            for t in (w, x, y):
                t.grad = None
            found = function(x, y)
            (found["a"].sum() * 2 + found["b"][0].square().sum()).backward()
            gradients.append([array(t.grad) for t in (w, x, y)])
            assert not found["c"].requires_grad
        for expected, got in zip(*gradients, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_backward_twice_needs_the_graph_to_be_retained():
    w = rg.rand(3, requires_grad=True)
    compiled = rg.compile(lambda: (w.exp() * w).sum(), fullgraph=True)
    compiled()
    loss = compiled()
    assert "CompiledFunctionBackward" in repr(loss.grad_fn)
    loss.backward(retain_graph=True)
    once = array(w.grad)
    loss.backward()
    np.testing.assert_array_equal(array(w.grad), 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_parameter_changed_before_backward_is_refused():
    w, v = rg.rand(3, requires_grad=True), rg.rand(3, requires_grad=True)
    compiled = rg.compile(lambda: (w * v + v).sum(), fullgraph=True)
    compiled()
    loss = compiled()
    with rg.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place by mul_"):
        loss.backward()


def test_second_derivatives_through_it_are_refused():
    w = rg.rand(3, requires_grad=True)
    compiled = rg.compile(lambda: w.exp().sum(), fullgraph=True)
    compiled()
    with pytest.raises(RuntimeError, match="differentiated again"):
        rg.autograd.grad(compiled(), w, create_graph=True)
