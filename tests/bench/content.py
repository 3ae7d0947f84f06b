# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the measured request says: both ways of recording it, ours and by hand, take their values from here."""

from __future__ import annotations

from tests.bench.plain_names import names

ENGINE = "bench"
MODEL = "bench-small"
VOICE = "heart"
LANGUAGE = "en"
TEXT = "The quick brown fox jumps over the lazy dog again."

STAGES = (
    names.Stage.TEXT_FRONTEND,
    names.Stage.REFERENCE_ENCODE,
    names.Stage.ACOUSTIC_MODEL,
    names.Stage.VOCODER,
    names.Stage.POSTPROCESS,
)

PEAK = 3 << 30
MEMORY = {
    names.MEMORY_ALLOCATED: 2 << 30,
    names.MEMORY_RESERVED: 4 << 30,
    names.MEMORY_PEAK: PEAK,
    names.MEMORY_ALLOCATED_DELTA: 1 << 20,
    names.MEMORY_RESERVED_DELTA: 0,
    names.MEMORY_SLACK_RATIO: 0.5,
    names.MEMORY_ATTRIBUTION: "exclusive",
    names.HW_ID: "GPU-00000000-0000-0000-0000-000000000000",
}

# Given, not measured: measuring audio is a cost of its own, see pieces.py.
AUDIO = {
    names.AUDIO_DURATION: 3.2,
    names.AUDIO_SAMPLE_RATE: 24000,
    names.AUDIO_CHANNELS: 1,
    names.AUDIO_SIZE: 153600,
    names.AUDIO_FORMAT: "wav",
    names.AUDIO_PEAK: 0.71,
    names.AUDIO_RMS: 0.08,
    names.AUDIO_SILENCE_RATIO: 0.12,
    names.AUDIO_LEADING_SILENCE: 0.04,
    names.AUDIO_TRAILING_SILENCE: 0.08,
    names.AUDIO_CLIPPING_RATIO: 0.0,
    names.AUDIO_CLICKS: 0,
    names.AUDIO_DC_OFFSET: 0.0001,
    names.REAL_TIME_FACTOR: 0.3,
    names.TIME_TO_FIRST_BYTE: 0.9,
    names.TIME_TO_FIRST_AUDIO: 0.94,
}

SPANS = 1 + len(STAGES)
LINES = 3
POINTS = 2 + len(STAGES) * 2 + 1 + 5
"""tts.requests, their duration and the others at their start, each stage's duration and peak, tts.text.length, four of
the audio."""
