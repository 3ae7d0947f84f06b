# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hooks a callable that stands in a module, on the class or module that has it, after the module's import."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import wrapt

from otel_tts.commands import suggest
from otel_tts.instrumentation.callables import hook
from otel_tts.patches import after_import, is_patched, put

_logger = logging.getLogger("otel_tts")

HOOKS: Final = "hook"
"""The group of patches that tables of engines and the hooks in libraries set: `patches.undo(HOOKS)` takes them off."""


def wrap_after_import(module: str, target: str, wrapper: Callable[..., Any], optional: bool = False) -> None:
    """Wrap `module`.`target` with the wrapt function `wrapper` after the module's import.

    `optional`: not every version has it, so that its absence is no news. Otherwise it is said, once.
    """

    def place(loaded: Any) -> None:
        nonlocal optional
        said, optional = optional, True
        wrap_in(loaded, target, wrapper, said)

    after_import(module, place, HOOKS)


def wrap_in(module: Any, target: str, wrapper: Callable[..., Any], optional: bool = False) -> None:
    """The same now, in a module that is imported."""
    try:
        parent, attribute, original = wrapt.resolve_path(module, target)
    except AttributeError:
        if not optional:
            say_missing(module.__name__, target)
        return
    if is_patched(parent, attribute):
        return
    if _can_be_hooked(original):
        put(parent, attribute, hook(parent, original, wrapper), HOOKS)
    else:
        _logger.warning(
            "otel-tts: %s.%s is %s, not a function or method; nothing of it is traced (see `%s`)",
            module.__name__, target, "a class" if isinstance(original, type) else f"of type {type(original).__name__}",
            suggest("engines"),
        )  # fmt: skip


def _can_be_hooked(found: Any) -> bool:
    """A hook in the place of a number or a class would be met by code that asks for its type, or pickles it."""
    return isinstance(found, classmethod) or (callable(found) and not isinstance(found, type))


def say_missing(module: str, target: str) -> None:
    """Say in the log that `module` has no `target`."""
    _logger.warning(
        "otel-tts: %s has no %s in this version; requests are traced without that part (see `%s`)",
        module, target, suggest("engines"),
    )  # fmt: skip
