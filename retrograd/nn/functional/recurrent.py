"""One layer of a recurrent network in one direction, over all steps: what the modules are made of.

Not among PyTorch's functions, whose counterparts take all layers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.tensor import Tensor

__all__ = ["GATES", "recurrence"]

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
"""By mode: how many blocks of `hidden_size` rows the weights have."""


def recurrence(
    mode: str,
    x: Tensor,
    state: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    sizes: tuple[int, ...],
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """All hidden states, and every state's last value.

    Shapes: x (rows, inputs), the rows of the first step, then those of the second, and so on, `sizes[t]` of them in
    step t, never growing; states (sizes[0], hidden), for LSTM h and c; w_ih (gates · hidden, inputs),
    w_hh (gates · hidden, hidden), biases (gates · hidden,) or None, and LSTM's projection w_hr (proj, hidden) or None.
    `reverse` goes from the last step to the first.
    """
    h, c = state[0], state[-1]  # one and the same but for LSTM
    out: Any  # a tuple: the primitives' stubs do not say how many results there are
    if mode == "GRU":
        bias, inner = gru_biases(w_hh, b_ih, b_hh)
        out = ops.gru(x, h, w_ih, w_hh, bias, inner, sizes=sizes, reverse=reverse)
        return out  # type: ignore[no-any-return]
    bias = none_of(w_hh) if b_ih is None or b_hh is None else b_ih + b_hh
    if w_hr is not None:
        out = ops.lstm_projected(x, h, c, w_ih, w_hh, bias, w_hr, sizes=sizes, reverse=reverse)
    elif mode == "LSTM":
        out = ops.lstm(x, h, c, w_ih, w_hh, bias, sizes=sizes, reverse=reverse)
    else:
        nonlinearity = mode.removeprefix("RNN_").lower()
        out = ops.rnn(x, h, w_ih, w_hh, bias, nonlinearity=nonlinearity, sizes=sizes, reverse=reverse)
    return out  # type: ignore[no-any-return]


def gru_biases(w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> tuple[Tensor, Tensor]:
    """That of all gates, and the candidate's second one, which stays apart: the reset gate multiplies it."""
    if b_ih is None or b_hh is None:
        bias = none_of(w_hh)
        return bias, bias[2 * w_hh.shape[1] :]
    both, candidate = slice(0, 2 * w_hh.shape[1]), slice(2 * w_hh.shape[1], None)
    return ops.concat(b_ih[both] + b_hh[both], b_ih[candidate], axis=0), b_hh[candidate]


def none_of(w_hh: Tensor) -> Tensor:
    """A bias of zeros."""
    return zeros(len(w_hh), dtype=w_hh.dtype, device=w_hh.device)
