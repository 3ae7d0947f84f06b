# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The private names of OpenTelemetry's SDK that the gate, shutdown and fork rely on; only this file touches them.

tests/unit/otel_private/test_providers.py pins what each does upstream. Where a name is gone the function says so by its
result and one log line says what is lost; the service goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.version import __version__ as sdk_version

from otel_tts.otel_private.pipeline import SIGNALS, Pipeline

_logger = logging.getLogger("otel_tts")

_ABSENT: Final = object()
_MULTI: Final = {TracerProvider: "_active_span_processor", LoggerProvider: "_multi_log_record_processor"}
_LIST: Final = ("_span_processors", "_log_record_processors")
_EXPORTING: Final = (BatchSpanProcessor, SimpleSpanProcessor, BatchLogRecordProcessor, SimpleLogRecordProcessor)

_told: set[str] = set()


def _tell_lost(name: str, loss: str) -> None:
    """Say once that a private name is gone and what that costs."""
    if name not in _told:
        _told.add(name)
        _logger.warning("otel-tts: opentelemetry-sdk %s no longer has %s: %s", sdk_version, name, loss)


# --- processors and exporters ----------------------------------------------------------------------------------------


def span_processors(provider: Any) -> tuple[Any, ...]:
    """Return the span processors of an SDK provider, nested ones too; nothing for other providers."""
    return tuple(_flatten(getattr(provider, _MULTI[TracerProvider], None)))


def log_processors(provider: Any) -> tuple[Any, ...]:
    """Return the log record processors of an SDK provider, nested ones too."""
    return tuple(_flatten(getattr(provider, _MULTI[LoggerProvider], None)))


def _flatten(processor: Any) -> Iterator[Any]:
    for name in _LIST:
        inner = getattr(processor, name, None)
        if isinstance(inner, (tuple, list)):
            for one in inner:  # pyright: ignore[reportUnknownVariableType]
                yield from _flatten(one)
            return
    if processor is not None:
        yield processor


def is_opaque(provider: Any) -> bool:
    """Whether this is an SDK provider whose processors or readers cannot be listed: nothing of it can be gated."""
    if isinstance(provider, MeterProvider):
        name, opaque = "_measurement_consumer._reader_storages", _storages(provider) is None
    else:
        name = next((name for kind, name in _MULTI.items() if isinstance(provider, kind)), None)
        opaque = name is not None and not any(hasattr(getattr(provider, name, None), inner) for inner in _LIST)
    if opaque:
        _tell_lost(f"{type(provider).__name__}.{name}", "its exporters cannot be gated, so this signal is not exported")
    return opaque


def exports(processor: Any) -> bool:
    """Whether a processor is one of the SDK's that export."""
    return isinstance(processor, _EXPORTING)


def exporter_of(holder: Any) -> Any | None:
    """Return the exporter behind a batch or simple processor or a periodic reader, or None where there is none."""
    slot = _exporter_slot(holder)
    return None if slot is None else getattr(*slot)


def replace_exporter(processor: Any, exporter: Any) -> bool:
    """Put `exporter` in the place of a processor's own. False where that cannot be done."""
    slot = _exporter_slot(processor)
    if slot is None:
        return False
    try:
        setattr(*slot, exporter)
    except AttributeError:
        return False
    return exporter_of(processor) is exporter


def _exporter_slot(holder: Any) -> tuple[Any, str] | None:
    """Return the object and the attribute that hold an exporter: a batch processor keeps it in an inner one."""
    inner = getattr(holder, "_batch_processor", None)
    for owner, name in ((inner, "_exporter"), (holder, "_exporter"), (holder, "span_exporter")):
        if callable(getattr(getattr(owner, name, None), "export", None)):
            return owner, name
    if exports(holder):
        _tell_lost(f"{type(holder).__name__}'s exporter", "it cannot be gated, so this processor is shut down")
    return None


# --- metric readers --------------------------------------------------------------------------------------------------


def metric_readers(provider: Any) -> tuple[Any, ...]:
    """Return every reader of an SDK meter provider, those added later too; nothing for other providers."""
    return tuple(_storages(provider) or ())


def _storages(provider: Any) -> dict[Any, Any] | None:
    return getattr(getattr(provider, "_measurement_consumer", None), "_reader_storages", None)


def has_measured(provider: Any) -> bool:
    """Whether anything was measured since the process began, or since it was forked."""
    storages = (_storages(provider) or {}).values()
    return any(getattr(storage, "_instrument_view_instrument_matches", None) for storage in storages)


def receiver_of(reader: Any) -> Callable[..., None] | None:
    """Return what a reader calls with collected metrics: documented for overriding, though its name is private."""
    return getattr(reader, "_receive_metrics", None)


def replace_receiver(reader: Any, receive: Callable[..., None]) -> bool:
    """Let `receive` take collected metrics in the reader's place."""
    try:
        reader._receive_metrics = receive
    except AttributeError:
        return False
    return receiver_of(reader) is receive


def reset_metric_state_after_fork(provider: Any) -> bool:
    """Let a forked child's metrics start from zero, with locks of its own. False where that cannot be done.

    The SDK gives a child a new resource, but copies the counts so far: parent 5, fork, child +1 would be reported as
    5 and 6. It also leaves locks that another thread of the parent may have held at the fork.
    """
    consumer: Any = getattr(provider, "_measurement_consumer", None)
    storages = _storages(provider)
    if storages is None:
        if isinstance(provider, MeterProvider):
            _tell_lost("MeterProvider's storages", "forked children count the parent's metrics again")
        return False
    consumer._lock = threading.Lock()
    whole = True
    for reader, storage in storages.items():
        if not hasattr(storage, "_instrument_view_instrument_matches"):
            _tell_lost("MetricReaderStorage's matches", "forked children count the parent's metrics again")
            whole = False
            continue
        storage._lock = threading.RLock()
        storage._instrument_view_instrument_matches = {}
        if hasattr(reader, "_export_lock"):
            reader._export_lock = threading.Lock()
    for meter in list(getattr(provider, "_meters", {}).values()):
        for name in ("_instrument_registration_lock", "_instrument_ids_lock"):
            if hasattr(meter, name):
                setattr(meter, name, threading.Lock())
    return whole


# --- resources and queues --------------------------------------------------------------------------------------------


def add_to_resource(pipeline: Pipeline, attributes: Mapping[str, Any]) -> None:
    """Add `attributes` to the resource of the providers made here: a configuration file knows nothing of detectors."""
    for signal in SIGNALS:
        if signal not in pipeline.joined:
            update_resource(pipeline.provider(signal), attributes)


def update_resource(provider: Any, attributes: Mapping[str, Any]) -> None:
    """Add `attributes` to a provider's resource, by what the SDK itself calls after a fork."""
    if (update := getattr(provider, "_update_resource", None)) is not None:
        update(Resource(dict(attributes)))


def resource_of(provider: Any) -> Mapping[str, Any]:
    """Return the attributes of a provider's resource, or nothing where it has none."""
    resource = getattr(provider, "resource", None) or getattr(provider, "_resource", None)
    if resource is None:
        resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
    return getattr(resource, "attributes", {})


def waiting_in(processor: Any) -> int:
    """Return how many items wait in a batch processor's queue; 0 for others."""
    return len(getattr(getattr(processor, "_batch_processor", None), "_queue", ()))


def count_drops(processor: Any, note: Callable[[int], None]) -> bool:
    """Let `note` hear how many items a batch processor drops because its queue is full. False where that is impossible.

    The SDK counts them itself only with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED, which also makes every span count
    its own start and end.
    """
    inner: Any = getattr(processor, "_batch_processor", None)
    counts = getattr(inner, "_metrics", None)
    if counts is None or isinstance(counts, _Drops):
        return counts is not None
    inner._metrics = _Drops(counts, note)
    return True


class _Drops:
    """Stands in for a batch processor's metrics and passes everything on."""

    def __init__(self, counts: Any, note: Callable[[int], None]) -> None:
        self._note = note
        self._drop = counts.drop_items
        self.finish_items = counts.finish_items
        self.register_queue_size = counts.register_queue_size

    def drop_items(self, count: int, error_type: str = "queue_full") -> None:
        self._note(count)
        self._drop(count, error_type)
