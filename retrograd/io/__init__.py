"""Tensors in files: safetensors, which PyTorch and Hugging Face read and write too. Nothing here unpickles."""

from typing import Any, NoReturn

from retrograd.io.safetensors import load_file, load_metadata, save_file

__all__ = ["load", "load_file", "load_metadata", "save", "save_file"]


def save(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuses to pickle: loading a pickled file runs whatever code it holds.

    >>> save({}, "model.pt")
    Traceback (most recent call last):
        ...
    NotImplementedError: save: nothing is pickled here; use rg.io.save_file(model.state_dict(), "model.safetensors").
    """
    raise NotImplementedError(
        'save: nothing is pickled here; use rg.io.save_file(model.state_dict(), "model.safetensors").'
    )


def load(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuses to unpickle: a pickled file runs whatever code it holds.

    >>> load("model.pt")
    Traceback (most recent call last):
        ...
    NotImplementedError: load: pickled files can run any code, so none is read; use rg.io.load_file on a .safetensors
      file, and convert others with the package safetensors.
    """
    raise NotImplementedError(
        "load: pickled files can run any code, so none is read; use rg.io.load_file on a .safetensors\n"
        "  file, and convert others with the package safetensors."
    )
