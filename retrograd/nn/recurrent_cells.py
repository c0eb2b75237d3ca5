"""Recurrent cells: one step at a time."""

from __future__ import annotations

import math
from typing import Any

from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.tensor import Tensor
from retrograd.nn import init
from retrograd.nn.functional.recurrent import recurrence
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, blank

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share: the parameters of one step, and its call.

    Parameters: `weight_ih` (chunks · hidden, inputs), `weight_hh` (chunks · hidden, hidden), `bias_ih` and `bias_hh`
    (chunks · hidden,); all start uniform in ±1/√hidden_size, with PyTorch's values for the same seed.
    Shapes: input (batch, input_size) or (input_size,); states (batch, hidden_size) or (hidden_size,), zeros unless
    given.
    Raises ValueError for other numbers of dimensions, RuntimeError for sizes that do not fit.
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = blank((rows, input_size), device, dtype)
        self.weight_hh = blank((rows, hidden_size), device, dtype)
        self.register_parameter("bias_ih", blank((rows,), device, dtype) if bias else None)
        self.register_parameter("bias_hh", blank((rows,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias is True else f", bias={self.bias}")

    def _step(self, mode: str, input: Tensor, given: Any, states: int) -> tuple[Tensor, ...]:
        """The new states."""
        if isinstance(given, Tensor) or (given is not None and len(given) != states):
            raise RuntimeError(f"{self._get_name()}: the state must be a pair (h, c), got {type(given).__name__}.")
        for name, value in (("input", input), *(("hidden", state) for state in given or ())):
            if value.ndim not in (1, 2):
                raise ValueError(f"{self._get_name()}: Expected {name} to be 1D or 2D, got {value.ndim}D instead")
        batched = input.ndim == 2
        rows = input if batched else input.unsqueeze(0)
        shape = (len(rows), self.hidden_size)
        if given is None:
            given = [zeros(shape, dtype=input.dtype, device=input.device)] * states
        elif not batched:
            given = [state.unsqueeze(0) for state in given]
        if rows.shape[1] != self.input_size:
            raise RuntimeError(
                f"{self._get_name()}: inconsistent input_size: got {rows.shape[1]}, expected {self.input_size}"
            )
        for state in given:
            if state.shape != shape:
                raise RuntimeError(f"{self._get_name()}: expected hidden of shape {shape}, got {state.shape}")
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        _, *new = recurrence(mode, rows, given, *weights, sizes=shape[:1])
        return tuple(new if batched else [state.squeeze(0) for state in new])


class RNNCell(RNNCellBase):
    """One step of an RNN: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. Shapes, values, errors: RNNCellBase.

    >>> import retrograd as rg
    >>> rg.nn.RNNCell(3, 5)(rg.ones(2, 3)).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: Unknown nonlinearity: {self.nonlinearity!r}; choose 'tanh' or 'relu'.")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,), 1)[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """One step of an LSTM: takes `(input, (h, c))` and gives `(h, c)`.

    Formulas: LSTM; shapes, values, errors: RNNCellBase.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._step("LSTM", input, hx, 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a GRU. Formulas: GRU; shapes, values, errors: RNNCellBase."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else (hx,), 1)[0]
