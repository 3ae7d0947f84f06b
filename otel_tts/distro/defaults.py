# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_* variables that the user has not set, lent to the SDK while it reads its environment.

Afterwards they are taken back: os.environ is what child processes inherit, and a child may run another program, from
another virtual environment, with another distribution. A child of ours lends them to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Final
from urllib.parse import urlsplit

from otel_tts.distro import without_server

DEFAULTS: Final = {
    "OTEL_PYTHON_CONFIGURATOR": "otel_tts",  # the one that belongs to our Distro, whatever else is installed
    "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
    # Spans are made after the request, some dozens at a time: the SDK's 2048 would lose those of a burst.
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "16384",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
}

BATCHES: Final = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2048", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "2048"}
"""Fewer posts under load: a post costs as much as dozens of spans; 2048 spans are 1.5 MB, under the collector's usual
4. Smaller where the user's own queue is, since the SDK refuses a batch that is larger than its queue."""
_SDKS_BATCH: Final = 512

STAYING: Final = {
    # Read at each app's start; true would add a second exporter to the same providers, and every span would go twice.
    "FASTAPI_OTEL_AUTO_CONFIGURE": "false",
}

_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_GRPC_PORT: Final = 4317

_lent: dict[str, tuple[str | None, str]] = {}
"""What was there before, and what was lent."""


def lend(environ: MutableMapping[str, str]) -> None:
    """Set what is not set, and add the exporters to files where OTEL_TTS_FILE_DIR asks for them."""
    for name, value in wanted(environ).items():
        before = _lent[name][0] if name in _lent else environ.get(name)
        _lent[name] = (before, value)
        environ[name] = value
    for name, value in STAYING.items():
        environ.setdefault(name, value)


def wanted(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what `environ` lacks, and what is to take the place of something in it."""
    batches = {name: _batch(size, environ.get(name.replace("EXPORT_BATCH", "QUEUE"))) for name, size in BATCHES.items()}
    unset = {n: v for n, v in {**batches, **DEFAULTS, _PROTOCOL: protocol(environ)}.items() if n not in environ}
    return {**unset, **without_server.exporters(environ)}


def _batch(size: str, queue: str | None) -> str:
    try:
        return size if queue is None else str(min(_SDKS_BATCH, int(queue)))
    except ValueError:  # set aside before the SDK reads it, and lent anew
        return size


def take_back(environ: MutableMapping[str, str]) -> None:
    """Put back what was there, where what was lent has not been changed since."""
    for name, (before, value) in _lent.items():
        if environ.get(name) != value:
            continue
        if before is None:
            del environ[name]
        else:
            environ[name] = before
    _lent.clear()


def protocol(environ: Mapping[str, str]) -> str:
    """Return http/protobuf, or grpc where the endpoint is on the port that speaks only that."""
    try:
        port = urlsplit(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")).port
    except ValueError:
        port = None
    return "grpc" if port == _GRPC_PORT else "http/protobuf"
