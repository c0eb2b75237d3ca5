"""`rg.compile`: a function that records itself at its first call and replays the recording at the next ones."""

from __future__ import annotations

import builtins
import functools
import linecache
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from retrograd.autograd.graph import AccumulateGrad
from retrograd.autograd.modes import state
from retrograd.autograd.promotion import explain
from retrograd.autograd.tensor import Tensor
from retrograd.autograd.tree import flatten
from retrograd.compiler.capture import Graphs, stretches
from retrograd.compiler.differentiable import Backward, Replay, halves, heard_backward
from retrograd.compiler.guards import Guards, argument_guards, around, mode_guards, module_guards, tensor_guards
from retrograd.compiler.hearing import Hearing
from retrograd.compiler.lowering import lower
from retrograd.compiler.operations import Argument, GiveUp, Made, Recording
from retrograd.compiler.program import Program
from retrograd.compiler.recorder import Recorder, array_of
from retrograd.nn.module import Module
from retrograd.nn.parameter import Buffer, Parameter

__all__ = ["Compiled", "compile"]

VARIANTS = 8
"""Programs that are kept for different arguments and circumstances, as many as PyTorch keeps."""

MODES = ("default", "reduce-overhead")
TUNED = ("max-autotune", "max-autotune-no-cudagraphs")
"""Modes that PyTorch has besides."""
DEVIATED = object()
"""What a program returns that has done nothing, because values take the step another way."""
recording = threading.Lock()
"""Held while a step is recorded: what several threads compute at once could not be told apart."""


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Records what a function, best a whole training step, computes at its first call, and replays it from then on.

    The replay makes no Tensors and no graph, and gives the numbers of the function itself. Where it cannot, the
    function runs as it is: a warning, and `reason`, say why; with `fullgraph` a RuntimeError does. `source` is the
    program. Also a decorator, with arguments or without.

    With `mode="reduce-overhead"` stretches of kernels are captured as CUDA graphs on a GPU; what is not, and why, is in
    `uncaptured`. On the CPU that mode changes nothing. `disable` returns the function itself. All but the defaults of
    PyTorch's other arguments raise NotImplementedError, an unknown mode RuntimeError.

    >>> import retrograd as rg
    >>> w = rg.ones(3, requires_grad=True)
    >>> optimizer = rg.optim.SGD([w], lr=0.1)
    >>> @rg.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).square().sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [round(step(rg.ones(3)).item(), 4) for _ in range(3)]
    [3.0, 1.92, 1.2288]
    >>> step.reason is None
    True
    """
    if dynamic:
        raise NotImplementedError("compile: dynamic=True; every new shape is recorded once, leave dynamic out.")
    if backend != "inductor" or options:
        raise NotImplementedError("compile: there is one compiler here; leave backend and options out.")
    if mode not in (None, *MODES, *TUNED):
        raise RuntimeError(f"compile: mode {mode!r} is unknown; there are {', '.join(map(repr, MODES))}.")
    if mode in TUNED:
        raise NotImplementedError(f"compile: mode={mode!r}; kernels are not tuned here, give 'reduce-overhead'.")
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, mode=mode, disable=disable)
    if not callable(model):
        raise TypeError(f"compile: expected a function or a Module, got {type(model).__name__}")
    return model if disable else Compiled(model, fullgraph, mode == "reduce-overhead")


class Compiled:
    """A function with the programs that were recorded of it."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool, graphs: bool = False) -> None:
        self.function, self.fullgraph = function, fullgraph
        self.variants: list[Variant] = []
        self.graphs = Graphs(self.name) if graphs else None
        self.reason: str | None = None
        """Why the function runs as it is, or None."""
        if not isinstance(function, Module):
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.reason is not None or state.anomaly:
            return self.function(*args, **kwargs)
        if self.graphs is not None and self.graphs.changed:
            self.graphs.changed = False
            self.variants.clear()
        for variant in self.variants:
            if variant.structure is None:
                if not args and not kwargs and variant.guards.holds():
                    result = variant()
                    if result is not DEVIATED:
                        return result
                continue
            leaves, structure = flatten((args, kwargs))
            if structure == variant.structure and variant.accepts.holds(*leaves) and variant.guards.holds():
                result = variant(*leaves)
                if result is not DEVIATED:
                    return result
        return self.record(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name == "function":
            raise AttributeError(name)
        return getattr(self.function, name)

    @property
    def source(self) -> str:
        """The program that was recorded last, as Python; each compiled for its own arguments."""
        if not self.variants:
            raise RuntimeError(f"nothing is compiled: {self.reason or 'the function has not been called'}")
        return self.variants[-1].source

    @property
    def uncaptured(self) -> dict[str, str]:
        """What CUDA graphs do not hold although `mode` asks for them: operations by name, or "the program"; and why."""
        return {} if self.graphs is None else self.graphs.reasons

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the function, and makes a program of what is heard of it."""
        if len(self.variants) >= VARIANTS:
            changed = self.variants[-1].broken(args, kwargs)
            self.give_up(GiveUp(f"it was recorded {VARIANTS} times, and {changed} has changed again"))
            return self.function(*args, **kwargs)
        if not recording.acquire(blocking=False):
            return self.function(*args, **kwargs)
        try:
            attempt = Attempt(self.function, args, kwargs, self.graphs)
            result = attempt.run()
            reason: GiveUp | None = None
            try:
                self.variants.append(attempt.variant(result))
            except GiveUp as given:
                reason = given
        finally:
            recording.release()
        if reason is not None:
            self.give_up(reason)
        return result

    def give_up(self, reason: GiveUp) -> None:
        """From now on the function runs as it is, unless the reason has gone with this call."""
        if reason.again:
            return
        message = f"{self.name} is not compiled: {reason}."
        if self.fullgraph:
            raise RuntimeError(message)
        self.reason = str(reason)
        self.variants.clear()
        warnings.warn(f"{message}\nIt runs as it is.", stacklevel=4)


class Attempt:
    """One recording of a call."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], graphs: Graphs | None = None
    ) -> None:
        self.function, self.args, self.kwargs, self.graphs = function, args, kwargs, graphs
        self.leaves, self.structure = flatten((args, kwargs))
        self.seen = around(function)
        held = {id(guard.value) for guard in self.seen}
        # A parameter that is passed is the same object every time; so is what the function sees elsewhere too.
        self.passed = [
            leaf
            if isinstance(leaf, Tensor) and type(leaf) not in (Parameter, Buffer) and id(leaf) not in held
            else None
            for leaf in self.leaves
        ]
        tensors = {id(t): t for t in self.passed if t is not None}
        self.places = {key: i for i, key in enumerate(tensors)}
        self.recorder = Recorder(list(tensors.values()))
        self.hearing = Hearing(self.recorder)
        for guard in self.seen:
            self.recorder.see(guard.value)
        self.before = list(argument_guards(self.leaves))
        self.modes = list(mode_guards())
        self.backward: Backward | None = None

    def run(self) -> Any:
        """The call itself, heard."""
        for leaf in self.passed:
            if leaf is not None and leaf._node is not None and not isinstance(leaf._node, AccumulateGrad):
                self.hearing.give_up("an argument was computed from others and requires a gradient: detach() it")
        for guard in self.seen:
            if isinstance(guard.value, Iterator):
                self.hearing.give_up(f"{guard.subject} is an iterator, which gives something else every time")
        with self.hearing:
            result = self.function(*self.args, **self.kwargs)
            live = [t for t in flatten(result)[0] if isinstance(t, Tensor) and self.lives(t)]
            if live and not self.hearing.deaf:
                self.backward = self.hearing.noting(heard_backward, self.hearing, live)
            return result

    def lives(self, tensor: Tensor) -> bool:
        """Whether a result has a graph that is still to be used."""
        node = tensor._node
        if node is None or isinstance(node, AccumulateGrad) or id(tensor) not in self.recorder.fresh:
            return False
        return id(node) not in self.hearing.used

    def variant(self, result: Any) -> Variant:
        """The program. Raises GiveUp, with the reason, where there can be none."""
        if self.recorder.reason is not None:
            raise self.recorder.reason
        leaves, form = flatten(result)
        returned = form.built([self.returned(leaf) for leaf in leaves])
        self.refuse_leaks(leaves)
        guards = [*self.modes, *self.seen, *module_guards(self.hearing.modules.values())]
        guards += tensor_guards(self.recorder.read.values())
        # By the variables that hold them, and the paths of parameters.
        names = {id(g.value): g.subject.split("'")[1] for g in self.seen if not g.equal and "'" in g.subject}
        for i, (module, _) in enumerate(self.hearing.modules.values()):
            for path, parameter in (*module.named_parameters(), *module.named_buffers()):
                names.setdefault(id(parameter), f"{path}" if not i else f"{type(module).__name__.lower()}_{path}")
        heard = Recording(self.recorder.operations, returned, len(self.places), names)
        accepts = Guards(self.before, parameters(self.leaves))
        if self.backward is None:
            variant = Variant(self, heard, Guards(guards), accepts)
        else:
            variant = DifferentiableVariant(self, heard, Guards(guards), accepts, self.backward, leaves)
        changed = variant.guards.broken()
        if changed is not None:
            raise GiveUp(f"the step changes what it depends on: {changed}")
        return variant

    def returned(self, leaf: Any) -> Any:
        """What stands for a result."""
        if not isinstance(leaf, Tensor):
            return self.recorder.bind(leaf, "the result")
        recorder = self.recorder
        if id(leaf) in recorder.arguments:
            return Argument(recorder.arguments[id(leaf)])
        place = recorder.place(array_of(leaf))
        if place is not None and place.gradient:
            return place
        if id(leaf) not in recorder.fresh:
            return leaf
        value = recorder.find(leaf._array)
        if value is None:
            raise GiveUp(f"the result of shape {leaf.shape} was made outside the recorded operations")
        node = leaf._node
        if node is None:
            return Made(value)
        if self.backward is not None and id(leaf) in self.backward.results:
            return Made(value)
        if id(node) not in self.hearing.used:
            raise GiveUp("the result has a graph that is still to be used: compile backward too, or use no_grad")
        return Made(value, node.name())

    def refuse_leaks(self, returned: list[Any]) -> None:
        """A Tensor that the step has computed and somebody keeps would not be renewed by a replay."""
        allowed = {id(t) for leaf in returned for t in (leaf, getattr(leaf, "_whole", None))}
        recorder = self.recorder
        for tensor in [made() for made in list(recorder.fresh.values())]:
            if tensor is None or id(tensor) in allowed:
                continue
            array = array_of(tensor)
            place = recorder.place(array)
            if (place is None or not place.gradient) and id(array) in recorder.by_id:
                raise GiveUp(f"a Tensor of shape {tensor.shape} that it computes is kept beyond the call: return it")


class Variant:
    """A program, and when it may run."""

    def __init__(self, attempt: Attempt, heard: Recording, guards: Guards, accepts: Guards) -> None:
        self.guards, self.accepts = guards, accepts
        self.structure = attempt.structure if attempt.leaves else None
        self.pick = [(attempt.places[id(t)], i) for i, t in enumerate(attempt.passed) if t is not None]
        try:
            program = self.lowered(heard, attempt.graphs)
        except TypeError as error:
            raise GiveUp(f"{error} cannot be written down") from None
        self.source, self.places, self.first_effect = program.source, program.places, program.first_effect
        self.head = self.source[: self.source.index("def step(")].count("\n") + 2
        self.filename = f"<compiled {getattr(attempt.function, '__name__', 'step')} {id(self):x}>"
        linecache.cache[self.filename] = (len(self.source), None, self.source.splitlines(True), self.filename)
        self.step = self.function_of(program)

    def lowered(self, heard: Recording, graphs: Graphs | None) -> Program:
        """The program of a recording."""
        operations = lower(heard)
        return Program(heard, stretches(operations, heard.result, graphs), heard.result)

    def function_of(self, program: Program) -> Any:
        """A program as a function."""
        exec(builtins.compile(program.source, self.filename, "exec"), program.scope)
        return program.scope["step"]

    def given(self, leaves: tuple[Any, ...]) -> list[Any]:
        """The Tensors that the program takes, of all that is passed."""
        tensors: dict[int, Any] = {place: leaves[i] for place, i in self.pick}
        return [tensors[place] for place in range(len(tensors))]

    def __call__(self, *leaves: Any) -> Any:
        try:
            return self.step(*self.given(leaves)) if self.pick else self.step()
        except Exception as error:
            line = self.failed(error)
            if 0 <= line < self.first_effect:  # nothing has happened yet: the function itself may run
                return DEVIATED
            raise self.explained(error, line) from None

    def broken(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Which guard does not hold."""
        leaves, structure = flatten((args, kwargs))
        if structure != (flatten(((), {}))[1] if self.structure is None else self.structure):
            return "the structure of the arguments"
        return self.accepts.broken(*leaves) or self.guards.broken() or "something"

    def failed(self, error: Exception) -> int:
        """The line of the program, counted from 0, where an error was raised."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self.filename:
            trace = trace.tb_next
        return -1 if trace is None else trace.tb_lineno - self.head

    def explained(self, error: Exception, line: int) -> Exception:
        """The error that the function itself would raise."""
        primitive = self.places[line] if 0 <= line < len(self.places) else None
        return error if primitive is None else explain(error, primitive)


class DifferentiableVariant(Variant):
    """A program whose results have a graph, and the program of their gradients."""

    def __init__(
        self,
        attempt: Attempt,
        heard: Recording,
        guards: Guards,
        accepts: Guards,
        backward: Backward,
        results: list[Any],
    ) -> None:
        self.backward = backward
        self.live = [i for i, leaf in enumerate(results) if id(leaf) in backward.results]
        super().__init__(attempt, heard, guards, accepts)
        self.gradients = self.function_of(self.second)
        self.source += "\n# backward\n" + self.second.source
        del self.second

    def lowered(self, heard: Recording, graphs: Graphs | None) -> Program:
        heard.result = (heard.result, tuple(self.backward.grads))
        operations = lower(heard)
        result, grads = heard.result
        forward, backward, saved = halves(operations, grads)
        inputs = [*self.backward.cotangents, *saved]
        self.second = Program(heard, stretches(backward, grads, graphs), grads, inputs)
        numbers = {v.number for v in saved}
        self.watched = [o.args[0].tensor for o in forward if o.name == "read" and o.outs.number in numbers]
        shown = [leaf.value.number if isinstance(leaf, Made) else None for leaf in flatten(result)[0]]
        self.kept = [i for i in self.live if shown[i] in numbers]
        given = (result, tuple(saved))
        return Program(heard, stretches(forward, given, graphs), given)

    def __call__(self, *leaves: Any) -> Any:
        returned = super().__call__(*leaves)
        if returned is DEVIATED:
            return returned
        result, saved = returned
        given = self.given(leaves)
        found = flatten(result)[0]

        def tensors(places: list[Any]) -> list[Any]:
            return [given[place.place] if isinstance(place, Argument) else place for place in places]

        watched = [*tensors(self.watched), *(found[i] for i in self.kept)]
        outs = tuple([found[i] for i in self.live])
        Replay(self.gradients, tensors(self.backward.leaves), saved, outs, watched)
        return result


def parameters(leaves: list[Any]) -> str:
    return ", ".join(f"x{i}" for i in range(len(leaves)))
