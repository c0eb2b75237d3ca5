"""Elementwise functions: one line each gives all facts of the factory."""

from __future__ import annotations

import numpy as np

from retrograd.autograd import ops
from tests.autograd.factory import elementwise

test_add = elementwise(ops.add, np.add, "any", "any")
test_multiply = elementwise(ops.multiply, np.multiply, "any", "any")
test_divide = elementwise(ops.divide, np.divide, "any", "away from zero")
test_tanh = elementwise(ops.tanh, np.tanh)
test_log = elementwise(ops.log, np.log, "positive")
