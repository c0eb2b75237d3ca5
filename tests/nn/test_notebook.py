"""What a notebook shows of a Tensor and of a Module."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import retrograd as rg
from retrograd import nn


def text_of(shown):
    """The text of well-formed HTML, piece by piece."""
    html = f"<div>{shown._repr_html_()}</div>".replace("<details open", '<details open=""')
    return [piece.strip() for piece in ElementTree.fromstring(html).itertext() if piece.strip()]


def test_a_tensor_shows_its_facts_and_its_values(device):
    x = rg.tensor([[1.0, 2.0], [3.0, float("nan")]], device=device, requires_grad=True)
    pieces = text_of(x)
    assert pieces[:3] == ["shape", "dtype", "device"]
    assert "(2, 2)" in pieces
    assert pieces[pieces.index("not finite") - 1] == "max"
    assert "requires_grad" in pieces
    assert pieces[-1] == repr(x)


def test_a_tensor_shows_where_it_comes_from_and_the_norm_of_its_gradient():
    x = rg.tensor([3.0, 4.0], requires_grad=True)
    y = x.square()
    assert y.grad_fn.name() in text_of(y)
    (y.sum() / 2).backward()
    assert "norm 5" in text_of(x)


def test_empty_and_boolean_tensors_have_no_range():
    for x in (rg.zeros(0, 3), rg.tensor([True, False])):
        assert "mean" not in text_of(x)


def test_a_module_shows_its_parts_and_their_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].requires_grad_(False)
    pieces = text_of(model)
    assert pieces[:2] == ["Sequential", "26 parameters, 10 frozen"]
    assert pieces.count("Linear") == 2
    assert "(4, 3)" in pieces


def test_names_are_escaped():
    model = nn.ModuleDict({"<script>": nn.Identity()})
    assert "<script>" not in model._repr_html_()
    assert "<script>:" in text_of(model)
