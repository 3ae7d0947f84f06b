# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The privacy gate's self-test at start: a sentence that nobody may see is put everywhere where text can stand.

Spans, log records and metrics with it run through real SDK providers in memory, through the same gate with the same
policy, and are encoded as OTLP, by our encoders and by the SDK's where its exporters are used; then the bytes are
searched. If the sentence is found, or the gate is so broken that
clean telemetry does not pass either, nothing may leave: `refuse`.
"""

from __future__ import annotations

import base64
import logging
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider, Observation
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from otel_tts import guard, names
from otel_tts.export.log_bytes import LogEncoder
from otel_tts.export.metric_bytes import MetricEncoder
from otel_tts.export.span_bytes import SpanEncoder
from otel_tts.otel_private.ended import WholeSpan
from otel_tts.privacy import allowed, gate
from otel_tts.privacy.policy import Policy

_logger = logging.getLogger("otel_tts")

_APP: Final = "canary.app"
_SCOPES: Final = (names.SCOPE, _APP, "opentelemetry.instrumentation.system_metrics")
_PART: Final = 100
_HAN: Final = "".join(map(chr, range(0x4E00, 0x4E00 + 2000)))
Encode = Callable[[Any, Any, Any], Iterator[bytes]]
"""Takes spans, log records and metrics."""
_CLEAN_SPAN: Final = f"{names.STAGE_PREFIX}{names.Stage.VOCODER}"


def check(
    policy: Policy,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    logger_provider: Any = None,
    *,
    the_sdks: bool = False,
) -> str | None:
    """Return None if the gate holds, else in plain words what is wrong.

    It is encoded by our exporters' encoders, and with `the_sdks` by those of the SDK's exporters too. With the
    process's providers it also looks that each of their exporters stands behind a gate. An error inside the test is a
    reason too: what cannot be checked is not trusted.
    """
    if bare := gate.ungated(tracer_provider, meter_provider, logger_provider):
        return f"exporters without a gate: {', '.join(bare)}"
    trial = policy.trial()
    try:
        encoders = (_ours, *_sdks()) if the_sdks else (_ours,)
        for sentence, marker in _sentences():
            exported = b"\n".join(_send_everywhere(trial, sentence, encoders))
            if found := _find(marker, exported):
                return f"a test sentence got through the privacy gate ({found})"
            if _CLEAN_SPAN.encode() not in exported or names.REQUESTS.name.encode() not in exported:
                return "the privacy gate holds back clean telemetry"
    except Exception as error:
        guard.note_fault("canary", error)
        return f"the test of the privacy gate failed with {type(error).__name__}"
    return None


def refuse(policy: Policy, reason: str) -> None:
    """Let nothing leave through this policy's gates any more, count it as ``canary``, and say why once."""
    policy.refusal = "canary"
    _logger.error(
        "otel-tts: %s. Nothing is exported, since it might carry what was said; the service is not affected. "
        "See whether an OpenTelemetry package was changed (`pip list | grep opentelemetry`), and docs/privacy.md",
        reason,
    )


def _sentences() -> Iterator[tuple[str, str]]:
    """Yield sentences and the part of each to search for: one with spaces, one that is a single run of letters."""
    marker = f"canary{secrets.token_hex(8)}"
    yield f"The {marker} sings and nobody may hear it.", marker
    marker = "".join(random.sample(_HAN, 12))
    yield marker, marker


def _find(marker: str, exported: bytes) -> str | None:
    """Return in which form `marker` is among the exported bytes, or None."""
    raw = marker.encode()
    forms = {
        "as text": raw,
        "as a URL": quote(marker).encode(),
        "as a form": quote(marker, safe="").lower().encode(),
        "escaped": marker.encode("unicode_escape"),
        "as UTF-16": marker.encode("utf-16-le"),
        "in hexadecimal": raw.hex().encode(),
        "as UTF-16 BE": marker.encode("utf-16-be"),
    }
    for shift in range(3):  # base64 looks different at each of three alignments; its ends depend on the neighbours
        forms[f"as base64, {shift}"] = base64.b64encode(b"\0" * shift + raw)[4:-4]
    return next((form for form, pattern in forms.items() if pattern in exported), None)


def _send_everywhere(policy: Policy, text: str, encoders: Sequence[Encode]) -> Iterator[bytes]:
    """Yield the OTLP bytes of spans, log records and metrics that carry `text` in every place."""

    def everywhere(*keys: str) -> dict[str, Any]:
        return {key: text for key in keys if not _is_free(key, policy)}

    resource = Resource(
        {"service.name": "canary", **everywhere(text, "process.command_line", "tts.runtime.torch")}, text
    )
    attributes = everywhere(
        text, "url.query", "http.url", names.REASON, "type", "state", *allowed.ATTRIBUTES, *allowed.CODE
    )
    attributes |= {key: [text] for key in everywhere("gen_ai.input.messages", "process.command_args")}
    spans, context = _spans(policy, resource, attributes, text)
    logs, metrics = _logs(policy, resource, attributes, text), _metrics(policy, resource, attributes, text, context)
    for encode in encoders:
        yield from encode(spans, logs, metrics)


def _ours(spans: Any, logs: Any, metrics: Any) -> Iterator[bytes]:
    count = sum(len(scope.metrics) for part in metrics.resource_metrics for scope in part.scope_metrics)
    encoders: Any = (SpanEncoder(), LogEncoder(), MetricEncoder())
    for encoder, items, asked in zip(encoders, (spans, logs, metrics), (len(spans), len(logs), count), strict=True):
        content, encoded = encoder.encode(items)
        if encoded != asked:  # left out is what has no form there, which says nothing of whether it may leave
            raise ValueError(f"{asked - encoded} of {asked} items cannot be encoded")
        yield content


def _sdks() -> tuple[Encode, ...]:
    """Return the SDK's way; nothing where it cannot be imported, since its exporters cannot be made then either."""
    try:
        from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    except ImportError:
        return ()

    def encode(spans: Any, logs: Any, metrics: Any) -> Iterator[bytes]:
        yield encode_spans(spans).SerializeToString()
        yield encode_logs(logs).SerializeToString()
        yield encode_metrics(metrics).SerializeToString()

    return (encode,)


def _is_free(key: str, policy: Policy) -> bool:
    """Whether the operator lets any text pass under this key."""
    return len(policy.attributes({key: "free text"})) == 1


def _spans(policy: Policy, resource: Resource, attributes: dict[str, Any], text: str) -> tuple[Any, Context]:
    memory = InMemorySpanExporter()
    limits = SpanLimits(*[SpanLimits.UNSET] * 8)
    silent = NoOpMeterProvider()
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=limits, meter_provider=silent)
    processor = SimpleSpanProcessor(memory, meter_provider=silent)
    provider.add_span_processor(processor)
    gate.install(provider, None, None, policy)
    state = TraceState([("canary", text if text.isascii() else "sung"), ("ot", "th:c")])
    remote = SpanContext(random.getrandbits(128) or 1, random.getrandbits(64) or 1, True, TraceFlags(1), state)
    root = context = trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())
    for scope in (*_SCOPES, text):
        tracer = provider.get_tracer(scope, text, text, {text: text})
        for kind in (SpanKind.INTERNAL, SpanKind.SERVER):  # all others are judged as the former
            for name in _names_with(text):
                tracer.start_span(name, root, kind, {text: text}).end()
        span = tracer.start_span(_CLEAN_SPAN, root, attributes=attributes, links=[Link(remote, attributes)])
        context = trace.set_span_in_context(span, Context())
        span.add_event(text, attributes)
        span.record_exception(ValueError(text), {text: text})
        span.set_status(StatusCode.ERROR, text)
        span.end()
        if scope == names.SCOPE:
            processor.on_end(_late(span, text))
    return memory.get_finished_spans(), context


def _late(span: Any, name: str) -> WholeSpan:
    """Return `span` in the form in which ours come to the gate."""
    return WholeSpan(
        name, span.context, span.parent, span.resource, dict(span.attributes), span.events, span.links, span.kind,
        status=span.status, start_time=span.start_time, end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )  # fmt: skip


def _names_with(text: str) -> tuple[str, ...]:
    begins = ("", "GET ", names.STAGE_PREFIX, f"{names.OPERATION} ", f"{names.SPAN_TASK} ")
    return (*(f"{begin}{text}" for begin in begins), f"{text} http send")


def _logs(policy: Policy, resource: Resource, attributes: dict[str, Any], text: str) -> Any:
    memory = InMemoryLogRecordExporter()
    silent = NoOpMeterProvider()
    limits = LogRecordLimits(*[LogRecordLimits.UNSET] * 4)
    provider = LoggerProvider(resource, shutdown_on_exit=False, meter_provider=silent, log_record_limits=limits)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory, meter_provider=silent))
    gate.install(None, None, provider, policy)
    extra = {**attributes, "code.file.path": f"/{text}/{text}", "exception.message": text, "exception.stacktrace": text}
    for scope in (*_SCOPES, text):
        logger = provider.get_logger(scope, text, text, {text: text})
        bodies = (f"{names.REQ_START} request_id={text}", f"{names.REQ_START} {text}=1", {text: text})
        for body, part in [(text, part) for part in _in_parts(extra)] + [(body, {text: text}) for body in bodies]:
            logger.emit(
                LogRecord(
                    context=Context(), severity_number=SeverityNumber.INFO, severity_text=text, body=body,
                    attributes=part, event_name=text, exception=ValueError(text),
                )
            )  # fmt: skip
    return memory.get_finished_logs()


def _in_parts(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """A log record keeps 128 attributes, unless it is told otherwise."""
    items = list(attributes.items())
    return [dict(items[start : start + _PART]) for start in range(0, len(items), _PART)]


def _metrics(policy: Policy, resource: Resource, attributes: dict[str, Any], text: str, context: Context) -> Any:
    reader = InMemoryMetricReader()
    views = [
        View(instrument_name="canary.view", attribute_keys=set()),
        View(instrument_name="canary.exponential", aggregation=ExponentialBucketHistogramAggregation()),
    ]
    provider = MeterProvider([reader], resource, shutdown_on_exit=False, views=views)
    gate.install(None, provider, None, policy)
    unit = text[:63] if text.isascii() else ""
    for scope in (*_SCOPES, text):
        meter = provider.get_meter(scope, text, text, {text: text})
        meter.create_counter(names.REQUESTS.name).add(1, attributes, context)
        meter.create_histogram(names.REQUEST_DURATION.name).record(1.0, attributes, context)
        meter.create_observable_gauge("canary.gauge", [lambda _: [Observation(1, attributes)]])
    meter = provider.get_meter(_APP)
    meter.create_counter("canary.view", unit, text).add(1, attributes, context)
    meter.create_histogram("canary.exponential", unit, text).record(1.0, attributes, context)
    return reader.get_metrics_data()
