# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Times as people type them: 30m (ago), 2d, 2026-11-30, 2026-11-30T05:00, the same with a zone."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def nanoseconds(text: str) -> int:
    """Unix nanoseconds of `text`; without a zone it is this machine's. Raises ValueError, for people."""
    if (ago := re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhdw])", text)) is not None:
        return max(0, time.time_ns() - round(float(ago[1]) * _UNITS[ago[2]] * 1e9))
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        found = round(moment.astimezone().timestamp() * 1e9)
        if not 0 <= found < 2**63:
            raise OverflowError
        return found
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time: 30m, 2h, 7d (ago), or 2026-11-30T05:00, from 1970 to 2262") from None
