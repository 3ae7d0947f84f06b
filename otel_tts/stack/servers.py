# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of servers: what each is built from, which ports it listens on, how it is started and when it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"

# The directory of `tools/` whose builder makes the Collector out of builder.yaml.
COLLECTOR = "otelcol"


@dataclass(frozen=True)
class Port:
    """A TCP port of a server. `name` is what `--port` and the configurations call it."""

    name: str
    default: int
    role: str
    http: bool = True


@dataclass(frozen=True)
class Server:
    """One server.

    `image` is its container; empty where compose.yaml has another server in its place. `arguments` are formatted with
    the ports by name and with `collector` (folder of configurations), `rendered` (folder of rendered files), `state`
    (folder of its data) and `bind`. `check` is the binary and the arguments that verify its configuration without
    starting it; empty where nothing does. `stop_seconds` is how long it may take to stop, `build_seconds` how long its
    build takes on two cores where Go has compiled nothing of it before. `environment` is added to the stack's.
    """

    name: str
    title: str
    version: str
    image: str
    binaries: tuple[str, ...]
    ports: tuple[Port, ...]
    ready: tuple[str, str]  # the port's name and the path that answers 200 when it can work
    arguments: tuple[str, ...]
    check: tuple[str, ...]
    stop_seconds: float = 30.0
    build_seconds: int = 60
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def binary(self) -> str:
        """The file name of the server itself; the others are its tools."""
        return self.binaries[0]

    @property
    def tools(self) -> str:
        """The folder in collector/tools with the server's Go module."""
        return self.name


# In the order in which they are started: who sends comes after who receives.
SERVERS: tuple[Server, ...] = (
    Server(
        name="jaeger",
        title="Jaeger",
        version="1.76.0",
        image="",
        binaries=("jaeger",),
        ports=(
            Port("jaeger_http", 16686, "traces: search, by id, a page"),
            Port("jaeger_grpc", 16685, "traces: the same over gRPC", http=False),
            Port("jaeger_otlp", 4417, "spans from the Collector", http=False),
            Port("jaeger_health", 13134, "is Jaeger up"),
            Port("jaeger_metrics", 8889, "Jaeger's own metrics"),
        ),
        build_seconds=135,
        ready=("jaeger_health", "/status"),
        arguments=("--config={collector}/jaeger.yaml",),
        check=("jaeger", "validate", "--config={collector}/jaeger.yaml"),
        # What Go itself holds; the maps of its files come on top. A queue that empties would make it take much more.
        environment={"GOMEMLIMIT": "768MiB"},
    ),
    Server(
        name="victorialogs",
        title="VictoriaLogs",
        version="1.52.1",
        image="",
        binaries=("victoria-logs",),
        ports=(Port("victorialogs", 9428, "logs: LogsQL, a page at /select/vmui"),),
        build_seconds=10,
        ready=("victorialogs", "/health"),
        arguments=(
            "-storageDataPath={state}/victorialogs/data",
            "-httpListenAddr={bind}:{victorialogs}",
            "-http.header.disableServerHostname",
            "-opentelemetry.maxRequestSize=64MiB",
            "-retentionPeriod=7d",
            # It answers before anything is on disk, and a kill loses what came since: as little as can be set.
            "-inmemoryDataFlushInterval=1s",
            "-memory.allowedBytes=256MiB",
            # Its warnings quote records: short ones.
            "-loggerLevel=WARN",
            "-loggerMaxArgLen=200",
        ),
        check=(),  # it has flags only, and no way to check them without starting
    ),
    Server(
        name="alertmanager",
        title="Alertmanager",
        version="0.31.1",
        image="prom/alertmanager:v0.31.1",
        binaries=("alertmanager", "amtool"),
        ports=(Port("alertmanager", 9093, "alerts: grouping, silences"),),
        build_seconds=20,
        ready=("alertmanager", "/-/ready"),
        arguments=(
            "--config.file={rendered}/alertmanager.yml",
            "--storage.path={state}/alertmanager",
            "--web.listen-address={bind}:{alertmanager}",
            "--cluster.listen-address=",
        ),
        check=("amtool", "check-config", "{rendered}/alertmanager.yml"),
    ),
    Server(
        name="prometheus",
        title="Prometheus",
        version="3.14.0",
        image="prom/prometheus:v3.14.0",
        binaries=("prometheus", "promtool"),
        ports=(Port("prometheus", 9090, "metrics: PromQL, rules"),),
        build_seconds=180,
        ready=("prometheus", "/-/ready"),
        arguments=(
            "--config.file={rendered}/prometheus.yml",
            "--storage.tsdb.path={state}/prometheus",
            # The monthly report reads a month back; the size keeps it bounded.
            "--storage.tsdb.retention.time=90d",
            "--storage.tsdb.retention.size=10GB",
            "--web.listen-address={bind}:{prometheus}",
            "--web.enable-otlp-receiver",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
        ),
        check=("promtool", "check", "config", "{rendered}/prometheus.yml"),
    ),
    Server(
        name=COLLECTOR,
        title="OpenTelemetry Collector",
        version="0.158.0",
        image="otel/opentelemetry-collector-contrib:0.158.0",
        binaries=("otelcol-tts",),
        ports=(
            Port("otlp_grpc", 4317, "OTLP over gRPC, from your services", http=False),
            Port("otlp_http", 4318, "OTLP over HTTP, from your services"),
            Port("collector_health", 13133, "is the Collector up"),
            Port("collector_metrics", 8888, "the Collector's own metrics"),
        ),
        build_seconds=130,
        ready=("collector_health", "/"),
        arguments=("--config={collector}/otelcol.yaml",),
        check=("otelcol-tts", "validate", "--config={collector}/otelcol.yaml"),
    ),
)

# No server and no part of a stack: it makes rules of objectives (dashboards/objectives.py), and is built as they are.
SLOTH = Server(
    name="sloth",
    title="Sloth",
    version="0.16.0",
    image="",
    binaries=("sloth",),
    ports=(),
    build_seconds=90,
    ready=("", ""),
    arguments=(),
    check=(),
)

# No part of a stack either: an S3 server, for tests of what `otel-tts archive` uploads.
VERSITYGW = Server(
    name="versitygw",
    title="Versity S3 gateway",
    version="1.8.0",
    image="",
    binaries=("versitygw",),
    ports=(),
    build_seconds=90,
    ready=("", ""),
    arguments=(),
    check=(),
)

# Who takes telemetry and keeps it comes first: with the Collector alone a service can send already.
BUILD_ORDER: tuple[str, ...] = (COLLECTOR, "victorialogs", "jaeger", "prometheus", "alertmanager")

BY_NAME: Mapping[str, Server] = {server.name: server for server in SERVERS}
PORTS: Mapping[str, Port] = {port.name: port for server in SERVERS for port in server.ports}
DEFAULT_PORTS: Mapping[str, int] = {name: port.default for name, port in PORTS.items()}


def owner(port: str) -> Server:
    """The server that listens on the port of this name."""
    return next(server for server in SERVERS if any(candidate.name == port for candidate in server.ports))


def environment(state: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """The variables that otelcol.yaml reads, for servers that all run on this machine."""
    listening = {f"STACK_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    return listening | {
        "STACK_STATE": str(state),
        "STACK_BIND": LOOPBACK,
        "STACK_TRACES": f"{LOOPBACK}:{ports['jaeger_otlp']}",
        "STACK_LOGS": f"http://{LOOPBACK}:{ports['victorialogs']}/insert/opentelemetry",
        "STACK_PROMETHEUS": f"http://{LOOPBACK}:{ports['prometheus']}",
    }


def command(
    template: tuple[str, ...], state: Path, rendered: Path, collector: Path, ports: Mapping[str, int]
) -> list[str]:
    """Fill in a server's arguments."""
    values: dict[str, object] = {
        "state": state,
        "rendered": rendered,
        "collector": collector,
        "bind": LOOPBACK,
        **ports,
    }
    return [part.format(**values) for part in template]
