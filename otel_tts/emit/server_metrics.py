# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The `http.server.*` metrics of the requests whose SERVER span is ours, as OpenTelemetry's middleware has them."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Final

from opentelemetry.metrics import Observation

from otel_tts import names
from otel_tts.emit.metrics import Instruments
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.server import ServerSpan

_PLAIN: Final = (names.HTTP_METHOD, names.URL_SCHEME, names.HTTP_STATUS, names.HTTP_VERSION)
_BOUNDED: Final = (names.HTTP_ROUTE, names.ERROR_TYPE)
_UNDER_WAY: Final = (names.HTTP_METHOD, names.URL_SCHEME)


class ServerInstruments:
    """Records a request when its answer is out, and counts those under way."""

    def __init__(self, instruments: Instruments, recorder: Recorder) -> None:
        self._instruments, self._recorder = instruments, recorder
        self._duration = instruments.histogram(names.SERVER_DURATION)
        self._received = instruments.histogram(names.SERVER_REQUEST_SIZE)
        self._sent = instruments.histogram(names.SERVER_RESPONSE_SIZE)
        self._seen: dict[tuple[tuple[str, str], ...], None] = {}
        instruments.observe(names.SERVER_ACTIVE, self._count_active)

    def record(self, span: ServerSpan) -> None:
        """Record every point of a request; a WebSocket is a connection, and none."""
        attrs = span.attrs
        if names.HTTP_METHOD not in attrs:
            return
        self._seen[_under_way(span)] = None
        labels = tuple((key, attrs[key]) for key in _PLAIN if key in attrs)
        for key in _BOUNDED:
            labels += self._instruments.label(key, attrs.get(key))
        self._duration.record_at(((span.t1 or span.t0) - span.t0) / 1e9, labels, span)
        if span.sent:
            self._sent.record_at(span.sent, labels, span)
        if span.received is not None:
            self._received.record_at(span.received, labels, span)

    def _count_active(self) -> Iterable[Observation]:
        served = [span for span in list(self._recorder.serving.values()) if names.URL_SCHEME in span.attrs]
        running = collections.Counter(map(_under_way, served))
        self._seen |= dict.fromkeys(running)
        for labels in self._seen:
            yield Observation(running[labels], dict(labels))


def _under_way(span: ServerSpan) -> tuple[tuple[str, str], ...]:
    return tuple((key, span.attrs[key]) for key in _UNDER_WAY if key in span.attrs)
