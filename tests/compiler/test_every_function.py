"""Every function that the test suite knows gives the same values and gradients compiled, or says why it is not."""

import re

import numpy as np
import pytest

import retrograd as rg
from tests.autograd.factory import host, tensor_of
from tests.autograd.test_every_primitive import subjects

REASONS = (
    "outside the recorded operations",
    "the library decides by a value",
    "the shape of",
    "reads a value",
)
"""What functions whose result depends on more than arrays say."""
SUBJECTS = subjects()
STEPS = 3
RESHAPING = {"squeeze_", "t_"}
"""Changes of a Tensor itself, not of its values: steps that make them are not compiled."""


def stepping(subject, keywords):
    """A function of the inputs that gives a subject's results and gradients."""

    def step(*tensors):
        outputs = subject.run(tensors, keywords)
        live = [o for o in outputs if o.requires_grad]
        gradients = []
        if live:
            inputs = [t for t in tensors if t.requires_grad]
            gradients = rg.autograd.grad(live, inputs, [o.detach() * 0.5 + 1 for o in live], allow_unused=True)
        return [o.detach() for o in outputs] + [g for g in gradients if g is not None]

    return step


@pytest.mark.filterwarnings("ignore:.*is not compiled:UserWarning")
def test_values_and_gradients_are_the_same_bit_for_bit(device):
    compiled_ones = 0
    tried = SUBJECTS if str(device) == "cpu" else SUBJECTS[::4]
    for subject in tried:
        cases = list(subject.cases())
        for shapes, keywords in cases[:1]:
            step = stepping(subject, keywords)
            compiled = rg.compile(step)
            for scale in range(1, STEPS + 1):
                arrays = subject.arrays(shapes, np.float32)
                tensors = [tensor_of(a if a.dtype.kind != "f" else a / np.float32(scale), device) for a in arrays]
                for expected, found in zip(step(*tensors), compiled(*tensors), strict=True):
                    np.testing.assert_array_equal(host(found), host(expected))
                    assert found.dtype == expected.dtype
                    assert found.requires_grad == expected.requires_grad
                if compiled.reason is not None:
                    assert any(reason in compiled.reason for reason in REASONS), compiled.reason
                    break
            else:
                compiled_ones += 1
                assert len(compiled.variants) == 1, compiled.source
    assert compiled_ones > 0.9 * len(tried)


def test_what_is_computed_in_place_is_the_same():
    """Every in-place form of a function of one tensor, on a leaf, on a result with a graph, and through a view."""
    names = sorted(name for name in vars(rg.Tensor) if re.fullmatch(r"[a-z]\w*_", name) and hasattr(rg, name[:-1]))
    tried = 0
    for name in set(names) - RESHAPING:

        def step(x, w, name=name):
            getattr(x, name)()
            y = w * 1
            getattr(y[0], name)()
            getattr(z := w * 2, name)()
            (g,) = rg.autograd.grad(z.sum() + y.sum(), w)
            return y.detach(), z.detach(), g

        try:
            step(rg.full((2, 3), 0.5), rg.full((2, 3), 0.5, requires_grad=True))
        except (TypeError, RuntimeError, NotImplementedError):
            continue  # it wants more arguments
        tried += 1
        compiled = rg.compile(step, fullgraph=True)
        for value in (0.25, 0.5, 0.75):
            given = [(rg.full((2, 3), value), rg.full((2, 3), value, requires_grad=True)) for _ in range(2)]
            rg.manual_seed(0)
            wanted = step(*given[0])
            rg.manual_seed(0)
            for expected, found in zip(wanted, compiled(*given[1]), strict=True):
                np.testing.assert_array_equal(found.numpy(), expected.numpy(), err_msg=name)
            np.testing.assert_array_equal(given[0][0].numpy(), given[1][0].numpy(), err_msg=name)
    assert tried > 30
