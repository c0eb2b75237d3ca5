"""What the project asks of an error message."""

from contextlib import contextmanager

import pytest


@contextmanager
def raises_clearly(kind, words):
    """The block raises this exception, with these words (a regular expression) in at most three lines."""
    with pytest.raises(kind, match=words) as caught:
        yield caught
    message = str(caught.value)
    assert message
    assert message.count("\n") < 3
