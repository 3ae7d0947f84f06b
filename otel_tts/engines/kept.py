# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Plain values that belong to somebody's objects, for as long as these live: by identity, since arrays have no hash."""

from __future__ import annotations

import weakref
from typing import Any, Final

_values: Final[dict[int, Any]] = {}


def keep(thing: Any, value: Any) -> None:
    """Remember `value` about `thing`. Raises TypeError where `thing` can have no weak reference."""
    weakref.finalize(thing, _values.pop, id(thing), None).atexit = False
    _values[id(thing)] = value


def forget(thing: Any) -> None:
    """Remember nothing about `thing` any more."""
    _values.pop(id(thing), None)


def kept(thing: Any) -> Any:
    """Return what is remembered about `thing`, or None."""
    return _values.get(id(thing))
