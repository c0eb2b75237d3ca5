"""LRScheduler: what every schedule shares — counting, setting the rates, remembering them."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.optim.optimizer import Optimizer, number

__all__ = ["LRScheduler"]

Rates = list[Any]


class LRScheduler:
    """Sets the learning rate of every parameter group; `step` after each epoch, or batch, of the optimizer's steps.

    A subclass computes the rates in `get_lr` from `last_epoch`, `base_lrs` and the groups. Rates that are Tensors are
    changed in place. `last_epoch` other than -1 resumes: the groups then need "initial_lr", as an optimizer has that
    was saved under a scheduler. Raises TypeError for anything but an optimizer, KeyError for a missing "initial_lr".
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming with last_epoch "
                    f"{last_epoch}; load the optimizer's state first, or leave last_epoch out."
                )
        self.base_lrs: Rates = in_groups(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if not optimizer._scheduled:
            optimizer._scheduled, optimizer._stepped = True, False
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        with flag(self, "_is_initial"):
            self.step()

    def get_last_lr(self) -> Rates:
        """The rates that were set last, one for each group."""
        return self._last_lr

    def get_lr(self) -> Rates:
        """The rates for `last_epoch`; for a look from outside, `get_last_lr` is what you want."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        return self._rates()

    def _rates(self) -> Rates:
        raise NotImplementedError(f"{type(self).__name__} must define get_lr()")

    def step(self, epoch: int | None = None) -> None:
        """Sets the rates of the next epoch; `epoch`, deprecated, jumps to one."""
        if self._step_count == 1:
            warn_of_order(self.optimizer)
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        with flag(self, "_get_lr_called_within_step"):
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            closed_form = getattr(self, "_get_closed_form_lr", None)
            rates = self.get_lr() if epoch is None or closed_form is None else closed_form()
        self._assign(rates)

    def _assign(self, rates: Rates) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            assign(group, rate)
        self._last_lr = in_groups(self.optimizer, "lr")

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, under PyTorch's names."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a `state_dict`; the optimizer's own, with the rates, is to be loaded too."""
        self.__dict__.update(state_dict)


# ---- settings


def checked_optimizer(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def is_count(value: Any) -> bool:
    """Whether this is a positive integer."""
    return isinstance(value, int) and value > 0


def copied(value: Any) -> Any:
    """A copy of a setting that is a Tensor."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def in_groups(optimizer: Optimizer, name: str) -> Rates:
    """A setting of every group."""
    return [copied(group[name]) for group in optimizer.param_groups]


def assign(group: dict[str, Any], rate: Any) -> None:
    """Sets the rate of a group; a Tensor is filled, for others may hold it."""
    if isinstance(group["lr"], Tensor):
        with no_grad():
            group["lr"].fill_(number(rate))
    else:
        group["lr"] = rate


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A setting given once, or as a list with one for each group."""
    if not isinstance(value, (list, tuple)):
        value = [value] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(f"{name} has {len(value)} values, the optimizer {len(optimizer.param_groups)} groups.")
    return [copied(v) for v in value]


# ---- callables in states: functions are left out, objects give their attributes


def saved_callable(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(function.__dict__)


def restore_callable(function: Any, saved: dict[str, Any] | None) -> None:
    if saved is not None:
        function.__dict__.update(saved)


# ---- warnings


@contextmanager
def flag(scheduler: LRScheduler, name: str) -> Iterator[None]:
    """Sets an attribute for the time of a block."""
    setattr(scheduler, name, True)
    try:
        yield
    finally:
        setattr(scheduler, name, False)


def warn_of_order(optimizer: Optimizer) -> None:
    """At a scheduler's first step: there must have been one of the optimizer."""
    if not hasattr(optimizer.step, "hooked"):
        warnings.warn(
            "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization: "
            "whether it is called before `lr_scheduler.step()` is not seen.",
            UserWarning,
            stacklevel=3,
        )
    elif not optimizer._stepped:
        warnings.warn(
            "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the learning rate "
            "schedule is skipped. Call them in the opposite order.",
            UserWarning,
            stacklevel=3,
        )


def warn_of_epoch() -> None:
    warnings.warn(
        "The epoch parameter in `scheduler.step()` is deprecated; call `scheduler.step()` once for every epoch.",
        UserWarning,
        stacklevel=3,
    )
