# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio that was delivered and is of no use."""

from __future__ import annotations

from dashboards import queries, thresholds
from dashboards.boards import common
from dashboards.questions import Records
from dashboards.rules.alert import Alert, Group, grown
from otel_tts import names

DELIVERED = grown(names.REQUESTS, queries.DELIVERED)


def _share(*anomalies: str) -> tuple[str, str]:
    """How many audios have one of these, and which share of all that is."""
    found = grown(names.AUDIO_ANOMALIES, f'{queries.ANOMALY}=~"{"|".join(anomalies)}"')
    return found, f"{found} / ({DELIVERED} > 0)"


_inaudible, _inaudible_share = _share("silent", "empty")
_limited, _limited_share = _share(names.Anomaly.LIMIT_REACHED)
_fewest = thresholds.FEWEST_FAILURES

GROUP = Group(
    "tts-audio",
    (
        Alert(
            "TTSAudioInaudible",
            "critical",
            f"{_inaudible_share} > {thresholds.SILENT:g} and {_inaudible} >= {_fewest}",
            (
                "{{ $value | humanizePercentage }} of the audio of {{ $labels.service_name }} is silent or empty",
                "{{ $labels.service_name }} 有 {{ $value | humanizePercentage }} 的音频是静音或空的",
            ),
            (
                f"More than {thresholds.percent(thresholds.SILENT)} of the audio of the last five minutes has no "
                f"sound in it, and was "
                "delivered as if all were well.",
                f"最近五分钟内超过 {thresholds.percent(thresholds.SILENT)} 的音频没有声音，却照常交付。",
            ),
            common.AUDIO,
            (
                (
                    "Anomalous syntheses: one voice or language only? Then its reference.",
                    "“异常的合成”：只有某个音色或语言？检查其参考音频。",
                ),
                (
                    "Since a deployment: the model's files, the sample format that it returns.",
                    "自某次发版开始：检查模型文件与返回的采样格式。",
                ),
                (
                    "All: restart the worker; half precision that overflows gives silence too.",
                    "全部如此：重启工作进程；半精度溢出也会得到静音。",
                ),
            ),
            lasts="5m",
            ask=Records((names.REQ_FAIL,), {"status": names.Outcome.ANOMALOUS}),
        ),
        Alert(
            "TTSLimitReached",
            "warning",
            f"{_limited_share} > {thresholds.LIMITED:g} and {_limited} >= {_fewest}",
            (
                "{{ $value | humanizePercentage }} of the generations of {{ $labels.service_name }} ran into their "
                "limit",
                "{{ $labels.service_name }} 有 {{ $value | humanizePercentage }} 的生成达到上限",
            ),
            (
                f"More than {thresholds.percent(thresholds.LIMITED)} of the generations of the last five minutes "
                f"did not stop by "
                f"themselves: "
                "minutes of silence or babble, with status 200.",
                f"最近五分钟内超过 {thresholds.percent(thresholds.LIMITED)} 的生成没有自行停止：状态码 200，"
                f"却是几分钟的静音或胡言。",
            ),
            common.AUDIO,
            (
                (
                    "Which texts? Very short ones and lone punctuation often do it: join or pad them.",
                    "哪些文本？很短的文本或单独的标点常会这样：合并或补足。",
                ),
                (
                    "Sampling settings (temperature, repetition penalty) that were changed.",
                    "采样参数（温度、重复惩罚）是否改过。",
                ),
                ("Lower the limit, so that less is wasted on each.", "降低上限，减少每次的浪费。"),
            ),
            lasts="5m",
            ask=Records((names.REQ_SUCCESS, names.REQ_FAIL), slower=True),
        ),
    ),
)
