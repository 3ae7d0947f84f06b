# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Engines to hook, and no hook that outlives its test."""

from __future__ import annotations

from otel_tts.testing.fixtures import telemetry
from tests.unit.support.engine_fixtures import joe, module, tts, unhooked

__all__ = ["joe", "module", "telemetry", "tts", "unhooked"]
