"""Averages of a model's weights along its training: stochastic weight averaging (Izmailov et al. 2018) and EMA."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from retrograd import nn
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor, make
from retrograd.backends import device_of
from retrograd.nn.module import Module
from retrograd.optim.lr_scheduler.base import LRScheduler, Rates, per_group
from retrograd.optim.optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The average that keeps `decay` of itself: an exponential moving average. ValueError outside [0, 1]."""
    check_decay(decay)

    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Any:
        with no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Average:
    """The average in which every model so far has the same weight."""

    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Any:
        with no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` over lists, in place."""
    return over_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` over lists, in place."""
    return over_lists(get_swa_avg_fn())


def check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def over_lists(average: Average) -> MultiAverage:
    def update(averaged: list[Tensor], current: list[Tensor], num_averaged: Any) -> None:
        with no_grad():
            for mean, new in zip(averaged, current, strict=True):
                mean.copy_(average(mean, new, num_averaged))

    return update


class AveragedModel(Module):
    """A copy of a model that holds the average of its parameters over all calls of `update_parameters`.

    `avg_fn(averaged, current, num_averaged)` gives the new average of one Tensor, `multi_avg_fn` changes lists of them
    in place; without either all models count the same. Buffers are copied, or averaged too with `use_buffers`.
    Raises AssertionError when both functions are given.

    >>> import retrograd as rg
    >>> model = rg.nn.Linear(1, 1, bias=False)
    >>> averaged = rg.optim.swa_utils.AveragedModel(model)
    >>> for value in [1.0, 2.0, 6.0]:
    ...     _ = rg.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(rg.ones(1, 1)).item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        count = make(np.zeros((), np.int64))
        if device is not None:
            self.module = self.module.to(device)
            count = count.to(device)
        self.register_buffer("n_averaged", count)
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the model's present weights into the average."""
        with no_grad():
            self._update(model)

    def _update(self, model: Module) -> None:
        own, new = self._averaged(self.module), [p.detach() for p in self._averaged(model)]
        new = [current.to(device_of(mean._array)) for mean, current in zip(own, new)]
        count = self.n_averaged.item()
        if count == 0:
            for mean, current in zip(own, new):
                mean.detach().copy_(current)
        else:
            self._average([mean.detach() for mean in own], new)
        if not self.use_buffers:
            for mean, current in zip(self.module.buffers(), model.buffers()):
                mean.copy_(current.detach().to(device_of(mean._array)))
        self.n_averaged += 1

    def _averaged(self, model: Module) -> list[Tensor]:
        return list(itertools.chain(model.parameters(), model.buffers() if self.use_buffers else ()))

    def _average(self, own: list[Tensor], new: list[Tensor]) -> None:
        update = self.multi_avg_fn or over_lists(self.avg_fn or get_swa_avg_fn())
        alike: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
        for mean, current in zip(own, new):
            lists = alike.setdefault((str(device_of(mean._array)), mean.dtype), ([], []))
            lists[0].append(mean)
            lists[1].append(current)
        for means, currents in alike.values():
            update(means, currents, self.n_averaged.to(device_of(means[0]._array)))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of a model's batch norms anew, in one pass over the data.

    Averaged weights have other activations than any of the models, and the statistics do not average. Batches may be
    Tensors or sequences that begin with one.
    """
    kinds = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
    norms: list[Any] = [module for module in model.modules() if isinstance(module, kinds)]
    if not norms:
        return
    momenta, was_training = [norm.momentum for norm in norms], model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    with no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(inputs if device is None else inputs.to(device))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the rate at hand to the constant `swa_lr` over `anneal_epochs`, along a cosine or ("linear") a line.

    Raises ValueError for another anneal_strategy, negative or fractional anneal_epochs.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if anneal_epochs < 0 or int(anneal_epochs) != anneal_epochs:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> Rates:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            start = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates

    def _part(self, step: int) -> float:
        """How much of the way is done at a step."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2
