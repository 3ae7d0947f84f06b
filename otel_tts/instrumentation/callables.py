# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What stands where a hooked callable stood, and which kind of callable one is: function, coroutine, generator.

What stands there looks, binds, pickles and copies like what it wraps, and torch.compile takes it for that. wrapt's own
proxies refuse to be pickled or copied, and a service may well send ``voice.synthesize`` to a process pool.
"""

from __future__ import annotations

import copy
import functools
import inspect
import operator
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import wrapt

if TYPE_CHECKING:  # generic to the type checker since wrapt 2, never so at run time before
    _FunctionWrapper = wrapt.FunctionWrapper[..., Any]
    _BoundFunctionWrapper = wrapt.BoundFunctionWrapper[..., Any]
else:
    _FunctionWrapper, _BoundFunctionWrapper = wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper


class _Bound(_BoundFunctionWrapper):
    """A hooked method, taken from an instance or its class."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped: Any = self.__wrapped__
        owner = getattr(wrapped, "__self__", None)
        if owner is None:
            owner = operator.attrgetter(wrapped.__qualname__.rpartition(".")[0])(sys.modules[wrapped.__module__])
        return getattr, (owner, wrapped.__name__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        wrapped: Any = self.__wrapped__
        owner = getattr(wrapped, "__self__", None)
        return self if owner is None else getattr(copy.deepcopy(owner, memo), wrapped.__name__)


class Hook(_FunctionWrapper):
    """A hooked callable where it is defined."""

    __bound_function_wrapper__ = _Bound

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped: Any = self.__wrapped__
        return wrapped.__qualname__  # by reference, as functions are

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def hook(parent: Any, original: Any, wrapper: Callable[..., Any]) -> Any:
    """Return what may stand in the place of `parent`'s `original` and calls the wrapt function `wrapper`."""
    return _compilable(original, wrapper) if _may_be_compiled(parent, original) else Hook(original, wrapper)


def _may_be_compiled(parent: Any, function: Any) -> bool:
    """Whether torch.compile may meet `function`: a method of a network, which is no generator."""
    torch = sys.modules.get("torch")
    module = getattr(getattr(torch, "nn", None), "Module", None)
    return (
        module is not None
        and isinstance(parent, type)
        and issubclass(parent, module)
        and inspect.isfunction(function)
        and kind_of(function) == PLAIN
    )


def _compilable(original: FunctionType, wrapper: Callable[..., Any]) -> Any:
    """Return a function that torch.compile takes for `original`: a proxy would end ``fullgraph=True`` with an error."""
    is_compiling, bind = sys.modules["torch"].compiler.is_compiling, MethodType

    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_compiling():
            return original(self, *args, **kwargs)
        return wrapper(bind(original, self), self, args, kwargs)

    # With the original's globals: torch.jit.script reads its source and looks the names in it up here.
    placed = FunctionType(hooked.__code__, original.__globals__, closure=hooked.__closure__)
    return functools.wraps(original)(placed)


# --- what they return -------------------------------------------------------------------------------------------------

PLAIN: Final = "function"
COROUTINE: Final = "coroutine"
GENERATOR: Final = "generator"
ASYNC_GENERATOR: Final = "async generator"

_known: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
"""By function, and not for longer than it lives: a closure may hold a model."""


_KINDS: Final = {
    0: PLAIN,
    inspect.CO_COROUTINE: COROUTINE,
    inspect.CO_GENERATOR: GENERATOR,
    inspect.CO_ASYNC_GENERATOR: ASYNC_GENERATOR,
}
_FLAGS: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def kind_of(function: Callable[..., Any]) -> str:
    """Return PLAIN, COROUTINE, GENERATOR or ASYNC_GENERATOR for a function or bound method."""
    try:
        function = getattr(function, "__func__", function)
        if function.__class__ is FunctionType and not function.__dict__:  # nothing marks it as another one
            return _KINDS[function.__code__.co_flags & _FLAGS]
        kind = _known.get(function)
        if kind is None:
            kind = _known[function] = _look_at(function)
        return kind
    except Exception:  # a callable that cannot be hashed or referred to weakly, or whose attributes raise
        return PLAIN


def _look_at(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return ASYNC_GENERATOR
    if inspect.isgeneratorfunction(function):
        return GENERATOR
    if inspect.iscoroutinefunction(function):
        return COROUTINE
    return PLAIN
