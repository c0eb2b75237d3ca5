"""Recurrent layers over whole sequences: RNN, LSTM and GRU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.methods.creation import zeros
from retrograd.autograd.tensor import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.functional.recurrent import GATES, recurrence
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, blank
from retrograd.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

States = tuple[Tensor, ...]


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters by layer and direction, and the way through them.

    Parameters of layer k: `weight_ih_lk` (gates · hidden, inputs), `weight_hh_lk` (gates · hidden, hidden), the biases
    `bias_ih_lk` and `bias_hh_lk` (gates · hidden,), LSTM's `weight_hr_lk` (proj, hidden) where it projects; and the
    same with `_reverse` for the other direction. All start uniform in ±1/√hidden_size, with PyTorch's values for the
    same seed.

    Shapes: input (steps, batch, input_size); (batch, steps, input_size) with `batch_first`; (steps, input_size) without
    a batch; or a PackedSequence. Output: the same with directions · hidden_size. States, given or returned:
    (layers · directions, batch, hidden_size), without the batch where the input has none; zeros unless given.

    Raises ValueError and TypeError for impossible arguments; ValueError for an input of another dtype or number of
    dimensions; RuntimeError for sizes that do not fit.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_options(bias, batch_first, dropout, num_layers)
        check_widths(mode, input_size, hidden_size, num_layers, proj_size)
        self.mode = mode
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self._states = ("h", "c") if mode == "LSTM" else ("h",)
        self._names: list[list[str]] = []
        rows, out = GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            inputs = out * self._directions if layer else input_size
            for suffix in ("", "_reverse")[: self._directions]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, f"{name}_l{layer}{suffix}", blank(shape, device, dtype))
                self._names.append([f"{name}_l{layer}{suffix}" for name in shapes])
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters: a list for every layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: it arranges memory for cuDNN, which is not used here."""

    # ---- forward

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Output and last state, the state a pair (h, c) for LSTM."""
        given = None if hx is None else self._as_states(hx)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, given)
        if input.ndim not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        batched = input.ndim == 3
        for initial in given or ():
            if initial.ndim != input.ndim:
                raise RuntimeError(
                    f"{self._get_name()}: an input of {input.ndim} dimensions needs states of {input.ndim}, "
                    f"got {initial.ndim}."
                )
        if not batched:
            input = input.unsqueeze(1)
            given = given and tuple(initial.unsqueeze(1) for initial in given)
        elif self.batch_first:
            input = input.transpose(0, 1)
        self._check_input(input)
        steps, batch, inputs = input.shape
        if not steps:
            raise RuntimeError(f"{self._get_name()}: the sequence length must be larger than 0, got {input.shape}.")
        rows = ops.reshape(input, shape=(steps * batch, inputs))
        out, state = self._through_layers(rows, self._initial(rows, given, batch), (batch,) * steps)
        out = ops.reshape(out, shape=(steps, batch, out.shape[1]))
        if not batched:
            return out.squeeze(1), self._given_back(tuple(s.squeeze(1) for s in state))
        return (out.transpose(0, 1) if self.batch_first else out), self._given_back(state)

    def _as_states(self, hx: Any) -> States:
        pair = len(self._states) == 2
        if isinstance(hx, Tensor) == pair or (pair and len(hx) != 2):
            raise RuntimeError(
                f"{self._get_name()}: the state must be {'a pair (h, c)' if pair else 'a Tensor'}, "
                f"got {type(hx).__name__}; pass {'(h, c)' if pair else 'h alone'}."
            )
        return tuple(hx) if pair else (hx,)

    def _forward_packed(self, input: PackedSequence, given: States | None) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, original = input
        if data.ndim != 2:
            raise RuntimeError(f"{self._get_name()}: packed data must have 2 dimensions, got {data.shape}.")
        self._check_input(data)
        sizes = tuple(batch_sizes.array.tolist())
        if sum(sizes) != len(data) or any(later > earlier for earlier, later in pairwise(sizes)):
            raise RuntimeError(
                f"{self._get_name()}: batch sizes {sizes} do not fit packed data {data.shape}: they must not grow, and "
                "their sum is the number of rows; let pack_sequence or pack_padded_sequence make them."
            )
        if given is not None and order is not None:
            given = tuple(state.index_select(1, order) for state in given)
        out, state = self._through_layers(data, self._initial(data, given, sizes[0]), sizes)
        if original is not None:
            state = tuple(s.index_select(1, original) for s in state)
        return PackedSequence(out, batch_sizes, order, original), self._given_back(state)

    def _given_back(self, state: States) -> Any:
        return state[0] if len(state) == 1 else state

    def _check_input(self, input: Tensor) -> None:
        dtype = self.all_weights[0][0].dtype
        if input.dtype != dtype:
            raise ValueError(
                f"{self._get_name()}: input is {input.dtype} and the weights are {dtype}; convert one, "
                f"e.g. x.to(rg.{dtype})."
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{self._get_name()}: input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _initial(self, input: Tensor, given: States | None, batch: int) -> States:
        """The states to start with, (layers · directions, batch, width): those given, or zeros."""
        blocks = self.num_layers * self._directions
        shapes = [(blocks, batch, self.hidden_size) for _ in self._states]
        shapes[0] = (blocks, batch, self.proj_size or self.hidden_size)
        if given is None:
            return tuple(zeros(shape, dtype=input.dtype, device=input.device) for shape in shapes)
        for state, shape, name in zip(given, shapes, self._states, strict=True):
            if state.shape != shape:
                raise RuntimeError(f"{self._get_name()}: expected {name} of shape {shape}, got {state.shape}")
        return given

    def _through_layers(self, x: Tensor, state: States, sizes: tuple[int, ...]) -> tuple[Tensor, States]:
        """The last layer's output and all last states; x (rows, inputs), packed."""
        last: list[States] = []
        blocks = iter(zip(self._weights(), zip(*[s.unbind(0) for s in state], strict=True), strict=True))
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outs = []
            for reverse in (False, True)[: self._directions]:
                weights, initial = next(blocks)
                out, *final = recurrence(self.mode, x, initial, **weights, sizes=sizes, reverse=reverse)
                outs.append(out)
                last.append(tuple(final))
            x = outs[0] if len(outs) == 1 else ops.concat(*outs, axis=1)
        return x, tuple(ops.stack(*blocks, axis=0) for blocks in zip(*last, strict=True))

    def _weights(self) -> Iterator[dict[str, Parameter]]:
        """The arguments of `recurrence`, for every layer and direction."""
        for names in self._names:
            yield {
                name.rpartition("_l")[0].replace("weight", "w").replace("bias", "b"): getattr(self, name)
                for name in names
            }

    def extra_repr(self) -> str:
        shown = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        options = [f"{name}={getattr(self, name)}" for name, default in shown.items() if getattr(self, name) != default]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *options])


class RNN(RNNBase):
    """h ← tanh(W_ih x + b_ih + W_hh h + b_hh) at every step, or relu (Elman 1990).

    `RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, device=None, dtype=None)`. Shapes, initial values and errors: RNNBase. Dropout acts on the
    outputs of all layers but the last.

    >>> import retrograd as rg
    >>> output, h = rg.nn.RNN(3, 5)(rg.ones(7, 2, 3))
    >>> output.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_projection(type(self).__name__, unknown)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, 0, device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000). At every step

    i, f, o = σ(W x + b + V h + b'), g = tanh(the same), each with its own block of rows in the order i, f, g, o;
    c ← f c + i g; h ← o tanh c, or with `proj_size` h ← W_hr (o tanh c) (Sak et al. 2014).

    Takes `(input, (h, c))` and gives `(output, (h, c))`. h has proj_size columns where it is set, c hidden_size.
    Shapes, initial values and errors: RNNBase. Dropout acts on the outputs of all layers but the last.

    >>> import retrograd as rg
    >>> output, (h, c) = rg.nn.LSTM(3, 5, num_layers=2)(rg.ones(7, 2, 3))
    >>> output.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device,
            dtype,
        )  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014). At every step, blocks of rows in the order r, z, n:

    r, z = σ(W x + b + V h + b'); n = tanh(W x + b + r (V h + b')); h ← (1 − z) n + z h.

    Shapes, initial values and errors: RNNBase. Dropout acts on the outputs of all layers but the last.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_projection(type(self).__name__, unknown)
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


def refuse_projection(name: str, unknown: dict[str, Any]) -> None:
    """ValueError for `proj_size`, as PyTorch's RNN and GRU raise; TypeError for what no recurrent layer has."""
    if "proj_size" in unknown:
        raise ValueError(f"{name}: proj_size is only supported by LSTM; leave it out.")
    if unknown:
        raise TypeError(f"{name}.__init__() got an unexpected keyword argument {next(iter(unknown))!r}")


def check_options(bias: Any, batch_first: Any, dropout: Any, num_layers: Any) -> None:
    """Raises for options of a wrong kind, and warns where dropout has no layer to act between."""
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout should be a number in range [0, 1], the probability of a zero; got {dropout!r}")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout acts after all but the last recurrent layer, so it expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_widths(mode: str, input_size: Any, hidden_size: Any, num_layers: Any, proj_size: Any) -> None:
    """Raises for a mode that is unknown and sizes that are impossible."""
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero, got {value}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size must be 0 (no projection) or positive and below hidden_size, got {proj_size}")
    if mode not in GATES:
        raise ValueError(f"Unrecognized RNN mode: {mode!r}; choose from {', '.join(GATES)}")
    if proj_size and mode != "LSTM":
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
