"""A training in one safetensors file: tensors under their names, the rest as JSON beside them. Nothing is pickled."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.autograd.methods.random import get_rng_state, set_rng_state
from retrograd.autograd.tensor import Tensor
from retrograd.io import load_file, load_metadata, save_file
from retrograd.nn import Module
from retrograd.training.best import Best

__all__ = ["BestCheckpoint", "load_checkpoint", "save_checkpoint"]

Path = str | os.PathLike[str]

_KEY = "retrograd.checkpoint"


def save_checkpoint(path: Path, model: Module, optimizer: Any = None, scheduler: Any = None, **facts: Any) -> None:
    """Saves all that a training needs to go on: states of model, optimizer and scheduler, the default random stream,
    and `facts` such as epoch=3: numbers, texts, tensors, and lists, tuples and dicts of them.

    The file appears whole or not at all. The model's tensors are named as in its state dict, after "model.".
    Raises TypeError, naming the place, for anything that is none of these, such as a function.

    >>> import os, tempfile, retrograd as rg
    >>> model = rg.nn.Linear(2, 1)
    >>> optimizer = rg.optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "last.safetensors")
    ...     save_checkpoint(path, model, optimizer, epoch=3)
    ...     load_checkpoint(path, model, optimizer)
    {'epoch': 3}
    """
    content = {"model": model.state_dict(), "facts": facts, "rng": get_rng_state()}
    for name, part in (("optimizer", optimizer), ("scheduler", scheduler)):
        if part is not None:
            content[name] = part.state_dict()
    tensors: dict[str, Tensor] = {}
    described = packed(content, "", tensors)
    save_file(tensors, path, metadata={_KEY: json.dumps(described)})


def load_checkpoint(
    path: Path, model: Module, optimizer: Any = None, scheduler: Any = None, restore_rng: bool = True
) -> dict[str, Any]:
    """Continues from a file of `save_checkpoint`: fills what is given, and returns the facts.

    Raises FileNotFoundError when there is no such file, ValueError for another kind of file and for a part that was not
    saved, RuntimeError when the model does not fit (and then nothing has changed).
    """
    tensors, described = load_file(path, device="cpu"), load_metadata(path).get(_KEY)
    if described is None:
        raise ValueError(f"load_checkpoint: {path} was not written by save_checkpoint; load_file reads its tensors.")
    content = unpacked(json.loads(described), tensors)
    parts = {"optimizer": optimizer, "scheduler": scheduler}
    for name, part in parts.items():
        if part is not None and name not in content:
            raise ValueError(f"load_checkpoint: {path} holds no {name}; it was saved without one.")
    model.load_state_dict(content["model"])
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(content[name])
    if restore_rng:
        set_rng_state(content["rng"])
    facts: dict[str, Any] = content["facts"]
    return facts


class BestCheckpoint:
    """Keeps the checkpoint of the best value so far in a file.

    mode, min_delta: what is better, as for `Best`.

    >>> import os, tempfile, retrograd as rg
    >>> model = rg.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best = BestCheckpoint(os.path.join(folder, "best.safetensors"))
    ...     [best.step(loss, model) for loss in (0.7, 0.9, 0.6)]
    [True, False, True]
    """

    def __init__(self, path: Path, mode: str = "min", min_delta: float = 0.0) -> None:
        self.path = path
        self._best = Best(mode, min_delta)

    @property
    def best(self) -> float:
        """The best value so far."""
        return self._best.value

    def step(
        self, value: float | Tensor, model: Module, optimizer: Any = None, scheduler: Any = None, **facts: Any
    ) -> bool:
        """Saves, as `save_checkpoint` does, if the value is the best so far; whether it was."""
        before = self._best.value
        if not self._best.improved(value):
            return False
        try:
            save_checkpoint(self.path, model, optimizer, scheduler, **facts, value=self.best)
        except BaseException:
            self._best.value = before  # the file still holds the one before
            raise
        return True

    def restore(self, model: Module, optimizer: Any = None, scheduler: Any = None) -> dict[str, Any]:
        """Gives model, optimizer and scheduler their best states; the facts, and the value, that were saved with them.

        The random stream goes on. From now on only what is better than that value is saved.
        """
        facts = load_checkpoint(self.path, model, optimizer, scheduler, restore_rng=False)
        self._best.value = float(facts["value"])
        return facts


def packed(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON has it; tensors are put under the name of their place, and what JSON lacks under a key with $."""
    if isinstance(value, Tensor):
        tensors[place] = value.detach()
        return {"$tensor": place}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.number)):
        return value.item()
    if isinstance(value, Mapping):
        pairs = [[key, packed(item, f"{place}.{key}" if place else str(key), tensors)] for key, item in value.items()]
        if isinstance(value, collections.Counter):
            return {"$counter": pairs}
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return dict(pairs)
        return {"$pairs": pairs}
    if isinstance(value, (list, tuple, collections.deque)):
        items = [packed(item, f"{place}.{i}", tensors) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"save_checkpoint: {place} is a {type(value).__name__}, which no file without code can hold;\n"
        "  leave it out and make it again before loading."
    )


def unpacked(described: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `packed` described."""
    if isinstance(described, list):
        return [unpacked(item, tensors) for item in described]
    if not isinstance(described, dict):
        return described
    if "$tensor" in described:
        return tensors[described["$tensor"]]
    if "$tuple" in described:
        return tuple(unpacked(described["$tuple"], tensors))
    for kind, make in (("$counter", collections.Counter), ("$pairs", dict)):
        if kind in described:
            return make({key: unpacked(item, tensors) for key, item in described[kind]})
    return {key: unpacked(item, tensors) for key, item in described.items()}
