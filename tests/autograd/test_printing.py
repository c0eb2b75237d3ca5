"""What a Tensor looks like where PyTorch is not installed to compare with."""

from __future__ import annotations

import pytest

import retrograd as rg


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: rg.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: rg.tensor([1.5, float("nan"), -float("inf")]), "tensor([1.5000,    nan,   -inf])"),
        (lambda: rg.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
        (lambda: rg.tensor(3), "tensor(3)"),
        (lambda: rg.tensor([True, False]), "tensor([ True, False])"),
        (lambda: rg.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda: rg.ones(2, dtype=rg.float64), "tensor([1., 1.], dtype=rg.float64)"),
        (lambda: rg.ones(1, dtype=rg.int32), "tensor([1], dtype=rg.int32)"),
        (lambda: rg.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: rg.ones(1, requires_grad=True) * 22, "tensor([22.], grad_fn=<MulBackward0>)"),
        (lambda: rg.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
        (lambda: rg.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
        (lambda: rg.ones(2, device="strict"), "tensor([1., 1.], device='strict:0')"),
    ],
)
def test_a_tensor_shows_its_values_and_what_is_not_default(make, text):
    assert repr(make()) == text


def test_only_the_edges_of_a_large_tensor_are_copied_from_the_device():
    x = rg.zeros(3000, 3000, device="strict")
    assert repr(x).count("0.") == 36
    assert "..." in repr(x)


def test_an_unknown_profile_is_refused_and_nothing_changes():
    before = rg.get_printoptions()
    with pytest.raises(ValueError, match="default, short, full"):
        rg.set_printoptions(precision=2, profile="loud")
    assert rg.get_printoptions() == before
