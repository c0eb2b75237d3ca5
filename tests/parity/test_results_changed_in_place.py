"""A result may be changed in place wherever PyTorch's backward pass allows it: nn.ReLU(inplace=True) may follow."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import retrograd as rg

torch = pytest.importorskip("torch")

EXPRESSIONS = """
F.max_pool2d(x, 2)
F.max_pool2d(x, 2, return_indices=True)[0]
F.avg_pool2d(x, 2)
F.adaptive_max_pool2d(x, 2)
F.adaptive_avg_pool2d(x, 2)
F.lp_pool2d(x, 2, 2)
F.fractional_max_pool2d(x, 2, 2)
F.conv2d(x, rand(3, 4, 2, 2))
F.conv_transpose2d(x, rand(4, 3, 2, 2))
F.batch_norm(x, None, None, training=True)
F.batch_norm(x, rand(4), rand(4))
F.layer_norm(x, (4,))
F.group_norm(x, 2)
F.instance_norm(x)
F.rms_norm(x, (4,))
F.local_response_norm(x, 2)
F.linear(x, rand(4, 4), rand(4))
F.bilinear(x, x, rand(4, 4, 4))
F.softmax(x, 1)
F.log_softmax(x, 1)
F.gelu(x)
F.silu(x)
F.mish(x)
F.hardswish(x)
F.elu(x)
F.leaky_relu(x, 0.1)
F.relu6(x)
F.hardtanh(x)
F.softplus(x)
F.logsigmoid(x)
F.softsign(x)
F.tanhshrink(x)
F.glu(x, 1)
F.prelu(x, rand(4))
F.dropout(x, 0.5)
F.normalize(x)
F.interpolate(x, scale_factor=2)
F.interpolate(x, scale_factor=2, mode="bilinear")
F.grid_sample(x, rand(2, 3, 3, 2) * 2 - 1)
F.pixel_shuffle(x, 2)
F.unfold(x, 2)
F.pad(x, (1, 1))
F.pad(x, (1, 1, 1, 1), mode="reflect")
F.scaled_dot_product_attention(x, x, x)
F.cosine_similarity(x, x + 1)
F.mse_loss(x, x * 2, reduction="none")
F.binary_cross_entropy(x, x.detach(), reduction="none")
F.binary_cross_entropy_with_logits(x, x.detach(), reduction="none")
F.cross_entropy(x, rand(2, 4, 4).long(), reduction="none")
nn.GRU(4, 4)(x[0])[0]
nn.LSTM(4, 4)(x[0])[0]
nn.RNN(4, 4)(x[0])[0]
nn.GRUCell(4, 4)(x[0, 0])
nn.MultiheadAttention(4, 2)(x[0], x[0], x[0])[0]
nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0)(x[0])
x.max(1)[0]
x.amax(1)
x.sort(1)[0]
x.topk(2, 1)[0]
x.median(1)[0]
x.cummax(1)[0]
x.cumsum(1)
x.cumprod(1)
x.prod(1)
x.mean(1)
x.var(1)
x.std(1)
x.norm(dim=1)
x.exp()
x.log()
x.sqrt()
x.rsqrt()
x**2
x**0.5
2**x
x**x
x / 2
2 / x
x / x.exp()
x.reciprocal()
x.clamp(0.2, 0.8)
torch.where(x > 0.5, x, x * 2)
torch.maximum(x, x * 0 + 0.5)
torch.cat([x, x], 1)
x.permute(0, 2, 3, 1)
x[:, 1]
x[:, [0, 1]]
x[x > 0.5]
x.expand(2, 4, 4, 4)
x.chunk(2, 1)[0]
x.masked_fill(x > 0.5, 0.0)
x @ x
torch.einsum("bchw,bcwk->bchk", x, x)
torch.logsumexp(x, 1)
torch.atan2(x, x + 1)
torch.linalg.inv(x + 3 * torch.eye(4))
torch.cdist(x, x + 1)
""".strip().splitlines()
CHANGES = {
    "nothing": lambda y: y,
    "relu_": lambda y: y.relu_(),
    "mul_": lambda y: y.mul_(3),
    "zero_ of a view": lambda y: (y[0].zero_(), y)[1],
}


def gradient(library, expression, change):
    library.manual_seed(0)
    double = {"dtype": library.float64}
    leaf = library.rand(2, 4, 4, 4, **double).requires_grad_()
    names = {
        "torch": library,
        "nn": library.nn,
        "F": library.nn.functional,
        "x": leaf * 1,
        "rand": lambda *shape: library.rand(*shape, **double),
    }
    before = library.get_default_dtype()
    library.set_default_dtype(library.float64)
    try:
        y = CHANGES[change](eval(expression, names))
        (y * y).sum().backward()
        return leaf.grad.numpy()
    except RuntimeError as error:
        if "inplace" in str(error) or "in place" in str(error):
            return None
        raise
    finally:
        library.set_default_dtype(before)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_result_that_pytorch_lets_be_changed_in_place_may_be_changed_here(expression, change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = gradient(torch, expression, change)
    if theirs is None:  # PyTorch refuses: then either library may, and a gradient that is given has its own tests
        return
    ours = gradient(rg, expression, change)
    assert ours is not None, "refused"
    np.testing.assert_allclose(ours, theirs, 1e-8, 1e-9)
