# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""PromQL from the names in otel_tts.names, filtered by the boards' variables."""

from __future__ import annotations

from dashboards import foreign
from otel_tts import names
from otel_tts.names import Metric, Outcome
from otel_tts.readers.promql import counted, label, translate

NOW = "5m"
"""Window of what is shown as the present state; the alert rules use the same."""

NOW_SECONDS = 300

TREND = "$__rate_interval"
"""Window of a point in a graph: at least four export intervals."""

OUTCOME = label(names.OUTCOME)
STAGE = label(names.STAGE)
ENGINE = label(names.ENGINE)
MODEL = label(names.MODEL)
VOICE = label(names.VOICE)
ERROR = label(names.ERROR_TYPE)
ANOMALY = label(names.AUDIO_ANOMALY)
GPU = label(names.HW_ID)

FAILURES = "|".join((Outcome.ERROR, Outcome.ANOMALOUS, Outcome.REJECTED))
FAILED = f'{OUTCOME}=~"{FAILURES}"'
"""The caller wanted speech and got none that can be heard. A cancelled request is not a failure."""

WANTED = f'{OUTCOME}!="{Outcome.CANCELLED}"'
DELIVERED = f'{OUTCOME}=~"{Outcome.OK}|{Outcome.ANOMALOUS}"'


def select(metric: Metric, *matchers: str, part: str = "") -> str:
    """The series of a metric that the dashboard's variables choose; `part` is `_bucket`, `_sum` or `_count`.

    A variable filters only metrics that have its label: a chosen model does not empty the graphs by stage.
    """
    chosen = ['service_name=~"$service"']
    chosen += [f'{ENGINE}=~"$engine"'] if names.ENGINE in metric.labels else []
    chosen += [f'{MODEL}=~"$model"'] if names.MODEL in metric.labels else []
    chosen += [f'{GPU}=~"$gpu"'] if names.HW_ID in metric.labels else []
    return f"{translate(metric)}{part}{{{','.join([*chosen, *matchers])}}}"


def failed_share(window: str) -> str:
    """Failed requests of those that wanted speech, 0 to 1; absent without requests."""
    failed = f"sum({counted(select(names.REQUESTS, FAILED), window)})"
    wanted = f"sum({counted(select(names.REQUESTS, WANTED), window)})"
    return f"({failed} or vector(0)) / ({wanted} > 0)"


def total(metric: Metric, *matchers: str, by: tuple[str, ...] = (), window: str = TREND, part: str = "") -> str:
    """By how much a counter grew in a window, summed by labels."""
    grown = counted(select(metric, *matchers, part=part), window)
    return f"sum by ({', '.join(by)}) ({grown})" if by else f"sum({grown})"


def a_second(metric: Metric, *matchers: str, by: tuple[str, ...] = (), part: str = "") -> str:
    """A counter's growth a second, for a point of a graph."""
    return f"{total(metric, *matchers, by=by, part=part)} * 1000 / $__rate_interval_ms"


def rate(metric: Metric, *matchers: str, by: tuple[str, ...] = (), part: str = "", offset: str = "") -> str:
    """rate() of a sum, for quotients of which both sides lack a series' first value."""
    moved = f" offset {offset}" if offset else ""
    series = f"rate({select(metric, *matchers, part=part)}[{TREND}]{moved})"
    return f"sum by ({', '.join(by)}) ({series})" if by else f"sum({series})"


def mean(metric: Metric, *by: str) -> str:
    """The mean of a histogram's values, by labels."""
    return f"{rate(metric, by=by, part='_sum')} / ({rate(metric, by=by, part='_count')} > 0)"


def at_most(metric: Metric, edge: float, window: str = TREND) -> str:
    """The share of a histogram's values that are not above an edge, 0 to 1; absent without values."""
    if edge not in metric.edges:
        raise ValueError(f"{metric.name} has no edge at {edge}: a share there would be a guess")
    under = f'le="{edge:g}"'
    within = f"sum(rate({select(metric, under, part='_bucket')}[{window}]))"
    return f"{within} / (sum(rate({select(metric, part='_count')}[{window}])) > 0)"


def anomalous_share(window: str, *anomalies: str) -> str:
    """These anomalies (none: all) found per audio delivered; absent without audio. One audio may have several."""
    which = (f'{ANOMALY}=~"{"|".join(anomalies)}"',) if anomalies else ()
    found = f"sum({counted(select(names.AUDIO_ANOMALIES, *which), window)})"
    delivered = f"sum({counted(select(names.REQUESTS, DELIVERED), window)})"
    return f"({found} or vector(0)) / ({delivered} > 0)"


def floor(series: str, by: str, window: str = "10m") -> str:
    """The least that was held within a window: what stays whatever the requests in it did."""
    return f"max by ({by}) (min_over_time({series}[{window}]))"


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
    series += [f"otelcol_exporter_send_failed_{signal}" for signal in foreign.SIGNALS]
    # Numbered, since `or` joins only what differs in its labels.
    parts = (f'label_replace(sum({counted(one, window)}), "part", "{n}", "", "")' for n, one in enumerate(series))
    return f"sum({' or '.join(parts)}) or 0 * sum({select(names.REQUESTS)})"
