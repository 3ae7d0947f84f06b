# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The request's log lines: REQ_START, REQ_SUCCESS or REQ_FAIL, STAGE_TIME, REQ_STUCK.

Each goes out as an OTLP record and as a line on stderr. Bodies are made from the fields of `names.LOG_FIELDS` only.
"""

from __future__ import annotations

import functools
import re
import time
from typing import Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from otel_tts import names
from otel_tts.emit.console import Console
from otel_tts.emit.stage_times import WHOLE, stage_times
from otel_tts.otel_private.lines import Handover
from otel_tts.privacy.policy import REDACTED
from otel_tts.record import LateSpan, PlainSpan
from otel_tts.recording.synthesis import Synthesis
from otel_tts.settings import Settings
from otel_tts.version import __version__

_INFO: Final = (SeverityNumber.INFO, "INFO")
_WARN: Final = (SeverityNumber.WARN, "WARN")
_ERROR: Final = (SeverityNumber.ERROR, "ERROR")

_IDS: Final = (("request_id", names.REQUEST_ID), ("request_id.offered", names.REQUEST_OFFERED))
_START: Final = (
    *_IDS,
    ("engine", names.ENGINE),
    ("text_len", names.TEXT_LENGTH),
    ("voice", names.VOICE),
    ("emotion", names.EMOTION_MODE),
    ("canary", names.CANARY),
    ("wait", names.WAIT),
    ("wait_upper_bound", names.WAIT_UPPER_BOUND),
    ("others", names.OTHERS),
)
_END: Final = (
    ("audio_duration", names.AUDIO_DURATION),
    ("audio_size", names.AUDIO_SIZE),
    ("sample_rate", names.AUDIO_SAMPLE_RATE),
    ("channels", names.AUDIO_CHANNELS),
    ("rtf", names.REAL_TIME_FACTOR),
    ("finish_reason", names.FINISH_REASON),
    ("steps", names.GENERATION_STEPS),
    ("limit", names.GENERATION_LIMIT),
    ("gpu_memory_peak", names.MEMORY_PEAK),
    ("segments", names.SEGMENTS_ASKED),
    ("spoken", names.SEGMENTS_SPOKEN),
    ("empty", names.SEGMENTS_EMPTY),
    ("loudness_deviation", names.LOUDNESS_DEVIATION),
    ("pace_deviation", names.PACE_DEVIATION),
    ("last_quarter", names.STREAM_LAST_QUARTER),
    ("loop_blocked", names.LOOP_BLOCKED),
    ("abandoned", names.ABANDONED),
)
_LOOP: Final = (
    ("cause", names.LOOP_CAUSE),
    ("cpu", names.LOOP_CPU),
    ("code", names.LOOP_CODE),
    ("coroutine", names.LOOP_COROUTINE),
)
_FILE: Final = (("format", names.AUDIO_FORMAT), *_END[:4])
_SEVERITY: Final = {names.Outcome.ERROR: _ERROR, names.Outcome.ANOMALOUS: _ERROR}


class Lines:
    """Writes the lines of one process."""

    def __init__(self, logger_provider: Any, settings: Settings) -> None:
        self._handover = Handover(logger_provider.get_logger(names.SCOPE, __version__))
        self._console = Console(settings.log_format)

    def look_at_processors(self) -> None:
        """Choose the way for the next lines (see `otel_tts.otel_private.lines`)."""
        self._handover.look_at_processors()

    @property
    def are_read(self) -> bool:
        """Whether a line goes anywhere."""
        return self._handover.is_heard or self._console.speaks

    def started(self, synthesis: Synthesis) -> None:
        """REQ_START, dated at the synthesis's start."""
        if self.are_read:
            self._write(synthesis, names.REQ_START, _pick(synthesis, _START), _INFO, synthesis.t0)

    def ended(self, synthesis: Synthesis) -> None:
        """REQ_SUCCESS or REQ_FAIL, and STAGE_TIME where any stage ran."""
        if not self.are_read:
            return
        attrs, end = synthesis.attrs, synthesis.t1 or synthesis.t0
        outcome = attrs[names.OUTCOME]
        fields = {**_pick(synthesis, _START), "duration": (end - synthesis.t0) / 1e9, **_pick(synthesis, _END)}
        if outcome == names.Outcome.OK:
            self._write(synthesis, names.REQ_SUCCESS, {**fields, "status": "ok"}, _INFO, end)
        else:
            fields |= {"error_type": _reason(attrs), "stage": synthesis.failed_stage, "status": outcome}
            self._write(synthesis, names.REQ_FAIL, fields, _SEVERITY.get(outcome, _WARN), end)
        if synthesis.stages.sums:
            stages = stage_times(synthesis)
            self._write(synthesis, names.STAGE_TIME, _pick(synthesis, _IDS), _INFO, end, stages=stages)

    def stuck(self, synthesis: Synthesis) -> None:
        """REQ_STUCK with the request's age, the innermost open stage and how long that is open."""
        now = time.perf_counter_ns()
        fields = {**_pick(synthesis, (*_START[:3], _START[-1])), "age": (now - synthesis.t0) / 1e9}
        if synthesis.stages.open:
            innermost = synthesis.stages.open[-1]
            fields |= {"stage": innermost.stage, "stage_age": (now - innermost.t0) / 1e9}
        self._write(synthesis, names.REQ_STUCK, fields, _WARN, now)

    def abandoned(self, span: PlainSpan) -> None:
        """REQ_ABANDONED with how long the engine went on."""
        fields = {**_pick(span, _START[:3]), "abandoned": span.attrs[names.ABANDONED]}
        self._write(span, names.REQ_ABANDONED, fields, _WARN, span.t1 or span.t0)

    def loop_was_late(self, span: PlainSpan) -> None:
        """LOOP_LATE with how late it was, why and where it stood."""
        end = span.t1 or span.t0
        self._write(span, names.LOOP_LATE, {"lag": (end - span.t0) / 1e9, **_pick(span, _LOOP)}, _WARN, end)

    def delivered(self, synthesis: Synthesis, facts: dict[str, Any], context: Context) -> None:
        """AUDIO_FILE with the facts of a file that was read after its synthesis had left; `context` names its span."""
        known = {**synthesis.attrs, **facts}
        fields = {field: known[name] for field, name in (*_START[:3], *_FILE) if name in known}
        fields["error_type"] = ",".join(facts.get(names.AUDIO_ANOMALY, ())) or None
        severity = _WARN if fields["error_type"] else _INFO
        self._write(synthesis, names.AUDIO_FILE, fields, severity, time.perf_counter_ns(), context)

    def memory(self, record: LateSpan, stamp: int, attributes: dict[str, Any]) -> None:
        """A gpu.memory event as a log record; not on stderr."""
        self._handover.emit(
            LogRecord(
                timestamp=stamp, observed_timestamp=stamp, context=record.inside, severity_number=_INFO[0],
                severity_text=_INFO[1], body=names.MEMORY_EVENT, event_name=names.MEMORY_EVENT,
                attributes=dict(attributes),
            )
        )  # fmt: skip

    def _write(
        self, synthesis: Synthesis | PlainSpan, event: str, fields: dict[str, Any],
        severity: tuple[SeverityNumber, str], at: int,
        context: Context | None = None, stages: dict[str, float] | None = None,
    ) -> None:  # fmt: skip
        words = [event]
        shown: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for field, value in fields.items():
            if value is None:
                continue
            kind = value.__class__
            if kind is float:
                words.append(f"{field}={value:.4g}")
            else:
                value = _safe(field, value)
                words.append(f"{field}={str(value).lower() if kind is bool else value}")
            shown[field] = value
            if (name := _ATTRIBUTE.get(field)) is not None:
                attributes[name] = value
        if stages:
            shown_stages = {_word(stage): spent for stage, spent in stages.items()}
            words += [f"{stage}={spent:.4g}" for stage, spent in shown_stages.items()]
            shown |= {whole: shown_stages.pop(whole) for whole in WHOLE if whole in shown_stages}
            shown["stages"] = shown_stages
        stamp, body = synthesis.epoch_offset_ns + at, " ".join(words)
        if self._handover.is_heard:
            self._handover.emit(
                LogRecord(
                    timestamp=stamp, observed_timestamp=stamp, context=context or synthesis.inside,
                    severity_number=severity[0], severity_text=severity[1], body=body, event_name=event,
                    attributes=attributes,
                )
            )  # fmt: skip
        if self._console.speaks:
            self._console.write(event, severity[1], stamp, body, shown, synthesis.identity)


_ATTRIBUTE: Final = {
    **dict(_START),
    **dict(_END),
    **dict(_FILE),
    **dict(_LOOP),
    "status": names.OUTCOME,
    "error_type": names.ERROR_TYPE,
    "stage": names.STAGE,
}
"""Fields that are also attributes of the record, for searching; times are in the body only."""


def _reason(attrs: dict[str, Any]) -> str | None:
    """Return what decided an outcome that is not ok: the exception's class, or the anomalies that made it fail."""
    if attrs[names.OUTCOME] != names.Outcome.ANOMALOUS:
        return attrs.get(names.ERROR_TYPE)
    return ",".join(name for name in attrs.get(names.AUDIO_ANOMALY, ()) if name in names.SILENT_FAILURES) or None


def _pick(synthesis: LateSpan, fields: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    attrs = synthesis.attrs
    return {field: attrs[name] for field, name in fields if name in attrs}


_NUMBERS: Final = frozenset((bool, int, float))
_is_word: Final = re.compile(r"[A-Za-z0-9_.:/+@,%<>-]{1,128}").fullmatch


def _safe(field: str, value: Any) -> Any:
    """Return a value as a line may show it. stderr has no gate: what own code gave as a name may be what was said.

    A voice is a preset, listed in OTEL_TTS_VOICES, or hashed by now.
    """
    kind = value.__class__
    if kind in _NUMBERS or field == "voice":
        return value
    return _word(value) if kind is str or isinstance(value, str) else REDACTED


@functools.lru_cache(maxsize=1024)  # the same few names in every line
def _word(text: str) -> str:
    return text if _is_word(text) else REDACTED
