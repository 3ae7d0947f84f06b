# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Pipeline health: whether the telemetry itself can be believed, from the SDK to the stores."""

from __future__ import annotations

from dashboards import foreign, thresholds
from dashboards import queries as q
from dashboards.boards import common
from dashboards.boards.common import HEALTHY, NONE, legend
from dashboards.questions import Ask, Board, Counts, Graph, Light, Lines, Records, Row, Words
from otel_tts import names

SIGNALS: dict[str, Words] = {
    "spans": ("spans", "追踪"),
    "metric_points": ("metric points", "指标"),
    "log_records": ("logs", "日志"),
}
ONCE_SEEN: Words = (
    "Only after the Collector has received the signal once.",
    "Collector 至少收到过一次该信号之后才有。",
)


def collector(counter: str, window: str) -> str:
    """What a counter of the Collector grew by, all signals together."""
    parts = (
        f'label_replace(sum({q.counted(f"otelcol_{counter}_{signal}", window)}), "signal", "{signal}", "", "")'
        for signal in SIGNALS
    )
    return f"sum({' or '.join(parts)})"


def by_signal(counter: str) -> tuple[Ask, ...]:
    """What a counter of the Collector grew by a second, by signal."""
    return tuple(
        Ask(words, f"sum({q.counted(f'otelcol_{counter}_{signal}', q.TREND)}) * 1000 / $__rate_interval_ms")
        for signal, words in SIGNALS.items()
    )


QUEUES = f"{foreign.QUEUE_SIZE} / {foreign.QUEUE_CAPACITY}"

NOW = Row(
    ("Can the numbers be believed? The last five minutes", "这些数字可信吗？最近五分钟"),
    (
        Light(
            title=("Services that report", "上报的服务实例"),
            meaning=("Processes whose metrics arrived.", "指标已到达的进程数。"),
            unit="short",
            promql=f"count(count by (service_name, service_instance_id) ({q.select(names.REQUESTS)}))",
            absent=common.NO_TELEMETRY,
        ),
        Light(
            title=("Telemetry lost", "遥测丢失"),
            meaning=(
                "Dropped in a service or given up by the Collector: gone for good.",
                "在服务中丢弃或被 Collector 放弃：无法找回。",
            ),
            unit="short",
            promql=q.lost(q.NOW),
            steps=((1, "red"),),
            absent=common.NO_TELEMETRY,
        ),
        Light(
            title=("Refused by the Collector", "Collector 拒收"),
            meaning=(
                "Sent back to the services, which try again: queues are full or memory is short.",
                "退回给服务重试：队列已满或内存不足。",
            ),
            unit="short",
            promql=collector("receiver_refused", q.NOW),
            steps=((1, "yellow"),),
            absent=("no Collector", "无 Collector"),
            empty=ONCE_SEEN,
        ),
        Light(
            title=("Fullest queue", "最满的队列"),
            meaning=(
                "Of the Collector's exporters. It grows while a backend is away, and empties afterwards.",
                "Collector 各导出器中最满的。后端不可用时增长，恢复后清空。",
            ),
            unit="percentunit",
            promql=f"max({QUEUES})",
            steps=((0.5, "yellow"), (thresholds.QUEUE_FULL, "red")),
            absent=("no Collector", "无 Collector"),
        ),
        Light(
            title=("Servers down", "停止的服务器"),
            meaning=("Collector and stores that Prometheus cannot reach.", "Prometheus 无法访问的 Collector 与存储。"),
            unit="short",
            promql="count(up == 0) or 0 * count(up)",
            steps=((1, "red"),),
            absent=("nobody is asked", "未抓取"),
        ),
        Light(
            title=("Faults in otel-tts", "otel-tts 内部故障"),
            meaning=(
                "Errors inside otel-tts, all contained: speech goes on, some telemetry may be missing.",
                "otel-tts 内部的错误，均已隔离：合成不受影响，部分遥测可能缺失。",
            ),
            unit="short",
            promql=f"sum({q.counted(q.select(names.FAULTS), q.NOW)})",
            steps=((1, "yellow"),),
            absent=NONE,
            empty=HEALTHY,
        ),
        Light(
            title=("Folded series", "折叠的序列"),
            meaning=(
                "Points that the SDK folded into one because an instrument had too many label values: who they were of "
                "is lost.",
                "标签取值过多，被 SDK 合并为一的数据点：具体归属已丢失。",
            ),
            unit="short",
            promql='count({otel_metric_overflow="true",service_name=~"$service"}) or 0 * count(up)',
            steps=((1, "yellow"),),
            absent=NONE,
        ),
        Light(
            title=("Alerts", "告警"),
            meaning=("Firing now.", "当前触发的告警数。"),
            unit="short",
            promql='count(ALERTS{alertstate="firing"}) or 0 * count(up)',
            steps=((1, "yellow"),),
            absent=NONE,
        ),
    ),
)

SERVICES = Row(
    ("In the services", "在服务中"),
    tuple(
        Graph(
            title=title,
            meaning=meaning,
            unit="short",
            asks=(Ask(legend("service_name", "reason"), q.total(metric, by=("service_name", "reason"))),),
            absent=NONE,
            empty=empty,
        )
        for title, meaning, metric, empty in (
            (
                ("Dropped in services", "服务中丢弃"),
                ("Telemetry that could not be kept, by reason. Should be empty.", "无法保留的遥测，按原因。应为空。"),
                names.DROPPED,
                HEALTHY,
            ),
            (
                ("Redacted", "已删去"),
                (
                    "Attributes and texts removed by the privacy gate, by reason. Some is usual: the gate at work.",
                    "隐私闸门删去的属性与文本，按原因。有一些是正常的：闸门在工作。",
                ),
                names.REDACTED,
                ("Only where something tried to send what is on no list.", "仅当有内容试图发送不在清单上的数据。"),
            ),
            (
                ("Faults by reason", "按原因的故障"),
                ("Errors inside otel-tts, all contained. Should be empty.", "otel-tts 内部错误，均已隔离。应为空。"),
                names.FAULTS,
                HEALTHY,
            ),
        )
    ),
)

COLLECTOR = Row(
    ("In the Collector", "在 Collector 中"),
    (
        Graph(
            title=("Collector: accepted", "Collector：接收"),
            meaning=("A second, by signal.", "每秒，按信号。"),
            unit="cps",
            asks=by_signal("receiver_accepted"),
        ),
        Graph(
            title=("Collector: sent on", "Collector：发出"),
            meaning=("A second, by signal. Each store counts.", "每秒，按信号；发往每个存储各计一次。"),
            unit="cps",
            asks=by_signal("exporter_sent"),
        ),
        Graph(
            title=("Collector: queues", "Collector：队列"),
            meaning=(
                "How full each exporter's queue is. It grows while a backend is away, and empties afterwards.",
                "各导出器队列的占用。后端不可用时增长，恢复后清空。",
            ),
            unit="percentunit",
            asks=(Ask(legend("exporter"), f"max by (exporter) ({QUEUES})"),),
            line_at=((thresholds.QUEUE_FULL, "red"),),
        ),
        Graph(
            title=("Collector: refused", "Collector：拒收"),
            meaning=(
                "Sent back to the services, which try again: queues are full or memory is short.",
                "退回给服务重试：队列已满或内存不足。",
            ),
            unit="cps",
            asks=by_signal("receiver_refused"),
            absent=NONE,
            empty=ONCE_SEEN,
        ),
        Graph(
            title=("Collector: given up", "Collector：放弃"),
            meaning=(
                "Not accepted by a backend, and gone: look at the Collector's log.",
                "后端拒绝且无法重试，数据丢失：查看 Collector 的日志。",
            ),
            unit="cps",
            asks=by_signal("exporter_send_failed"),
            absent=NONE,
            empty=("A healthy Collector has no such series.", "健康的 Collector 没有此序列。"),
        ),
        Graph(
            title=("Collector: memory", "Collector：内存"),
            meaning=("Over its limit it refuses.", "超过上限即拒收。"),
            unit="bytes",
            asks=(Ask(legend("instance"), f"max by (instance) ({foreign.COLLECTOR_MEMORY})"),),
        ),
        Graph(
            title=("Servers", "服务器"),
            meaning=("1: reached by Prometheus. 0: down.", "1：Prometheus 可访问。0：停止。"),
            unit="short",
            asks=(Ask(legend("job", "server"), "min by (job, server) (up)"),),
        ),
        Graph(
            title=("Collector: not queued", "Collector：未入队"),
            meaning=("A full queue refused it; the sender tries again.", "队列已满而拒绝，发送方会重试。"),
            unit="cps",
            asks=by_signal("exporter_enqueue_failed"),
            absent=NONE,
            empty=(
                "A Collector whose queues were never full has no such series.",
                "队列从未满过的 Collector 没有此序列。",
            ),
        ),
        Graph(
            title=("Collector: processor time", "Collector：处理器时间"),
            meaning=("Cores in use.", "占用的核数。"),
            unit="none",
            asks=(Ask(legend("instance"), f"max by (instance) (rate({foreign.COLLECTOR_CPU}[{q.TREND}]))"),),
        ),
    ),
)

LINES = Row(
    ("Do the lines add up?", "日志对得上吗？"),
    (
        Counts(
            title=("Failing lines by engine", "各引擎失败行数"),
            meaning=(
                "REQ_FAIL lines over the board's time range. Fewer than the failed requests that metrics count: "
                "lines are "
                "missing.",
                "看板时间范围内的 REQ_FAIL 行数。少于指标统计的失败请求数说明日志有缺失。",
            ),
            records=Records((names.REQ_FAIL,)),
            fields={"engine": ("Engine", "引擎"), "status": ("Outcome", "结果")},
            count=("Lines", "行数"),
        ),
        Lines(
            title=("Latest lines", "最新日志"),
            meaning=(
                "The newest records of requests, whatever they say: are they of now?",
                "最新的请求日志，无论内容：是刚才的吗？",
            ),
            records=Records((names.REQ_START, names.REQ_SUCCESS, names.REQ_FAIL, names.REQ_STUCK)),
            width=12,
        ),
    ),
)

BOARD = Board(
    common.TELEMETRY,
    ("TTS pipeline health", "TTS 遥测管道"),
    (
        "Whether the other boards can be believed: what services and the Collector drop, refuse, redact and hold.",
        "其他看板是否可信：服务与 Collector 丢弃、拒收、删去和滞留了什么。",
    ),
    common.USUAL,
    (NOW, SERVICES, COLLECTOR, LINES),
)
