"""Several schedules for one optimizer: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from retrograd.optim.lr_scheduler.base import LRScheduler, assign, in_groups
from retrograd.optim.lr_scheduler.plateau import ReduceLROnPlateau
from retrograd.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class Combined(LRScheduler):
    """Base of schedulers that hold others; their states are in its own."""

    _schedulers: Sequence[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> Optimizer:
        """Checks the schedulers and returns the optimizer that is theirs."""
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name} does not support ReduceLROnPlateau (index {i}): its step needs a measure.")
            if scheduler.optimizer is not (optimizer or schedulers[0].optimizer):
                raise ValueError(f"{name} expects all schedulers to have one optimizer, that at index {i} has another.")
        self._schedulers = schedulers
        return optimizer or schedulers[0].optimizer

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, and the states of the schedulers."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a `state_dict`, every scheduler from its own."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(saved)


class SequentialLR(Combined):
    """The first scheduler until the first of `milestones`, then the next one from its own beginning, and so on.

    Raises ValueError when there is not one milestone less than schedulers, for a ReduceLROnPlateau, or schedulers of
    different optimizers.

    >>> import retrograd as rg
    >>> from retrograd.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR
    >>> optimizer = rg.optim.SGD([rg.nn.Parameter(rg.ones(1))], lr=1.0)
    >>> warmup, decay = LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)
    >>> scheduler = SequentialLR(optimizer, [warmup, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self.optimizer = self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR expects one milestone less than schedulers, got {len(milestones)} milestones and "
                f"{len(schedulers)} schedulers."
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:  # undo what the schedulers' own beginnings did
            assign(group, group["initial_lr"])
        undo(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Sets the rates of the next epoch, by the scheduler whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(Combined):
    """All schedulers at every step, each changing what the one before it left.

    Raises ValueError for a ReduceLROnPlateau or schedulers of different optimizers.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer = self._take(schedulers, optimizer)
        self._last_lr = in_groups(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Sets the rates of the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = in_groups(self.optimizer, "lr")


def undo(scheduler: LRScheduler) -> None:
    """Takes the beginning of every scheduler inside this one back."""
    if isinstance(scheduler, Combined):
        for inner in scheduler._schedulers:
            undo(inner)
    else:
        scheduler.last_epoch -= 1
