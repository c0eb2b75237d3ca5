"""What every listener of a recording shares: when it is deaf, and how it gives up."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from retrograd.autograd.modes import state
from retrograd.autograd.taps import Taps
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.trace import user_line
from retrograd.compiler.operations import GiveUp, Operation
from retrograd.compiler.recorder import Recorder

__all__ = ["Listening", "Original", "heard"]

Original = Callable[..., Any]


def heard(method: Any) -> Any:
    """A listener's method: inside something heard already, and after giving up, the original alone runs."""

    @functools.wraps(method)
    def hear(self: Listening, original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.deaf:
            return original(*args, **kwargs)
        return method(self, original, args, kwargs)

    return hear


class Listening:
    """A listener with a recorder, to which it tells what it hears unless it is deaf."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.taps = Taps()
        self.deaf = 0
        self.grad = state.grad

    # ---- giving up

    def give_up(self, reason: str, again: bool = False) -> None:
        """The step cannot be compiled: the rest of it is not heard."""
        if self.recorder.reason is None:
            self.recorder.reason = GiveUp(f"{reason} ({user_line()})", again)
        self.deaf += 1

    def noting(self, note: Callable[..., Any], *args: Any) -> Any:
        """Notes something; what cannot be noted ends the recording, not the step."""
        try:
            return note(*args)
        except GiveUp as reason:
            self.give_up(str(reason), reason.again)
        except Exception as error:
            self.give_up(f"it could not be recorded: {type(error).__name__}: {error}")
        return None

    def muted(self, function: Original, args: Any, kwargs: Any) -> Any:
        """Runs a function, and hears nothing of it."""
        self.deaf += 1
        try:
            return function(*args, **kwargs)
        finally:
            self.deaf -= 1

    def refused(self, what: str, again: bool = False) -> Original:
        """A listener that gives up."""

        def hear(original: Original, args: Any, kwargs: Any) -> Any:
            if not self.deaf:
                self.give_up(f"the step {what}", again)
            return original(*args, **kwargs)

        return hear

    # ---- operations

    def bound(self, function: Any, name: str, args: Any, kwargs: Any) -> Operation:
        bind = self.recorder.bind
        return Operation(
            function, name, tuple(bind(a, name) for a in args), {k: bind(a, name) for k, a in kwargs.items()}
        )

    def finished(self, operation: Operation, result: Any, given: Any = ()) -> None:
        operation.outs = self.recorder.outs(result, [id(a) for a in given])
        if isinstance(result, Tensor) or (isinstance(result, tuple) and any(isinstance(r, Tensor) for r in result)):
            operation.function = unwrapped(operation.function)
        self.recorder.emit(operation)


def unwrapped(function: Any) -> Any:
    """The function, which gives arrays instead of Tensors."""

    @functools.wraps(function)
    def giving(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return result._array if isinstance(result, Tensor) else tuple([getattr(r, "_array", r) for r in result])

    return giving
