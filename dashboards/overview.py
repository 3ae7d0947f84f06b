# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""TTS overview: whether the service is healthy, and where to look when it is not."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from dashboards import queries as q
from dashboards.panels import (
    graph,
    light,
    log_lines,
    log_table,
    metric_table,
    text_variable,
    trace_table,
    variable,
)
from otel_tts import names

UID = "tts-overview"

# Edges of the histograms' buckets: a quantile is exact there, and the alert rules stand on the same ones.
SLOW, VERY_SLOW = 3.0, 10.0
LATE, VERY_LATE = 1.0, 3.0
NEAR_REAL_TIME, REAL_TIME = 0.7, 1.0
OLD, STUCK = 20.0, 60.0

QUANTILES = (("P50", 0.5), ("P95", 0.95), ("P99", 0.99))


def build() -> dashboard.Dashboard:
    """The dashboard, rows from the most asked question to the least."""
    board = (
        dashboard.Dashboard("TTS overview")
        .uid(UID)
        .description("Speech synthesis as otel-tts sees it. The first row says whether the service is healthy now.")
        .tags(["otel-tts"])
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
    )
    _add_variables(board)
    _add_health(board)
    _add_requests(board)
    _add_stages(board)
    _add_speech(board)
    _add_culprits(board)
    _add_telemetry(board)
    return board


def _add_variables(board: dashboard.Dashboard) -> None:
    requests = q.translate(names.REQUESTS)
    service = f'{requests}{{service_name=~"$service"}}'
    # Loki refuses a matcher that also matches nothing, so All is `.+` for the service, which every series has.
    # A model may be unknown, and then has no label.
    board.with_variable(variable("service", "Service", f"label_values({requests}, service_name)", ".+"))
    board.with_variable(variable("engine", "Engine", f"label_values({service}, {q.ENGINE})", ".*"))
    board.with_variable(variable("model", "Model", f"label_values({service}, {q.MODEL})", ".*"))
    board.with_variable(text_variable("slower_than", "Slow is over", "3s"))


def _add_health(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Is it healthy now? The last five minutes: green is well, red needs you"))
    share_steps = ((0.01, "yellow"), (0.05, "red"))
    for panel in (
        light(
            "Requests",
            "Syntheses that ended, a second. “no telemetry”: no service has sent any metrics for five minutes.",
            "reqps",
            f"sum({q.counted(q.select(names.REQUESTS), q.NOW)}) / {q.NOW_SECONDS}",
            absent="no telemetry",
        ),
        light(
            "Failed",
            "Share of requests that got no usable speech: error, rejected, or anomalous (empty, silent, broken audio). "
            "Cancelled requests do not count. Red from 5 %, where the alert stands. Next: Top failures, Failing lines.",
            "percentunit",
            q.failed_share(q.NOW),
            share_steps,
            absent="no requests",
        ),
        light(
            "Audio anomalies",
            "Anomalies for each audio delivered: silence, clipping, clicks, wrong format and so on, also where the "
            "request counts as ok. Next: Audio anomalies by type.",
            "percentunit",
            q.anomalies_share(q.NOW),
            share_steps,
            absent="no audio",
        ),
        light(
            "Duration P95",
            "95 of 100 requests took no longer. Next: Stage time P95 shows which stage it is.",
            "s",
            q.quantile(0.95, names.REQUEST_DURATION, window=q.NOW),
            ((SLOW, "yellow"), (VERY_SLOW, "red")),
            absent="no requests",
        ),
        light(
            "First audio P95",
            "Until the listener hears something: time to first byte plus silence at the start.",
            "s",
            q.quantile(0.95, names.FIRST_AUDIO, window=q.NOW),
            ((LATE, "yellow"), (VERY_LATE, "red")),
            absent="no audio",
        ),
        light(
            "Real-time factor P95",
            "Time in the engine for a second of audio. From 1 on it speaks faster than it computes: streams stutter.",
            "none",
            q.quantile(0.95, names.RTF, window=q.NOW),
            ((NEAR_REAL_TIME, "yellow"), (REAL_TIME, "red")),
            absent="no audio",
        ),
        light(
            "Oldest open stage",
            "How long the oldest stage that has not ended is open. Red from a minute: a request hangs. "
            "Next: the REQ_STUCK line under Failing lines names it.",
            "s",
            f"max({q.freshest(q.select(names.OPEN_AGE))})",
            ((OLD, "yellow"), (STUCK, "red")),
            absent="none",
        ),
        light(
            "Telemetry lost",
            "Spans, points and log records that were dropped in a service or given up by the Collector. "
            "While it is not 0 the other numbers may be too low. Next: the last row.",
            "short",
            q.lost(q.NOW),
            ((1, "red"),),
            absent="no telemetry",
        ),
    ):
        board.with_panel(panel)


def _add_requests(board: dashboard.Dashboard) -> None:
    outcomes = q.counted(q.select(names.REQUESTS), q.TREND)
    failed = f"sum by ({q.OUTCOME}) ({q.counted(q.select(names.REQUESTS, q.FAILED), q.TREND)})"
    wanted = f"sum({q.counted(q.select(names.REQUESTS, q.WANTED), q.TREND)}) > 0"
    outcome = f"{{{{{q.OUTCOME}}}}}"
    board.with_row(dashboard.Row("Requests and how long they take"))
    board.with_panel(
        graph(
            "Requests by outcome",
            "Syntheses that ended, a second, by how they ended.",
            "reqps",
            (outcome, f"sum by ({q.OUTCOME}) ({outcomes}) * 1000 / $__rate_interval_ms"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Failed requests, share by outcome",
            "Of all requests but cancelled ones. The line at 5 % is the alert's.",
            "percentunit",
            (outcome, f"{failed} / on() group_left() ({wanted})"),
            line_at=((0.05, "red"),),
            stacked=True,
            absent="no failed requests",
        )
    )
    board.with_panel(
        graph(
            "Active requests",
            "Syntheses under way, by engine.",
            "short",
            (f"{{{{{q.ENGINE}}}}}", f"sum by ({q.ENGINE}) ({q.freshest(q.select(names.REQUESTS_ACTIVE))})"),
        )
    )
    for title, meaning, metric, line in (
        ("Request duration", "A synthesis from start to end. Dots lead to a trace.", names.REQUEST_DURATION, SLOW),
        (
            "Time to first audio",
            "Until the first audible sample: time to first byte plus leading silence. Dots lead to a trace.",
            names.FIRST_AUDIO,
            LATE,
        ),
        (
            "Time to first byte",
            "Until the first chunk of audio, from the server span's start where there is one. Dots lead to a trace.",
            names.FIRST_BYTE,
            LATE,
        ),
    ):
        lines = [(legend, q.quantile(level, metric)) for legend, level in QUANTILES]
        board.with_panel(graph(title, meaning, "s", *lines, exemplars=True, line_at=((line, "yellow"),)))


def _add_stages(board: dashboard.Dashboard) -> None:
    stage = f"{{{{{q.STAGE}}}}}"
    board.with_row(dashboard.Row("Stages: where the time goes"))
    for legend, level in QUANTILES:
        board.with_panel(
            graph(
                f"Stage time {legend}",
                f"{legend} of a request's time in each stage, all its segments together. Dots lead to a trace.",
                "s",
                (stage, q.quantile(level, names.STAGE_DURATION, q.STAGE)),
                exemplars=True,
                line_at=((SLOW, "red"),) if legend == "P95" else (),
            )
        )
    board.with_panel(
        graph(
            "Open stages",
            "Age of the oldest open stage. A line that climbs is a request that hangs there.",
            "s",
            (f"{{{{{q.ENGINE}}}}} {stage}", f"max by ({q.ENGINE}, {q.STAGE}) ({q.freshest(q.select(names.OPEN_AGE))})"),
            line_at=((STUCK, "red"),),
            width=12,
            absent="no open stages",
        )
    )
    waits = [(legend, q.quantile(level, names.QUEUE_DURATION)) for legend, level in QUANTILES]
    board.with_panel(
        graph(
            "Waiting",
            "In a job queue before the synthesis, or for the engine's lock. Much waiting: too few workers.",
            "s",
            *waits,
            exemplars=True,
            width=12,
            absent="nobody waited",
        )
    )


def _add_speech(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Speech"))
    factors = [(legend, q.quantile(level, names.RTF)) for legend, level in QUANTILES[:2]]
    board.with_panel(
        graph(
            "Real-time factor",
            "Time in the engine for a second of audio. Over the line at 1 it computes slower than it speaks.",
            "none",
            *factors,
            exemplars=True,
            line_at=((REAL_TIME, "red"),),
        )
    )
    found = q.counted(q.select(names.AUDIO_ANOMALIES), q.TREND)
    board.with_panel(
        graph(
            "Audio anomalies by type",
            "Audio that looks wrong, a minute. What the types mean is in docs/names.md.",
            "cpm",
            (f"{{{{{q.ANOMALY}}}}}", f"sum by ({q.ANOMALY}) ({found}) * 60000 / $__rate_interval_ms"),
            stacked=True,
            absent="no anomalies",
        )
    )
    spoken = q.select(names.AUDIO_SECONDS, part="_sum")
    board.with_panel(
        graph(
            "Audio made",
            "Seconds of audio made each second, by engine: how many listeners could be served at once.",
            "none",
            (f"{{{{{q.ENGINE}}}}}", f"sum by ({q.ENGINE}) (rate({spoken}[{q.TREND}]))"),
        )
    )
    wanted = f"sum by ({q.VOICE}) ({q.counted(q.select(names.REQUESTS, q.WANTED), '$__range')}) > 0"
    good = q.counted(q.select(names.REQUESTS, f'{q.OUTCOME}="{names.Outcome.OK}"'), "$__range")
    board.with_panel(
        metric_table(
            "Success by voice",
            "Requests over the dashboard's time range and the share that ended ok. Voices beyond the list are “other”.",
            q.VOICE,
            "Voice",
            ("Requests", wanted),
            ("Success", f"(sum by ({q.VOICE}) ({good}) or 0 * ({wanted})) / ({wanted})"),
            units={"Success": "percentunit"},
        )
    )
    board.with_panel(
        log_table(
            "Top failures",
            "The ten most frequent failures over the dashboard's time range, from the REQ_FAIL lines.",
            q.top_failures(),
            {"failure": "Error or anomaly", "failed_stage": "Stage", "how": "Outcome"},
            "Requests",
        )
    )


def _add_culprits(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Which requests"))
    board.with_panel(
        log_lines(
            "Failing lines",
            "Requests that failed, were cancelled or hang. Open a line: its trace_id is a link to the trace.",
            q.lines("REQ_(FAIL|STUCK)"),
        )
    )
    board.with_panel(
        trace_table(
            "Slowest syntheses",
            "Of the latest hundred that took longer than “Slow is over”, the slowest first.",
            q.syntheses("duration>$slower_than"),
        )
    )
    board.with_panel(
        trace_table(
            "Failed syntheses",
            "The latest hundred that ended as error, anomalous or rejected.",
            q.syntheses(f'span.{names.OUTCOME}=~"{q.FAILURES}"'),
        )
    )
    board.with_panel(
        log_lines(
            "All requests",
            "The lines of every request: REQ_START, REQ_SUCCESS, REQ_FAIL, REQ_STUCK, STAGE_TIME.",
            q.lines("REQ_(START|SUCCESS|FAIL|STUCK)|STAGE_TIME"),
        )
    )


def _add_telemetry(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Is the telemetry itself healthy?"))
    for title, meaning, metric in (
        ("Dropped in services", "Telemetry that could not be kept, by reason. Should be empty.", names.DROPPED),
        (
            "Redacted",
            "Attributes and texts removed by the privacy gate, by reason. Some is usual: the gate at work.",
            names.REDACTED,
        ),
        ("Faults in otel-tts", "Errors inside otel-tts, all contained, by reason. Should be empty.", names.FAULTS),
    ):
        grown = q.counted(q.select(metric), q.TREND)
        board.with_panel(graph(title, meaning, "short", ("{{reason}}", f"sum by (reason) ({grown})"), absent="none"))
    size, capacity = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"
    board.with_panel(
        graph(
            "Collector: queues",
            "How full each exporter's queue is. It grows while a backend is away, and empties afterwards.",
            "percentunit",
            ("{{exporter}}", f"max by (exporter) ({size} / {capacity})"),
            line_at=((0.8, "red"),),
        )
    )
    for title, meaning, counter in (
        (
            "Collector: refused",
            "Sent back to the services, which try again: queues are full or memory is short.",
            "receiver_refused",
        ),
        (
            "Collector: given up",
            "Not accepted by a backend, and gone: look at the Collector's log.",
            "exporter_send_failed",
        ),
    ):
        by_signal = [
            (legend, f"sum({q.counted(f'otelcol_{counter}_{signal}', q.TREND)})")
            for legend, signal in (("spans", "spans"), ("metric points", "metric_points"), ("logs", "log_records"))
        ]
        board.with_panel(graph(title, meaning, "short", *by_signal, absent="none"))
