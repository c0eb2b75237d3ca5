"""Tensors in safetensors files: the format of PyTorch's and Hugging Face's weights, which holds numbers and no code.

The layout is read and written by the `safetensors` package (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.files import atomic_write

__all__ = ["load_file", "load_metadata", "save_file"]


def save_file(
    tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Save named tensors, a `state_dict()` for example, in one safetensors file that appears whole or not at all.

    Values are stored, from any device: tensors that share memory are each written out, and gradients are not.
    Raises TypeError for anything but tensors under string names, FileNotFoundError where the folder does not exist,
    ImportError without the package safetensors.

    >>> import os, tempfile, retrograd as rg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_file({"weight": rg.tensor([1.0, 2.0])}, path)
    ...     load_file(path)
    {'weight': tensor([1., 2.])}
    """
    library = _library("save_file")
    target = _checked_path("save_file", path)
    arrays = {name: _host_array(name, value) for name, value in _checked_items(tensors)}
    content = library.numpy.save(arrays, metadata=_checked_metadata(metadata))
    with atomic_write(target) as file:
        file.write(content)


def load_file(path: str | os.PathLike[str], device: Any = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file under their names, on a device (by default the default one).

    NumPy has no bfloat16: such tensors come as float32, which holds the same values.
    Raises FileNotFoundError when there is no such file, ValueError when it is no safetensors file, is truncated, or
    holds a dtype that tensors here cannot have, ImportError without the package safetensors.
    """
    library = _library("load_file")
    source = _existing("load_file", path)
    try:
        arrays = _read(library, source)
    except library.SafetensorError as error:
        raise ValueError(
            f"load_file: {source} ({source.stat().st_size} bytes) is no complete safetensors file: {error}.\n"
            "  Fetch or save it again; pickled files (.pt, .pth, .bin) are not read, convert them with safetensors."
        ) from error
    return {name: from_host(array, device) for name, array in arrays.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that were saved beside the tensors, `save_file`'s metadata; empty if there were none.

    Raises as `load_file` does.
    """
    library = _library("load_metadata")
    source = _existing("load_metadata", path)
    try:
        with library.safe_open(source, framework="numpy") as file:
            return dict(file.metadata() or {})
    except library.SafetensorError as error:
        raise ValueError(f"load_metadata: {source} is no complete safetensors file: {error}.") from error


def _library(caller: str) -> Any:
    try:
        library = importlib.import_module("safetensors")
        importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError(
            f"{caller} needs the package safetensors; install it with: pip install 'retrograd[demo]'"
        ) from error
    return library


def _checked_path(caller: str, path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{caller}: expected the path of a file, got {type(path).__name__}.")
    if not os.fspath(path):
        raise ValueError(f"{caller}: the path is empty; name a file, e.g. model.safetensors.")
    if Path(path).is_dir():
        raise IsADirectoryError(f"{caller}: {path} is a folder; name a file in it, e.g. model.safetensors.")
    return Path(path)


def _existing(caller: str, path: str | os.PathLike[str]) -> Path:
    source = _checked_path(caller, path)
    if not source.is_file():
        raise FileNotFoundError(f"{caller}: {source} does not exist; expected a .safetensors file.")
    return source


def _checked_items(tensors: Any) -> Any:
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"save_file: expected a dict of names and tensors, got {type(tensors).__name__}; "
            "of a module, save module.state_dict()."
        )
    return tensors.items()


def _host_array(name: Any, value: Any) -> NDArray[Any]:
    """The value in the host's memory, in C order: the library would write the memory of other orders as it lies."""
    if not isinstance(name, str):
        raise TypeError(f"save_file: names must be strings, got {name!r}.")
    if not isinstance(value, Tensor):
        raise TypeError(f"save_file: expected a Tensor under {name!r}, got {type(value).__name__}.")
    return np.asarray(namespace(value).to_host(value.array), order="C")


def _checked_metadata(metadata: Any) -> dict[str, str] | None:
    if metadata is None:
        return None
    texts = isinstance(metadata, Mapping) and all(isinstance(text, str) for item in metadata.items() for text in item)
    if not texts:
        raise TypeError(f"save_file: metadata must be a dict of strings, got {metadata!r}.")
    return dict(metadata)


def _read(library: Any, source: Path) -> dict[str, NDArray[Any]]:
    with library.safe_open(source, framework="numpy") as file:
        names = list(file.keys())
        dtypes = {name: file.get_slice(name).get_dtype() for name in names}
        plain = {name: file.get_tensor(name) for name in names if _supported(source, name, dtypes[name])}
    if len(plain) == len(names):
        return plain
    wide = {
        name: _widened(stored) for name, stored in library.deserialize(source.read_bytes()) if dtypes[name] == _BFLOAT16
    }
    return {name: plain[name] if name in plain else wide[name] for name in names}


_BFLOAT16 = "BF16"
_SUPPORTED = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64"}


def _supported(source: Path, name: str, dtype: str) -> bool:
    """Whether NumPy has the dtype; bfloat16 is read by other means, and any other dtype raises."""
    if dtype not in _SUPPORTED and dtype != _BFLOAT16:
        _refuse(source, name, dtype)
    return dtype in _SUPPORTED


def _refuse(source: Path, name: str, dtype: str) -> NoReturn:
    raise ValueError(
        f"load_file: {source} holds {name!r} in the dtype {dtype}, which tensors here cannot have; "
        "convert it to float32 before saving."
    )


def _widened(stored: dict[str, Any]) -> NDArray[np.float32]:
    """bfloat16 is the upper half of a float32."""
    halves = np.frombuffer(stored["data"], "<u2").astype(np.uint32)
    return (halves << np.uint32(16)).view(np.float32).reshape(stored["shape"])
