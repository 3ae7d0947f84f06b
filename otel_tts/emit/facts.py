# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a finished synthesis says about itself: audio facts, ratios, the outcome. The one place with their formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_tts import names
from otel_tts.audio.quality import AudioFacts, judge

if TYPE_CHECKING:
    from otel_tts.synthesis import Synthesis

_FACTS: Final = (
    (names.AUDIO_DURATION, "duration"),
    (names.AUDIO_SAMPLE_RATE, "sample_rate"),
    (names.AUDIO_CHANNELS, "channels"),
    (names.AUDIO_PEAK, "peak"),
    (names.AUDIO_RMS, "rms"),
    (names.AUDIO_SILENCE_RATIO, "silence_ratio"),
    (names.AUDIO_LEADING_SILENCE, "leading_silence"),
    (names.AUDIO_TRAILING_SILENCE, "trailing_silence"),
    (names.AUDIO_CLIPPING_RATIO, "clipping_ratio"),
    (names.AUDIO_CLICKS, "clicks"),
    (names.AUDIO_DC_OFFSET, "dc_offset"),
)


def settle(synthesis: Synthesis) -> None:
    """Fill in the attributes that only the end knows. Unknown stays absent."""
    attrs = synthesis.attrs
    facts = synthesis.recording.facts() if synthesis.recording is not None else None
    if facts is not None:
        _note_audio(synthesis, facts)
    _note_stream(synthesis)
    _note_times(synthesis, facts)
    if synthesis.segments:
        attrs.setdefault(names.SEGMENT_COUNT, synthesis.segments)
    attrs[names.OUTCOME] = _outcome(attrs)


def busy_seconds(synthesis: Synthesis) -> float:
    """Seconds inside the engine: without waiting for it, and without the caller's time between chunks."""
    return max(0, synthesis.busy - synthesis.sums.get(names.Stage.QUEUE, 0)) / 1e9


def _note_audio(synthesis: Synthesis, facts: AudioFacts) -> None:
    attrs = synthesis.attrs
    for name, field in _FACTS:
        value = getattr(facts, field)
        if value is not None:
            attrs[name] = value
    if names.AUDIO_SIZE not in attrs and synthesis.recording is not None and synthesis.recording.size is not None:
        attrs[names.AUDIO_SIZE] = synthesis.recording.size
    engine = synthesis.engine
    anomalies = judge(
        facts,
        synthesis.kit.thresholds,
        expected_rate=engine.sample_rate if engine is not None else None,
        expected_channels=engine.channels if engine is not None else None,
        text_length=attrs.get(names.TEXT_LENGTH) if attrs.get(names.OUTCOME) is None else None,
        seconds_per_character=engine.seconds_per_character if engine is not None else None,
    )
    if anomalies:
        attrs[names.AUDIO_ANOMALY] = anomalies


def _note_stream(synthesis: Synthesis) -> None:
    attrs = synthesis.attrs
    if not attrs.get(names.STREAM):
        return
    recording = synthesis.recording
    if recording is None:
        return
    playout = recording.playout()
    attrs[names.STREAM_CHUNKS] = recording.deliveries
    if playout.underrun is not None:
        attrs[names.STREAM_UNDERRUN] = playout.underrun
        attrs[names.STREAM_CONTINUOUS] = bool(playout.continuous)


def _note_times(synthesis: Synthesis, facts: AudioFacts | None) -> None:
    attrs: dict[str, Any] = synthesis.attrs
    if synthesis.first_byte is not None:
        asked = synthesis.request.started if synthesis.request is not None else synthesis.t0
        first = (synthesis.first_byte - asked) / 1e9
        attrs[names.TIME_TO_FIRST_BYTE] = first
        if facts is not None and facts.leading_silence is not None:
            attrs[names.TIME_TO_FIRST_AUDIO] = first + facts.leading_silence
    if facts is not None and facts.duration and synthesis.busy:
        attrs[names.REAL_TIME_FACTOR] = busy_seconds(synthesis) / facts.duration


def _outcome(attrs: dict[str, Any]) -> str:
    given = attrs.get(names.OUTCOME)
    if given is not None:
        return given
    wrong = names.SILENT_FAILURES.intersection(attrs.get(names.AUDIO_ANOMALY, ()))
    return names.Outcome.ANOMALOUS if wrong else names.Outcome.OK
