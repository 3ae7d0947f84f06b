# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""PromQL, LogQL and TraceQL from the names in otel_tts.names, filtered by the dashboard's variables."""

from __future__ import annotations

from otel_tts import names
from otel_tts.names import Metric, Outcome
from otel_tts.readers.promql import counted, translate

NOW = "5m"
"""Window of what is shown as the present state; the alert rules use the same."""

NOW_SECONDS = 300

TREND = "$__rate_interval"
"""Window of a point in a graph: at least four export intervals."""

OUTCOME = names.OUTCOME.replace(".", "_")
STAGE = names.STAGE.replace(".", "_")
ENGINE = names.ENGINE.replace(".", "_")
MODEL = names.MODEL.replace(".", "_")
VOICE = names.VOICE.replace(".", "_")
ANOMALY = names.AUDIO_ANOMALY.replace(".", "_")

FAILURES = "|".join((Outcome.ERROR, Outcome.ANOMALOUS, Outcome.REJECTED))
FAILED = f'{OUTCOME}=~"{FAILURES}"'
"""The caller wanted speech and got none that can be heard. A cancelled request is not a failure."""

WANTED = f'{OUTCOME}!="{Outcome.CANCELLED}"'
DELIVERED = f'{OUTCOME}=~"{Outcome.OK}|{Outcome.ANOMALOUS}"'

# The Collector's own metrics; no `_total` on its counters, since its Prometheus reader is told of no suffixes.
COLLECTOR_METRICS = frozenset(
    {"otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"}
    | {
        f"otelcol_{counter}_{signal}"
        for counter in ("receiver_refused", "exporter_send_failed")
        for signal in ("spans", "metric_points", "log_records")
    }
)


def select(metric: Metric, *matchers: str, part: str = "") -> str:
    """The series of a metric that the dashboard's variables choose; `part` is `_bucket`, `_sum` or `_count`.

    A variable filters only metrics that have its label: a chosen model does not empty the graphs by stage.
    """
    chosen = ['service_name=~"$service"']
    chosen += [f'{ENGINE}=~"$engine"'] if names.ENGINE in metric.labels else []
    chosen += [f'{MODEL}=~"$model"'] if names.MODEL in metric.labels else []
    return f"{translate(metric)}{part}{{{','.join([*chosen, *matchers])}}}"


def failed_share(window: str) -> str:
    """Failed requests of those that wanted speech, 0 to 1; absent without requests."""
    failed = f"sum({counted(select(names.REQUESTS, FAILED), window)})"
    wanted = f"sum({counted(select(names.REQUESTS, WANTED), window)})"
    return f"({failed} or vector(0)) / ({wanted} > 0)"


def anomalies_share(window: str) -> str:
    """Anomalies found per audio delivered; absent without audio. Can exceed 1: an audio may have several."""
    found = f"sum({counted(select(names.AUDIO_ANOMALIES), window)})"
    delivered = f"sum({counted(select(names.REQUESTS, DELIVERED), window)})"
    return f"({found} or vector(0)) / ({delivered} > 0)"


def quantile(q: float, metric: Metric, *by: str, window: str = TREND) -> str:
    """A quantile of a histogram over all instances, by labels. Needs two exports of a series: see rate()."""
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({q}, sum by ({labels}) (rate({select(metric, part='_bucket')}[{window}])))"


def freshest(series: str) -> str:
    """The last value of a gauge, as long as it is exported.

    Prometheus shows a value that was pushed for five minutes: a stage that has ended, or a request of a worker that has
    gone, should not look open so long.
    """
    return f"last_over_time({series}[2m])"


def lost(window: str) -> str:
    """Spans, points and log records that are gone for good: dropped in a service, or given up by the Collector.

    Nobody counts what never happened: 0 where services do report, absent where none does.
    """
    series = [select(names.DROPPED)]
    series += [f"otelcol_exporter_send_failed_{signal}" for signal in ("spans", "metric_points", "log_records")]
    # Numbered, since `or` joins only what differs in its labels.
    parts = (f'label_replace(sum({counted(one, window)}), "part", "{n}", "", "")' for n, one in enumerate(series))
    return f"sum({' or '.join(parts)}) or 0 * sum({select(names.REQUESTS)})"


def lines(pattern: str) -> str:
    """Log lines of the chosen services and engines that contain a pattern."""
    return f'{{service_name=~"$service"}} |~ "{pattern}" | {ENGINE}=~"$engine"'


def top_failures() -> str:
    """The ten most frequent failures by error type, stage and outcome over the dashboard's range.

    The fields are read from the line under names of their own, so that lines from files count as well as OTLP records,
    whose metadata has fields of the same names. Not by `logfmt name="field"`: Loki 3.7 leaves such labels empty inside
    `sum by`.
    """
    fields = {"failure": "error_type", "failed_stage": "stage", "how": "status"}
    read = " ".join(f'| regexp " {field}=(?P<{label}>[^ ]+)"' for label, field in fields.items())
    failures = f'{lines(names.REQ_FAIL)} {read} | how!="{Outcome.CANCELLED}"'
    return f"topk(10, sum by ({', '.join(fields)}) (count_over_time({failures} [$__range])))"


def syntheses(condition: str) -> str:
    """Syntheses of the chosen services and engines that meet a TraceQL condition, with what one asks first."""
    wanted = (
        names.REQUEST_ID,
        names.ENGINE,
        names.MODEL,
        names.OUTCOME,
        names.ERROR_TYPE,
        names.TEXT_LENGTH,
        names.AUDIO_DURATION,
        names.REAL_TIME_FACTOR,
    )
    conditions = (
        'resource.service.name=~"$service"',
        f'span.{names.OPERATION_NAME}="{names.OPERATION}"',
        f'span.{names.ENGINE}=~"$engine"',
        # Not by model: it may be unknown, and TraceQL cannot ask for "this one or none".
        condition,
    )
    return f"{{ {' && '.join(conditions)} }} | select({', '.join(f'span.{key}' for key in wanted)})"
