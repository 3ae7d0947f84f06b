# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What engines take in many forms: one of a thing or one for each text, a recording by path or as samples."""

from __future__ import annotations

from typing import Any, Final, cast

_LONGEST_PATH: Final = 1024
"""Characters. A longer string is the recording itself, in base64."""


def only(given: Any) -> Any:
    """Return what is given once, or the same for each text of a batch; else None."""
    if not isinstance(given, (list, tuple)):
        return given
    every = cast("list[Any]", given)
    return every[0] if every and all(one is every[0] or one == every[0] for one in every) else None


def path(given: Any) -> str | None:
    """Return a reference's path; a URL, base64 and samples are none."""
    one = only(given) if isinstance(given, list) else given
    if not isinstance(one, str) or len(one) > _LONGEST_PATH or "://" in one or one.startswith("data:"):
        return None
    return one
