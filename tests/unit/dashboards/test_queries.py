# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How names become queries. That the servers answer them is tested in tests/stack/test_dashboards.py."""

from __future__ import annotations

import pytest

from dashboards import queries
from dashboards.targets import fill
from otel_tts import names


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (names.REQUESTS, "tts_requests_total"),
        (names.REQUEST_DURATION, "tts_request_duration_seconds"),
        (names.REQUESTS_ACTIVE, "tts_requests_active"),
        (names.RTF, "tts_real_time_factor"),
        (names.TEXT_CHARACTERS, "tts_text_length"),
        (names.OPEN_AGE, "tts_stage_open_age_seconds"),
        (names.MEMORY_LEAK, "tts_gpu_memory_leak_bytes"),
        (names.GPU_ENERGY, "tts_gpu_energy_joules_total"),
        (names.DROPPED, "otel_tts_dropped_total"),
        (names.Metric("a.share", "gauge", "1", (), ""), "a_share_ratio"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_translate(metric: names.Metric, name: str) -> None:
    assert queries.translate(metric) == name


def test_a_variable_filters_only_metrics_that_have_its_label() -> None:
    assert queries.select(names.STAGE_DURATION, part="_bucket") == (
        'tts_stage_duration_seconds_bucket{service_name=~"$service",tts_engine_name=~"$engine"}'
    )
    assert queries.select(names.DROPPED, 'reason="x"') == 'otel_tts_dropped_total{service_name=~"$service",reason="x"}'


def test_all_outcomes_are_thought_of() -> None:
    failed = set(queries.FAILURES.split("|"))
    assert failed | {names.Outcome.OK, names.Outcome.CANCELLED} == set(names.OUTCOMES)


def test_fill_knows_no_other_variables() -> None:
    assert fill("x{a=~'$service'}[$__rate_interval] * ${__rate_interval_ms}") == "x{a=~'.+'}[240s] * 240000"
    with pytest.raises(KeyError):
        fill("$nobody")
