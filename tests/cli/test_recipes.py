"""Every network that the train command knows, run for an epoch as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import retrograd as rg
from retrograd import io
from retrograd.cli import main
from retrograd.cli.recipes import PROGRAMS, language, segmentation, translation
from retrograd.cli.recipes.translation import in_words, padded
from tests.data.idx_files import idx_bytes

FILES = {"model.safetensors", "metrics.json", "curves.png", "graph.svg"}
IMAGES = {
    "mlp": set(),
    "lenet": set(),
    "small_resnet": set(),
    "unet": {"segments.png"},
    "autoencoder": {"reconstructions.png"},
    "vae": {"reconstructions.png", "samples.png"},
    "gan": {"samples.png"},
    "dcgan": {"samples.png"},
}
TEXTS = ("char_rnn", "char_lstm", "char_gru", "gpt")
LARGE = ("alexnet", "vgg", "resnet", "googlenet", "fcn")


@pytest.fixture
def images(tmp_path):
    """A folder like MNIST's with a few images."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 24), ("t10k", 12)):
        labels = (np.arange(count) % 3).astype(np.uint8)
        pictures = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        pictures[np.arange(count), 8 * labels + 4] = 250
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(pictures))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


@pytest.fixture
def short(monkeypatch):
    """Epochs of a few steps."""
    monkeypatch.setattr(language, "STEPS", 2)
    monkeypatch.setattr(language, "WRITTEN", 10)
    monkeypatch.setattr(segmentation, "TRAINING", 4)
    monkeypatch.setattr(segmentation, "TEST", 8)
    monkeypatch.setattr(translation, "NUMBERS", 60)
    monkeypatch.setattr(translation, "TEST", 20)


def trained(name, data, out):
    """The files of a run of one epoch, and its measures."""
    assert main(["train", name, "--data", str(data), "--epochs", "1", "--batch-size", "4", "--out", str(out)]) == 0
    return {path.name for path in out.iterdir()}, json.loads((out / "metrics.json").read_text())


@pytest.mark.parametrize("name", IMAGES)
def test_a_network_of_images_trains_and_shows_what_it_makes(name, images, tmp_path, short):
    files, metrics = trained(name, images, tmp_path / "run")
    assert files == FILES | IMAGES[name]
    assert metrics[PROGRAMS[name].recipe.MEASURE.name] == metrics[f"epoch_{PROGRAMS[name].recipe.MEASURE.name}"][-1]
    for picture in IMAGES[name]:
        assert (tmp_path / "run" / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TEXTS)
def test_a_language_model_trains_on_a_text_and_writes(name, tmp_path, short):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question\n" * 40)
    files, metrics = trained(name, text, tmp_path / "run")
    assert files == FILES | {"sample.txt"}
    assert metrics["test_bits_per_character"] == pytest.approx(metrics["test_loss"] / np.log(2))
    assert len((tmp_path / "run" / "sample.txt").read_text()) == 11


def test_the_transformer_trains_on_numbers_in_words_and_translates(tmp_path, short):
    files, metrics = trained("transformer", "numbers", tmp_path / "run")
    assert files == FILES | {"translations.txt"}
    assert 0 <= metrics["test_exactly_right"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_a_large_network_trains_too(name, images, tmp_path):
    files, _ = trained(name, images, tmp_path / "run")
    assert files == FILES


def test_the_small_networks_of_these_tests_and_the_large_ones_are_all_there_are():
    assert {n for n in PROGRAMS if not n.startswith(LARGE)} == {*IMAGES, *TEXTS, "transformer"}


def test_a_saved_network_gives_the_reported_loss(images, tmp_path, short):
    _, metrics = trained("autoencoder", images, tmp_path / "run")
    program = PROGRAMS["autoencoder"]
    sets = program.recipe.load(str(images))
    again = program.recipe(program, sets, program.recipe.PLAN)
    again.model.load_state_dict(io.load_file(tmp_path / "run" / "model.safetensors"))
    assert again.measure()["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "char_lstm"], "is no text file and no folder with .txt files"),
        (["train", "gpt", "--data", "no-such.txt"], "is no text file and no folder with .txt files"),
        (["train", "transformer", "--data", "mnist"], "the translation is of 'numbers' alone"),
        (["train", "vae", "--data", "no-such"], "nor a folder with IDX files"),
        (["train", "resnet999"], "invalid choice"),
    ],
)
def test_data_that_do_not_suit_a_network_are_named(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_a_text_that_is_too_short_for_a_window_is_named(tmp_path, capsys):
    (tmp_path / "short.txt").write_text("abc")
    assert main(["train", "char_rnn", "--data", str(tmp_path / "short.txt"), "--out", str(tmp_path / "run")]) == 2
    assert "a window of 64 characters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (99, "ninety nine"), (4017, "four thousand seventeen")],
)
def test_a_number_is_written_in_words(number, words):
    assert " ".join(in_words(number)) == words


def test_rows_are_filled_up_to_the_longest():
    assert rg.equal(padded([[1], [2, 3]]), rg.tensor([[1, 0], [2, 3]]))
