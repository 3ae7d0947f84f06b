# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry that is lost, servers that are down, a watcher that watches no more, an archive that waits."""

from __future__ import annotations

from dashboards import thresholds
from dashboards.boards import common
from dashboards.boards.telemetry import QUEUES
from dashboards.rules.alert import NOW, Alert, Group, grown, series
from otel_tts import names

_BEAT = series(names.WATCH_HEARTBEAT)
_ARCHIVED = series(names.ARCHIVE_WAITING_SINCE)

GROUP = Group(
    "tts-pipeline",
    (
        Alert(
            "TTSTelemetryDropped",
            "warning",
            f"{grown(names.DROPPED, by=('reason',))} > 0",
            (
                "{{ $labels.service_name }} dropped {{ $value | humanize }} items of telemetry: {{ $labels.reason }}",
                "{{ $labels.service_name }} 丢弃了 {{ $value | humanize }} 条遥测：{{ $labels.reason }}",
            ),
            (
                "A service dropped telemetry in the last five minutes. Its speech is not affected, but its numbers "
                "may be too "
                "low.",
                "最近五分钟内有服务丢弃了遥测。合成不受影响，但统计数字可能偏低。",
            ),
            common.TELEMETRY,
            (
                (
                    "Is the Collector reachable from the service, and does it refuse?",
                    "服务能访问 Collector 吗？Collector 是否拒收？",
                ),
                ("What each reason means is in docs/names.md.", "各原因的含义见 docs/names.md。"),
            ),
            show=series(names.DROPPED),
        ),
        Alert(
            "TTSCollectorDown",
            "critical",
            'max by (instance) (up{job="otelcol"}) == 0',
            ("The Collector at {{ $labels.instance }} does not answer", "Collector {{ $labels.instance }} 无应答"),
            (
                "No telemetry comes through, for two minutes. Services keep what they have for a while, then drop it.",
                "遥测已中断两分钟。服务会保留一段时间，然后丢弃。",
            ),
            common.TELEMETRY,
            (
                (
                    "Start it: `otel-tts stack up` starts what does not run.",
                    "启动它：`otel-tts stack up` 会启动未运行的服务器。",
                ),
                (
                    "Its log: disk full, memory limit, a configuration that was changed.",
                    "看它的日志：磁盘满、内存上限、配置改动。",
                ),
            ),
            lasts="2m",
            show='up{job="otelcol"}',
        ),
        Alert(
            "TTSBackendDown",
            "critical",
            'max by (server, instance) (up{job="stack"}) == 0',
            (
                "{{ $labels.server }} at {{ $labels.instance }} does not answer",
                "{{ $labels.server }}（{{ $labels.instance }}）无应答",
            ),
            (
                "The Collector keeps on disk what this server does not take, until its queue is full.",
                "Collector 会把该服务器未接收的数据保存在磁盘上，直到队列满。",
            ),
            common.TELEMETRY,
            (
                (
                    "Start it: `otel-tts stack up` starts what does not run.",
                    "启动它：`otel-tts stack up` 会启动未运行的服务器。",
                ),
                ("Collector: queues: how long until they are full?", "“Collector：队列”：多久会满？"),
            ),
            lasts="2m",
            show='up{job="stack"}',
        ),
        Alert(
            "TTSCollectorQueueFull",
            "critical",
            f"max by (exporter, instance) ({QUEUES}) > {thresholds.QUEUE_FULL:g}",
            (
                "The Collector's queue for {{ $labels.exporter }} is {{ $value | humanizePercentage }} full",
                "Collector 发往 {{ $labels.exporter }} 的队列已占用 {{ $value | humanizePercentage }}",
            ),
            (
                f"Over {thresholds.percent(thresholds.QUEUE_FULL)} of the queue is used, for five minutes. When it "
                f"is full the "
                f"Collector "
                "refuses, and services drop what they cannot keep.",
                f"队列占用超过 {thresholds.percent(thresholds.QUEUE_FULL)} 已五分钟。满了之后 Collector 会拒收，"
                f"服务会丢弃无法保留的数据。",
            ),
            common.TELEMETRY,
            (
                (
                    "Is the store behind it up (TTSBackendDown), and is its disk full?",
                    "其后的存储正常吗（TTSBackendDown）？磁盘满了吗？",
                ),
                ("STACK_QUEUE_BYTES makes the queue larger.", "用 STACK_QUEUE_BYTES 加大队列。"),
            ),
            lasts="5m",
            show=QUEUES,
        ),
        Alert(
            "TTSWatcherGone",
            "warning",
            f"group by (service_name) (last_over_time({_BEAT}[1d])) unless "
            f"group by (service_name) (last_over_time({_BEAT}[{NOW}]))",
            (
                "The watcher of {{ $labels.service_name }} does not look any more",
                "{{ $labels.service_name }} 的看护程序已停止",
            ),
            (
                "Its heartbeat was there within the last day and is gone for five minutes: nobody would heal the "
                "service now.",
                "最近一天内有过心跳，现在已消失五分钟：此时没有人会自动恢复服务。",
            ),
            common.TELEMETRY,
            (
                (
                    "Is the watcher's process there? Its unit's log says why it ended.",
                    "看护程序的进程还在吗？其日志会说明为何结束。",
                ),
                (
                    "It does not run on purpose: silence this alert for a day, then it is quiet by itself.",
                    "若是有意停止：静默此告警一天，之后自动消失。",
                ),
            ),
            show=_BEAT,
        ),
        Alert(
            "TTSArchiveWaits",
            "warning",
            f"time() - min by (service_name) (last_over_time({_ARCHIVED}[30d])) > {thresholds.ARCHIVE_LATE:g}",
            (
                "Log records wait for the archive for {{ $value | humanizeDuration }} ({{ $labels.service_name }})",
                "日志等待归档已 {{ $value | humanizeDuration }}（{{ $labels.service_name }}）",
            ),
            (
                f"The oldest log records that are not verified in the archive wait for over "
                f"{thresholds.ARCHIVE_LATE / 86400:g} days, or the archive was not run for so long. They are never "
                "removed unverified, so the disk fills.",
                f"尚未在归档中核实的最早日志已等待超过 {thresholds.ARCHIVE_LATE / 86400:g} 天，"
                "或归档程序这么久没有运行。未核实的日志不会被删除，磁盘会被占满。",
            ),
            common.TELEMETRY,
            (
                (
                    "Run `otel-tts archive` by hand: it says what the store refuses (bucket, credentials, network).",
                    "手动运行 `otel-tts archive`：它会说明存储拒绝了什么（存储桶、凭证、网络）。",
                ),
                (
                    "Is its timer there? `systemctl list-timers`, or the CronJob's last run.",
                    "定时器还在吗？`systemctl list-timers`，或查看 CronJob 的最近一次运行。",
                ),
            ),
            show=series(names.ARCHIVE_WAITING_SIZE),
        ),
    ),
)
