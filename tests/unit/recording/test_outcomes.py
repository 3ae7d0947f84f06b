# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How a synthesis ended, by what left it and by what its audio was like."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import numpy as np
import pytest

import otel_tts
from otel_tts import guard
from otel_tts.engines.table import Chunk, Engine, Entry, Seam
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan

RATE = 16000
TONE = (0.5 * np.sin(np.arange(RATE // 2) / 20)).astype(np.float32)
ENGINE = Engine(
    name="e", module="m", distribution="d", entries=(), sample_rate=RATE, channels=1, seconds_per_character=(0.01, 0.2)
)
ENTRY = Entry("f", chunk=Chunk())


STAGED = replace(ENGINE, seams=(Seam("g", "vocoder"),))


def speak(function, text: str = "0123456789", entry: Entry = ENTRY, engine: Engine = ENGINE):
    return call_entry(Plan(engine, entry, "1.0"), function, None, (text,), {})


def outcome(world) -> tuple[str, str | None]:
    """Outcome and error type of the only synthesis; its span, point and line agree on them."""
    world.drain()
    attributes = world.spans[-1].attributes
    (point,) = world.raw_points("tts.requests")
    line = next(line for line in world.lines() if "REQ_SUCCESS" in line or "REQ_FAIL" in line)
    found = attributes["tts.outcome"]
    assert point.attributes["tts.outcome"] == found
    assert f"status={found}" in line
    assert ("REQ_SUCCESS" in line) is (found == "ok")
    return found, attributes.get("error.type")


def test_ok(world) -> None:
    here = world()
    assert speak(lambda text: TONE) is TONE
    assert outcome(here) == ("ok", None)
    assert "tts.audio.anomaly" not in here.spans[-1].attributes


SILENT_FAILURES = {
    "empty": np.zeros(0, np.float32),
    "silent": np.zeros(RATE, np.float32),
    "nan": np.where(np.arange(len(TONE)) == 99, np.nan, TONE),
    "truncated": TONE[: RATE // 12],
}


@pytest.mark.parametrize("anomaly", SILENT_FAILURES)
def test_a_silent_failure_is_anomalous(world, anomaly: str) -> None:
    here = world()
    speak(lambda text: SILENT_FAILURES[anomaly])
    assert outcome(here) == ("anomalous", None)
    assert anomaly in here.spans[-1].attributes["tts.audio.anomaly"]
    assert here.points("tts.audio.anomalies")[(anomaly, "e")] == 1
    assert here.lines()[1].startswith("ERROR REQ_FAIL") or "truncated" in here.lines()[1]


HARMLESS = {
    "clipped": np.clip(4 * TONE, -1, 1),
    "dc_offset": 0.5 * TONE + np.float32(0.3),
    "too_long": np.concatenate([TONE] * 8),
    "wrong_channels": np.stack([TONE, TONE], axis=1),
}


@pytest.mark.parametrize("anomaly", HARMLESS)
def test_other_anomalies_are_noted_on_a_request_that_stays_ok(world, anomaly: str) -> None:
    here = world()
    speak(lambda text: HARMLESS[anomaly])
    assert outcome(here) == ("ok", None)
    assert anomaly in here.spans[-1].attributes["tts.audio.anomaly"]


def test_an_engine_that_returns_none_made_no_audio(world) -> None:
    here = world()
    assert speak(lambda text: None) is None
    assert outcome(here) == ("anomalous", None)
    assert here.spans[-1].attributes["tts.audio.anomaly"] == ("empty",)
    assert here.spans[-1].attributes["tts.audio.duration"] == 0.0
    assert "tts.real_time_factor" not in here.spans[-1].attributes


def test_an_entry_without_samples_may_return_none(world) -> None:
    here = world()
    speak(lambda text: None, entry=Entry("f", chunk=None))
    assert outcome(here) == ("ok", None)
    assert "tts.audio.duration" not in here.spans[-1].attributes


def test_an_engine_that_yields_nothing_made_no_audio(world) -> None:
    here = world()

    def nothing(text):
        return
        yield

    assert list(speak(nothing)) == []
    assert outcome(here) == ("anomalous", None)
    assert here.spans[-1].attributes["tts.audio.anomaly"] == ("empty",)


class Refused(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def leave(error: BaseException, *, inside: str | None = None):
    def engine(text):
        if inside is None:
            raise error
        with otel_tts.stage(inside):
            raise error

    return engine


@pytest.mark.parametrize(
    "error, stage, expected",
    [
        (RuntimeError("x"), None, ("error", "RuntimeError")),
        (RuntimeError("x"), "vocoder", ("error", "RuntimeError")),
        (ValueError("x"), "vocoder", ("error", "ValueError")),
        (MemoryError(), "vocoder", ("error", "MemoryError")),
        (SystemExit(1), None, ("error", "SystemExit")),
        (ValueError("x"), None, ("rejected", "ValueError")),
        (TypeError("x"), None, ("rejected", "TypeError")),
        (KeyError("voice"), None, ("rejected", "KeyError")),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "y"), None, ("rejected", "UnicodeDecodeError")),
        (Refused(422), None, ("rejected", f"{Refused.__module__}.Refused")),
        (Refused(429), "vocoder", ("error", f"{Refused.__module__}.Refused")),
        (Refused(503), None, ("error", f"{Refused.__module__}.Refused")),
        (asyncio.CancelledError(), "vocoder", ("cancelled", None)),
        (asyncio.CancelledError(), None, ("cancelled", None)),
        (KeyboardInterrupt(), None, ("cancelled", None)),
        (GeneratorExit(), None, ("cancelled", None)),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else str(value),
)
def test_what_leaves_the_engine_decides(world, error, stage, expected) -> None:
    here = world()
    with pytest.raises(type(error)) as raised:
        speak(leave(error, inside=stage), engine=STAGED)
    assert raised.value is error
    assert outcome(here) == expected
    failed = here.spans[-1].status.status_code.name == "ERROR"
    assert failed is (expected[0] == "error")
    assert not guard.faults


def break_in_the_network(text):
    return np.ones((80, 512)) @ np.ones((80, 3))


BROKEN = {
    "ValueError": break_in_the_network,
    "IndexError": lambda text: np.zeros(510)[len(text) + 600],
    "KeyError": lambda text: {"a": 1}["b"],
    "TypeError": lambda text: None + np.ones(2),
    "UnicodeDecodeError": lambda text: b"\xff".decode(),
    "RuntimeError": leave(RuntimeError("x")),
}


@pytest.mark.parametrize("error", BROKEN)
def test_an_engine_without_stages_that_breaks_is_an_error_with_its_place(world, error: str) -> None:
    here = world()
    with pytest.raises(Exception) as raised:
        speak(BROKEN[error])
    assert type(raised.value).__name__ == error
    assert outcome(here) == ("error", error)
    (span,) = here.spans
    assert span.status.status_code.name == "ERROR"
    (event,) = span.events
    assert event.attributes["exception.type"] == error
    assert event.attributes["code.file.path"] == "test_outcomes.py" and event.attributes["code.line.number"] > 0


def test_a_clients_error_is_a_refusal_though_the_engine_has_no_stages(world) -> None:
    here = world()
    with pytest.raises(Refused):
        speak(leave(Refused(400)))
    assert outcome(here)[0] == "rejected"


def test_a_stage_that_has_begun_is_no_refusal(world) -> None:
    here = world()

    def engine(text):
        next(iter(here.recorder.open.values())).stage("vocoder").open()
        raise ValueError

    with pytest.raises(ValueError):
        speak(engine, engine=STAGED)
    assert outcome(here) == ("error", "ValueError")


def test_what_is_made_after_the_end_changes_nothing(world, clock) -> None:
    here = world()

    def speaks(text):
        for _ in range(6):
            clock.tick(0.1)
            yield TONE[: RATE // 10]

    stream = speak(speaks)
    chunks = [next(stream) for _ in range(3)]
    (synthesis,) = here.recorder.open.values()
    synthesis.finish(GeneratorExit())  # as the web edge does when the client has gone
    chunks += [next(stream)]
    synthesis.chunk(chunks[0], RATE)
    synthesis.reject()
    synthesis.fail_unseen()
    here.drain()
    chunks += list(stream)
    assert len(chunks) == 6
    here.drain()
    span, unheard = here.spans
    said = span.attributes
    assert unheard.name == "tts.abandoned" and unheard.parent.span_id == span.context.span_id
    assert unheard.attributes["tts.abandoned.duration"] == pytest.approx(0.3)  # what it was worked for nobody
    assert said["tts.outcome"] == "cancelled" and "error.type" not in said
    assert said["tts.stream.chunks"] == 3
    assert said["tts.audio.duration"] == pytest.approx(0.3)
    assert said["tts.stream.underrun"] == pytest.approx(0, abs=1e-9) and said["tts.stream.continuous"] is True


def test_an_anomaly_is_no_reason_for_a_cancellation(world) -> None:
    here = world()

    def speaks(text):
        yield TONE + np.float32(0.3)
        yield TONE

    stream = speak(speaks)
    next(stream)
    stream.close()
    assert outcome(here) == ("cancelled", None)
    assert "dc_offset" in here.spans[-1].attributes["tts.audio.anomaly"]
    assert "error_type" not in here.lines()[1]


def test_only_what_decided_the_outcome_is_its_reason(world) -> None:
    here = world()
    speak(lambda text: np.zeros(RATE, np.float32) + np.float32(0.3) * (np.arange(RATE) == 9), engine=ENGINE)
    speak(lambda text: np.stack([TONE[: RATE // 12], TONE[: RATE // 12]], axis=1))
    here.drain()
    lines = [line for line in here.lines() if "REQ_FAIL" in line]
    assert [re.search(r"error_type=(\S+)", line)[1] for line in lines] == ["silent", "truncated"]


def test_the_line_of_bad_audio_has_the_same_facts_as_that_of_good_audio(world) -> None:
    here = world()
    speak(lambda text: TONE)
    speak(lambda text: np.zeros(RATE, np.float32))
    here.drain()
    good, bad = [
        {word.partition("=")[0] for word in line.split()[2:]}
        for line in here.lines()
        if re.search("REQ_(SUCCESS|FAIL)", line)
    ]
    assert {"audio_duration", "sample_rate", "channels", "rtf", "duration"} <= good
    assert bad == good | {"error_type"}


def test_the_line_of_a_failure_names_class_and_stage_and_not_the_message(world) -> None:
    here = world()
    with pytest.raises(RuntimeError):
        speak(leave(RuntimeError("spoken"), inside="vocoder"))
    here.drain()
    assert here.lines()[1].startswith("ERROR REQ_FAIL ")
    assert "error_type=RuntimeError stage=vocoder status=error" in here.lines()[1]
    assert "spoken" not in " ".join(here.lines())


def test_only_delivered_audio_counts_in_latencies(world) -> None:
    here = world()

    def breaks(text):
        yield TONE
        raise RuntimeError("x")

    with pytest.raises(RuntimeError):
        list(speak(breaks))
    assert outcome(here) == ("error", "RuntimeError")
    assert here.points("tts.real_time_factor") == here.points("tts.audio.duration") == {}
    assert here.points("tts.request.duration").keys() == {("e", "error")}
    assert here.spans[-1].attributes["tts.audio.duration"] == 0.5


def test_an_own_refusal(world) -> None:
    here = world()
    with here.synthesis() as synthesis:
        synthesis.reject()
    assert outcome(here) == ("rejected", None)


def test_an_own_refusal_stands_whatever_is_raised(world) -> None:
    here = world()
    with pytest.raises(RuntimeError), here.synthesis() as synthesis, synthesis.stage("vocoder"):
        synthesis.reject()
        raise RuntimeError("queue full")
    assert outcome(here) == ("rejected", "RuntimeError")


def test_truncation_accuses_nobody_whose_call_was_cancelled(world) -> None:
    here = world()

    def speaks(text):
        yield TONE[: RATE // 16]
        yield TONE

    stream = speak(speaks)
    next(stream)
    stream.close()
    assert outcome(here) == ("cancelled", None)
    assert "truncated" not in here.spans[-1].attributes.get("tts.audio.anomaly", ())


def test_a_coroutine_that_is_cancelled(world) -> None:
    here = world()

    async def engine(text):
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(speak(engine))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcome(here) == ("cancelled", None)


def test_a_coroutine_returns_its_audio(world) -> None:
    here = world()

    async def engine(text):
        await asyncio.sleep(0)
        return TONE

    assert asyncio.run(speak(engine)) is TONE
    assert outcome(here) == ("ok", None)
    assert here.spans[-1].attributes["tts.audio.duration"] == 0.5
