# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process's telemetry in memory: SDK providers behind the privacy gate, a recorder without a thread, counted ids."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from otel_tts.device.clocks.events import Events
from otel_tts.device.memory.out_of_memory import Failures
from otel_tts.device.memory.readings import StageMemory
from otel_tts.device.torch.graphs import CaptureGuard
from otel_tts.distro import configurator
from otel_tts.distro.configure import as_environment
from otel_tts.distro.defaults import DEFAULTS
from otel_tts.emit import emitter
from otel_tts.emit.emitter import Emitter
from otel_tts.engines import form
from otel_tts.engines.table import Engine
from otel_tts.instrumentation import tables
from otel_tts.instrumentation.edges import every, fastapi, serving
from otel_tts.instrumentation.instrumentor import SpeechInstrumentor
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.names import OPERATION
from otel_tts.patches import undo
from otel_tts.privacy import gate
from otel_tts.privacy.policy import Policy
from otel_tts.recording.recorder import Recorder
from otel_tts.settings import Settings
from otel_tts.testing.clock import EPOCH_NS
from otel_tts.testing.device import FakeDevice

_DEFAULTS: Final[dict[str, Any]] = {"log_format": "none", "clock": "host", "hash_key": "testing"}
"""No lines on stderr, no torch that is looked for, and a voice's hash that is the same in every run."""

_HTTP_NAMES: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""OpenTelemetry's instrumentations read it once in a process."""


class CountingIds(IdGenerator):
    """Trace ids 1, 2, 3, … and span ids 1, 2, 3, …"""

    def __init__(self) -> None:
        self._traces, self._spans = itertools.count(1), itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)


class Telemetry:
    """What this process records, from when it is made until `close`, or as a ``with`` block.

    The global providers stay as they are. OTEL_TTS_* variables are not read, of OTEL_* ones only what the SDK's classes
    ask for themselves.

    `settings` are those of `otel_tts.configure` by the same names (``voices=("anna",)``). `gated` False shows what was
    recorded before the privacy gate has taken out what may not leave. `device` times the stages and has their memory.
    `tracer_provider` has a sampler or processors of your own. With `interval` a thread looks every so many seconds, as
    in a service; without it everything waits until it is read.
    """

    def __init__(
        self,
        *,
        gated: bool = True,
        device: FakeDevice | None = None,
        tracer_provider: Any = None,
        interval: float | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(**{**_DEFAULTS, **settings})
        self.span_memory, self.log_memory = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.reader = InMemoryMetricReader()
        resource = Resource({"service.name": "testing"})
        self.tracers: Any = tracer_provider or TracerProvider(
            ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False, id_generator=CountingIds()
        )
        if isinstance(self.tracers, TracerProvider):
            self.tracers.add_span_processor(SimpleSpanProcessor(self.span_memory))
        self.meters = MeterProvider([self.reader], resource, shutdown_on_exit=False)
        self.loggers = LoggerProvider(resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.log_memory))
        if gated:
            gate.install(self.tracers, self.meters, self.loggers, Policy.from_settings(self.settings))
        self.recorder = Recorder(self.tracers, self.settings)
        if device is not None:
            _put_device(self.recorder, device)
        self.emitter = Emitter(self.recorder, self.tracers, self.meters, self.loggers, interval=interval)
        self._before = emitter.current()
        self._undo = ExitStack()
        emitter.install(self.emitter)

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take off what was hooked, and let the process's own recorder, if it had one, go on."""
        self._undo.close()
        if emitter.current() is self.emitter:
            emitter.uninstall()
            if self._before is not None and not self._before.recorder.closed:
                emitter.install(self._before)
        self.emitter.close(timeout=5)
        self.recorder.open.clear()  # what a test has left open
        self.meters.shutdown()

    # --- hooks --------------------------------------------------------------------------------------------------------

    def watch(self, engine: Engine) -> None:
        """Hook the callables of `engine`'s table until `close`, which takes off every engine's hooks.

        Raises ValueError for a table of the wrong form, which outside of tests is a line in the log.
        """
        if (trouble := form.problem(engine)) is not None:
            raise ValueError(trouble)
        self._undo.callback(undo, HOOKS)
        tables.watch(engine)

    def launch(self, app: Any = None) -> None:
        """Hook all that the launcher would, until `close`: every engine that has a table, audio encoders, threads, and
        the edges of web applications, where requests get id and server span. `app` is a FastAPI application whose
        server spans OpenTelemetry's instrumentation makes where these settings say so (``server_span="contrib"``).

        Raises RuntimeError where the process was configured already: then it is all hooked, and reports to its own
        providers.
        """
        if configurator.is_configured():
            raise RuntimeError(
                "otel-tts is configured in this process, by otel_tts.configure() or the launcher: run tests without "
                "the launcher and with OTEL_TTS_ENABLED=false"
            )
        with as_environment({_HTTP_NAMES: os.environ.get(_HTTP_NAMES, DEFAULTS[_HTTP_NAMES])}):
            if not SpeechInstrumentor().is_instrumented_by_opentelemetry:
                self._hook_everything()
            if not serving.choose(self.settings) and app is not None:
                self._serve(app)

    def _hook_everything(self) -> None:
        self._undo.callback(SpeechInstrumentor().uninstrument)
        SpeechInstrumentor().instrument(skip_dep_check=True)
        self.tracers.add_span_processor(serving.RequestSpans())
        self._undo.callback(every.uninstrument)
        every.instrument()

    def _serve(self, app: Any) -> None:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        self._undo.callback(setattr, app, "middleware_stack", app.middleware_stack)
        self._undo.callback(FastAPIInstrumentor.uninstrument_app, app)
        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=self.tracers, meter_provider=self.meters, **fastapi.options()
        )
        app.middleware_stack = None  # one that is built already, by a request before, would stay without the middleware

    # --- what it says -------------------------------------------------------------------------------------------------

    def drain(self) -> Telemetry:
        """Make telemetry of everything that has ended. Whatever reads it here does so first.

        A request waits for a device that is still at work. Raises TimeoutError where an exporter hangs.
        """
        done = self.emitter.drain()
        self.emitter.files.wait(10)
        if not (done and self.emitter.drain()):
            raise TimeoutError("what was recorded could not be made telemetry within 30 s: does an exporter hang?")
        return self

    def _before_reading(self) -> None:
        self.drain()

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans, in the order in which they left."""
        self._before_reading()
        return list(self.span_memory.get_finished_spans())

    def span(self, name: str) -> Any:
        """Return the only span of that name; ``"text_to_speech"`` is a synthesis's whatever model stands behind it.

        Raises LookupError where there is none, or more than one.
        """
        found = [span for span in self.spans if span.name == name]
        if name == OPERATION and not found:
            found = [span for span in self.spans if span.name.startswith(f"{name} ")]
        if len(found) != 1:
            raise LookupError(f"{len(found)} spans are named {name!r}; there are {', '.join(self.names()) or 'none'}")
        return found[0]

    def names(self) -> list[str]:
        """Names of all spans, in the order in which they left."""
        return [span.name for span in self.spans]

    def shown_spans(self) -> list[dict[str, Any]]:
        """All spans as plain values, see `shown`."""
        return [shown(span) for span in self.spans]

    def points(self, metric: str) -> dict[tuple[str, ...], Any]:
        """Points of one metric: label values, in the order of their keys, to the value; a histogram's count and sum.

        Nothing where there is none.
        """
        return {
            tuple(str(value) for _, value in sorted(point.attributes.items())): _value(point)
            for point in self.raw_points(metric)
        }

    def raw_points(self, metric: str) -> list[Any]:
        """Points of one metric as the SDK makes them, with exemplars."""
        return [point for name, point in self._all_points() if name == metric]

    def all_points(self) -> dict[str, dict[str, Any]]:
        """Every point: metric name to labels, as ``key=value key=value``, to the value; a histogram's count and sum."""
        found: dict[str, dict[str, Any]] = {}
        for name, point in self._all_points():
            labels = " ".join(f"{key}={value}" for key, value in sorted(point.attributes.items()))
            found.setdefault(name, {})[labels] = _value(point)
        return found

    def _all_points(self) -> Iterator[tuple[str, Any]]:
        self._before_reading()
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield metric.name, point

    @property
    def records(self) -> list[Any]:
        """All log records, in their order."""
        self._before_reading()
        return [data.log_record for data in self.log_memory.get_finished_logs()]

    def lines(self) -> list[str]:
        """Log lines: severity and body."""
        return [f"{record.severity_text} {record.body}" for record in self.records]

    def everything(self) -> str:
        """All three signals as one text, to look for what must not be in it: with `gated`, what was spoken."""
        self._before_reading()
        data = self.reader.get_metrics_data()
        signals = [*self.span_memory.get_finished_spans(), *self.log_memory.get_finished_logs()]
        return "\n".join(signal.to_json() for signal in (*signals, *([data] if data is not None else ())))


def _put_device(recorder: Recorder, device: FakeDevice) -> None:
    failures = Failures()
    device.watch_oom(failures.note)
    recorder.clock = Events(lambda: device, now=device.clock.read, guard=CaptureGuard())
    recorder.devices.memory = StageMemory(device, failures, recorder)


def _value(point: Any) -> Any:
    if hasattr(point, "bucket_counts"):
        return point.count, round(point.sum, 6)
    return round(point.value, 6) if isinstance(point.value, float) else point.value


def shown(span: ReadableSpan) -> dict[str, Any]:
    """Return a span as plain values: ids as numbers, times in ms since `EPOCH_NS`; empty parts left out."""
    context: Any = span.get_span_context()
    parts: dict[str, Any] = {
        "name": span.name,
        "ids": (context.trace_id, context.span_id),
        "parent": span.parent.span_id if span.parent is not None else None,
        "ms": (_ms(span.start_time), _ms(span.end_time)),
        "attributes": dict(span.attributes or {}),
        "events": [(event.name, _ms(event.timestamp), dict(event.attributes or {})) for event in span.events],
        "links": [(link.context.span_id, dict(link.attributes or {})) for link in span.links],
        "status": None if span.status.is_unset else (span.status.status_code.name, span.status.description),
    }
    return {key: value for key, value in parts.items() if key in ("parent", "attributes") or value}


def _ms(stamp: int | None) -> float | None:
    return None if stamp is None else (stamp - EPOCH_NS) / 1e6
