"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from retrograd.autograd import ops
from retrograd.autograd.tensor import Tensor

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]

Named = Mapping[str, Tensor]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Named | Sequence[Named],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with other Tensors in the place of parameters and buffers, by their paths.

    Several dicts are put together. Names that are not given keep the module's own. `tie_weights`: a parameter shared
    under several names is exchanged under all of them. `strict`: every name must be given, and be the module's.
    Raises RuntimeError otherwise, ValueError for a name in two dicts or two values for a shared parameter.

    >>> import retrograd as rg
    >>> layer = rg.nn.Linear(2, 1, bias=False)
    >>> rg.func.functional_call(layer, {"weight": rg.tensor([[3.0, 4.0]])}, rg.ones(2))
    tensor([7.])
    """
    given = merged(parameter_and_buffer_dicts)
    own = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    if strict and set(given) != set(own):
        raise RuntimeError(
            f"functional_call: strict=True, but missing are {sorted(set(own) - set(given))}, and unexpected "
            f"{sorted(set(given) - set(own))}."
        )
    if tie_weights:
        given = tied(given, own)
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with exchanged(module, given):
        return module(*positional, **(kwargs or {}))


def merged(dicts: Any) -> dict[str, Tensor]:
    """One dict of all."""
    if isinstance(dicts, Mapping):
        return dict(dicts)
    if not isinstance(dicts, Sequence) or not all(isinstance(d, Mapping) for d in dicts):
        raise ValueError(f"functional_call: expected a dict or a sequence of dicts, got {type(dicts).__name__}")
    result: dict[str, Tensor] = {}
    for d in dicts:
        if twice := set(result) & set(d):
            raise ValueError(f"{sorted(twice)} appeared in multiple dictionaries; the behavior is ambiguous")
        result |= d
    return result


def tied(given: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Values for all the names of each shared Tensor."""
    names: dict[int, list[str]] = {}
    for name, value in own.items():
        names.setdefault(id(value), []).append(name)
    result = dict(given)
    for together in names.values():
        values = [given[name] for name in together if name in given]
        if any(value is not values[0] for value in values[1:]):
            raise ValueError(f"functional_call got multiple values for keys {together}, which are tied; give one.")
        if values:
            result |= dict.fromkeys(together, values[0])
    return result


@contextmanager
def exchanged(module: Any, given: Named) -> Iterator[None]:
    """In this block the module has other Tensors; they stay plain attributes, whatever their kind."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    absent = object()
    try:
        for path, value in given.items():
            prefix, _, name = path.rpartition(".")
            attributes = vars(module.get_submodule(prefix))
            before.append((attributes, name, attributes.get(name, absent)))
            attributes[name] = value
        yield
    finally:
        for attributes, name, value in reversed(before):
            if value is absent:
                attributes.pop(name, None)
            else:
                attributes[name] = value


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of equal models, stacked along a new first dimension: for `vmap` over an ensemble.

    Raises RuntimeError for no models, and for models of different classes, modes or `requires_grad`.
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = {name: stacked(models, name, "get_parameter") for name, _ in models[0].named_parameters()}
    buffers = {name: stacked(models, name, "get_buffer") for name, _ in models[0].named_buffers()}
    return parameters, buffers


def stacked(models: Sequence[Any], name: str, getter: str) -> Tensor:
    """One Tensor of all models as a leaf."""
    parts = [getattr(model, getter)(name) for model in models]
    if len({part.requires_grad for part in parts}) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    result = ops.stack(*[part.detach() for part in parts], axis=0)
    return result.requires_grad_(parts[0].requires_grad)


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Lets every batch normalisation below forget its running statistics, in place, so that nothing is changed."""
    for module in root.modules():
        classes = [cls.__name__.removeprefix("_") for cls in type(module).__mro__]
        if "running_mean" in module._buffers and any(name.startswith("BatchNorm") for name in classes):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
