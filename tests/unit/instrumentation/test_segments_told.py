# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a table says that each item of a stream is a segment: on span, as points, in lines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from otel_tts.engines import piper
from otel_tts.engines.table import Chunk, Engine, Entry
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.instrumentation.tables import watch

RATE = 16000
ENGINE = Engine(name="e", module="m", distribution="d", entries=(), sample_rate=RATE, channels=1)
ENTRY = Entry("f", chunk=Chunk("audio", segment=True, text="graphemes"))


@dataclass
class Result:
    audio: Any
    graphemes: str


def tone(level: float) -> np.ndarray:
    return (level * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)


SEGMENTS = (Result(tone(0.1), "purple otters"), Result(tone(0.4), "purple otter walking"), Result(tone(0.0), "ow"))


def engine(text: str) -> Any:
    yield from SEGMENTS


async def engine_async(text: str) -> Any:
    for segment in SEGMENTS:
        yield segment


async def drain(items: Any) -> None:
    async for _ in items:
        pass


@pytest.mark.parametrize("function", [engine, engine_async])
def test_each_item_is_a_segment(world, clock, function: Any) -> None:
    here = world()
    stream = call_entry(Plan(ENGINE, ENTRY, "1"), function, None, ("purple otters",), {})
    if function is engine:
        assert list(stream) == list(SEGMENTS)
    else:
        asyncio.run(drain(stream))
    here.drain()
    said = here.spans[-1].attributes
    assert (said["tts.segment.spoken"], said["tts.segment.empty"]) == (2, 1)
    assert said["tts.segment.loudness"] == pytest.approx((-20, -8), abs=0.1)
    assert said["tts.segment.pace"] == (13, 20)
    assert said["tts.segment.loudness.deviation"] == pytest.approx(6, abs=0.1)
    assert said["tts.segment.pace.deviation"] == pytest.approx(16.5 / 13)
    assert here.points("tts.segments") == {("e", "spoken"): 2, ("e", "empty"): 1}
    assert here.points("tts.segment.pace.deviation") == {("e",): (1, pytest.approx(16.5 / 13, abs=1e-3))}
    line = next(line for line in here.lines() if "REQ_SUCCESS" in line)
    assert "spoken=2 empty=1 loudness_deviation=6" in line
    assert "otter" not in here.everything()


def test_piper_tells_its_sentences(world, unhooked, joe) -> None:
    here = world()
    watch(piper.ENGINE)
    chunks = list(joe.synthesize("One sentence. Another one. And a third."))
    here.drain()
    said = here.spans[-1].attributes
    assert said["tts.segment.spoken"] == len(chunks) == 3 and said["tts.segment.empty"] == 0
    assert len(said["tts.segment.loudness"]) == 3 and said["tts.segment.loudness.deviation"] >= 0
    assert "tts.segment.pace" not in said, "its chunks do not say which part of the text they are"
