"""Networks of every kind train the same, bit for bit, when their step is compiled."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from tests.compiler.training import classifying, compared

RNG = np.random.default_rng(0)


class Recurrent(nn.Module):
    """A recurrent layer and a head on its last state."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer, self.head = kind(3, 5, batch_first=True, **options), nn.LazyLinear(2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Residual(nn.Module):
    """In-place activations and additions, as ResNets have them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
        self.head = nn.Linear(2 * 36, 2)

    def forward(self, x):
        out = self.body(x)
        out += x
        return self.head(nn.functional.relu(out, inplace=True).flatten(1))


class Attending(nn.Module):
    """Multi-head attention with a mask."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.25, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.attention(x, x, x, attn_mask=mask, need_weights=False)[0].mean(1))


IMAGE, ROW, TEXT = (4, 2, 6, 6), (4, 6), (4, 5, 3)
NETWORKS = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), ROW),
    "activations": (
        lambda: nn.Sequential(
            *(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.GELU(), nn.LeakyReLU(), nn.Sigmoid(), nn.SiLU()),
            *(nn.ELU(), nn.Softplus(), nn.Hardswish(), nn.Mish(), nn.Softmax(-1), nn.LogSoftmax(-1), nn.PReLU()),
            *(nn.GELU("tanh"), nn.SELU(), nn.Hardtanh(), nn.ReLU6(), nn.Softsign(), nn.LogSigmoid(), nn.Linear(6, 2)),
        ),
        ROW,
    ),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2)),
        ROW,
    ),
    "batch norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)), ROW),
    "batch norm without momentum": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=0.3), nn.Linear(8, 2)),
        ROW,
    ),
    "layer norms": (
        lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 8), nn.GroupNorm(2, 8), nn.RMSNorm(8), nn.Linear(8, 2)),
        ROW,
    ),
    "convolutions": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.25)),
            *(nn.Conv2d(4, 3, 2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)),
        ),
        IMAGE,
    ),
    "residual in place": (Residual, IMAGE),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(108, 2)),
        IMAGE,
    ),
    "upsampled": (
        lambda: nn.Sequential(
            *(nn.Upsample(scale_factor=2, mode="bilinear"), nn.InstanceNorm2d(2, affine=True), nn.ZeroPad2d(1)),
            *(nn.Flatten(), nn.Linear(2 * 14 * 14, 2)),
        ),
        IMAGE,
    ),
    "rnn": (lambda: Recurrent(nn.RNN), TEXT),
    "gru": (lambda: Recurrent(nn.GRU, num_layers=2, dropout=0.5), TEXT),
    "lstm": (lambda: Recurrent(nn.LSTM, bidirectional=True), TEXT),
    "attention": (Attending, (4, 5, 8)),
    "transformer": (
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), nn.Flatten(), nn.Linear(40, 2)
        ),
        (4, 5, 8),
    ),
}
OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
    "Adam": {"lr": 1e-2},
    "AdamW": {"lr": 1e-2, "amsgrad": True},
    "RMSprop": {"lr": 1e-2},
    "Adagrad": {"lr": 1e-2},
    "NAdam": {"lr": 1e-2},
    "Rprop": {},
    "Muon": {"lr": 1e-2},
}


def batches(shape, count=5):
    return [
        (rg.tensor(RNG.standard_normal(shape, np.float32)), rg.tensor(RNG.integers(0, 2, shape[0])))
        for _ in range(count)
    ]


def classifier(network, optimizer="Adam", **options):
    def make():
        model = network()
        if any(isinstance(m, nn.LazyLinear) for m in model.modules()):
            model(rg.zeros(*TEXT))
        optimizing = getattr(rg.optim, optimizer)(model.parameters(), **{**OPTIMIZERS[optimizer], **options})
        return model, optimizing, classifying(model, optimizing)

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_the_same_compiled(name):
    network, shape = NETWORKS[name]
    compiled = compared(classifier(network), batches(shape))
    assert len(compiled.variants) == 1


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "Muon"])
def test_every_optimizer_steps_the_same_compiled(optimizer):
    network, shape = NETWORKS["linear"]
    assert len(compared(classifier(network, optimizer), batches(shape)).variants) == 1
