"""Figures of what a network does: they hold the values that they were given."""

import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.viz import plots
from tests.data.errors import raises_clearly

pytest.importorskip("matplotlib", reason="matplotlib draws")

POINTS = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]


class TestDecisionRegions:
    def test_the_boundary_is_where_the_model_says_the_threshold(self):
        figure = plots.decision_regions(lambda x: x[:, 0] + x[:, 1], POINTS, [0, 0, 0, 1], threshold=1.5)
        (boundary,) = [c for c in figure.axes[0].collections if type(c).__name__ == "QuadContourSet"]
        at = np.concatenate([path.vertices for path in boundary.get_paths()])
        np.testing.assert_allclose(at.sum(axis=1), 1.5, atol=1e-6)

    def test_a_model_that_never_reaches_the_threshold_has_no_boundary(self):
        figure = plots.decision_regions(lambda x: 0 * x[:, 0], POINTS, [0, 0, 0, 1])
        assert not [c for c in figure.axes[0].collections if type(c).__name__ == "QuadContourSet"]

    def test_of_several_classes_the_largest_value_wins(self):
        figure = plots.decision_regions(lambda x: rg.stack([x[:, 0], x[:, 1], 0 * x[:, 0]], 1), POINTS, [0, 1, 2, 0])
        filled = figure.axes[0].collections[0]
        assert len(filled.get_paths()) == 3
        right = filled.get_paths()[0].vertices  # the region of the first class: x above y
        assert (right[:, 0] >= right[:, 1] - 0.02).mean() > 0.99

    def test_all_points_are_drawn_in_the_colours_of_their_classes(self):
        figure = plots.decision_regions(lambda x: x[:, :1], POINTS, np.array([[0], [1], [0], [1]]))
        drawn = figure.axes[0].collections[-1]
        assert drawn.get_offsets().tolist() == POINTS
        colours = [tuple(c) for c in drawn.get_facecolors()]
        assert colours[0] == colours[2] != colours[1] == colours[3]

    def test_a_module_is_asked_in_evaluation_mode_and_its_own_dtype_and_gets_its_mode_back(self, device):
        seen = []

        class Probe(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = nn.Linear(2, 1)

            def forward(self, x):
                seen.append((self.training, self.linear.training, x.dtype, x.device.type))
                return self.linear(x)

        model = Probe().double().to(device)
        model.linear.eval()
        plots.decision_regions(model, POINTS, [0, 1, 1, 0])
        assert seen == [(False, False, rg.float64, device.type)]
        assert (model.training, model.linear.training) == (True, False)

    def test_what_is_no_plane_or_not_labelled_is_refused(self):
        with raises_clearly(ValueError, r"\(4, 3\)"):
            plots.decision_regions(lambda x: x[:, 0], np.zeros((4, 3)), [0] * 4)
        with raises_clearly(ValueError, "3 labels do not fit 4 points"):
            plots.decision_regions(lambda x: x[:, 0], POINTS, [0, 1, 0])


def test_every_hidden_unit_has_a_panel_on_one_scale_with_its_values(tmp_path):
    weight = rg.tensor([[1.0, 0.0, 1.0, -4.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.0]])
    figure = plots.unit_maps(lambda x: x @ weight, POINTS, tmp_path / "units.png", columns=3, labels=[0, 1, 1, 0])
    panels = visible(figure)
    assert [axes.get_title() for axes in panels] == [f"unit {k}" for k in range(1, 6)]
    meshes = [axes.collections[0] for axes in panels]
    assert all(mesh.get_clim() == pytest.approx((-4.4, 4.4)) for mesh in meshes)
    assert meshes[2].get_array().max() == pytest.approx(2.2)  # the corner (1.1, 1.1)
    assert (tmp_path / "units.png").stat().st_size > 1000


class TestImages:
    def test_grey_images_share_a_scale_and_keep_their_pixels(self):
        batch = np.arange(24.0).reshape(2, 1, 3, 4)
        figure = plots.images(batch, titles=["a", "b"], columns=5)
        drawn = [axes.images[0] for axes in figure.axes]
        np.testing.assert_array_equal(drawn[1].get_array(), batch[1, 0])
        assert {image.get_clim() for image in drawn} == {(0.0, 23.0)}
        assert [axes.get_title() for axes in figure.axes] == ["a", "b"]

    def test_colours_have_their_channels_last_and_tensors_of_any_device_are_taken(self, device):
        batch = rg.zeros(1, 3, 2, 2, device=device)
        batch[0, 0] = 1.0
        figure = plots.images(batch)
        assert figure.axes[0].images[0].get_array()[0, 0].tolist() == [1, 0, 0]

    def test_values_with_a_sign_are_white_at_zero(self):
        figure = plots.images(np.array([[[0.0, -2.0], [1.0, 0.5]]]), signed=True)
        (image,) = figure.axes[0].images
        assert image.get_clim() == (-2.0, 2.0)
        assert image.to_rgba(np.array([[0.0]]))[0, 0, :3] == pytest.approx([1, 1, 1], abs=0.05)

    def test_each_image_can_have_a_scale_of_its_own(self):
        figure = plots.images(np.array([[[0.0, 1.0]], [[0.0, 9.0]]]), each=True)
        assert [axes.images[0].get_clim() for axes in figure.axes] == [(0.0, 1.0), (0.0, 9.0)]

    def test_other_shapes_are_refused(self):
        for shape in [(4, 4), (1, 2, 4, 4), (0, 4, 4)]:
            with raises_clearly(ValueError, "images: "):
                plots.images(np.zeros(shape))

    def test_a_kernel_is_drawn_for_every_pair_of_channels(self):
        layer = nn.Conv2d(2, 3, 5)
        figure = plots.kernels(layer.weight, columns=2)
        assert [axes.get_title() for axes in figure.axes] == ["0←0", "0←1", "1←0", "1←1", "2←0", "2←1"]
        np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), layer.weight[1, 1].detach().numpy())
        with raises_clearly(ValueError, "kernels: "):
            plots.kernels(nn.Linear(2, 2).weight)


class TestActivations:
    def test_each_layer_has_a_row_with_what_it_gave_and_no_hook_stays(self, device):
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2)).to(device)
        image = rg.randn(1, 1, 8, 8).to(device)
        figure = plots.activations(model, image, channels=2)
        assert [a.get_ylabel() for a in figure.axes if a.get_ylabel()] == ["0: Conv2d\n3×6×6", "1: ReLU\n3×6×6"]
        assert len(figure.axes) == 4
        out = model[1](model[0](image)).detach().cpu().numpy()
        np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), out[0, 1])
        assert not any(module._hooks.after for module in model.modules() if module._hooks is not None)

    def test_a_layer_that_is_called_twice_has_two_rows_in_the_order_of_the_calls(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.pool, self.conv = nn.MaxPool2d(2), nn.Conv2d(1, 1, 1)

            def forward(self, x):
                return self.pool(self.conv(self.pool(x)))

        figure = plots.activations(Twice(), rg.ones(1, 1, 8, 8))
        rows = [a.get_ylabel().replace("\n", " ") for a in figure.axes]
        assert rows == ["pool: MaxPool2d 1×4×4", "conv: Conv2d 1×4×4", "pool: MaxPool2d 1×2×2"]

    def test_a_model_without_images_inside_is_refused(self):
        with raises_clearly(ValueError, "activations: "):
            plots.activations(nn.Linear(4, 2), rg.ones(1, 4))


class TestDistributions:
    def test_the_bins_hold_the_values_and_the_names_the_deviations(self):
        figure = plots.distributions({"x": [0.0, 0.0, 1.0, 1.0, 1.0], "y": [0.0, 1.0]}, bins=2)
        widths = [bar.get_width() for bar in figure.axes[0].patches]
        assert widths == pytest.approx([0.85 * 2 / 3, 0.85, 0.85, 0.85])
        assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["x\nσ 0.49", "y\nσ 0.5"]

    def test_equal_values_and_none_that_are_finite_are_drawn_too(self):
        figure = plots.distributions({"equal": [2.0, 2.0]})
        assert figure.axes[0].get_ylim() == (1.0, 3.0)
        figure = plots.distributions({"lost": [np.nan]})
        assert "(1 not finite)" in figure.axes[0].get_xticklabels()[0].get_text()
        with raises_clearly(ValueError, "no tensors"):
            plots.distributions({})


class TestGradientFlow:
    def test_the_line_is_the_mean_size_of_each_weights_gradient(self, device):
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device)
        net(rg.ones(5, 3, device=device)).sum().backward()
        (line,) = plots.gradient_flow({"net": net}).axes[0].lines
        means = [net[k].weight.grad.abs().mean().item() for k in (0, 2)]
        assert list(line.get_ydata()) == pytest.approx(means)
        assert line.get_label() == "net"

    def test_gradients_of_zero_leave_a_gap_and_missing_ones_are_an_error(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        with raises_clearly(ValueError, "backward"):
            plots.gradient_flow({"net": net})
        nn.init.zeros_(net[1].weight)
        net(rg.ones(1, 2)).sum().backward()
        (line,) = plots.gradient_flow({"net": net}).axes[0].lines
        assert np.isnan(line.get_ydata()).tolist() == [True, False]


class TestDescents:
    def test_paths_are_drawn_as_they_were_taken_and_what_is_not_finite_is_left_out(self):
        path = np.array([[1.0, 1.0], [0.5, 0.2], [np.inf, 0.0]])
        figure = plots.descents(lambda x, y: x * x + y * y, {"sgd": path}, (-2, 2, -1, 1), minimum=(0, 0))
        line = figure.axes[0].lines[0]
        np.testing.assert_array_equal(line.get_xdata(), [1.0, 0.5, np.nan])
        assert figure.axes[0].get_xlim() == (-2, 2)
        assert np.isinf(path[2, 0])  # the caller's array is as it was

    def test_a_path_that_is_not_in_the_plane_is_refused(self):
        with raises_clearly(ValueError, r"'sgd' has shape \(3,\)"):
            plots.descents(lambda x, y: x + y, {"sgd": [1, 2, 3]}, (-1, 1, -1, 1))


def test_figures_are_drawn_on_given_axes_and_into_files(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.decision_regions(lambda x: x[:, 0], POINTS, [0, 1, 0, 1], axes=left, title="left") is figure
    assert plots.distributions({"x": [1.0, 2.0]}, tmp_path / "both.svg", axes=right) is figure
    assert left.get_title() == "left"
    assert (tmp_path / "both.svg").read_text().lstrip().startswith("<?xml")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with raises_clearly(ImportError, r"retrograd\[viz\]"):
        plots.images(np.zeros((1, 2, 2)))
