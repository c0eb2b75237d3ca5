"""One layer of a recurrent network in one direction, over all steps: what the modules are made of.

Not among PyTorch's functions, whose counterparts take all layers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.tensor import Tensor
from retrograd.nn.functional.linear import linear

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
    if mode == "GRU":
        (h,) = state
        out = gru(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse)
    else:
        z = linear(x, w_ih, b_ih if b_ih is None or b_hh is None else b_ih + b_hh)
        if mode == "LSTM":
            h, c = state
            if w_hr is None:
                out = ops.lstm(z, h, c, w_hh, sizes=sizes, reverse=reverse)
            else:
                out = ops.lstm_projected(z, h, c, w_hh, w_hr, sizes=sizes, reverse=reverse)
        else:
            (h,) = state
            nonlinearity = mode.removeprefix("RNN_").lower()
            out = ops.rnn(z, h, w_hh, nonlinearity=nonlinearity, sizes=sizes, reverse=reverse)
    return out  # type: ignore[no-any-return]  # the primitives' stubs do not say how many results there are


def gru(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    sizes: tuple[int, ...],
    reverse: bool,
) -> Any:
    """The candidate's second bias stays apart from the first: the reset gate multiplies it."""
    if b_ih is None or b_hh is None:
        inner = zeros(w_hh.shape[1], dtype=w_hh.dtype, device=w_hh.device)
        return ops.gru(linear(x, w_ih), h, w_hh, inner, sizes=sizes, reverse=reverse)
    both = slice(0, 2 * w_hh.shape[1])
    candidate = slice(2 * w_hh.shape[1], None)
    bias = ops.concat(b_ih[both] + b_hh[both], b_ih[candidate], axis=0)
    return ops.gru(linear(x, w_ih, bias), h, w_hh, b_hh[candidate], sizes=sizes, reverse=reverse)
