"""L-BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5)."""

from __future__ import annotations

from typing import Any

from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.optim.line_search import Trial, strong_wolfe
from retrograd.optim.optimizer import Closure, Optimizer, Params, checked, number, stamp

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Newton's method with an inverse Hessian from the last `history_size` steps and changes of the gradient.

    One `step` makes up to `max_iter` iterations with up to `max_eval` (by default 5/4 of that) calls of the closure; it
    ends early when no gradient is above `tolerance_grad`, or a step or the change of the loss is below
    `tolerance_change`. `line_search_fn` is None, each step then `lr` long, or "strong_wolfe". All parameters are in one
    group. Raises ValueError for several groups or a negative lr, RuntimeError for another line search, TypeError for a
    step without a closure.

    >>> import retrograd as rg
    >>> w = rg.nn.Parameter(rg.tensor([3.0, -2.0]))
    >>> optimizer = rg.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w[0] - 1) ** 2 + 10 * (w[1] + 1) ** 2
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> [round(value, 3) for value in w.tolist()]
    [1.0, -1.0]
    """

    def __init__(
        self,
        params: Params,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def _check_settings(self, group: dict[str, Any]) -> None:
        checked("learning rate", group["lr"])

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def step(self, closure: Closure | None = None) -> Any:
        """Iterates down the loss; `closure` clears the gradients, computes them, and returns the loss. The first loss
        is returned."""
        if closure is None:
            raise TypeError("LBFGS.step: a closure is needed that computes the loss and its gradients again.")
        group, state = self.param_groups[0], self.state[self._params[0]]
        search, most = group["line_search_fn"], group["max_eval"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported as line_search_fn, got {search!r}")
        first_loss = self._evaluate(closure)
        loss, gradient, evaluations = float(first_loss), self._gradient(), 1
        state["func_evals"] = state.get("func_evals", 0) + 1
        state.setdefault("n_iter", 0)
        if largest(gradient) <= group["tolerance_grad"]:
            return first_loss
        memory = Memory(state, group["history_size"])
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            length = float(number(group["lr"]))
            if state["n_iter"] == 1:
                length *= min(1.0, 1.0 / float(abs(gradient).sum()))
            direction = memory.direction(gradient, loss, length)
            slope = float(gradient @ direction)
            if slope > -group["tolerance_change"]:
                break
            previous, calls = loss, 0
            if search:
                start = Trial(0.0, loss, gradient, slope)
                trial, calls = self._search(closure, start, length, direction, most - evaluations)
                loss, gradient, memory.length = trial.loss, trial.gradient, trial.length
                self._move(memory.length, direction)
            else:
                self._move(length, direction)
                if iteration != group["max_iter"]:
                    loss, gradient, calls = float(self._evaluate(closure)), self._gradient(), 1
            evaluations += calls
            state["func_evals"] += calls
            change = memory.length * largest(direction)
            settled = change <= group["tolerance_change"] or abs(loss - previous) < group["tolerance_change"]
            if evaluations >= most or largest(gradient) <= group["tolerance_grad"] or settled:
                break
        memory.write(state)
        return first_loss

    def _search(self, closure: Closure, start: Trial, length: float, d: Any, most: int) -> tuple[Trial, int]:
        """A step length by line search, and the number of evaluations; the parameters stay where they are."""
        home = [param.array.copy() for param in self._params]

        def evaluate(length: float) -> Trial:
            self._move(length, d)
            loss, gradient = float(self._evaluate(closure)), self._gradient()
            for param, values in zip(self._params, home):
                param.array[...] = values
            return Trial(length, loss, gradient, float(gradient @ d))

        return strong_wolfe(evaluate, start, length, largest(d), most)

    def _gradient(self) -> Any:
        """The gradients of all parameters in one vector, zeros where there is none."""
        xp = namespace(self._params[0])
        grads = [getattr(param, "_grad", None) for param in self._params]
        parts = [p.array * 0 if g is None else g.array for p, g in zip(self._params, grads)]
        return xp.concat([xp.reshape(part, shape=(-1,)) for part in parts], axis=0)

    def _move(self, length: float, direction: Any) -> None:
        start = 0
        for param in self._params:
            end = start + param.array.size
            param.array[...] += length * direction[start:end].reshape(param.shape)
            start = end
        stamp(self._params, "LBFGS.step")


class Memory:
    """What is known of the curvature: steps s and changes y of the gradient, with 1 / (y · s), oldest first."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        self.size = size
        self.y, self.s, self.rho = (
            [value.array for value in state.get(name, ())] for name in ("old_dirs", "old_stps", "ro")
        )
        self.scale = array_of(state.get("H_diag", 1))
        self.step, self.last = array_of(state.get("d")), array_of(state.get("prev_flat_grad"))
        self.length, self.loss = float(number(state.get("t", 0.0))), state.get("prev_loss")

    def direction(self, gradient: Any, loss: float, length: float) -> Any:
        """The direction to go in from here; remembers the place and the length that will be gone, unless searched."""
        if self.last is not None:
            self._learn(gradient - self.last, self.step * self.length)
        self.step = self._newton(gradient)
        self.last, self.loss, self.length = gradient, loss, length
        return self.step

    def _learn(self, y: Any, s: Any) -> None:
        ys = y @ s
        if not float(ys) > 1e-10:  # the curvature must be positive
            return
        if len(self.y) == self.size:
            del self.y[0], self.s[0], self.rho[0]
        self.y.append(y)
        self.s.append(s)
        self.rho.append(1.0 / ys)
        self.scale = ys / (y @ y)

    def _newton(self, gradient: Any) -> Any:
        """Minus the inverse Hessian times the gradient, by two loops over the memory (algorithm 7.4)."""
        q, alphas = -gradient, []
        for y, s, rho in zip(reversed(self.y), reversed(self.s), reversed(self.rho)):
            alphas.append((s @ q) * rho)
            q = q - alphas[-1] * y
        q = q * self.scale
        for y, s, rho, alpha in zip(self.y, self.s, self.rho, reversed(alphas)):
            q = q + s * (alpha - (y @ q) * rho)
        return q

    def write(self, state: dict[str, Any]) -> None:
        """Into the state of the first parameter, under PyTorch's names."""
        state.pop("al", None)  # PyTorch's scratch
        for name, several in (("old_dirs", self.y), ("old_stps", self.s), ("ro", self.rho)):
            state[name] = [make(array) for array in several]
        state["d"], state["prev_flat_grad"] = make(self.step), make(self.last)
        state["H_diag"] = self.scale if isinstance(self.scale, (int, float)) else make(self.scale)
        state["t"], state["prev_loss"] = self.length, self.loss


def array_of(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def largest(x: Any) -> float:
    """max |x|, on the host."""
    return float(abs(x).max())
