"""Steps that treat every element alone (SGD, Adam ...): one pass over many parameters instead of one for each.

A NumPy call costs half a microsecond however short its arrays are, and a step has a dozen of them. So the small
parameters of a group are packed: their states lie in one flat buffer, and for a step their values and gradients are
gathered into two more, updated together, and the values written back. Parameters keep their own storage, so that
aliases, `p.data = ...`, loading and moving need no care. Large parameters, and those on a GPU, are updated in place,
one by one, where a gathering would cost more than it saves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from retrograd.autograd.rows import Waiting
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.optim.optimizer import Closure, Optimizer, backend_is_host, beside, number, stamp

__all__ = ["ElementwiseOptimizer", "blend", "slope"]

SMALL = 1 << 13
"""Elements from which on a parameter is updated alone: copying it takes as long as the calls that are saved."""
PIECE = 1 << 17
"""Elements that are updated at a time: measured, shorter pieces pay more for their calls than the second-level cache
gives."""
GRAIN = 1 << 17
"""Elements that are worth a thread of their own."""
Alone = tuple[Any, Any, tuple[Any, ...]]
"""A parameter that is not packed: its backend, its step, and its arrays."""


class ElementwiseOptimizer(Optimizer):
    """Base of optimizers whose step treats every element alone."""

    counts: ClassVar[bool] = True
    """Whether the state of a parameter counts its steps."""
    scalars: ClassVar[tuple[str, ...]] = ("step",)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self._packs: dict[int, list[Pack]] = {}
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._packs = {}

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the buffers that the state of a parameter holds, each of the parameter's shape."""
        raise NotImplementedError

    def start(self, group: dict[str, Any], name: str) -> float:
        """What a buffer holds before the first step."""
        return 0.0

    def advance(self, group: dict[str, Any], state: dict[str, Any]) -> Any:
        """Moves the scalars of a state one step on; returns what `update` needs of them: the number of the step."""
        state["step"] = step = state.get("step", 0) + 1
        return step

    def update(self, group: dict[str, Any], xp: Any, step: Any, value: Any, grad: Any, *buffers: Any) -> None:
        """One step in place on arrays of one shape; `step`, from `advance`, counts from 1 (without `counts`, 1 means
        the first)."""
        raise NotImplementedError

    def step(self, closure: Closure | None = None) -> Any:
        """One step down the gradients; parameters without one stay. `closure` computes them first: its loss is
        returned."""
        loss = self._evaluate(closure)
        who = f"{type(self).__name__}.step"
        for index, group in enumerate(self.param_groups):
            names = self.buffers(group)
            changed: list[Tensor] = []
            alone: list[Alone] = []
            for pack in self._packs_of(index, group):
                for first, end, step in self._runs(pack, group, names):
                    changed += pack.params[first:end]
                    if pack.small:
                        pack.update(self, group, names, first, end, step)
                    else:
                        self._update_alone(group, names, step, pack.params[first], alone)
            self._update_together(group, alone)
            stamp(changed, who)
        return loss

    def _update_alone(
        self, group: dict[str, Any], names: tuple[str, ...], step: Any, param: Tensor, others: list[Alone]
    ) -> None:
        """One step of a parameter that is not packed; on the host it joins the others, which are updated later."""
        xp, value = namespace(param), param.array
        rows = Waiting.rows(param._grad) if self.leaves_rows(group) else None
        if rows is not None:
            indices, gradients = rows.each_once()
            changed = value.take(indices, 0)
            self.update_all(group, xp, step, changed, gradients)
            value[indices] = changed
            return
        arrays = (value, param._grad.array, *[self.state[param][name].array for name in names])
        if xp.name == "cpu":
            others.append((xp, step, arrays))
        else:
            self.update(group, xp, step, *arrays)

    def _update_together(self, group: dict[str, Any], alone: list[Alone]) -> None:
        """One step of parameters on the host, their elements in one row that threads share out."""
        ends = list(itertools.accumulate(arrays[0].size for _, _, arrays in alone))

        def task(start: int, stop: int) -> None:
            for (xp, step, arrays), end in zip(alone, ends, strict=True):
                size = arrays[0].size
                first, last = max(0, start + size - end), min(size, stop + size - end)
                if first < last:
                    for piece in pieces(arrays, first, last):
                        self.update(group, xp, step, *piece)

        if alone:
            alone[0][0].share(task, ends[-1], GRAIN)

    def leaves_rows(self, group: dict[str, Any]) -> bool:
        """Whether an element whose gradient is 0 stays as it is, and has no state."""
        return False

    def update_all(self, group: dict[str, Any], xp: Any, step: Any, *arrays: Any) -> None:
        """`update` on the host, in pieces that stay in the cache."""
        for piece in pieces(arrays, 0, arrays[0].size):
            self.update(group, xp, step, *piece)

    def _packs_of(self, index: int, group: dict[str, Any]) -> list[Pack]:
        """The packs of a group; made anew when parameters have come, gone, or changed their layout."""
        packs = self._packs.get(index)
        if packs is None or sum([len(pack.params) for pack in packs]) != len(group["params"]) or not all_fit(packs):
            packs = self._packs[index] = packed(group["params"])
        return packs

    def _runs(self, pack: Pack, group: dict[str, Any], names: tuple[str, ...]) -> list[tuple[int, int, Any]]:
        """Stretches (first, end, step) of neighbours in a pack that have a gradient and are at the same step."""
        runs: list[tuple[int, int, Any]] = []
        first = end = -1
        step: Any = -1
        for i, param in enumerate(pack.params):
            if getattr(param, "_grad", None) is None:
                continue
            reached = self._advance(param, pack, i, group, names)
            if i == end and reached == step:
                end += 1
                continue
            if end > 0:
                runs.append((first, end, step))
            first, end, step = i, i + 1, reached
        if end > 0:
            runs.append((first, end, step))
        return runs

    def _advance(self, param: Tensor, pack: Pack, i: int, group: dict[str, Any], names: tuple[str, ...]) -> Any:
        """Completes a parameter's state, its buffers in their place in the pack, and moves it one step on."""
        if not names and not self.counts:
            return 1
        state = self.state[param]
        fresh = False
        for name in names:
            buffer = state.get(name)
            if buffer is None:
                fresh = True
            if pack.small:
                home = pack.home(name, i)
                if buffer is None or buffer._array is not home:
                    home[...] = self.start(group, name) if buffer is None else beside(buffer, param._array)._array
                    state[name] = make(home)
            elif buffer is None:
                state[name] = filled_like(param, self.start(group, name))
            else:
                state[name] = beside(buffer, param._array)
        return self.advance(group, state) if self.counts else 1 if fresh else 2


class Pack:
    """Small parameters of one dtype that are updated together; or, alone, a parameter that is not small."""

    def __init__(self, params: list[Tensor], small: bool) -> None:
        self.params, self.small = params, small
        self.kinds = [(p._array.__class__, p.shape, p.dtype) for p in params]
        ends = np.cumsum([0, *(p._array.size for p in params)]).tolist()
        self.slices = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
        self.flat: dict[str, Any] = {}
        self.homes: dict[str, list[Any]] = {}

    def home(self, name: str, i: int) -> Any:
        """The place of a parameter's buffer in the flat buffer of that name, in the parameter's shape."""
        if name not in self.homes:
            self.flat[name] = flat = np.zeros(self.slices[-1].stop, self.kinds[0][2])
            self.homes[name] = [flat[part].reshape(kind[1]) for part, kind in zip(self.slices, self.kinds)]
        return self.homes[name][i]

    def update(
        self, optimizer: ElementwiseOptimizer, group: dict[str, Any], names: tuple[str, ...], a: int, b: int, step: Any
    ) -> None:
        """Gathers values and gradients of the parameters from a to b, updates them, and writes the values back."""
        arrays = [p.array for p in self.params[a:b]]
        value = gathered(arrays)
        grad = gathered([p._grad._array for p in self.params[a:b]])
        part = slice(self.slices[a].start, self.slices[b - 1].stop)
        xp = namespace(self.params[a])
        optimizer.update_all(group, xp, step, value, grad, *[self.flat[name][part] for name in names])
        start = 0
        for array in arrays:
            stop = start + array.size
            array[...] = value[start:stop].reshape(array.shape)
            start = stop


def all_fit(packs: list[Pack]) -> bool:
    """Whether the parameters still have the devices, shapes and dtypes that they were packed with."""
    for pack in packs:
        for param, (kind, shape, dtype) in zip(pack.params, pack.kinds):
            array = param._array
            if array.shape != shape or array.__class__ is not kind or array.dtype != dtype:
                return False
    return True


def gathered(arrays: list[Any]) -> Any:
    """A flat copy of arrays, one after the other."""
    return np.concatenate([array.reshape(-1) for array in arrays])


def packed(params: list[Tensor]) -> list[Pack]:
    """Parameters in packs: the small ones of each dtype on the host together, all others alone."""
    packs: list[Pack] = []
    small: dict[Any, list[Tensor]] = {}
    for param in params:
        if backend_is_host(param) and param._array.size < SMALL:
            small.setdefault(param.dtype, []).append(param)
        else:
            packs.append(Pack([param], small=False))
    return [*packs, *(Pack(together, small=True) for together in small.values())]


def filled_like(param: Tensor, value: float) -> Tensor:
    """A Tensor of a parameter's shape, dtype and device that holds one number."""
    filled = namespace(param).new_zeros(param.array, shape=param.shape)
    if value:
        filled[...] = value
    return make(filled)


def pieces(arrays: tuple[Any, ...], start: int, stop: int) -> Iterator[tuple[Any, ...]]:
    """The elements from start to stop of every array, the same stretch of all in turn; arrays that are not all
    contiguous come whole, with their first element."""
    if not all(array.flags.c_contiguous for array in arrays):
        if start == 0:
            yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    for first in range(start, stop, PIECE):
        part = slice(first, min(first + PIECE, stop))
        yield tuple(array[part] for array in flat)


# ---- what rules have in common


def slope(group: dict[str, Any], value: Any, grad: Any) -> Any:
    """The gradient that a rule descends: negated by `maximize`, weight decay added or, decoupled, taken off `value`."""
    if group["maximize"]:
        grad = -grad
    decay = float(number(group.get("weight_decay", 0)))
    if decay and group.get("decoupled_weight_decay"):
        value *= 1.0 - float(number(group["lr"])) * decay
    elif decay:
        grad = grad + decay * value
    return grad


def blend(mean: Any, rate: float, new: Any) -> None:
    """Moves a running mean in place: rate · mean + (1 − rate) · new."""
    mean *= rate
    mean += (1.0 - rate) * new
