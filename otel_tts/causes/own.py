# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a request says of itself that explains it: no comparison with others is needed, so this comes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_tts import names
from otel_tts.causes import answer_zh, columns
from otel_tts.causes.answer import Cause, cause
from otel_tts.causes.period import Flags, Period
from otel_tts.causes.words import Words
from otel_tts.names import Outcome, Stage
from otel_tts.readers.model import Span, Synthesis

_SHARE: Final = 0.1
"""Of a request's time; what took less did not make it slow."""

_LEAST_S: Final = 0.05

_DID_NOT_STOP: Final = {"too_long": "too_long", names.Anomaly.LIMIT_REACHED: "limit"}
"""Anomalies with advice of their own, whether or not the request failed by them."""


@dataclass(frozen=True)
class Request:
    """A request: its synthesis, the spans of its trace, and whether it was slow (None: nothing to compare it with)."""

    synthesis: Synthesis
    spans: Sequence[Span]
    slow: bool | None
    period: Period

    @property
    def total(self) -> float:
        """Seconds that the caller waited."""
        return columns.total(self.synthesis)

    def said(self, key: str) -> Any:
        """An attribute of the synthesis."""
        return self.synthesis.attributes.get(key)

    def sum(self, key: str) -> float:
        """An attribute of its stages, added up; those within others are not counted twice."""
        return sum(_number(span.attributes.get(key)) for span in self.stages if "." not in _stage(span))

    @property
    def stages(self) -> list[Span]:
        """The stages of this synthesis; where a trace holds several, the spans within its time."""
        begin, end = self.synthesis.start, self.synthesis.end
        return [span for span in self.spans if names.STAGE in span.attributes and begin <= span.start <= end]

    def is_weighty(self, seconds: float) -> bool:
        """Whether so much time is worth telling: of a slow request a part of its time, of others nothing is."""
        return self.slow is not False and seconds >= max(_LEAST_S, _SHARE * self.total)


def facts(request: Request) -> list[Cause]:
    """The causes that the request itself tells, the gravest first."""
    return [*_how_it_ended(request), *_what_made_it_slow(request)]


def _how_it_ended(request: Request) -> Iterator[Cause]:
    failed = failing(request)
    stage = _stage(failed) if failed is not None else ""
    where, where_zh = (f" in {stage}", f"，在 {stage}") if stage else ("", "")
    error = _error(request)
    count = request.period.count_errors(error) if error else None
    if not request.synthesis.span_id:
        yield from _without_a_synthesis(request)
    match request.synthesis.outcome:
        case _ if (memory := _out_of_memory(request)) is not None:
            yield cause(
                "out_of_memory",
                Words(f"{memory}{where}", f"{memory.zh}{where_zh}"),
                touches=count,
                of=len(request.period),
            )
        case Outcome.ERROR:
            told = Words(f"{error or 'an error'}{where}", f"{error or '出错'}{where_zh}")
            yield cause("error", told, touches=count, of=len(request.period))
        case Outcome.REJECTED:
            told = Words(f"{error or 'refused'}; status {_status(request)}",
                         f"{error or '被拒绝'}；状态码 {_status(request).zh}")  # fmt: skip
            yield cause("rejected", told, touches=count, of=len(request.period))
        case Outcome.CANCELLED:
            told = Words(f"after {request.total:.3g} s{where}", f"{request.total:.3g} 秒之后{where_zh}")
            yield cause("client_left", told)
        case _:
            pass
    for anomaly in request.synthesis.anomalies:
        key = _DID_NOT_STOP.get(anomaly, "bad_audio")
        if key != "bad_audio" or anomaly in names.SILENT_FAILURES:
            more = _steps(request) if key == "limit" else _audio(request)
            meaning, meaning_zh = (known.get(anomaly, "") for known in (names.ANOMALIES, answer_zh.ANOMALIES))
            yield cause(key, Words(f"{anomaly}: {meaning}{more}", f"{anomaly}：{meaning_zh}{more.zh}"))


def _what_made_it_slow(request: Request) -> Iterator[Cause]:
    if request.slow is False:
        return
    count = request.period.count
    of = len(request.period)
    if request.said(names.DEVICE_FALLBACK):
        told = Words("it ran on the CPU, where it had run on a device before", "在 CPU 上运行，而之前在设备上运行")
        yield cause("fallback", told,
                    touches=count(names.DEVICE_FALLBACK, True), of=of)  # fmt: skip
    if request.said(names.COLD_START):
        kinds = _parts(request.said(names.COLD_START_KIND))
        en = "; ".join(names.COLD_STARTS.get(kind, kind) for kind in kinds) or "tts.cold_start is set"
        zh = "；".join(answer_zh.COLD_STARTS.get(kind, kind) for kind in kinds) or "已设置 tts.cold_start"
        yield cause("cold_start", Words(en, zh), touches=count(names.COLD_START_KIND), of=of)
    before = request.synthesis.waited
    within = columns.waited(request.synthesis) - before
    for key, seconds in (("queue", before), ("lock", within)):
        if request.is_weighty(seconds):
            told = Words(f"{seconds:.3g} of {request.total:.3g} s", f"{request.total:.3g} 秒中的 {seconds:.3g} 秒")
            yield cause(key, told, seconds=seconds,
                        touches=count(columns.QUEUED, True), of=of)  # fmt: skip
    encoding = request.synthesis.stages.get(Stage.REFERENCE_ENCODE, 0.0)
    if request.said(names.REFERENCE_CACHE_HIT) is False and request.is_weighty(encoding):
        told = Words(f"reference_encode took {encoding:.3g} of {request.total:.3g} s",
                     f"reference_encode 用去 {request.total:.3g} 秒中的 {encoding:.3g} 秒")  # fmt: skip
        yield cause("cache_miss", told, seconds=encoding,
                    touches=count(names.REFERENCE_CACHE_HIT, False), of=of)  # fmt: skip
    if request.is_weighty(idle := _before_it_began(request)):
        told = Words(f"{idle:.3g} s passed between the request's arrival and its synthesis",
                     f"从请求到达到合成开始过去了 {idle:.3g} 秒")  # fmt: skip
        yield cause("blocked", told, seconds=idle)
    if request.is_weighty(delay := request.sum(names.GPU_QUEUE_DELAY)):
        told = Words(f"its work waited {delay:.3g} s for the device", f"其工作等待设备 {delay:.3g} 秒")
        yield cause("device_busy", told, seconds=delay)
    if retries := int(sum(_memory(span, names.MEMORY_RETRIES) for span in request.stages)):
        told = Words(
            f"{retries} allocations flushed the allocator's cache first", f"{retries} 次分配先清空了分配器的缓存"
        )
        yield cause("allocator", told)
    if retries := request.said(names.RETRIES):
        yield cause("retries", Words(f"{retries} attempts were thrown away", f"丢弃了 {retries} 次尝试"))


def _without_a_synthesis(request: Request) -> Iterator[Cause]:
    """A request that was answered before anything was spoken."""
    status = _status_code(request)
    if isinstance(status, int) and status >= 400:
        key = "rejected" if status < 500 else "error"
        yield cause(
            key, Words(f"status {status}, before anything was spoken", f"状态码 {status}，此前没有合成任何语音")
        )


def accounts(period: Period, chosen: Flags) -> dict[str, int]:
    """How many of the chosen requests say of themselves what made them slow, by `ADVICE`'s keys; the most first."""
    told = {
        "cold_start": period.having(names.COLD_START_KIND),
        "fallback": period.having(names.DEVICE_FALLBACK, True),
        "queue": period.having(columns.QUEUED, True),
        "cache_miss": period.having(names.REFERENCE_CACHE_HIT, False),
        "retries": period.having(names.RETRIES),
    }
    counts = {key: int((flags & chosen).sum()) for key, flags in told.items()}
    return {key: count for key, count in sorted(counts.items(), key=lambda one: -one[1]) if count}


def network(request: Request) -> Cause | None:
    """That the server did its part: audio was made, nothing is wrong with it, and it took what it needs."""
    if request.synthesis.outcome != Outcome.OK or request.slow or not request.said(names.AUDIO_DURATION):
        return None
    audio, status = _audio(request), _status(request)
    said = Words(f"outcome ok after {request.total:.3g} s{audio}; status {status}",
                 f"{request.total:.3g} 秒后结果为 ok{audio.zh}；状态码 {status.zh}")  # fmt: skip
    unknown = Words("nothing that the request tells is wrong; whether it was slow cannot be told",
                    "请求自身没有显示任何问题；是否慢无法判断")  # fmt: skip
    return cause("network", said, unknown if request.slow is None else None)


def failing(request: Request) -> Span | None:
    """The innermost span that failed."""
    failed = [span for span in request.spans if span.status == "error"]
    parents = {span.parent_id for span in failed}
    return next((span for span in failed if span.span_id not in parents), None)


def _out_of_memory(request: Request) -> Words | None:
    error = _error(request) or ""
    asked = max((_memory(span, names.MEMORY_REQUESTED) for span in request.spans), default=0.0)
    said = any(_memory(span, names.MEMORY_OOM) for span in request.spans) or "OutOfMemory" in error
    if not said or request.synthesis.outcome != Outcome.ERROR:
        return None
    if not asked:
        return Words(error)
    return Words(f"{error}: {asked / 2**20:,.0f} MiB were asked for", f"{error}：申请 {asked / 2**20:,.0f} MiB")


def _error(request: Request) -> str | None:
    error = request.synthesis.error_type
    return str(error) if error else None  # a foreign file may have a number there


def _memory(span: Span, key: str) -> float:
    """An attribute of memory, of the span or of an event of it."""
    return max(_number(span.attributes.get(key)), *(_number(event.attributes.get(key)) for event in span.events), 0.0)


def _before_it_began(request: Request) -> float:
    """Seconds from the server span's start to the synthesis, without queues; 0 where it is not its own request's.

    And where it is of another machine, whose clock is another one.
    """
    by_id = {span.span_id: span for span in request.spans}
    own = by_id.get(request.synthesis.span_id)
    while own is not None and own.kind != "server":
        own = by_id.get(own.parent_id)
    if own is None or own.resource.get("host.name") != request.synthesis.resource.get("host.name"):
        return 0.0
    if sum(names.OPERATION_NAME in span.attributes for span in request.spans) > 1:
        return 0.0
    return max(0.0, (request.synthesis.start - own.start) / 1e9 - request.synthesis.waited)


def _status_code(request: Request) -> Any:
    keys = (span.attributes.get("http.response.status_code") for span in request.spans if span.kind == "server")
    return next((status for status in keys if status is not None), None)


def _status(request: Request) -> Words:
    status = _status_code(request)
    return Words("unknown", "未知") if status is None else Words(str(status))


def _audio(request: Request) -> Words:
    seconds, size = request.said(names.AUDIO_DURATION), request.said(names.AUDIO_SIZE)
    en = f", {_number(seconds):.3g} s of audio" if seconds is not None else ""
    zh = f"，音频 {_number(seconds):.3g} 秒" if seconds is not None else ""
    if size is not None:
        en, zh = f"{en} in {_number(size):,.0f} bytes", f"{zh}，{_number(size):,.0f} 字节"
    return Words(en, zh)


def _steps(request: Request) -> Words:
    steps, limit = request.said(names.GENERATION_STEPS), request.said(names.GENERATION_LIMIT)
    if steps is None or limit is None:
        return Words("")
    steps, limit = f"{_number(steps):.0f}", f"{_number(limit):.0f}"
    return Words(f", {steps} steps of {limit}", f"，{limit} 步中的 {steps} 步")


def _stage(span: Span) -> str:
    return str(span.attributes.get(names.STAGE) or "")


def _parts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
