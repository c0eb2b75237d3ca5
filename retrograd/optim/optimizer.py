"""Optimizer: parameters in groups with their settings, and the state that belongs to each parameter."""

from __future__ import annotations

import copy
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from retrograd.autograd.modes import enable_grad
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.backends import device_of

__all__ = ["Optimizer", "checked", "number", "refuse_unsupported"]

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Closure = Callable[[], Any]


class Optimizer:
    """Base of all optimizers: a subclass defines `step`.

    `params` are Tensors, pairs of a name and a Tensor, or dicts with "params" and settings of their own;
    `param_groups` is the list of such dicts, `state` what the optimizer remembers of every parameter.
    Raises ValueError for no parameters, one in two groups, or one that is not a leaf; TypeError for anything else.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, (Tensor, Mapping)):
            raise TypeError(
                f"optimizer: expected a list or another iterable of Tensors or dicts, got {type(params).__name__}; "
                "put a single one in a list, e.g. [x]."
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(
                "optimizer: there are no parameters to optimize; pass model.parameters() of a model that has some."
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters with settings of their own: a dict with "params"; what it leaves out is the default."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        group = dict(param_group)
        if "params" not in group:
            raise KeyError(f"optimizer: a parameter group needs the key 'params', got {sorted(group)}.")
        params = group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError("the order of parameters in a set changes between runs; use a list instead.")
        listed = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in listed if isinstance(p, tuple)]
        if names and len(names) != len(listed):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        group["params"] = [p[1] if isinstance(p, tuple) else p for p in listed]
        if names:
            group["param_names"] = names
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        self._check_params(group)
        self._check_settings(group)
        self.param_groups.append(group)

    def _check_params(self, group: dict[str, Any]) -> None:
        for param in group["params"]:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not (param.is_leaf or param.retains_grad):
                raise ValueError(
                    f"optimizer: the non-leaf Tensor of shape {param.shape} is computed from others; optimize those, "
                    "or detach() it and require its gradient."
                )
        own = set(group["params"])
        if len(own) != len(group["params"]):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=4)
        for other in self.param_groups:
            if not own.isdisjoint(other["params"]):
                raise ValueError("optimizer: a parameter is in two parameter groups; list each once.")
            if ("param_names" in other) != ("param_names" in group):
                raise ValueError("all optimizer param groups should be with/without names.")

    def _check_settings(self, group: dict[str, Any]) -> None:
        """Raises ValueError for settings out of their range; subclasses say which those are."""

    def step(self, closure: Closure | None = None) -> Any:
        """One step down the gradients; `closure` computes them first, and its loss is returned."""
        raise NotImplementedError(f"{type(self).__name__} must define step()")

    @staticmethod
    def _evaluate(closure: Closure | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters: removed, or with set_to_none=False filled with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                grad = getattr(param, "_grad", None)
                if grad is None:
                    continue
                if set_to_none:
                    del param._grad
                else:
                    param._grad = grad.detach()
                    param._grad.array.fill(0)
                    stamp([param], "zero_grad")

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """State and settings, the parameters by their number: PyTorch's layout. The Tensors are not copied."""
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(param, len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [numbers[param] for param in group["params"]]})
        state = {
            numbers[param]: {name: exported(name, value) for name, value in values.items()}
            for param, values in self.state.items()
            if param in numbers
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`, this library's or PyTorch's (its Tensors converted); copies the Tensors.

        Raises ValueError, and changes nothing, when the groups do not fit.
        """
        saved: dict[Any, dict[str, Any]] = copy.deepcopy(dict(state_dict["state"]))
        groups: list[dict[str, Any]] = copy.deepcopy(list(state_dict["param_groups"]))
        if len(groups) != len(self.param_groups):
            raise ValueError(
                f"load_state_dict: the state has {len(groups)} parameter groups, this optimizer "
                f"{len(self.param_groups)}; make it with the same groups first."
            )
        for old, new in zip(self.param_groups, groups):
            if len(old["params"]) != len(new["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(new['params'])} parameters, not {len(old['params'])}"
                )
        by_number = {
            int(number): param
            for old, new in zip(self.param_groups, groups)
            for number, param in zip(new["params"], old["params"])
        }
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in saved.items():
            param = by_number.get(int(number))
            if param is None:
                raise ValueError(f"loaded state dict has state for parameter {number}, which is in no group")
            state[param] = {name: imported(name, value, param) for name, value in values.items()}
        for old, new in zip(self.param_groups, groups):
            new["params"] = old["params"]
            if "param_names" in old:
                new.setdefault("param_names", old["param_names"])
        self.param_groups, self.state = [{**self.defaults, **new} for new in groups], state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def stamp(params: Iterable[Tensor], who: str) -> None:
    """Marks parameters as changed in place, all at one tick of the clock."""
    tick = next(clock)
    for param in params:
        mark = param._stamp
        mark[:] = (tick, mark[1] + 1 if len(mark) > 1 else 1, who)


def exported(name: str, value: Any) -> Any:
    """Counts of steps are float32 Tensors in a state dict, as in PyTorch."""
    return make(np.asarray(value, np.float32)) if name == "step" else value


def imported(name: str, value: Any, param: Tensor) -> Any:
    """A loaded value: counts become integers, Tensors go to the parameter's device, floating ones to its dtype."""
    if name == "step":
        return int(value)
    if not isinstance(value, Tensor):
        return value
    dtype = param.dtype if value.dtype.kind == "f" else None
    return value.to(device=device_of(param._array), dtype=dtype)


# ---- settings


def number(value: Any) -> Any:
    """A setting that may be given as a Tensor with one element, as a Python number."""
    return value.item() if isinstance(value, Tensor) else value


def checked(name: str, value: Any, below: float = math.inf) -> None:
    """ValueError unless 0 ≤ value < below; NaN is refused too."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element, got shape {value.shape}")
    if not (0.0 <= number(value) < below):
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"Invalid {name}: {value}; it must be a number from 0 on{limit}.")


def refuse_unsupported(**options: Any) -> None:
    """PyTorch's choices of an implementation: only their defaults are taken."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{name}={value!r} is not supported; leave it out")


def backend_is_host(tensor: Tensor) -> bool:
    """Whether a Tensor's elements are NumPy's."""
    name: str = namespace(tensor).name
    return name == "cpu"
