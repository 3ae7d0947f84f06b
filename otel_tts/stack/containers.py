# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of servers that run in containers only, as collector/compose.yaml starts them.

Tempo and Loki are under the AGPL: they are for those who want them, and neither built nor started by us.
"""

from __future__ import annotations

from dataclasses import dataclass

from otel_tts.stack.servers import Port


@dataclass(frozen=True)
class Container:
    """One server that is not built here; the fields mean what they do in `servers.Server`."""

    name: str
    version: str
    image: str
    ports: tuple[Port, ...]
    arguments: tuple[str, ...]


CONTAINERS: tuple[Container, ...] = (
    Container(
        name="tempo",
        version="2.9.0",
        image="grafana/tempo:2.9.0",
        ports=(
            Port("tempo_http", 3200, "traces: search, TraceQL, by id"),
            Port("tempo_grpc", 9095, "between Tempo's own parts", http=False),
            Port("tempo_otlp", 4417, "spans from the Collector", http=False),
        ),
        arguments=("-config.file={collector}/tempo.yaml", "-config.expand-env=true"),
    ),
    Container(
        name="loki",
        version="3.7.8",
        image="grafana/loki:3.7.8",
        ports=(
            Port("loki_http", 3100, "logs: LogQL"),
            Port("loki_grpc", 9096, "between Loki's own parts", http=False),
        ),
        arguments=("-config.file={collector}/loki.yaml", "-config.expand-env=true"),
    ),
)
