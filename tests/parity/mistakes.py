"""The same mistake in two libraries."""

from collections.abc import Callable
from typing import Any


def raised_by(action: Callable[..., Any], *args: Any) -> Exception:
    """The exception that a mistake raises."""
    try:
        result = action(*args)
    except Exception as error:
        return error
    raise AssertionError(f"nothing was raised, the result is {result!r}")


def assert_same_kind(ours: Exception, theirs: Exception) -> None:
    """Whoever catches PyTorch's exception catches ours."""
    assert isinstance(ours, type(theirs)), f"{ours!r}, expected {theirs!r}"
    assert str(ours), "an exception without a message"
