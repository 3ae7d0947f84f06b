# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One request: by its id its lines and its trace, and what the service was like around it."""

from __future__ import annotations

from dashboards import queries as q
from dashboards import thresholds
from dashboards.boards import common
from dashboards.boards.common import NOBODY_ASKED, legend, quantiles
from dashboards.boards.service import ENDED, SHOWN
from dashboards.questions import Ask, Board, Graph, Lines, Records, Row, Search, Spans, Trace, Typed
from otel_tts import names

IT = Row(
    ("The request: type its id above", "请求：在上方输入它的 id"),
    (
        Spans(
            title=("Its syntheses", "它的合成"),
            meaning=(
                "Found by the request's id. Follow the trace's link to see it below.",
                "按请求 id 找到。点击追踪链接即可在下方看到它。",
            ),
            search=Search({}, SHOWN, Records(ENDED, request=True), request=True),
            height=6,
            empty=NOBODY_ASKED,
        ),
        Lines(
            title=("Its lines", "它的日志"),
            meaning=(
                "All records of the request: start, end, times of the stages, and the service's own with its id.",
                "该请求的所有日志：开始、结束、各阶段时间，以及服务自身带有该 id 的日志。",
            ),
            records=Records((), request=True),
            empty=NOBODY_ASKED,
        ),
        Trace(
            title=("Its trace", "它的追踪"),
            meaning=(
                "Stages and what they found out: time on the host and the device, memory, audio.",
                "各阶段及其发现：主机与设备时间、显存、音频。",
            ),
            empty=NOBODY_ASKED,
        ),
    ),
)

AROUND = Row(
    ("What the service was like around it: choose the time above", "前后时段服务的情况：在上方选择时间"),
    (
        Graph(
            title=("Request duration", "请求耗时"),
            meaning=("Were others slow too? Dots lead to a trace.", "其他请求也慢吗？圆点可打开追踪。"),
            unit="s",
            asks=quantiles(names.REQUEST_DURATION),
            exemplars=True,
            line_at=((thresholds.SLOW, "yellow"),),
            absent=common.NO_REQUESTS,
        ),
        Graph(
            title=("Stage time P95", "阶段时间 P95"),
            meaning=("In which stage? Dots lead to a trace.", "慢在哪个阶段？圆点可打开追踪。"),
            unit="s",
            asks=(Ask(legend(q.STAGE), q.quantile(0.95, names.STAGE_DURATION, q.STAGE)),),
            exemplars=True,
            line_at=((thresholds.SLOW, "red"),),
            absent=common.NO_REQUESTS,
        ),
        Graph(
            title=("Active requests", "进行中的请求"),
            meaning=("How many ran at once, by engine.", "同时有多少在进行，按引擎。"),
            unit="short",
            asks=(Ask(legend(q.ENGINE), f"sum by ({q.ENGINE}) ({q.freshest(q.select(names.REQUESTS_ACTIVE))})"),),
        ),
        Graph(
            title=("Requests by outcome", "按结果的请求"),
            meaning=("Did others fail too?", "其他请求也失败了吗？"),
            unit="reqps",
            asks=(Ask(legend(q.OUTCOME), q.a_second(names.REQUESTS, by=(q.OUTCOME,))),),
            stacked=True,
        ),
        Graph(
            title=("Memory of the devices", "设备显存"),
            meaning=("Was the device full?", "设备满了吗？"),
            unit="percentunit",
            asks=(Ask(legend(q.GPU), f"max by ({q.GPU}) ({q.freshest(q.select(names.HW_MEMORY_UTILIZATION))})"),),
            line_at=((thresholds.GPU_FULL, "red"),),
            absent=("no GPU", "无 GPU"),
            empty=common.NO_GPU,
        ),
        Graph(
            title=("Waiting", "排队等待"),
            meaning=("Did others wait? Dots lead to a trace.", "其他请求在等待吗？圆点可打开追踪。"),
            unit="s",
            asks=quantiles(names.QUEUE_DURATION),
            exemplars=True,
            absent=("nobody waited", "无人等待"),
            empty=common.NO_QUEUE,
        ),
        Lines(
            title=("Others that failed", "其他失败的请求"),
            meaning=("Failing lines of the same time.", "同一时段的失败日志。"),
            records=Records((names.REQ_FAIL, names.REQ_STUCK)),
        ),
    ),
)

BOARD = Board(
    common.REQUEST,
    ("TTS one request", "TTS 单个请求"),
    (
        "One request by its id: its trace, its lines, and what the service was like around it.",
        "按 id 查看一个请求：追踪、日志，以及前后时段服务的情况。",
    ),
    (
        Typed("request", ("Request id", "请求 id"), ""),
        Typed("trace", ("Trace id", "追踪 id"), ""),
        *common.USUAL,
        common.GPUS,
    ),
    (IT, AROUND),
)
