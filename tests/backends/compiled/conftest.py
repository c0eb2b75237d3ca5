"""What tests of compiled kernels share."""

from collections.abc import Iterator

import pytest

import retrograd as rg


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The test runs on one thread and on two."""
    before = rg.get_num_threads()
    rg.set_num_threads(request.param)
    yield request.param
    rg.set_num_threads(before)
