"""Rows L22 and L58: the notes' networks as whole programs."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim
from retrograd.cli import main


def circle(count=200):
    """Points of a normal distribution; class 1 inside the unit circle."""
    x = rg.randn(count, 2, dtype=rg.float64)
    return x, (x.square().sum(dim=1, keepdim=True) < 1.0).double()


def network_2_8_1():
    """Weights of 0.01·N(0, 1) and biases of 0, as in the notes."""
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()).double()
    for layer in (model[0], model[2]):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    return model


def step(model, optimizer, x, y):
    """The notes state the loss as a mean, but start the backward pass from A2 − Y: the gradient of the sum over the
    samples. The sum it is here: with the mean, 1,000 steps of 0.05 end at losses from 0.54 to 0.61 (seeds 0 to 3)."""
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy(model(x), y, reduction="sum")
    loss.backward()
    optimizer.step()
    return loss.item() / len(x)


def host(t):
    return t.detach().cpu().numpy()


def test_L58_the_2_8_1_network_takes_the_steps_written_by_hand(device):
    rg.manual_seed(1)
    with rg.device(device):
        x, y = circle()
        model = network_2_8_1()
        W1, b1, W2, b2 = (host(p).T.copy() for p in model.parameters())
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        for _ in range(10):
            step(model, optimizer, x, y)
    X, Y = host(x), host(y)
    for _ in range(10):
        A1 = np.maximum(X @ W1 + b1, 0)
        dZ2 = 1 / (1 + np.exp(-(A1 @ W2 + b2))) - Y
        dZ1 = dZ2 @ W2.T * (A1 > 0)
        W2, b2 = W2 - 0.05 * A1.T @ dZ2, b2 - 0.05 * dZ2.sum(axis=0)
        W1, b1 = W1 - 0.05 * X.T @ dZ1, b1 - 0.05 * dZ1.sum(axis=0)
    for ours, theirs in zip(model.parameters(), (W1, b1, W2, b2), strict=True):
        np.testing.assert_allclose(host(ours), theirs.T, rtol=1e-9, atol=1e-12)


def test_L58_the_2_8_1_network_learns_in_1000_steps_which_points_lie_in_the_circle(device):
    rg.manual_seed(1)
    with rg.device(device):
        x, y = circle()
        model = network_2_8_1()
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        losses = [step(model, optimizer, x, y) for _ in range(1000)]
        accuracy = (model(x).round() == y).double().mean().item()
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3)  # a network that knows nothing says one half
    assert losses[-1] < 0.1
    assert accuracy > 0.97


class Net(nn.Module):
    """2-4-1 with sigmoids everywhere."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 4)
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return rg.sigmoid(self.out(rg.sigmoid(self.hidden(x))))


def test_L58_the_2_4_1_sigmoid_network_learns_with_adam_and_reports_loss_and_accuracy_of_every_epoch(device):
    rg.manual_seed(1)
    with rg.device(device):
        x, y = circle()
        model = Net().double()
        loader = rg.data.DataLoader(rg.data.TensorDataset(x, y), batch_size=100)  # two batches an epoch
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        loss_of = nn.BCELoss()
        mean_loss, percent_right = [], []
        for _ in range(1000):
            losses, errors = [], 0.0
            for inputs, targets in loader:
                out = model(inputs)
                loss = loss_of(out, targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                errors += (out.round() - targets).abs().sum().item()
            mean_loss.append(np.mean(losses))
            percent_right.append(100 * (1 - errors / len(x)))
    assert mean_loss[-1] < 0.15 < 0.6 < mean_loss[0]
    assert percent_right[-1] > 95
    assert max(np.diff(mean_loss[100:])) < 1e-2  # the loss decreases over the epochs


class ConvNet(nn.Module):
    """conv(1→6, 3), pool, conv(6→16, 3), pool, 120-84-10, for images of 32×32."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.fc1 = nn.Linear(16 * 6 * 6, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x).relu(), (2, 2))
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        x = x.view(len(x), -1)
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())


def bars(count):
    """Noisy images of ten classes: a bright column, or row, in one of five places."""
    y = rg.arange(count) % 10
    x = 0.3 * rg.randn(count, 1, 32, 32)
    for i, place in enumerate(y.tolist()):
        start = 3 + 6 * (place % 5)
        image = x[i, 0].T if place < 5 else x[i, 0]
        image[start : start + 2] += 1.0
    return x, y


def test_L58_the_conv_net_has_the_notes_shapes(device):
    with rg.device(device):
        net = ConvNet()
        x = rg.randn(2, 1, 32, 32)
    pooled = nn.functional.max_pool2d(net.conv1(x).relu(), 2)
    assert net.conv1(x).shape == (2, 6, 30, 30)
    assert pooled.shape == (2, 6, 15, 15)
    assert net.conv2(pooled).shape == (2, 16, 13, 13)
    assert net(x).shape == (2, 10)
    assert [p.shape for p in net.parameters()][:6] == [(6, 1, 3, 3), (6,), (16, 6, 3, 3), (16,), (120, 576), (120,)]
    assert sum(p.numel() for p in net.parameters()) == 60 + 880 + 69_240 + 10_164 + 850
    net(x).backward(rg.randn(2, 10, device=device))
    assert all(p.grad.shape == p.shape for p in net.parameters())


def test_L58_the_conv_nets_step_by_hand_is_sgds(device):
    rg.manual_seed(0)
    with rg.device(device):
        x, y = bars(4)
        net, twin = ConvNet(), ConvNet()
    twin.load_state_dict(net.state_dict())
    optimizer = optim.SGD(twin.parameters(), lr=0.01)
    for model in (net, twin):
        nn.functional.cross_entropy(model(x), y).backward()
    for p in net.parameters():
        p.data.sub_(p.grad.data * 0.01)
    optimizer.step()
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(host(ours), host(theirs), rtol=1e-6)


def test_L58_the_conv_net_learns_to_tell_bars_apart(device):
    rg.manual_seed(0)
    with rg.device(device):
        x, y = bars(80)
        unseen, truth = bars(40)
        net = ConvNet()
        optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(12):
            for inputs, targets in rg.data.DataLoader(rg.data.TensorDataset(x, y), batch_size=20, shuffle=True):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(net(inputs), targets)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        with rg.no_grad():
            accuracy = (net(unseen).argmax(1) == truth).double().mean().item()
    assert losses[0] == pytest.approx(np.log(10), abs=0.1)
    assert losses[-1] < 0.3
    assert accuracy > 0.9


def trained_on_mnist(folder, *more):
    """The measures of `retrograd train mlp` on MNIST."""
    root = os.environ.get("RETROGRAD_DATA")
    if root is None:
        pytest.skip("RETROGRAD_DATA, the folder that holds mnist/, is not set")
    assert main(["train", "mlp", "--data", str(Path(root) / "mnist"), "--out", str(folder), *more]) == 0
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_L22_the_784_100_10_network_reaches_97_percent_on_mnist(tmp_path):
    metrics = trained_on_mnist(tmp_path)
    assert metrics["test_accuracy"] >= 0.97
    assert metrics["train_loss"][-1] < metrics["train_loss"][0] / 4


@pytest.mark.slow
def test_L22_an_epoch_of_mnist_has_the_same_losses_on_every_device(device, tmp_path):
    ours = trained_on_mnist(tmp_path / "here", "--epochs", "1", "--device", str(device))
    cpu = trained_on_mnist(tmp_path / "cpu", "--epochs", "1", "--device", "cpu")
    assert ours["train_loss"] == pytest.approx(cpu["train_loss"], rel=1e-5)
    assert ours["test_loss"] == pytest.approx(cpu["test_loss"], rel=1e-5)
