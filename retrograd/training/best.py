"""The best value so far, and when to stop waiting for a better one (Prechelt 1998, "Early Stopping — But When?")."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.tensor import Tensor
from retrograd.nn import Module

__all__ = ["Best", "EarlyStopping"]


class Best:
    """Remembers the best of the values it sees: the smallest in mode "min" (losses), the largest in "max" (accuracies).

    A value counts as better when it is so by more than min_delta; NaN never does.

    >>> best = Best("max")
    >>> [best.improved(value) for value in (0.5, 0.4, 0.6)]
    [True, False, True]
    """

    def __init__(self, mode: str = "min", min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}.")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must not be negative, got {min_delta!r}.")
        self.mode, self.min_delta = mode, min_delta
        self.value = math.inf if mode == "min" else -math.inf

    def improved(self, value: float | Tensor) -> bool:
        """Whether a value is the best so far, which it then replaces."""
        value = float(value)
        gain = self.value - value if self.mode == "min" else value - self.value
        better = gain > self.min_delta
        if better:
            self.value = value
        return better

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mode={self.mode!r}, value={self.value:g})"


class EarlyStopping:
    """Says when the last `patience` values, of one epoch each, brought no improvement.

    min_delta, mode   what an improvement is, as for `Best`
    Given the model, `step` keeps a copy of its state whenever it improves, for `restore`.
    Raises ValueError for a patience below 1.

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.step(loss) for loss in (1.0, 0.8, 0.9, 0.85)]
    [False, False, False, True]
    >>> stopping.best, stopping.best_epoch
    (0.8, 1)
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, mode: str = "min") -> None:
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {patience!r}.")
        self.patience = patience
        self._best = Best(mode, min_delta)
        self.epoch = -1
        self.best_epoch = -1
        self._state: dict[str, Tensor] | None = None

    @property
    def best(self) -> float:
        """The best value so far."""
        return self._best.value

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    def step(self, value: float | Tensor, model: Module | None = None) -> bool:
        """Takes the value of another epoch; whether to stop."""
        self.epoch += 1
        if self._best.improved(value):
            self.best_epoch = self.epoch
            if model is not None:
                self._state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return self.waited >= self.patience

    def restore(self, model: Module) -> None:
        """Gives the model the state of the best epoch. Raises RuntimeError if no step was given the model."""
        if self._state is None:
            raise RuntimeError("EarlyStopping: no state was kept; call step(value, model) with the model.")
        model.load_state_dict(self._state)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, without the model's state."""
        return {"epoch": self.epoch, "best_epoch": self.best_epoch, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a `state_dict`."""
        self.epoch, self.best_epoch = int(state_dict["epoch"]), int(state_dict["best_epoch"])
        self._best.value = float(state_dict["best"])
