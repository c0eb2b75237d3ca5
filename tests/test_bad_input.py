"""What a user gets wrong, and the one clear error for each: the exception's type, and what its message says."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd import data, io, nn, optim, viz
from retrograd.cli import main
from retrograd.data.download import download
from retrograd.data.idx import read_idx
from retrograd.nn import functional as F
from tests.data import conftest
from tests.data.errors import raises_clearly
from tests.data.idx_files import idx_bytes

tensor, zeros = rg.tensor, rg.zeros
web = conftest.web  # the fixture of a server on this machine


def leaf(*shape):
    return rg.ones(shape, requires_grad=True)


def there(*shape):
    """A tensor on the device that stands in for a GPU."""
    return zeros(shape, device="strict:0")


def parameters():
    return [nn.Parameter(zeros(2))]


def backward_twice():
    loss = (leaf(2) ** 2).sum()
    loss.backward()
    loss.backward()


def backward_through_a_changed_value():
    y = leaf(2).exp()
    y.mul_(2)
    y.sum().backward()


class Forgetful(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(zeros(2))


SHAPES = {
    "add": (lambda: zeros(2, 3) + zeros(4, 3), RuntimeError, r"add: shapes \(2, 3\) and \(4, 3\) do not broadcast"),
    "where": (lambda: rg.where(zeros(3) > 0, zeros(2), zeros(3)), RuntimeError, r"where: .*\(2,\).* do not broadcast"),
    "matmul": (lambda: zeros(2, 3) @ zeros(4, 5), RuntimeError, r"matmul: .*\(2, 3\) and \(4, 5\) .* 3, .* 4"),
    "matmul of a number": (lambda: tensor(1.0) @ zeros(3), RuntimeError, "matmul: both operands need at least one dim"),
    "mm of a stack": (lambda: rg.mm(zeros(2, 3, 4), zeros(4, 5)), RuntimeError, r"mm: .* matrix .*\(2, 3, 4\)"),
    "bmm": (lambda: rg.bmm(zeros(2, 3, 4), zeros(3, 4, 5)), RuntimeError, r"bmm: .* mat2 must be \(2, 4, \*\)"),
    "mv": (lambda: rg.mv(zeros(2, 3), zeros(4)), RuntimeError, "mv: .* the vector must have 3 elements"),
    "linear": (lambda: nn.Linear(784, 10)(zeros(32, 100)), RuntimeError, r"linear: .* must be 784, got 100"),
    "linear's bias": (lambda: F.linear(zeros(2, 3), zeros(4, 3), zeros(5)), RuntimeError, r"bias \(5,\) .* be \(4,\)"),
    "reshape": (lambda: zeros(2, 3).reshape(4, 2), RuntimeError, r"reshape: .* size 6 .*\(4,\s?2\)"),
    "reshape with -1": (lambda: zeros(2, 3).reshape(-1, 4), RuntimeError, r"\[-1, 4\] does not fit 6 elements"),
    "reshape with two -1": (lambda: zeros(6).reshape(-1, -1), RuntimeError, r"\[-1, -1\] has more than one -1"),
    "view": (lambda: zeros(2, 3).T.view(6), RuntimeError, r"view: .*\(3, 2\) .*\(6,\) .*use reshape\(\)"),
    "expand": (lambda: zeros(2, 3).expand(2, 4), RuntimeError, r"expand: .* dimension 1 has 3 elements, not 4"),
    "cat": (lambda: rg.cat([zeros(2, 3), zeros(2, 4)]), RuntimeError, r"cat: .*\(2, 3\).*\(2, 4\) \(tensor 1\)"),
    "cat of nothing": (lambda: rg.cat([]), ValueError, "cat: expected at least one tensor, got none"),
    "stack": (lambda: rg.stack([zeros(2), zeros(3)]), RuntimeError, r"stack: all shapes must be equal, got \(2,\)"),
    "split": (lambda: zeros(5).split([2, 2]), RuntimeError, r"split: the lengths \[2, 2\] must sum to the 5"),
    "chunk": (lambda: zeros(5).chunk(0), RuntimeError, "chunk: chunks must be 1 or more, got 0"),
    "permute": (lambda: zeros(2, 3).permute(0, 0), RuntimeError, r"permute.*multiple times .*\(0, 0\)"),
    "transpose": (lambda: zeros(2, 3).transpose(0, 2), IndexError, "Dimension out of range: expected -2 to 1, got 2"),
    "unflatten": (lambda: zeros(6).unflatten(0, (4, 2)), RuntimeError, r"unflatten: .*\[4, 2\] .* which is 6"),
    "narrow": (lambda: zeros(5).narrow(0, 3, 4), RuntimeError, r"narrow: start 3 \+ length 4 .* the 5"),
    "negative length": (lambda: zeros(-1), RuntimeError, r"\(-1,\) has a negative dimension; .* 0 or more"),
    "ragged list": (lambda: tensor([[1.0, 2.0], [3.0]]), ValueError, "ragged: expected length 2 .* got length 1"),
    "einsum's output": (lambda: rg.einsum("ij->l", zeros(2, 3)), RuntimeError, "einsum: label 'l' .* no operand"),
    "einsum's lengths": (lambda: rg.einsum("ij,jk", zeros(2, 3), zeros(4, 4)), RuntimeError, "lengths 3 and 4"),
    "einsum's dimensions": (lambda: rg.einsum("ijk->i", zeros(2, 3)), RuntimeError, "2 dimensions, .* names 3"),
    "einsum's operands": (lambda: rg.einsum("i,i->i", zeros(2)), RuntimeError, "is for 2 operands, got 1"),
    "tensordot": (lambda: rg.tensordot(zeros(2, 3), zeros(4, 5), dims=1), RuntimeError, "size 3 .* size 4"),
}

REDUCTIONS = {
    "sum": (lambda: zeros(2, 3).sum(dim=2), IndexError, "Dimension out of range: expected -2 to 1, got 2"),
    "sum twice": (lambda: zeros(2, 3).sum(dim=(0, 0)), RuntimeError, r"dim \(0, 0\): a dimension appears multiple"),
    "max of nothing": (lambda: zeros(0).max(), RuntimeError, r"max: .* without elements, \(0,\)"),
    "max along nothing": (lambda: zeros(0, 3).max(dim=0), IndexError, r"max: .* dim 0 .* \(0, 3\)"),
    "mean of integers": (lambda: tensor([1, 2]).mean(), RuntimeError, "mean: .* got int64; cast it"),
    "softmax": (lambda: F.softmax(zeros(2, 3), dim=2), IndexError, r"softmax: dim 2 is out of range for .*\(2, 3\)"),
    "topk": (lambda: zeros(3).topk(4), RuntimeError, "topk: .* k=4 is out of range for a dimension of length 3"),
    "kthvalue": (lambda: zeros(3).kthvalue(0), RuntimeError, "kthvalue: k=0 .* counts from 1"),
    "item": (lambda: zeros(2).item(), RuntimeError, r"item: expected one element, got 2 elements .*tolist\(\)"),
    "truth": (lambda: bool(zeros(2)), RuntimeError, r"truth of a tensor .*\(2,\); use any\(\) or all\(\)"),
    "float": (lambda: float(zeros(2)), ValueError, r"only one element .*\(2,\); tolist\(\)"),
    "iteration": (lambda: list(tensor(1.0)), TypeError, r"0-d tensor cannot be iterated over; item\(\)"),
}

DTYPES = {
    "gradient of integers": (lambda: tensor([1], requires_grad=True), RuntimeError, "floating .* got int64"),
    "requires_grad_": (lambda: tensor([1]).requires_grad_(), RuntimeError, "floating .* got int64; .*float"),
    "integer parameter": (lambda: nn.Parameter(tensor([1])), RuntimeError, "floating .* got int64"),
    "float index": (lambda: zeros(3)[tensor([0.5])], IndexError, "indices must be .* integer .* got float32"),
    "difference of truths": (lambda: tensor([True]) - tensor([False]), NotImplementedError, r"subtract: .* bool .*\^"),
    "negative of truth": (lambda: -tensor([True]), NotImplementedError, "negative: not possible for bool: .*~"),
    "bits of floats": (lambda: zeros(2) & zeros(2), NotImplementedError, "bitwise_and: not possible for float32"),
    "float into integers": (lambda: tensor([1]).add_(0.5), RuntimeError, "add_: .* float32 .* int64"),
    "matmul of two dtypes": (lambda: zeros(2, 2) @ zeros(2, 2).double(), RuntimeError, "float32 and float64; convert"),
    "linear of integers": (lambda: nn.Linear(1, 2)(tensor([[1]])), RuntimeError, "linear: .* int64 .* float32; conv"),
    "complex": (lambda: tensor([1j]), TypeError, "complex dtypes are not supported; keep the real and the imaginary"),
    "complex array": (lambda: rg.from_numpy(np.ones(2, complex)), TypeError, "complex128 is not supported; supported"),
    "unknown dtype": (lambda: zeros(2, dtype="float31"), TypeError, "'float31' is unknown; known are float16"),
    "text": (lambda: tensor("abc"), TypeError, "tensor: expected numbers .* got str 'abc'"),
    "None": (lambda: tensor(None), RuntimeError, "tensor: expected numbers .* got NoneType"),
    "list as array": (lambda: rg.from_numpy([1.0]), TypeError, r"expected a NumPy array, got list; use rg.tensor"),
    "mask of integers": (lambda: zeros(2).masked_fill(tensor([1, 0]), 1.0), RuntimeError, "bool, got int64; compare"),
}

DEVICES = {
    "unknown": (lambda: zeros(2, device="tpu"), RuntimeError, "device 'tpu': unknown type .* known are cpu, cuda"),
    "not a number": (lambda: rg.device("cuda:one"), RuntimeError, "'cuda:one': expected 'type' or 'type:index'"),
    "negative": (lambda: rg.device("cuda", -1), RuntimeError, "an index counts from 0, got -1"),
    "too high": (lambda: zeros(2, device="strict:99"), RuntimeError, "strict:99 does not exist; this machine has"),
    "mixed sum": (lambda: zeros(8) + there(8), RuntimeError, r"add: operands on cpu \(8,\) and strict:0 .*x.to\("),
    "mixed product": (
        lambda: there(2, 3) @ zeros(3, 2),
        RuntimeError,
        r"matmul: operands on strict:0 .*x.to\(\"cpu\"\)",
    ),
    "mixed cat": (
        lambda: rg.cat([zeros(2), there(2)]),
        RuntimeError,
        r"operands on cpu \(2,\) and strict:0 .* move one",
    ),
    "mixed layer": (
        lambda: nn.Linear(3, 2)(there(2, 3)),
        RuntimeError,
        "linear: operands on strict:0 .* and cpu .* move",
    ),
    "mixed loss": (
        lambda: F.cross_entropy(zeros(1, 3), there(1).long()),
        RuntimeError,
        r"cpu .* strict:0 .*target.to\(",
    ),
    "mixed index": (lambda: zeros(3)[there(1).long()], RuntimeError, r"indices .* \(cpu\), got strict:0; move one"),
    "array and GPU": (lambda: there(2) + np.ones(2), RuntimeError, r"add: operands on strict:0 .* and cpu .* move one"),
    "numpy() of a GPU's": (lambda: there(2).numpy(), TypeError, r"strict:0 to numpy; use t.cpu\(\)"),
    "NumPy's asarray": (lambda: np.asarray(there(2)), TypeError, r"strict:0 to numpy; use t.cpu\(\)"),
}

INDICES = {
    "integer": (lambda: zeros(3)[3], IndexError, "index 3 is out of bounds .* size 3"),
    "tensor": (lambda: zeros(3)[tensor([0, 5])], IndexError, "index 5 is out of bounds .* size 3"),
    "too many": (lambda: zeros(3)[0, 0], IndexError, "too many indices"),
    "negative step": (lambda: zeros(3)[::-1], ValueError, r"step .* got -1 .*use flip\(\)"),
    "mask": (lambda: zeros(3)[tensor([True, False])], IndexError, r"mask of shape \(2,\) does not fit shape \(3,\)"),
    "gather": (lambda: zeros(2, 3).gather(1, tensor([[5]])), IndexError, "gather.* index 5 .* dimension 1 with size 3"),
    "gather's dims": (lambda: zeros(2, 3).gather(1, tensor([0])), RuntimeError, r"gather: .*\(1,\) .*\(2, 3\)"),
    "index_select": (lambda: zeros(3).index_select(0, tensor([7])), IndexError, "index_select.* index 7 .* size 3"),
    "scatter": (lambda: zeros(3).scatter(0, tensor([9]), 1.0), IndexError, "scatter.* index 9 .* size 3"),
    "take": (lambda: zeros(3).take(tensor([4])), IndexError, "index 4 is out of range for 3 elements"),
}

AUTOGRAD = {
    "no scalar": (lambda: (leaf(2) * 2).backward(), RuntimeError, r"only for scalar .*\(2,\); pass gradient="),
    "no graph": (lambda: tensor(1.0).backward(), RuntimeError, r"no grad_fn; .*requires_grad=True, .*no_grad\(\)"),
    "gradient's shape": (
        lambda: (leaf(2) * 2).backward(zeros(3)),
        RuntimeError,
        r"gradient has shape \(3,\), .*\(2,\)",
    ),
    "twice": (backward_twice, RuntimeError, "a second time: .*freed.\nPass retain_graph=True"),
    "changed value": (
        backward_through_a_changed_value,
        RuntimeError,
        r"exp's output .* by mul_ at .*\.py:\d+, (?s:.)*clone",
    ),
    "unused": (
        lambda: rg.autograd.grad(leaf(2).sum(), leaf(3)),
        RuntimeError,
        r"\(3,\) was not used .*allow_unused=True",
    ),
    "constant": (
        lambda: rg.autograd.grad(leaf(2).sum(), zeros(2)),
        RuntimeError,
        r"does not require .*requires_grad_\(\)",
    ),
    "in place": (lambda: leaf(2).add_(1), RuntimeError, r"leaf .* in-place operation; .*no_grad\(\), or a clone\(\)"),
    "assignment": (lambda: leaf(2).__setitem__(0, 1.0), RuntimeError, r"leaf .* in-place operation; .*no_grad\(\)"),
    "in place by a view": (
        lambda: leaf(2, 2)[0].add_(1),
        RuntimeError,
        r"view of a leaf .*no_grad\(\), or a clone\(\)",
    ),
    "numpy()": (lambda: leaf(2).numpy(), RuntimeError, r"numpy: .* requires grad; use detach\(\)\.numpy\(\)"),
    "grad of another shape": (
        lambda: setattr(leaf(2), "grad", zeros(3)),
        RuntimeError,
        r"grad of shape \(3,\) .*\(2,\)",
    ),
    "copy of a result": (lambda: copy.deepcopy(leaf(2) * 2), RuntimeError, r"<MulBackward0>: detach\(\) it first"),
    "retain_grad": (
        lambda: zeros(2).retain_grad(),
        RuntimeError,
        "retain_grad: .* no input of it has requires_grad=True",
    ),
    "hook": (lambda: zeros(2).register_hook(print), RuntimeError, r"doesn't require gradient; call requires_grad_\(\)"),
    "result's flag": (lambda: (leaf(2) * 2).requires_grad_(False), RuntimeError, r"leaf variables; detach\(\)"),
}

ALGEBRA = {
    "inverse": (lambda: rg.linalg.inv(zeros(2, 2)), rg.linalg.LinAlgError, r"inv: [Ss]ingular matrix; shape \(2, 2\)"),
    "inverse of 2 by 3": (lambda: rg.linalg.inv(zeros(2, 3)), RuntimeError, "linalg.inv: .* square .* 2 by 3"),
    "cholesky": (lambda: rg.linalg.cholesky(-rg.eye(2)), rg.linalg.LinAlgError, "cholesky: .*not positive definite"),
    "solve": (lambda: rg.linalg.solve(rg.eye(2), zeros(3)), RuntimeError, r"linalg.solve: .*\(2, 2\) .*\(3, 1\)"),
    "determinant": (lambda: rg.linalg.det(zeros(2)), RuntimeError, r"linalg.det: .* at least 2 .* got shape \(2,\)"),
    "norm": (lambda: rg.linalg.norm(zeros(2, 2), ord="cube"), RuntimeError, "order 'cube' is not supported; use fro"),
}

LAYERS = {
    "dropout": (lambda: nn.Dropout(1.5), ValueError, "Dropout: the probability p must lie between 0 and 1, got 1.5"),
    "dropout of NaN": (lambda: nn.Dropout(float("nan")), ValueError, "between 0 and 1, got nan"),
    "one_hot": (lambda: F.one_hot(tensor([-1])), RuntimeError, "one_hot: class values must be non-negative, got -1"),
    "one_hot's classes": (lambda: F.one_hot(tensor([3]), 3), RuntimeError, "must be smaller than num_classes=3"),
    "class": (lambda: F.cross_entropy(zeros(1, 3), tensor([3])), IndexError, "Target 3 .* 3 classes, 0 to 2"),
    "classes' shape": (lambda: F.cross_entropy(zeros(2, 3), tensor([0])), ValueError, r"\(2, 3\) .*\(1,\) do not fit"),
    "nll": (lambda: F.nll_loss(zeros(1, 3), tensor([-1])), IndexError, "Target -1 is out of bounds"),
    "bce's shape": (lambda: F.binary_cross_entropy(zeros(3, 1), zeros(3)), ValueError, r"\(3,\) must be .* \(3, 1\)"),
    "bce of logits": (
        lambda: F.binary_cross_entropy(rg.full((1,), 1.5), zeros(1)),
        RuntimeError,
        "0 and 1; for logits",
    ),
    "reduction": (lambda: F.mse_loss(zeros(2), zeros(2), reduction="avg"), ValueError, "'sum' or 'none', got 'avg'"),
    "no super().__init__()": (Forgetful, AttributeError, r"cannot assign .* before Module.__init__\(\) call"),
    "misspelt": (lambda: nn.Linear(2, 2).wight, AttributeError, "'Linear' object has no attribute 'wight'"),
    "no forward": (lambda: nn.Module()(zeros(2)), NotImplementedError, r"Module defines no forward\(\)"),
    "no module": (lambda: nn.Sequential(3), TypeError, "int is not a Module"),
    "initialiser": (lambda: nn.init.xavier_uniform_(zeros(3)), ValueError, r"fan-in .* 2 dimensions, got shape \(3,\)"),
}

OPTIMIZERS = {
    "NaN": (lambda: optim.SGD(parameters(), lr=float("nan")), ValueError, "Invalid learning rate: nan; it must be"),
    "negative": (lambda: optim.SGD(parameters(), lr=-0.1), ValueError, "Invalid learning rate: -0.1; .* from 0 on"),
    "Adam's NaN": (lambda: optim.Adam(parameters(), lr=float("nan")), ValueError, "Invalid learning rate: nan"),
    "momentum": (lambda: optim.SGD(parameters(), lr=1, momentum=-1), ValueError, "Invalid momentum value: -1"),
    "Nesterov": (lambda: optim.SGD(parameters(), lr=1, nesterov=True), ValueError, "nesterov=True needs momentum"),
    "betas": (
        lambda: optim.Adam(parameters(), betas=(0.9, 1.0)),
        ValueError,
        "at index 1: 1.0; .* from 0 on and below 1",
    ),
    "decay": (lambda: optim.AdamW(parameters(), weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
    "nothing": (lambda: optim.Adam([]), ValueError, r"no parameters to optimize; pass model.parameters\(\)"),
    "a tensor": (lambda: optim.Adam(zeros(2)), TypeError, "expected a list .* got Tensor; put a single one in a list"),
    "a result": (lambda: optim.Adam([leaf(2) * 2]), ValueError, r"non-leaf Tensor of shape \(2,\) is computed from"),
    "a misspelt group": (lambda: optim.Adam([{"weights": parameters()}]), KeyError, r"'params', got \['weights'\]"),
}

DATA = {
    "batch of 0": (lambda: data.DataLoader([1], batch_size=0), ValueError, "batch_size must be a positive .* got 0"),
    "half a sample": (lambda: data.DataLoader([1], batch_size=1.5), ValueError, "batch_size .* got 1.5"),
    "workers": (lambda: data.DataLoader([1], num_workers=-1), ValueError, "num_workers .* got -1; 0 loads in the loop"),
    "no samples": (
        lambda: data.DataLoader([], shuffle=True),
        ValueError,
        "the data set is empty; .* nothing to shuffle",
    ),
    "shuffled sampler": (lambda: data.DataLoader([1], shuffle=True, sampler=[0]), ValueError, "leave out shuffle=True"),
    "rows": (
        lambda: data.TensorDataset(zeros(3), zeros(4)),
        AssertionError,
        r"same number of rows, got .*\(3,\), \(4,\)",
    ),
    "lengths": (lambda: data.random_split([1, 2, 3], [1, 1]), ValueError, "sum to 2, but the data set has 3 samples"),
    "fractions": (lambda: data.random_split([1, 2], [0.5, 0.2]), ValueError, "must sum to 1, got .* sum to 0.7"),
    "samples": (lambda: next(iter(data.DataLoader([zeros(2), zeros(3)], 2))), RuntimeError, r"shapes, \(2,\) at 0 and"),
    "objects": (lambda: next(iter(data.DataLoader([object()]))), TypeError, "found object.\n.* collate_fn"),
    "address": (lambda: download("file:///x", "x", "0" * 32), ValueError, "expected http:// or https://"),
    "MD5 sum": (lambda: download("http://x", "x", "abc"), ValueError, "32 hexadecimal digits, got 'abc'"),
}

RANDOM = {
    "negative weights": (lambda: rg.multinomial(tensor([-1.0, 2.0]), 1), RuntimeError, "multinomial: .* not negative"),
    "no weights": (lambda: rg.multinomial(zeros(2), 1), RuntimeError, "multinomial: .* at least one positive weight"),
    "too many draws": (lambda: rg.multinomial(rg.ones(2), 3), RuntimeError, "draw 3 of 2 .* pass replacement=True"),
    "probability": (lambda: rg.bernoulli(tensor([1.5])), RuntimeError, r"bernoulli: expected every p in \[0, 1\]"),
    "randint": (lambda: rg.randint(5, 5, (2,)), RuntimeError, "expected low < high, got low=5, high=5"),
    "deviation": (lambda: rg.normal(zeros(1), -rg.ones(1)), RuntimeError, "normal: every std must be 0 or more"),
    "seed": (lambda: rg.manual_seed("x"), ValueError, "manual_seed: expected an integer, got 'x'"),
    "generator": (lambda: rg.rand(2, generator=3), TypeError, "rg.Generator or None, got int"),
    "state": (lambda: rg.set_rng_state(zeros(3)), TypeError, "expected a uint8 array .* got float32"),
    "arange": (lambda: rg.arange(0, 5, -1), RuntimeError, "arange: .* change its sign"),
    "arange without step": (lambda: rg.arange(0, 5, 0), RuntimeError, "arange: the step must be nonzero"),
}

UNSUPPORTED = {
    "out=": (lambda: rg.add(zeros(2), zeros(2), out=zeros(2)), TypeError, "add.*'out'"),
    "pin_memory": (lambda: zeros(2, pin_memory=True), NotImplementedError, "pin_memory=True is not supported; leave"),
    "layout": (
        lambda: zeros(2, layout="sparse"),
        NotImplementedError,
        "layout='sparse' is not supported; leave it out",
    ),
    "memory_format": (lambda: zeros(2).contiguous(memory_format="x"), NotImplementedError, "memory_format='x' is not"),
    "foreach": (lambda: optim.Adam(parameters(), foreach=True), NotImplementedError, "foreach=True is not supported"),
    "loader's in_order": (lambda: data.DataLoader([1], in_order=False), NotImplementedError, "in_order=False is not"),
    "is_grads_batched": (
        lambda: rg.autograd.grad(leaf(2).sum(), leaf(2), is_grads_batched=True),
        NotImplementedError,
        "loop over grad_outputs, or use rg.func.vmap",
    ),
    "axes=": (lambda: rg.sum(zeros(2), axes=0), TypeError, "'axes'"),
    "rounding": (lambda: rg.div(zeros(2), 2, rounding_mode="up"), RuntimeError, "'trunc' or 'floor', got 'up'"),
    "clamp without limits": (lambda: zeros(2).clamp(), RuntimeError, "clamp: give min, max or both"),
    "meshgrid": (lambda: rg.meshgrid(zeros(2), indexing="yx"), RuntimeError, "must be 'xy' or 'ij', got 'yx'"),
    "pickled weights": (lambda: io.load("m.pt"), NotImplementedError, "pickled files can run any code"),
    "picture without graph": (lambda: viz.graph(zeros(2)), ValueError, r"\(2,\) has no graph; .* no_grad\(\)"),
    "picture of text": (lambda: viz.graph("loss"), TypeError, "expected a Tensor or a list of them, got str"),
}

TABLES = {
    "shapes": SHAPES,
    "reductions": REDUCTIONS,
    "dtypes": DTYPES,
    "devices": DEVICES,
    "indices": INDICES,
    "autograd": AUTOGRAD,
    "algebra": ALGEBRA,
    "layers": LAYERS,
    "optimizers": OPTIMIZERS,
    "data": DATA,
    "random": RANDOM,
    "unsupported": UNSUPPORTED,
}


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [pytest.param(*case, id=f"{table}-{name}") for table, cases in TABLES.items() for name, case in cases.items()],
)
def test_a_mistake_raises_one_clear_error(mistake, kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with raises_clearly(kind, words):
        mistake()
    assert list(tmp_path.iterdir()) == []


# ---- nothing is half-done


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("0.bias"), r'Missing key\(s\) in state_dict: "0.bias"'),
        (lambda state: state.update(more=zeros(1)), r'Unexpected key\(s\) in state_dict: "more"'),
        (lambda state: state.update({"1.weight": zeros(5, 5)}), r"1.weight: size mismatch: shape \(5, 5\)"),
    ],
)
def test_a_refused_state_dict_changes_no_parameter(change, words):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = copy.deepcopy(model.state_dict())
    state = {name: value + 1 for name, value in model.state_dict().items()}
    change(state)
    with raises_clearly(RuntimeError, words):
        model.load_state_dict(state)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


@pytest.mark.parametrize(
    "state", [{"state": {}, "param_groups": []}, {"state": {}, "param_groups": [{"params": [0, 1]}]}]
)
def test_a_refused_optimizer_state_changes_nothing(state):
    optimizer = optim.SGD(parameters(), lr=0.1, momentum=0.5)
    before = copy.deepcopy(optimizer.state_dict())
    with raises_clearly(ValueError, "group"):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before


def test_a_refused_parameter_group_is_not_added():
    shared = parameters()
    optimizer = optim.SGD(shared, lr=0.1)
    with raises_clearly(ValueError, "two parameter groups; list each once"):
        optimizer.add_param_group({"params": shared})
    with raises_clearly(ValueError, "Invalid learning rate: nan"):
        optimizer.add_param_group({"params": parameters(), "lr": float("nan")})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.__setitem__(slice(0, 2), rg.ones(3)), r"assignment: a value of shape \(3,\) does not broadcast"),
        (lambda x: x.add_(rg.ones(2)), "do not broadcast"),
        (lambda x: x.index_add_(0, tensor([0, 9]), rg.ones(2)), "index 9"),
        (lambda x: x.scatter_(0, tensor([0, 9]), 1.0), "index 9"),
        (lambda x: x.copy_(rg.ones(5)), r"\(5,\)"),
    ],
)
def test_a_refused_change_in_place_changes_no_element(change, words):
    x = zeros(3)
    with raises_clearly((RuntimeError, IndexError), words):
        change(x)
    assert x.tolist() == [0, 0, 0]


def test_a_refused_backward_leaves_gradients_as_they_were():
    x = leaf(2)
    with raises_clearly(RuntimeError, "scalar"):
        (x * 2).backward()
    with raises_clearly(RuntimeError, "gradient has shape"):
        (x * 2).backward(zeros(3))
    assert x.grad is None


def test_a_refused_seed_leaves_the_stream_where_it_was():
    rg.manual_seed(0)
    with raises_clearly(ValueError, "manual_seed"):
        rg.manual_seed("x")
    first = rg.rand(2)
    rg.manual_seed(0)
    assert first.tolist() == rg.rand(2).tolist()


def test_a_refused_default_device_leaves_the_old_one():
    for device, words in (("tpu", "unknown type"), ("strict:99", "does not exist")):
        with raises_clearly(RuntimeError, words):
            rg.set_default_device(device)
        assert str(rg.get_default_device()) == "cpu"


# ---- files

IMAGES = idx_bytes(np.zeros((2, 28, 28), np.uint8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IMAGES[:-1], r"is truncated: .* take 1568 bytes, got 1567"),
        (b"\x01" + IMAGES[1:], "not an IDX file: it starts with 01 00 08 03; expected 00 00"),
        (IMAGES + b"\0", "longer than its header says: .* take 1568 bytes, got 1569"),
        (IMAGES[:6], "truncated: a header of 3 dimensions takes 16 bytes, got 6"),
        (b"", "not an IDX file: it starts with nothing"),
    ],
)
def test_a_damaged_idx_file_is_named(content, words, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(content)
    with raises_clearly(ValueError, words) as caught:
        read_idx(path)
    assert path.name in str(caught.value)


def test_a_file_with_another_md5_sum_is_refused_and_not_kept(web, tmp_path):
    address = web.put("/weights", b"not what was published")
    with raises_clearly(OSError, "no mirror delivered weights: .* MD5 is .*, expected 0{32}"):
        download(address, tmp_path / "weights", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written_or_read_are_named_and_nothing_is_left(tmp_path):
    missing = tmp_path / "no" / "model.safetensors"
    with raises_clearly(FileNotFoundError, "cannot write 'model.safetensors': the folder .* does not exist"):
        io.save_file({"weight": zeros(2)}, missing)
    with raises_clearly(FileNotFoundError, "model.safetensors does not exist"):
        io.load_file(missing)
    with raises_clearly(TypeError, "expected a Tensor under 'weight', got int"):
        io.save_file({"weight": 3}, tmp_path / "model.safetensors")
    with raises_clearly(FileNotFoundError, "cannot write 'g.dot': the folder .* does not exist"):
        viz.graph(leaf(2).sum()).render(tmp_path / "no" / "g.dot")
    with raises_clearly(ValueError, "'g.jpeg' ends in none of .svg"):
        viz.graph(leaf(2).sum()).render(tmp_path / "g.jpeg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--colour", "red"], ["--epochs", "0"], ["--lr", "nan"], ["--data", "no-such"]])
def test_a_refused_command_writes_nothing_but_one_line(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["train", "mlp", *options])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("retrograd")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
