"""No primitive goes without its factory line: gradients to second order are checked for each, on every device."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
import retrograd.nn  # declares primitives of its own
from retrograd.autograd.primitive import REGISTRY, Primitive
from retrograd.backends import CPU
from retrograd.viz.reading import in_order, origin
from tests.autograd.factory import Subject, function, tensor_of, weight_for

TESTS = Path(__file__).parent.parent

test_astype = function(
    lambda x: rg.autograd.ops.astype(x, dtype="float64"), np.copy, shapes=[(2, 3), (), (0,)], dtypes=[np.float64]
)

ELSEWHERE = {
    "write_view": "recorded by in-place changes through views: test_views.py, test_inplace.py",
    "cleared": "the gradient of that",
    "replaced": "recorded by copy_, fill_ and assignment: test_inplace.py, test_indexing.py",
    "to_device": "between two devices: test_conversion.py",
    "gate": "the backward hooks of modules: tests/nn/test_module.py",
    "triangle_of_qr": "its rule raises, as in PyTorch: test_linalg.py",
}
"""Primitives that no function of tensors on one device reaches, and where they are tested."""


def of_the_library() -> dict[str, Primitive]:
    """All primitives but those that tests declare."""
    modules = {name: getattr(primitive.forward, "__module__", "retrograd") for name, primitive in REGISTRY.items()}
    return {name: REGISTRY[name] for name, module in modules.items() if module.startswith("retrograd")}


def subjects() -> list[Subject]:
    """What every factory line of the test suite tests."""
    found = []
    for path in [*TESTS.glob("autograd/test_*.py"), *TESTS.glob("nn/test_*.py")]:
        if "factory import" in path.read_text():
            module = importlib.import_module(f"tests.{path.parent.name}.{path.stem}")
            found += [test.subject for test in vars(module).values() if hasattr(test, "subject")]
    return found


def primitives_in(subject: Subject) -> set[str]:
    """Names of the primitives that a function and its gradients to second order record."""
    names = set()
    for shapes, keywords in subject.cases():
        inputs = [tensor_of(a, CPU) for a in subject.arrays(shapes)]
        outputs = [o for o in subject.run(inputs, keywords) if o.requires_grad]
        leaves = [t for t in inputs if t.requires_grad]
        weights = [weight_for(o).requires_grad_() for o in outputs]
        gradients = rg.autograd.grad(outputs, leaves, weights, create_graph=True, allow_unused=True)
        first = [g for g in gradients if g is not None and g.requires_grad]
        second = rg.autograd.grad(first, [*leaves, *weights], first, create_graph=True, allow_unused=True)
        nodes = in_order([t._node for t in (*outputs, *first, *second) if t is not None and t._node is not None])
        names |= {origin(node).primitive.name for node in nodes if hasattr(origin(node), "primitive")}
    return names


def test_every_primitive_with_a_gradient_has_a_factory_line():
    tested = set().union(
        *[primitives_in(subject) for subject in subjects() if subject.gradients and subject.order >= 2]
    )
    differentiable = {name for name, primitive in of_the_library().items() if primitive.rules}
    assert differentiable - tested == set(ELSEWHERE)


def test_every_primitive_has_rules_or_says_that_it_has_no_gradient():
    silent = [name for name, primitive in of_the_library().items() if not primitive.rules and not primitive.constant]
    assert silent == []


def test_a_rule_that_names_what_is_not_there_is_refused():
    from retrograd.autograd.primitive import primitive

    @primitive
    def twice(xp, x):
        return 2 * x

    try:
        with pytest.raises(TypeError, match=r"twice: a rule names \['y'\]; it may name"):
            twice.vjp(lambda xp, g, y: 2 * g)
    finally:
        del REGISTRY["twice"]


def shared_memory(node, g, gs):
    """What a cotangent that seems to belong to nobody shares its memory with."""
    saved = [getattr(node, name, None) for name in node.saves]
    arrays = [gp for gp in gs if isinstance(gp, np.ndarray)]
    owned = [gp for gp in arrays if gp is not g and gp.base is None and gp.size]
    others = [a for a in (g, *saved, *arrays) if isinstance(a, np.ndarray)]
    return [(node.name(), gp.shape) for gp in owned for a in others if a is not gp and np.may_share_memory(gp, a)] + [
        (node.name(), "twice") for i, gp in enumerate(owned) if any(gp is other for other in owned[:i])
    ]


def test_what_a_rule_returns_is_its_own_or_a_view(monkeypatch):
    """The engine adds to such cotangents in place."""
    found, watched = [], set()

    def watch(kind):
        rule = kind.backward

        def backward(node, g, xp, keep):
            saved = {name: getattr(node, name, None) for name in node.saves}
            gs = rule(node, g, xp, True)
            found.extend(shared_memory(type("Seen", (), {**saved, "saves": node.saves, "name": node.name}), g, gs))
            return gs

        monkeypatch.setattr(kind, "backward", backward)

    for subject in subjects():
        if not subject.gradients:
            continue
        for shapes, keywords in subject.cases():
            inputs = [tensor_of(a, CPU) for a in subject.arrays(shapes)]
            outputs = [o for o in subject.run(inputs, keywords) if o.requires_grad]
            for node in in_order([o._node for o in outputs]):
                if hasattr(node, "primitive") and type(node) not in watched and node.primitive.rules:
                    watched.add(type(node))
                    watch(type(node))
            rg.autograd.backward(outputs, [weight_for(o) for o in outputs])
    assert found == []
