# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Why requests failed, in words of everyday life: a class of an exception says nothing to who pays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from otel_tts.names import OTHER, Outcome
from otel_tts.reporting.wording import Words

NOT_RECORDED: Final[Words] = ("the reason was not recorded", "未记录原因")
UNUSABLE: Final[Words] = (
    "the recording could not be used: silent, empty or cut short",
    "音频不可用：无声、为空或被截断",
)
TURNED_AWAY: Final[Words] = ("the request was turned away: too busy, or not acceptable", "请求被拒绝：繁忙或不符合要求")
_OTHER: Final[Words] = ("other faults", "其他故障")
_A_FAULT: Final[Words] = ("a fault in the program", "程序故障")

_FAMILIES: Final[tuple[tuple[str, Words], ...]] = (
    ("OutOfMemory", ("the graphics card ran out of memory", "显卡内存不足")),
    ("MemoryError", ("the machine ran out of memory", "机器内存不足")),
    ("cuda|accelerator|nvml", ("the graphics card failed", "显卡故障")),
    ("timeout|timedout", ("it took too long and was stopped", "耗时过长被中止")),
    ("connect|network|socket|pipe|http|url", ("a connection broke", "连接中断")),
    ("FileNotFound|Directory|Permission", ("a file that was needed could not be opened", "所需文件无法打开")),
    (
        "Value|Type|Key|Index|Lookup|Validation|Unicode|Decode|Assertion",
        ("the service could not make sense of what it was given", "服务无法处理所给的内容"),
    ),
    ("OSError|IOError", ("the disk or a device of the machine failed", "磁盘或设备故障")),
)


def in_words(kind: str) -> Words:
    """What an `error.type` means."""
    if kind in ("", OTHER):
        return _OTHER if kind else NOT_RECORDED
    return next((words for form, words in _FAMILIES if re.search(form, kind, re.IGNORECASE)), _A_FAULT)


def all_in_words(errors: Mapping[str, float], outcomes: Mapping[str, float]) -> list[tuple[Words, float]]:
    """How many failed for which reason, the most first."""
    found: Counter[Words] = Counter()
    for kind, count in errors.items():
        found[in_words(kind)] += count  # pyright: ignore[reportArgumentType]
    for outcome, words in ((Outcome.ANOMALOUS, UNUSABLE), (Outcome.REJECTED, TURNED_AWAY)):
        if count := outcomes.get(outcome, 0.0):
            found[words] += count  # pyright: ignore[reportArgumentType]
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
