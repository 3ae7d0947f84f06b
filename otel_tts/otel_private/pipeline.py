# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The three providers of this process, and which of them were made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

SIGNALS: Final = ("traces", "metrics", "logs")
_SDK: Final = {"traces": TracerProvider, "metrics": MeterProvider, "logs": LoggerProvider}


@dataclass(frozen=True)
class Pipeline:
    """`joined` names the signals whose provider the application had set before: used, never replaced nor shut down."""

    traces: Any
    metrics: Any
    logs: Any
    joined: frozenset[str] = frozenset()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """By signal, the exporters that were asked for and could not be made."""

    def provider(self, signal: str) -> Any:
        """Return the provider of traces, metrics or logs."""
        return getattr(self, signal)

    @property
    def all(self) -> tuple[Any, Any, Any]:
        """Tracer, meter and logger provider."""
        return self.traces, self.metrics, self.logs

    def foreign(self) -> list[str]:
        """Signals whose provider is set but not the SDK's: what it exports cannot be gated."""
        return [s for s in SIGNALS if _is_set(self.provider(s)) and not isinstance(self.provider(s), _SDK[s])]


def global_pipeline(
    joined: frozenset[str] = frozenset(), left_out: Mapping[str, Sequence[str]] | None = None
) -> Pipeline:
    """Return the global providers as they are now."""
    return Pipeline(*_global_providers().values(), joined=joined, left_out=left_out or {})


def already_set() -> frozenset[str]:
    """Name the signals that have a global provider: proxies, which stand in until there is one, do not count."""
    return frozenset(signal for signal, provider in _global_providers().items() if _is_set(provider))


def _is_set(provider: Any) -> bool:
    return type(provider).__module__.partition(".")[0] != "opentelemetry" or "Proxy" not in type(provider).__name__


def _global_providers() -> dict[str, Any]:
    return {
        "traces": trace.get_tracer_provider(),
        "metrics": metrics.get_meter_provider(),
        "logs": _logs.get_logger_provider(),
    }
