# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio quality: what was delivered, by the samples themselves."""

from __future__ import annotations

from dashboards import queries as q
from dashboards import thresholds
from dashboards.boards import common
from dashboards.boards.common import MEAN, NO_AUDIO, legend, quantiles
from dashboards.boards.service import SHARES, SHOWN
from dashboards.questions import Ask, Board, Counts, Graph, Light, Lines, Records, Row, Search, Spans, Table, Words
from otel_tts import names

INAUDIBLE = ("silent", "empty")
STREAMS_ONLY: Words = ("Only where audio is streamed.", "仅当以流式交付音频。")

NOW = Row(
    ("Is the audio good now? The last five minutes", "音频现在好吗？最近五分钟"),
    (
        Light(
            title=("Audio anomalies", "音频异常"),
            meaning=("Anomalies for each audio delivered, of all types.", "平均每段交付音频的异常数，所有类型。"),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW),
            steps=SHARES,
            absent=NO_AUDIO,
        ),
        Light(
            title=("Silent or empty", "静音或空"),
            meaning=(
                "Share of audio in which nothing can be heard, delivered as if all were well. The alert's limit.",
                "听不到任何声音却照常交付的音频占比。界限与告警相同。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW, *INAUDIBLE),
            steps=((thresholds.SILENT, "red"),),
            absent=NO_AUDIO,
        ),
        Light(
            title=("Cut short or too long", "过短或过长"),
            meaning=(
                "Share of audio whose seconds a character are outside of the engine's range.",
                "每字秒数超出引擎正常范围的音频占比。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW, "truncated", "too_long"),
            steps=SHARES,
            absent=NO_AUDIO,
        ),
        Light(
            title=("Limit reached", "达到上限"),
            meaning=(
                "Share of generations that were cut at their limit: minutes of silence or babble with status 200.",
                "在上限处被截断的生成占比：状态码 200，却是几分钟的静音或胡言。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW, names.Anomaly.LIMIT_REACHED),
            steps=((thresholds.LIMITED, "red"),),
            absent=NO_AUDIO,
        ),
        Light(
            title=("Clipped or clicking", "削波或爆音"),
            meaning=(
                "Clipping and clicks for each audio delivered; one audio may have both.",
                "平均每段交付音频的削波与爆音数；一段音频可能两者都有。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW, "clipped", "clicks"),
            steps=SHARES,
            absent=NO_AUDIO,
        ),
        Light(
            title=("Wrong format", "格式错误"),
            meaning=(
                "Another rate, other channels or another format than claimed, or no decoder reads it, for each audio "
                "delivered.",
                "平均每段交付音频中，采样率、声道或格式与声明不符，或无法解码的次数。",
            ),
            unit="percentunit",
            promql=q.anomalous_share(q.NOW, "wrong_sample_rate", "wrong_channels", "wrong_format", "codec_error"),
            steps=SHARES,
            absent=NO_AUDIO,
        ),
        Light(
            title=("Stream underrun P95", "流式断供 P95"),
            meaning=(
                "How long a player that starts at the first chunk runs out of sound.",
                "从第一块开始播放的播放器断供的时间。",
            ),
            unit="s",
            promql=q.quantile(0.95, names.UNDERRUN, window=q.NOW),
            steps=((thresholds.STUTTER, "yellow"), (thresholds.LATE, "red")),
            absent=("no streams", "无流式"),
            empty=STREAMS_ONLY,
        ),
        Light(
            title=("Audio a request", "每请求音频"),
            meaning=("Mean seconds of audio for each request.", "平均每个请求的音频秒数。"),
            unit="s",
            promql=f"sum({q.counted(q.select(names.AUDIO_SECONDS, part='_sum'), q.NOW)}) / "
            f"(sum({q.counted(q.select(names.AUDIO_SECONDS, part='_count'), q.NOW)}) > 0)",
            absent=NO_AUDIO,
        ),
    ),
)

_DELIVERED = f"({q.total(names.REQUESTS, q.DELIVERED)} > 0)"
_found = q.total(names.AUDIO_ANOMALIES, by=(q.ANOMALY,))

TYPES = Row(
    ("What is wrong with it", "问题是什么"),
    (
        Graph(
            title=("Anomalies by type", "按类型的异常"),
            meaning=("A minute. What the types mean is in docs/names.md.", "每分钟。类型含义见 docs/names.md。"),
            unit="cpm",
            asks=(Ask(legend(q.ANOMALY), f"{_found} * 60000 / $__rate_interval_ms"),),
            stacked=True,
            absent=("no anomalies", "无异常"),
        ),
        Graph(
            title=("Share of audio by anomaly", "各异常的音频占比"),
            meaning=("Of all audio delivered.", "占全部交付音频的比例。"),
            unit="percentunit",
            asks=(Ask(legend(q.ANOMALY), f"{_found} / on() group_left() {_DELIVERED}"),),
            line_at=((thresholds.SILENT, "red"),),
            absent=("no anomalies", "无异常"),
        ),
        Table(
            title=("By engine", "按引擎"),
            meaning=(
                "Over the board's time range: audio made, and anomalies found in it.",
                "看板时间范围内：产出的音频，以及其中发现的异常数。",
            ),
            label=q.ENGINE,
            label_title=("Engine", "引擎"),
            asks=(
                Ask(
                    ("Audio", "音频"),
                    q.total(names.AUDIO_SECONDS, by=(q.ENGINE,), window="$__range", part="_sum"),
                    "s",
                ),
                Ask(
                    ("Anomalies", "异常"),
                    q.total(names.AUDIO_ANOMALIES, by=(q.ENGINE,), window="$__range"),
                    "short",
                ),
            ),
            width=8,
        ),
    ),
)

_text = f"({q.rate(names.TEXT_CHARACTERS, by=(q.ENGINE,), part='_sum')} > 0)"

FACTS = Row(
    ("What it is like", "音频什么样"),
    (
        Graph(
            title=("Length of the audio", "音频时长"),
            meaning=("Seconds of audio of a request. Dots lead to a trace.", "一次请求的音频秒数。圆点可打开追踪。"),
            unit="s",
            asks=(*quantiles(names.AUDIO_SECONDS), Ask(MEAN, q.mean(names.AUDIO_SECONDS))),
            exemplars=True,
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Seconds of audio per 100 characters", "每百字音频秒数"),
            meaning=(
                "How fast it speaks, by engine. A jump: another voice, language or model, or audio that is cut or "
                "drags.",
                "语速，按引擎分。突变说明换了音色、语言或模型，或音频被截断、拖长。",
            ),
            unit="s",
            asks=(
                Ask(
                    legend(q.ENGINE),
                    f"100 * {q.rate(names.AUDIO_SECONDS, by=(q.ENGINE,), part='_sum')} / {_text}",
                ),
            ),
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Length of the text", "文本长度"),
            meaning=(
                "Characters of a request; the text itself is nowhere. Dots lead to a trace.",
                "一次请求的字符数；文本本身不会被记录。圆点可打开追踪。",
            ),
            unit="short",
            asks=quantiles(names.TEXT_CHARACTERS),
            exemplars=True,
            absent=common.NO_REQUESTS,
        ),
        Graph(
            title=("Silence before the first sound", "首声前的静音"),
            meaning=(
                "Mean first sound less mean first byte: silence that was sent ahead of the speech.",
                "首声时间均值减首字节时间均值：语音之前发送的静音。",
            ),
            unit="s",
            asks=(
                Ask(
                    legend(q.ENGINE),
                    f"clamp_min({q.mean(names.FIRST_AUDIO, q.ENGINE)} - {q.mean(names.FIRST_BYTE, q.ENGINE)}, 0)",
                ),
            ),
            absent=NO_AUDIO,
        ),
        Graph(
            title=("Stream underrun", "流式断供"),
            meaning=(
                "How long a player that starts at the first chunk runs out of sound. Dots lead to a trace.",
                "从第一块开始播放的播放器断供的时间。圆点可打开追踪。",
            ),
            unit="s",
            asks=quantiles(names.UNDERRUN),
            exemplars=True,
            line_at=((thresholds.STUTTER, "yellow"),),
            absent=("no streams", "无流式"),
            empty=STREAMS_ONLY,
        ),
        Graph(
            title=("Real-time factor by engine", "各引擎实时率"),
            meaning=(
                "P95: over the line a stream of this engine stutters. Dots lead to a trace.",
                "P95：超过虚线时，该引擎的流式会卡顿。圆点可打开追踪。",
            ),
            unit="none",
            asks=(Ask(legend(q.ENGINE), q.quantile(0.95, names.RTF, q.ENGINE)),),
            exemplars=True,
            line_at=((thresholds.REAL_TIME, "red"),),
            absent=NO_AUDIO,
        ),
    ),
)

WHICH = Row(
    ("Which requests", "哪些请求"),
    (
        Counts(
            title=("Most frequent anomalies", "最常见的异常"),
            meaning=(
                "Of requests that counted as anomalous, over the board's time range, from the REQ_FAIL lines.",
                "看板时间范围内算作异常的请求，取自 REQ_FAIL 日志行。",
            ),
            records=Records((names.REQ_FAIL,), {"status": names.Outcome.ANOMALOUS}),
            fields={"error_type": ("Anomaly", "异常"), "engine": ("Engine", "引擎")},
            count=("Requests", "请求数"),
        ),
        Lines(
            title=("Delivered files", "已交付的文件"),
            meaning=(
                "What files say of themselves that were read after their requests had left.",
                "请求结束之后读取的交付文件自身的信息。",
            ),
            records=Records((names.AUDIO_FILE,)),
            width=12,
            empty=("Only where files are read after their request has ended.", "仅当文件在请求结束后才读取。"),
        ),
        Spans(
            title=("Anomalous syntheses", "异常的合成"),
            meaning=(
                "The latest hundred whose audio is empty, silent, cut short or not a number.",
                "最近一百个音频为空、静音、被截断或含非数值的合成。",
            ),
            search=Search(
                {names.OPERATION_NAME: names.OPERATION, names.OUTCOME: names.Outcome.ANOMALOUS},
                (*SHOWN, names.AUDIO_ANOMALY, names.AUDIO_PEAK, names.AUDIO_SILENCE_RATIO),
                Records((names.REQ_FAIL,), {"status": names.Outcome.ANOMALOUS}),
            ),
        ),
    ),
)

BOARD = Board(
    common.AUDIO,
    ("TTS audio quality", "TTS 音频质量"),
    (
        "What was delivered, by the samples themselves: silence, clipping, clicks, wrong formats, streams that "
        "stutter.",
        "从样本本身看交付的音频：静音、削波、爆音、格式错误、卡顿的流。",
    ),
    common.USUAL,
    (NOW, TYPES, FACTS, WHICH),
)
