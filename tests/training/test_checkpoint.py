"""A training that was saved goes on as if it had never stopped."""

import collections

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim, training
from retrograd.io import load_file, load_metadata, save_file
from tests.data.errors import raises_clearly

pytest.importorskip("safetensors", reason="checkpoints are safetensors files")

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW, two groups": lambda p: optim.AdamW([{"params": [next(p)], "lr": 0.1}, {"params": list(p)}], lr=0.01),
}


class Schedule:
    """What a scheduler's state may hold: numbers, and counters and lists of them."""

    def __init__(self):
        self.state = {
            "last_epoch": 0,
            "milestones": collections.Counter([3, 5, 5]),
            "base_lrs": [0.1],
            "pair": (1, 2.5),
        }

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        self.state = dict(state)


def net(device="cpu"):
    rg.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4, device=device), nn.Dropout(0.5), nn.Linear(4, 1, device=device))


def train(model, optimizer, steps):
    losses = []
    place = next(model.parameters()).device
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(rg.randn(8, 3).to(place)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_the_same_losses(name, tmp_path, device):
    path = tmp_path / "last.safetensors"
    model = net(device)
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, 5)
    schedule = Schedule()
    schedule.state["last_epoch"] = 7
    training.save_checkpoint(path, model, optimizer, schedule, epoch=5, history=[1.0, 0.5], best=rg.tensor(0.5))
    expected = train(model, optimizer, 5)

    other = net(device)
    fresh, empty = OPTIMIZERS[name](other.parameters()), Schedule()
    facts = training.load_checkpoint(path, other, fresh, empty)
    assert train(other, fresh, 5) == expected
    assert facts["epoch"] == 5
    assert facts["history"] == [1.0, 0.5]
    assert facts["best"].item() == 0.5
    assert empty.state == schedule.state
    assert isinstance(empty.state["milestones"], collections.Counter)
    assert isinstance(empty.state["pair"], tuple)
    assert [g["lr"] for g in fresh.param_groups] == [g["lr"] for g in optimizer.param_groups]


def test_the_file_holds_the_models_tensors_under_their_names(tmp_path):
    path, model = tmp_path / "model.safetensors", net()
    training.save_checkpoint(path, model)
    stored = load_file(path)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(stored[f"model.{name}"].numpy(), tensor.numpy())
    assert list(load_metadata(path)) == ["retrograd.checkpoint"]


def test_parts_that_are_not_asked_for_are_left_alone(tmp_path):
    path, model = tmp_path / "model.safetensors", net()
    optimizer = optim.Adam(model.parameters())
    training.save_checkpoint(path, model, optimizer, epoch=1)
    state = rg.get_rng_state().tolist()
    rg.rand(3)
    moved = rg.get_rng_state().tolist()
    assert training.load_checkpoint(path, net(), restore_rng=False) == {"epoch": 1}
    rg.random.set_rng_state(rg.tensor(moved, dtype=rg.uint8))
    training.load_checkpoint(path, model)
    assert rg.get_rng_state().tolist() == state


def test_the_best_checkpoint_alone_is_kept(tmp_path):
    model, best = net(), training.BestCheckpoint(tmp_path / "best.safetensors", mode="max")
    for value, weight in ((0.5, 1.0), (0.7, 2.0), (0.6, 3.0)):
        nn.init.constant_(model[0].weight, weight)
        best.step(value, model, epoch=weight)
    assert best.best == 0.7
    assert best.restore(model) == {"epoch": 2.0, "value": 0.7}
    assert model[0].weight[0, 0].item() == 2.0
    resumed = training.BestCheckpoint(tmp_path / "best.safetensors", mode="max")
    resumed.restore(model)
    assert resumed.step(0.65, model) is False
    assert [p.name for p in tmp_path.iterdir()] == ["best.safetensors"]


def test_a_best_value_that_could_not_be_saved_is_not_remembered(tmp_path):
    best = training.BestCheckpoint(tmp_path / "best.safetensors")
    best.step(1.0, net())
    with raises_clearly(TypeError, "facts.hook is a function"):
        best.step(0.5, net(), hook=lambda: None)
    assert best.best == 1.0
    assert training.load_checkpoint(best.path, net())["value"] == 1.0


def test_files_that_do_not_fit_raise_one_clear_error(tmp_path):
    path, model = tmp_path / "model.safetensors", net()
    training.save_checkpoint(path, model)
    with raises_clearly(ValueError, "holds no optimizer"):
        training.load_checkpoint(path, model, optim.Adam(model.parameters()))
    with raises_clearly(FileNotFoundError, "does not exist"):
        training.load_checkpoint(tmp_path / "none.safetensors", model)
    save_file(model.state_dict(), path)
    with raises_clearly(ValueError, "was not written by save_checkpoint"):
        training.load_checkpoint(path, model)
    path.write_bytes(b"\x80\x04")
    with raises_clearly(ValueError, "no complete safetensors file"):
        training.load_checkpoint(path, model)
    with raises_clearly(ValueError, "no complete safetensors file"):
        load_metadata(path)


@pytest.mark.parametrize(
    "name", ["StepLR", "MultiStepLR", "CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR"]
)
def test_schedules_go_on_where_they_were(name, tmp_path):
    lr_scheduler = optim.lr_scheduler
    make = {
        "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
        "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [3, 7, 7]),
        "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
        "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
        "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
        "SequentialLR": lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)], [4]
        ),
    }[name]

    def rates(model, optimizer, schedule, steps):
        found = []
        for _ in range(steps):
            train(model, optimizer, 1)
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
            found.append(optimizer.param_groups[0]["lr"])
        return found

    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = make(optimizer)
    rates(model, optimizer, schedule, 5)
    training.save_checkpoint(tmp_path / "last.safetensors", model, optimizer, schedule)
    expected = rates(model, optimizer, schedule, 5)
    assert len(set(expected)) > 1
    other = net()
    fresh = optim.SGD(other.parameters(), lr=0.05, momentum=0.9)
    again = make(fresh)
    training.load_checkpoint(tmp_path / "last.safetensors", other, fresh, again)
    assert rates(other, fresh, again, 5) == expected
