"""Search for hyper-parameters, by Optuna (Akiba et al. 2019): on a grid, at random, or where it looks promising."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Float", "Integer", "SearchResult", "search"]

_METHODS = ("grid", "random", "tpe")
_DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class Float:
    """A number between two bounds; `log`: equally likely in every order of magnitude, as learning rates should be."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Integer:
    """A whole number between two bounds, both included, `step` apart."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step)


Space = Mapping[str, Float | Integer | Sequence[Any]]


@dataclass(frozen=True)
class SearchResult:
    """The best parameters and their value, and every trial as (parameters, value), in order."""

    parameters: dict[str, Any]
    value: float
    trials: list[tuple[dict[str, Any], float]]


def search(
    objective: Callable[[dict[str, Any]], float],
    space: Space,
    method: str = "tpe",
    trials: int | None = None,
    direction: str = "minimize",
    seed: int | None = 0,
) -> SearchResult:
    """Calls `objective(parameters)` with values from the space, and tells which were best.

    space      a list of choices, a `Float` or an `Integer` under each name; of a grid, lists alone
    method     "grid" (every combination once), "random" (Bergstra & Bengio 2012), or "tpe", which learns from the
               trials before (Bergstra et al. 2011)
    trials     how many; by default all of a grid, otherwise 20
    direction  "minimize" or "maximize"
    A value that is NaN is a failed trial. Raises ImportError without Optuna, ValueError for other arguments and when no
    trial gave a number.

    >>> result = search(lambda p: (p["x"] - 2) ** 2, {"x": [0, 1, 2, 3]}, method="grid")
    >>> result.parameters, result.value, len(result.trials)
    ({'x': 2}, 0.0, 4)
    """
    _check(space, method, trials, direction)
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "search needs the package optuna; install it with: pip install 'retrograd[search]'"
        ) from error

    if method == "grid":
        choices = {name: list(values) for name, values in space.items()}  # type: ignore[arg-type]  # lists, as checked
        combinations = math.prod(map(len, choices.values()))
        trials = combinations if trials is None else min(trials, combinations)
        sampler = optuna.samplers.GridSampler(choices, seed=seed)
    else:
        kind = optuna.samplers.RandomSampler if method == "random" else optuna.samplers.TPESampler
        sampler = kind(seed=seed)

    def run(trial: Any) -> float:
        return float(objective({name: _suggested(trial, name, values) for name, values in space.items()}))

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction=direction, sampler=sampler)
        study.optimize(run, n_trials=_DEFAULT_TRIALS if trials is None else trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
    done = [(dict(t.params), math.nan if t.value is None else float(t.value)) for t in study.trials]
    if all(math.isnan(value) for _, value in done):
        raise ValueError(f"search: none of {len(done)} trials gave a number; does the objective return its loss?")
    return SearchResult(dict(study.best_params), float(study.best_value), done)


def _suggested(trial: Any, name: str, values: Any) -> Any:
    if isinstance(values, (Float, Integer)):
        return values.suggest(trial, name)
    return trial.suggest_categorical(name, list(values))


def _check(space: Space, method: str, trials: int | None, direction: str) -> None:
    if method not in _METHODS:
        raise ValueError(f"search: method must be one of {', '.join(_METHODS)}, got {method!r}.")
    if direction not in ("minimize", "maximize"):
        raise ValueError(f"search: direction must be 'minimize' or 'maximize', got {direction!r}.")
    if trials is not None and trials < 1:
        raise ValueError(f"search: trials must be at least 1, got {trials!r}.")
    if not space:
        raise ValueError("search: the space is empty; name at least one parameter.")
    for name, values in space.items():
        _check_values(name, values, method)


def _check_values(name: str, values: Any, method: str) -> None:
    if isinstance(values, (Float, Integer)):
        if method == "grid":
            raise ValueError(f"search: a grid needs a list of choices for {name!r}, got {values!r}.")
        if not values.low <= values.high or (values.log and values.low <= 0):
            raise ValueError(f"search: {name!r} needs bounds in order, above 0 if log, got {values!r}.")
    elif isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"search: {name!r} must be a list of choices, a Float or an Integer, got {values!r}.")
