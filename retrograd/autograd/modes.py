"""Per-thread switches: is the graph being recorded, is it being watched for anomalies."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

__all__ = [
    "detect_anomaly",
    "enable_grad",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "state",
]

F = TypeVar("F", bound=Callable[..., Any])


class State(threading.local):
    """The switches of one thread; the class attributes are what a new thread starts with."""

    grad = True
    inference = False
    anomaly = False
    check_nan = False


state = State()


class Switch:
    """Sets switches in a `with` block or around every call of a decorated function, and restores them after."""

    settings: ClassVar[dict[str, bool]] = {}

    def __init__(self) -> None:
        self.wanted = self.settings
        self.saved: list[Any] = []

    def __enter__(self) -> Self:
        self.saved.append({name: getattr(state, name) for name in self.wanted})
        vars(state).update(self.wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        vars(state).update(self.saved.pop())

    def __call__(self, function: F) -> F:
        settings = self.wanted

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            block = Switch()
            block.wanted = settings
            with block:
                return function(*args, **kwargs)

        return switched  # type: ignore[return-value]  # same signature, by functools.wraps


class Bare(Switch):
    """A switch that also decorates without parentheses: `@no_grad`."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        switch = super().__new__(cls)
        if function is None:
            return switch
        switch.__init__()  # type: ignore[misc]  # the instance serves only to decorate
        return switch(function)


class GradMode(Bare):
    """The most frequent switch, set without a detour."""

    grad: ClassVar[bool]

    def __enter__(self) -> Self:
        self.saved.append(state.grad)
        state.grad = self.grad
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.grad = self.saved.pop()


class no_grad(GradMode):
    """Records nothing inside: results do not require gradients.

    >>> import retrograd as rg
    >>> x = rg.ones(2, requires_grad=True)
    >>> with rg.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    grad = False
    settings: ClassVar[dict[str, bool]] = {"grad": grad}


class enable_grad(GradMode):
    """Records inside, also within `no_grad`."""

    grad = True
    settings: ClassVar[dict[str, bool]] = {"grad": grad}


class inference_mode(Switch):
    """`no_grad` for code that only evaluates; `inference_mode(False)` switches it off inside."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.wanted = {"grad": not mode, "inference": mode}


class set_grad_enabled(Switch):
    """Switches recording on or off at once; in a `with` block, until its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.wanted = {"grad": bool(mode)}
        self.before = state.grad
        state.grad = bool(mode)

    def __enter__(self) -> Self:
        self.saved.append({"grad": self.before})
        state.grad = self.wanted["grad"]
        return self

    def __call__(self, function: F) -> F:
        state.grad = self.before
        return super().__call__(function)


class set_detect_anomaly(Switch):
    """Watches gradients, as `detect_anomaly` does, at once; in a `with` block, until its end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__()
        self.wanted = {"anomaly": bool(mode), "check_nan": bool(mode) and check_nan}
        self.before = {"anomaly": state.anomaly, "check_nan": state.check_nan}
        vars(state).update(self.wanted)

    def __enter__(self) -> Self:
        self.saved.append(self.before)
        return self


class detect_anomaly(Switch):
    """Inside, operations note the line that called them, and backward raises at the first rule that yields NaN.

    Without `check_nan` the lines alone are noted, for the errors of rules. Only operations recorded inside the block
    know their line.
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()
        self.wanted = {"anomaly": True, "check_nan": bool(check_nan)}


def is_grad_enabled() -> bool:
    """Whether this thread records the graph."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return state.inference


def is_anomaly_enabled() -> bool:
    """Whether this thread watches its gradients for NaN."""
    return state.anomaly
