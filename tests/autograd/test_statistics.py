"""Statistics of samples, on every device."""

from __future__ import annotations

import numpy as np

import retrograd as rg

SAMPLES = np.array([[0.3, 1.5, -2.0, 0.7], [2.0, -1.0, 0.4, 0.1], [1.0, 1.1, 1.2, 0.2]])


def on(device, values):
    return rg.tensor(values, device=device)


def test_covariances_and_correlations_are_numpys(device):
    x = on(device, SAMPLES)
    np.testing.assert_allclose(x.cov().cpu().numpy(), np.cov(SAMPLES), rtol=1e-12)
    np.testing.assert_allclose(x.corrcoef().cpu().numpy(), np.corrcoef(SAMPLES), rtol=1e-12)
    weights = on(device, [1, 2, 1, 3])
    expected = np.cov(SAMPLES, fweights=[1, 2, 1, 3])
    np.testing.assert_allclose(x.cov(fweights=weights).cpu().numpy(), expected, rtol=1e-12)


def test_a_histogram_counts_every_element_once(device):
    counts = on(device, SAMPLES).histc(6).cpu().numpy()
    np.testing.assert_array_equal(counts, np.histogram(SAMPLES, 6)[0])
    assert counts.sum() == SAMPLES.size


def test_the_mode_is_the_smallest_of_the_commonest_values(device):
    values = on(device, [[3, 1, 1, 2], [2, 2, 3, 3], [5, 5, 5, 1]])
    assert values.mode().values.tolist() == [1, 2, 5]


def test_the_integral_of_a_line_is_exact(device):
    x = on(device, [0.0, 0.5, 2.0, 3.0])
    assert rg.trapezoid(2 * x, x).item() == 9.0
    assert rg.cumulative_trapezoid(2 * x, x).tolist() == [0.25, 4.0, 9.0]
