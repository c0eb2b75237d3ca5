"""IDX files: what is read, and what each kind of damage says."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrograd.data.idx import read_idx
from tests.data.idx_files import DTYPE_CODES, idx_bytes


@pytest.fixture
def file(tmp_path):
    def write(content, name="values-idx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("dtype", DTYPE_CODES)
def test_every_dtype_is_read_in_native_byte_order(file, dtype):
    values = np.arange(-6, 6).astype(dtype).reshape(2, 3, 2)
    read = read_idx(file(idx_bytes(values)))
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values, strict=True)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (4, 0, 3), (1, 2, 3, 4, 5)])
def test_every_shape_is_read_as_declared(file, shape):
    values = np.ones(shape, np.int16)
    np.testing.assert_array_equal(read_idx(file(idx_bytes(values))), values, strict=True)


def test_the_array_is_writable_and_its_own(file):
    path = file(idx_bytes(np.zeros(3, np.uint8)))
    read_idx(path)[0] = 1
    np.testing.assert_array_equal(read_idx(path), [0, 0, 0])


@pytest.mark.parametrize("name", ["values-idx.gz", "values-idx"])
def test_compression_is_told_by_content_and_not_by_name(file, name):
    values = np.arange(100, dtype=np.int32)
    np.testing.assert_array_equal(read_idx(file(gzip.compress(idx_bytes(values)), name)), values)
    np.testing.assert_array_equal(read_idx(file(idx_bytes(values), name)), values)


def test_a_path_may_be_a_string(file):
    assert read_idx(str(file(idx_bytes(np.zeros(3, np.uint8))))).shape == (3,)


GOOD = idx_bytes(np.arange(6, dtype=np.int16).reshape(2, 3))
GZIPPED = gzip.compress(GOOD)
DAMAGE = {
    "empty": (b"", "starts with nothing; expected 00 00"),
    "cut inside the magic number": (GOOD[:3], "is not an IDX file: it starts with 00 00 0b"),
    "a PNG": (b"\x89PNG\r\n\x1a\n", "is not an IDX file: it starts with 89 50 4e 47; expected 00 00"),
    "text": (b"label,pixel0\n", "is not an IDX file"),
    "an unknown dtype byte": (
        b"\0\0\x0a\x01" + GOOD[4:],
        "it starts with 00 00 0a 01; .*one of 08, 09, 0b, 0c, 0d, 0e",
    ),
    "cut inside the header": (GOOD[:10], "truncated: a header of 2 dimensions takes 12 bytes, got 10"),
    "one byte short": (GOOD[:-1], r"truncated: \(2, 3\) values of int16 take 12 bytes, got 11"),
    "header only": (GOOD[:12], "take 12 bytes, got 0"),
    "one byte long": (GOOD + b"\0", r"longer than its header says: \(2, 3\) values of int16 take 12 bytes, got 13"),
    "a shape beyond any memory": (b"\0\0\x0e\x03" + b"\xff" * 12 + b"1234", "is truncated: .* got 4"),
    "more axes than an array has": (
        b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"7",
        "has the shape .*that no array can take",
    ),
    "lengths beyond any array": (b"\0\0\x08\4" + b"\0" * 4 + b"\xff" * 12, "has the shape .*that no array can take"),
    "gzip, cut": (GZIPPED[:-9], "is truncated; expected a complete gzip file"),
    "gzip, wrong checksum": (GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:], "is damaged .*CRC"),
    "gzip, spoiled stream": (GZIPPED[:10] + b"\xff" * 8 + GZIPPED[18:], "is damaged"),
    "gzip, garbage after it": (GZIPPED + b"garbage", "is damaged"),
    "gzip around a short file": (gzip.compress(GOOD[:-2]), "take 12 bytes, got 10"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_file_and_what_was_expected(file, content, message):
    path = file(content)
    with pytest.raises(ValueError, match="(?s)" + message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"read_idx: {path} ")
    assert str(caught.value).count("\n") < 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"{tmp_path / 'absent'} does not exist; expected an IDX file")
    ):
        read_idx(tmp_path / "absent")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path} is a folder")):
        read_idx(tmp_path)


def read_or_message(path):
    try:
        return read_idx(path), None
    except ValueError as error:
        return None, str(error)


@given(
    content=st.binary(max_size=64),
    start=st.sampled_from([b"", b"\0\0", b"\0\0\x08\x01", b"\0\0\x08\x01\0\0\0", b"\x1f\x8b\x08\0"]),
)
def test_arbitrary_bytes_are_read_or_refused_by_name(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "arbitrary-idx"
    path.write_bytes(start + content)
    values, message = read_or_message(path)
    if message is None:
        assert idx_bytes(values) == start + content
    else:
        assert message.startswith(f"read_idx: {path} ")
