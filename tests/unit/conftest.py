# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every unit test that looks at recorded requests."""

from __future__ import annotations

from tests.unit.support.world import clock, world

__all__ = ["clock", "world"]
