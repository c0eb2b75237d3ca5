"""MNIST and Fashion-MNIST: found in a folder, in the cache, or downloaded; refused when they do not fit."""

import gzip
import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

from retrograd.data import mnist as module
from retrograd.data.mnist import fashion_mnist, mnist, read_mnist
from tests.data.idx_files import idx_bytes

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def small_set():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 28, 28), np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    return {IMAGES: pixels[:8], LABELS: labels[:8], TEST_IMAGES: pixels[8:], TEST_LABELS: labels[8:]}


def write(folder, values, compressed=True):
    folder.mkdir(exist_ok=True)
    for name, array in values.items():
        content = idx_bytes(array)
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(content, mtime=0) if compressed else content)
    return folder


def assert_holds(found, expected):
    for array, name in zip(found, (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), strict=True):
        np.testing.assert_array_equal(array, expected[name], strict=True)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_folder_is_read_with_or_without_compression(tmp_path, compressed):
    found = read_mnist(write(tmp_path, small_set(), compressed))
    assert_holds(found, small_set())
    assert_holds((found.train_images, found.train_labels, found.test_images, found.test_labels), small_set())


@pytest.mark.parametrize("name", [IMAGES, LABELS, TEST_IMAGES, TEST_LABELS])
def test_a_missing_file_is_named(tmp_path, name):
    (write(tmp_path, small_set()) / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path} has neither {name}.gz nor {name}")):
        read_mnist(tmp_path)


MISFITS = {
    "labels instead of images": ({IMAGES: np.zeros(8, np.uint8)}, r"holds uint8 \(8,\); expected images"),
    "images of another size": ({IMAGES: np.zeros((8, 8, 8), np.uint8)}, r"holds uint8 \(8, 8, 8\); expected images"),
    "images of another dtype": ({TEST_IMAGES: np.zeros((4, 28, 28), np.float32)}, r"float32 .* uint8 \(n, 28, 28\)"),
    "no images": ({IMAGES: np.zeros((0, 28, 28), np.uint8), LABELS: np.zeros(0, np.uint8)}, "n ≥ 1"),
    "a value without axes": ({IMAGES: np.zeros((), np.uint8)}, r"holds uint8 \(\); expected images"),
    "too few labels": (
        {LABELS: np.zeros(7, np.uint8)},
        r"holds uint8 \(7,\); expected a label for each of the\s+8 images",
    ),
    "labels of another dtype": ({TEST_LABELS: np.zeros(4, np.float32)}, r"holds float32 \(4,\); .*\s+4 images"),
    "a label beyond nine": ({LABELS: np.full(8, 10, np.uint8)}, "has the label 10; expected 0 to 9"),
}


@pytest.mark.parametrize(("spoiled", "message"), MISFITS.values(), ids=MISFITS)
def test_files_that_do_not_fit_are_refused_by_name(tmp_path, spoiled, message):
    write(tmp_path, small_set() | spoiled)
    with pytest.raises(ValueError, match=message) as caught:
        read_mnist(tmp_path)
    assert next(iter(spoiled)) in str(caught.value)
    assert str(caught.value).count("\n") < 3


@pytest.fixture
def published(web, monkeypatch, tmp_path):
    """A small data set published by the local server under the library's names, and an empty cache."""
    monkeypatch.setenv("RETROGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETROGRAD_DATA", raising=False)
    originals = write(tmp_path / "originals", small_set())
    sums = []
    for name in (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS):
        content = (originals / f"{name}.gz").read_bytes()
        web.put(f"/good/{name}.gz", content)
        sums.append(hashlib.md5(content).hexdigest())
    for source in ("_MNIST", "_FASHION_MNIST"):
        known = getattr(module, source)
        monkeypatch.setattr(module, source, type(known)(known.folder, known.mirrors, tuple(sums)))
    return web


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
@pytest.mark.parametrize("slash", ["", "/"])
def test_what_the_cache_lacks_is_downloaded_once(published, load, slash):
    mirrors = [published.address + "/bad" + slash, published.address + "/good" + slash]
    assert_holds(load(mirrors=mirrors), small_set())
    assert len(published.requests) == 8
    assert_holds(load(mirrors=mirrors), small_set())
    assert len(published.requests) == 8


def test_progress_is_reported_file_by_file(published):
    seen = {}
    mnist(
        mirrors=[published.address + "/good"],
        progress=lambda file, done, announced: seen.update({file: done == announced}),
    )
    assert seen == {f"{name}.gz": True for name in (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS)}


def test_the_two_data_sets_are_cached_apart(published, tmp_path):
    mnist(mirrors=[published.address + "/good"])
    fashion_mnist(mirrors=[published.address + "/good"])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["fashion-mnist", "mnist"]


def test_an_unreachable_data_set_says_which_file_and_where_to_put_it(published, tmp_path):
    with pytest.raises(OSError, match=f"no mirror delivered {IMAGES}.gz: .*404(?s:.*)put the file with MD5 .* at "):
        mnist(mirrors=[published.address + "/bad"])
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []


def test_a_given_folder_is_read_and_nothing_is_fetched(published, tmp_path):
    assert_holds(mnist(tmp_path / "originals"), small_set())
    with pytest.raises(FileNotFoundError, match="no folder .*typo"):
        mnist(tmp_path / "typo")
    assert published.requests == []
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(("load", "folder"), [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")])
def test_the_data_folder_of_the_environment_comes_before_the_cache(published, monkeypatch, tmp_path, load, folder):
    (tmp_path / "shelf").mkdir()
    write(tmp_path / "shelf" / folder, small_set())
    monkeypatch.setenv("RETROGRAD_DATA", str(tmp_path / "shelf"))
    assert_holds(load(), small_set())
    assert published.requests == []


@pytest.mark.parametrize(("source", "load"), [("_MNIST", mnist), ("_FASHION_MNIST", fashion_mnist)])
def test_the_originals_have_the_published_sums_and_sizes(source, load):
    known = getattr(module, source)
    folder = Path(os.environ.get("RETROGRAD_DATA", ""), known.folder)
    if not os.environ.get("RETROGRAD_DATA") or not folder.is_dir():
        pytest.skip(f"RETROGRAD_DATA names no folder with {known.folder}")
    for name, md5 in zip((IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), known.md5, strict=True):
        assert hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest() == md5
    data = load()
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_images.shape == (10_000, 28, 28)
    assert set(data.train_labels.tolist()) == set(data.test_labels.tolist()) == set(range(10))
