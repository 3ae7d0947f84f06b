# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The proxies that stand where a hooked callable stood: they look, bind, pickle and copy like what they wrap.

wrapt's own refuse to be pickled or copied, and a service may well send ``voice.synthesize`` to a process pool.
"""

from __future__ import annotations

import copy
import operator
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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


def hook(parent: Any, attribute: str, wrapper: Callable[..., Any]) -> Any:
    """Put a `Hook` with the wrapt function `wrapper` in the place of `parent`.`attribute`; return it."""
    return wrapt.wrap_object(parent, attribute, Hook, (wrapper,))
