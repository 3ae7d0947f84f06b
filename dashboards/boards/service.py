# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Service: whether it is healthy, at one glance, and where to look when it is not."""

from __future__ import annotations

from dashboards import queries as q
from dashboards import thresholds
from dashboards.boards import common
from dashboards.boards.common import MEAN, NO_AUDIO, NO_REQUESTS, NO_TELEMETRY, NONE, legend, quantiles
from dashboards.questions import Ask, Board, Counts, Graph, Light, Lines, Records, Row, Search, Spans, Table, Words
from otel_tts import names
from otel_tts.readers.promql import label

SHARES = ((thresholds.SOME_FAILED, "yellow"), (thresholds.FAILED, "red"))
STATUS = label(names.HTTP_STATUS)
SHOWN = (
    names.REQUEST_ID,
    names.ENGINE,
    names.MODEL,
    names.OUTCOME,
    names.ERROR_TYPE,
    names.TEXT_LENGTH,
    names.AUDIO_DURATION,
    names.REAL_TIME_FACTOR,
)
SYNTHESIS = {names.OPERATION_NAME: names.OPERATION}
FEW: Words = (
    f"Until there were {thresholds.FEWEST_REQUESTS} requests within an hour.",
    f"一小时内达到 {thresholds.FEWEST_REQUESTS} 个请求之前。",
)
ENDED = (names.REQ_SUCCESS, names.REQ_FAIL)

NOW = Row(
    (
        "Is it healthy now? The last five minutes: green is well, red needs you",
        "现在健康吗？最近五分钟：绿色正常，红色需要处理",
    ),
    (
        Light(
            title=("Requests", "请求速率"),
            meaning=(
                "Syntheses that ended, a second. “no telemetry”: no service has sent any metrics for five minutes.",
                "每秒结束的合成请求数。“无遥测”：五分钟内没有任何服务上报指标。",
            ),
            unit="reqps",
            promql=f"sum({q.counted(q.select(names.REQUESTS), q.NOW)}) / {q.NOW_SECONDS}",
            absent=NO_TELEMETRY,
            board=common.TELEMETRY,
        ),
        Light(
            title=("Failed", "失败率"),
            meaning=(
                "Share of requests that got no usable speech: error, rejected, or anomalous (empty, silent, broken "
                "audio). Cancelled requests do not count. Next: Errors by type, Top failures, Failing lines.",
                "没有得到可用语音的请求占比：出错、被拒绝或音频异常（空、静音、损坏）。取消的请求不计。"
                "下一步：按类型看错误、主要失败原因、失败日志。",
            ),
            unit="percentunit",
            promql=q.failed_share(q.NOW),
            steps=SHARES,
            absent=NO_REQUESTS,
        ),
        Light(
            title=("Audio anomalies", "音频异常"),
            meaning=(
                "Anomalies for each audio delivered: silence, clipping, clicks, wrong format and so on, also where the "
                "request counts as ok.",
                "平均每段交付音频的异常数：静音、削波、爆音、格式错误等；请求本身算成功时也计入。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW),
            steps=SHARES,
            absent=NO_AUDIO,
            board=common.AUDIO,
        ),
        Light(
            title=("Duration P95", "耗时 P95"),
            meaning=("95 of 100 requests took no longer.", "100 个请求中有 95 个不超过此耗时。"),
            unit="s",
            promql=q.quantile(0.95, names.REQUEST_DURATION, window=q.NOW),
            steps=((thresholds.SLOW, "yellow"), (thresholds.VERY_SLOW, "red")),
            absent=NO_REQUESTS,
            board=common.STAGES,
        ),
        Light(
            title=("First sound P95", "首声 P95"),
            meaning=(
                "Until the listener hears something: time to first byte plus silence at the start.",
                "听者听到第一个声音的时间：首字节时间加开头静音。",
            ),
            unit="s",
            promql=q.quantile(0.95, names.FIRST_AUDIO, window=q.NOW),
            steps=((thresholds.LATE, "yellow"), (thresholds.VERY_LATE, "red")),
            absent=NO_AUDIO,
            board=common.STAGES,
        ),
        Light(
            title=("Real-time factor P95", "实时率 P95"),
            meaning=(
                "Time in the engine for a second of audio. From 1 on it speaks faster than it computes: streams "
                "stutter.",
                "生成一秒音频所需的引擎时间。大于等于 1 时合成慢于播放，流式会卡顿。",
            ),
            unit="none",
            promql=q.quantile(0.95, names.RTF, window=q.NOW),
            steps=((thresholds.NEAR_REAL_TIME, "yellow"), (thresholds.REAL_TIME, "red")),
            absent=NO_AUDIO,
            board=common.STAGES,
        ),
        Light(
            title=("Oldest open stage", "最久未结束阶段"),
            meaning=(
                "How long the oldest stage that has not ended is open. Red: a request hangs. Next: the REQ_STUCK line "
                "under Failing lines names it.",
                "最久仍未结束的阶段已开启多长时间。红色：有请求卡住。下一步：失败日志中的 REQ_STUCK 行会指出是哪个。",
            ),
            unit="s",
            promql=f"max({q.freshest(q.select(names.OPEN_AGE))})",
            steps=((thresholds.OLD, "yellow"), (thresholds.STUCK, "red")),
            absent=NONE,
            board=common.STAGES,
            empty=("Only while a stage is open.", "仅当有阶段未结束。"),
        ),
        Light(
            title=("Telemetry lost", "遥测丢失"),
            meaning=(
                "Spans, points and log records that were dropped in a service or given up by the Collector. While it "
                "is not 0 the other numbers may be too low.",
                "在服务中被丢弃或被 Collector 放弃的数据条数。不为 0 时，其他数字可能偏低。",
            ),
            unit="short",
            promql=q.lost(q.NOW),
            steps=((1, "red"),),
            absent=NO_TELEMETRY,
            board=common.TELEMETRY,
        ),
    ),
)

_failed = q.total(names.REQUESTS, q.FAILED, by=(q.OUTCOME,))
_wanted = f"{q.total(names.REQUESTS, q.WANTED)} > 0"

TRAFFIC = Row(
    ("Traffic and errors", "流量与错误"),
    (
        Graph(
            title=("Requests by outcome", "按结果的请求"),
            meaning=("Syntheses that ended, a second, by how they ended.", "每秒结束的合成请求，按结果分。"),
            unit="reqps",
            asks=(Ask(legend(q.OUTCOME), q.a_second(names.REQUESTS, by=(q.OUTCOME,))),),
            stacked=True,
            absent=NO_REQUESTS,
        ),
        Graph(
            title=("Failed requests, share by outcome", "失败请求占比（按结果）"),
            meaning=(
                "Of all requests but cancelled ones. The line is where the alert looks twice.",
                "除取消外所有请求中的占比。虚线是告警关注的界限。",
            ),
            unit="percentunit",
            asks=(Ask(legend(q.OUTCOME), f"{_failed} / on() group_left() ({_wanted})"),),
            line_at=((thresholds.FAILED, "red"),),
            stacked=True,
            absent=("no failed requests", "无失败请求"),
        ),
        Graph(
            title=("Errors by type", "按类型的错误"),
            meaning=(
                "Requests that an exception ended, a second, by its class; beyond the bound “other”.",
                "因异常结束的请求，每秒，按异常类名分；超出上限的记为 other。",
            ),
            unit="reqps",
            asks=(Ask(legend(q.ERROR), q.a_second(names.REQUESTS, f'{q.ERROR}!=""', by=(q.ERROR,))),),
            stacked=True,
            absent=("no errors", "无错误"),
        ),
        Graph(
            title=("HTTP statuses", "HTTP 状态码"),
            meaning=(
                "Answers of the web framework a second, by status. Errors here that are not above ended before the "
                "engine.",
                "Web 框架每秒的应答，按状态码分。这里有而上图没有的错误，在到达引擎之前就结束了。",
            ),
            unit="reqps",
            asks=(Ask(legend(STATUS), q.a_second(names.SERVER_DURATION, by=(STATUS,), part="_count")),),
            stacked=True,
            width=8,
            absent=("no web server", "无 Web 服务"),
        ),
        Graph(
            title=("Active requests", "进行中的请求"),
            meaning=("Syntheses under way, by engine.", "正在进行的合成，按引擎分。"),
            unit="short",
            asks=(Ask(legend(q.ENGINE), f"sum by ({q.ENGINE}) ({q.freshest(q.select(names.REQUESTS_ACTIVE))})"),),
        ),
        Graph(
            title=("Waiting", "排队等待"),
            meaning=(
                "In a job queue before the synthesis, or for the engine's lock. Much waiting: too few workers. "
                "Dots lead "
                "to a trace.",
                "在任务队列中或等待引擎锁的时间。等待多说明工作进程太少。圆点可打开追踪。",
            ),
            unit="s",
            asks=quantiles(names.QUEUE_DURATION),
            exemplars=True,
            line_at=((thresholds.WAITED, "yellow"),),
            absent=("nobody waited", "无人等待"),
            empty=common.NO_QUEUE,
        ),
    ),
)

LATENCY = Row(
    ("How long requests take", "请求要多久"),
    (
        Graph(
            title=("Request duration", "请求耗时"),
            meaning=(
                "A synthesis from start to end. The mean is beside the quantiles: far above P50, a few are very slow. "
                "Dots lead to a trace.",
                "一次合成从开始到结束的时间。平均值与分位数并列：若平均远高于 P50，说明少数请求非常慢。"
                "圆点可打开追踪。",
            ),
            unit="s",
            asks=(*quantiles(names.REQUEST_DURATION), Ask(MEAN, q.mean(names.REQUEST_DURATION))),
            exemplars=True,
            line_at=((thresholds.SLOW, "yellow"),),
            absent=NO_REQUESTS,
            board=common.STAGES,
        ),
        Graph(
            title=("Ended in time", "及时完成占比"),
            meaning=(
                f"Share of requests that took no longer than {thresholds.PROMPT:g} s.",
                f"耗时不超过 {thresholds.PROMPT:g} 秒的请求占比。",
            ),
            unit="percentunit",
            asks=(
                Ask(
                    (f"under {thresholds.PROMPT:g} s", f"{thresholds.PROMPT:g} 秒内"),
                    q.at_most(names.REQUEST_DURATION, thresholds.PROMPT),
                ),
            ),
            absent=NO_REQUESTS,
        ),
        Graph(
            title=("First sound heard", "首声时间"),
            meaning=(
                "Until the first audible sample: time to first byte plus leading silence. Dots lead to a trace.",
                "到第一个可听样本的时间：首字节时间加开头静音。圆点可打开追踪。",
            ),
            unit="s",
            asks=quantiles(names.FIRST_AUDIO),
            exemplars=True,
            line_at=((thresholds.LATE, "yellow"),),
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Time to first byte", "首字节时间"),
            meaning=(
                "Until the first chunk of audio, from the server span's start where there is one. Dots lead to a "
                "trace.",
                "到第一块音频的时间，有服务端 span 时从其开始计。圆点可打开追踪。",
            ),
            unit="s",
            asks=quantiles(names.FIRST_BYTE),
            exemplars=True,
            line_at=((thresholds.LATE, "yellow"),),
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Real-time factor", "实时率"),
            meaning=(
                "Time in the engine for a second of audio. Over the line it computes slower than it speaks.",
                "生成一秒音频所需的引擎时间。超过虚线时合成慢于播放。",
            ),
            unit="none",
            asks=(*quantiles(names.RTF, levels=2), Ask(MEAN, q.mean(names.RTF))),
            exemplars=True,
            line_at=((thresholds.REAL_TIME, "red"),),
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Audio made", "产出音频"),
            meaning=(
                "Seconds of audio made each second, by engine: how many listeners could be served at once.",
                "每秒产出的音频秒数，按引擎分：相当于能同时服务多少听者。",
            ),
            unit="none",
            asks=(Ask(legend(q.ENGINE), q.rate(names.AUDIO_SECONDS, by=(q.ENGINE,), part="_sum")),),
            absent=NO_AUDIO,
        ),
    ),
)

OBJECTIVES = Row(
    ("Objectives, over thirty days: docs/alerts.md", "目标（三十天）：docs/alerts.md"),
    (
        Graph(
            title=("Budget left", "剩余预算"),
            meaning=(
                "What may still fail this month and the objective is met. Below 0 it is missed.",
                "本月还能失败多少而仍达到目标。低于 0 即未达到。",
            ),
            unit="percentunit",
            asks=(
                Ask(
                    legend("service_name", "sloth_slo"),
                    'slo:period_error_budget_remaining:ratio{service_name=~"$service"}',
                ),
            ),
            below_zero=True,
            line_at=((0, "red"),),
            width=12,
            absent=("not known yet", "尚未可知"),
            empty=FEW,
        ),
        Graph(
            title=("How fast it burns", "消耗速度"),
            meaning=(
                "1: the budget lasts for the thirty days exactly. The alerts look at longer windows.",
                "1：预算恰好用三十天。告警看的是更长的时间窗。",
            ),
            unit="none",
            asks=(Ask(legend("service_name", "sloth_slo"), 'slo:current_burn_rate:ratio{service_name=~"$service"}'),),
            line_at=((1, "red"),),
            width=12,
            absent=("not known yet", "尚未可知"),
            empty=FEW,
        ),
    ),
)

_by_voice = f"{q.total(names.REQUESTS, q.WANTED, by=(q.VOICE,), window='$__range')} > 0"
_good = q.total(names.REQUESTS, f'{q.OUTCOME}="{names.Outcome.OK}"', by=(q.VOICE,), window="$__range")

SPEECH = Row(
    ("Speech, voices and failures", "语音、音色与失败"),
    (
        Graph(
            title=("Audio anomalies by type", "按类型的音频异常"),
            meaning=(
                "Audio that looks wrong, a minute. What the types mean is in docs/names.md.",
                "看起来有问题的音频，每分钟。类型含义见 docs/names.md。",
            ),
            unit="cpm",
            asks=(
                Ask(
                    legend(q.ANOMALY),
                    f"{q.total(names.AUDIO_ANOMALIES, by=(q.ANOMALY,))} * 60000 / $__rate_interval_ms",
                ),
            ),
            stacked=True,
            absent=("no anomalies", "无异常"),
            board=common.AUDIO,
        ),
        Table(
            title=("Success by voice", "按音色的成功率"),
            meaning=(
                "Requests over the board's time range and the share that ended ok. Voices beyond the list are “other”.",
                "看板时间范围内的请求数和成功占比。列表之外的音色记为 other。",
            ),
            label=q.VOICE,
            label_title=("Voice", "音色"),
            asks=(
                Ask(("Requests", "请求数"), _by_voice, "short"),
                Ask(
                    ("Success", "成功率"),
                    f"({_good} or 0 * ({_by_voice})) / ({_by_voice})",
                    "percentunit",
                ),
            ),
            width=6,
        ),
        Counts(
            title=("Top failures", "主要失败原因"),
            meaning=(
                "The ten most frequent failures over the board's time range, from the REQ_FAIL lines.",
                "看板时间范围内最常见的十种失败，取自 REQ_FAIL 日志行。",
            ),
            records=Records((names.REQ_FAIL,), {"status": q.FAILURES}),
            fields={
                "error_type": ("Error or anomaly", "错误或异常"),
                "stage": ("Stage", "阶段"),
                "status": ("Outcome", "结果"),
            },
            count=("Requests", "请求数"),
            width=10,
        ),
    ),
)

WHICH = Row(
    ("Which requests", "哪些请求"),
    (
        Lines(
            title=("Failing lines", "失败日志"),
            meaning=(
                "Requests that failed, were cancelled or hang. Open a line: its trace_id is a link to the trace.",
                "失败、被取消或卡住的请求。展开一行，trace_id 即为追踪链接。",
            ),
            records=Records((names.REQ_FAIL, names.REQ_STUCK)),
        ),
        Spans(
            title=("Slowest syntheses", "最慢的合成"),
            meaning=(
                "Of the latest hundred that took longer than “Slow is over”, the slowest first.",
                "最近一百个超过“慢于”的合成，最慢的在前。",
            ),
            search=Search(
                SYNTHESIS, SHOWN, Records(ENDED, slower=True), slower=True,
            ),
        ),
        Spans(
            title=("Failed syntheses", "失败的合成"),
            meaning=(
                "The latest hundred that ended as error, anomalous or rejected.",
                "最近一百个以出错、异常或被拒绝结束的合成。",
            ),
            search=Search(
                SYNTHESIS | {names.OUTCOME: q.FAILURES}, SHOWN, Records((names.REQ_FAIL,), {"status": q.FAILURES})
            ),
        ),
    ),
)  # fmt: skip

BOARD = Board(
    common.SERVICE,
    ("TTS service", "TTS 服务"),
    (
        "Speech synthesis as otel-tts sees it. The first row says whether the service is healthy now.",
        "otel-tts 看到的语音合成。第一行说明服务现在是否健康。",
    ),
    (*common.USUAL, common.SLOWER_THAN),
    (NOW, TRAFFIC, LATENCY, OBJECTIVES, SPEECH, WHICH),
)
