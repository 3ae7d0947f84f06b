# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of traces and spans that have nothing to do with Python's `random`, which is the application's.

OpenTelemetry's generator draws from there: where an engine seeds it for each request, the next one has the ids of the
last (see `otel_tts.chance`).
"""

from __future__ import annotations

import os

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from otel_tts.chance import bits


class OwnIdGenerator(IdGenerator):
    """As OpenTelemetry's own, but for where the numbers come from.

    A trace's comes from the system each time: processes that are restored from one image of memory would draw the same.
    """

    def generate_span_id(self) -> int:
        return bits(64) or 1

    def generate_trace_id(self) -> int:
        return int.from_bytes(os.urandom(16), "big") or 1

    def is_trace_id_random(self) -> bool:
        return True


def unseeded(ids: IdGenerator | None) -> IdGenerator:
    """Return what stands in the place of `ids`: anything but OpenTelemetry's default (None) stays."""
    return OwnIdGenerator() if ids is None or type(ids) is RandomIdGenerator else ids
