# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of audio, taken from the samples as they pass, and what they say about it.

The conventions are those of Pipecat's speech onset (https://github.com/pipecat-ai/pipecat/pull/4782): the level of a
window of 10 ms is the RMS of its samples less their mean (a constant carries no sound), 0 dBFS is an RMS of full scale
(a sine of full scale has -3 dBFS), and sound has to stay above -40 dBFS for 50 ms. Samples of several channels are not
mixed, which could cancel them: the power of a window is the mean over the channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from otel_tts.audio.samples.arrays import (
    Layout,
    Numbers,
    arrange,
    array_of,
    array_of_pcm,
    layout_of,
    level_of,
    rate_of,
    shape_of,
)
from otel_tts.audio.samples.levels import Levels
from otel_tts.audio.thresholds import DEFAULTS, Thresholds

__all__ = ["AudioFacts", "AudioMeter", "Thresholds", "judge"]


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What is known of one piece of audio. None is unknown. Levels are shares of full scale, times are seconds."""

    duration: float | None = None
    sample_rate: int | None = None
    """Hz; the first one if it changed."""
    channels: int | None = None
    samples: int | None = None
    """Frames: samples of one channel."""
    peak: float | None = None
    """Above 1.0 for floats beyond full scale."""
    rms: float | None = None
    """Over all channels, with the mean."""
    silence_ratio: float | None = None
    """Share of the audio that lies in windows under the silence threshold."""
    leading_silence: float | None = None
    """Up to the first sustained sound; None when there is none."""
    trailing_silence: float | None = None
    """From the end of the last sustained sound; None when there is none."""
    clipping_ratio: float | None = None
    clicks: int | None = None
    """Steps between neighbouring samples over the click threshold, neither sample clipped; a lone impulse has two."""
    dc_offset: float | None = None
    """Mean of the channel that has the largest."""
    has_nan: bool | None = None
    """Whether some samples were NaN or infinite; the other facts leave those out."""
    silent: bool | None = None
    """No sustained sound at all."""
    rate_changed: bool = False
    channels_changed: bool = False
    anomalies: tuple[str, ...] = ()


class AudioMeter:
    """Measures audio chunk by chunk. Neither changes a chunk nor keeps it: it copies at most 0.25 s of audio.

    One meter is for one piece of audio and for one thread at a time. `sample_rate` is in Hz and may come with a chunk
    instead; `scale` is what floats have at full scale (1.0; 32767 for engines that yield PCM as floats).
    Nothing in here raises for what a chunk is. Facts that a chunk hides are None in the end: a tensor on a device is
    not read, only its length counts.
    """

    def __init__(
        self, sample_rate: int | None = None, scale: float | None = None, thresholds: Thresholds = DEFAULTS
    ) -> None:
        self.chunks = 0
        """Calls of add and add_pcm: 0 tells audio that was never seen from audio that is empty."""
        self._thresholds = thresholds
        self._scale = scale if scale is not None and math.isfinite(scale) and scale > 0 else None
        self._rate: int | None = rate_of(sample_rate)
        self._first_rate = self._rate
        self._rate_changed = False
        self._channels: int | None = None
        self._layout: Layout | None = None
        self._channels_changed = False
        self._frames: int | None = 0
        self._frames_at_rate = 0
        self._seconds_before: float = 0.0
        self._readable = True
        self._levels: Levels | None = None
        self._split_frame = b""

    def add(self, samples: object, sample_rate: int | None = None) -> None:
        """Takes a chunk: an array, list or CPU tensor shaped [frames], [frames, channels] or [channels, frames]."""
        self.chunks += 1
        self._note_rate(sample_rate)
        values = array_of(samples)
        shape = shape_of(samples) if values is None else values.shape
        if shape is None or (values is not None and values.dtype.kind not in "iuf"):
            self._take(None, None)
        else:
            self._take(values, layout_of(shape, self._layout))

    def add_pcm(self, data: bytes | bytearray | memoryview, width: int, channels: int, sample_rate: int) -> None:
        """Takes interleaved little-endian PCM of `width` bytes a sample (1 without sign, 2, 3, 4), cut anywhere."""
        self.chunks += 1
        self._note_rate(sample_rate)
        if width not in (1, 2, 3, 4) or channels < 1:
            self._take(None, None)
            return
        data = self._split_frame + bytes(data)
        usable = len(data) - len(data) % (width * channels)
        self._split_frame = data[usable:]
        values = array_of_pcm(data[:usable], width, channels)
        self._take(values, Layout(usable // (width * channels), channels, True))

    def facts(self) -> AudioFacts:
        """What is known so far. May be called at any time and changes nothing."""
        duration = self._duration()
        facts = AudioFacts(
            duration=duration,
            sample_rate=self._first_rate,
            channels=self._channels,
            samples=self._frames,
            rate_changed=self._rate_changed,
            channels_changed=self._channels_changed,
        )
        if self._readable and self._levels is not None:
            facts = self._with_quality(facts, self._levels.settled())
        return replace(facts, anomalies=judge(facts, self._thresholds))

    def _note_rate(self, sample_rate: object) -> None:
        rate = None if sample_rate is None else rate_of(sample_rate)
        if rate is None or rate == self._rate:
            return
        if self._rate is None:
            self._first_rate = rate
        else:
            self._rate_changed = True
            self._seconds_before += self._frames_at_rate / self._rate
            self._frames_at_rate = 0
        self._rate = rate

    def _take(self, values: Numbers | None, layout: Layout | None) -> None:
        if layout is None:
            self._frames = None
            self._readable = False
            return
        self._count(layout)
        level = None if values is None else level_of(values.dtype, self._scale)
        if values is None or level is None or self._channels_changed:
            self._readable = False
        if not self._readable or values is None or level is None or not layout.frames:
            return
        if self._levels is None:
            self._levels = Levels(layout.channels, self._rate, self._thresholds)
        self._levels.pour(arrange(values, layout), level)

    def _count(self, layout: Layout) -> None:
        if self._frames is not None:
            self._frames += layout.frames
        self._frames_at_rate += layout.frames
        if not layout.frames:
            return
        self._layout = layout
        if self._channels is None:
            self._channels = layout.channels
        elif self._channels != layout.channels:
            self._channels_changed = True

    def _duration(self) -> float | None:
        if self._frames == 0:
            return 0.0
        if self._frames is None or self._rate is None:
            return None
        return self._seconds_before + self._frames_at_rate / self._rate

    def _with_quality(self, facts: AudioFacts, levels: Levels) -> AudioFacts:
        facts = replace(facts, has_nan=levels.non_finite > 0)
        if levels.values:
            frames = levels.values / len(levels.sums)
            facts = replace(
                facts,
                peak=_finite(levels.peak),
                rms=_finite(math.sqrt(levels.squares / levels.values)),
                clipping_ratio=levels.clipped / levels.values,
                clicks=levels.clicks,
                dc_offset=_finite(max((float(total) / frames for total in levels.sums), key=abs)),
            )
        silence = levels.silence
        if silence is None or self._rate_changed or self._rate is None:
            return facts
        facts = replace(facts, silent=silence.sound_start is None, silence_ratio=silence.silent_frames / silence.frames)
        if silence.sound_start is None:
            return facts
        return replace(
            facts,
            leading_silence=silence.sound_start / self._rate,
            trailing_silence=(silence.frames - silence.sound_end) / self._rate,
        )


def judge(
    facts: AudioFacts,
    thresholds: Thresholds = DEFAULTS,
    *,
    expected_rate: int | None = None,
    expected_channels: int | None = None,
    text_length: int | None = None,
    seconds_per_character: tuple[float, float] | None = None,
) -> tuple[str, ...]:
    """What is wrong with the audio, worst first; unknown facts and missing expectations accuse nobody.

    `text_length` is in characters, `seconds_per_character` the range (low, high) in which the engine speaks.
    """
    pace = facts.duration / text_length if facts.duration and text_length else None
    shortest, longest = seconds_per_character or (None, None)
    verdicts = {
        "empty": facts.samples == 0,
        "silent": bool(facts.silent),
        "clipped": _exceeds(facts.clipping_ratio, thresholds.clip_ratio),
        "clicks": _exceeds(facts.clicks, thresholds.clicks_per_second * facts.duration if facts.duration else None),
        "nan": bool(facts.has_nan),
        "truncated": _exceeds(shortest, pace),
        "too_long": _exceeds(pace, longest),
        "dc_offset": _exceeds(None if facts.dc_offset is None else abs(facts.dc_offset), thresholds.dc_offset),
        "wrong_sample_rate": facts.rate_changed or _differs(facts.sample_rate, expected_rate),
        "wrong_channels": facts.channels_changed or _differs(facts.channels, expected_channels),
    }
    return tuple(name for name, found in verdicts.items() if found)


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _differs(value: int | None, expected: int | None) -> bool:
    return value is not None and expected is not None and value != expected


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
