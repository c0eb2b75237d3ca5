"""Rows L11 to L14, L20, L23, L50, L51, L53, L54 and L69 of the checklist: training, with the notes' formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim
from retrograd.data import DataLoader, Dataset, Digits, TensorDataset, random_split


def on(device, values, **options):
    return rg.tensor(values, dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


# ---- gradients of networks


def test_L11_weight_decay_of_a_group_is_the_regularised_batch_gradient(device):
    rng = np.random.default_rng(0)
    X, y, decay, rate = rng.normal(size=(20, 3)), rng.normal(size=(20, 1)), 0.3, 0.1
    layer = nn.Linear(3, 1, device=device, dtype=rg.float64)
    theta, bias = host(layer.weight).copy(), host(layer.bias).copy()
    optimizer = optim.SGD(
        [{"params": [layer.weight], "weight_decay": decay}, {"params": [layer.bias]}], lr=rate, weight_decay=0.0
    )
    (nn.MSELoss()(layer(on(device, X)), on(device, y)) / 2).backward()
    optimizer.step()
    residual = X @ theta.T + bias - y
    D = residual.T @ X / 20 + decay * theta  # Δ/n + λΘ
    np.testing.assert_allclose(host(layer.weight), theta - rate * D, rtol=1e-12)
    np.testing.assert_allclose(host(layer.bias), bias - rate * residual.mean(0), rtol=1e-12)


def test_L12_autograd_equals_the_recursion_of_the_deltas(device):
    rng, widths = np.random.default_rng(0), (3, 5, 4, 6, 2)
    thetas = [rng.normal(size=(n, m)) for m, n in itertools.pairwise(widths)]
    weights = [on(device, theta, requires_grad=True) for theta in thetas]
    X, Y = rng.normal(size=(7, 3)), rng.integers(0, 2, (7, 2)).astype(float)

    a, activations = on(device, X), [X]
    for weight in weights:
        a = rg.sigmoid(a @ weight.T)
        activations.append(host(a))
    nn.BCELoss(reduction="sum")(a, on(device, Y)).backward()

    delta = activations[-1] - Y  # δ(L) = a − y
    for i in reversed(range(len(weights))):
        np.testing.assert_allclose(host(weights[i].grad), delta.T @ activations[i], rtol=1e-8, atol=1e-12)
        delta = activations[i] * (1 - activations[i]) * (delta @ thetas[i])  # δ(l) = a (1 − a) Σ δ(l+1) Θ


class TestL13GradientsThatVanishAndExplode:
    def test_L13_three_sigmoid_layers_shrink_the_gradient_by_the_closed_form(self, device):
        net = nn.Sequential(*[nn.Sequential(nn.Linear(1, 1), nn.Sigmoid()) for _ in range(3)]).to(device).double()
        for parameter in net.parameters():
            nn.init.constant_(parameter, 0.5)
        outs = [on(device, [[0.7]])]
        for layer in net:
            outs.append(layer(outs[-1]))
        outs[-1].sum().backward()
        norms = nn.utils.grad_norms(net)
        slopes = [out.item() * (1 - out.item()) for out in outs[1:]]
        assert all(slope <= 0.25 for slope in slopes)
        for i in (0, 1):  # the bias' gradient is its z's: one layer down it is multiplied by w σ'(z)
            ratio = norms[f"{i}.0.bias"] / norms[f"{i + 1}.0.bias"]
            assert ratio == pytest.approx(0.5 * slopes[i])
        assert norms["0.0.bias"] < norms["1.0.bias"] < norms["2.0.bias"]

    @pytest.mark.parametrize("alpha", [4.0, 0.25])
    def test_L13_a_chain_of_alpha_times_identity_multiplies_the_gradient_by_alpha_each_layer(self, alpha, device):
        net = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU()) for _ in range(4)])
        net = net.to(device).double()
        for layer in net:
            nn.init.eye_(layer[0].weight)
            layer[0].weight.data *= alpha
        x, y = np.array([[1.0, 2.0, 0.5]]), np.array([[0.3, 0.1, 0.2]])
        hidden = []
        out = on(device, x)
        for layer in net:
            hidden.append(out := layer(out))
            out.retain_grad()
        (((out - on(device, y)) ** 2).sum() / 2).backward()
        np.testing.assert_allclose(host(hidden[0].grad), alpha**3 * (alpha**4 * x - y), rtol=1e-12)
        norms = [float(np.linalg.norm(host(h.grad))) for h in hidden]
        np.testing.assert_allclose([a / b for a, b in itertools.pairwise(norms)], alpha, rtol=1e-12)

    def test_L13_the_norms_of_all_layers_are_reported_and_plotted(self, tmp_path):
        plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib draws the norms")
        plt.switch_backend("agg")
        net = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 1))
        net(rg.ones(2, 4)).sum().backward()
        norms = nn.utils.grad_norms(net)
        assert list(norms) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert norms["2.bias"] == pytest.approx(2.0)
        figure, axes = plt.subplots()
        axes.bar(list(norms), list(norms.values()))
        figure.savefig(tmp_path / "norms.png")
        plt.close(figure)
        assert (tmp_path / "norms.png").stat().st_size > 1000


def test_L14_back_propagation_through_time_gives_the_notes_formula(device):
    values = {"x1": 0.7, "x2": -0.4, "h0": 0.3, "Wx": 1.3, "Wh": 0.6, "bh": 0.1, "bo": 0.2}
    t = {name: on(device, value, requires_grad=True) for name, value in values.items()}
    h1 = t["x1"] * t["Wx"] + t["h0"] * t["Wh"] + t["bh"]
    h2 = t["x2"] * t["Wx"] + h1 * t["Wh"] + t["bh"]
    out = h2 * t["Wh"] + t["bo"]
    out.backward()
    Wh, h0 = values["Wh"], values["h0"]
    assert t["Wh"].grad.item() == pytest.approx(Wh * (Wh * h0 + h1.item()) + h2.item())


# ---- data


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return rg.tensor(float(index)), rg.tensor(float(index**2))


class TestL20Loading:
    def test_L20_a_tensor_dataset_comes_in_batches(self):
        data = TensorDataset(rg.arange(10.0).reshape(10, 1), rg.arange(10))
        batches = list(DataLoader(data, batch_size=4))
        assert [tuple(x.shape) for x, _ in batches] == [(4, 1), (4, 1), (2, 1)]
        assert len(list(DataLoader(data, batch_size=4, drop_last=True))) == 2
        x, y = batches[1]
        assert (x.flatten().tolist(), y.tolist()) == ([4, 5, 6, 7], [4, 5, 6, 7])

    def test_L20_a_dataset_of_ones_own_needs_getitem_and_len(self):
        (x, y), *_ = DataLoader(Squares(), batch_size=3)
        assert (x.tolist(), y.tolist()) == ([0, 1, 2], [0, 1, 4])

    def test_L20_workers_give_the_same_batches(self):
        alone, helped = DataLoader(Squares(), batch_size=3), DataLoader(Squares(), batch_size=3, num_workers=2)
        for (a, b), (c, d) in zip(alone, helped, strict=True):
            assert a.tolist() == c.tolist()
            assert b.tolist() == d.tolist()

    def test_L20_shuffling_is_reproducible_and_differs_between_epochs(self):
        def order(epochs):
            rg.manual_seed(3)
            loader = DataLoader(TensorDataset(rg.arange(50)), batch_size=7, shuffle=True)
            return [[i for (batch,) in loader for i in batch.tolist()] for _ in range(epochs)]

        first, second = order(2)
        assert order(2) == [first, second]
        assert first != second != list(range(50))
        assert sorted(first) == sorted(second) == list(range(50))

    def test_L20_a_split_is_normalised_with_the_training_sets_statistics(self):
        data = TensorDataset(rg.tensor(np.random.default_rng(0).normal(3, 2, (200, 4))))
        parts = random_split(data, [0.8, 0.1, 0.1], rg.Generator().manual_seed(0))
        assert [len(part) for part in parts] == [160, 20, 20]
        assert sorted(i for part in parts for i in part.indices) == list(range(200))
        train, _val, test = (rg.stack([part[i][0] for i in range(len(part))]) for part in parts)
        mean, std = train.mean(0), train.std(0)
        np.testing.assert_allclose(host(((train - mean) / std).mean(0)), 0, atol=1e-12)
        np.testing.assert_allclose(host(((train - mean) / std).std(0)), 1, rtol=1e-12)
        assert np.abs(host(((test - mean) / std).mean(0))).max() < 1  # close to 0, but no statistic of its own


def test_L23_the_digits_are_flattened_row_by_row_to_64_inputs():
    pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
    images, _ = Digits()[:3]
    flat = nn.Flatten()(images)
    assert flat.shape == (3, 64)
    assert flat[1, :8].tolist() == images[1].reshape(8, 8)[0].tolist()
    assert nn.Linear(64, 10)(flat).shape == (3, 10)


# ---- optimizers


def descend(optimizer_of, steps, gradient, start):
    """Positions of an optimizer that follows a gradient given as a function."""
    p = nn.Parameter(rg.tensor(start, dtype=rg.float64))
    optimizer = optimizer_of([p])
    found = [host(p).copy()]
    for _ in range(steps):
        p.grad = rg.tensor(gradient(found[-1]), dtype=rg.float64)
        optimizer.step()
        found.append(host(p).copy())
    return np.array(found)


H = np.diag([1.0, 10.0])
START = [2.0, -1.0]


class TestL50Optimizers:
    def test_L50_gradient_descent_contracts_a_quadratic_by_its_eigenvalues(self):
        path = descend(lambda p: optim.SGD(p, lr=0.05), 20, lambda x: H @ x, START)
        np.testing.assert_allclose(path[-1], [2 * 0.95**20, -(0.5**20)], rtol=1e-9)

    def test_L50_momentum_is_the_recursion_of_the_notes(self):
        path = descend(lambda p: optim.SGD(p, lr=0.05, momentum=0.9), 30, lambda x: H @ x, START)
        x, v = np.array(START), np.zeros(2)
        for expected in path[1:]:
            v = 0.9 * v + H @ x
            x = x - 0.05 * v
            np.testing.assert_allclose(expected, x, rtol=1e-9)

    def test_L50_nesterovs_two_forms_are_the_same_path(self):
        """The look-ahead form moves x and takes the gradient at x + μv; the usual form moves that point itself."""
        path = descend(lambda p: optim.SGD(p, lr=0.03, momentum=0.9, nesterov=True), 30, lambda x: H @ x, START)
        x, v = np.array(START), np.zeros(2)
        for expected in path[1:]:
            v = 0.9 * v - 0.03 * (H @ (x + 0.9 * v))
            x = x + v
            np.testing.assert_allclose(expected, x + 0.9 * v, rtol=1e-9)

    @pytest.mark.parametrize("optimizer", [optim.Adam, optim.AdamW])
    def test_L50_adams_first_step_goes_along_the_sign_of_the_gradient(self, optimizer):
        path = descend(lambda p: optimizer(p, lr=0.1, weight_decay=0, eps=0), 1, lambda x: [7.0, -0.02], START)
        np.testing.assert_allclose(path[1], [1.9, -0.9], rtol=1e-9)

    def test_L50_adam_is_its_algorithm_with_bias_correction(self):
        path = descend(lambda p: optim.Adam(p, lr=0.1), 25, lambda x: H @ x, START)
        x, m, v = np.array(START), np.zeros(2), np.zeros(2)
        for t, expected in enumerate(path[1:], 1):
            g = H @ x
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            np.testing.assert_allclose(expected, x, rtol=1e-9)

    def test_L50_maximising_is_minimising_the_negative(self):
        for make in (optim.SGD, optim.Adam, optim.AdamW):
            down = descend(lambda p, make=make: make(p, lr=0.1), 5, lambda x: H @ x, START)
            up = descend(lambda p, make=make: make(p, lr=0.1, maximize=True), 5, lambda x: -(H @ x), START)
            np.testing.assert_allclose(down, up, rtol=1e-12)

    def test_L50_groups_have_rates_of_their_own(self):
        slow, fast = (nn.Parameter(rg.zeros(1)) for _ in range(2))
        optimizer = optim.SGD([{"params": [slow], "lr": 0.1}, {"params": [fast]}], lr=1.0)
        for p in (slow, fast):
            p.grad = rg.ones(1)
        optimizer.step()
        assert (slow.item(), fast.item()) == (pytest.approx(-0.1), -1.0)


def test_L51_gradients_accumulated_over_parts_are_the_gradient_of_the_whole_batch(device):
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(device).double()
    x, y = on(device, rng.normal(size=(24, 4))), rg.tensor(rng.integers(0, 3, 24), device=device)
    nn.CrossEntropyLoss()(net(x), y).backward()
    whole = [host(p.grad).copy() for p in net.parameters()]
    net.zero_grad()
    for part in range(4):
        rows = slice(6 * part, 6 * part + 6)
        (nn.CrossEntropyLoss()(net(x[rows]), y[rows]) / 4).backward()
    for expected, p in zip(whole, net.parameters(), strict=True):
        np.testing.assert_allclose(host(p.grad), expected, rtol=1e-10, atol=1e-14)


class TestL53Clipping:
    def gradients(self, device):
        parameters = [nn.Parameter(rg.zeros(2, device=device)) for _ in range(2)]
        parameters[0].grad = rg.tensor([3.0, 0.0], device=device)
        parameters[1].grad = rg.tensor([0.0, -4.0], device=device)
        return parameters

    def test_L53_by_norm_all_gradients_keep_their_direction(self, device):
        parameters = self.gradients(device)
        assert nn.utils.clip_grad_norm_(parameters, 1.0).item() == 5.0
        flat = np.concatenate([host(p.grad) for p in parameters])
        np.testing.assert_allclose(flat, [0.6, 0, 0, -0.8], rtol=1e-5)
        assert nn.utils.clip_grad_norm_(parameters, 7.0).item() == pytest.approx(1.0, rel=1e-5)
        np.testing.assert_allclose(np.concatenate([host(p.grad) for p in parameters]), flat)

    def test_L53_by_value_each_element_is_held(self, device):
        parameters = self.gradients(device)
        nn.utils.clip_grad_value_(parameters, 3.5)
        assert parameters[0].grad.tolist() == [3.0, 0.0]
        assert parameters[1].grad.tolist() == [0.0, -3.5]

    def test_L53_gradients_that_overflow_are_reported(self, device):
        parameters = self.gradients(device)
        parameters[0].grad[0] = float("inf")
        with pytest.raises(RuntimeError, match="non-finite"):
            nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        assert nn.utils.grad_norms(nn.ParameterList(parameters)) == {"0": float("inf"), "1": 4.0}


class TestL54Penalties:
    def trained(self, make, penalty=None):
        net = nn.Linear(3, 1).double()
        rng = np.random.default_rng(0)
        with rg.no_grad():
            net.weight.copy_(rg.tensor([[1.0, -2.0, 0.5]]))
            net.bias.zero_()
        x, y = rg.tensor(rng.normal(size=(30, 3))), rg.tensor(rng.normal(size=(30, 1)))
        optimizer = make(net.parameters())
        for _ in range(20):
            optimizer.zero_grad()
            loss = nn.MSELoss()(net(x), y)
            if penalty is not None:
                loss = loss + sum(penalty(p) for p in net.parameters())
            loss.backward()
            optimizer.step()
        return np.concatenate([host(p).ravel() for p in net.parameters()])

    def test_L54_weight_decay_is_an_l2_penalty_for_sgd(self):
        decayed = self.trained(lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.3))
        penalised = self.trained(lambda p: optim.SGD(p, lr=0.05, momentum=0.9), lambda p: 0.15 * (p * p).sum())
        np.testing.assert_allclose(decayed, penalised, rtol=1e-10)

    def test_L54_decoupled_weight_decay_is_no_l2_penalty_for_adam(self):
        decayed = self.trained(lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.3))
        penalised = self.trained(lambda p: optim.Adam(p, lr=0.05), lambda p: 0.15 * (p * p).sum())
        coupled = self.trained(lambda p: optim.Adam(p, lr=0.05, weight_decay=0.3))
        np.testing.assert_allclose(coupled, penalised, rtol=1e-8)
        assert np.abs(decayed - penalised).max() > 1e-3

    def test_L54_an_l1_penalty_shrinks_weights_by_equal_steps(self, device):
        w = nn.Parameter(rg.tensor([3.0, -0.5, 1.0], dtype=rg.float64, device=device))
        (0.1 * w.abs().sum()).backward()
        assert w.grad.tolist() == [0.1, -0.1, 0.1]


# ---- regression


def test_L69_trained_linear_regression_is_the_closed_form(device):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(50, 2)), np.ones((50, 1))], axis=1)
    Y = X @ np.array([[2.0], [-1.0], [0.5]]) + 0.1 * rng.normal(size=(50, 1))
    closed = np.linalg.inv(X.T @ X) @ X.T @ Y
    layer = nn.Linear(3, 1, bias=False, device=device, dtype=rg.float64)
    optimizer = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    x, y = on(device, X), on(device, Y)
    for _ in range(400):
        optimizer.zero_grad()
        nn.MSELoss()(layer(x), y).backward()
        optimizer.step()
    np.testing.assert_allclose(host(layer.weight).T, closed, rtol=1e-6)


def test_L69_logistic_regression_separates_at_its_threshold(device):
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(-1.5, 1, (60, 2)), rng.normal(1.5, 1, (60, 2))])
    labels = np.repeat([0.0, 1.0], 60)[:, None]
    rg.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()).to(device).double()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    x, y = on(device, X), on(device, labels)
    for _ in range(150):
        optimizer.zero_grad()
        nn.BCELoss()(net(x), y).backward()
        optimizer.step()
    p = host(net(x))
    assert ((p > 0.5) == labels).mean() >= 0.95
    recall = [(p[60:] > threshold).mean() for threshold in (0.1, 0.5, 0.9)]
    assert recall == sorted(recall, reverse=True)  # a higher threshold finds fewer
