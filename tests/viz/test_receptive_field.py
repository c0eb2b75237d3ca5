"""Receptive fields, by the recursion and by what an element's gradient really reaches."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, viz
from tests.data.errors import raises_clearly

Pool = nn.MaxPool2d


def sizes(fields):
    return [field.size[0] for field in fields]


def reached(model, input_size, place):
    """First and last index along the last axis that the element at a place of the output sees."""
    x = rg.rand(*input_size, dtype=rg.float64, requires_grad=True)
    out = model(x)
    out[0, 0, place, place].backward()
    seen = np.nonzero(x.grad.numpy()[0].any((0, 1)))[0]
    return seen[0], seen[-1]


@pytest.mark.parametrize(
    "layers",
    [
        [nn.AvgPool2d(3, 2)],
        [nn.AvgPool2d(3, 1, padding=1), nn.AvgPool2d(2), nn.AvgPool2d(5, 2, padding=2)],
        [nn.AvgPool2d(2), nn.Tanh(), nn.AvgPool2d(3, 1), nn.Identity(), nn.AvgPool2d((3, 3), (2, 2))],
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_size_jump_and_start_are_what_the_gradient_reaches(layers, traced):
    model = nn.Sequential(*layers)
    field = viz.receptive_field(model, (1, 1, 41, 41) if traced else None)[-1]
    for place in (2, 3):
        centre = field.start[1] + place * field.jump[1]
        half = (field.size[1] - 1) / 2
        assert reached(model, (1, 1, 41, 41), place) == (centre - half, centre + half)


def test_dilated_windows_see_wider():
    fields = viz.receptive_field(nn.Sequential(nn.MaxPool2d(3, 1, dilation=2), nn.MaxPool2d(3, 1, dilation=4)))
    assert sizes(fields) == [5, 13]


def test_axes_may_differ():
    (field,) = viz.receptive_field(nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1)))
    assert (field.size, field.jump, field.start) == ((1, 3), (1, 2), (0.0, 0.0))


def test_branches_that_meet_are_united():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow, self.after = nn.AvgPool2d(5, 1, 2), nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(2)

        def forward(self, x):
            return self.after(rg.relu(self.narrow(x) + x) * self.wide(x))

    fields = viz.receptive_field(Block(), (1, 1, 16, 16))
    assert fields["after"].size == (6, 6)
    assert fields["narrow"].size == (3, 3)


def test_layers_that_see_everything_need_the_size_of_the_input():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))
    with raises_clearly(ValueError, "sees the whole image; give input_size"):
        viz.receptive_field(model)
    fields = viz.receptive_field(model, (1, 1, 8, 8))
    assert [(f.path, f.size) for f in fields] == [("0", (2, 2)), ("2", (8, 8)), ("4", (8, 8))]
    pooled = nn.Sequential(nn.AvgPool2d(3, 1), nn.AdaptiveAvgPool2d(1))
    assert viz.receptive_field(pooled, (1, 1, 8, 8))[-1].size == (8, 8)
    assert viz.receptive_field(nn.AdaptiveAvgPool2d(2), (1, 1, 8, 8))[0].jump == (4, 4)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Dropout())
    viz.receptive_field(model, (1, 1, 4, 4))
    assert model.training
    assert model[1].training
    assert not model[0]._hooks.after


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1)

    def forward(self, x):
        return self.pool(nn.functional.avg_pool2d(x, 2))


class Drifting(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.after = nn.AvgPool2d(2), nn.AvgPool2d(1), nn.AvgPool2d(1)

    def forward(self, x):
        return self.after(self.one(x) + self.two(x)[:, :, :4, :4])


@pytest.mark.parametrize(
    ("model", "input_size", "words"),
    [
        (nn.Sequential(nn.ReLU()), None, "found none"),
        (nn.Sequential(nn.MaxPool2d(2), nn.MaxPool1d(2)), None, "some of 1, 2 dimensions"),
        (Functional(), (1, 1, 8, 8), r"before 'pool' something that is no layer changes lengths \(8, 8\) to \(4, 4\)"),
        (Drifting(), (1, 1, 8, 8), "drift apart"),
        (nn.AdaptiveAvgPool2d(3), (1, 1, 8, 8), "differ in size"),
        (nn.MaxPool2d(2), (8,), "is .batch, channels"),
    ],
)
def test_what_has_no_field_raises_one_clear_error(model, input_size, words):
    with raises_clearly(ValueError, words):
        viz.receptive_field(model, input_size)


def test_a_layer_is_found_by_its_path():
    fields = viz.receptive_field(nn.Sequential(nn.MaxPool2d(2)))
    assert fields["0"].kind == "MaxPool2d"
    with raises_clearly(KeyError, "no layer 'head'"):
        fields["head"]
