# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The exporter ``prometheus``: a page /metrics for a Prometheus that asks, with the names that it has by OTLP.

The page is made by OpenTelemetry's own Prometheus exporter, behind the privacy gate. Ours listens on this machine only
unless OTEL_EXPORTER_PROMETHEUS_HOST says otherwise, gives forked workers a page each, and writes where they are into
OTEL_TTS_SCRAPE_DIR, in the form of Prometheus's file_sd.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import Gauge, Metric, MetricsData, Sum
from prometheus_client import CollectorRegistry, start_http_server

from otel_tts import forking
from otel_tts.guard import contain
from otel_tts.otel_private import prometheus

NAME: Final = "prometheus"
_LOOPBACK: Final = "127.0.0.1"
_EVERYWHERE: Final = ("0.0.0.0", "::", "")
_PORT: Final = 9464
_MOST_PORTS: Final = 100
"""Ports that are tried, one after the other, where each process has its own."""
_TIDY_EVERY_S: Final = 15.0
"""Seconds between two looks for addresses of workers that are gone."""
PROMOTED: Final = frozenset(
    {
        "service.name",
        "service.namespace",
        "service.version",
        "service.instance.id",
        "deployment.environment.name",
        "host.name",
        "k8s.namespace.name",
        "k8s.pod.name",
    }
)
"""Attributes of the resource that are labels: those that collector/prometheus.yml.template promotes."""


class PullReader(PrometheusMetricReader):
    """Gives a page with this process's metrics to whoever asks."""

    def __init__(self) -> None:
        """Raises OSError where the port is taken, or the folder cannot be written to."""
        self._host = os.environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or _LOOPBACK
        self._first_port = int(os.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "").strip() or _PORT)
        folder = os.environ.get("OTEL_TTS_SCRAPE_DIR", "").strip()
        self._folder = Path(folder).expanduser() if folder else None
        self._server: Any = None
        self._tidied = time.monotonic()
        self._file: Path | None = None
        registry = CollectorRegistry()  # the global one has collectors of others, which no gate has seen
        super().__init__(scope_info_enabled=False, resource_attribute_filter=PROMOTED.__contains__, registry=registry)
        try:
            self._listen(registry)
        except OSError:
            super().shutdown()
            raise
        forking.register("pull", renew=self.renew)

    @property
    def port(self) -> int:
        """Where this process's page is."""
        return self._server.server_port

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        if self._folder is not None and time.monotonic() - self._tidied > _TIDY_EVERY_S:
            self._tidied = time.monotonic()
            contain("pull", _tidy, self._folder)
        super()._receive_metrics(_as_by_otlp(metrics_data), timeout_millis, **kwargs)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Take the page away, and its address."""
        if self._server is None:
            return
        self._close()
        super().shutdown(timeout_millis, **kwargs)
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            contain("pull", _tidy, self._file.parent)

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def renew(self) -> None:
        """In a forked child: the page before is its parent's. Without a folder nobody would find the child's own."""
        if self._server is not None:
            self._server.socket.close()
        self._server = self._file = None
        registry = prometheus.begin_anew(self)
        if self._folder is not None:
            self._listen(registry)

    def _listen(self, registry: CollectorRegistry) -> None:
        failure: OSError | None = None
        for port in self._ports():
            try:
                self._server, _ = start_http_server(port, self._host, registry)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                failure = error
        if self._server is None:
            assert failure is not None
            raise failure
        if self._folder is not None:
            self._tell(self._folder)

    def _ports(self) -> Iterator[int]:
        if self._folder is None or self._first_port == 0:
            return iter((self._first_port,))
        return iter(range(self._first_port, min(self._first_port + _MOST_PORTS, 65536)))

    def _tell(self, folder: Path) -> None:
        """Write this process's address, and take away those of processes of this machine that are gone."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _tidy(folder)
            here = socket.gethostname()
            host = here if self._host in _EVERYWHERE else self._host
            target = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
            self._file = folder / f"{here}-{os.getpid()}.json"
            unfinished = self._file.with_suffix(".new")
            unfinished.write_text(json.dumps([{"targets": [target]}]) + "\n", encoding="utf-8")
            unfinished.replace(self._file)
        except OSError as error:
            self._close()
            raise OSError(error.errno, f"OTEL_TTS_SCRAPE_DIR={folder}: {error.strerror}") from error


def _tidy(folder: Path) -> None:
    for file in folder.glob(f"{socket.gethostname()}-*.json"):
        process = file.stem.rpartition("-")[2]
        if process.isdecimal() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                file.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether it has ended and nobody has asked how, as in a container whose first process takes its time."""
    try:
        said = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return said.rpartition(")")[2].split()[:1] == ["Z"]


def _as_by_otlp(data: MetricsData) -> MetricsData:
    """Name a gauge of unit 1 as Prometheus does what it gets by OTLP: the exporter leaves the suffix out."""
    return MetricsData(
        resource_metrics=[
            dataclasses.replace(
                resource,
                scope_metrics=[
                    dataclasses.replace(scope, metrics=[_renamed(metric) for metric in scope.metrics])
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ]
    )


def _renamed(metric: Metric) -> Metric:
    is_gauge = isinstance(metric.data, Gauge) or (isinstance(metric.data, Sum) and not metric.data.is_monotonic)
    if not is_gauge or metric.unit != "1" or metric.name.endswith("ratio"):
        return metric
    return dataclasses.replace(metric, name=f"{metric.name}.ratio")
