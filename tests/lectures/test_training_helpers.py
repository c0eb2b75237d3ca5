"""Rows L13 and L55 to L57: gradients by layer, stopping early, searching parameters, transferring what was learned."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim, training, viz


def host(t):
    return t.detach().cpu().numpy()


# ---- L13


def test_L13_a_chain_of_alpha_times_identity_multiplies_the_reported_gradients_by_alpha(device):
    alpha, depth = 4.0, 4
    net = nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(3, 3), nn.ReLU())]).to(device).double()
    for layer in itertools.islice(net, 0, None, 2):
        nn.init.eye_(layer.weight)
        layer.weight.data *= alpha
        nn.init.zeros_(layer.bias)
    net(rg.tensor([[1.0, 2.0, 0.5]], dtype=rg.float64, device=device)).sum().backward()
    report = training.gradient_norms(net)
    biases = [report[f"{2 * i}.bias"] for i in range(depth)]  # a bias' gradient is that of its layer's z
    assert biases[0] / biases[-1] == pytest.approx(alpha ** (depth - 1))
    assert report.ratios()["0.bias"] == pytest.approx(alpha)
    assert "6.weight" in str(report)


def test_L13_gradients_of_sigmoid_layers_vanish_by_at_most_a_quarter_a_layer_and_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib draws the bars")
    net = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Linear(1, 1), nn.Sigmoid())])
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1.0)
    net(rg.ones(1, 1)).sum().backward()
    report = training.gradient_norms(net)
    assert all(report.ratios()[f"{i}.bias"] <= 0.25 for i in (0, 2))
    viz.gradient_norms(report, tmp_path / "norms.png")
    assert (tmp_path / "norms.png").stat().st_size > 1000


# ---- L55


def overfitting(device):
    """Few noisy points and a network that can learn them by heart: the validation loss falls, then rises."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 1))
    y = np.sin(3 * x) + 0.5 * rng.normal(size=x.shape)
    points = [rg.tensor(v.astype(np.float32), device=device) for v in (x[:12], y[:12], x[12:], y[12:])]
    rg.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 1)).to(device)
    return model, points


def test_L55_early_stopping_and_the_best_checkpoint_keep_the_model_before_it_overfits(tmp_path, device):
    pytest.importorskip("matplotlib", reason="matplotlib draws the curves")
    pytest.importorskip("safetensors", reason="checkpoints are safetensors files")
    model, (x, y, x_val, y_val) = overfitting(device)
    optimizer, loss_of = optim.Adam(model.parameters(), lr=0.01), nn.MSELoss()
    stopping = training.EarlyStopping(patience=60)
    best = training.BestCheckpoint(tmp_path / "best.safetensors")
    history = {"train_loss": [], "val_loss": []}
    for epoch in range(1000):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        with rg.no_grad():
            val = loss_of(model(x_val), y_val).item()
        history["train_loss"].append(loss.item())
        history["val_loss"].append(val)
        best.step(val, model, optimizer, epoch=epoch)
        if stopping.step(val, model):
            break
    assert len(history["val_loss"]) < 1000
    assert stopping.best_epoch == int(np.argmin(history["val_loss"])) == len(history["val_loss"]) - 61
    assert history["val_loss"][-1] > stopping.best
    assert history["train_loss"][-1] < history["train_loss"][stopping.best_epoch]  # it went on learning, by heart

    facts = best.restore(model, optimizer)
    assert facts["epoch"] == stopping.best_epoch
    with rg.no_grad():
        assert loss_of(model(x_val), y_val).item() == pytest.approx(stopping.best, rel=1e-6)
        stored = {name: host(t) for name, t in model.state_dict().items()}
        stopping.restore(model)
        assert all(np.array_equal(host(t), stored[name]) for name, t in model.state_dict().items())
    viz.curves(history, tmp_path / "curves.png", best_epoch=stopping.best_epoch)
    assert (tmp_path / "curves.png").stat().st_size > 1000


# ---- L56


@pytest.mark.parametrize("method", ["grid", "random", "tpe"])
def test_L56_a_search_finds_the_learning_rate_that_trains_best(method):
    pytest.importorskip("optuna", reason="search runs on Optuna, in the extra search")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    x, y = rg.tensor(X), rg.tensor(X @ np.array([[1.0], [-2.0], [0.5]]))

    def objective(parameters):
        rg.manual_seed(0)
        model = nn.Linear(3, 1).double()
        optimizer = optim.SGD(model.parameters(), lr=parameters["lr"], momentum=parameters["momentum"])
        for _ in range(15):
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    rates = [1e-3, 1e-2, 1e-1, 3.0] if method == "grid" else training.Float(1e-3, 3.0, log=True)
    result = training.search(objective, {"lr": rates, "momentum": [0.0, 0.5]}, method, trials=None)
    assert len(result.trials) == (8 if method == "grid" else 20)
    assert 0.02 < result.parameters["lr"] < 0.9
    assert result.value == objective(result.parameters) == min(value for _, value in result.trials if value == value)


# ---- L57


class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU())
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


def test_L57_a_new_head_learns_on_a_frozen_backbone_and_then_both_at_their_own_rates(device, tmp_path):
    pytest.importorskip("safetensors", reason="weights are safetensors files")
    rg.manual_seed(0)
    learned = Network(classes=10).to(device)
    rg.io.save_file(learned.state_dict(), tmp_path / "learned.safetensors")
    state = rg.io.load_file(tmp_path / "learned.safetensors", device=device)

    model = Network(classes=3).to(device)
    kept = {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}
    missing, unexpected = model.load_state_dict(kept, strict=False)
    assert sorted(missing) == ["head.bias", "head.weight"]
    assert unexpected == []
    before = {name: host(t).copy() for name, t in model.state_dict().items()}
    for name, tensor in kept.items():
        np.testing.assert_array_equal(before[name], host(tensor))

    model.backbone.requires_grad_(False)
    x, y = rg.randn(16, 4).to(device), rg.randint(0, 3, (16,)).to(device)

    def train(optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(x), y).backward()
            optimizer.step()

    train(optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    after = {name: host(t).copy() for name, t in model.state_dict().items()}
    assert all(np.array_equal(before[name], after[name]) for name in kept)
    assert all(p.grad is None for p in model.backbone.parameters())
    assert not np.array_equal(before["head.weight"], after["head.weight"])

    model.requires_grad_(True)
    rates = [{"params": model.backbone.parameters(), "lr": 1e-3}, {"params": model.head.parameters()}]
    nn.CrossEntropyLoss()(model(x), y).backward()
    gradient = host(model.backbone[0].weight.grad).copy()
    model.zero_grad()
    optimizer = optim.SGD(rates, lr=0.1)
    nn.CrossEntropyLoss()(model(x), y).backward()
    optimizer.step()
    np.testing.assert_allclose(host(model.backbone[0].weight), after["backbone.0.weight"] - 1e-3 * gradient, atol=1e-7)


def test_L57_a_replaced_head_is_another_layer_of_the_same_network():
    model = Network(classes=10)
    model.head = nn.Linear(model.head.in_features, 3)
    assert model(rg.zeros(2, 4)).shape == (2, 3)
    table = viz.summary(model, (1, 4))
    assert table["head"].parameters == 21
