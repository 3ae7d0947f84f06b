# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of callable a hook is around; asked once per function, since ``inspect`` is slow."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

PLAIN: Final = "plain"
COROUTINE: Final = "coroutine"
GENERATOR: Final = "generator"
ASYNC_GENERATOR: Final = "async generator"


def kind_of(function: Callable[..., Any]) -> str:
    """Return PLAIN, COROUTINE, GENERATOR or ASYNC_GENERATOR for a function or bound method."""
    try:
        return _kind_of(getattr(function, "__func__", function))
    except Exception:  # a callable that cannot be hashed, or whose attributes raise
        return PLAIN


@functools.lru_cache(maxsize=512)
def _kind_of(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return ASYNC_GENERATOR
    if inspect.isgeneratorfunction(function):
        return GENERATOR
    if inspect.iscoroutinefunction(function):
        return COROUTINE
    return PLAIN
