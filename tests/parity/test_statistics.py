"""Statistics and integrals of samples against PyTorch."""

import numpy as np
import pytest

from tests.parity.expressions import agree

SAMPLES = np.array([[0.3, 1.5, -2.0, 0.7], [2.0, -1.0, 0.4, 0.1], [1.0, 1.1, 1.2, 0.2]])
COUNTS = np.array([[3, 1, 1, 2], [2, 2, 3, 3], [5, 5, 5, 1]])


@pytest.mark.parametrize(
    "source",
    [
        # covariances
        "T.cov(x)", "x.cov(correction=0)", "T.cov(x[0])", "T.cov(x[0, 0], correction=0)", "T.cov(x, fweights=i[0])",
        "T.cov(x, aweights=x[0].detach().abs())", "T.cov(x, aweights=x[0].detach().abs(), fweights=i[0])",
        "T.cov(x[None])", "T.cov(x, fweights=x[0])", "T.cov(x, fweights=i[:, 0])", "T.corrcoef(x)", "x[0].corrcoef()",
        # histograms
        "T.histc(x.detach())", "x.detach().histc(5)", "x.detach().histc(4, -1, 1)", "x.detach().histc(4, 1, -1)",
        "x.detach().histc(0)", "i.histc(3)", "T.histc(T.ones(3), 4)", "T.histc(x.detach(), bins=3, min=0, max=0)",
        # the commonest value
        "i.mode()", "i.mode(0)[0]", "i.mode(1, True)[0]", "x.mode()", "x.mode(0)", "T.mode(x[0])", "i.mode(5)",
        "x[0, 0].mode()", "x[:, :0].mode()",
        # integrals
        "T.trapezoid(x)", "T.trapz(x, dx=2)", "T.trapezoid(x, x)", "T.trapezoid(x, x[0])",
        "T.trapezoid(x, x[:, 0], dim=0)", "T.trapezoid(x, x[0], dim=0)", "T.cumulative_trapezoid(x)",
        "T.cumulative_trapezoid(x, dx=.5, dim=0)", "T.trapezoid(x, x, dx=2)",
    ],
)  # fmt: skip
def test_statistics_agree_to_second_gradients(source):
    agree(source, rtol=1e-9, x=SAMPLES, i=COUNTS)
