# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel_tts.causes.answer` in Chinese: of each cause what it is, what to do, how to see that it helped."""

from __future__ import annotations

from typing import Final

from otel_tts import names

ADVICE: Final[dict[str, tuple[str, str, str]]] = {
    "out_of_memory": (
        "显存已用尽",
        "减少同时处理的请求，把长文本切成段，或换更小的模型；若保留显存远大于已分配显存，设置 "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "一天之内没有带 gpu.memory.oom 的 tts.stage，且 gpu.memory.peak 低于设备显存",
    ),
    "error": (
        "请求因异常而结束",
        "看下面的日志行，找到抛出异常的位置；在服务代码中按异常类型和阶段查找",
        "修改后 otel-tts find --failed 不再找到此类异常",
    ),
    "rejected": (
        "请求在开始处理之前就被拒绝",
        "放宽拒绝它的上限（队列长度、文本长度、并发），或增加副本",
        'tts.requests{tts.outcome="rejected"} 下降',
    ),
    "client_left": (
        "客户端在结束之前离开",
        "比较客户端的超时与服务所需的时间；客户端离开时让引擎停止",
        'tts.requests{tts.outcome="cancelled"} 下降',
    ),
    "bad_audio": (
        "音频本身有问题",
        "用另一音色和另一参考音频念同一文本并试听；静音和 NaN 多由参考音频为空、过短、采样率不符，或半精度引起",
        "修改后 otel-tts find --anomaly 不再找到此类音频",
    ),
    "too_long": (
        "音频长于文本所需",
        "模型没有停下，或达到步数上限：按文本长度设更低的上限，换随机种子，或加重复惩罚",
        "tts.audio.anomalies 中的 too_long 下降",
    ),
    "limit": (
        "生成在步数上限处被截断",
        "试听结尾：若缺字，把文本切成更短的段或提高上限；若是胡言或静音，则模型没有停下：换随机种子、加重复惩罚、换更干净的参考音频",
        'tts.generations{tts.finish_reason="length"} 下降',
    ),
    "fallback": (
        "在 CPU 上运行，而不是在设备上",
        "查明什么占用了显存（gpu.memory.reserved、其他进程），重启服务，并预留一部分显存",
        "tts.device.fallbacks 不再增加，tts.real_time_factor 恢复原值",
    ),
    "cold_start": (
        "冷启动",
        "服务启动时、接收请求之前（就绪检查）先念一句话，并让副本常驻",
        "预热之后没有请求带 tts.cold_start",
    ),
    "queue": ("在队列中等待", "设备有余量时提高并发，否则增加副本", "tts.queue.duration 的 95 分位下降"),
    "lock": (
        "等待引擎的锁",
        "引擎一次只处理一个请求：多开几个进程，或者合批",
        "text_to_speech 之内的 tts.queue 变短",
    ),
    "cache_miss": (
        "参考音频被重新编码",
        "保留会再次出现的参考音频的编码（更大的缓存，或进程间共享的缓存），并把同一音色发给认识它的副本",
        "更多请求的 tts.reference.cache_hit 为 true",
    ),
    "blocked": (
        "请求没有立即开始，也不在任何已知的队列中",
        "事件循环被阻塞、线程池已满或进程繁忙：在线程中调用引擎，绝不在事件循环上调用",
        "从服务端跨度开始到合成开始不超过 50 毫秒",
    ),
    "device_busy": (
        "设备忙于别的工作",
        "看当时还有什么在运行（tts.requests.active、GPU 上的其他进程）：减少同时的请求，或增加设备",
        "gpu.queue_delay 变短",
    ),
    "allocator": (
        "分配器显存不足，清空了缓存",
        "减少同时处理的请求，或设置 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "不再有跨度带 gpu.memory.num_alloc_retries",
    ),
    "retries": (
        "引擎丢弃了结果并重试",
        "查明为何如此：多半是模型跟不上的文本或参考音频",
        "不再有跨度带 tts.retries",
    ),
    "stage": (
        "某一阶段用时超过此文本所需",
        "看慢请求的共同点，以及当时机器上还有什么在运行",
        "otel-tts find --since 1h 不再指出此阶段",
    ),
    "shared": ("慢请求的共同点", "看那里有什么不同", "otel-tts find --since 1h 不再指出它"),
    "network": (
        "服务端没有问题：音频按所需时间生成并发出",
        "查看服务与听者之间：网络、会缓冲的代理、播放器",
        "客户端在 tts.time_to_first_audio 加自身往返时间之内听到声音",
    ),
}

_VERSION: Final = ("退回上一版本，并比较两者", "不再指出任何版本")
_PLACE: Final = "看{}：负载、内存、其上还有什么在运行；在此期间将其移出服务"

BY_PROPERTY: Final[dict[str, tuple[str, str]]] = {
    names.VOICE: (
        "比较它与其他音色的参考音频（长度、采样率、噪声），并用另一音色念同一文本",
        "该音色用时与其他音色相同",
    ),
    names.VOICE_SOURCE: ("保留参考音频的编码", "更多请求的 tts.reference.cache_hit 为 true"),
    names.REFERENCE_CACHE_HIT: ADVICE["cache_miss"][1:],
    names.COLD_START_KIND: ADVICE["cold_start"][1:],
    names.DEVICE_FALLBACK: ADVICE["fallback"][1:],
    names.TEXT_LANGUAGE: (
        "看它在哪个阶段慢：文本前端（词典、为它加载的模型）还是模型本身",
        "该语言用时与其他语言相同",
    ),
    names.ENGINE_VERSION: _VERSION,
    names.MODEL: ("比较各模型的阶段", "不再指出任何模型"),
    "service.version": _VERSION,
    "device": ("看该设备：温度、降频、显存错误、还有谁在用；把它的工作移走", "该设备上的请求用时与其他设备相同"),
    "host.name": (_PLACE.format("该机器"), "其上的请求用时与别处相同"),
    "k8s.pod.name": (_PLACE.format("该 Pod 及其节点"), "其上的请求用时与别处相同"),
    "waited in a queue": ADVICE["queue"][1:],
}

ANOMALIES: Final[dict[str, str]] = {
    "empty": "没有样本",
    "silent": "没有任何 50 毫秒高于 -40 dBFS",
    "clipped": "超过 0.1 % 的样本达到满幅的 0.999",
    "clicks": "每秒爆音超过三次",
    "nan": "样本不是数字",
    names.Anomaly.TRUNCATED: "每字符的秒数少于引擎标称范围，或无错误地中断",
    "too_long": "每字符的秒数多于引擎标称范围",
    "dc_offset": "样本均值超过满幅的 0.01",
    "wrong_sample_rate": "不是引擎标称的采样率，或中途变化",
    "wrong_channels": "不是引擎标称的声道数",
    "wrong_format": "交付的文件不是它所声称的格式",
    "codec_error": "交付的文件有一部分无法解码",
    names.Anomaly.LIMIT_REACHED: "模型结束之前，生成在步数上限处被截断",
}

COLD_STARTS: Final[dict[str, str]] = {
    names.ColdStart.FIRST_REQUEST: "该引擎在此进程中的第一次合成",
    names.ColdStart.MODEL_LOAD: "请求之内加载了模型",
    names.ColdStart.FIRST_VOICE: "该引擎在此进程中尚未用过的参考音色",
    names.ColdStart.COMPILE: "torch 在请求之内编译了代码",
}
