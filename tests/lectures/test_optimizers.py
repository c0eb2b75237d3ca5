"""Rows L15, L50 and L52 of the checklist: second-order steps, all optimizers, schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn, optim
from retrograd.optim import lr_scheduler

A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
B = np.array([1.0, -2.0, 3.0])
START = [4.0, -3.0, 2.0]
MINIMUM = np.linalg.solve(A, B)


def on(device, values, **options):
    return rg.tensor(values, dtype=rg.float64, device=device, **options)


def host(t):
    return t.detach().cpu().numpy()


def quadratic(device):
    """A parameter, and its loss ½ wᵀ A w − bᵀ w."""
    matrix, b, w = on(device, A), on(device, B), nn.Parameter(on(device, START))
    return w, lambda: 0.5 * w @ matrix @ w - b @ w


def descend(optimizer_of, steps, gradient, start):
    """Positions of an optimizer that follows a gradient given as a function."""
    p = nn.Parameter(rg.tensor(start, dtype=rg.float64))
    optimizer = optimizer_of([p])
    found = [host(p).copy()]
    for _ in range(steps):
        p.grad = rg.tensor(gradient(found[-1]), dtype=rg.float64)
        optimizer.step()
        found.append(host(p).copy())
    return np.array(found)


def slope(x):
    return A @ x - B


class TestL15SecondOrder:
    def test_L15_the_hessian_of_a_quadratic_is_its_matrix(self, device):
        w, _ = quadratic(device)
        H = rg.autograd.functional.hessian(lambda v: 0.5 * v @ on(device, A) @ v - on(device, B) @ v, w.detach())
        np.testing.assert_allclose(host(H), A, rtol=1e-12)

    def test_L15_one_newton_step_reaches_the_minimum_of_a_quadratic(self, device):
        w, loss = quadratic(device)
        optim.Newton([w]).step(loss)
        np.testing.assert_allclose(host(w), MINIMUM, rtol=1e-12)

    def test_L15_newtons_step_joins_parameters_and_needs_damping_where_the_loss_is_flat(self, device):
        u, v = nn.Parameter(on(device, [[2.0]])), nn.Parameter(on(device, -1.0))

        def loss():
            return (u[0, 0] + v - 3) ** 2

        optimizer = optim.Newton([u, v])
        with pytest.raises(RuntimeError, match="damping"):
            optimizer.step(loss)
        optimizer.param_groups[0]["damping"] = 1e-8
        optimizer.step(loss)
        assert loss().item() == pytest.approx(0.0, abs=1e-12)

    def test_L15_damped_newton_steps_shrink_towards_the_gradient(self, device):
        w, loss = quadratic(device)
        gradient = slope(np.array(START))
        optim.Newton([w], lr=0.5, damping=2.0).step(loss)
        np.testing.assert_allclose(host(w), START - 0.5 * np.linalg.solve(A + 2 * np.eye(3), gradient), rtol=1e-12)

    @pytest.mark.parametrize("search", [None, "strong_wolfe"])
    def test_L15_lbfgs_reaches_the_minimum_within_ten_iterations(self, device, search):
        w, loss = quadratic(device)
        optimizer = optim.LBFGS([w], max_iter=10, line_search_fn=search)

        def closure():
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)
        assert optimizer.state[w]["n_iter"] <= 10
        np.testing.assert_allclose(host(w), MINIMUM, rtol=1e-5)


NAMED = ["SGD", "ASGD", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "LAMB"]


class TestL50EveryOptimizer:
    """One recursion of the notes for each, in NumPy, against the optimizer's path."""

    def check(self, optimizer_of, recursion, steps=25, rtol=1e-9):
        path = descend(optimizer_of, steps, slope, START)
        x, memory = np.array(START), {}
        for t, expected in enumerate(path[1:], 1):
            x = recursion(x, slope(x), t, memory)
            np.testing.assert_allclose(expected, x, rtol=rtol)

    def test_L50_the_notes_nesterov_looks_ahead_and_the_usual_one_moves_the_point_it_looks_at(self):
        """x ← x + v, v ← μv − η ∇f(x + μv): the usual form holds y = x + μv."""
        path = descend(lambda p: optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True), 25, slope, START)
        x, v = np.array(START), np.zeros(3)
        for expected in path[1:]:
            v = 0.8 * v - 0.05 * slope(x + 0.8 * v)
            x = x + v
            np.testing.assert_allclose(expected, x + 0.8 * v, rtol=1e-9)

    def test_L50_adagrad_divides_by_the_root_of_the_sum_of_squares(self):
        def recursion(x, g, t, m):
            m["G"] = m.get("G", 0) + g * g
            return x - 0.5 * g / (np.sqrt(m["G"]) + 1e-10)

        self.check(lambda p: optim.Adagrad(p, lr=0.5), recursion)

    def test_L50_rmsprop_divides_by_the_root_of_the_running_mean(self):
        def recursion(x, g, t, m):
            m["v"] = 0.9 * m.get("v", 0) + 0.1 * g * g
            return x - 0.1 * g / (np.sqrt(m["v"]) + 1e-8)

        self.check(lambda p: optim.RMSprop(p, lr=0.1, alpha=0.9), recursion)

    def test_L50_adadeltas_steps_have_the_units_of_the_parameter(self):
        def recursion(x, g, t, m):
            m["v"] = 0.9 * m.get("v", 0) + 0.1 * g * g
            step = np.sqrt(m.get("d", 0) + 1e-6) / np.sqrt(m["v"] + 1e-6) * g
            m["d"] = 0.9 * m.get("d", 0) + 0.1 * step * step
            return x - step

        self.check(optim.Adadelta, recursion)

    def test_L50_adamax_divides_by_the_largest_gradient(self):
        def recursion(x, g, t, m):
            m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
            m["u"] = np.maximum(0.999 * m.get("u", 0), np.abs(g) + 1e-8)
            return x - 0.1 / (1 - 0.9**t) * m["m"] / m["u"]

        self.check(lambda p: optim.Adamax(p, lr=0.1), recursion)

    def test_L50_adamw_shrinks_the_weights_beside_adams_step(self):
        def recursion(x, g, t, m):
            m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
            m["v"] = 0.999 * m.get("v", 0) + 0.001 * g * g
            step = m["m"] / (1 - 0.9**t) / (np.sqrt(m["v"] / (1 - 0.999**t)) + 1e-8)
            return x * (1 - 0.1 * 0.2) - 0.1 * step

        self.check(lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.2), recursion)

    def test_L50_nadam_is_adam_with_the_momentum_of_the_next_step(self):
        def mu(t):
            return 0.9 * (1 - 0.5 * 0.96 ** (0.004 * t))

        def recursion(x, g, t, m):
            m["P"] = m.get("P", 1) * mu(t)
            m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
            m["v"] = 0.999 * m.get("v", 0) + 0.001 * g * g
            ahead = (1 - mu(t)) / (1 - m["P"]) * g + mu(t + 1) / (1 - m["P"] * mu(t + 1)) * m["m"]
            return x - 0.1 * ahead / (np.sqrt(m["v"] / (1 - 0.999**t)) + 1e-8)

        self.check(lambda p: optim.NAdam(p, lr=0.1), recursion, rtol=1e-5)  # PyTorch keeps the product in float32

    def test_L50_radam_is_momentum_until_the_variance_can_be_trusted(self):
        def recursion(x, g, t, m):
            m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
            m["v"] = 0.999 * m.get("v", 0) + 0.001 * g * g
            longest = 2 / 0.001 - 1
            rho = longest - 2 * t * 0.999**t / (1 - 0.999**t)
            step = 0.1 * m["m"] / (1 - 0.9**t)
            if rho <= 5:
                return x - step
            rect = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            return x - step * rect * math.sqrt(1 - 0.999**t) / (np.sqrt(m["v"]) + 1e-8)

        self.check(lambda p: optim.RAdam(p, lr=0.1), recursion)

    def test_L50_rprop_looks_at_signs_alone(self):
        def recursion(x, g, t, m):
            agreement = g * m.get("g", np.zeros(3))
            size = m.get("s", np.full(3, 0.1)) * np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1))
            m["s"] = np.clip(size, 1e-6, 50)
            m["g"] = np.where(agreement < 0, 0, g)
            return x - np.sign(m["g"]) * m["s"]

        self.check(lambda p: optim.Rprop(p, lr=0.1), recursion)
        path = descend(lambda p: optim.Rprop(p, lr=0.1), 25, slope, START)
        scaled = descend(lambda p: optim.Rprop(p, lr=0.1), 25, lambda x: 1000 * slope(x), START)
        np.testing.assert_allclose(path, scaled, rtol=1e-12)

    def test_L50_asgd_averages_its_path(self):
        p = nn.Parameter(rg.tensor(START, dtype=rg.float64))
        optimizer, path = optim.ASGD([p], lr=0.1, lambd=0.0, t0=0), []
        for _ in range(20):
            p.grad = rg.tensor(slope(host(p)), dtype=rg.float64)
            optimizer.step()
            path.append(host(p).copy())
        np.testing.assert_allclose(host(optimizer.state[p]["ax"]), np.mean(path[1:], axis=0), rtol=1e-6)

    def test_L50_lambs_step_is_as_long_as_the_rate_times_the_layers_norm(self):
        def recursion(x, g, t, m):
            m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
            m["v"] = 0.999 * m.get("v", 0) + 0.001 * g * g
            r = m["m"] / (1 - 0.9**t) / (np.sqrt(m["v"] / (1 - 0.999**t)) + 1e-6) + 0.1 * x
            return x - 0.01 * np.linalg.norm(x) / np.linalg.norm(r) * r

        self.check(lambda p: optim.LAMB(p, lr=0.01, weight_decay=0.1), recursion)
        path = descend(lambda p: optim.LAMB(p, lr=0.01), 1, slope, START)
        assert np.linalg.norm(path[1] - path[0]) == pytest.approx(0.01 * np.linalg.norm(START))
        at_zero = descend(lambda p: optim.LAMB(p, lr=0.01), 1, slope, [0.0, 0.0, 0.0])
        np.testing.assert_allclose(at_zero[1], -0.01 * np.sign(slope(np.zeros(3))), rtol=1e-5)

    @pytest.mark.parametrize("name", NAMED)
    def test_L50_maximising_is_minimising_the_negative(self, name):
        kind = getattr(optim, name)
        down = descend(lambda p: kind(p, lr=0.1), 5, slope, START)
        up = descend(lambda p: kind(p, lr=0.1, maximize=True), 5, lambda x: -slope(x), START)
        np.testing.assert_allclose(down, up, rtol=1e-12)
        assert np.abs(down[1] - down[0]).min() > 0

    @pytest.mark.parametrize("name", NAMED)
    def test_L50_groups_have_rates_of_their_own_on_every_device(self, device, name):
        still, moving = (nn.Parameter(on(device, START)) for _ in range(2))
        optimizer = getattr(optim, name)([{"params": [still], "lr": 0.0}, {"params": [moving]}], lr=0.1)
        for p in (still, moving):
            p.grad = on(device, B)
        optimizer.step()
        np.testing.assert_allclose(host(still), START, atol=2e-6)  # Rprop's shortest step
        assert (np.sign(np.array(START) - host(moving)) == np.sign(B)).all()


def rates(schedule_of, steps, lr=1.0, **options):
    """The learning rates of the first steps."""
    optimizer = optim.SGD([nn.Parameter(rg.zeros(1))], lr=lr, **options)
    scheduler, found = schedule_of(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(found)


class TestL52Schedules:
    n = np.arange(40)

    def test_L52_step_and_multi_step_rates_fall_by_a_factor(self):
        steps = rates(lambda o: lr_scheduler.StepLR(o, 10, gamma=0.5), 40)
        np.testing.assert_allclose(steps, 0.5 ** (self.n // 10), rtol=1e-12)
        steps = rates(lambda o: lr_scheduler.MultiStepLR(o, [5, 20], gamma=0.1), 40)
        np.testing.assert_allclose(steps, np.where(self.n < 5, 1, np.where(self.n < 20, 0.1, 0.01)), rtol=1e-12)

    def test_L52_exponential_rates_are_a_geometric_series(self):
        np.testing.assert_allclose(rates(lambda o: lr_scheduler.ExponentialLR(o, 0.9), 40), 0.9**self.n, rtol=1e-12)

    def test_L52_cosine_rates_fall_to_the_minimum(self):
        found = rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 39, eta_min=0.1), 40)
        np.testing.assert_allclose(found, 0.1 + 0.45 * (1 + np.cos(np.pi * self.n / 39)), rtol=1e-10)
        assert found[-1] == pytest.approx(0.1)

    def test_L52_warm_restarts_begin_at_the_top_again_after_longer_and_longer_times(self):
        found = rates(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, T_mult=2), 40)
        assert np.flatnonzero(found == 1.0).tolist() == [0, 5, 15, 35]
        np.testing.assert_allclose(found[5:15], 0.5 * (1 + np.cos(np.pi * np.arange(10) / 10)), rtol=1e-12)

    def test_L52_one_cycle_rises_to_the_top_and_falls_far_below_while_the_momentum_does_the_opposite(self):
        optimizer = optim.SGD([nn.Parameter(rg.zeros(1))], lr=1.0, momentum=0.9)
        scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=2.0, total_steps=40, pct_start=0.25)
        found = []
        for _ in range(40):
            found.append([optimizer.param_groups[0][name] for name in ("lr", "momentum")])
            optimizer.step()
            scheduler.step()
        rate, momentum = np.array(found).T
        assert rate[0] == pytest.approx(2 / 25)
        assert rate.argmax() == momentum.argmin() == 9
        assert rate.max() == pytest.approx(2.0)
        assert rate[-1] == pytest.approx(2 / 25 / 1e4)
        assert (momentum[0], momentum[9], momentum[-1]) == pytest.approx((0.95, 0.85, 0.95))
        assert (np.diff(rate[:10]) > 0).all()
        assert (np.diff(rate[9:]) < 0).all()

    def test_L52_a_plateau_lowers_the_rate_once_patience_is_used_up(self):
        optimizer = optim.SGD([nn.Parameter(rg.zeros(1))], lr=1.0)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
        found = []
        for loss in [3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]:
            scheduler.step(loss)
            found.append(optimizer.param_groups[0]["lr"])
        assert found == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]

    def test_L52_robbins_monro_rates_are_a_over_n(self):
        found = rates(lr_scheduler.RobbinsMonro, 40, lr=0.7)
        np.testing.assert_allclose(found, 0.7 / np.arange(1, 41), rtol=1e-15)

    def test_L52_with_rates_1_over_n_the_mean_of_samples_is_found_exactly(self):
        """Descent on ½ (x − sample)² with rates 1/n is the running mean."""
        samples = np.random.default_rng(0).normal(size=50)
        p = nn.Parameter(rg.tensor([5.0], dtype=rg.float64))
        optimizer = optim.SGD([p], lr=1.0)
        scheduler = lr_scheduler.RobbinsMonro(optimizer)
        for sample in samples:
            optimizer.zero_grad()
            (0.5 * (p - sample) ** 2).sum().backward()
            optimizer.step()
            scheduler.step()
        assert p.item() == pytest.approx(samples.mean(), rel=1e-12)

    @pytest.mark.parametrize("power", [0.5, 1.5, float("nan")])
    def test_L52_robbins_monro_refuses_powers_without_convergence(self, power):
        optimizer = optim.SGD([nn.Parameter(rg.zeros(1))], lr=1.0)
        with pytest.raises(ValueError, match="power"):
            lr_scheduler.RobbinsMonro(optimizer, power=power)
