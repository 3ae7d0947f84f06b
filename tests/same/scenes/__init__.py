# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The requests: each is played in a process of its own, and all that the process says is held against a file."""

from __future__ import annotations

from tests.same.scenes import around, devices, engines, own_code
from tests.same.scenes.scene import SCENES, Scene, flush

__all__ = ["SCENES", "Scene", "around", "devices", "engines", "flush", "own_code"]
