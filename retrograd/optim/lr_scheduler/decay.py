"""Rates that are multiplied by a factor: constant ones, steps, powers, lines, polynomials, functions of the user's."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from retrograd.optim.lr_scheduler.base import LRScheduler, Rates, in_groups, restore_callable, saved_callable
from retrograd.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "RobbinsMonro",
    "StepLR",
]

Factor = Callable[[int], float]


class FactorOfUser(LRScheduler):
    """Base of schedules by functions of the epoch, one for all groups or a list with one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(self.lr_lambdas)}")
        for factor in self.lr_lambdas:
            if not callable(factor):
                raise TypeError(f"lr_lambda should be a function, but got {type(factor).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions; of objects that are called, their attributes."""
        return {**super().state_dict(), "lr_lambdas": [saved_callable(factor) for factor in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a `state_dict`; the functions stay."""
        for factor, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            restore_callable(factor, saved)
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})


class LambdaLR(FactorOfUser):
    """The initial rate times lr_lambda(epoch).

    >>> import retrograd as rg
    >>> optimizer = rg.optim.SGD([rg.nn.Parameter(rg.ones(1))], lr=1.0)
    >>> scheduler = rg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 ** epoch)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def _rates(self) -> Rates:
        return [base * factor(self.last_epoch) for factor, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(FactorOfUser):
    """The last rate times lr_lambda(epoch)."""

    def _rates(self) -> Rates:
        if self._is_initial:
            return in_groups(self.optimizer, "lr")
        groups = self.optimizer.param_groups
        return [group["lr"] * factor(self.last_epoch) for factor, group in zip(self.lr_lambdas, groups, strict=True)]


class Multiplied(LRScheduler):
    """Base of schedules that multiply the rates of all groups by one factor."""

    def _factor(self) -> float | None:
        """The factor of this epoch; None leaves the rates as they are."""
        raise NotImplementedError

    def _rates(self) -> Rates:
        factor = self._factor()
        if factor is None:
            return in_groups(self.optimizer, "lr")
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _whole_factor(self) -> float:
        """The product of all factors so far, in closed form."""
        raise NotImplementedError

    def _get_closed_form_lr(self) -> Rates:
        return [base * self._whole_factor() for base in self.base_lrs]


class StepLR(Multiplied):
    """Multiplies the rates by `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size != 0 else self.gamma

    def _whole_factor(self) -> float:
        whole: float = self.gamma ** (self.last_epoch // self.step_size)
        return whole


class MultiStepLR(Multiplied):
    """Multiplies the rates by `gamma` at every epoch of `milestones`, as often as it is listed."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return self.gamma ** self.milestones[self.last_epoch] if self.last_epoch in self.milestones else None

    def _whole_factor(self) -> float:
        whole: float = self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return whole


class ConstantLR(Multiplied):
    """The rates times `factor` until epoch `total_iters`. Raises ValueError for a factor outside [0, 1]."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"Constant multiplicative factor expected to be between 0 and 1, got {factor}.")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else None

    def _whole_factor(self) -> float:
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(Multiplied):
    """The rates times a factor on the line from `start_factor` to `end_factor`, reached at epoch `total_iters`.

    A warm-up by default. Raises ValueError for factors that are not in (0, 1] and [0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"Starting multiplicative factor expected to be above 0 and up to 1, got {start_factor}.")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"Ending multiplicative factor expected to be between 0 and 1, got {end_factor}.")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _get_closed_form_lr(self) -> Rates:
        rise, reached = self.end_factor - self.start_factor, min(self.total_iters, self.last_epoch)
        return [base * (self.start_factor + rise * reached / self.total_iters) for base in self.base_lrs]


class ExponentialLR(Multiplied):
    """Multiplies the rates by `gamma` at every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self._is_initial else self.gamma

    def _whole_factor(self) -> float:
        whole: float = self.gamma**self.last_epoch
        return whole


class PolynomialLR(Multiplied):
    """The initial rates times (1 − epoch / total_iters)^power, 0 from epoch `total_iters` on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        now, before = 1.0 - self.last_epoch / self.total_iters, 1.0 - (self.last_epoch - 1) / self.total_iters
        factor: float = (now / before) ** self.power
        return factor

    def _whole_factor(self) -> float:
        whole: float = (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
        return whole


class RobbinsMonro(LRScheduler):
    """The initial rate a as a / n^power at step n = 1, 2, ...: stochastic gradient descent then converges.

    For 1/2 < power ≤ 1 the rates sum up to infinity and their squares do not (Robbins & Monro 1951, equation 26).
    Raises ValueError for another power. PyTorch has this schedule as LambdaLR(optimizer, lambda n: 1 / (n + 1)).

    >>> import retrograd as rg
    >>> optimizer = rg.optim.SGD([rg.nn.Parameter(rg.ones(1))], lr=1.0)
    >>> scheduler = rg.optim.lr_scheduler.RobbinsMonro(optimizer)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    def __init__(self, optimizer: Optimizer, power: float = 1.0, last_epoch: int = -1) -> None:
        if not 0.5 < power <= 1.0:
            raise ValueError(f"RobbinsMonro: power must be above 0.5 and up to 1, got {power}; the rates a / n^power")
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        return [base / (self.last_epoch + 1) ** self.power for base in self.base_lrs]

    _get_closed_form_lr = _rates
