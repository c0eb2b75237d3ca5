"""The mistakes people make with PyTorch's layers, losses and optimizers raise PyTorch's exceptions."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import retrograd as rg
from tests.parity.mistakes import assert_same_kind, raised_by

torch = pytest.importorskip("torch")

MISTAKES = []


def mistake(action):
    MISTAKES.append(pytest.param(action, id=action.__name__))
    return action


@mistake
def conv_channels(t):
    t.nn.Conv2d(3, 8, 3)(t.randn(2, 1, 8, 8))


@mistake
def conv_missing_batch(t):
    t.nn.Conv2d(3, 8, 3)(t.randn(8, 8))


@mistake
def conv_kernel_too_large(t):
    t.nn.Conv2d(3, 8, 9)(t.randn(2, 3, 4, 4))


@mistake
def conv_uint8_image(t):
    t.nn.Conv2d(3, 8, 3)(t.zeros(2, 3, 8, 8, dtype=t.uint8))


@mistake
def conv_double(t):
    t.nn.Conv2d(3, 8, 3)(t.zeros(2, 3, 8, 8, dtype=t.float64))


@mistake
def conv_numpy(t):
    t.nn.Conv2d(3, 8, 3)(np.zeros((2, 3, 8, 8), np.float32))


@mistake
def linear_forgot_flatten(t):
    t.nn.Linear(3 * 8 * 8, 10)(t.randn(2, 3, 8, 8))


@mistake
def linear_wrong(t):
    t.nn.Linear(10, 2)(t.randn(4, 11))


@mistake
def linear_double(t):
    t.nn.Linear(10, 2)(t.randn(4, 10).double())


@mistake
def linear_int(t):
    t.nn.Linear(10, 2)(t.ones(4, 10, dtype=t.int64))


@mistake
def linear_list(t):
    t.nn.Linear(2, 2)([1.0, 2.0])


@mistake
def ce_float_labels(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([0.0, 1.0, 2.0, 0.0]))


@mistake
def ce_column_labels(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([[0], [1], [2], [0]]))


@mistake
def ce_onehot_int(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.eye(3, dtype=t.int64)[[0, 1, 2, 0]])


@mistake
def ce_out_of_range(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([0, 1, 2, 3]))


@mistake
def ce_negative(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([0, 1, 2, -1]))


@mistake
def ce_batch(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([0, 1, 2]))


@mistake
def ce_weight_length(t):
    t.nn.functional.cross_entropy(t.randn(4, 3), t.tensor([0, 1, 2, 0]), weight=t.ones(2))


@mistake
def bce_logits(t):
    t.nn.BCELoss()(t.randn(50, 1) * 3, t.ones(50, 1))


@mistake
def bce_shape(t):
    t.nn.BCELoss()(t.rand(4, 1), t.ones(4))


@mistake
def bce_int_targets(t):
    t.nn.BCELoss()(t.rand(4), t.ones(4, dtype=t.int64))


@mistake
def bcel_shape(t):
    t.nn.BCEWithLogitsLoss()(t.rand(4, 1), t.ones(4))


@mistake
def mse_shape(t):
    t.nn.MSELoss()(t.rand(4, 2), t.ones(4, 3))


@mistake
def nll_probs(t):
    t.nn.NLLLoss()(t.randn(4, 3), t.tensor([1.0, 2, 0, 1]))


@mistake
def kl_reduction(t):
    t.nn.KLDivLoss(reduction="batch")(t.randn(4, 3), t.rand(4, 3))


@mistake
def embedding_range(t):
    t.nn.Embedding(5, 3)(t.tensor([5]))


@mistake
def embedding_float(t):
    t.nn.Embedding(5, 3)(t.tensor([1.0]))


@mistake
def embedding_negative(t):
    t.nn.Embedding(5, 3)(t.tensor([-1]))


@mistake
def lstm_feature(t):
    t.nn.LSTM(4, 3)(t.randn(5, 2, 6))


@mistake
def lstm_hidden(t):
    t.nn.LSTM(4, 3)(t.randn(5, 2, 4), (t.zeros(1, 3, 3), t.zeros(1, 3, 3)))


@mistake
def lstm_output_tuple(t):
    t.nn.Linear(3, 2)(t.nn.LSTM(4, 3)(t.randn(5, 2, 4)))


@mistake
def sequential_lstm(t):
    t.nn.Sequential(t.nn.LSTM(4, 3), t.nn.ReLU())(t.randn(5, 2, 4))


@mistake
def pack_unsorted(t):
    t.nn.utils.rnn.pack_padded_sequence(t.randn(5, 2, 4), t.tensor([2, 5]))


@mistake
def pack_zero(t):
    t.nn.utils.rnn.pack_padded_sequence(t.randn(5, 2, 4), t.tensor([2, 0]))


@mistake
def bn_channels(t):
    t.nn.BatchNorm2d(4)(t.randn(2, 3, 5, 5))


@mistake
def bn_dim(t):
    t.nn.BatchNorm2d(4)(t.randn(2, 4))


@mistake
def bn_one(t):
    t.nn.BatchNorm1d(4)(t.randn(1, 4))


@mistake
def ln_shape(t):
    t.nn.LayerNorm(5)(t.randn(2, 4))


@mistake
def gn_groups(t):
    t.nn.GroupNorm(3, 4)


@mistake
def mha_dim(t):
    t.nn.MultiheadAttention(8, 3)


@mistake
def mha_embed(t):
    t.nn.MultiheadAttention(8, 2)(t.randn(3, 2, 6), t.randn(3, 2, 6), t.randn(3, 2, 6))


@mistake
def mha_mask(t):
    t.nn.MultiheadAttention(8, 2)(t.randn(3, 2, 8), t.randn(3, 2, 8), t.randn(3, 2, 8), attn_mask=t.zeros(2, 2))


@mistake
def mha_kpm(t):
    t.nn.MultiheadAttention(8, 2)(
        t.randn(3, 2, 8), t.randn(3, 2, 8), t.randn(3, 2, 8), key_padding_mask=t.zeros(3, 2, dtype=t.bool)
    )


@mistake
def matmul(t):
    t.randn(2, 3) @ t.randn(2, 3)


@mistake
def add_shapes(t):
    t.randn(2, 3) + t.randn(2, 4)


@mistake
def matmul_dtype(t):
    t.randn(2, 3) @ t.randn(3, 2).double()


@mistake
def matmul_int(t):
    t.randn(2, 3) @ t.ones(3, 2, dtype=t.int64)


@mistake
def view_size(t):
    t.randn(2, 3).view(4, -1)


@mistake
def view_noncontiguous(t):
    t.randn(2, 3).t().view(-1)


@mistake
def reshape(t):
    t.randn(2, 3).reshape(5)


@mistake
def cat_shapes(t):
    t.cat([t.randn(2, 3), t.randn(2, 4)])


@mistake
def cat_numpy(t):
    t.cat([t.randn(2, 3), np.zeros((2, 3))])


@mistake
def stack_shapes(t):
    t.stack([t.randn(2, 3), t.randn(2, 4)])


@mistake
def inplace_leaf(t):
    w = t.ones(2, requires_grad=True)
    w += 1


@mistake
def inplace_leaf_index(t):
    w = t.ones(2, requires_grad=True)
    w[0] = 1


@mistake
def inplace_saved(t):
    w = t.ones(2, requires_grad=True)
    y = w.exp()
    y += 1
    y.sum().backward()


@mistake
def backward_twice(t):
    w = t.ones(2, requires_grad=True)
    y = (w * w).sum()
    y.backward()
    y.backward()


@mistake
def backward_vector(t):
    w = t.ones(2, requires_grad=True)
    (w * w).backward()


@mistake
def backward_nograd(t):
    t.ones(2).sum().backward()


@mistake
def backward_in_no_grad(t):
    w = t.ones(2, requires_grad=True)
    with t.no_grad():
        y = w.sum()
    y.backward()


@mistake
def numpy_of_grad(t):
    t.ones(2, requires_grad=True).numpy()


@mistake
def np_asarray_grad(t):
    np.asarray(t.ones(2, requires_grad=True) * 2)


@mistake
def item_many(t):
    t.ones(2).item()


@mistake
def float_many(t):
    float(t.ones(2))


@mistake
def bool_many(t):
    if t.ones(2) > 0:
        pass


@mistake
def int_requires_grad(t):
    t.tensor([1, 2], requires_grad=True)


@mistake
def optimizer_empty(t):
    t.optim.SGD([], lr=0.1)


@mistake
def optimizer_generator_twice(t):
    m = t.nn.Linear(2, 2)
    g = m.parameters()
    t.optim.SGD(g, lr=0.1)
    t.optim.SGD(g, lr=0.1)


@mistake
def optimizer_nonleaf(t):
    t.optim.SGD([t.ones(2, requires_grad=True) * 2], lr=0.1)


@mistake
def optimizer_tensor(t):
    t.optim.SGD(t.ones(2, requires_grad=True), lr=0.1)


@mistake
def optimizer_module(t):
    t.optim.SGD(t.nn.Linear(2, 2), lr=0.1)


@mistake
def optimizer_forgot_call(t):
    t.optim.SGD(t.nn.Linear(2, 2).parameters, lr=0.1)


@mistake
def optimizer_neg_lr(t):
    t.optim.Adam(t.nn.Linear(2, 2).parameters(), lr=-1)


@mistake
def optimizer_dup(t):
    m = t.nn.Linear(2, 2)
    t.optim.SGD([{"params": m.parameters()}, {"params": [m.weight]}], lr=0.1)


@mistake
def forgot_super(t):
    class M(t.nn.Module):
        def __init__(self):
            self.l = t.nn.Linear(2, 2)

    M()


@mistake
def forgot_super_param(t):
    class M(t.nn.Module):
        def __init__(self):
            self.w = t.nn.Parameter(t.ones(2))

    M()


@mistake
def no_forward(t):
    class M(t.nn.Module):
        pass

    M()(t.ones(2))


@mistake
def misspelled_attr(t):
    class M(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = t.nn.Linear(2, 2)

        def forward(self, x):
            return self.fc2(x)

    M()(t.ones(2))


@mistake
def assign_tensor_to_param(t):
    m = t.nn.Linear(2, 2)
    m.weight = t.ones(2, 2)


@mistake
def state_mismatch(t):
    t.nn.Linear(2, 2).load_state_dict(t.nn.Linear(3, 2).state_dict())


@mistake
def state_missing(t):
    t.nn.Sequential(t.nn.Linear(2, 2)).load_state_dict(t.nn.Linear(2, 2).state_dict())


@mistake
def modulelist_call(t):
    t.nn.ModuleList([t.nn.Linear(2, 2)])(t.ones(2))


@mistake
def sequential_list(t):
    t.nn.Sequential([t.nn.Linear(2, 2)])


@mistake
def dropout_p(t):
    t.nn.Dropout(1.5)


@mistake
def pool_kernel(t):
    t.nn.MaxPool2d(4)(t.randn(1, 1, 2, 2))


@mistake
def softmax_dim(t):
    t.nn.functional.softmax(t.randn(2, 3), dim=2)


@mistake
def index_range(t):
    t.randn(3)[5]


@mistake
def index_float(t):
    t.randn(3)[t.tensor([1.0])]


@mistake
def scatter_range(t):
    t.zeros(2, 3).scatter_(1, t.tensor([[5]]), 1.0)


@mistake
def onehot_range(t):
    t.nn.functional.one_hot(t.tensor([0, 3]), 3)


@mistake
def dim_range(t):
    t.randn(2, 3).sum(2)


@mistake
def loader_variable(t):
    next(iter(t.utils.data.DataLoader([t.ones(2), t.ones(3)], batch_size=2)))


@mistake
def loader_len(t):
    t.utils.data.TensorDataset(t.ones(2), t.ones(3))


@mistake
def grad_unused(t):
    a = t.ones(2, requires_grad=True)
    b = t.ones(2, requires_grad=True)
    t.autograd.grad(a.sum(), b)


@mistake
def grad_wrong_shape(t):
    a = t.ones(2, requires_grad=True)
    a.grad = t.ones(3)


@mistake
def backward_gradient_shape(t):
    a = t.ones(2, requires_grad=True)
    (a * 2).backward(t.ones(3))


@mistake
def deepcopy_nonleaf(t):
    copy.deepcopy(t.ones(2, requires_grad=True) * 2)


@mistake
def device_unknown(t):
    t.ones(2).to("gpu")


@mistake
def interpolate_both(t):
    t.nn.functional.interpolate(t.randn(1, 1, 4, 4), size=8, scale_factor=2)


@mistake
def interpolate_dim(t):
    t.nn.functional.interpolate(t.randn(4, 4), scale_factor=2, mode="bilinear")


@mistake
def convT_channels(t):
    t.nn.ConvTranspose2d(3, 4, 2)(t.randn(1, 4, 5, 5))


@mistake
def groups(t):
    t.nn.Conv2d(3, 4, 3, groups=2)


@mistake
def pad_mode(t):
    t.nn.functional.pad(t.randn(1, 1, 3, 3), (4, 4, 4, 4), mode="reflect")


@mistake
def triplet_shape(t):
    t.nn.TripletMarginLoss()(t.randn(3, 4), t.randn(2, 4), t.randn(3, 4))


@mistake
def ctc_probs(t):
    t.nn.CTCLoss()(t.randn(5, 2, 3).log_softmax(2), t.tensor([[1, 2], [1, 2]]), t.tensor([5, 5]), t.tensor([3, 2]))


@mistake
def kwargs_typo(t):
    t.nn.Conv2d(3, 4, kernel=3)


@mistake
def call_extra(t):
    t.nn.Linear(2, 2)(t.ones(2), t.ones(2))


@mistake
def step_before_scheduler(t):
    t.optim.lr_scheduler.StepLR(t.optim.SGD(t.nn.Linear(2, 2).parameters(), lr=0.1))


@mistake
def tensor_of_tensors(t):
    t.tensor([t.ones(2), t.ones(2)])


@mistake
def ragged(t):
    t.tensor([[1, 2], [3]])


@mistake
def function_none(t):
    class Fn(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g

    Fn.apply(t.ones(2, requires_grad=True), t.ones(2)).sum().backward()


@mistake
def einsum(t):
    t.einsum("ij,jk->ik", t.randn(2, 3), t.randn(2, 3))


@mistake
def argmax_dim(t):
    t.randn(3).argmax(1)


@mistake
def permute(t):
    t.randn(2, 3).permute(0, 2, 1)


@mistake
def expand(t):
    t.randn(2, 3).expand(4, 3)


@mistake
def masked_fill_shape(t):
    t.randn(2, 3).masked_fill(t.ones(2, 2, dtype=t.bool), 0.0)


@mistake
def mask_index(t):
    t.randn(2, 3)[t.ones(3, 2, dtype=t.bool)]


@mistake
def where_dtype(t):
    t.where(t.ones(2), 1.0, 2.0)


@mistake
def multinomial(t):
    t.tensor([-1.0, 2.0]).multinomial(1)


@mistake
def bernoulli(t):
    t.bernoulli(t.tensor([2.0]))


@pytest.mark.parametrize("action", MISTAKES)
def test_a_mistake_raises_pytorchs_exception_with_a_message_about_what_was_asked(action):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = raised_by(action, torch), raised_by(action, rg)
    assert_same_kind(ours, theirs)
    assert len(str(ours).splitlines()) <= 3
    assert "_array" not in str(ours)
    assert len(str(ours)) < 400
