"""When a program may run, when a step is recorded anew, and why one is not compiled."""

import warnings

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

FACTOR = 2.0


def fallen_back(function, *args):
    """The reason that is given for running a function as it is."""
    compiled = rg.compile(function)
    with pytest.warns(UserWarning, match="is not compiled"):
        compiled(*args)
    assert compiled.reason is not None
    return compiled.reason


def test_new_shapes_and_dtypes_are_recorded_once_each():
    double = rg.compile(lambda x: x * 2 + 1)
    for _ in range(2):
        for shape in ((3,), (2, 2), ()):
            for dtype in (rg.float32, rg.float64):
                x = rg.ones(shape, dtype=dtype)
                assert rg.equal(double(x), x * 2 + 1)
                assert double(x).dtype == dtype
    assert len(double.variants) == 6


def test_numbers_are_part_of_the_program_so_new_ones_are_recorded():
    power = rg.compile(lambda x, n, *, negate=False: -(x**n) if negate else x**n)
    x = rg.tensor([1.0, 2.0])
    for n, negate in ((2, False), (3, False), (2, True), (2, False), (2.0, False)):
        assert rg.equal(power(x, n, negate=negate), -(x**n) if negate else x**n)
    assert len(power.variants) == 4


def test_nested_arguments_are_found():
    mixed = rg.compile(lambda batch: {"sum": batch["a"] + batch["rest"][0], "n": batch["rest"][1]})
    for _ in range(3):
        a, b = rg.rand(2), rg.rand(2)
        found = mixed({"a": a, "rest": (b, 5)})
        assert rg.equal(found["sum"], a + b)
        assert found["n"] == 5
    assert len(mixed.variants) == 1


def test_the_same_tensor_passed_twice_is_not_two_tensors():
    add = rg.compile(lambda x, y: x.add_(1) + y)
    for _ in range(2):
        x, y = rg.ones(2), rg.ones(2)
        assert add(x, y).tolist() == [3.0, 3.0]
        assert add(y, y).tolist() == [4.0, 4.0]
    assert len(add.variants) == 2


def test_a_global_number_that_changes_is_seen(monkeypatch):
    scale = rg.compile(lambda x: x * FACTOR)
    assert scale(rg.ones(1)).item() == 2.0
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert scale(rg.ones(1)).item() == 3.0


def test_a_closed_over_number_or_tensor_that_changes_is_seen():
    factor, shift = 2.0, rg.ones(1)

    @rg.compile
    def affine(x):
        return x * factor + shift

    assert affine(rg.ones(1)).item() == 3.0
    factor = 3.0
    assert affine(rg.ones(1)).item() == 4.0
    shift = rg.zeros(1)
    assert affine(rg.ones(1)).item() == 3.0
    shift.add_(5)  # the same Tensor with other values needs no new program
    assert affine(rg.ones(1)).item() == 8.0
    assert len(affine.variants) == 3


def test_a_function_that_is_called_is_looked_into():
    factor = 2.0

    def inner(x):
        return x * factor

    outer = rg.compile(lambda x: inner(x) + 1)
    assert outer(rg.ones(1)).item() == 3.0
    factor = 5.0
    assert outer(rg.ones(1)).item() == 6.0


def test_an_attribute_of_the_object_whose_method_is_compiled_is_seen():
    class Scaler:
        factor = 1.0

        def __init__(self):
            self.factor = 2.0

        def __call__(self, x):
            return self.scaled(x)

        def scaled(self, x):
            return x * self.factor

    scaler = Scaler()
    compiled = rg.compile(scaler.scaled)
    assert compiled(rg.ones(1)).item() == 2.0
    scaler.factor = 3.0
    assert compiled(rg.ones(1)).item() == 3.0


def test_training_and_evaluation_are_two_programs():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    compiled = rg.compile(model)
    x = rg.ones(2, 3)
    with rg.no_grad():
        compiled(x)
        model.eval()
        assert rg.equal(compiled(x), model[0](x))
        model.train()
        rg.manual_seed(0)
        found = compiled(x)
        rg.manual_seed(0)
        assert rg.equal(found, model(x))
        model[1].p = 0.0
        assert rg.equal(compiled(x), model[0](x))
    assert len(compiled.variants) == 3


def test_a_replaced_layer_and_a_new_hook_are_seen():
    model = nn.Sequential(nn.Linear(2, 2))
    compiled = rg.compile(rg.no_grad()(lambda x: model(x)))
    x = rg.ones(1, 2)
    assert rg.equal(compiled(x), model(x))
    model[0] = nn.Linear(2, 2)
    assert rg.equal(compiled(x), model(x))
    model[0].register_forward_hook(lambda module, args, out: out * 2)
    assert rg.equal(compiled(x), model(x))
    model[0].weight.data = rg.zeros(2, 2)  # the same parameter with another array needs no new program
    assert rg.equal(compiled(x), model(x))
    assert len(compiled.variants) == 3


def test_freezing_a_parameter_is_seen():
    w, v = (rg.ones(2, requires_grad=True) for _ in range(2))

    @rg.compile
    def step():
        w.grad = v.grad = None
        (w * v).sum().backward()

    for _ in range(2):
        step()
    assert v.grad is not None
    v.requires_grad_(False)
    for _ in range(2):
        step()
        assert v.grad is None
        assert w.grad.tolist() == [1.0, 1.0]


def test_grad_mode_is_seen():
    w = rg.ones(2, requires_grad=True)
    double = rg.compile(lambda: (w * 2).detach())
    with rg.no_grad():
        double()
    double()
    assert len(double.variants) == 2


def test_targets_that_count_nothing_are_seen_when_they_come():
    weight = rg.rand(3, 4, requires_grad=True)

    def step(x, y):
        weight.grad = None
        loss = nn.functional.cross_entropy(x @ weight, y)
        loss.backward()
        return loss

    compiled = rg.compile(step, fullgraph=True)
    x = rg.rand(3, 3)
    for y in ([0, 1, 2], [0, -100, 2], [3, 3, 3], [-100, -100, 1]):
        y = rg.tensor(y)
        expected, gradient = step(x, y), weight.grad
        assert rg.equal(compiled(x, y), expected)
        assert rg.equal(weight.grad, gradient)
    assert len(compiled.variants) == 2
    with pytest.raises(IndexError, match="Target 9"):
        compiled(x, rg.tensor([0, 9, 1]))


def test_masks_scalars_of_numpy_and_views_of_results_are_compiled():
    def mixed(x):
        return x.masked_fill(x > 0, -1.0), np.float32(2) * x, x.max(1)[0], rg.where(x < 0, x, 0.0)

    compiled = rg.compile(mixed, fullgraph=True)
    for _ in range(3):
        x = rg.randn(3, 4)
        for expected, found in zip(mixed(x), compiled(x), strict=True):
            assert rg.equal(found, expected)


# ---- reasons


def test_reading_a_value_is_a_reason():
    def clipped(x):
        return x / 2 if x.sum() > 1 else x

    assert "__bool__" in fallen_back(clipped, rg.ones(2))
    assert "test_guards.py" in fallen_back(clipped, rg.ones(2))
    assert "item" in fallen_back(lambda x: x.sum().item(), rg.ones(2))
    assert "tolist" in fallen_back(lambda x: x.tolist(), rg.ones(2))
    assert "array" in fallen_back(lambda x: x.array.sum() * x, rg.ones(2))


def test_an_array_of_the_caller_s_making_is_a_reason():
    def noisy(x):
        return x + np.random.default_rng().random(2)

    assert "outside" in fallen_back(noisy, rg.ones(2))
    assert "outside" in fallen_back(lambda x: x + rg.tensor(np.ones(2)), rg.ones(2))


def test_an_iterator_in_the_closure_is_a_reason():
    batches = iter([rg.ones(2), rg.zeros(2)])
    assert "iterator" in fallen_back(lambda: next(batches) * 2)


def test_another_tensor_in_a_container_is_seen():
    listed, named = [rg.ones(1)], {"x": rg.ones(1)}
    compiled = rg.compile(lambda: listed[0] + named["x"])
    assert compiled().item() == 2.0
    listed[0] = rg.zeros(1)
    assert compiled().item() == 1.0
    named["x"] = rg.zeros(1)
    assert compiled().item() == 0.0


def test_a_graph_with_a_node_of_the_user_s_that_is_still_to_be_used_is_a_reason():
    class Same(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g

    w = rg.ones(2, requires_grad=True)
    assert "compile backward too" in fallen_back(lambda x: Same.apply(w * x), rg.ones(2))


def test_a_hook_on_a_tensor_is_a_reason():
    w = rg.ones(2, requires_grad=True)

    def step():
        y = w * 2
        y.register_hook(lambda g: g * 2)
        y.sum().backward()

    assert "hook" in fallen_back(step)


def test_keeping_a_result_beyond_the_call_is_a_reason():
    kept = []
    assert "return it" in fallen_back(lambda x: kept.append(x * 2), rg.ones(2))


def test_counting_in_the_step_is_a_reason():
    class Counter:
        count = 0

        def step(self, x):
            self.count += 1
            return x * self.count

    counter = Counter()
    counter.count = 1
    assert "'count'" in fallen_back(counter.step, rg.ones(1))


def test_a_closure_for_an_optimizer_is_a_reason():
    w = rg.ones(2, requires_grad=True)
    optimizer = rg.optim.LBFGS([w])

    def step():
        def closure():
            optimizer.zero_grad()
            loss = w.square().sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    assert "function" in fallen_back(step)
    assert w.abs().max().item() < 1


def test_too_many_programs_are_a_reason():
    shift = rg.compile(lambda x, n: x + n)
    for n in range(8):
        assert shift(rg.zeros(1), n).item() == n
    with pytest.warns(UserWarning, match="argument 1 has changed again"):
        assert shift(rg.zeros(1), 8).item() == 8


def test_a_step_that_cannot_be_compiled_still_computes():
    first = rg.compile(lambda x: x * float(x.sum()))
    with pytest.warns(UserWarning, match="runs as it is"):
        found = first(rg.ones(2))
    assert found.tolist() == [2.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert first(rg.full((2,), 3.0)).tolist() == [18.0, 18.0]
    with pytest.raises(RuntimeError, match="nothing is compiled"):
        _ = first.source


def test_fullgraph_raises_the_reason():
    with pytest.raises(RuntimeError, match="reads a value by item"):
        rg.compile(lambda x: x.sum().item(), fullgraph=True)(rg.ones(1))


# ---- arguments of compile


def test_it_is_a_decorator_with_and_without_arguments():
    @rg.compile
    def one(x):
        """Adds one."""
        return x + 1

    @rg.compile(fullgraph=True)
    def two(x):
        return x + 2

    assert one(rg.zeros(1)).item() == 1.0
    assert two(rg.zeros(1)).item() == 2.0
    assert one.__name__ == "one"
    assert one.__doc__ == "Adds one."


def test_a_method_can_be_decorated():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        @rg.compile(fullgraph=True)
        def predict(self, x):
            with rg.no_grad():
                return self.layer(x)

    model = Model()
    for _ in range(2):
        assert rg.equal(model.predict(rg.ones(1, 2)), model.layer(rg.ones(1, 2)).detach())


def test_a_compiled_module_has_the_module_s_attributes():
    model = nn.Linear(2, 2)
    compiled = rg.compile(model)
    assert compiled.weight is model.weight
    assert [name for name, _ in compiled.named_parameters()] == ["weight", "bias"]


def test_what_is_not_supported_raises():
    assert rg.compile(abs, disable=True) is abs
    for options in ({"dynamic": True}, {"backend": "eager"}, {"mode": "max-autotune"}, {"options": {"a": 1}}):
        with pytest.raises(NotImplementedError):
            rg.compile(abs, **options)
    with pytest.raises(TypeError, match="expected a function"):
        rg.compile(3)
