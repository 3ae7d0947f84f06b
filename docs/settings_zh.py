# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/zh-CN/settings.md: the settings with their meanings in Chinese; one that has none yet keeps its English one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from otel_tts import settings
from otel_tts.settings import Setting

MEANINGS = {
    "OTEL_TTS_ENABLED": "false 关闭我们的一切",
    "OTEL_TTS_CLOCK": "用哪个时钟给阶段计时：host 为主机；sync 会同步该阶段的流；events 使用 CUDA 事件",
    "OTEL_TTS_MEMORY_EVENTS": "gpu.memory 记在哪里：span 事件、日志记录、两者，或都不记",
    "OTEL_TTS_MAX_STAGE_SPANS": "一个请求最多有多少个阶段 span；超出的按阶段合并成一个",
    "OTEL_TTS_STUCK_AFTER": "请求未结束超过多少秒即报告为卡住",
    "OTEL_TTS_VOICES": "可以原样导出的预设音色名；其余音色变为哈希",
    "OTEL_TTS_VOICE_NAMES": "你为参考音频起的名字；`otel-tts voice 文件` 给出它的哈希",
    "OTEL_TTS_HASH_KEY": "音色与说话人哈希的密钥；不设置时每个进程随机生成",
    "OTEL_TTS_ALLOW_ATTRIBUTES": "另外允许离开的属性名（或以 * 结尾的前缀）",
    "OTEL_TTS_EXPORT_APP_LOGS": "应用自己的日志行导出什么：级别、logger、文件与行号；连同正文；或什么都不导出",
    "OTEL_TTS_LOG_FORMAT": "REQ_… 与 STAGE_TIME 行以何种格式写到 stderr",
    "OTEL_TTS_MAX_LABEL_VALUES": "一个指标标签最多有多少个不同取值，其余归为 other",
    "OTEL_TTS_KEEP": "没有失败、缓慢、迟到或异常的追踪中导出的比例；有这些情况的总会导出",
    "OTEL_TTS_KEEP_SLOW": "某个 span 超过这么多秒，其追踪即算缓慢",
    "OTEL_TTS_KEEP_LATE": "首个声音晚于这么多秒，其追踪即算迟到",
    "OTEL_TTS_QUEUE_SIZE": "已结束、等待转换为遥测的请求数上限；超出的丢弃并计数",
    "OTEL_TTS_SERVER_SPAN": "网络请求的 server span 由谁生成：otel-tts（应答发出之后），或 OpenTelemetry 的插桩",
    "OTEL_TTS_SHUTDOWN_TIMEOUT": "进程结束时最后一次发送总共可用的秒数",
    "OTEL_TTS_EXPORT_BYTES": "接收端要求稍后再发（Retry-After）时，每种信号最多有多少字节在内存中等待；0：不等待",
    "OTEL_TTS_FILE_DIR": "以 OTLP JSON 行写出遥测的目录，有无服务端皆可；设置后即启用导出器 otel_tts_file",
    "OTEL_TTS_FILE_BYTES": "该目录中所有进程的文件总共可占的字节数；超出时删除最旧的",
    "OTEL_TTS_FILE_DAYS": "该目录中的文件保留多少天",
    "OTEL_TTS_SCRAPE_DIR": "配合 OTEL_METRICS_EXPORTER=prometheus：每个进程各用一个端口，并把地址写入该目录（file_sd）",
    "OTEL_TTS_GRADIO_PROGRESS": "true 在 Gradio 页面的进度文字中显示请求 id",
    "OTEL_TTS_CONTROL": "各进程控制套接字的目录（须属自己，0700），供 `otel-tts watch` 和 `status` 使用；未设置则没有",
    "OTEL_TTS_TRUST_CALLER": "对外开放时设为 false：调用方的追踪只作链接而不加入，不由它决定采样，也不沿用它的 id",
    "OTEL_TTS_TRUST_PROXY": "true 采信你的代理所设的 X-Request-Start：内核无法得知时，请求从那时算起",
    "OTEL_TTS_SILENCE_DBFS": "低于此电平视为静音",
    "OTEL_TTS_CLIP_RATIO": "削波采样占比达到多少算异常",
    "OTEL_TTS_CLICKS_PER_SECOND": "每秒多少次爆音算异常",
    "OTEL_TTS_DC_OFFSET": "采样均值达到多少算异常（直流偏移）",
    "OTEL_TTS_UNDERRUN": "流式播放缺口达到多少秒即为不连续",
    "OTEL_TTS_NVML_INTERVAL": "每隔多少秒查看一次 GPU 的功率、显存与温度；0：不查看，由别的导出器负责",
    "OTEL_TTS_GPU_PRICE": "一块 GPU 一小时的价格，用于 tts.cost；0：不给出费用",
    "OTEL_TTS_CURRENCY": "该价格的货币，按 ISO 4217",
}

KINDS = {
    "boolean": "布尔值",
    "whole number": "整数",
    "number": "数",
    "seconds": "秒",
    "days": "天",
    "bytes": "字节",
    "comma list": "逗号分隔的列表",
    "comma list of hash=name": "逗号分隔的 哈希=名字",
    "text": "文本",
    "path": "路径",
    "ratio": "比例",
    "three letters": "三个字母",
}


def page(
    head: str, table: Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str], default: Callable[[object], str]
) -> str:
    """Return the page's text, `head` its first comment; `table` and `default` draw as the English page does."""
    rows = (
        (f"`{s.variable}`", kind(s), default(s.default), MEANINGS.get(s.variable, s.meaning)) for s in settings.SETTINGS
    )
    return f"""# 设置项

[English](../settings.md) · **简体中文**

{head}

凡是 OpenTelemetry 自己有环境变量的（`OTEL_SERVICE_NAME`、`OTEL_EXPORTER_OTLP_ENDPOINT`、`OTEL_TRACES_SAMPLER` 等），
就用那个变量。其余的由下表设置。无法理解的值会在启动时报告，并保留默认值。`otel-tts settings` 显示当前生效的值。

{table(("变量", "取值", "默认", "含义"), rows)}

`OTEL_TTS_CACHE_DIR`：构建好的服务端程序与下载的音色放在哪里（默认：`XDG_CACHE_HOME` 下的 `otel-tts`，否则
`~/.cache/otel-tts`）。
"""


def kind(setting: Setting) -> str:
    """Return what may be written: the words of a choice as they are."""
    words = setting.kind.split(" | ")
    return "、".join(f"`{word}`" for word in words) if len(words) > 1 else KINDS.get(setting.kind, setting.kind)
