# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests that fail, are slow, hang, wait, or do not come."""

from __future__ import annotations

from dashboards import queries, thresholds
from dashboards.boards import common
from dashboards.questions import Records
from dashboards.rules.alert import HOUR, NOW, Alert, Group, Recording, grown, quantile, series
from otel_tts import names
from otel_tts.readers.promql import label

ENGINE, STAGE = label(names.ENGINE), label(names.STAGE)
RATIO = "tts:requests_failed:ratio5m"
FAILED = "tts:requests_failed:delta5m"
WANTED = "tts:requests_wanted:delta5m"
_ACOUSTIC = f'{STAGE}="{names.Stage.ACOUSTIC_MODEL}"'
_DURATION = quantile(0.95, names.REQUEST_DURATION)
_BEFORE = quantile(0.95, names.REQUEST_DURATION, offset=HOUR)
_ACTIVE = series(names.REQUESTS_ACTIVE)
_MUCH = f"sum by (service_name) (avg_over_time({_ACTIVE}[{NOW}]))"
_LESS = f"sum by (service_name) (avg_over_time({_ACTIVE}[{NOW}] offset 15m))"
_SOME = grown(names.REQUESTS, window=HOUR, offset="15m")
_NONE = grown(names.REQUESTS, window="15m")
_failed, _percent = thresholds.percent(thresholds.FAILED), "{{ $value | humanizePercentage }}"

GROUP = Group(
    "tts-requests",
    (
        Recording(
            WANTED,
            grown(names.REQUESTS, queries.WANTED),
            "Requests that wanted speech (all but cancelled), and those of them that got none that can be heard. "
            "Counters are compared with their value of five minutes ago: increase() does not see a series' first "
            "value, "
            "and a rare failure often is its series' first.",
        ),
        Recording(FAILED, grown(names.REQUESTS, queries.FAILED)),
        Recording(RATIO, f"{FAILED} / ({WANTED} > 0)"),
        Alert(
            "TTSErrorRatioHigh",
            "critical",
            f"{RATIO} > {thresholds.FAILED:g} "
            f"and ({RATIO} > {thresholds.FAILED_TIMES:g} * avg_over_time({RATIO}[{HOUR}] offset {HOUR}) "
            f"or {RATIO} unless avg_over_time({RATIO}[{HOUR}] offset {HOUR})) "
            f"and {FAILED} >= {thresholds.FEWEST_FAILURES}",
            (
                f"{_percent} of the requests to {{{{ $labels.service_name }}}} get no usable speech",
                f"{{{{ $labels.service_name }}}} 有 {_percent} 的请求没有得到可用语音",
            ),
            (
                f"More than {_failed} of the requests of the last five minutes ended as error, anomalous or rejected, "
                f"which is over {thresholds.FAILED_TIMES:g} times the share of an hour before, for five minutes now.",
                f"最近五分钟内超过 {_failed} 的请求以出错、异常或被拒绝结束，且是一小时前占比的 "
                f"{thresholds.FAILED_TIMES:g} 倍以上，已持续五分钟。",
            ),
            common.SERVICE,
            (
                (
                    "Top failures on the board: one error and one stage, or many? One: open a trace of it.",
                    "看板“主要失败原因”：集中在一种错误、一个阶段，还是很多种？若集中，打开其中一条追踪。",
                ),
                (
                    "OutOfMemoryError: lower the number of requests at once, or restart to give back what leaked.",
                    "OutOfMemoryError：降低并发，或重启以释放泄漏的显存。",
                ),
                (
                    "rejected: the queue is full or callers send what the engine refuses; see HTTP statuses.",
                    "rejected：队列已满，或调用方发送了引擎拒绝的内容；看“HTTP 状态码”。",
                ),
                ("A deployment just before: roll it back.", "刚刚发过版本：回滚。"),
            ),
            lasts="5m",
            ask=Records((names.REQ_FAIL,), {"status": queries.FAILURES}),
        ),
        Alert(
            "TTSAcousticModelSlow",
            "warning",
            f"{quantile(0.95, names.STAGE_DURATION, _ACOUSTIC, by=(ENGINE,))} > {thresholds.SLOW:g}",
            (
                "Acoustic model of {{ $labels.tts_engine_name }} on {{ $labels.service_name }}: "
                "P95 {{ $value | humanizeDuration }}",
                "{{ $labels.service_name }} 上 {{ $labels.tts_engine_name }} 的声学模型：P95 {{ $value | "
                "humanizeDuration }}",
            ),
            (
                f"One request in twenty spends more than {thresholds.SLOW:g} s in the acoustic model, for five "
                f"minutes.",
                f"每二十个请求中有一个在声学模型中超过 {thresholds.SLOW:g} 秒，已持续五分钟。",
            ),
            common.STAGES,
            (
                (
                    "Seconds per 100 characters: not higher than before? Then texts are longer, and nothing is slow.",
                    "“每百字各阶段秒数”没有变高？说明只是文本变长，并没有变慢。",
                ),
                (
                    "GPU and memory: lowered clocks, other processes on the device, memory near its limit.",
                    "“GPU 与内存”：是否降频、设备上是否有其他进程、显存是否接近上限。",
                ),
                (
                    "Fallbacks to the CPU: see TTSFallbackToCpu.",
                    "是否回退到 CPU：见 TTSFallbackToCpu。",
                ),
                ("More requests at once than before: add workers or devices.", "并发比以前多：增加工作进程或设备。"),
            ),
            lasts="5m",
            ask=Records((names.STAGE_TIME,)),
        ),
        Alert(
            "TTSLatencyDoubled",
            "warning",
            f"{_DURATION} > {thresholds.SLOWER_TIMES:g} * {_BEFORE} and {WANTED} >= {thresholds.FEWEST_REQUESTS} "
            f"and {WANTED} offset {HOUR} >= {thresholds.FEWEST_REQUESTS}",
            (
                "Requests to {{ $labels.service_name }} take twice as long as an hour ago: P95 {{ $value | "
                "humanizeDuration }}",
                "{{ $labels.service_name }} 的请求耗时是一小时前的两倍：P95 {{ $value | humanizeDuration }}",
            ),
            (
                f"P95 of the duration is over {thresholds.SLOWER_TIMES:g} times that of an hour ago, for ten "
                f"minutes, with at "
                f"least {thresholds.FEWEST_REQUESTS} requests in both windows.",
                f"耗时 P95 超过一小时前的 {thresholds.SLOWER_TIMES:g} 倍，已持续十分钟，两个时间窗内都至少有 "
                f"{thresholds.FEWEST_REQUESTS} 个请求。",
            ),
            common.STAGES,
            (
                (
                    "Shares of the stages: which one grew? Waiting: more requests than workers.",
                    "“各阶段占比”：哪个阶段变大？若是等待，说明请求多于工作进程。",
                ),
                (
                    "Length of the text (audio board): longer texts take longer.",
                    "“文本长度”（音频质量看板）：文本更长自然更久。",
                ),
            ),
            lasts="10m",
            ask=Records((names.REQ_SUCCESS, names.REQ_FAIL), slower=True),
        ),
        Alert(
            "TTSStageStuck",
            "critical",
            f"max by (service_name, {ENGINE}, {STAGE}) "
            f"(last_over_time({series(names.OPEN_AGE)}[2m])) > {thresholds.STUCK:g}",
            (
                "A request hangs in {{ $labels.tts_stage }} of {{ $labels.tts_engine_name }} on "
                "{{ $labels.service_name }}, for {{ $value | humanizeDuration }}",
                "{{ $labels.service_name }} 有请求卡在 {{ $labels.tts_engine_name }} 的 {{ $labels.tts_stage }} 阶段，"
                "已 {{ $value | humanizeDuration }}",
            ),
            (
                f"A stage is open for longer than {thresholds.STUCK:g} s: nobody hears anything of that request.",
                f"某阶段开启超过 {thresholds.STUCK:g} 秒仍未结束：该请求没有任何声音。",
            ),
            common.STAGES,
            (
                (
                    "The REQ_STUCK line names the request; others go on? Then only this one is lost.",
                    "REQ_STUCK 行给出请求 id；其他请求正常？则只有它受影响。",
                ),
                (
                    "None goes on: a reference that does not load, a lock that is not released, a device that is lost. "
                    "Restart the worker.",
                    "全部卡住：参考音频加载不了、锁未释放、或设备丢失。重启该工作进程。",
                ),
            ),
            ask=Records((names.REQ_STUCK,)),
        ),
        Alert(
            "TTSQueueGrowing",
            "warning",
            f"{_MUCH} > {thresholds.QUEUE_LONG:g} and {_MUCH} > {thresholds.SLOWER_TIMES:g} * {_LESS}",
            (
                "{{ $labels.service_name }} has {{ $value | humanize }} requests under way, twice as many as a "
                "quarter of "
                "an hour ago",
                "{{ $labels.service_name }} 有 {{ $value | humanize }} 个请求在进行，是一刻钟前的两倍",
            ),
            (
                f"On average more than {thresholds.QUEUE_LONG:g} requests were under way in the last five minutes, "
                f"and over "
                f"{thresholds.SLOWER_TIMES:g} times as many as a quarter of an hour before: more come than end.",
                f"最近五分钟平均有超过 {thresholds.QUEUE_LONG:g} 个请求在进行，且是一刻钟前的 "
                f"{thresholds.SLOWER_TIMES:g} 倍以上：来的比结束的多。",
            ),
            common.SERVICE,
            (
                (
                    "More callers than usual: add workers, or refuse earlier (max_size).",
                    "请求比平时多：增加工作进程，或更早拒绝（max_size）。",
                ),
                (
                    "As many callers as usual: something is slow; see TTSLatencyDoubled, TTSStageStuck.",
                    "请求和平时一样多：有环节变慢；见 TTSLatencyDoubled、TTSStageStuck。",
                ),
            ),
            lasts="5m",
            show=_ACTIVE,
        ),
        Alert(
            "TTSEventLoopBlocked",
            "warning",
            f"max by (service_name) (max_over_time({series(names.LOOP_LAG)}[{NOW}])) > {thresholds.LOOP_LAG:g}",
            (
                "The event loop of {{ $labels.service_name }} stood still for {{ $value | humanizeDuration }}",
                "{{ $labels.service_name }} 的事件循环停顿了 {{ $value | humanizeDuration }}",
            ),
            (
                f"The loop did what was due over {thresholds.LOOP_LAG:g} s late: while a synthesis runs on its "
                f"thread, all "
                "other requests, health checks too, wait.",
                f"事件循环延迟超过 {thresholds.LOOP_LAG:g} 秒：在其线程上合成时，其他请求（包括健康检查）都在等待。",
            ),
            common.STAGES,
            (
                (
                    "The span `tts.event_loop.late` and the line `LOOP_LATE` name file, function and line, and the "
                    "cause: code, garbage collection, native code that holds the interpreter, no CPU.",
                    "span `tts.event_loop.late` 和日志行 `LOOP_LATE` 给出文件、函数与行号，以及原因：代码、垃圾回收、"
                    "占住解释器的原生代码、得不到 CPU。",
                ),
                (
                    "Call the engine from a worker thread (`def` instead of `async def`, or asyncio.to_thread).",
                    "把引擎调用放到工作线程（用 `def` 而不是 `async def`，或 asyncio.to_thread）。",
                ),
            ),
            keeps="5m",
            show=series(names.LOOP_LAG),
        ),
        Alert(
            "TTSNoRequests",
            "warning",
            f"{_SOME} >= {thresholds.FEWEST_REQUESTS} unless {_NONE} > 0",
            (
                "No request to {{ $labels.service_name }} for a quarter of an hour; {{ $value | humanize }} in the "
                "hour before",
                "{{ $labels.service_name }} 已一刻钟没有请求；之前一小时有 {{ $value | humanize }} 个",
            ),
            (
                "There were requests, and now there are none: the service is gone, nobody reaches it, or its "
                "telemetry does "
                "not arrive.",
                "之前有请求，现在没有：服务已停止、无法访问，或遥测没有到达。",
            ),
            common.SERVICE,
            (
                (
                    "Pipeline health: do other services report? None: the Collector or Prometheus.",
                    "“遥测管道”：其他服务在上报吗？都没有：Collector 或 Prometheus 的问题。",
                ),
                ("Does the service's health page answer? No: start it.", "服务的健康页有应答吗？没有：启动它。"),
                ("It does: what is in front of it, a proxy or a name?", "有：检查它前面的代理或域名。"),
            ),
            show=series(names.REQUESTS),
        ),
    ),
)
