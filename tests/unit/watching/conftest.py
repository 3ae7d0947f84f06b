# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.unit.support.controlled import controlled, folder

__all__ = ["controlled", "folder"]
