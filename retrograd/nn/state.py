"""A Module's state: parameters and persistent buffers by path, taken out and put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from retrograd.autograd.graph import RemovableHandle
from retrograd.autograd.modes import no_grad
from retrograd.autograd.tensor import Tensor
from retrograd.nn.uninitialized import is_lazy

if TYPE_CHECKING:
    from retrograd.nn.module import Module

__all__ = ["IncompatibleKeys", "Stateful"]


class IncompatibleKeys(NamedTuple):
    """Names that a loaded state lacked, and names that the module does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class StateHooks:
    """Functions that see a module's state as it is taken out and put in, in the order in which they are called."""

    def __init__(self) -> None:
        self.before_saving: list[Callable[..., Any]] = []
        self.after_saving: list[Callable[..., Any]] = []
        self.before_loading: list[Callable[..., Any]] = []
        self.after_loading: list[Callable[..., Any]] = []


class Stateful:
    """What a Module has of saving and loading."""

    _state_hooks: StateHooks | None = None
    _version: int = 1
    """Of the format of the state, for hooks that bring an older one up to date."""

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by path: what `rg.save_file` takes. They share storage with the module's;
        `keep_vars` gives the parameters themselves."""
        into: dict[str, Any] = {} if destination is None else destination
        hooks = self._state_hooks
        for hook in list(hooks.before_saving) if hooks else ():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(into, prefix, keep_vars)
        for name, child in this(self)._own("module").items():
            if child is not None:
                child.state_dict(destination=into, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(hooks.after_saving) if hooks else ():
            hook(self, into, prefix, {"version": self._version})
        return into

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Puts what is the module's own, without its children's, into `destination`."""
        for path, _, value in own_places(self, prefix):
            destination[path] = value if keep_vars else value.detach()
        if has_extra(self):
            destination[prefix + EXTRA] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies values into parameters and buffers by path; `assign` puts the given Tensors in their place.

        Raises one RuntimeError that lists every missing name, unexpected name and wrong shape, and then loads nothing.
        `strict=False` lets names be missing or too many; shapes must fit always.
        """
        return load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Prepares the state before anything is loaded: runs the module's hooks.

        A subclass may rename or add what it wants first; the values are copied when the states of all modules fit.
        """
        for hook in list(self._state_hooks.before_loading) if self._state_hooks else ():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def get_extra_state(self) -> Any:
        """More that is saved, under "_extra_state", where a subclass defines this and `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} has no extra state; define get_extra_state() to save one.")

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} takes no extra state; define set_extra_state() to load one.")

    def _saving_and_loading(self) -> StateHooks:
        if self._state_hooks is None:
            object.__setattr__(self, "_state_hooks", StateHooks())
        return self._state_hooks  # type: ignore[return-value]

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before the module's state is taken out."""
        return added(self._saving_and_loading().before_saving, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` after that; it may change the state in place."""
        return added(self._saving_and_loading().after_saving, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls a hook before the module's state is put in; it may change the state, which is a copy, in place.

        The call is `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`.
        """
        return added(self._saving_and_loading().before_loading, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` afterwards; it may take keys from the lists of what does not fit."""
        return added(self._saving_and_loading().after_loading, hook)


EXTRA = "_extra_state"


def this(module: Stateful) -> Module:
    """The Module that a Stateful is."""
    return module  # type: ignore[return-value]


def added(hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> RemovableHandle:
    """Adds a hook to the end of a list."""
    hooks.append(hook)
    return RemovableHandle(hooks, hook)


def has_extra(module: Stateful) -> bool:
    """Whether the module's class defines an extra state."""
    return type(module).get_extra_state is not Stateful.get_extra_state


def own_places(module: Stateful, prefix: str) -> Iterator[tuple[str, str, Tensor]]:
    """(path, name, value) of all that is saved of a module itself."""
    owner = this(module)
    for kind in ("parameter", "buffer"):
        for name, value in owner._own(kind).items():
            if value is not None and name not in owner._transient:
                yield prefix + name, name, value


def load(module: Stateful, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """See Stateful.load_state_dict."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given).__name__}.")
    state = dict(given)
    keys, problems = IncompatibleKeys([], []), list[str]()
    wanted: dict[str, tuple[Module, str, Any]] = {}
    owners = list(this(module).named_modules(remove_duplicate=False))
    for path, owner in owners:
        prefix = f"{path}." if path else ""
        owner._load_from_state_dict(state, prefix, {"version": owner._version}, strict, *keys, problems)
        wanted |= {place: (owner, name, value) for place, name, value in own_places(owner, prefix)}
        if has_extra(owner) or prefix + EXTRA in state:
            wanted[prefix + EXTRA] = (owner, EXTRA, None)
    keys.missing_keys.extend(path for path in wanted if path not in state)
    keys.unexpected_keys.extend(path for path in state if path not in wanted)
    present = {path: place for path, place in wanted.items() if path in state}
    problems += [f"{path}: {what}" for path, place in present.items() if (what := misfit(*place, state[path]))]
    after = [
        (owner, hook)
        for _, owner in reversed(owners)
        if owner._state_hooks
        for hook in owner._state_hooks.after_loading
    ]
    if not problems and (after or not (strict and any(keys))):
        for path, place in present.items():
            put(*place, state[path], assign)
        for owner, hook in after:
            if hook(owner, keys) is not None:
                raise AssertionError("a load_state_dict post hook returned a value; change incompatible_keys in place.")
    complain(module, keys if strict else IncompatibleKeys([], []), problems)
    return keys


def complain(module: Stateful, keys: IncompatibleKeys, problems: list[str]) -> None:
    """RuntimeError if anything was wrong."""
    if keys.unexpected_keys:
        problems.insert(0, f"Unexpected key(s) in state_dict: {quoted(keys.unexpected_keys)}.")
    if keys.missing_keys:
        problems.insert(0, f"Missing key(s) in state_dict: {quoted(keys.missing_keys)}.")
    if problems:
        name = type(module).__name__
        raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t" + "\n\t".join(problems))


def quoted(paths: list[str]) -> str:
    """Names in a message."""
    return ", ".join(f'"{path}"' for path in paths)


def misfit(owner: Module, name: str, value: Any, given: Any) -> str | None:
    """Why a given value cannot be loaded, or None."""
    if name == EXTRA:
        return None if has_extra(owner) else f"{type(owner).__name__} has no extra state."
    if not isinstance(given, Tensor):
        return f"expected a Tensor, got {type(given).__name__}."
    if is_lazy(value):  # it takes any shape
        return None
    if given.shape != value.shape:
        return f"size mismatch: shape {given.shape} in the state_dict, {value.shape} in this model."
    return None


def put(owner: Module, name: str, value: Any, given: Any, assign: bool) -> None:
    """Copies a given value into the old one, or puts it in its place."""
    from retrograd.nn.parameter import Parameter

    if name == EXTRA:
        owner.set_extra_state(given)
        return
    if is_lazy(value):
        if is_lazy(given):
            return
        value.materialize(given.shape)
    if not assign:
        with no_grad():
            value.copy_(given)
    elif owner._registered[name] == "parameter":
        parameter = given if isinstance(given, Parameter) else Parameter(given.detach(), False)
        setattr(owner, name, parameter.requires_grad_(value.requires_grad))
    else:
        setattr(owner, name, given)
