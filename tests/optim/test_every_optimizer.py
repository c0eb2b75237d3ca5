"""Facts about all optimizers: devices, aliases, large and small parameters, options, what they refuse."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim
from tests.data.errors import raises_clearly

MAKE = {
    "ASGD": lambda p: optim.ASGD(p, lr=0.1, t0=2, lambd=0.1),
    "Adadelta": optim.Adadelta,
    "Adafactor": lambda p: optim.Adafactor(p, lr=0.1, weight_decay=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": optim.AdamW,
    "Adamax": lambda p: optim.Adamax(p, lr=0.1),
    "LAMB": lambda p: optim.LAMB(p, lr=0.1, weight_decay=0.1),
    "Muon": lambda p: optim.Muon([q for q in p if q.ndim == 2], lr=0.1),
    "NAdam": lambda p: optim.NAdam(p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda p: optim.RAdam(p, lr=0.1, betas=(0.9, 0.99)),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Rprop": lambda p: optim.Rprop(p, lr=0.1),
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
}
SHAPES = [(3,), (2, 2), (100, 100), (), (2, 3, 4)]


def parameters(device="cpu", dtype=np.float32, shapes=SHAPES):
    rng = np.random.default_rng(0)
    return [nn.Parameter(rg.tensor(np.asarray(rng.normal(size=s), dtype), device=device)) for s in shapes]


def give_gradients(params, step):
    rng = np.random.default_rng(step)
    for p in params:
        p.grad = rg.tensor(np.asarray(rng.normal(size=p.shape)), dtype=p.dtype, device=p.device)


def host(t):
    return t.detach().cpu().numpy()


@pytest.mark.parametrize("name", MAKE)
def test_every_device_takes_the_same_steps(device, name):
    ours, reference = parameters(device), parameters()
    for params in (ours, reference):
        optimizer = MAKE[name](params)
        for step in range(6):
            give_gradients(params, step)
            optimizer.step()
    for p, q in zip(ours, reference, strict=True):
        np.testing.assert_allclose(host(p), host(q), rtol=1e-4, atol=1e-5)
        assert p.device == rg.device(device)
        assert p.dtype == np.float32


@pytest.mark.parametrize("name", MAKE)
def test_a_step_does_not_wait_for_the_gpu(name, forbid_synchronization):
    params = parameters("strict")
    give_gradients(params, 0)
    optimizer = MAKE[name](params)
    for _ in range(2):
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)


@pytest.mark.parametrize("name", MAKE)
def test_a_model_that_moves_between_devices_keeps_training(name):
    """The state follows the parameters, both ways, as after net.cuda() on an optimizer that was made before."""
    nets = []
    for places in (("cpu",) * 3, ("cpu", "strict", "cpu"), ("strict", "cpu", "strict")):
        net = nn.Module()
        net.params = nn.ParameterList(parameters())
        net.to(places[0])
        optimizer = MAKE[name](net.parameters() if name != "Muon" else list(net.parameters()))
        for step, place in enumerate(places):
            net.to(place)
            give_gradients(list(net.parameters()), step)
            optimizer.step()
        nets.append(net)
    for moved in nets[1:]:
        for p, q in zip(moved.parameters(), nets[0].parameters(), strict=True):
            np.testing.assert_allclose(host(p), host(q), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_states_and_parameters_keep_their_dtype(name, dtype):
    params = parameters(dtype=dtype)
    give_gradients(params, 0)
    optimizer = MAKE[name](params)
    optimizer.step()
    for p in params:
        assert p.dtype == dtype
        assert all(v.dtype == dtype for v in optimizer.state[p].values() if isinstance(v, rg.Tensor))


@pytest.mark.parametrize("name", [name for name in MAKE if name not in ("Adafactor", "LAMB", "Muon")])
def test_a_large_parameter_is_stepped_as_its_elements_would_be_alone(name):
    """Long parameters go in pieces, a transposed one whole, short ones packed."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 500)).astype(np.float32)
    large = nn.Parameter(rg.tensor(values))
    transposed = nn.Parameter(rg.tensor(np.ascontiguousarray(values.T)).T)
    rows = [nn.Parameter(rg.tensor(row.copy())) for row in values]
    optimizers = [MAKE[name](params) for params in ([large], [transposed], rows)]
    assert not transposed.is_contiguous()
    for _ in range(3):
        g = rng.normal(size=values.shape).astype(np.float32)
        large.grad, transposed.grad = rg.tensor(g), rg.tensor(g)
        for row, part in zip(rows, g, strict=True):
            row.grad = rg.tensor(part.copy())
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_array_equal(host(large), host(transposed))
    np.testing.assert_array_equal(host(large), np.stack([host(row) for row in rows]))


@pytest.mark.parametrize("name", MAKE)
def test_gradients_are_not_changed_and_aliases_see_the_step(name):
    params = parameters()
    give_gradients(params, 0)
    aliases, grads = [p.detach() for p in params], [host(p.grad).copy() for p in params]
    MAKE[name](params).step()
    for p, alias, g in zip(params, aliases, grads, strict=True):
        np.testing.assert_array_equal(host(p.grad), g)
        np.testing.assert_array_equal(host(p), host(alias))


@pytest.mark.parametrize("name", MAKE)
def test_a_step_between_forward_and_backward_is_noticed(name):
    weight = nn.Parameter(rg.ones(2, 2))
    optimizer = MAKE[name]([weight])
    weight.grad = rg.ones(2, 2)
    loss = (weight * weight).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match=rf"changed in place .* by {name}.step"):
        loss.backward()


@pytest.mark.parametrize("option", ["foreach", "differentiable", "fused", "capturable"])
@pytest.mark.parametrize("name", MAKE)
def test_other_implementations_are_refused(name, option):
    with raises_clearly((NotImplementedError, TypeError), option):
        getattr(optim, name)(parameters(), **{option: True})


RANGED = ("lr", "weight_decay", "eps", "rho", "momentum", "lr_decay", "momentum_decay")
SETTINGS = [
    (name, setting)
    for name in MAKE
    for setting, usual in getattr(optim, name)([nn.Parameter(rg.ones(1, 1))]).defaults.items()
    if setting in RANGED and isinstance(usual, (int, float)) and (name, setting) != ("Muon", "eps")
]


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_nan_and_negative_settings_are_refused_in_the_constructor_and_in_groups(name, setting):
    kind, params = getattr(optim, name), parameters(shapes=[(2, 2), (2, 2)])
    for wrong in (float("nan"), -1.0):
        with raises_clearly(ValueError, "Invalid|must|should"):
            kind(params, **{setting: wrong})
        with raises_clearly(ValueError, "Invalid|must|should"):
            kind(params[:1]).add_param_group({"params": params[1:], setting: wrong})


def test_muon_takes_only_matrices_and_known_rules():
    with raises_clearly(ValueError, r"shape \(3,\)"):
        optim.Muon(parameters())
    for settings in ({"adjust_lr_fn": "square"}, {"ns_steps": 100}, {"ns_coefficients": (1.0, 2.0)}):
        with raises_clearly(ValueError, next(iter(settings))):
            optim.Muon(parameters(shapes=[(2, 2)]), **settings)


def test_muons_update_is_nearly_orthogonal():
    for shape in ((20, 5), (5, 20), (8, 8)):
        (w,) = parameters(shapes=[shape])
        before = host(w).copy()
        give_gradients([w], 0)
        optim.Muon([w], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw").step()
        values = np.linalg.svd((before - host(w)) / (0.2 * max(shape) ** 0.5), compute_uv=False)
        assert values.max() < 1.3
        assert values.min() > 0.3


def test_packed_parameters_at_different_momenta_keep_their_own():
    """NAdam's product of momenta is each parameter's own, however the betas changed meanwhile."""
    together, alone = parameters(shapes=[(2,), (2,)]), parameters(shapes=[(2,), (2,)])
    one, several = optim.NAdam(together, lr=0.1), [optim.NAdam([p], lr=0.1) for p in alone]
    for step in range(6):
        beta = 0.9 if step % 2 else 0.5
        for optimizer in (one, *several):
            optimizer.param_groups[0]["betas"] = (beta, 0.99)
        for params in (together, alone):
            give_gradients(params, step)
            params[step % 2].grad = None
        for optimizer in (one, *several):
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        np.testing.assert_array_equal(host(p), host(q))


@pytest.mark.parametrize("kind", [optim.LBFGS, optim.Newton])
def test_second_order_steps_need_a_closure(kind):
    with raises_clearly(TypeError, "closure"):
        kind(parameters()).step()


def test_newton_says_what_is_wrong_with_its_closure():
    w = nn.Parameter(rg.ones(2))
    with raises_clearly(RuntimeError, "one number"):
        optim.Newton([w]).step(lambda: w * w)
    with raises_clearly(RuntimeError, "damping"):
        optim.Newton([w]).step(lambda: w.sum())
    with raises_clearly(ValueError, "damping"):
        optim.Newton([w], damping=-1.0)
    assert w.tolist() == [1.0, 1.0]
