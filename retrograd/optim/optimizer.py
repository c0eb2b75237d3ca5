"""Optimizer: parameters in groups with their settings, and the state that belongs to each parameter."""

from __future__ import annotations

import copy
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from retrograd.autograd.modes import enable_grad
from retrograd.autograd.promotion import get_default_dtype
from retrograd.autograd.tensor import Tensor, clock, make, namespace
from retrograd.backends import device_of
from retrograd.optim.hooks import (
    Hooked,
    hooked,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    replaced,
)

__all__ = [
    "Optimizer",
    "checked",
    "implementation",
    "number",
    "numbers",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
]

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Closure = Callable[[], Any]


class Optimizer(Hooked):
    """Base of all optimizers: a subclass defines `step`.

    `params` are Tensors, pairs of a name and a Tensor, or dicts with "params" and settings of their own;
    `param_groups` is the list of such dicts, `state` what the optimizer remembers of every parameter.
    Raises ValueError for no parameters, one in two groups, or one that is not a leaf; TypeError for anything else.
    """

    scalars: ClassVar[tuple[str, ...]] = ()
    """Numbers in the state of a parameter that a state dict holds as Tensors, as PyTorch's does."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, (Tensor, Mapping)):
            raise TypeError(
                f"optimizer: expected a list or another iterable of Tensors or dicts, got {type(params).__name__}; "
                "put a single one in a list, e.g. [x]."
            )
        self._clear_hooks()
        self._check_settings(defaults)
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
                    param._grad = grad.detach().zero_()

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """State and settings, the parameters by their number: PyTorch's layout. The Tensors are not copied."""
        for hook in list(self._before_saving):
            hook(self)
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(param, len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [numbers[param] for param in group["params"]]})
        state = {
            numbers[param]: {name: self._exported(name, value) for name, value in values.items()}
            for param, values in self.state.items()
            if param in numbers
        }
        saved: dict[str, Any] = replaced(self._after_saving, self, {"state": state, "param_groups": groups})
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`, this library's or PyTorch's; copies the Tensors.

        Raises ValueError, and changes nothing, when the groups do not fit.
        """
        state_dict = replaced(self._before_loading, self, dict(state_dict))
        saved: dict[Any, dict[str, Any]] = copy.deepcopy(dict(state_dict["state"]))
        groups: list[dict[str, Any]] = copy.deepcopy(list(state_dict["param_groups"]))
        self._check_fit(groups)
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
            state[param] = {name: self._imported(name, value, param) for name, value in values.items()}
        for old, new in zip(self.param_groups, groups):
            new["params"] = old["params"]
            if "param_names" in old:
                new.setdefault("param_names", old["param_names"])
        self.param_groups, self.state = [{**self.defaults, **new} for new in groups], state
        for hook in list(self._after_loading):
            hook(self)

    def _check_fit(self, groups: list[dict[str, Any]]) -> None:
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

    def _exported(self, name: str, value: Any) -> Any:
        return make(np.asarray(value, scalar_dtype())) if name in self.scalars else value

    def _imported(self, name: str, value: Any, param: Tensor) -> Any:
        """A loaded value: scalars become numbers, arrays go to the parameter's device, floating ones to its dtype."""
        if name in self.scalars:
            return int(value) if name == "step" else float(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._imported(name, v, param) for v in value)
        if not isinstance(value, Tensor) and hasattr(value, "__dlpack__"):  # an array, or another library's tensor
            value = make(np.from_dlpack(value).copy())
        if not isinstance(value, Tensor):
            return value
        dtype = param.dtype if value.dtype.kind == "f" else None
        return value.to(device=device_of(param._array), dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear_hooks()

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


def scalar_dtype() -> np.dtype[Any]:
    """PyTorch's dtype of the scalars in a state: float32, or float64 where that is the default."""
    return np.dtype(np.float64 if get_default_dtype() == np.float64 else np.float32)


def beside(buffer: Tensor, array: Any) -> Tensor:
    """A buffer of a state with the dtype and on the device of its parameter's array, also after the parameter moved."""
    if buffer.dtype == array.dtype and device_of(buffer._array) == device_of(array):
        return buffer
    moved: Tensor = buffer.to(device=device_of(array), dtype=array.dtype)
    return moved


def rounded(x: float) -> float:
    """A scalar of a state as PyTorch keeps it."""
    return float(scalar_dtype().type(x))


# ---- settings


def number(value: Any) -> Any:
    """A setting that may be given as a Tensor with one element, as a Python number."""
    return value.item() if isinstance(value, Tensor) else value


def numbers(group: dict[str, Any], *names: str) -> list[float]:
    """Settings of a group, as Python floats: these never change the dtype of an array."""
    return [float(number(group[name])) for name in names]


def checked(name: str, value: Any, below: float = math.inf) -> None:
    """ValueError unless 0 ≤ value < below; NaN is refused too."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element, got shape {value.shape}")
    if not (0.0 <= number(value) < below):
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"Invalid {name}: {value}; it must be a number from 0 on{limit}.")


def check_betas(betas: Any) -> None:
    """ValueError unless there are two from [0, 1)."""
    for i in range(2):
        checked(f"beta parameter at index {i}", betas[i], below=1.0)


def implementation(**options: Any) -> dict[str, Any]:
    """PyTorch's choices of an implementation, for the defaults of a group: only their own defaults are taken."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{name}={value!r} is not supported; leave it out")
    return options


def backend_is_host(tensor: Tensor) -> bool:
    """Whether a Tensor's elements are NumPy's."""
    name: str = namespace(tensor).name
    return name == "cpu"
