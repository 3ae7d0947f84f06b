# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What several boards have: their uids, their variables, words that stand in many panels."""

from __future__ import annotations

from dashboards import queries as q
from dashboards.questions import Ask, Choice, Typed, Words
from otel_tts import names

SERVICE, STAGES, AUDIO, DEVICES, REQUEST, TELEMETRY = (
    "tts-overview",
    "tts-stages",
    "tts-audio",
    "tts-devices",
    "tts-request",
    "tts-telemetry",
)

REQUESTS = q.translate(names.REQUESTS)
OF_SERVICE = f'{REQUESTS}{{service_name=~"$service"}}'

# Loki refuses a matcher that also matches nothing, so All is `.+` for the service, which every series has. A model may
# be unknown, and then has no label.
SERVICES = Choice("service", ("Service", "服务"), REQUESTS, "service_name", ".+")
ENGINES = Choice("engine", ("Engine", "引擎"), OF_SERVICE, q.ENGINE, ".*")
MODELS = Choice("model", ("Model", "模型"), OF_SERVICE, q.MODEL, ".*")
GPUS = Choice("gpu", ("GPU", "GPU"), q.translate(names.HW_MEMORY_LIMIT), q.GPU, ".*")
USUAL = (SERVICES, ENGINES, MODELS)
SLOWER_THAN = Typed("slower_than", ("Slow is over (seconds)", "慢于（秒）"), "3")

QUANTILES = (("P50", 0.5), ("P95", 0.95), ("P99", 0.99))

NO_REQUESTS: Words = ("no requests", "无请求")
NO_AUDIO: Words = ("no audio", "无音频")
NO_TELEMETRY: Words = ("no telemetry", "无遥测")
NONE: Words = ("none", "无")
MEAN: Words = ("mean", "平均")

HEALTHY: Words = ("A service in good order has none of this.", "正常的服务没有这些。")
NO_GPU: Words = ("Needs an NVIDIA GPU and the extra `gpu`.", "需要 NVIDIA GPU 和附加依赖 `gpu`。")
NO_QUEUE: Words = ("Only where requests wait in a job queue or for a lock.", "仅当请求在任务队列中或为锁等待。")
NOBODY_ASKED: Words = (
    "Until a request's id or a trace's id is typed in, or a link is followed.",
    "输入请求 id 或追踪 id，或点击链接之前。",
)


def quantiles(metric: names.Metric, *, levels: int = 3) -> tuple[Ask, ...]:
    """P50, P95 and P99 of a histogram."""
    return tuple(Ask(legend, q.quantile(level, metric)) for legend, level in QUANTILES[:levels])


def legend(*labels: str) -> str:
    """A legend made of labels."""
    return " ".join(f"{{{{{one}}}}}" for one in labels)
