# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Unix nanoseconds as text, and back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def rfc3339(time: int) -> str:
    """Unix nanoseconds as text that every store takes: bare numbers are guessed to be of one unit or another."""
    return f"{_EPOCH + timedelta(seconds=time // 10**9):%Y-%m-%dT%H:%M:%S}.{time % 10**9:09d}Z"


def nanoseconds(text: str) -> int:
    """The opposite of `rfc3339`. Raises ValueError."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return (at - _EPOCH) // timedelta(seconds=1) * 10**9 + int(fraction[:9].ljust(9, "0") or 0)
