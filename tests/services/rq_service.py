# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Functions that jobs of RQ name."""

from __future__ import annotations

import rq
from speech import say, stumble


def speak(text: str) -> int:
    return int(say(text).size)


def fail(text: str) -> None:
    stumble(text)


def try_again(text: str) -> int:
    if rq.get_current_job().retries_left:
        raise ConnectionError(text)
    return speak(text)
