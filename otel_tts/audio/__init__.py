# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What audio is like: length, level, silence, damage, and whether a stream of it plays without gaps. Plain values."""

from __future__ import annotations

from otel_tts.audio.container import ContainerFacts, sniff
from otel_tts.audio.playout import Playout
from otel_tts.audio.quality import AudioFacts, AudioMeter, judge
from otel_tts.audio.thresholds import Thresholds

__all__ = ["AudioFacts", "AudioMeter", "ContainerFacts", "Playout", "Thresholds", "judge", "sniff"]
