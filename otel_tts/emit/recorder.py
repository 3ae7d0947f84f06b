# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Takes finished requests from the request path and turns them into telemetry on a thread of its own.

The request path appends to a bounded deque and is done. The thread looks every 100 ms without being signalled
(waking it per request costs more than all the rest), and yields the interpreter after each record, which halves the
longest stall that another thread sees. Two things do not wait for a request's end: its REQ_START line, and the
report of a request that has been open too long.
"""

from __future__ import annotations

import collections
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import TraceFlags

from otel_tts import names, timing
from otel_tts.audio.deferred import pending
from otel_tts.audio.thresholds import Thresholds
from otel_tts.emit import span_private
from otel_tts.emit.facts import settle
from otel_tts.emit.logs import Lines
from otel_tts.emit.metrics import Instruments
from otel_tts.emit.spans import SpanMaker
from otel_tts.emit.voices import VoiceNames
from otel_tts.guard import note_fault
from otel_tts.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_tts.record import LateSpan
    from otel_tts.stage import Stage
    from otel_tts.synthesis import Synthesis

INTERVAL: Final = 0.1
"""Seconds between two looks at the queue."""
_STUCK_EVERY: Final = 10
"""Looks between two searches for stuck requests: once a second."""
_LATE_AFTER: Final = 1.0
"""Seconds that a stage after its synthesis waits for more of its kind: a file may be written chunk by chunk."""
_BREATH_EVERY: Final = 50
"""Records after which a long drain pauses, so that the exporters' own queues are not flooded."""


class Recorder:
    """Everything that lives once per process between the requests and the OpenTelemetry providers."""

    def __init__(
        self,
        tracer_provider: Any,
        meter_provider: Any,
        logger_provider: Any,
        settings: Settings | None = None,
        *,
        interval: float | None = INTERVAL,
    ) -> None:
        """Join the three providers. `interval` None: no thread, only `drain` works (tests)."""
        settings = settings or Settings()
        self.settings = settings
        self.max_stage_spans = settings.max_stage_spans
        self.clock, self.clock_note = timing.choose(settings.clock)
        self.thresholds = Thresholds(
            silence_dbfs=settings.silence_dbfs,
            clip_ratio=settings.clip_ratio,
            clicks_per_second=settings.clicks_per_second,
            dc_offset=settings.dc_offset,
            underrun=settings.underrun,
        )
        self.spans = SpanMaker(tracer_provider)
        self.new_span_id, self.new_trace_id = self.spans.new_span_id, self.spans.new_trace_id
        self.inherits, self.inherited = self.spans.inherits, self.spans.inherited
        self.voices = VoiceNames(settings)
        self.dropped: collections.Counter[str] = collections.Counter()
        self.open: dict[int, Synthesis] = {}
        self.warm: set[str] = set()
        self._started: collections.deque[Synthesis] = collections.deque()
        self._finished: collections.deque[LateSpan] = collections.deque()
        self._late: collections.deque[Stage] = collections.deque()
        self.instruments = Instruments(meter_provider, settings, self)
        self.lines = Lines(logger_provider, settings)
        self._lock = threading.Lock()
        self._closed = False
        self._interval = interval
        self._wake = threading.Event()
        self._held = False
        self._start_thread()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._after_fork_in_parent, after_in_child=self._after_fork
            )
        span_private.put_first(tracer_provider, _Drain(self))

    # --- on the request's path ---------------------------------------------------------------------------------------

    def sample(
        self, context: Context, parent: SpanContext | None, trace_id: int, name: str, attrs: dict[str, Any]
    ) -> tuple[TraceFlags, Any, Any]:
        """Ask the user's sampler once; return the flags, the trace state and the whole answer."""
        return self.spans.sample(context, parent, trace_id, name, attrs)

    def begin(self, synthesis: Synthesis) -> None:
        """Take note of an open synthesis; its REQ_START leaves at the next look."""
        if self._closed:
            return
        engine = synthesis.attrs.get(names.ENGINE)
        if engine is not None and engine not in self.warm:
            self.warm.add(engine)
            synthesis.attrs[names.COLD_START] = True
        self.open[id(synthesis)] = synthesis
        self._started.append(synthesis)

    def finish(self, record: LateSpan) -> None:
        """Take a finished synthesis or a stage that outlived its synthesis."""
        self.open.pop(id(record), None)
        if self._closed:
            self._handle_now(record)
        elif len(self._finished) >= self.settings.queue_size:
            self.dropped["queue_full"] += 1
        else:
            self._finished.append(record)

    def finish_late(self, synthesis: Synthesis, stage: Stage) -> None:
        """Take a stage that ended after its synthesis: whoever removes it from the list emits it."""
        try:
            synthesis.stages.remove(stage)
        except ValueError:
            return
        self.finish(stage)

    def hold_late(self, stage: Stage) -> None:
        """Take a stage opened after its synthesis ended; it waits a second for more of its kind to fold into it."""
        if len(self._late) >= self.settings.queue_size:
            self.dropped["queue_full"] += 1
        else:
            self._late.append(stage)

    # --- off the request's path ---------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._interval is not None and not self._closed:
            threading.Thread(target=self._run, args=(self._interval,), name="otel-tts", daemon=True).start()

    def _run(self, interval: float) -> None:
        looks = 0
        wake = self._wake
        while not self._closed and wake is self._wake:
            wake.wait(interval)
            self.drain(late_after=_LATE_AFTER)
            looks += 1
            if looks % _STUCK_EVERY == 0:
                self.report_stuck()

    def drain(self, timeout: float = 30.0, breathe: bool = True, late_after: float = 0.0) -> bool:
        """Turn everything that waits into spans, points and lines. False when `timeout` seconds did not suffice."""
        deadline = time.monotonic() + timeout
        self.spans.look_at_processors()
        self._release_late(late_after)
        done = 0
        while self._started or self._finished:
            if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return False
            try:  # the lock is held for one record at most: a fork waits for it
                if not self._take_one():
                    return True
            finally:
                self._lock.release()
            done += 1
            if time.monotonic() > deadline:
                return False
            if breathe:
                time.sleep(0.002 if done % _BREATH_EVERY == 0 else 0)
        return True

    def _release_late(self, after: float) -> None:
        limit = time.perf_counter_ns() - int(after * 1e9)
        while self._late and (self._late[0].t1 or 0) <= limit:
            try:
                self._finished.append(self._late.popleft())
            except IndexError:
                return

    def _take_one(self) -> bool:
        try:
            opened = self._started.popleft()
        except IndexError:
            pass
        else:
            self._safely("start", self._announce, opened)
            return True
        try:
            record = self._finished.popleft()
        except IndexError:
            return False
        self._safely("record", self._materialise, record)
        return True

    def _handle_now(self, record: LateSpan) -> None:
        with self._lock:
            self.spans.look_at_processors()
            self._safely("record", self._materialise, record)

    def _safely(self, place: str, handle: Any, record: LateSpan) -> None:
        token = context_api.attach(span_private.suppressed_context())
        try:
            handle(record)
        except Exception as error:
            self.dropped["fault"] += 1
            note_fault(place, error)
        finally:
            context_api.detach(token)

    def _announce(self, synthesis: Synthesis) -> None:
        if not synthesis.announced:
            synthesis.announced = True
            self._name_voice(synthesis)
            self.lines.started(synthesis)

    def _name_voice(self, synthesis: Synthesis) -> None:
        """Replace a voice that may not leave by its keyed hash; asked twice, since it may be set late."""
        voice = synthesis.attrs.get(names.VOICE)
        if voice is None or voice == synthesis.voice[0]:
            return
        presets = synthesis.engine.presets if synthesis.engine is not None else frozenset[str]()
        synthesis.voice = exported, _ = self.voices.name(str(voice), presets)
        synthesis.attrs[names.VOICE] = exported
        if voice in presets:
            synthesis.attrs.setdefault(names.VOICE_SOURCE, "preset")

    def _materialise(self, record: LateSpan) -> None:
        synthesis: Any = record
        if hasattr(record, "root"):  # a stage that outlived its synthesis
            self._emit_late_stage(synthesis)
            return
        self._announce(synthesis)
        self._name_voice(synthesis)
        settle(synthesis)
        self._emit_finished_stages(synthesis)
        self.spans.emit(synthesis, synthesis.wall)
        self.instruments.record(synthesis)
        self.lines.ended(synthesis)
        _unlink(synthesis)

    def _emit_late_stage(self, stage: Stage) -> None:
        root = stage.root
        stage.attrs.setdefault(names.TIMING_MODE, timing.HOST)
        self.spans.emit(stage, root.wall)
        self.instruments.record_stage(root, stage)
        _unlink(stage)

    def _emit_finished_stages(self, synthesis: Synthesis) -> None:
        while synthesis.stages:
            try:
                stage = synthesis.stages.pop(0)
            except IndexError:
                return
            if self.clock is not None:
                self.clock.resolve(stage)
            stage.attrs.setdefault(names.TIMING_MODE, timing.HOST)
            self.spans.emit(stage, synthesis.wall)
            self.instruments.record_peak(synthesis, stage)
            _unlink(stage)

    def report_stuck(self) -> None:
        """Let a request that is open too long be seen: its finished stages leave, one line names the open stage."""
        limit = time.perf_counter_ns() - int(self.settings.stuck_after * 1e9)
        for synthesis in list(self.open.values()):
            if synthesis.t0 > limit or synthesis.stuck:
                continue
            synthesis.stuck = True
            with self._lock:
                self._safely("stuck", self._report_one, synthesis)

    def _report_one(self, synthesis: LateSpan) -> None:
        stuck: Any = synthesis
        self._announce(stuck)
        self._emit_finished_stages(stuck)
        self.lines.stuck(stuck)

    def close(self, timeout: float = 3.0) -> bool:
        """Stop the thread after a last drain; what finishes later is handled at once on the caller's thread."""
        drained = self.drain(timeout, breathe=False)
        self._closed = True
        self._wake.set()
        return drained and self.drain(timeout, breathe=False)

    @property
    def waiting(self) -> int:
        """Records that are not yet telemetry."""
        return len(self._finished)

    # --- fork --------------------------------------------------------------------------------

    def _before_fork(self) -> None:
        # Our thread holds SDK locks only while it holds this one: a child forked meanwhile would wait for ever.
        self._held = self._lock.acquire(timeout=1)

    def _after_fork_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def _after_fork(self) -> None:
        self._lock, self._wake, self._held = threading.Lock(), threading.Event(), False
        self._started.clear()  # the parent will send these
        self._finished.clear()
        self._late.clear()
        self.open.clear()
        self.dropped.clear()
        pending.renew()
        self._start_thread()


class _Drain(span_private.SpanProcessor):
    """First in the provider's line: a flush or shutdown of the provider empties our queue before the exporters'."""

    late_safe = True

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._recorder.drain(timeout_millis / 1e3, breathe=False)

    def shutdown(self) -> None:
        self._recorder.close()


def _unlink(record: Any) -> None:
    """Break the cycles between a record and its contexts, so that nothing is left to the cyclic collector."""
    record.ctx = record.parent = None


_installed: Recorder | None = None


def current() -> Recorder | None:
    """Return the process's recorder, or None while otel-tts is not configured."""
    return _installed


def install(recorder: Recorder) -> None:
    """Make `recorder` the process's own."""
    global _installed
    _installed = recorder


def uninstall() -> None:
    """Forget the process's recorder (tests)."""
    global _installed
    _installed = None
