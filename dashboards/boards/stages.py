# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Stages: in which part of a request the time goes, and whether it is more than it used to be."""

from __future__ import annotations

from dashboards import queries as q
from dashboards import thresholds
from dashboards.boards import common
from dashboards.boards.common import NO_REQUESTS, NONE, QUANTILES, legend, quantiles
from dashboards.boards.service import ENDED, SHOWN
from dashboards.questions import Ask, Board, Graph, Light, Lines, Records, Row, Search, Spans, Table
from otel_tts import names

_ALL = f"sum({q.counted(q.select(names.STAGE_DURATION, part='_sum'), q.NOW)})"
_ACOUSTIC = f'{q.STAGE}="{names.Stage.ACOUSTIC_MODEL}"'
WEEK = "7d"

NOW = Row(
    ("Which stage is slow now? The last five minutes", "现在哪个阶段慢？最近五分钟"),
    (
        Light(
            title=("Acoustic model P95", "声学模型 P95"),
            meaning=(
                "A request's time in the acoustic model, all segments together. The alert stands at the same limit.",
                "一次请求在声学模型中的时间（各分段合计）。告警界限与此相同。",
            ),
            unit="s",
            promql=f"histogram_quantile(0.95, sum by (le) (rate("
            f"{q.select(names.STAGE_DURATION, _ACOUSTIC, part='_bucket')}[{q.NOW}])))",
            steps=((thresholds.SLOW, "red"),),
            absent=("no such stage", "无此阶段"),
        ),
        Light(
            title=("Share of the largest stage", "最大阶段占比"),
            meaning=(
                "Of all time in stages, what the largest has. Over nine tenths: only that one is worth speeding up.",
                "所有阶段时间中最大阶段所占份额。超过九成：只有它值得优化。",
            ),
            unit="percentunit",
            promql=f"max(sum by ({q.STAGE}) ({q.counted(q.select(names.STAGE_DURATION, part='_sum'), q.NOW)}) "
            f"/ on() group_left() ({_ALL} > 0))",
            steps=((0.9, "yellow"),),
            absent=NO_REQUESTS,
        ),
        Light(
            title=("Waiting P95", "等待 P95"),
            meaning=("In a job queue, or for the engine's lock.", "在任务队列中或等待引擎锁的时间。"),
            unit="s",
            promql=q.quantile(0.95, names.QUEUE_DURATION, window=q.NOW),
            steps=((thresholds.WAITED, "yellow"), (thresholds.SLOW, "red")),
            absent=("nobody waited", "无人等待"),
            empty=common.NO_QUEUE,
        ),
        Light(
            title=("Oldest open stage", "最久未结束阶段"),
            meaning=("A stage that is open for so long hangs.", "开启这么久的阶段说明卡住了。"),
            unit="s",
            promql=f"max({q.freshest(q.select(names.OPEN_AGE))})",
            steps=((thresholds.OLD, "yellow"), (thresholds.STUCK, "red")),
            absent=NONE,
            empty=("Only while a stage is open.", "仅当有阶段未结束。"),
        ),
        Light(
            title=("Device time, share", "设备时间占比"),
            meaning=(
                "Seconds on the GPU of the seconds in stages. Little: the host is what holds it up (Python, locks, "
                "copies).",
                "阶段时间中在 GPU 上的份额。很小：瓶颈在主机（Python、锁、拷贝）。",
            ),
            unit="percentunit",
            promql=f"sum({q.counted(q.select(names.GPU_TIME), q.NOW)}) / ({_ALL} > 0)",
            absent=("no device", "无设备"),
            empty=common.NO_GPU,
        ),
        Light(
            title=("Model load", "模型加载"),
            meaning=("Loading a model, mean of the last hour.", "最近一小时内加载模型的平均时间。"),
            unit="s",
            promql=f"sum({q.counted(q.select(names.MODEL_LOAD, part='_sum'), '1h')}) / "
            f"(sum({q.counted(q.select(names.MODEL_LOAD, part='_count'), '1h')}) > 0)",
            steps=((thresholds.STUCK, "yellow"),),
            absent=("none loaded", "未加载"),
            empty=("Only where a model was loaded in the last hour.", "仅当最近一小时加载过模型。"),
        ),
        Light(
            title=("Event loop lag", "事件循环延迟"),
            meaning=(
                "How late the event loop does what is due: a synthesis on its thread stops all other requests.",
                "事件循环执行到期任务的延迟：在其线程上合成会阻塞所有其他请求。",
            ),
            unit="s",
            promql=f"max({q.freshest(q.select(names.LOOP_LAG))})",
            steps=((thresholds.LOOP_LAG, "red"),),
            absent=NONE,
            empty=(
                "Only where requests come through an event loop (asyncio, uvloop).",
                "仅当请求经过事件循环（asyncio、uvloop）。",
            ),
        ),
        Light(
            title=("Requests", "请求速率"),
            meaning=("Syntheses that ended, a second.", "每秒结束的合成请求数。"),
            unit="reqps",
            promql=f"sum({q.counted(q.select(names.REQUESTS), q.NOW)}) / {q.NOW_SECONDS}",
            absent=common.NO_TELEMETRY,
        ),
    ),
)

_stages = q.rate(names.STAGE_DURATION, by=(q.STAGE,), part="_sum")
_all = f"({q.rate(names.STAGE_DURATION, part='_sum')} > 0)"


def per_hundred(offset: str = "") -> str:
    """Seconds in each stage for a hundred characters of text: a longer text is no slower service."""
    spent = q.rate(names.STAGE_DURATION, by=(q.STAGE,), part="_sum", offset=offset)
    text = q.rate(names.TEXT_CHARACTERS, part="_sum", offset=offset)
    return f"100 * {spent} / on() group_left() ({text} > 0)"


WHERE = Row(
    ("Where the time goes", "时间花在哪里"),
    (
        Graph(
            title=("Shares of the stages", "各阶段占比"),
            meaning=("Of all time in stages, what each has.", "所有阶段时间中各阶段的份额。"),
            unit="percentunit",
            asks=(Ask(legend(q.STAGE), f"{_stages} / on() group_left() {_all}"),),
            stacked=True,
            absent=NO_REQUESTS,
        ),
        Graph(
            title=("Device against host time", "设备时间与主机时间"),
            meaning=(
                "Seconds a second: on the GPU (a fair share of it where requests overlap) and in stages by their "
                "clock. "
                "Far apart: the GPU waits for the host.",
                "每秒的秒数：GPU 上的时间（请求重叠时按公平份额）与各阶段时钟上的时间。相差很大：GPU 在等主机。",
            ),
            unit="none",
            asks=(
                Ask(
                    ("device, {{tts_engine_name}}", "设备 {{tts_engine_name}}"), q.rate(names.GPU_TIME, by=(q.ENGINE,))
                ),
                Ask(
                    ("stages, {{tts_engine_name}}", "阶段 {{tts_engine_name}}"),
                    q.rate(names.STAGE_DURATION, by=(q.ENGINE,), part="_sum"),
                ),
            ),
            absent=NO_REQUESTS,
        ),
        Graph(
            title=("Mean time in a stage", "阶段平均时间"),
            meaning=("A request's mean time in each stage, all its segments together.", "一次请求在各阶段的平均时间。"),
            unit="s",
            asks=(Ask(legend(q.STAGE), q.mean(names.STAGE_DURATION, q.STAGE)),),
            absent=NO_REQUESTS,
        ),
        *(
            Graph(
                title=(f"Stage time {level_name}", f"阶段时间 {level_name}"),
                meaning=(
                    f"{level_name} of a request's time in each stage, all its segments together. Dots lead to a trace.",
                    f"一次请求在各阶段时间的 {level_name}（各分段合计）。圆点可打开追踪。",
                ),
                unit="s",
                asks=(Ask(legend(q.STAGE), q.quantile(level, names.STAGE_DURATION, q.STAGE)),),
                exemplars=True,
                line_at=((thresholds.SLOW, "red"),) if level_name == "P95" else (),
                absent=NO_REQUESTS,
            )
            for level_name, level in QUANTILES
        ),
    ),
)

CHANGE = Row(
    ("Is it slower than it was?", "比以前慢吗？"),
    (
        Graph(
            title=("Seconds in a stage per 100 characters", "每百字各阶段秒数"),
            meaning=(
                "Time in each stage for a hundred characters of text: longer texts do not make it rise.",
                "每一百个字符在各阶段花的时间：文本变长不会使它上升。",
            ),
            unit="s",
            asks=(Ask(legend(q.STAGE), per_hundred()),),
            width=12,
            absent=NO_REQUESTS,
        ),
        Graph(
            title=("The same seven days before", "七天前的同一数据"),
            meaning=(
                "The same of the same hours a week ago: compare the heights. Longer than a week back it is empty.",
                "一周前同一时段的同一数据，比较高度即可。运行不足一周时为空。",
            ),
            unit="s",
            asks=(Ask(legend(q.STAGE), per_hundred(WEEK)),),
            width=12,
            absent=("no data of a week ago", "无一周前的数据"),
            empty=("Until the service has run for a week.", "服务运行满一周之前。"),
        ),
        Graph(
            title=("Waiting", "排队等待"),
            meaning=(
                "In a job queue before the synthesis, or for the engine's lock. Dots lead to a trace.",
                "在任务队列中或等待引擎锁的时间。圆点可打开追踪。",
            ),
            unit="s",
            asks=quantiles(names.QUEUE_DURATION),
            exemplars=True,
            line_at=((thresholds.WAITED, "yellow"),),
            absent=("nobody waited", "无人等待"),
            empty=common.NO_QUEUE,
        ),
        Graph(
            title=("Open stages", "未结束的阶段"),
            meaning=(
                "Age of the oldest open stage. A line that climbs is a request that hangs there.",
                "最久未结束阶段的时长。持续上升的线就是卡在那里的请求。",
            ),
            unit="s",
            asks=(
                Ask(
                    legend(q.ENGINE, q.STAGE),
                    f"max by ({q.ENGINE}, {q.STAGE}) ({q.freshest(q.select(names.OPEN_AGE))})",
                ),
            ),
            line_at=((thresholds.STUCK, "red"),),
            absent=("no open stages", "无未结束阶段"),
            empty=("Only while a stage is open.", "仅当有阶段未结束。"),
        ),
        Table(
            title=("By engine", "按引擎"),
            meaning=(
                "Over the board's time range: requests and their mean duration.",
                "看板时间范围内：请求数与平均耗时。",
            ),
            label=q.ENGINE,
            label_title=("Engine", "引擎"),
            asks=(
                Ask(("Requests", "请求数"), q.total(names.REQUESTS, by=(q.ENGINE,), window="$__range"), "short"),
                Ask(
                    ("Mean duration", "平均耗时"),
                    f"{q.total(names.REQUEST_DURATION, by=(q.ENGINE,), window='$__range', part='_sum')} / "
                    f"({q.total(names.REQUEST_DURATION, by=(q.ENGINE,), window='$__range', part='_count')} > 0)",
                    "s",
                ),
            ),
            width=8,
        ),
    ),
)

WHICH = Row(
    ("Which requests", "哪些请求"),
    (
        Spans(
            title=("Slowest syntheses", "最慢的合成"),
            meaning=(
                "Of the latest hundred that took longer than “Slow is over”, the slowest first.",
                "最近一百个超过“慢于”的合成，最慢的在前。",
            ),
            search=Search({names.OPERATION_NAME: names.OPERATION}, SHOWN, Records(ENDED, slower=True), slower=True),
        ),
        Spans(
            title=("Stages on the device", "设备上的阶段"),
            meaning=(
                "Stages that ran on a GPU: its own time, the host's, and how long the device was busy with others "
                "first. "
                "Where the store of traces cannot search for them, the requests they belong to: their traces have it.",
                "在 GPU 上运行的阶段：设备时间、主机时间、以及设备先忙于其他工作的时间。"
                "追踪存储无法搜索时，列出其所属请求，追踪中有这些数据。",
            ),
            search=Search(
                {names.STAGE: ".+"},
                (
                    names.STAGE, names.GPU_ELAPSED, names.STAGE_HOST_DURATION, names.GPU_QUEUE_DELAY,
                    names.TIMING_MODE, names.MEMORY_PEAK,
                ),
                Records((names.REQ_SUCCESS,), {"gpu_memory_peak": ".+"}),
                numbers={names.MEMORY_PEAK: 0},
            ),
            empty=common.NO_GPU,
        ),
        Lines(
            title=("Stage times of requests", "请求的阶段时间"),
            meaning=("One line a request: seconds in each stage.", "每个请求一行：各阶段的秒数。"),
            records=Records((names.STAGE_TIME,)),
        ),
    ),
)  # fmt: skip

BOARD = Board(
    common.STAGES,
    ("TTS stages", "TTS 阶段"),
    (
        "Where a request's time goes: stages, waiting, device against host, this week against the last.",
        "请求的时间花在哪里：各阶段、等待、设备与主机、本周与上周。",
    ),
    (*common.USUAL, common.SLOWER_THAN),
    (NOW, WHERE, CHANGE, WHICH),
)
