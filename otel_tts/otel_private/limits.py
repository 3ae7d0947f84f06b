# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Which attributes the SDK would leave as they are: no limit reached, nothing to clean."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Final

_PLAIN: Final = frozenset((str, int, float, bool))


def are_simple(attributes: dict[str, Any], most: int | None) -> bool:
    """Whether the SDK keeps all of `attributes` unchanged where it keeps `most` of them (None: any number)."""
    for key, value in attributes.items():
        if (value.__class__ not in _PLAIN and not _is_alike(value)) or key.__class__ is not str or not key:
            return False
    return not exceed(attributes, most)


def exceed(items: Sized, most: int | None) -> bool:
    """Whether there are more than `most`."""
    return most is not None and len(items) > most


def _is_alike(value: Any) -> bool:
    return value.__class__ is tuple and (
        all(item.__class__ is str for item in value) or all(item.__class__ is float for item in value)
    )
