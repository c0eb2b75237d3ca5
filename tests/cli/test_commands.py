"""The command line, run as a user runs it: files appear, mistakes are one line, and nothing is left half-written."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import retrograd as rg
from retrograd import io, models
from retrograd.cli import main
from retrograd.cli.datasets import load
from tests.data.idx_files import idx_bytes

FILES = {"model.safetensors", "metrics.json", "curves.png", "graph.svg"}


@pytest.fixture
def tiny_mnist(tmp_path):
    """A folder like MNIST's: 28×28 images whose bright row is their class."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 300), ("t10k", 100)):
        labels = rng.integers(0, 4, count).astype(np.uint8)
        images = rng.integers(0, 40, (count, 28, 28)).astype(np.uint8)
        images[np.arange(count), 7 * labels] += 150
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


def train(tiny_mnist, out, *more):
    return main(["train", "mlp", "--data", str(tiny_mnist), "--out", str(out), "--epochs", "20", "--lr", "0.01", *more])


def test_training_writes_four_files_and_learns(tiny_mnist, tmp_path):
    out = tmp_path / "run"
    assert train(tiny_mnist, out) == 0
    assert {path.name for path in out.iterdir()} == FILES
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.95
    assert len(metrics["train_loss"]) == 20
    assert metrics["train_loss"][-1] < metrics["train_loss"][0]
    assert metrics["seconds"] > 0
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "3.weight" in "".join(ElementTree.parse(out / "graph.svg").getroot().itertext())


def test_the_saved_weights_give_the_reported_accuracy(tiny_mnist, tmp_path):
    out = tmp_path / "run"
    train(tiny_mnist, out)
    model = models.mlp(784)
    model.load_state_dict(io.load_file(out / "model.safetensors"))
    images, labels = load(str(tiny_mnist))[1].tensors
    accuracy = (model(images).argmax(dim=1) == labels).float().mean().item()
    assert accuracy == pytest.approx(json.loads((out / "metrics.json").read_text())["test_accuracy"])


def test_the_first_network_learns_the_digits_to_97_percent(tmp_path):
    assert main(["train", "mlp", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert json.loads((tmp_path / "metrics.json").read_text())["test_accuracy"] >= 0.97


def test_training_pixels_have_mean_0_and_deviation_1_and_no_test_sample_is_among_them():
    train_set, test_set = load("digits")
    images, _ = train_set.tensors
    assert (len(train_set), len(test_set)) == (1438, 359)
    assert images.mean().item() == pytest.approx(0, abs=1e-6)
    assert images.std().item() == pytest.approx(1)
    seen = {image.tobytes() for image in images.numpy()}
    assert not any(image.tobytes() in seen for image in test_set.tensors[0].numpy())


def test_the_same_seed_gives_the_same_losses_and_another_seed_does_not(tiny_mnist, tmp_path):
    losses = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        train(tiny_mnist, tmp_path / name, "--seed", seed)
        losses.append(json.loads((tmp_path / name / "metrics.json").read_text())["train_loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_strict_backend_gives_the_same_losses(tiny_mnist, tmp_path):
    losses = []
    for device in ("cpu", "strict"):
        train(tiny_mnist, tmp_path / device, "--device", device, "--epochs", "3")
        losses.append(json.loads((tmp_path / device / "metrics.json").read_text())["train_loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_a_model_is_drawn(tmp_path, capsys):
    out = tmp_path / "m.svg"
    assert main(["graph", "mlp", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert "Addmm" in out.read_text()


def test_info_names_versions_and_devices(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert np.__version__ in printed
    assert "cpu" in printed
    assert "BLAS" in printed
    assert f"kernels         {rg.get_kernels()}" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mlp", "--data", "no-such"], "neither one of digits, mnist, fashion-mnist nor a folder"),
        (["train", "mlp", "--device", "tpu"], "tpu"),
        (["train", "mlp", "--epochs", "0"], "is not a whole number of 1 or more"),
        (["train", "mlp", "--batch-size", "-3"], "is not a whole number of 1 or more"),
        (["train", "mlp", "--batch-size", "many"], "is not a whole number of 1 or more"),
        (["train", "mlp", "--lr", "nan"], "not a finite number above 0"),
        (["train", "mlp", "--lr", "-1"], "not a finite number above 0"),
        (["train", "mlp", "--lr", "inf"], "not a finite number above 0"),
        (["train", "mlp", "--lr", "fast"], "not a finite number above 0"),
        (["train", "mlp", "--seed", "x"], "invalid int value: 'x'"),
        (["train", "mlp", "--seed", "99999999999999999999"], "seed"),
        (["train", "resnet"], "invalid choice"),
        (["train", "mlp", "--colour", "red"], "unrecognized arguments"),
        (["graph", "mlp", "--out", "g.jpeg"], "ends in none of"),
        (["graph", "mlp", "--out", "no/such/folder/g.svg"], "does not exist"),
        (["fly"], "invalid choice"),
        ([], "required"),
    ],
)
def test_a_mistake_is_named_and_ends_with_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_results_that_cannot_be_written_are_refused_before_the_training(tiny_mnist, tmp_path, capsys):
    file = tmp_path / "taken"
    file.write_text("mine")
    assert train(tiny_mnist, file) == 2
    assert f"cannot write results to {str(file)!r}" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_damaged_data_leave_no_results(tiny_mnist, tmp_path, capsys):
    images = tiny_mnist / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-5])
    out = tmp_path / "run"
    assert train(tiny_mnist, out) == 2
    assert "train-images-idx3-ubyte" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_a_loss_that_overflows_is_named_and_leaves_no_results(tiny_mnist, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(tiny_mnist, out, "--lr", "1e38") == 2
    assert re.search("the loss became (nan|inf) in epoch [1-9]: try a --lr below 1e\\+38", capsys.readouterr().err)
    assert list(out.iterdir()) == []


def test_an_interrupted_training_leaves_the_older_results_as_they_were(tiny_mnist, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    train(tiny_mnist, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("retrograd.cli.train.draw_graph", interrupt)  # the last of the four files
    assert train(tiny_mnist, out, "--seed", "1") == 130
    assert "interrupted" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_without_graphviz_the_graph_is_written_as_text(tiny_mnist, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert train(tiny_mnist, tmp_path / "run") == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {"graph.svg"} | {"graph.dot"}
    assert "apt-get install graphviz" in capsys.readouterr().out


def test_nothing_but_the_outcome_is_printed_where_there_is_no_terminal(tiny_mnist, tmp_path, capsys):
    train(tiny_mnist, tmp_path)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n") == 1


def test_the_device_variable_chooses_the_device_and_a_wrong_one_is_named():
    environment = {**os.environ, "RETROGRAD_DEVICE": "abacus"}
    command = [sys.executable, "-m", "retrograd.cli", "info"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "abacus" in result.stderr
