# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of callable a hook is around; asked once per function, since ``inspect`` is slow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

PLAIN: Final = "function"
COROUTINE: Final = "coroutine"
GENERATOR: Final = "generator"
ASYNC_GENERATOR: Final = "async generator"

_known: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
"""By function, and not for longer than it lives: a closure may hold a model."""


def kind_of(function: Callable[..., Any]) -> str:
    """Return PLAIN, COROUTINE, GENERATOR or ASYNC_GENERATOR for a function or bound method."""
    try:
        function = getattr(function, "__func__", function)
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
