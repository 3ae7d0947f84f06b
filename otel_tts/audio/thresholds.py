# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The limits that turn a measure of audio into a verdict. All are settable, these are the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where audio starts to be silent, clipped, and so on. Levels are shares of full scale (1.0)."""

    silence_dbfs: float = -40.0
    """A window under this level is silent: 20 log10(RMS / full scale)."""
    silence_window: float = 0.010
    """Length of a window, in seconds."""
    sustained: float = 0.050
    """Sound shorter than this, in seconds, is a click or a breath and does not end a silence."""
    clip_level: float = 0.999
    """A sample at or above this share of full scale is clipped."""
    clip_ratio: float = 0.001
    """Audio with a larger share of clipped samples is `clipped`."""
    dc_offset: float = 0.01
    """Audio whose mean lies further from zero has a `dc_offset`."""
    click_jump: float = 0.5
    """A larger step from one sample to the next is a click."""
    clicks_per_second: float = 3.0
    """Audio with more has `clicks`."""
    underrun: float = 0.1
    """A stream that leaves its player dry for this long, in seconds, is not continuous."""


DEFAULTS = Thresholds()
