# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The application of `celery_service` with a task that takes its time: ``celery -A celery_slow worker``."""

from __future__ import annotations

import time

from celery_service import app, speak

__all__ = ["app", "speak"]


@app.task
def linger(text: str, seconds: float) -> int:
    """Speak, and go on for `seconds`."""
    speak(text)
    time.sleep(seconds)
    return speak(text)
