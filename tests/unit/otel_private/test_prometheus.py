# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a forked child's page relies on in OpenTelemetry's Prometheus exporter."""

from __future__ import annotations

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from otel_tts.otel_private import prometheus, providers


def test_a_page_begun_anew_has_nothing_of_the_parents() -> None:
    first = CollectorRegistry()
    reader = PrometheusMetricReader(registry=first)
    meters = MeterProvider([reader], Resource({"process.pid": "1"}), shutdown_on_exit=False)
    counter = meters.get_meter("m").create_counter("c")
    counter.add(5)
    assert b"c_total" in generate_latest(first)
    second = prometheus.begin_anew(reader)
    providers.reset_metric_state_after_fork(meters)
    providers.update_resource(meters, {"process.pid": "2"})
    counter.add(1)
    page = generate_latest(second).decode()
    assert 'process_pid="2"' in page
    assert "} 1.0" in page
    assert "5.0" not in page
    meters.shutdown()
