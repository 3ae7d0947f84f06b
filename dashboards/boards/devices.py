# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""GPU and memory: what the device does, what stays in memory, what it costs."""

from __future__ import annotations

from dashboards import foreign, thresholds
from dashboards import queries as q
from dashboards.boards import common
from dashboards.boards.common import NO_GPU, legend
from dashboards.boards.service import SHOWN
from dashboards.questions import Ask, Board, Graph, Light, Lines, Records, Row, Search, Spans, Table, Words
from otel_tts import names
from otel_tts.readers.promql import label

ABSENT: Words = ("no GPU", "无 GPU")
OOM = f'{q.ERROR}=~".*OutOfMemory.*"'
FAILED = f'{label(names.HW_STATE)}="failed"'
CURRENCY = label(names.COST_CURRENCY)
FLOOR = "10m"
MEMORY_EVENTS = (f"^{names.MEMORY_EVENT.replace('.', '[.]')}$",)
ALLOCATOR = (
    names.MEMORY_ALLOCATED,
    names.MEMORY_RESERVED,
    names.MEMORY_PEAK,
    names.MEMORY_SLACK_RATIO,
    names.MEMORY_ATTRIBUTION,
)


def now(metric: names.Metric, *matchers: str) -> str:
    """A gauge as it is now, gone two minutes after who sends it."""
    return q.freshest(q.select(metric, *matchers))


def each(metric: names.Metric) -> Ask:
    """A gauge of each device."""
    return Ask(legend(q.GPU), f"max by ({q.GPU}) ({now(metric)})")


NOW = Row(
    ("Is the device well now?", "设备现在正常吗？"),
    (
        Light(
            title=("Memory used", "显存占用"),
            meaning=("Of the fullest device, by all processes.", "最满的设备，所有进程合计。"),
            unit="percentunit",
            promql=f"max({now(names.HW_MEMORY_UTILIZATION)})",
            steps=((thresholds.GPU_WARM, "yellow"), (thresholds.GPU_FULL, "red")),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Light(
            title=("Rise a request", "每请求增量"),
            meaning=(
                "Bytes that stay allocated after each request, where they rise without falling: a leak.",
                "每次请求之后仍被占用、只升不降的字节数：泄漏。",
            ),
            unit="bytes",
            promql=f"max({now(names.MEMORY_LEAK)})",
            steps=((1, "yellow"), (1 << 20, "red")),
            absent=("not known yet", "尚未可知"),
            empty=(
                "Until some 120 requests have ended with nothing else open; needs torch on a GPU.",
                "约 120 个请求在没有其他请求时结束之前；需要 GPU 上的 torch。",
            ),
        ),
        Light(
            title=("Fallbacks to the CPU", "回退到 CPU"),
            meaning=(
                "Requests of the last hour that ran on the CPU after having run on a device: slower, and no error "
                "says so.",
                "最近一小时内曾在设备上运行、现在改在 CPU 上运行的请求：变慢且不报错。",
            ),
            unit="short",
            promql=f"sum({q.counted(q.select(names.DEVICE_FALLBACKS), '1h')})",
            steps=((1, "red"),),
            absent=common.NONE,
            empty=common.HEALTHY,
        ),
        Light(
            title=("Out of memory", "显存不足"),
            meaning=("Requests that ended so in the last hour.", "最近一小时内因显存不足结束的请求。"),
            unit="short",
            promql=f"sum({q.counted(q.select(names.REQUESTS, OOM), '1h')})",
            steps=((1, "red"),),
            absent=common.NONE,
            empty=common.HEALTHY,
        ),
        Light(
            title=("Busy", "忙碌程度"),
            meaning=(
                "Share of time with any kernel running, however small, of the busiest device.",
                "有内核在运行的时间占比（无论内核多小），最忙的设备。",
            ),
            unit="percentunit",
            promql=f"max({now(names.HW_UTILIZATION)})",
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Light(
            title=("Temperature", "温度"),
            meaning=("Of the hottest chip.", "最热的芯片。"),
            unit="celsius",
            promql=f"max({now(names.HW_TEMPERATURE)})",
            steps=((thresholds.HOT, "yellow"), (thresholds.VERY_HOT, "red")),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Light(
            title=("Lost devices", "丢失的设备"),
            meaning=("Devices that have fallen off the bus.", "从总线上掉线的设备。"),
            unit="short",
            promql=f"sum({now(names.HW_STATUS, FAILED)})",
            steps=((1, "red"),),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Light(
            title=("Cost of a request", "每请求成本"),
            meaning=(
                "Mean of the last hour: device time times the price of a GPU hour (OTEL_TTS_GPU_PRICE). An estimate.",
                "最近一小时的均值：设备时间乘以 GPU 小时价格（OTEL_TTS_GPU_PRICE）。估算值。",
            ),
            unit="short",
            promql=f"sum({q.counted(q.select(names.GPU_COST), '1h')}) / "
            f"(sum({q.counted(q.select(names.REQUESTS), '1h')}) > 0)",
            absent=("no price", "无价格"),
            empty=("Only with OTEL_TTS_GPU_PRICE.", "仅当设置了 OTEL_TTS_GPU_PRICE。"),
        ),
    ),
)

MEMORY = Row(
    ("Device memory: what is held, what stays, what a stage takes", "显存：占用多少、留下多少、各阶段用多少"),
    (
        Graph(
            title=("Memory of the devices", "设备显存"),
            meaning=(
                "In use by all processes, and what there is. Near the limit the allocator empties its cache, then "
                "fails.",
                "所有进程的占用与总量。接近上限时分配器先清缓存，然后失败。",
            ),
            unit="bytes",
            asks=(
                Ask(("used {{hw_id}}", "已用 {{hw_id}}"), each(names.HW_MEMORY_USAGE).promql),
                Ask(("limit {{hw_id}}", "总量 {{hw_id}}"), each(names.HW_MEMORY_LIMIT).promql),
            ),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Floor against high-water mark", "底线与最高水位"),
            meaning=(
                "The least and the most that was used within ten minutes. A high-water mark that stays is a cache; a "
                "floor that climbs is a leak.",
                "十分钟内的最小与最大占用。最高水位保持不变是缓存；底线不断上升是泄漏。",
            ),
            unit="bytes",
            asks=(
                Ask(("floor {{hw_id}}", "底线 {{hw_id}}"), q.floor(q.select(names.HW_MEMORY_USAGE), q.GPU, FLOOR)),
                Ask(
                    ("high-water {{hw_id}}", "最高水位 {{hw_id}}"),
                    f"max by ({q.GPU}) (max_over_time({q.select(names.HW_MEMORY_USAGE)}[{FLOOR}]))",
                ),
            ),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Memory of this service", "本服务的显存"),
            meaning=(
                "Of each process, as the driver counts it. What others have is the difference to the device's.",
                "各进程的占用，按驱动统计。与设备占用之差是其他进程的。",
            ),
            unit="bytes",
            asks=(
                Ask(
                    legend("service_instance_id", q.GPU),
                    f"sum by (service_instance_id, {q.GPU}) ({now(names.GPU_PROCESS_MEMORY)})",
                ),
            ),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Peak of a stage P95", "阶段峰值 P95"),
            meaning=(
                "The highest allocation during a stage. The largest decides how many requests fit at once. Dots "
                "lead to "
                "a trace.",
                "阶段内的最高分配量。最大者决定能同时容纳多少请求。圆点可打开追踪。",
            ),
            unit="bytes",
            asks=(Ask(legend(q.STAGE), q.quantile(0.95, names.STAGE_MEMORY_PEAK, q.STAGE)),),
            exemplars=True,
            absent=ABSENT,
            empty=("Needs torch on a GPU.", "需要 GPU 上的 torch。"),
        ),
        Graph(
            title=("Rise a request, by device", "每请求增量（按设备）"),
            meaning=(
                "Bytes that stay after each request, by device; 0 is well.",
                "每次请求后留下的字节数，按设备；0 为正常。",
            ),
            unit="bytes",
            asks=(each(names.MEMORY_LEAK),),
            absent=("not known yet", "尚未可知"),
            empty=(
                "Until some 120 requests have ended with nothing else open; needs torch on a GPU.",
                "约 120 个请求在没有其他请求时结束之前；需要 GPU 上的 torch。",
            ),
        ),
        Graph(
            title=("Fallbacks by engine", "各引擎回退到 CPU"),
            meaning=("Requests, by engine.", "请求数，按引擎。"),
            unit="short",
            asks=(Ask(legend(q.ENGINE), q.total(names.DEVICE_FALLBACKS, by=(q.ENGINE,))),),
            absent=common.NONE,
            empty=common.HEALTHY,
        ),
    ),
)

HEALTH = Row(
    ("The device itself", "设备本身"),
    (
        Graph(
            title=("Utilization", "利用率"),
            meaning=("Share of time with any kernel running, however small.", "有内核在运行的时间占比，无论内核多小。"),
            unit="percentunit",
            asks=(each(names.HW_UTILIZATION),),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Power", "功率"),
            meaning=("Draw of the whole device.", "整个设备的功耗。"),
            unit="watt",
            asks=(each(names.HW_POWER),),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Temperature of the chip", "芯片温度"),
            meaning=("Over the line the device lowers its clocks.", "超过虚线后设备会降频。"),
            unit="celsius",
            asks=(each(names.HW_TEMPERATURE),),
            line_at=((thresholds.VERY_HOT, "red"),),
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Lowered clocks", "降频"),
            meaning=("1 while the device lowers its clocks for that reason.", "因该原因降频期间为 1。"),
            unit="short",
            asks=(
                Ask(
                    legend(q.GPU, "reason"),
                    f"max by ({q.GPU}, reason) ({now(names.GPU_THROTTLED)}) > 0",
                ),
            ),
            absent=common.NONE,
            empty=common.HEALTHY,
        ),
        Graph(
            title=("Memory errors", "显存错误"),
            meaning=(
                "Corrected and uncorrected. Uncorrected ones: take the device out of service.",
                "已纠正与未纠正的错误。出现未纠正错误应让设备下线。",
            ),
            unit="short",
            asks=(Ask(legend(q.GPU, q.ERROR), q.total(names.HW_ERRORS, by=(q.GPU, q.ERROR))),),
            absent=common.NONE,
            empty=NO_GPU,
        ),
        Graph(
            title=("Device time a second", "每秒设备时间"),
            meaning=(
                "Seconds of device time each second, a fair share where requests overlap, by engine and how it was "
                "told.",
                "每秒的设备时间秒数，请求重叠时按公平份额，按引擎和估算方式分。",
            ),
            unit="none",
            asks=(
                Ask(
                    legend(q.ENGINE, label(names.ESTIMATE)),
                    q.rate(names.GPU_TIME, by=(q.ENGINE, label(names.ESTIMATE))),
                ),
            ),
            absent=ABSENT,
            empty=("Needs torch on a GPU.", "需要 GPU 上的 torch。"),
        ),
    ),
)

_audio = f"({q.total(names.AUDIO_SECONDS, by=(q.ENGINE,), window='$__range', part='_sum')} > 0)"
_spoken = f"({q.total(names.REQUESTS, by=(q.ENGINE,), window='$__range')} > 0)"

_idle = q.select(names.GPU_ENERGY_IDLE)

COST = Row(
    ("Energy and cost, estimates", "能耗与成本（估算）"),
    (
        Graph(
            title=("Energy of requests and idle", "请求能耗与空闲能耗"),
            meaning=(
                "Watts that requests are charged with, by engine, and what the device draws for nobody.",
                "计入请求的功率（按引擎）与设备空耗的功率。",
            ),
            unit="watt",
            asks=(
                Ask(legend(q.ENGINE), q.rate(names.GPU_ENERGY, by=(q.ENGINE,))),
                # Not the sum: each process on a device counts the whole device's.
                Ask(("idle {{hw_id}}", "空闲 {{hw_id}}"), f"max by ({q.GPU}) (rate({_idle}[{q.TREND}]))"),
            ),
            stacked=True,
            absent=ABSENT,
            empty=NO_GPU,
        ),
        Graph(
            title=("Cost an hour", "每小时成本"),
            meaning=(
                "Cost of the device time that requests had, by engine and currency.",
                "请求所用设备时间的成本，按引擎和货币。",
            ),
            unit="short",
            asks=(
                Ask(
                    legend(q.ENGINE, CURRENCY),
                    f"3600 * {q.rate(names.GPU_COST, by=(q.ENGINE, CURRENCY))}",
                ),
            ),
            absent=("no price", "无价格"),
            empty=("Only with OTEL_TTS_GPU_PRICE.", "仅当设置了 OTEL_TTS_GPU_PRICE。"),
        ),
        Table(
            title=("By engine", "按引擎"),
            meaning=(
                "Over the board's time range: joules and cost of a request and of a minute of audio.",
                "看板时间范围内：每请求与每分钟音频的焦耳与成本。",
            ),
            label=q.ENGINE,
            label_title=("Engine", "引擎"),
            asks=(
                Ask(
                    ("Energy a request", "每请求能耗"),
                    f"{q.total(names.GPU_ENERGY, by=(q.ENGINE,), window='$__range')} / {_spoken}",
                    "joule",
                ),
                Ask(
                    ("Cost a request", "每请求成本"),
                    f"{q.total(names.GPU_COST, by=(q.ENGINE,), window='$__range')} / {_spoken}",
                    "none",
                ),
                Ask(
                    ("Cost a minute of audio", "每分钟音频成本"),
                    f"60 * {q.total(names.GPU_COST, by=(q.ENGINE,), window='$__range')} / {_audio}",
                    "none",
                ),
            ),
            width=8,
            empty=("Only with a GPU and OTEL_TTS_GPU_PRICE.", "仅当有 GPU 且设置了 OTEL_TTS_GPU_PRICE。"),
        ),
    ),
)

_memory = q.select(foreign.PROCESS_MEMORY)

HOST = Row(
    ("The process", "进程"),
    (
        Graph(
            title=("Memory of the processes", "进程内存"),
            meaning=("Resident memory of each process.", "各进程的常驻内存。"),
            unit="bytes",
            asks=(Ask(legend("service_instance_id"), f"sum by (service_instance_id) ({_memory})"),),
        ),
        Graph(
            title=("Floor of the processes' memory", "进程内存底线"),
            meaning=(
                "The least within ten minutes. One that climbs for an hour is a leak.",
                "十分钟内的最小值。连续上升一小时即为泄漏。",
            ),
            unit="bytes",
            asks=(Ask(legend("service_instance_id"), q.floor(_memory, "service_instance_id", FLOOR)),),
        ),
        Graph(
            title=("Open files and threads", "打开的文件与线程"),
            meaning=("Of each process; one that climbs is a leak of them.", "各进程的数量；持续上升即泄漏。"),
            unit="short",
            asks=(
                Ask(
                    ("files {{service_instance_id}}", "文件 {{service_instance_id}}"),
                    f"sum by (service_instance_id) ({q.select(foreign.PROCESS_FILES)})",
                ),
                Ask(
                    ("threads {{service_instance_id}}", "线程 {{service_instance_id}}"),
                    f"sum by (service_instance_id) ({q.select(foreign.PROCESS_THREADS)})",
                ),
            ),
        ),
    ),
)

WHICH = Row(
    ("Which requests", "哪些请求"),
    (
        Spans(
            title=("Requests out of memory", "显存不足的请求"),
            meaning=("The latest hundred that ended for want of memory.", "最近一百个因显存不足结束的请求。"),
            search=Search(
                {names.ERROR_TYPE: ".*OutOfMemory.*", names.OPERATION_NAME: names.OPERATION},
                (*SHOWN, names.MEMORY_PEAK),
                Records((names.REQ_FAIL,), {"error_type": ".*OutOfMemory.*"}),
            ),
            empty=common.HEALTHY,
        ),
        Lines(
            title=("Allocator after each stage", "各阶段后的分配器"),
            meaning=(
                "In bytes: allocated, reserved, the stage's peak; the share that no tensor uses. Which stage: its "
                "trace.",
                "单位字节：已分配、已保留、该阶段峰值；未被张量使用的份额。是哪个阶段：看其追踪。",
            ),
            records=Records(MEMORY_EVENTS, of_engine=False, shown=ALLOCATOR),
            empty=("Only with OTEL_TTS_MEMORY_EVENTS=logs or both.", "仅当 OTEL_TTS_MEMORY_EVENTS=logs 或 both。"),
        ),
    ),
)

BOARD = Board(
    common.DEVICES,
    ("TTS GPU and memory", "TTS GPU 与内存"),
    (
        "What the device does, what stays in its memory and the process's, fallbacks to the CPU, energy and cost.",
        "设备在做什么、显存与进程内存中留下什么、回退到 CPU、能耗与成本。",
    ),
    (*common.USUAL, common.GPUS),
    (NOW, MEMORY, HEALTH, COST, HOST, WHICH),
)
