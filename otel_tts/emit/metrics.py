# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Metric points from finished records: every request counts, sampled or not; sampled ones leave exemplars."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Observation

from otel_tts import guard, names
from otel_tts.emit.device_metrics import DeviceMetrics
from otel_tts.emit.host_memory import HostMemory
from otel_tts.emit.voices import VoiceNames
from otel_tts.otel_private.points import Labels, Points
from otel_tts.privacy import policy
from otel_tts.record import PlainSpan, StageRecord
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.synthesis import Synthesis
from otel_tts.version import __version__

_BY_ENGINE: Final = (
    names.UNDERRUN, names.LAST_QUARTER, names.LOUDNESS_APART, names.PACE_APART, names.LOOP_BLOCKED_TIME,
)  # fmt: skip
"""Histograms of the attribute that has the metric's own name, of every synthesis that has one."""
_FROM_ATTRIBUTES: Final = (names.FIRST_BYTE, names.FIRST_AUDIO, names.RTF, names.AUDIO_SECONDS)
"""Histograms of the attribute that has the metric's own name; only audio that was delivered counts."""
_REQUESTS_LABELS: Final = frozenset({names.ENGINE, names.MODEL})
"""Labels whose values come with requests."""
_SEGMENTS: Final = (
    ("asked", names.SEGMENTS_ASKED),
    ("spoken", names.SEGMENTS_SPOKEN),
    ("empty", names.SEGMENTS_EMPTY),
)
_DELIVERED: Final = frozenset({names.Outcome.OK, names.Outcome.ANOMALOUS})


class Instruments:
    """One instrument per row of `names.METRICS` that requests feed, and the bounds of their labels."""

    def __init__(self, meter_provider: Any, recorder: Recorder, voices: VoiceNames) -> None:
        settings = recorder.settings
        self._meter = meter_provider.get_meter(names.SCOPE, __version__)
        self._recorder, self._voices = recorder, voices
        self._points: list[Points] = []
        self._memory = HostMemory()
        self._bounds: dict[str, dict[str, Labels]] = collections.defaultdict(dict)
        self._limit = settings.max_label_values
        self._probes = self.counter(names.WATCH_PROBES)
        self._requests = self.counter(names.REQUESTS)
        self._duration = self.histogram(names.REQUEST_DURATION)
        self._stage_duration = self.histogram(names.STAGE_DURATION)
        self._queue_duration = self.histogram(names.QUEUE_DURATION)
        self._text = self.histogram(names.TEXT_CHARACTERS)
        self._generations = self.counter(names.GENERATIONS)
        self._segments = self.counter(names.SEGMENTS)
        self._others = self.histogram(names.OTHERS_AT_START)
        self._wait = self.histogram(names.WAIT_TIME)
        self._abandoned = self.counter(names.ABANDONED_TIME)
        self._anomalies = self.counter(names.AUDIO_ANOMALIES)
        self._load = self.histogram(names.MODEL_LOAD)
        self._peak = self.histogram(names.STAGE_MEMORY_PEAK)
        self._fallbacks = self.counter(names.DEVICE_FALLBACKS)
        self._by_engine = [(self.histogram(metric), metric.name) for metric in _BY_ENGINE]
        self._delivered = [(self.histogram(metric), metric.name) for metric in _FROM_ATTRIBUTES]
        self.observe(names.REQUESTS_ACTIVE, self._count_active)
        self.observe(names.OPEN_AGE, self._measure_open_stages)
        self.observe(names.LOOP_LAG, self._measure_loops)
        self.observe(names.HOST_MEMORY_LEAK, lambda: _known(self._memory.watch.bytes_per_request))
        self.observe(names.HOST_HIGH_WATER, self._measure_high_water)
        self.observe(names.DROPPED, lambda: _by_reason(recorder.dropped + policy.dropped))
        self.observe(names.REDACTED, lambda: _by_reason(policy.redacted))
        self.observe(names.NOT_KEPT, lambda: _by_reason(recorder.not_kept))
        self.observe(names.FAULTS, lambda: _by_reason(guard.faults))
        for metric, points in DeviceMetrics(recorder.devices, settings).all():
            self.observe(metric, lambda points=points: self._bounded(points()))

    def record(self, synthesis: Synthesis) -> None:
        """Record every point of a finished synthesis; of a watcher's probe only that there was one."""
        if not self._requests.are_read:
            return
        attrs = synthesis.attrs
        outcome = ((names.OUTCOME, attrs[names.OUTCOME]),)
        if names.CANARY in attrs:
            self._probes.record_at(1, outcome, synthesis)
            return
        engine = self.label(names.ENGINE, attrs.get(names.ENGINE))
        both = engine + self.label(names.MODEL, attrs.get(names.MODEL))
        voice = self.label(names.VOICE, self._voices.label(synthesis))
        error = self.label(names.ERROR_TYPE, attrs.get(names.ERROR_TYPE))
        self._requests.record_at(1, both + voice + outcome + error, synthesis)
        self._duration.record_at((synthesis.t1 - synthesis.t0) / 1e9, both + outcome, synthesis)  # pyright: ignore[reportOptionalOperand]
        for stage, nanoseconds in synthesis.stages.sums.items():
            if stage == names.Stage.QUEUE:
                self._queue_duration.record_at(nanoseconds / 1e9, engine, synthesis)
            else:
                self._stage_duration.record_at(nanoseconds / 1e9, engine + self.label(names.STAGE, stage), synthesis)
        if isinstance(length := attrs.get(names.TEXT_LENGTH), (int, float)):
            self._text.record_at(length, both, synthesis)
        if outcome[0][1] in _DELIVERED:
            for histogram, name in self._delivered:
                if (value := attrs.get(name)) is not None:
                    histogram.record_at(value, both, synthesis)
        if (reason := attrs.get(names.FINISH_REASON)) is not None:
            self._generations.record_at(1, (*both, (names.FINISH_REASON, reason)), synthesis)
        self._others.record_at(attrs.get(names.OTHERS, 0), engine, synthesis)
        for histogram, name in self._by_engine:
            if (value := attrs.get(name)) is not None:
                histogram.record_at(value, engine, synthesis)
        for state, name in _SEGMENTS:
            if count := attrs.get(name):
                self._segments.record_at(count, (*engine, (names.SEGMENT_STATE, state)), synthesis)
        if (wait := attrs.get(names.WAIT)) is not None:
            self._wait.record_at(wait, (*engine, (names.WAIT_SOURCE, attrs[names.WAIT_SOURCE])), synthesis)
        if (seconds := attrs.get(names.ABANDONED)) is not None:
            self._abandoned.record_at(seconds, both, synthesis)
        if attrs.get(names.DEVICE_FALLBACK):
            self._fallbacks.record_at(1, engine, synthesis)
        self.record_anomalies(synthesis, attrs.get(names.AUDIO_ANOMALY, ()), synthesis.inside)
        guard.contain("memory", self._memory.note, synthesis)

    def record_anomalies(self, synthesis: Synthesis, anomalies: Iterable[str], context: Any) -> None:
        """Record what looks wrong with the audio."""
        if names.CANARY in synthesis.attrs:
            return
        engine = self.label(names.ENGINE, synthesis.attrs.get(names.ENGINE))
        for anomaly in anomalies:
            self._anomalies.record(1, {**dict(engine), names.AUDIO_ANOMALY: anomaly}, context)

    def record_stage(self, synthesis: Synthesis, stage: StageRecord) -> None:
        """Record a stage that was opened after its synthesis ended; of folded ones the sum."""
        if names.CANARY in synthesis.attrs:
            return
        engine = self.label(names.ENGINE, synthesis.attrs.get(names.ENGINE))
        labels = engine + self.label(names.STAGE, stage.stage)
        took: float = (stage.t1 - stage.t0) / 1e9  # pyright: ignore[reportOptionalOperand, reportUnknownVariableType]
        self._stage_duration.record_at(stage.attrs.get(names.STAGE_HOST_DURATION, took), labels, stage)

    def record_wait(self, span: PlainSpan) -> None:
        """Record how long a job waited in its queue before a synthesis."""
        if names.CANARY in span.attrs:
            return
        engine = self.label(names.ENGINE, span.attrs.get(names.ENGINE))
        self._queue_duration.record_at(((span.t1 or span.t0) - span.t0) / 1e9, engine, span)

    def record_abandoned(self, span: PlainSpan) -> None:
        """Record how long an engine went on for nobody after its synthesis had ended."""
        if names.CANARY in span.attrs:
            return
        engine, model = span.attrs.get(names.ENGINE), span.attrs.get(names.MODEL)
        labels = self.label(names.ENGINE, engine) + self.label(names.MODEL, model)
        self._abandoned.record_at(span.attrs[names.ABANDONED], labels, span)

    def record_peak(self, synthesis: Synthesis, stage: StageRecord) -> None:
        """Record a stage's peak of device memory, where it is known."""
        peak = stage.attrs.get(names.MEMORY_PEAK)
        if peak is not None and self._peak.are_read and names.CANARY not in synthesis.attrs:
            engine = self.label(names.ENGINE, synthesis.attrs.get(names.ENGINE))
            self._peak.record_at(peak, engine + self.label(names.STAGE, stage.stage), stage)

    def record_load(self, span: PlainSpan) -> None:
        """Record how long a model took to load, or until that failed."""
        engine, model = span.attrs.get(names.ENGINE), span.attrs.get(names.MODEL)
        labels = self.label(names.ENGINE, engine) + self.label(names.MODEL, model)
        if names.ERROR_TYPE in span.attrs:
            labels = (*labels, (names.OUTCOME, names.Outcome.ERROR))
        self._load.record_at(((span.t1 or span.t0) - span.t0) / 1e9, labels, span)

    def label(self, key: str, value: str | None) -> Labels:
        """Return the label, `other` beyond the bound, or nothing where the value is unknown."""
        if value is None:
            return ()
        known = self._bounds[key]
        if (found := known.get(value)) is not None:
            return found
        if len(known) >= self._limit:
            return ((key, names.OTHER),)
        return known.setdefault(value, ((key, value),))

    def _bounded(self, points: Iterable[tuple[float, dict[str, str]]]) -> Iterable[Observation]:
        """Make observations of values and labels; engines and models beyond the bound are one point."""
        sums: dict[tuple[tuple[str, str], ...], float] = {}
        for value, labels in points:
            for key in _REQUESTS_LABELS & labels.keys():
                labels = labels | dict(self.label(key, labels[key]))
            key = tuple(labels.items())
            sums[key] = sums.get(key, 0) + value
        return [Observation(value, dict(labels)) for labels, value in sums.items()]

    def _count_active(self) -> Iterable[Observation]:
        by_engine = collections.Counter(s.attrs.get(names.ENGINE) for s in self._open())
        for engine in {*self._recorder.warm, *by_engine}:
            yield Observation(by_engine[engine], dict(self.label(names.ENGINE, engine)))

    def _measure_loops(self) -> Iterable[Observation]:
        return _known(self._recorder.loops.worst_lag_s())

    def _measure_high_water(self) -> Iterable[Observation]:
        watch = self._memory.watch
        return _known(watch.high_water if watch.bytes_per_request is not None else None)

    def _measure_open_stages(self) -> Iterable[Observation]:
        now = time.perf_counter_ns()
        oldest: dict[tuple[str | None, str], float] = {}
        for synthesis in self._open():
            for stage in list(synthesis.stages.open):
                key = (synthesis.attrs.get(names.ENGINE), stage.stage)
                oldest[key] = max(oldest.get(key, 0.0), (now - stage.t0) / 1e9)
        for (engine, stage), age in oldest.items():
            yield Observation(age, dict(self.label(names.ENGINE, engine) + self.label(names.STAGE, stage)))

    def _open(self) -> list[Synthesis]:
        return [s for s in list(self._recorder.open.values()) if names.CANARY not in s.attrs]

    def renew(self) -> None:
        """In a forked child: the SDK's aggregations are new there."""
        self._memory.renew()
        for points in self._points:
            points.forget()

    def _short_cut(self, instrument: Any) -> Points:
        self._points.append(Points(instrument))
        return self._points[-1]

    def counter(self, metric: names.Metric) -> Any:
        """Make a counter whose points go the short way."""
        return self._short_cut(self._meter.create_counter(metric.name, metric.unit, metric.meaning))

    def histogram(self, metric: names.Metric) -> Any:
        """Make a histogram whose points go the short way."""
        return self._short_cut(
            self._meter.create_histogram(
                metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=metric.edges or None
            )
        )

    def observe(self, metric: names.Metric, read: Callable[[], Iterable[Observation]]) -> None:
        """Let `read` be asked for a metric's points at each collection; a fault of it costs these points alone."""

        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return guard.contain("metrics", lambda: list(read())) or ()

        create = {
            "counter": self._meter.create_observable_counter,
            "updowncounter": self._meter.create_observable_up_down_counter,
            "gauge": self._meter.create_observable_gauge,
        }[metric.kind]
        create(metric.name, [callback], metric.unit, metric.meaning)


def _known(value: float | None) -> Iterable[Observation]:
    return [] if value is None else [Observation(value)]


def _by_reason(counts: Mapping[str, int]) -> Iterable[Observation]:
    return [Observation(count, {names.REASON: reason}) for reason, count in dict(counts).items()]
