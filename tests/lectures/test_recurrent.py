"""Row L38 of the checklist: recurrent cells, their gates and parameters, and the networks made of them."""

from __future__ import annotations

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn import functional as F


def host(t):
    return t.detach().cpu().numpy()


def count(module):
    return sum(p.numel() for p in module.parameters())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def drawn(device, *shape):
    return rg.tensor(np.random.default_rng(0).standard_normal(shape), device=device)


class TestL38Parameters:
    @pytest.mark.parametrize(("inputs", "units"), [(3, 4), (10, 7)])
    def test_L38_a_cell_has_a_square_of_its_units_their_product_with_the_inputs_and_a_bias(self, device, inputs, units):
        """M² + DM + M with the one bias of the formula; PyTorch, and so this library, keeps two."""
        cell = nn.RNNCell(inputs, units, device=device)
        second_bias = cell.bias_hh.numel()
        assert count(cell) - second_bias == units**2 + inputs * units + units
        assert second_bias == units

    @pytest.mark.parametrize(("kind", "gates"), [(nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
    def test_L38_every_gate_costs_as_much_as_a_plain_cell(self, device, kind, gates):
        assert count(kind(3, 5, device=device)) == gates * count(nn.RNNCell(3, 5, device=device))

    def test_L38_the_number_of_steps_costs_no_parameters(self, device):
        layer = nn.RNN(3, 4, device=device, dtype=rg.float64)
        for steps in (1, 50):
            assert layer(drawn(device, steps, 2, 3))[0].shape == (steps, 2, 4)


class TestL38Gates:
    def blocks(self, cell, x, h, gates):
        """What input and state contribute to every gate."""
        w, v, b, d = (host(p) for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh))
        return np.split(x @ w.T + b, gates, axis=1), np.split(h @ v.T + d, gates, axis=1)

    def test_L38_lstm_forgets_writes_and_shows(self, device):
        cell = nn.LSTMCell(3, 4, device=device, dtype=rg.float64)
        x, h, c = drawn(device, 2, 3), drawn(device, 2, 4), drawn(device, 2, 4) * 0.5
        i, f, g, o = (a + b for a, b in zip(*self.blocks(cell, host(x), host(h), 4), strict=True))
        new_h, new_c = cell(x, (h, c))
        wanted = sigmoid(f) * host(c) + sigmoid(i) * np.tanh(g)
        np.testing.assert_allclose(host(new_c), wanted, rtol=1e-12)
        np.testing.assert_allclose(host(new_h), sigmoid(o) * np.tanh(wanted), rtol=1e-12)

    def test_L38_an_open_forget_gate_and_a_closed_input_gate_keep_the_cell_for_a_hundred_steps(self, device):
        layer = nn.LSTM(3, 2, device=device, dtype=rg.float64)
        with rg.no_grad():
            for p in layer.parameters():
                p.zero_()
            layer.bias_ih_l0[:2] = -50.0  # input gate
            layer.bias_ih_l0[2:4] = 50.0  # forget gate
        c = rg.tensor([[[0.3, -1.7]]], device=device, dtype=rg.float64, requires_grad=True)
        _, (_, last) = layer(drawn(device, 100, 1, 3), (c.detach() * 0, c))
        np.testing.assert_allclose(host(last), host(c), rtol=1e-12)
        last.sum().backward()
        np.testing.assert_allclose(host(c.grad), 1, rtol=1e-12)  # the gradient does not vanish either

    def test_L38_gru_mixes_the_old_state_with_a_candidate(self, device):
        cell = nn.GRUCell(3, 4, device=device, dtype=rg.float64)
        x, h = drawn(device, 2, 3), drawn(device, 2, 4)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self.blocks(cell, host(x), host(h), 3)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        np.testing.assert_allclose(host(cell(x, h)), (1 - z) * n + z * host(h), rtol=1e-12)


KINDS = [nn.RNN, nn.LSTM, nn.GRU]


@pytest.mark.parametrize("kind", KINDS)
class TestL38Networks:
    def test_L38_one_to_many_repeats_its_input(self, device, kind):
        layer = kind(3, 4, device=device, dtype=rg.float64)
        output, _ = layer(drawn(device, 1, 2, 3).expand(6, 2, 3))
        assert output.shape == (6, 2, 4)
        assert len({host(o).tobytes() for o in output}) == 6  # the state moves on though the input does not

    def test_L38_many_to_one_takes_the_last_state(self, device, kind):
        layer = kind(3, 4, device=device, dtype=rg.float64)
        output, state = layer(drawn(device, 6, 2, 3))
        last = state[0] if isinstance(state, tuple) else state
        np.testing.assert_array_equal(host(last[0]), host(output[-1]))

    def test_L38_many_to_many_sees_the_past_alone(self, device, kind):
        layer, x = kind(3, 4, device=device, dtype=rg.float64), drawn(device, 6, 2, 3)
        changed = x.clone()
        changed[4:] += 1
        before, after = host(layer(x)[0]), host(layer(changed)[0])
        np.testing.assert_array_equal(after[:4], before[:4])
        assert not np.isclose(after[4:], before[4:]).any()

    def test_L38_layers_feed_each_other(self, device, kind):
        both, x = kind(3, 4, num_layers=2, device=device, dtype=rg.float64), drawn(device, 6, 2, 3)
        first, second = (kind(n, 4, device=device, dtype=rg.float64) for n in (3, 4))
        for k, layer in enumerate((first, second)):
            layer.load_state_dict(
                {name[:-1] + "0": p for name, p in both.state_dict().items() if name.endswith(f"l{k}")}
            )
        np.testing.assert_allclose(host(both(x)[0]), host(second(first(x)[0])[0]), rtol=1e-12)

    def test_L38_both_directions_stand_side_by_side(self, device, kind):
        both, x = kind(3, 4, bidirectional=True, device=device, dtype=rg.float64), drawn(device, 6, 2, 3)
        ways = [kind(3, 4, device=device, dtype=rg.float64) for _ in range(2)]
        for layer, suffix in zip(ways, ("", "_reverse"), strict=True):
            layer.load_state_dict({name: both.state_dict()[name + suffix] for name in layer.state_dict()})
        output = host(both(x)[0])
        assert output.shape == (6, 2, 8)
        np.testing.assert_allclose(output[..., :4], host(ways[0](x)[0]), rtol=1e-12)
        np.testing.assert_allclose(output[..., 4:], host(ways[1](x.flip(0))[0].flip(0)), rtol=1e-12)


def test_L38_an_lstm_learns_to_remember_its_first_input_over_ten_steps(device):
    rg.manual_seed(0)
    layer, head = nn.LSTM(1, 8, device=device), nn.Linear(8, 2, device=device)
    optimizer = rg.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)
    rng = np.random.default_rng(0)

    def batch():
        bits = rng.integers(0, 2, 32)
        x = rng.standard_normal((10, 32, 1)).astype(np.float32) * 0.1
        x[0, :, 0] += 2.0 * bits - 1
        return rg.tensor(x, device=device), rg.tensor(bits, device=device)

    for _ in range(80):
        x, bits = batch()
        optimizer.zero_grad()
        loss = F.cross_entropy(head(layer(x)[0][-1]), bits)
        loss.backward()
        optimizer.step()
    x, bits = batch()
    assert (head(layer(x)[0][-1]).argmax(-1) == bits).float().mean().item() > 0.95
