# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the stores of a running stack can be asked, for who reads back."""

from __future__ import annotations

from typing import Final

from otel_tts.stack.run import Stack

KEEPS_S: Final = 7 * 86400.0
"""How long Jaeger and VictoriaLogs keep what they have here; their configurations say the same."""

_PORTS: Final = {
    "jaeger": ("traces", "jaeger+", "jaeger_http"),
    "victorialogs": ("logs", "victorialogs+", "victorialogs"),
    "prometheus": ("metrics", "prometheus+", "prometheus"),
}


def addresses(stack: Stack) -> dict[str, str]:
    """The URLs of the stores that run, by signal, each with its kind: `jaeger+http://127.0.0.1:16686`."""
    running = [status.server.name for status in stack.status() if status.running]
    return {signal: kind + stack.url(port) for name, (signal, kind, port) in _PORTS.items() if name in running}
