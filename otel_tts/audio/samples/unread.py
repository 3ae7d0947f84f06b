# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Says once, on the process's log, what was there where samples should have been: types and names, never a value."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

_MOST: Final = 8
"""Names that are listed."""
_is_about_sound: Final = re.compile(
    r"(?=.*(?:_|audio|wav|sampl|rate|sr\b|speech|sound|pcm|mel|signal|chunk|data|output|result|tts))[A-Za-z_]\w{0,39}"
).fullmatch
"""A key that is shown: others may be words of the text."""


def say_unread(where: str, found: object, wanted: object = None) -> None:
    """Say that `found`, which `where` gave, holds no samples that can be read; `wanted` is the place that was asked."""
    _say(where, describe(found), repr(wanted)[:80] if isinstance(wanted, (str, int)) else "", is_bytes(found))


def is_bytes(samples: object) -> bool:
    """Whether something is bytes, of which nothing says what is in them."""
    return isinstance(samples, (bytes, bytearray)) or (isinstance(samples, memoryview) and samples.format == "B")


@functools.lru_cache(maxsize=64)
def _say(where: str, found: str, wanted: str, is_raw: bool) -> None:
    why = 'what is in them is not known: say encoding="pcm16"' if is_raw else "which cannot be read as samples"
    if wanted:
        why = f"which has no {wanted} with samples, as its Chunk says"
    logging.getLogger("otel_tts").warning(
        "otel-tts: %s gave %s, %s; length, level and anomalies of this audio are not known", where, found, why
    )


def describe(found: object) -> str:
    """Describe a value by its type, and by the names or types in it."""
    kind = type(found).__name__
    if isinstance(found, Mapping):
        keys = list(cast("Mapping[Any, Any]", found))
        shown = [key if isinstance(key, str) and _is_about_sound(key) else "?" for key in keys[:_MOST]]
        return f"{kind} with the keys {_listed(shown, len(keys))}"
    if isinstance(found, np.ndarray):
        return f"an array of {found.dtype} with the shape {found.shape}"
    if isinstance(found, (list, tuple)):
        parts = cast("tuple[Any, ...]", found)
        return f"{kind} of {', '.join(type(part).__name__ for part in parts[:_MOST]) or 'nothing'}"
    names = [name[:40] for name in getattr(found, "__dict__", ()) if not name.startswith("_")]
    return f"{kind} with the attributes {_listed(names[:_MOST], len(names))}" if names else kind


def _listed(shown: list[str], count: int) -> str:
    return (", ".join(shown) + (", …" if count > len(shown) else "")) or "none"
