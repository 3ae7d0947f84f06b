# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a finished synthesis says about itself: audio facts, ratios, the outcome. The one place with their formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from otel_tts import names
from otel_tts.audio.files.comparison import judge_file
from otel_tts.audio.files.file import FileFacts
from otel_tts.audio.files.reference import read_reference
from otel_tts.audio.samples.meter import AudioFacts, judge
from otel_tts.emit.later.files import Delivered, FileReader
from otel_tts.emit.voices import VoiceNames
from otel_tts.recording.abandoned import seconds_of
from otel_tts.recording.generation import describe
from otel_tts.recording.synthesis import Synthesis

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


def settle(synthesis: Synthesis, files: FileReader) -> None:
    """Fill in the attributes that only the end knows. Unknown stays absent."""
    attrs = synthesis.attrs
    heard = facts = synthesis.recording.facts() if synthesis.recording is not None else None
    file, parts = files.settle(synthesis)
    if file is not None and not file.part and (heard is None or heard.peak is None):
        facts = _facts_of(file.facts, heard)
    if facts is not None:
        _note_audio(synthesis, facts)
    if file is not None:
        _note_file(synthesis, file, judge_file(file.facts, heard, parts))
    _note_generation(synthesis)
    _note_stream(synthesis)
    _note_times(synthesis, facts)
    _note_segments(synthesis)
    attrs[names.OUTCOME] = _outcome(synthesis)
    if (abandoned := seconds_of(synthesis)) is not None:
        attrs[names.ABANDONED] = abandoned


def busy_seconds(synthesis: Synthesis) -> float:
    """Seconds inside the engine: without waiting for it, and without the caller's time between chunks."""
    return max(0, synthesis.busy - synthesis.stages.sums.get(names.Stage.QUEUE, 0)) / 1e9


def _note_audio(synthesis: Synthesis, facts: AudioFacts) -> None:
    attrs = synthesis.attrs
    for name, field in _FACTS:
        value = getattr(facts, field)
        if value is not None:
            attrs[name] = value
    engine = synthesis.engine
    anomalies = judge(
        facts,
        synthesis.recorder.thresholds,
        expected_rate=engine.sample_rate if engine is not None else None,
        expected_channels=engine.channels if engine is not None else None,
        text_length=attrs.get(names.TEXT_LENGTH) if attrs.get(names.OUTCOME) is None else None,
        seconds_per_character=engine.seconds_per_character if engine is not None else None,
    )
    if anomalies:
        attrs[names.AUDIO_ANOMALY] = anomalies


def note_reference(attrs: dict[str, Any], voices: VoiceNames) -> None:
    """Note what the reference recording's header says, while the voice is still the path of its file."""
    if attrs.get(names.VOICE_SOURCE) != "reference" or names.REFERENCE_SIZE in attrs:
        return
    voice: Any = attrs.get(names.VOICE)
    if voices.is_settled(voice):  # asked for before: the path is gone
        return
    facts = voices.disk.ask(read_reference, voice)
    if facts is not None:
        known = {
            names.REFERENCE_SIZE: facts.size,
            names.REFERENCE_DURATION: facts.duration,
            names.REFERENCE_SAMPLE_RATE: facts.sample_rate,
        }
        for name, value in known.items():
            if value is not None:
                attrs.setdefault(name, value)


def _facts_of(file: FileFacts, heard: AudioFacts | None) -> AudioFacts:
    """Facts of audio whose samples were not seen, or lay on a device: what the file says stands in for them."""
    if heard is not None and heard.samples == 0:
        return heard
    base = file.audio or AudioFacts()
    known = heard or AudioFacts()
    whole = base.duration is None or file.duration is None or base.duration > file.duration - 0.1
    return replace(
        base,
        duration=file.duration if known.duration is None else known.duration,
        sample_rate=known.sample_rate or file.sample_rate,
        channels=known.channels or file.channels,
        samples=base.samples if known.samples is None else known.samples,
        trailing_silence=base.trailing_silence if whole else None,
    )


def _note_file(synthesis: Synthesis, delivered: Delivered, anomalies: tuple[str, ...]) -> None:
    """Put what a file says on the span: format and size are the delivered audio's, the rest stands in an event."""
    attrs, file = synthesis.attrs, delivered.facts
    if file.format is not None:
        attrs.setdefault(names.AUDIO_FORMAT, file.format)
    if delivered.part:
        return
    if not delivered.shared:
        attrs[names.AUDIO_SIZE] = file.size
    synthesis.note(names.FILE_EVENT, _described(file, anomalies))
    _add_anomalies(attrs, anomalies)


def _add_anomalies(attrs: dict[str, Any], anomalies: tuple[str, ...]) -> None:
    before: tuple[str, ...] = attrs.get(names.AUDIO_ANOMALY, ())
    if added := tuple(name for name in anomalies if name not in before):
        attrs[names.AUDIO_ANOMALY] = (*before, *added)


def _note_generation(synthesis: Synthesis) -> None:
    """Put on the span why the generation ended. What an exception left in a call that went well was made good for."""
    attrs, went_well = synthesis.attrs, synthesis.attrs.get(names.OUTCOME) is None
    told = [one for one in (synthesis.generations or {}).values() if not (went_well and one.left)]
    if told and names.FINISH_REASON not in attrs:
        attrs |= describe(told)
    reason = attrs.get(names.FINISH_REASON)
    if reason == names.FinishReason.LENGTH:
        _add_anomalies(attrs, (names.Anomaly.LIMIT_REACHED,))
    elif reason == names.FinishReason.ABORTED and went_well:
        _add_anomalies(attrs, (names.Anomaly.TRUNCATED,))


def _described(file: FileFacts, anomalies: tuple[str, ...]) -> dict[str, Any]:
    """A file's facts as attributes: never its name."""
    facts = {
        names.AUDIO_FORMAT: file.format,
        names.AUDIO_SIZE: file.size,
        names.AUDIO_DURATION: file.duration,
        names.AUDIO_SAMPLE_RATE: file.sample_rate,
        names.AUDIO_CHANNELS: file.channels,
        names.AUDIO_ANOMALY: anomalies or None,
        names.FILE_ERRORS: file.errors or None,
        names.FILE_LINKS: file.links if file.links > 1 else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def facts_of_late_file(synthesis: Synthesis, file: Delivered) -> dict[str, Any]:
    """Describe a file that was read after its synthesis had left, compared with what is known of the samples."""
    attrs, facts, engine = synthesis.attrs, file.facts, synthesis.engine
    duration, rate = attrs.get(names.AUDIO_DURATION), attrs.get(names.AUDIO_SAMPLE_RATE)
    heard = None
    if duration is not None:
        samples = round(duration * rate) if rate else None
        heard = AudioFacts(duration, rate, samples=samples, silence_ratio=attrs.get(names.AUDIO_SILENCE_RATIO))
    anomalies = judge_file(facts, heard, synthesis.files.parts(file))
    if heard is None:
        said = judge(
            _facts_of(facts, None),
            synthesis.recorder.thresholds,
            text_length=attrs.get(names.TEXT_LENGTH),
            seconds_per_character=engine.seconds_per_character if engine is not None else None,
        )
        anomalies = (*said, *(name for name in anomalies if name not in said))
    return _described(facts, anomalies)


def _note_stream(synthesis: Synthesis) -> None:
    attrs = synthesis.attrs
    if not attrs.get(names.STREAM):
        return
    recording = synthesis.recording
    if recording is None:
        return
    playout = recording.playout()
    attrs[names.STREAM_CHUNKS] = recording.deliveries
    if playout.gap is not None:
        attrs[names.STREAM_GAP] = playout.gap
    if playout.underrun is not None:
        attrs[names.STREAM_UNDERRUN] = playout.underrun
        attrs[names.STREAM_CONTINUOUS] = bool(playout.continuous)
    if (share := playout.share_after(synthesis.t0 / 1e9, 0.75)) is not None:
        attrs[names.STREAM_LAST_QUARTER] = share


def _note_segments(synthesis: Synthesis) -> None:
    """How many segments there are, who says so: the text as it was cut, their audio, the stages that made it."""
    attrs, made = synthesis.attrs, synthesis.stages.segments
    asked: Any = attrs.get(names.SEGMENT_COUNT)
    if made:
        attrs.setdefault(names.SEGMENT_COUNT, made)
    facts = synthesis.recording.segments() if synthesis.recording is not None else None
    if asked.__class__ is int:
        attrs[names.SEGMENTS_ASKED] = asked
        if facts is None and made:
            attrs[names.SEGMENTS_SPOKEN] = min(asked, made)
    if facts is not None:
        known = {
            names.SEGMENTS_SPOKEN: facts.spoken,
            names.SEGMENTS_EMPTY: facts.empty,
            names.SEGMENT_LOUDNESS: facts.loudness or None,
            names.SEGMENT_PACE: facts.pace or None,
            names.LOUDNESS_DEVIATION: facts.loudness_deviation,
            names.PACE_DEVIATION: facts.pace_deviation,
        }
        attrs.update({name: value for name, value in known.items() if value is not None})


def _note_times(synthesis: Synthesis, facts: AudioFacts | None) -> None:
    attrs: dict[str, Any] = synthesis.attrs
    if synthesis.first_byte is not None:
        web = synthesis.request
        asked = web.started if web is not None and web.awaits(synthesis.first_byte) else synthesis.t0
        first = (synthesis.first_byte - asked) / 1e9
        attrs[names.TIME_TO_FIRST_BYTE] = first
        if facts is not None and facts.leading_silence is not None:
            attrs[names.TIME_TO_FIRST_AUDIO] = first + _time_of_silence(synthesis, facts.leading_silence)
    if facts is not None and facts.duration and synthesis.busy:
        attrs[names.REAL_TIME_FACTOR] = busy_seconds(synthesis) / facts.duration


def _time_of_silence(synthesis: Synthesis, silence: float) -> float:
    """Seconds that the silence before the first sound takes: it is played, and a stream may have to be waited for."""
    recording = synthesis.recording if synthesis.attrs.get(names.STREAM) else None
    return silence + (recording.playout().waited_before(silence) if recording is not None else 0.0)


def _outcome(synthesis: Synthesis) -> str:
    attrs: dict[str, Any] = synthesis.attrs
    given = attrs.get(names.OUTCOME)
    if given is not None:
        return given
    if _is_unheard(synthesis):
        return names.Outcome.CANCELLED
    wrong = names.SILENT_FAILURES.intersection(attrs.get(names.AUDIO_ANOMALY, ()))
    return names.Outcome.ANOMALOUS if wrong else names.Outcome.OK


def _is_unheard(synthesis: Synthesis) -> bool:
    """Whether the client had left before the answer was sent. Of a stream's syntheses only the newest may be in it."""
    web = synthesis.request
    if web is None or not web.left or not web.awaits(synthesis.t0):
        return False
    return web.synthesis is synthesis or not synthesis.attrs.get(names.STREAM)
