# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that does not come back, devices that are full or not used."""

from __future__ import annotations

from dashboards import foreign, thresholds
from dashboards import queries as q
from dashboards.boards import common
from dashboards.questions import Records
from dashboards.rules.alert import HOUR, Alert, Group, grown, series
from otel_tts import names

HALF, FLOOR = "30m", "10m"


def _floor(metric: names.Metric, by: str, ago: str = "") -> str:
    """The least within ten minutes, so long ago."""
    moved = f" offset {ago}" if ago else ""
    return f"max by ({by}) (min_over_time({series(metric)}[{FLOOR}]{moved}))"


def _rises(metric: names.Metric, by: str) -> str:
    """The floor is higher than half an hour ago, and was then higher than an hour ago."""
    now, before, first = _floor(metric, by), _floor(metric, by, HALF), _floor(metric, by, HOUR)
    return f"{now} > {before} and {before} > {first}"


_OF_GPU, _OF_PROCESS = f"service_name, {q.GPU}", "service_name, service_instance_id"
_USED, _LIMIT, _HELD = names.HW_MEMORY_USAGE, names.HW_MEMORY_LIMIT, foreign.PROCESS_MEMORY
_limit = f"max by ({_OF_GPU}) ({series(_LIMIT)})"

GROUP = Group(
    "tts-devices",
    (
        Alert(
            "TTSGpuMemoryFloorRising",
            "warning",
            f"({_floor(_USED, _OF_GPU)} - {_floor(_USED, _OF_GPU, HOUR)}) / {_limit} > {thresholds.GPU_GROWTH:g} "
            f"and {_rises(_USED, _OF_GPU)}",
            (
                "Memory of {{ $labels.hw_id }} on {{ $labels.service_name }} rises without falling: "
                "{{ $value | humanizePercentage }} of the device in an hour",
                "{{ $labels.service_name }} 上 {{ $labels.hw_id }} 的显存只升不降：一小时增加了设备的 "
                "{{ $value | humanizePercentage }}",
            ),
            (
                f"The least that is used within ten minutes is over {thresholds.percent(thresholds.GPU_GROWTH)} of "
                f"the device "
                f"higher than an "
                "hour ago, and rose in both halves of that hour: not a cache that fills once.",
                f"十分钟内的最小占用比一小时前高出设备显存的 {thresholds.percent(thresholds.GPU_GROWTH)} 以上，"
                f"且前后半小时都在上升："
                "不是一次性填满的缓存。",
            ),
            common.DEVICES,
            (
                (
                    "Rise a request: how many bytes stay each time? Which engine or voice began then?",
                    "“每请求增量”：每次留下多少字节？那时起用了哪个引擎或音色？",
                ),
                (
                    "Memory of this service: does the rise belong to another process on the device?",
                    "“本服务的显存”：上升的是设备上的其他进程吗？",
                ),
                (
                    "Until it is found: restart the worker before the device is full.",
                    "找到原因之前：在显存用满前重启工作进程。",
                ),
            ),
            lasts="5m",
            show=series(_USED),
        ),
        Alert(
            "TTSProcessMemoryFloorRising",
            "warning",
            f"{_floor(_HELD, _OF_PROCESS)} / {_floor(_HELD, _OF_PROCESS, HOUR)} - 1 > {thresholds.PROCESS_GROWTH:g} "
            f"and {_rises(_HELD, _OF_PROCESS)}",
            (
                "Memory of a process of {{ $labels.service_name }} rises without falling: "
                "{{ $value | humanizePercentage }} in an hour",
                "{{ $labels.service_name }} 的一个进程内存只升不降：一小时增加 {{ $value | humanizePercentage }}",
            ),
            (
                f"The least that the process holds within ten minutes is over "
                f"{thresholds.percent(thresholds.PROCESS_GROWTH)} "
                f"higher than an "
                "hour ago, and rose in both halves of that hour.",
                f"进程十分钟内的最小内存比一小时前高出 {thresholds.percent(thresholds.PROCESS_GROWTH)} 以上，"
                f"且前后半小时都在上升。",
            ),
            common.DEVICES,
            (
                ("Open files and threads: do they rise too?", "“打开的文件与线程”是否也在上升？"),
                (
                    "Audio that is kept: lists of results, caches of references without a bound.",
                    "是否保留了音频：结果列表、没有上限的参考缓存。",
                ),
                (
                    "Until it is found: restart workers after a number of requests.",
                    "找到原因之前：每处理一定数量的请求后重启工作进程。",
                ),
            ),
            lasts="5m",
            show=series(_HELD),
        ),
        Alert(
            "TTSGpuMemoryFull",
            "critical",
            f"max by ({_OF_GPU}) ({series(names.HW_MEMORY_UTILIZATION)}) > {thresholds.GPU_FULL:g}",
            (
                "{{ $labels.hw_id }} on {{ $labels.service_name }} is full: {{ $value | humanizePercentage }}",
                "{{ $labels.service_name }} 上的 {{ $labels.hw_id }} 显存已满：{{ $value | humanizePercentage }}",
            ),
            (
                f"More than {thresholds.percent(thresholds.GPU_FULL)} of the device's memory is used, for five "
                f"minutes. The next "
                f"long text may "
                "fail, or make the engine go on on the CPU.",
                f"设备显存占用超过 {thresholds.percent(thresholds.GPU_FULL)} 已五分钟。下一个长文本可能失败，"
                f"或使引擎改在 CPU 上运行。",
            ),
            common.DEVICES,
            (
                ("Peak of a stage: fewer requests at once.", "“阶段峰值”：降低并发。"),
                ("Another process on the device? Move it.", "设备上有其他进程？移走它。"),
                ("Empty the allocator's cache; else restart the worker.", "清空分配器缓存；否则重启工作进程。"),
            ),
            lasts="5m",
            ask=Records((names.REQ_FAIL,), {"error_type": ".*OutOfMemory.*"}),
        ),
        Alert(
            "TTSFallbackToCpu",
            "critical",
            f"{grown(names.DEVICE_FALLBACKS, by=(q.ENGINE,))} > 0",
            (
                "{{ $labels.tts_engine_name }} on {{ $labels.service_name }} went on on the CPU: {{ $value | "
                "humanize }} requests",
                "{{ $labels.service_name }} 上的 {{ $labels.tts_engine_name }} 已改在 CPU 上运行：{{ $value | "
                "humanize }} 个请求",
            ),
            (
                "Requests of the last five minutes ran on the CPU after having run on a device. They are slower "
                "and often "
                "sound worse, and no error says so.",
                "最近五分钟有请求曾在设备上运行、现在改在 CPU 上运行。更慢，音质常常更差，而且不报错。",
            ),
            common.DEVICES,
            (
                (
                    "Is the device there (Lost devices), and has it memory left (TTSGpuMemoryFull)?",
                    "设备还在吗（“丢失的设备”）？显存够吗（TTSGpuMemoryFull）？",
                ),
                ("Restart the worker: engines do not go back by themselves.", "重启工作进程：引擎不会自己回到设备。"),
            ),
            keeps="10m",
            show=series(names.DEVICE_FALLBACKS),
        ),
    ),
)
