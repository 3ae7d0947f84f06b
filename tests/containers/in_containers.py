# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the servers of collector/compose.yaml are, and waiting for what they have to say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

COLLECTOR, TEMPO, LOKI = "http://127.0.0.1:4318", "http://127.0.0.1:3200", "http://127.0.0.1:3100"


def eventually(ask: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Ask until the answer is true, and return it."""
    until = time.monotonic() + seconds
    while True:
        try:
            if answer := ask():
                return answer
        except httpx.HTTPError as failure:
            answer = failure
        if time.monotonic() > until:
            pytest.fail(f"still {answer!r} after {seconds:.0f} s")
        time.sleep(0.5)
