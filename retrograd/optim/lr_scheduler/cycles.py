"""Rates that go up and down, with the momentum going down and up: CyclicLR (Smith 2017) and OneCycleLR."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from retrograd.optim.lr_scheduler.base import (
    LRScheduler,
    Rates,
    assign,
    checked_optimizer,
    is_count,
    per_group,
    restore_callable,
    saved_callable,
)
from retrograd.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class Cycle(LRScheduler):
    """Base of schedules that cycle the momentum, or Adam's first beta, against the rate."""

    def _begin_momenta(self, base_momentum: Any, max_momentum: Any, fresh: bool) -> None:
        """Writes the limits of the momentum into the groups, and the upper one as their momentum."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in defaults
        lowest = per_group("base_momentum", self.optimizer, base_momentum)
        highest = per_group("max_momentum", self.optimizer, max_momentum)
        if fresh:
            for group, low, high in zip(self.optimizer.param_groups, lowest, highest, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        self._momenta = lowest, highest

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(Cycle):
    """Triangles between `base_lr` and `max_lr` (Smith 2017, "Cyclical learning rates", section 3.1), step by batch.

    `mode` shrinks them: "triangular" not at all, "triangular2" by half each cycle, "exp_range" by gamma^iteration; or
    `scale_fn`, of the cycle or the iteration as `scale_mode` says. `cycle_momentum` moves the momentum, or Adam's first
    beta, from `max_momentum` down to `base_momentum` as the rate rises.
    Raises ValueError for an unknown mode, lists that do not fit the groups, or an optimizer without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for rate, group in zip(base_lrs, optimizer.param_groups, strict=True):
                assign(group, rate)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"mode {mode!r} is unknown and scale_fn is None; 'triangular', 'triangular2', 'exp_range'")
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momenta(base_momentum, max_momentum, last_epoch == -1)
            self.base_momentums, self.max_momentums = self.__dict__.pop("_momenta")
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of a triangle relative to the first, for a cycle or an iteration."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        scale: float = 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma**x
        return scale

    def _rates(self) -> Rates:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        height = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in limits:
                self._set_momentum(group, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of `scale_fn` the attributes, if it is an object."""
        return {**super().state_dict(), "_scale_fn_custom": saved_callable(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a `state_dict`; `scale_fn` stays."""
        restore_callable(self._scale_fn_custom, state_dict["_scale_fn_custom"])
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_scale_fn_custom"})


class OneCycleLR(Cycle):
    """One rise from max_lr / div_factor to `max_lr` and one fall far below (Smith & Topin 2018, "Super-convergence").

    Step by batch, `total_steps` in all (or epochs · steps_per_epoch); `pct_start` of them rise. The rate ends at the
    initial one / final_div_factor; `three_phase` first mirrors the rise. `anneal_strategy` is "cos" or "linear". The
    momentum, or Adam's first beta, falls to `base_momentum` and rises again.
    Raises ValueError for settings out of range, and when stepped more often than total_steps.

    >>> import retrograd as rg
    >>> optimizer = rg.optim.SGD([rg.nn.Parameter(rg.ones(1))], lr=1.0, momentum=0.9)
    >>> scheduler = rg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, anneal_strategy="linear")
    >>> rates = []
    >>> for _ in range(9):
    ...     rates.append(round(scheduler.get_last_lr()[0], 2))
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.04, 0.52, 1.0, 0.86, 0.71, 0.57, 0.43, 0.29, 0.14]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.total_steps = counted(total_steps, epochs, steps_per_epoch)
        if not (0 <= pct_start <= 1 and isinstance(pct_start, float)):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._schedule_phases = phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        highest = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"], group["max_lr"] = rate / div_factor, rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momenta(base_momentum, max_momentum, last_epoch == -1)
            del self._momenta  # they are in the groups
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        done = (step - start) / (phase["end_step"] - start)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._annealed(*ends, done))
        groups = self.optimizer.param_groups
        return [self._annealed(group[phase["start_lr"]], group[phase["end_lr"]], done) for group in groups]

    def _annealed(self, start: Any, end: Any, done: float) -> Any:
        """The value after a part of the way from start to end."""
        if self._anneal_func_type == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def counted(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """The number of steps of a cycle, given at once or in epochs."""
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    given = {"total_steps": total_steps}
    if total_steps is None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in given.items():
        if not is_count(value):
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(value for value in given.values() if value is not None)


def phases(total: int, rising: float, three: bool) -> list[dict[str, Any]]:
    """When each phase ends, and the settings of a group between which it moves."""

    def phase(end: float, *names: str) -> dict[str, Any]:
        return {"end_step": end, **dict(zip(("start_lr", "end_lr", "start_momentum", "end_momentum"), names))}

    rise = phase(float(rising * total) - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three:
        return [rise, phase(total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    mirrored = phase(float(2 * rising * total) - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")
    return [rise, mirrored, phase(total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
