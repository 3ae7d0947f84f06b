# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a function gives back, its audio is read; and where it cannot be, what was there is said once."""

from __future__ import annotations

import array
import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import soundfile

import otel_tts
from otel_tts import guard, names
from otel_tts.audio.samples import unread
from otel_tts.engines.table import Callback, Chunk, Engine, Entry
from otel_tts.instrumentation.tables import watch

RATE = 24000
TONE = (0.4 * np.sin(np.arange(RATE) / 9)).astype(np.float32)
PCM = (TONE * 32767).astype("<i2").tobytes()
SECRET = "what-nobody-may-read"


@pytest.fixture(autouse=True)
def said_anew() -> Iterator[None]:
    unread._say.cache_clear()
    yield
    assert guard.faults == {}


@dataclass
class Output:
    """As engines hand it over."""

    audio: Any
    sampling_rate: Any


def root(seen: Any) -> Any:
    (span,) = [span for span in seen.drain().spans if span.name == "text_to_speech m"]
    return span


def warnings_of(caplog: Any) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


DESCRIBED = {
    "audio, rate": (TONE, RATE),
    "rate, audio": (RATE, TONE),
    "as a list": [TONE, RATE],
    "numpy's numbers": (np.int64(RATE), TONE),
    "numpy's floats": (TONE, np.float32(RATE)),
    "an array of one number": (TONE, np.array(RATE)),
    "integers": (RATE, (TONE * 32767).astype(np.int16)),
    "a list of numbers": (TONE.tolist(), RATE),
    "array.array": (array.array("f", TONE.tolist()), RATE),
    "audio, sampling_rate": {"audio": TONE, "sampling_rate": RATE},
    "samples, sample_rate": {"samples": TONE, "sample_rate": np.uint16(RATE), "text": SECRET},
    "a batch of one": {"audio": TONE[None], "sampling_rate": RATE},
    "an object": Output(TONE, RATE),
}


@pytest.mark.parametrize("name", DESCRIBED)
@pytest.mark.parametrize(
    "declared", [RATE, np.int64(RATE), None], ids=["declared", "declared by numpy", "not declared"]
)
def test_a_result_that_names_its_rate(world, caplog, name: str, declared: Any) -> None:
    seen, result = world(), DESCRIBED[name]

    @otel_tts.synthesis("m", sample_rate=declared)
    def speak() -> Any:
        return result

    assert speak() is result
    attributes = root(seen).attributes
    assert (attributes[names.AUDIO_DURATION], attributes[names.AUDIO_SAMPLE_RATE]) == (1.0, RATE)
    assert attributes[names.AUDIO_PEAK] == pytest.approx(0.4, abs=0.001)
    assert attributes[names.OUTCOME] == "ok" and names.AUDIO_ANOMALY not in attributes
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("declared", [RATE, None])
def test_a_stream_of_pairs(world, declared: int | None) -> None:
    seen = world()

    @otel_tts.synthesis("m", sample_rate=declared)
    def speak() -> Iterator[Any]:
        for part in np.array_split(TONE, 5):
            yield RATE, part

    assert len(list(speak())) == 5
    attributes = root(seen).attributes
    assert (attributes[names.AUDIO_DURATION], attributes[names.STREAM_CHUNKS]) == (1.0, 5)
    assert names.TIME_TO_FIRST_BYTE in attributes and names.STREAM_UNDERRUN in attributes


def test_a_rate_in_the_result_goes_before_the_declared_one(world) -> None:
    seen = world()
    otel_tts.synthesis("m", sample_rate=48000)(lambda: (TONE, RATE))()
    assert root(seen).attributes[names.AUDIO_DURATION] == 1.0


@pytest.mark.parametrize("result", [None, "text", 7, (1, 2), (RATE, None), ("a", "b"), {"audio": TONE}, object(), TONE])
def test_without_a_rate_nothing_is_guessed(world, caplog, result: Any) -> None:
    seen = world()
    otel_tts.synthesis("m")(lambda: result)()
    assert list(otel_tts.synthesis("m")(lambda: iter(()))()) == []
    first, second = seen.drain().spans
    for span in (first, second):
        assert names.AUDIO_DURATION not in span.attributes and span.attributes[names.OUTCOME] == "ok"
    assert warnings_of(caplog) == []


KINDS: dict[str, Callable[[bytes], Any]] = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [4800, 777, 1])
def test_bytes_of_pcm_may_be_cut_anywhere(world, caplog, kind: str, cut: int) -> None:
    seen = world()

    @otel_tts.synthesis("m", sample_rate=RATE, encoding="pcm16")
    def speak(data: bytes) -> Iterator[Any]:
        for start in range(0, len(data), cut):
            yield KINDS[kind](data[start : start + cut])

    data = PCM if cut > 1 else PCM[:9999]
    given = list(speak(data))
    assert b"".join(given) == data and type(given[0]).__name__ == kind
    attributes = root(seen).attributes
    assert attributes[names.AUDIO_DURATION] == pytest.approx(len(data) // 2 / RATE)
    assert attributes[names.STREAM_CHUNKS] == len(given)
    if cut > 1:
        assert attributes[names.AUDIO_PEAK] == pytest.approx(0.4, abs=0.001)
    assert names.STREAM_UNDERRUN in attributes and attributes[names.OUTCOME] == "ok"
    assert names.AUDIO_SIZE not in attributes
    assert warnings_of(caplog) == []


def test_bytes_of_floats_in_async_streams_and_blocks(world) -> None:
    seen = world()

    @otel_tts.synthesis("m", sample_rate=RATE, encoding="float32")
    async def speak() -> Any:
        for part in np.array_split(TONE, 4):
            yield part.tobytes()

    async def listen() -> None:
        assert b"".join([part async for part in speak()]) == TONE.tobytes()

    asyncio.run(listen())
    with otel_tts.synthesis("m") as synthesis:
        assert synthesis.audio(PCM[:4801], RATE, encoding="pcm16") == 2400
        assert synthesis.audio(PCM[4801:], RATE, encoding="pcm16") == RATE - 2400
    with otel_tts.synthesis("m") as synthesis:
        synthesis.chunk(PCM, RATE, encoding="pcm16")
    for span in seen.drain().spans:
        assert span.attributes[names.AUDIO_DURATION] == 1.0
        assert span.attributes[names.AUDIO_PEAK] == pytest.approx(0.4, abs=0.001)


def test_an_encoding_that_nobody_knows_is_said_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="pcm16"):
        otel_tts.synthesis("m", sample_rate=RATE, encoding="s16le")(lambda: b"")
    with otel_tts.synthesis("m", encoding="s16le"):
        pass


def test_bytes_of_which_nobody_says_what_they_are_are_said_once(world, caplog) -> None:
    seen = world()

    @otel_tts.synthesis("m", engine="mine", sample_rate=RATE)
    def speak() -> Any:
        return SECRET.encode() * 50

    for _ in range(3):
        speak()
    (said,) = warnings_of(caplog)
    assert "mine" in said and "bytes" in said and "pcm16" in said and SECRET not in said
    for span in seen.drain().spans:
        assert names.AUDIO_DURATION not in span.attributes and span.attributes[names.OUTCOME] == "ok"


FILES = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3"}


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("declared", [RATE, None])
@pytest.mark.parametrize("kind", [bytes, bytearray, io.BytesIO])
def test_the_bytes_of_a_file_are_a_file(world, caplog, format: str, declared: int | None, kind: Any) -> None:
    seen = world()
    soundfile.write(buffer := io.BytesIO(), TONE, RATE, format=format)
    result = kind(buffer.getvalue())
    assert otel_tts.synthesis("m", sample_rate=declared)(lambda: result)() is result
    attributes = root(seen).attributes
    assert (attributes[names.AUDIO_FORMAT], attributes[names.AUDIO_SIZE]) == (FILES[format], len(buffer.getvalue()))
    assert attributes[names.AUDIO_DURATION] == pytest.approx(1.0, abs=0.001)
    assert attributes[names.OUTCOME] == "ok"
    assert warnings_of(caplog) == []


# --- tables -----------------------------------------------------------------------------------------------------------

SOURCE = """
    import numpy as np

    TONE = (0.4 * np.sin(np.arange(24000) / 9)).astype(np.float32)

    class Result:
        def __init__(self):
            self.waves, self.text = TONE, "what-nobody-may-read"

    def by_key(text):
        return {"wave": TONE, "what-nobody-may-read": 1, "quincebread": 2, "sr": 24000}

    def by_attribute(text):
        return Result()

    def by_index(text):
        return "text", TONE

    def stream(text):
        for _ in range(3):
            yield {"wave": TONE[:100]}

    def words(text):
        return text

    def writes(text):
        return None

    def gives_nothing(text):
        return None

    def hands_over(text):
        return stream(text)

    def in_pieces(text, file):
        for at in range(0, len(file), 700):
            yield file[at:at + 700]

    def plays(text, file):
        for _ in in_pieces(text, file):
            pass
        return True

    def calling(text, callback):
        callback(b"x" * 100)
"""

WRONG = {
    "by_key": (Chunk("audio"), ("dict", "wave, ?, ?, sr", "'audio'")),
    "by_attribute": (Chunk("audio"), ("Result", "waves, text", "'audio'")),
    "by_index": (Chunk(0), ("str",)),
    "stream": (Chunk("samples"), ("dict", "wave", "'samples'")),
    "words": (Chunk(), ("str",)),
}


@pytest.fixture
def engine(module: Callable[[str], str]) -> Callable[..., Any]:
    """`engine(entry…)` is the module above with a table."""

    def make(*entries: Entry) -> Any:
        name = module(SOURCE)
        watch(Engine("made", name, "", entries, sample_rate=RATE, model="m"))
        return __import__(name)

    return make


@pytest.mark.parametrize("target", WRONG)
def test_a_chunk_that_names_the_wrong_place_is_said_once(world, caplog, engine, target: str) -> None:
    chunk, words = WRONG[target]
    seen, made = world(), engine(Entry(target, chunk=chunk))
    for _ in range(3):
        result = getattr(made, target)(SECRET)
        if target == "stream":
            list(result)
    (said,) = warnings_of(caplog)
    for word in ("made", target, *words):
        assert word in said
    assert SECRET not in said
    for span in seen.drain().spans:
        assert names.AUDIO_DURATION not in span.attributes and span.attributes[names.OUTCOME] == "ok"


def test_a_callable_of_another_kind_than_its_table_says_is_not_empty(world, caplog, engine) -> None:
    """As piper 1.2: what yields chunks by now wrote to its argument then, and returned nothing."""
    seen = world()
    generator = ("generator",)
    made = engine(
        Entry("writes", chunk=Chunk("wave"), kinds=generator), Entry("by_key", chunk=Chunk("wave"), kinds=generator),
        Entry("hands_over", chunk=Chunk("wave"), kinds=generator), Entry("gives_nothing", chunk=Chunk("wave")),
    )  # fmt: skip
    made.writes("hello"), made.by_key("hello"), list(made.hands_over("hello")), made.gives_nothing("hello")
    other, plain, handed, nothing = seen.drain().spans
    for span in (other, plain):
        assert span.attributes[names.OUTCOME] == "ok" and names.TEXT_LENGTH in span.attributes
        assert names.AUDIO_DURATION not in span.attributes and names.AUDIO_ANOMALY not in span.attributes
    assert handed.attributes[names.AUDIO_DURATION] == pytest.approx(300 / RATE), "a generator all the same"
    assert nothing.attributes[names.AUDIO_ANOMALY] == ("empty",), "where it is what it was"
    assert warnings_of(caplog) == []


def test_a_file_in_pieces_inside_an_entry_that_hands_out_none(world, caplog, engine) -> None:
    """As a wrapper that puts them on a player's queue."""
    seen = world()
    soundfile.write(buffer := io.BytesIO(), TONE, RATE, format="MP3")
    made = engine(Entry("plays", chunk=None), Entry("in_pieces", chunk=Chunk(encoding="mp3"), kinds=("generator",)))
    assert made.plays("hello", buffer.getvalue()) is True
    facts = root(seen).attributes
    assert (facts[names.AUDIO_FORMAT], facts[names.AUDIO_SIZE]) == ("mp3", len(buffer.getvalue()))
    assert facts[names.AUDIO_DURATION] == pytest.approx(1.0, abs=0.001)
    assert facts[names.TEXT_LENGTH] == 5 and names.STREAM_CHUNKS not in facts, "the caller was handed no piece"
    assert warnings_of(caplog) == []


def test_bytes_of_a_callback(world, caplog, engine) -> None:
    seen = world()
    callback = Callback("callback", Chunk(encoding="pcm16"))
    engine(Entry("calling", callback=callback)).calling("hello", lambda piece: None)
    assert root(seen).attributes[names.AUDIO_DURATION] == pytest.approx(50 / RATE)
    assert warnings_of(caplog) == []
    assert "torch" not in sys.modules
