# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import re

import pytest

from otel_tts import names
from otel_tts.names import ATTRIBUTES, METRICS, Attribute, Metric

# Constants that are neither an attribute's key nor a log line.
OTHERS = {
    "SCOPE", "DOCTOR", "OPERATION", "SPAN_QUEUE", "SPAN_JOB", "SPAN_TASK", "SPAN_WYOMING", "SPAN_MODEL_LOAD",
    "SPAN_WAIT", "SPAN_LOOP_LATE", "SPAN_ABANDONED", "STAGE_PREFIX", "MEMORY_EVENT", "FILE_EVENT", "OTHER",
    "UNKNOWN_ENGINE",
}  # fmt: skip
# A key that stands on metric points only.
LABEL_ONLY = {names.REASON}
SIZES = (names.SERVER_REQUEST_SIZE, names.SERVER_RESPONSE_SIZE)

KEYS = {attribute.key for attribute in ATTRIBUTES}
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(set(CONSTANTS) - OTHERS))
def test_every_constant_is_in_a_table(name: str) -> None:
    assert CONSTANTS[name] in KEYS | LABEL_ONLY | set(names.LOG_LINES)


def test_every_row_has_a_constant() -> None:
    assert KEYS | set(names.LOG_LINES) <= set(CONSTANTS.values())


def test_every_metric_is_in_the_table_once() -> None:
    defined = [value for value in vars(names).values() if isinstance(value, Metric)]
    assert sorted(m.name for m in defined) == sorted(m.name for m in METRICS)
    assert len({m.name for m in METRICS}) == len(METRICS)


def test_no_key_is_listed_twice() -> None:
    assert len(KEYS) == len(ATTRIBUTES)


def values_of(cls: type) -> set[str]:
    return {value for name, value in vars(cls).items() if name.isupper()}


def test_stages_outcomes_and_silent_failures_are_explained() -> None:
    assert values_of(names.Stage) == set(names.STAGES)
    assert values_of(names.Outcome) == set(names.OUTCOMES)
    assert values_of(names.ColdStart) == set(names.COLD_STARTS)
    assert set(names.ANOMALIES) > names.SILENT_FAILURES


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: a.key)
def test_attributes_are_named_and_explained_as_the_conventions_ask(attribute: Attribute) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*([._][a-z0-9]+)*", attribute.key)
    assert attribute.meaning and not attribute.meaning.endswith(".")
    # A number says what it counts or measures.
    assert bool(attribute.unit) == (attribute.type in ("int", "double", "double[]"))


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_metrics_have_known_labels_and_edges_where_they_are_histograms(metric: Metric) -> None:
    assert set(metric.labels) <= KEYS | LABEL_ONLY
    assert metric.unit and metric.meaning
    assert bool(metric.edges) == (metric.kind == "histogram")
    assert all(low < high for low, high in itertools.pairwise(metric.edges))


def test_labels_have_few_values() -> None:
    unbounded = {names.REQUEST_ID, names.TEXT_LENGTH, names.AUDIO_DURATION, names.ERROR_TYPE}
    # error.type is corrected or uncorrected of the one, of the other bounded: OTEL_TTS_MAX_LABEL_VALUES, then other.
    closed = {names.HW_ERRORS, names.REQUESTS, names.SERVER_DURATION, *SIZES}
    assert not unbounded & {label for metric in METRICS if metric not in closed for label in metric.labels}


def test_metric_names_stay_different_in_prometheus() -> None:
    """tts.a.b and tts.a_b would be one series there."""
    assert len({re.sub(r"\W", "_", metric.name) for metric in METRICS}) == len(METRICS)
