# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of traces and spans from the system's randomness, and not from Python's own, which is the application's.

Engines seed `random` for each request, so that a text sounds the same again: OpenTelemetry's generator then gives the
next request the ids of the last one. And what it draws would be missing in the engine's own numbers.
"""

from __future__ import annotations

import random
from typing import Final

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

_SYSTEM: Final = random.SystemRandom()


class SystemIdGenerator(IdGenerator):
    """As OpenTelemetry's own, but for where the numbers come from; a fork needs no care."""

    def generate_span_id(self) -> int:
        return _SYSTEM.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return _SYSTEM.getrandbits(128) or 1

    def is_trace_id_random(self) -> bool:
        return True


def unseeded(ids: IdGenerator | None) -> IdGenerator:
    """Return what stands in the place of `ids`: anything but OpenTelemetry's default (None) stays."""
    return SystemIdGenerator() if ids is None or type(ids) is RandomIdGenerator else ids
