# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One synthesis: text in, audio out. A span around its stages, and the facts that are known while it runs."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from otel_tts import names
from otel_tts.audio.samples.arrays import ENCODINGS
from otel_tts.audio.samples.sound import Sound
from otel_tts.audio.samples.unread import is_bytes, say_unread
from otel_tts.engines.table import Engine
from otel_tts.guard import contain, note_fault
from otel_tts.otel_private.context import current_context, enter_context, leave_context
from otel_tts.record import Event, StageRecord, describe, now, set_item, type_name
from otel_tts.recording import request
from otel_tts.recording.block import Block
from otel_tts.recording.generation import Generation
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.stage import StageOwner, StageSpan
from otel_tts.recording.stages import Stages

SYNTHESIS_KEY: Final = "otel_tts-synthesis"
"""Key of the synthesis in OpenTelemetry's context, which the application's own spans between do not hide."""

ENTRIES_KEY: Final = "otel_tts-entries"
"""Key of the number of engines' entries, one inside the other, that the current code of the synthesis is in."""

_OWN: Final = "own"
"""The source of samples that the application's own code hands over."""

_REFUSALS: Final = (ValueError, TypeError, LookupError)
"""What engines raise for a request that they do not take; broken code raises the same."""


class Synthesis(StageOwner, Block):
    """The request's record. Use ``otel_tts.synthesis(...)`` to make one; engines' tables make theirs themselves."""

    __slots__ = (
        "announced", "busy", "engine", "epoch_offset_ns", "failed_stage", "files", "first_byte", "generations",
        "marked", "mute", "prev",
        "recorder", "recording", "rejected", "request", "silent", "source", "stages", "stuck", "swallowed", "text_seen",
        "tried",
    )  # fmt: skip

    recorder: Recorder
    engine: Engine | None
    stages: Stages
    request: request.Request | None
    mute: bool
    """The engine's entry hands out no audio itself: what one inside makes is the audio."""
    silent: bool
    """There is no SDK, or it has disabled us: the surrounding span stays the current one for everybody else."""
    epoch_offset_ns: int
    """ns to add to the host clock for the time of day; fixed at the start, so a clock set meanwhile tears no trace."""
    busy: int
    """ns inside the engine: without the time suspended at a ``yield``."""
    first_byte: int | None
    recording: Sound | None
    files: Any
    """Files that were delivered (`otel_tts.emit.later.files.Files`), or None."""
    generations: dict[Any, Generation] | None
    """How each ended that the engine told of, by the call that made it (see `otel_tts.recording.generation`)."""
    source: object | None
    """Who feeds the samples: the first entry that has some, so that nested entries do not count twice."""
    text_seen: int
    """Characters that engines were given inside an own block, one call after the other."""
    marked: StageSpan | None
    """The stage that the engine's last mark said runs (see `otel_tts.engines.table.Mark`)."""
    tried: set[tuple[Any, str]] | None
    """Stages that were tried once inside their parent: one more is a retry (see `Seam.attempts`)."""
    swallowed: Event | None
    """The exception that left an inner entry, described: whether the outer one lets it out is not known yet."""

    def __init__(self, recorder: Recorder, attrs: dict[str, Any], engine: Engine | None = None) -> None:
        self.recorder, self.attrs, self.engine = recorder, attrs, engine
        self.events, self.links = [], ()
        self.status = self.t1 = self.prev = None
        self.stages = Stages()
        self.busy = self.text_seen = self.epoch_offset_ns = 0
        self.files = self.first_byte = self.recording = self.source = self.marked = self.swallowed = self.tried = None
        self.generations = None
        self.failed_stage: str | None = None
        self.announced = self.mute = self.rejected = self.silent = self.stuck = False

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self, parent: Context | None = None) -> Synthesis:
        """Begin without making it current; `parent` is the context it belongs to (default: the current one)."""
        recorder, attrs = self.recorder, self.attrs
        current = current_context() if parent is None else parent
        self.request = web = request.current.get()
        if web is not None and web.own is not None:
            current = web.own.before_foreign(current)
        if names.REQUEST_ID not in attrs:
            attrs[names.REQUEST_ID] = web.name_utterance() if web is not None else request.new_id()
        model = attrs.get(names.MODEL)
        self.name = f"{names.OPERATION} {model}" if model else names.OPERATION
        attrs[names.OPERATION_NAME] = names.OPERATION
        attrs[names.OUTPUT_TYPE] = "speech"
        if web is not None and web.canary:
            attrs[names.CANARY] = True
        self.silent = not self.begin(recorder, current)
        inside = self.inside
        set_item(inside, SYNTHESIS_KEY, self)
        set_item(inside, ENTRIES_KEY, 0)
        started = now()
        self.epoch_offset_ns = time.time_ns() - started
        self.t0 = started
        if web is not None:
            web.synthesis = self
            web.syntheses += 1
            if web.facts:
                attrs.update(web.facts)
                web.facts = None
            if web.begun is not None:
                web.begun(self)
        recorder.begin(self)
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """End once; later calls do nothing. `error` is what left the engine, if anything did."""
        if self.t1 is not None:
            return
        if self.marked is not None:
            contain("stage", self.marked.close, error)
            self.marked = None
        if self.swallowed is not None and self._hides(error):
            self.fail_unseen()
        if error is not None and self.attrs.get(names.OUTCOME) != names.Outcome.ERROR:
            self._classify(error)
        self.t1 = now()
        self.recorder.finish(self)

    def unlink(self) -> None:
        """Let go of the request and of stages too, which refer back to it."""
        self.stages.folded.clear()
        self.request = self.recording = None
        super().unlink()

    def discard(self) -> None:
        for stage in list(self.stages.finished):
            stage.unlink()
        self.stages.finished.clear()
        self.unlink()

    def _hides(self, error: BaseException | None) -> bool:
        """Whether the engine is one that keeps errors to itself, and has let none out."""
        hides = self.engine is not None and self.engine.hides_errors
        return hides and (error is None or isinstance(error, GeneratorExit))

    def swallow(self, error: BaseException) -> None:
        """Note that `error` left a part of the engine; the whole may yet let it out, make good for it, or hide it."""
        self.swallowed = ("exception", describe(error), None, now())

    def fail_unseen(self) -> None:
        """The engine gave nothing where audio was to come: an error, with the exception that it kept to itself."""
        if self.t1 is not None:
            return
        kept = self.swallowed
        self.attrs[names.OUTCOME] = names.Outcome.ERROR
        self.attrs[names.ERROR_TYPE] = "_OTHER"
        if kept is not None:
            self.events.append(kept)
            self.attrs[names.ERROR_TYPE] = (kept[1] or {})["exception.type"]
        self.set_status(StatusCode.ERROR)

    def refuse_unseen(self) -> None:
        """The engine answered that the request is wrong, and raised nothing."""
        if self.t1 is None:
            self.attrs[names.OUTCOME] = names.Outcome.REJECTED
            kept = self.swallowed
            self.attrs[names.ERROR_TYPE] = "_OTHER" if kept is None else (kept[1] or {})["exception.type"]

    def _classify(self, error: BaseException) -> None:
        if isinstance(error, (GeneratorExit, asyncio.CancelledError, KeyboardInterrupt)):
            self.attrs[names.OUTCOME] = names.Outcome.CANCELLED
        elif self.rejected or self._refuses(error):
            self.attrs[names.OUTCOME] = names.Outcome.REJECTED
            self.attrs[names.ERROR_TYPE] = type_name(error)
        else:
            self.attrs[names.OUTCOME] = names.Outcome.ERROR
            self.fail(error)

    def _refuses(self, error: BaseException) -> bool:
        """Whether `error` says that the request is wrong, not the engine broken.

        A client's error (4xx) before any work does. So does one of the usual kinds where the engine has stages and none
        has begun; where it has none, the same error may come from the middle of its work.
        """
        if self.stages.count or self.stages.open or self.recording is not None:
            return False
        status: Any = getattr(error, "status_code", None)
        if isinstance(status, int):
            return 400 <= status < 500
        return isinstance(error, _REFUSALS) and self.engine is not None and self.engine.has_stages

    def __enter__(self) -> Synthesis:
        try:
            self.start()
            self.prev = enter_context(self.inside)
        except Exception as fault:
            note_fault("synthesis", fault)
            self.silent = True
            self.give_up()
            self.recorder.open.pop(id(self), None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.prev is None:  # it could not be begun
            return
        leave_context(self.inside, self.prev)
        self.prev = None
        self.busy += now() - self.t0
        contain("synthesis", self.finish, error)

    # --- stages --------------------------------------------------------------------------------------------------

    def stage(
        self, stage: str, *, device: str | None = None, streams: Sequence[Any] | None = None, **attributes: Any
    ) -> StageSpan:
        """Return the stage named `stage` (see `otel_tts.Stage`), to be used with ``with`` or ``async with``.

        `device` ``"cpu"``: it does nothing on a device, which its clock cannot find out by itself. `streams`: what it
        runs on where that is not the thread's current stream.
        """
        return StageSpan(self, stage, attributes, where=streams or device)

    def note_failure(self, stage: StageRecord) -> None:
        """Note that `stage` failed while the synthesis runs: the first one that did, and the exception that left it."""
        if self.failed_stage is None:
            self.failed_stage = stage.stage
            self.swallowed = next((event for event in stage.events if event[0] == "exception"), self.swallowed)

    # --- facts ---------------------------------------------------------------------------------------------------

    def audio(
        self, samples: Any, sample_rate: int | None = None, *, encoding: str | None = None, source: object = _OWN
    ) -> int | None:
        """Note samples that were made: an array of int or float, [n], [n, channels] or [channels, n], or bytes.

        Never changes or keeps the array. Floats count full scale as 1.0 unless the engine's table says otherwise; of
        bytes `encoding` says what is in them (``"pcm16"``, ``"float32"``), and they may be cut anywhere.
        Nested entries see the same samples again: only the first `source` counts, and the caller's own calls
        (the default) replace an engine's. Returns the number of frames taken, None when unknown.
        """
        if self.t1 is not None:
            return None
        try:
            recording = self.recording
            if recording is None or self.source is not source:
                recording = self._listen_to(source, sample_rate)
            if recording is None:
                return None
            if encoding in ENCODINGS and is_bytes(samples):
                channels = (self.engine.channels if self.engine is not None else None) or 1
                return recording.add_bytes(samples, encoding, channels, sample_rate)
            frames = recording.add(samples, sample_rate)
            if frames is None and source is _OWN:
                say_unread("the call of audio() or chunk()", samples)
            return frames
        except Exception as error:
            note_fault("audio", error)
            return None

    def _listen_to(self, source: object, sample_rate: int | None) -> Sound | None:
        if self.source is source:
            return self.recording
        if self.source is not None and source is not _OWN:
            return None
        scale = self.engine.scale if self.engine is not None and source is not _OWN else None
        if self.source is not None or self.recording is None:
            self.recording = Sound(sample_rate, scale, self.recorder.thresholds)
        self.source = source  # without one before, the next engine call of an own block goes on with the recording
        return self.recording

    def chunk(self, samples: Any, sample_rate: int | None = None, *, encoding: str | None = None) -> None:
        """Note a chunk of a stream at the moment when it is handed over: as `audio`, and the player's clock."""
        self.set_attribute(names.STREAM, True)
        contain("chunk", self.delivered, now(), self.audio(samples, sample_rate, encoding=encoding))

    def delivered(self, at: int, frames: int | None) -> None:
        """Note that audio left at `at`: the first time is the time to first byte, each feeds the player's model.

        What is made after the end is made for nobody.
        """
        if self.t1 is not None:
            return
        if self.first_byte is None and frames != 0:
            self.first_byte = at
        if self.recording is not None:
            contain("audio", self.recording.delivered, at, frames)

    def set(self, **facts: Any) -> Synthesis:
        """Set facts by their short names: ``voice=``, ``language=``, ``text_length=``, ``format=``, ``size=``, …

        An unknown name is left out and said once in the log: this runs in requests, where a slip must not cost one.
        """
        for short, value in facts.items():
            if short in _SHORT:
                self.set_attribute(_SHORT[short], value)
            else:
                _say_unknown(short if short.isidentifier() else "?")
        return self

    def mark_cold(self, kind: str) -> None:
        """Note that something is done here for the first time (see `names.COLD_STARTS`)."""
        attrs = self.attrs
        attrs[names.COLD_START] = True
        kinds: tuple[str, ...] = attrs.get(names.COLD_START_KIND, ())
        if kind not in kinds:
            attrs[names.COLD_START_KIND] = (*kinds, kind)

    def reject(self) -> None:
        """Say that the request is refused, for a reason that is not the engine's: its outcome will be ``rejected``."""
        if self.t1 is None:
            self.rejected = True
            self.attrs[names.OUTCOME] = names.Outcome.REJECTED


_SHORT: Final = {
    "voice": names.VOICE,
    "voice_source": names.VOICE_SOURCE,
    "language": names.TEXT_LANGUAGE,
    "text_length": names.TEXT_LENGTH,
    "segments": names.SEGMENT_COUNT,
    "emotion": names.EMOTION_MODE,
    "format": names.AUDIO_FORMAT,
    "size": names.AUDIO_SIZE,
    "reference_duration": names.REFERENCE_DURATION,
    "reference_cache_hit": names.REFERENCE_CACHE_HIT,
    "stream": names.STREAM,
    "finish_reason": names.FINISH_REASON,
    "steps": names.GENERATION_STEPS,
    "limit": names.GENERATION_LIMIT,
}


@functools.lru_cache(maxsize=16)
def _say_unknown(short: str) -> None:
    logging.getLogger("otel_tts").warning(
        "otel-tts: Synthesis.set() has no fact %.40s and leaves it out; it has %s", short, ", ".join(_SHORT)
    )


def current() -> Synthesis | None:
    """Return the open synthesis of this context, or None."""
    found: Any = current_context().get(SYNTHESIS_KEY)
    return found if found is not None and found.t1 is None else None


def entries_around() -> int:
    """Return in how many entries of engines' tables, one inside the other, the current code is."""
    found: Any = current_context().get(ENTRIES_KEY, 0)
    return found


def enter_entry(synthesis: Synthesis, own: bool) -> Context | None:
    """Return the context of an entry's code: `own` made the synthesis, another one joins it where it is called.

    So calls that run side by side in one synthesis are not inside each other, and the caller's spans are parents of
    what his calls do. None where the synthesis is over.
    """
    outer = synthesis.inside if own else current_context()
    if not own and outer.get(SYNTHESIS_KEY) is not synthesis:  # a generator that is iterated somewhere else
        outer = synthesis.inside
    if outer is None:  # pyright: ignore[reportUnnecessaryComparison]
        return None
    inside = outer if own else Context(outer)
    around: Any = 0 if own else outer.get(ENTRIES_KEY, 0)
    set_item(inside, ENTRIES_KEY, around + 1)
    return inside
