# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Takes finished requests from the request path and turns them into telemetry on a thread of its own.

The request path appends to a bounded deque and is done. The thread looks every 100 ms without being signalled
(waking it per request costs more than all the rest; see `otel_tts.emit.pace`), handles what has finished twice a
second, and sleeps a moment after a few records (see `otel_tts.breath`). Two things do not wait for a request's end:
its REQ_START line, and the report of a request that has been open too long.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import NonRecordingSpan

from otel_tts import forking, names
from otel_tts.audio.files.excerpt import Excerpt
from otel_tts.breath import Breath
from otel_tts.device.clocks import choice
from otel_tts.device.clocks.sums import add_up
from otel_tts.device.memory.readings import MemoryEvent
from otel_tts.emit import keep
from otel_tts.emit.facts import facts_of_late_file, note_reference, settle
from otel_tts.emit.later.files import Delivered, FileReader
from otel_tts.emit.later.times import DeviceTimes
from otel_tts.emit.later.waiting import Waiting
from otel_tts.emit.logs import Lines
from otel_tts.emit.metrics import Instruments
from otel_tts.emit.outcomes import Outcomes
from otel_tts.emit.overflow import Overflow
from otel_tts.emit.pace import Pace
from otel_tts.emit.server_metrics import ServerInstruments
from otel_tts.emit.spans import SpanMaker
from otel_tts.emit.voices import VoiceNames
from otel_tts.guard import contain, note_fault
from otel_tts.otel_private import tracing
from otel_tts.otel_private.context import SPAN_KEY, suppressed_context
from otel_tts.record import LateSpan, PlainSpan, StageRecord
from otel_tts.recording import recorder
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.server import ServerSpan
from otel_tts.recording.synthesis import Synthesis

INTERVAL_S: Final = 0.1
"""Seconds between two looks at the queue."""
_FINISHED_EVERY: Final = 5
"""Looks between two that handle finished requests while there are only a few: a request that runs meanwhile shares the
interpreter with that work, so it comes seldom and many at once."""
_FEW: Final = 64
_STUCK_EVERY: Final = 10
"""Looks between two searches for stuck requests: once a second."""
_LATE_AFTER_S: Final = 1.0
"""Seconds that a stage after its synthesis waits for more of its kind: a file may be written chunk by chunk."""
_MAX_VOICES: Final = 4096
_AT_EXIT_S: Final = 1.0
"""Seconds that a device at work, and files that are being read, are given when the process ends or somebody flushes."""
_AT_THE_END_S: Final = 1.0
"""Seconds that a request waits at most once there is no thread any more."""
_BREATH_EVERY: Final = 50
_LONG_BREATH_S: Final = 0.002
"""Records after which a long drain pauses, and how long, so that the exporters' own queues are not flooded."""


class Emitter:
    """Takes what a recorder left from the request path and makes telemetry of it with the three providers."""

    def __init__(
        self,
        recorder: Recorder,
        tracer_provider: Any,
        meter_provider: Any,
        logger_provider: Any,
        *,
        interval: float | None = INTERVAL_S,
        may_hold: bool = True,
    ) -> None:
        """Join the three providers. `interval` None: no thread, only `drain` works (tests).

        `may_hold`: spans may wait before the exporters of `tracer_provider`, which is not the application's own.
        """
        settings = recorder.settings
        self.recorder, self.settings = recorder, settings
        self.keep = keep.install(settings, tracer_provider, meter_provider, recorder.not_kept) if may_hold else None
        self.spans = SpanMaker(recorder.identities, tracer_provider)
        self.voices = VoiceNames(settings)
        self._voices: set[tuple[Any, Any]] = set()
        """Engines and the reference voices that they have spoken with."""
        self.outcomes: Outcomes | None = None
        """How the latest requests ended, where somebody may ask for it."""
        self.lines = Lines(logger_provider, settings)
        self.files = FileReader(recorder, self._emit_late_file)
        self._overflow = Overflow(recorder)
        self._times = DeviceTimes(recorder)
        self._waiting = Waiting(recorder, (self._times, self.files), recorder.finished.append)
        self.instruments = Instruments(meter_provider, recorder, self.voices)
        self.served = ServerInstruments(self.instruments, recorder)
        self._lock = threading.Lock()
        self._interval = interval
        self._pace = Pace(recorder, interval or 0.0, self._is_idle)
        self._held = False
        recorder.taker = self
        self._start_thread()
        forking.register("fork", hold=self._hold, release=self._release, renew=self._renew)
        tracing.put_first(tracer_provider, FlushFirst(self))

    # --- asked by the recorder ----------------------------------------------------------------------------------------

    def ends(self, record: LateSpan) -> None:
        """On the request's path: note what the device has passed already, and let the record's files be read."""
        self._waiting.start(record)

    def handle_now(self, record: LateSpan) -> None:
        """Handle a record on its own thread: there is no other any more."""
        self._times.start(record)
        self._times.is_ready(record, give_up=True)
        # In vain where an exporter hangs, or a collection in here has ended `record`.
        if not self._lock.acquire(timeout=_AT_THE_END_S):
            self.recorder.dropped["closed"] += 1
            record.discard()
            return
        try:
            self._look_at_processors()
            self._safely("record", self._materialise, record)
        finally:
            self._lock.release()

    def note_file(self, synthesis: Synthesis, path: str | bytes | os.PathLike[str], returned: bool = False) -> bool:
        """Take a finished file of `synthesis`, in any thread; False where `path` is no regular file."""
        return self.files.note(synthesis, path, returned)

    def note_excerpt(
        self, synthesis: Synthesis, excerpt: Excerpt, returned: bool = False, shared: bool = False
    ) -> None:
        """Take audio of `synthesis` that was never a file."""
        self.files.note_excerpt(synthesis, excerpt, returned, shared)

    def wake(self) -> None:
        """On the path of the first request after a long silence: look as often as ever from now on."""
        self._pace.call()

    # --- off the request's path ---------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._interval is not None and not self.recorder.closed:
            threading.Thread(target=self._run, args=(self._pace,), name="otel-tts", daemon=True).start()

    def _run(self, pace: Pace) -> None:
        looks = 0
        while not self.recorder.closed and pace is self._pace:
            pace.rest()
            if self.recorder.clock is not None:
                contain("clock", self.recorder.clock.adopt_thread)
            looks += 1
            due = looks % _FINISHED_EVERY == 0 or len(self.recorder.finished) > _FEW
            contain("drain", self.drain, late_after=_LATE_AFTER_S, finished=due)
            contain("gpu", self.look_at_gpu)
            contain("keep", self.look_at_traces)
            contain("clients", self._look_for_clients)
            contain("overflow", self._overflow.say)
            if looks % _STUCK_EVERY == 0:
                contain("stuck", self.report_stuck)

    def drain(
        self, timeout: float = 30.0, breathe: bool = True, late_after: float = 0.0, finished: bool = True
    ) -> bool:
        """Turn everything that waits into spans, points and lines. False when `timeout` seconds did not suffice.

        `finished` False: only what began since the last look is announced.
        """
        deadline = time.monotonic() + timeout
        self._look_at_processors()
        self._release_late(late_after)
        self._waiting.look()
        done, breath = 0, Breath()
        while True:  # taken once even where nothing waits: another thread may be at work on the last record
            if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return False
            try:  # the lock is held for one record at most: a fork waits for it
                if not self._take_one(finished):
                    return True
            finally:
                self._lock.release()
            done += 1
            if time.monotonic() > deadline:
                return False
            if not breathe:
                continue
            if done % _BREATH_EVERY == 0:
                time.sleep(_LONG_BREATH_S)
            else:
                breath.take()

    def _look_at_processors(self) -> None:
        self.spans.look_at_processors()
        self.lines.look_at_processors()

    def _release_late(self, after: float) -> None:
        limit = time.perf_counter_ns() - int(after * 1e9)
        try:
            while (self.recorder.late[0].t1 or 0) <= limit:
                self.recorder.finished.append(self.recorder.late.popleft())
        except IndexError:  # empty, or somebody else drains too
            pass

    def _take_one(self, finished: bool) -> bool:
        try:
            opened = self.recorder.started.popleft()
        except IndexError:
            pass
        else:
            self._safely("start", self._announce, opened)
            return True
        if not finished:
            return False
        try:
            record = self.recorder.finished.popleft()
        except IndexError:
            return False
        if not self._waiting.admit(record):
            self._safely("record", self._materialise, record)
        return True

    def _safely(self, place: str, handle: Any, record: LateSpan) -> None:
        token = context_api.attach(suppressed_context())
        try:
            handle(record)
        except Exception as error:
            self.recorder.dropped["fault"] += 1
            note_fault(place, error)
        finally:
            context_api.detach(token)

    def _announce(self, synthesis: Synthesis) -> None:
        self._name_request(synthesis)
        if not synthesis.announced:
            synthesis.announced = True
            self._name_voice(synthesis)
            self.lines.started(synthesis)

    def _name_request(self, synthesis: Synthesis) -> None:
        """Take over the id that the application answered with; the one before stays beside it."""
        web, attrs = synthesis.request, synthesis.attrs
        if web is None or web.offered is None:
            return
        known = attrs[names.REQUEST_ID]
        if (named := web.name_now(known)) != known:
            attrs[names.REQUEST_ID], attrs[names.REQUEST_OFFERED] = named, known

    def _name_voice(self, synthesis: Synthesis) -> None:
        """Replace a voice that may not leave by its keyed hash; asked twice, since it may be set late."""
        attrs = synthesis.attrs
        if attrs.get(names.VOICE) is None:
            return
        note_reference(attrs, self.voices)
        self.voices.settle(synthesis)
        self._note_first_voice(synthesis)
        if synthesis.engine is not None and attrs.get(names.VOICE) in synthesis.engine.presets:
            attrs.setdefault(names.VOICE_SOURCE, "preset")

    def _note_first_voice(self, synthesis: Synthesis) -> None:
        """Mark the first request with a reference voice: its engine has to encode it, unless it says it has."""
        attrs = synthesis.attrs
        if attrs.get(names.VOICE_SOURCE) != "reference" or names.VOICE not in attrs:
            return
        key = (attrs.get(names.ENGINE), attrs[names.VOICE])
        if key in self._voices or len(self._voices) >= _MAX_VOICES:  # beyond the bound it is not known
            return
        self._voices.add(key)
        if not attrs.get(names.REFERENCE_CACHE_HIT):
            synthesis.mark_cold(names.ColdStart.FIRST_VOICE)

    def _materialise(self, record: LateSpan) -> None:
        synthesis: Any = record
        if isinstance(record, PlainSpan):
            self._emit_plain(record)
            return
        if hasattr(record, "root"):  # a stage that outlived its synthesis
            self._emit_late_stage(synthesis)
            return
        self._announce(synthesis)
        self._name_voice(synthesis)
        settle(synthesis, self.files)
        if self.recorder.clock is not None and not synthesis.stuck:  # of a stuck one, stages have left already
            sums, parts = add_up(synthesis.stages.finished)
            synthesis.stages.sums.update(sums)
            synthesis.stages.parts.update(parts)
        self._emit_finished_stages(synthesis)
        others = [other.t0 for other in list(self.recorder.open.values())]
        self._note_memory(
            synthesis, synthesis.epoch_offset_ns, contain("gpu", self.recorder.devices.settle, synthesis, others)
        )
        self.spans.emit(synthesis, synthesis.epoch_offset_ns)
        self.instruments.record(synthesis)
        self.lines.ended(synthesis)
        if self.outcomes is not None:
            self.outcomes.note(synthesis)
        synthesis.unlink()

    def _emit_plain(self, span: PlainSpan) -> None:
        if isinstance(span, ServerSpan):
            contain("server", span.settle)
        elif span.name == names.SPAN_ABANDONED:
            contain("gpu", self.recorder.devices.settle_abandoned, span)
        self.spans.emit(span, span.epoch_offset_ns)
        if isinstance(span, ServerSpan):
            self.served.record(span)
        elif span.name == names.SPAN_QUEUE:
            self.instruments.record_wait(span)
        elif span.name == names.SPAN_MODEL_LOAD:
            self.instruments.record_load(span)
        elif span.name == names.SPAN_LOOP_LATE:
            self.lines.loop_was_late(span)
        elif span.name == names.SPAN_ABANDONED:
            self.instruments.record_abandoned(span)
            self.lines.abandoned(span)
        span.unlink()

    def _emit_late_file(self, synthesis: Synthesis, file: Delivered) -> None:
        """A file was read after its synthesis's span had left: a log record in its trace, and its anomalies."""
        facts = facts_of_late_file(synthesis, file)
        if facts.get(names.AUDIO_ANOMALY):
            self._keep(synthesis)
        context = context_api.set_value(SPAN_KEY, NonRecordingSpan(synthesis.identity), Context())
        token = context_api.attach(suppressed_context())
        try:
            with self._lock:
                self.lines.delivered(synthesis, facts, context)
                self.instruments.record_anomalies(synthesis, facts.get(names.AUDIO_ANOMALY, ()), context)
        finally:
            context_api.detach(token)

    def _emit_late_stage(self, stage: StageRecord) -> None:
        root = stage.root
        stage.attrs.setdefault(names.TIMING_MODE, choice.HOST)
        self._settle_memory(stage, late=True)
        self.spans.emit(stage, root.epoch_offset_ns)
        if not stage.counted:
            self.instruments.record_stage(root, stage)
        if root.stages.folded.get(stage.stage) is stage:
            del root.stages.folded[stage.stage]
        stage.unlink()

    def _emit_finished_stages(self, synthesis: Synthesis) -> None:
        while synthesis.stages.finished:
            try:
                stage = synthesis.stages.finished.pop(0)
            except IndexError:
                return
            if stage.timing is not None and not self._times.is_ready(stage, give_up=self.recorder.closed):
                self._waiting.append(stage)  # it ended just now, or its request still runs
                continue
            stage.attrs.setdefault(names.TIMING_MODE, choice.HOST)
            if stage.memory is not None:
                self._settle_memory(stage)
            self.spans.emit(stage, synthesis.epoch_offset_ns)
            self.instruments.record_peak(synthesis, stage)
            stage.unlink()

    def _settle_memory(self, stage: StageRecord, late: bool = False) -> None:
        mark, stage.memory = stage.memory, None
        if mark is not None:
            self._note_memory(
                stage, stage.root.epoch_offset_ns, contain("gpu", self.recorder.devices.settle_stage, stage, mark, late)
            )

    def _note_memory(self, record: LateSpan, offset_ns: int, events: list[MemoryEvent] | None) -> None:
        """Put memory events where OTEL_TTS_MEMORY_EVENTS wants them."""
        where = self.settings.memory_events
        for attributes, at in events or ():
            if where != "logs":
                record.events.append((names.MEMORY_EVENT, attributes, None, at))
            if where != "span":
                self.lines.memory(record, offset_ns + at, attributes)

    def look_at_gpu(self) -> None:
        """Let the books of the devices be settled up to the oldest request that is not yet in them."""
        with self._lock:
            waiting = [*list(self.recorder.open.values()), *self.recorder.finished.copy(), *self._waiting]
            self.recorder.devices.look([record.t0 for record in waiting])

    def look_at_traces(self, grace_s: float = keep.GRACE_S) -> None:
        """Let traces go that are over and not to be kept; those of what is not yet telemetry are not."""
        if self.keep is None:
            return
        recorder = self.recorder
        running = (*list(recorder.serving.values()), *list(recorder.open.values()))
        ahead = (*running, *recorder.finished.copy(), *recorder.late.copy(), *self._waiting)
        jobs = (job for reference in recorder.jobs.valuerefs() if (job := reference()) is not None)
        spans = (job.context.get(SPAN_KEY) for job in jobs)
        at_work = {record.identity[0] for record in ahead}
        at_work |= {span.get_span_context().trace_id for span in spans if span is not None}
        self.keep.look(at_work, grace_s)

    def _look_for_clients(self) -> None:
        now = time.perf_counter_ns()
        for synthesis in list(self.recorder.open.values()):
            if (web := synthesis.request) is not None:
                web.look_for_client(now)

    def report_stuck(self, after: float | None = None) -> None:
        """Let a request that is open for `after` seconds be seen: its finished stages leave, a line names the open one.

        Without `after`: those that are open too long.
        """
        limit = time.perf_counter_ns() - int((self.settings.stuck_after if after is None else after) * 1e9)
        for synthesis in list(self.recorder.open.values()):
            if synthesis.t0 > limit or synthesis.stuck:
                continue
            if not self._lock.acquire(timeout=_AT_THE_END_S):
                return  # an exporter hangs: the others would wait as long, one after the other
            try:
                synthesis.stuck = True
                self._safely("stuck", self._report_one, synthesis)
            finally:
                self._lock.release()

    def _report_open(self) -> None:
        """What is open when the process ends will be no span: it is counted, and seen as far as it came."""
        self.recorder.dropped["open_at_end"] += len(self.recorder.open)
        self.report_stuck(0.0)

    def _report_one(self, synthesis: LateSpan) -> None:
        stuck: Any = synthesis
        self._announce(stuck)
        self._keep(stuck)
        self._emit_finished_stages(stuck)
        self.lines.stuck(stuck)

    def _keep(self, record: LateSpan) -> None:
        if self.keep is not None:
            self.keep.keep(record.identity[0])

    def flush(self, timeout: float = 30.0) -> bool:
        """Turn everything that waits into telemetry, and give devices at work and files that are read a moment to end.

        False when `timeout` seconds did not suffice.
        """
        began = time.monotonic()
        self.drain(timeout, breathe=False)
        self._waiting.wait(min(_AT_EXIT_S, timeout / 2))
        self.files.wait(min(_AT_EXIT_S, timeout / 4))
        drained = self.drain(max(0.0, timeout - (time.monotonic() - began)), breathe=False)
        contain("keep", self.look_at_traces, 0.0)  # the process may be about to end
        return drained

    def close(self, timeout: float = 3.0) -> bool:
        """Stop the thread after a last drain; what finishes later is handled at once on the caller's thread."""
        deadline, first = time.monotonic() + timeout, not self.recorder.closed
        drained = self.drain(timeout, breathe=False)
        self._waiting.wait(min(_AT_EXIT_S, timeout / 2))
        self._waiting.look(give_up=True)
        contain("files", self.files.wait, max(0.0, min(_AT_EXIT_S, deadline - time.monotonic())))
        self.recorder.closed = True
        self._pace.call()
        self.recorder.memory = None
        contain("gpu", self.recorder.devices.stop)
        contain("loops", self.recorder.loops.stop)
        drained = self.drain(max(0.0, deadline - time.monotonic()), breathe=False) and drained
        if first:
            contain("open", self._report_open)
        if self.keep is not None:
            self.keep.close()
        contain("overflow", self._overflow.say, last=True)
        return drained

    def _is_idle(self) -> bool:
        """Whether no request is open and nothing waits."""
        recorder = self.recorder
        return not (recorder.open or recorder.started or recorder.finished or recorder.late or len(self._waiting))

    @property
    def waiting(self) -> int:
        """Records that are not yet telemetry."""
        return len(self.recorder.finished) + len(self._waiting)

    # --- fork --------------------------------------------------------------------------------

    def _hold(self) -> None:
        # Our thread holds SDK locks only while it holds this one: a child forked meanwhile would wait for ever.
        if self._lock.acquire(timeout=1):  # else: another thread forks, or an exporter is stuck
            self._held = True
        self.recorder.devices.hold()

    def _release(self) -> None:
        self.recorder.devices.release()
        if self._held:
            self._held = False
            self._lock.release()

    def _renew(self) -> None:
        self._lock, self._held = threading.Lock(), False
        self._pace = Pace(self.recorder, self._interval or 0.0, self._is_idle)
        self.recorder.renew(list(self._waiting))
        self._waiting.clear()  # the parent will send these
        contain("files", self.files.renew)
        contain("voices", self.voices.renew)
        self.outcomes = None if self.outcomes is None else Outcomes()
        contain("metrics", self.instruments.renew)
        self._overflow.renew()
        self._start_thread()


class FlushFirst(SpanProcessor):
    """First in the provider's line: a flush or shutdown of the provider empties our queue before the exporters'."""

    late_safe = True

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._emitter.flush(timeout_millis / 1e3)

    def shutdown(self) -> None:
        self._emitter.close()


_installed: Emitter | None = None


def current() -> Emitter | None:
    """Return the process's emitter, or None while otel-tts is not configured."""
    return _installed


def install(emitter: Emitter) -> None:
    """Make `emitter` and its recorder the process's own."""
    global _installed
    _installed = emitter
    recorder.install(emitter.recorder)


def uninstall() -> None:
    """Forget the process's emitter and recorder (tests)."""
    global _installed
    _installed = None
    recorder.uninstall()
