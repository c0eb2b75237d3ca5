"""One line per function gives all the tests that its gradient, dtypes and devices owe the user.

    test_tanh = elementwise(rg.tanh, np.tanh)
    test_log = elementwise(rg.log, np.log, "positive")
    test_pow = elementwise(rg.pow, np.power, "positive", "any")
    test_clamp = elementwise(rg.clamp, lambda x, min, max: np.clip(x, min, max), min=each(None, -0.5), max=0.5)
    test_sum = function(rg.sum, lambda x, dim, keepdim: np.sum(x, axis=dim, keepdims=keepdim),
                        shapes=[(2, 3), (0, 2)], dim=each(0, (0, -1)), keepdim=each(False, True))
    test_matmul = function(rg.matmul, np.matmul, "any", "any", shapes=[((2, 3), (3, 4)), ((3,), (3,))])
    test_floor_divide = elementwise(rg.floor_divide, np.floor_divide, "any", "positive", gradients=False)

The arguments: the function; its NumPy reference (None: only gradients are tested), called with float64 arrays and
the same keywords; the domain of each input by name (`DOMAINS`; default one input, "any") or a callable (rng, shape) ->
array. Domains of integers and truth values give inputs without gradient. `shapes` lists shapes (for several inputs,
tuples of shapes), the first being the one on which layouts and dtypes are tried. Any other keyword is passed on; `each`
gives several values to try, in all combinations. A function that takes a list of Tensors is wrapped:
`lambda x, y: rg.cat([x, y])`. Several outputs are a tuple, in the reference too. Options:

    order=2            of derivatives that are compared with finite differences
    gradients=True     False: the result must not require a gradient
    dtypes=FLOATS      float dtypes that the function takes
    rtol=None          for values; else by dtype
    layouts=True       False where an input must be contiguous
    repeated=None      whether one Tensor may stand for all inputs; by default, where their shapes are equal

The tests, each on every device, read as facts: `test_tanh[its gradients match finite differences-cpu]`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

import retrograd as rg
from retrograd.autograd.gradcheck import gradcheck, gradgradcheck
from retrograd.autograd.tensor import Tensor, make, namespace
from retrograd.backends import Device, backend_of

Array = np.ndarray[Any, Any]
FLOATS = (np.float16, np.float32, np.float64)
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-12}
"""Relative error of a value, by dtype."""


def _away(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def _distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    size = int(np.prod(shape))
    return rng.permutation(np.linspace(-1.3, 1.7, size)).reshape(shape)


DOMAINS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "any": lambda rng, shape: rng.uniform(-1.5, 1.5, shape),
    "positive": lambda rng, shape: rng.uniform(0.4, 2.0, shape),
    "unit": lambda rng, shape: rng.uniform(-0.85, 0.85, shape),
    "probability": lambda rng, shape: rng.uniform(0.1, 0.9, shape),
    "above one": lambda rng, shape: rng.uniform(1.3, 3.0, shape),
    "away from zero": _away,
    "between integers": lambda rng, shape: rng.integers(-3, 3, shape) + rng.uniform(0.2, 0.45, shape),
    "distinct": _distinct,
    "integers": lambda rng, shape: rng.integers(-4, 5, shape),
    "naturals": lambda rng, shape: rng.integers(1, 6, shape),
    "booleans": lambda rng, shape: rng.random(shape) < 0.5,
}
"""What inputs can be drawn from; "distinct" has no ties and no close neighbours."""

UNARY = [(2, 3), (), (0,), (2, 0, 3), (1, 2, 2)]
BINARY = [
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((3, 1), (1, 2)), ((), (3,)), ((2, 1), ()), ((), ()), ((2, 1, 2), (3, 1)),
    ((0,), (1,)), ((2, 0), ()),
]  # fmt: skip
TERNARY = [((2, 3),) * 3, ((2, 1), (3,), ()), ((), (2,), (2, 1)), ((), (), ()), ((0,), (1,), ())]


class each:
    """Several values of a keyword, all to be tried."""

    def __init__(self, *values: Any) -> None:
        self.values = values


class Subject(NamedTuple):
    """A function and what is known of it."""

    call: Callable[..., Any]
    reference: Callable[..., Any] | None
    domains: tuple[Any, ...]
    shapes: list[tuple[tuple[int, ...], ...]]
    keywords: list[dict[str, Any]]
    order: int
    gradients: bool
    dtypes: Sequence[Any]
    rtol: float | None
    layouts: bool
    repeated: bool | None

    def arrays(self, shapes: tuple[tuple[int, ...], ...], dtype: Any = np.float64) -> list[Array]:
        """Inputs on the host, the same for every call; only floats take the dtype."""
        rng = np.random.default_rng(0)
        drawn = [
            np.asarray((DOMAINS[domain] if isinstance(domain, str) else domain)(rng, shape))
            for domain, shape in zip(self.domains, shapes, strict=True)
        ]
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in drawn]

    def cases(self) -> Iterator[tuple[tuple[tuple[int, ...], ...], dict[str, Any]]]:
        """Every combination of shapes and keywords."""
        return itertools.product(self.shapes, self.keywords)

    def run(self, tensors: Sequence[Tensor], keywords: dict[str, Any]) -> list[Tensor]:
        """The results, as a list."""
        result = self.call(*tensors, **keywords)
        return [result] if isinstance(result, Tensor) else list(result)


def elementwise(call: Callable[..., Any], reference: Callable[..., Any] | None, *domains: Any, **options: Any) -> Any:
    """Tests of an elementwise function over shapes that broadcast; arguments as in this file's heading."""
    options.setdefault("shapes", [UNARY, BINARY, TERNARY][max(len(domains), 1) - 1])
    return function(call, reference, *domains, **options)


def function(
    call: Callable[..., Any],
    reference: Callable[..., Any] | None,
    *domains: Any,
    shapes: Sequence[Any],
    order: int = 2,
    gradients: bool = True,
    dtypes: Sequence[Any] = FLOATS,
    rtol: float | None = None,
    layouts: bool = True,
    repeated: bool | None = None,
    **keywords: Any,
) -> Any:
    """Tests of any function; arguments as in this file's heading."""
    domains = domains or ("any",)
    listed = [tuple(s) if len(domains) > 1 or (s and isinstance(s[0], tuple)) else (s,) for s in shapes]
    values = [v.values if isinstance(v, each) else (v,) for v in keywords.values()]
    grid = [dict(zip(keywords, combination, strict=True)) for combination in itertools.product(*values)]
    subject = Subject(
        call, reference, domains, listed, grid, order, gradients, dtypes, rtol, layouts, repeated
    )  # fmt: skip
    facts = [fact for fact in FACTS if applies(fact, subject)]

    @pytest.mark.parametrize("fact", facts, ids=[fact.__name__.replace("_", " ") for fact in facts])
    def test(fact: Callable[..., None], device: Device) -> None:
        fact(subject, device)

    test.subject = subject  # type: ignore[attr-defined]  # read by test_every_primitive.py
    caller = inspect.currentframe()
    while caller is not None and caller.f_globals["__name__"] == __name__:
        caller = caller.f_back
    test.__module__ = caller.f_globals["__name__"] if caller else __name__
    return test


def tensor_of(array: Array, device: Device, gradient: bool = True) -> Tensor:
    """A leaf with these values, that requires a gradient if it can."""
    with device:
        made = make(backend_of(device).from_host(array.copy()))
    return made.requires_grad_() if gradient and array.dtype.kind == "f" else made  # type: ignore[attr-defined]


def host(tensor: Tensor) -> Array:
    """The values on the host."""
    return np.asarray(namespace(tensor).to_host(tensor._array))


def close(actual: Any, wanted: Any, rtol: float) -> None:
    """Equal up to rounding, with NaN equal to NaN; errors are measured against the largest value as well."""
    wanted = np.asarray(wanted)
    assert np.shape(actual) == wanted.shape
    if wanted.dtype.kind in "fiu" and wanted.size:
        finite = np.abs(wanted[np.isfinite(wanted)], dtype=np.float64)
        scale = max(1.0, float(finite.max(initial=0.0)))
        np.testing.assert_allclose(
            np.asarray(actual, dtype=np.float64), wanted.astype(np.float64), rtol=rtol, atol=rtol * scale
        )
    else:
        np.testing.assert_array_equal(actual, wanted)


def gradients_of(subject: Subject, tensors: Sequence[Tensor], keywords: dict[str, Any]) -> list[Tensor | None]:
    """Gradients of the results' sum, weighted by fixed numbers, for the inputs that require one."""
    outputs = [o for o in subject.run(tensors, keywords) if o.requires_grad]
    weights = [weight_for(o) for o in outputs]
    inputs = list(dict.fromkeys(t for t in tensors if t.requires_grad))
    return list(rg.autograd.grad(outputs, inputs, weights, allow_unused=True))


def weight_for(output: Tensor) -> Tensor:
    """A cotangent on the output's device, in its dtype."""
    values = np.cos(np.arange(1, int(np.prod(output.shape)) + 1)).reshape(output.shape)
    return tensor_of(values.astype(output.dtype), output.device, gradient=False)


# ---- the facts


def its_values_are_the_references_on_every_shape(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        arrays = subject.arrays(shapes)
        results = subject.run([tensor_of(a, device) for a in arrays], keywords)
        wanted = subject.reference(*arrays, **keywords)  # type: ignore[misc]
        wanted = list(wanted) if isinstance(wanted, (tuple, list)) else [wanted]
        assert len(results) == len(wanted)
        for result, value in zip(results, wanted):
            close(host(result), value, subject.rtol or TOLERANCE["float64"])
            assert result.device == tensor_of(arrays[0], device).device


def its_gradients_match_finite_differences(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        tensors = [tensor_of(a, device) for a in subject.arrays(shapes)]
        assert gradcheck(lambda *ts, kw=keywords: subject.run(ts, kw), tensors)


def its_second_gradients_match_finite_differences(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        tensors = [tensor_of(a, device) for a in subject.arrays(shapes)]
        assert gradgradcheck(lambda *ts, kw=keywords: subject.run(ts, kw), tensors, rtol=1e-3, atol=1e-4)


def a_tensor_may_stand_for_all_its_inputs(subject: Subject, device: Device) -> None:
    x = tensor_of(subject.arrays(subject.shapes[0])[0], device)
    for keywords in subject.keywords:
        tensors = [x] * len(subject.domains)
        same = subject.run(tensors, keywords)
        apart = [tensor_of(host(x), device) for _ in tensors]
        for a, b in zip(same, subject.run(apart, keywords), strict=True):
            np.testing.assert_array_equal(host(a), host(b))
        if subject.gradients:
            total = sum(host(g) for g in gradients_of(subject, apart, keywords) if g is not None)
            close(host(gradients_of(subject, tensors, keywords)[0]), total, 1e-12)  # type: ignore[arg-type]


def it_takes_inputs_of_any_layout(subject: Subject, device: Device) -> None:
    for shapes in subject.shapes:
        arrays = subject.arrays(shapes)
        for keywords in subject.keywords:
            plain = [tensor_of(a, device) for a in arrays]
            for layout in (transposed, strided, reversed_):
                odd = [in_layout(a, device, layout) for a in arrays]
                for a, b in zip(subject.run(odd, keywords), subject.run(plain, keywords), strict=True):
                    close(host(a), host(b), TOLERANCE["float64"])
                if subject.gradients:
                    pairs = zip(gradients_of(subject, odd, keywords), gradients_of(subject, plain, keywords))
                    for ga, gb in pairs:
                        assert (ga is None) == (gb is None)
                        if ga is not None and gb is not None:
                            close(host(ga), host(gb), TOLERANCE["float64"])


def it_keeps_every_float_dtype(subject: Subject, device: Device) -> None:
    for keywords in subject.keywords:
        for dtype in subject.dtypes:
            arrays = subject.arrays(subject.shapes[0], dtype)
            tensors = [tensor_of(a, device) for a in arrays]
            exact = [tensor_of(a.astype(np.float64) if a.dtype.kind == "f" else a, device) for a in arrays]
            rtol = (8 if subject.rtol is None else 16) * TOLERANCE[np.dtype(dtype).name]
            for result, precise in zip(subject.run(tensors, keywords), subject.run(exact, keywords), strict=True):
                assert result.dtype == (dtype if precise.dtype == np.float64 else precise.dtype)
                close(host(result), host(precise), rtol)
            if not subject.gradients:
                continue
            pairs = zip(gradients_of(subject, tensors, keywords), gradients_of(subject, exact, keywords))
            for g, precise_g in pairs:
                if precise_g is not None:
                    assert g is not None
                    assert g.dtype == dtype
                    close(host(g), host(precise_g), 4 * rtol)


def its_gradients_are_on_the_device_and_in_the_shape_of_its_inputs(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        tensors = [tensor_of(a, device) for a in subject.arrays(shapes)]
        found = gradients_of(subject, tensors, keywords)
        for g, t in zip(found, [t for t in tensors if t.requires_grad], strict=True):
            if g is not None:
                assert g.device == t.device
                assert g.shape == t.shape
                assert g.dtype == t.dtype


def it_changes_no_argument(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        arrays = subject.arrays(shapes)
        tensors = [tensor_of(a, device) for a in arrays]
        outputs = [o for o in subject.run(tensors, keywords) if o.requires_grad]
        if outputs:
            weights = [weight_for(o) for o in outputs]
            before = [host(w).copy() for w in weights]
            values = [host(o).copy() for o in outputs]
            rg.autograd.backward(outputs, weights)
            for now, then in zip([*weights, *outputs], [*before, *values], strict=True):
                np.testing.assert_array_equal(host(now), then)
        for t, a in zip(tensors, arrays, strict=True):
            np.testing.assert_array_equal(host(t), a)


def it_computes_the_same_under_no_grad(subject: Subject, device: Device) -> None:
    for shapes, keywords in subject.cases():
        tensors = [tensor_of(a, device) for a in subject.arrays(shapes)]
        recorded = subject.run(tensors, keywords)
        with rg.no_grad():
            unrecorded = subject.run(tensors, keywords)
        for a, b in zip(recorded, unrecorded, strict=True):
            np.testing.assert_array_equal(host(a), host(b))
            assert a.dtype == b.dtype
            assert not b.requires_grad or any(b is t for t in tensors)


def its_result_requires_no_gradient(subject: Subject, device: Device) -> None:
    tensors = [tensor_of(a, device) for a in subject.arrays(subject.shapes[0])]
    for keywords in subject.keywords:
        assert not any(o.requires_grad for o in subject.run(tensors, keywords))


FACTS: list[Callable[[Subject, Device], None]] = [
    its_values_are_the_references_on_every_shape,
    its_gradients_match_finite_differences,
    its_second_gradients_match_finite_differences,
    a_tensor_may_stand_for_all_its_inputs,
    it_takes_inputs_of_any_layout,
    it_keeps_every_float_dtype,
    its_gradients_are_on_the_device_and_in_the_shape_of_its_inputs,
    it_changes_no_argument,
    it_computes_the_same_under_no_grad,
    its_result_requires_no_gradient,
]


def applies(fact: Callable[..., None], subject: Subject) -> bool:
    """Whether a fact is one about this function."""
    equal = len(subject.domains) > 1 and len({*subject.shapes[0]}) == 1
    return {
        its_values_are_the_references_on_every_shape: subject.reference is not None,
        its_gradients_match_finite_differences: subject.gradients,
        its_second_gradients_match_finite_differences: subject.gradients and subject.order >= 2,
        a_tensor_may_stand_for_all_its_inputs: equal if subject.repeated is None else subject.repeated,
        it_takes_inputs_of_any_layout: subject.layouts,
        its_gradients_are_on_the_device_and_in_the_shape_of_its_inputs: subject.gradients,
        its_result_requires_no_gradient: not subject.gradients,
    }.get(fact, True)


# ---- layouts: the same numbers otherwise placed in memory


def transposed(xp: Any, array: Array) -> Any:
    return xp.permute_dims(xp.from_host(np.ascontiguousarray(array.T)), tuple(range(array.ndim))[::-1])


def strided(xp: Any, array: Array) -> Any:
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 77, dtype=array.dtype)
    wide[..., ::2] = array
    return xp.from_host(wide)[..., ::2]


def reversed_(xp: Any, array: Array) -> Any:
    turned = tuple(slice(None, None, -1) for _ in array.shape)
    return xp.from_host(np.ascontiguousarray(array[turned]))[turned]


def in_layout(array: Array, device: Device, layout: Callable[[Any, Array], Any]) -> Tensor:
    """A leaf with these values in another layout."""
    if not array.ndim:
        return tensor_of(array, device)
    with device:
        made = make(layout(backend_of(device), array))
    return made.requires_grad_() if array.dtype.kind == "f" else made  # type: ignore[attr-defined]
