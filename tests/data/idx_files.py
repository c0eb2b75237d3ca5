"""Writes IDX files for the tests, as the format is described, independently of the reader."""

import numpy as np

DTYPE_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(values):
    header = bytes([0, 0, DTYPE_CODES[values.dtype.name], values.ndim])
    shape = np.array(values.shape, ">u4").tobytes()
    return header + shape + values.astype(values.dtype.newbyteorder(">")).tobytes()
