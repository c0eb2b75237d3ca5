"""`why_no_grad` in words, and backward step by step."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, viz
from tests.viz.pictures import HAS_DOT, lecture


def leaf():
    return rg.ones(2, requires_grad=True)


def in_no_grad():
    with rg.no_grad():
        return leaf() * 2


RECORDED = {
    "no_grad": (in_no_grad, r"Mul does not require a gradient: it was computed inside no_grad\(\)"),
    "detached": (lambda: leaf().exp().detach() * 2, r"on the way, at detach of Exp, detach\(\).*cut it"),
    "detached itself": (lambda: (leaf() * 2).detach(), r"It is Mul without its gradient: detach\(\)"),
    "integer": (lambda: leaf().argmax() + 1, "on the way, at Argmax of leaf, its dtype is an integer one"),
    "comparison": (lambda: leaf() > 0, "it is a truth value"),
    "nothing requires one": (lambda: rg.ones(2) * rg.zeros(2), r"nothing it was computed from does \(constant\)"),
}


@pytest.mark.parametrize("case", RECORDED)
def test_a_recording_tells_where_the_gradient_stopped(case):
    make, message = RECORDED[case]
    with viz.record() as g:
        tensor = make()
    assert viz.why_no_grad(tensor, g) == viz.why_no_grad(tensor)
    assert re.search(message, viz.why_no_grad(tensor))


ALONE = {
    "integer": (lambda: rg.ones(2, dtype=rg.int64), "Its dtype is int64"),
    "frozen": (lambda: nn.Parameter(rg.ones(2), requires_grad=False), "a Parameter that is frozen"),
    "made so": (lambda: rg.ones(2), "It has no graph"),
    "leaf": (leaf, r"It is a leaf .* backward\(\) has not run"),
    "not a leaf": (lambda: leaf() * 2, r"only leaves keep theirs: call retain_grad\(\)"),
}


@pytest.mark.parametrize("case", ALONE)
def test_a_tensor_alone_tells_what_it_knows(case):
    make, message = ALONE[case]
    assert re.search(message, viz.why_no_grad(make()))


def test_a_gradient_that_is_there_is_told():
    x = leaf()
    x.sum().backward()
    assert viz.why_no_grad(x) == "It requires a gradient and has one."


def test_a_view_made_under_no_grad_is_told():
    base = leaf() * 1
    with rg.no_grad():
        view = base[0]
    assert "a view that was made inside no_grad()" in viz.why_no_grad(view)


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="expected a Tensor, got list"):
        viz.why_no_grad([1.0])


# ---- frames


def test_gradients_arrive_in_the_order_of_the_engine():
    captions = [frame.caption for frame in viz.backward_frames(lecture())]
    assert captions[0] == "1 of 7: SubBackward0 gets 1"
    assert captions[1] == "2 of 7: SinBackward0 gets -1"
    assert captions[5:] == ["6 of 7: x2 gets 1.7163", "7 of 7: x1 gets 5.5", "backward is done"]


def test_every_frame_has_one_more_gradient():
    frames = viz.backward_frames(lecture())
    assert [len(frame.done) for frame in frames] == list(range(8))
    assert frames[3].running == frames[4].done[-1]


@HAS_DOT
def test_the_frames_lie_still():
    sizes = {ElementTree.fromstring(frame.svg).get("viewBox") for frame in viz.backward_frames(lecture())}
    assert len(sizes) == 1


@HAS_DOT
def test_the_animation_shows_the_frames_in_turn(tmp_path):
    root = ElementTree.parse(viz.backward_frames(lecture()).render(tmp_path / "steps.svg", seconds=0.5)).getroot()
    moments = [e for e in root.iter() if e.tag.endswith("animate")]
    assert len(moments) == 8
    assert {e.get("dur") for e in moments} == {"4s"}
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


@HAS_DOT
def test_the_gif_has_all_frames_of_one_size(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow, which writes GIF files, is not installed")
    content = viz.backward_frames(lecture()).render(tmp_path / "steps.gif").read_bytes()
    gif = image.open(io.BytesIO(content))
    assert gif.n_frames == 8
    first = np.asarray(gif.convert("RGB")).copy()
    gif.seek(4)
    assert (np.asarray(gif.convert("RGB")) != first).any()


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'steps.mp4' ends in none of .svg, .gif"):
        viz.backward_frames(lecture()).render(tmp_path / "steps.mp4")


def test_too_many_steps_are_refused():
    h = a = rg.tensor(1.0, requires_grad=True)
    for _ in range(300):
        h = h + a
    with pytest.raises(ValueError, match="301 steps are too many to watch, 200 are the most"):
        viz.backward_frames(h)
