# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every unit test that looks at recorded requests, and for those that do so on a device."""

from __future__ import annotations

from tests.unit.support.gpu_fixtures import _loaded, device, here, library, nvml, stub, torch
from tests.unit.support.world import clock, world

__all__ = ["_loaded", "clock", "device", "here", "library", "nvml", "stub", "torch", "world"]
