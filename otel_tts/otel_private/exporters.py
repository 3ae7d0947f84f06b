# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Exporters, ours and the SDK's: where they send to, what waits in them, what they lose, and a first word with them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData


def waiting_for(exporter: Any) -> int:
    """Return how many items an exporter of ours keeps because the receiver wants them later; 0 for others."""
    return getattr(exporter, "waiting", 0)


def hear_losses(exporter: Any, note: Callable[[int, str], None]) -> bool:
    """Let `note` hear what an exporter of ours gives up after it had taken it, and why. False where it is another."""
    if not hasattr(exporter, "on_loss"):
        return False
    exporter.on_loss = note
    return True


@dataclass(frozen=True)
class Said:
    """What came back from an address: an HTTP status with what belongs to it, or an error (gRPC: its code)."""

    protocol: str
    address: str
    status: int = 0
    reason: str = ""
    content_type: str = ""
    location: str = ""
    error: str = ""
    error_type: str = ""


def speak(exporter: Any, seconds: float = 3.0) -> Said | None:
    """Send an empty request as an OTLP exporter sends one. None for exporters of another kind."""
    if callable(own := getattr(exporter, "speak", None)):
        return _speak_ours(exporter._endpoint, own(seconds))
    client = getattr(exporter, "_client", None)
    if (transport := getattr(client, "_transport", None)) is not None:
        return _speak_http(exporter._endpoint, client, transport, seconds)
    if callable(getattr(client, "Export", None)):
        return _speak_grpc(exporter, client, seconds)
    return None


def _speak_ours(address: str, outcome: Any) -> Said:
    if (answer := outcome.answer) is None:
        return Said("http/protobuf", address, error=outcome.error, error_type=outcome.error_type)
    return Said("http/protobuf", address, answer.status, answer.words, answer.content_type, answer.location)


def _speak_http(address: str, client: Any, transport: Any, seconds: float) -> Said:
    data = client._compress(b"")  # no bytes are an empty request
    result = transport.request("POST", address, headers=client._headers, data=data, timeout=seconds)
    if result.error is not None:
        return Said("http/protobuf", address, error=repr(result.error), error_type=type(result.error).__name__)
    headers = result.headers()
    content, location = headers.get("content-type", ""), headers.get("location", "")
    return Said("http/protobuf", address, result.status_code, result.reason or "", content, location)


def _speak_grpc(exporter: Any, client: Any, seconds: float) -> Said:
    import grpc

    nothing: Any = MetricsData(resource_metrics=[]) if MetricExporter in type(exporter).__mro__ else []
    try:
        client.Export(request=exporter._translate_data(nothing), metadata=exporter._headers, timeout=seconds)
    except grpc.RpcError as error:
        code: Any = getattr(error, "code", lambda: None)()
        details: Any = getattr(error, "details", lambda: "")()
        return Said(
            "grpc", exporter._endpoint, error=details or str(error), error_type=getattr(code, "name", "UNKNOWN")
        )
    return Said("grpc", exporter._endpoint)


def address_of(exporter: Any) -> str | None:
    """Return the address that an exporter sends to, without the path of its signal; None where it has none."""
    endpoint = getattr(exporter, "_endpoint", None)
    if not isinstance(endpoint, str):
        return None
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else endpoint


def hear_failures(exporter: Any, hear: Callable[[str], None]) -> bool:
    """Let `hear` be told why an OTLP/HTTP exporter fails, which it does not always say. False where that is impossible.

    Others say it in their log records.
    """
    client: Any = getattr(exporter, "_client", None)
    export = getattr(client, "export", None)
    if not callable(export):
        return False

    def hearing(data: bytes) -> Any:
        result: Any = export(data)
        if result.success and 300 <= (result.status_code or 0) < 400:  # not followed, so nothing has arrived
            result = dataclasses.replace(result, success=False)
            hear(f"code: {result.status_code}, reason: {result.reason}, a redirect, which is not followed")
        elif not result.success and result.error is not None:
            hear(str(result.error))
        return result

    client.export = hearing
    return True


def folder_of(exporter: Any) -> Any | None:
    """Return the folder that one of our exporters to files writes to; None for others."""
    return getattr(getattr(exporter, "file", None), "folder", None)


def renew_connections(exporter: Any) -> bool:
    """Let an OTLP/HTTP exporter of a forked child open connections of its own. False where it is another exporter.

    The SDK's child goes on with its parent's keep-alive connection: two processes on one TCP stream, each reading the
    other's answers.
    """
    client = getattr(exporter, "_client", None)
    session = getattr(getattr(client, "_transport", None), "_session", None)
    adapters = getattr(session, "adapters", None)
    if session is None or adapters is None:
        return False
    for prefix, adapter in list(adapters.items()):
        if type(adapter).__module__ == "requests.adapters":  # a user's own subclass may not survive the copy
            _parents.append(adapter)
            session.mount(prefix, copy.copy(adapter))  # copies the settings, not the pool
    return True


_parents: list[Any] = []
"""Kept from the collector: closing the parent's pool takes a lock that some thread of the parent may have held."""
