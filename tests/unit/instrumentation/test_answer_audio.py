# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio in web answers: what the body says of itself is on the span, and a body that is cut makes it anomalous."""

from __future__ import annotations

import asyncio
import io
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import otel_tts
from otel_tts import guard, names
from otel_tts.audio.files.excerpt import HEAD, TAIL, Excerpt, Passing
from otel_tts.audio.files.file import read_excerpt
from otel_tts.audio.files.header import read_header
from otel_tts.emit.later import files
from otel_tts.instrumentation.edges import every

RATE = 24000
TONE = (0.4 * np.sin(np.arange(4 * RATE) / 9)).astype(np.float32)


@pytest.fixture(autouse=True)
def edge() -> Iterator[None]:
    every.instrument()
    every.instrument_tasks()
    yield
    every.uninstrument()
    assert guard.faults == {}


def encoded(format: str, subtype: str | None = None, samples: Any = TONE) -> bytes:
    with soundfile.SoundFile(buffer := io.BytesIO(), "w", RATE, 1, subtype, format=format) as file:
        for block in np.array_split(samples, 1 + len(samples) // RATE):  # libsndfile's Vorbis takes no long ones
            file.write(block)
    return buffer.getvalue()


OPUS = encoded("OGG", "OPUS")
WAV = encoded("WAV")


def ask(app: Any, method: str = "GET", **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "method": method, "path": "/", "root_path": "", "query_string": b"", "http_version": "1.1",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "asgi": {"spec_version": "2.5"}, "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def service(make: Callable[[], Response], times: int = 1, **options: Any) -> Starlette:
    """One that speaks, then answers with what `make` returns."""

    async def endpoint(_: Any) -> Response:
        for _ in range(times):
            with otel_tts.synthesis("m") as synthesis:
                synthesis.audio(TONE, RATE)
        return make()

    return Starlette(routes=[Route("/", endpoint, methods=["GET", "HEAD"])], **options)


def root(seen: Any) -> Any:
    (span,) = [span for span in seen.drain().spans if span.name == "text_to_speech m"]
    return span


def events(span: Any) -> list[dict[str, Any]]:
    return [dict(event.attributes) for event in span.events if event.name == names.FILE_EVENT]


def test_a_body_says_format_and_size(world) -> None:
    seen = world()
    ask(service(lambda: Response(WAV, media_type="audio/wav")))
    span = root(seen)
    assert (span.attributes[names.AUDIO_FORMAT], span.attributes[names.AUDIO_SIZE]) == ("wav", len(WAV))
    assert (span.attributes[names.OUTCOME], span.attributes.get(names.AUDIO_ANOMALY)) == ("ok", None)
    assert events(span) == [
        {
            names.AUDIO_FORMAT: "wav", names.AUDIO_SIZE: len(WAV), names.AUDIO_DURATION: 4.0,
            names.AUDIO_SAMPLE_RATE: RATE, names.AUDIO_CHANNELS: 1,
        }
    ]  # fmt: skip


def test_a_body_that_its_encoder_has_not_finished_is_truncated(world) -> None:
    seen = world()
    ask(service(lambda: Response(OPUS[:-4000], media_type="audio/ogg")))
    attributes = root(seen).attributes
    assert (attributes[names.OUTCOME], attributes[names.AUDIO_ANOMALY]) == ("anomalous", ("truncated",))
    assert attributes[names.AUDIO_SIZE] == len(OPUS) - 4000


@pytest.mark.parametrize("cut", [0, 4000])
def test_an_answer_by_file(world, tmp_path: Path, cut: int) -> None:
    seen = world()
    (tmp_path / "a.ogg").write_bytes(OPUS[: len(OPUS) - cut])
    sent = ask(service(lambda: FileResponse(tmp_path / "a.ogg")))
    assert b"".join(message.get("body", b"") for message in sent) == OPUS[: len(OPUS) - cut]
    span = root(seen)
    assert span.attributes[names.OUTCOME] == ("anomalous" if cut else "ok")
    assert span.attributes[names.AUDIO_SIZE] == len(OPUS) - cut
    assert len(events(span)) == 1


@pytest.mark.parametrize("data, media_type", [(WAV, "audio/x-wav"), (OPUS, "audio/ogg; codecs=opus")])
def test_a_streamed_body_is_one_audio(world, data: bytes, media_type: str) -> None:
    async def pieces() -> Any:
        with otel_tts.synthesis("m") as synthesis:
            synthesis.audio(TONE, RATE)
        for start in range(0, len(data), 999):
            yield data[start : start + 999]

    async def endpoint(_: Any) -> Response:
        return StreamingResponse(pieces(), media_type=media_type)

    seen = world()
    ask(Starlette(routes=[Route("/", endpoint)]))
    span = root(seen)
    assert span.attributes[names.AUDIO_SIZE] == len(data)
    assert span.attributes[names.OUTCOME] == "ok" and names.AUDIO_ANOMALY not in span.attributes
    assert events(span)[0][names.AUDIO_DURATION] == pytest.approx(4.0, abs=0.001)


def test_the_record_waits_for_its_answer(world) -> None:
    seen, early = world(), []

    async def endpoint(_: Any) -> Response:
        with otel_tts.synthesis("m") as synthesis:
            synthesis.audio(TONE, RATE)
        seen.emitter.drain()
        early.extend(seen.names())
        return Response(OPUS[:-4000], media_type="audio/ogg")

    ask(Starlette(routes=[Route("/", endpoint)]))
    assert early == []
    assert root(seen).attributes[names.OUTCOME] == "anomalous"


def readers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "otel-tts-files"}


def test_nobody_is_woken_for_a_body_that_the_spans_maker_can_read(world) -> None:
    seen, before = world(), readers()
    ask(service(lambda: Response(WAV, media_type="audio/wav")))
    assert root(seen).attributes[names.AUDIO_SIZE] == len(WAV)
    assert readers() <= before


def test_the_bodies_of_many_requests_at_once_are_all_read(world) -> None:
    seen, before = world(), readers()
    app, many = service(lambda: Response(OPUS, media_type="audio/ogg")), files.MOST_LEFT + 3
    for _ in range(many):
        ask(app)
    assert readers() > before, "those beyond the bound are read at once"
    seen.emitter.files.wait(30)
    spans = [span for span in seen.drain().spans if span.name == "text_to_speech m"]
    assert [span.attributes[names.AUDIO_SIZE] for span in spans] == [len(OPUS)] * many


def test_who_flushes_before_he_answers_does_not_wait_for_himself(world) -> None:
    seen, early = world(), []

    async def endpoint(_: Any) -> Response:
        with otel_tts.synthesis("m") as synthesis:
            synthesis.audio(TONE, RATE)
        seen.emitter.drain()
        assert seen.emitter.waiting == 1
        assert seen.emitter.flush(timeout=0.5)
        early.extend(seen.names())
        return Response(OPUS[:-4000], media_type="audio/ogg")

    ask(Starlette(routes=[Route("/", endpoint)]))
    assert early == ["text_to_speech m"]


def test_after_its_patience_a_record_leaves_without_its_answer(world, monkeypatch) -> None:
    from otel_tts.emit.later import waiting

    seen, early = world(), []
    monkeypatch.setattr(waiting, "ANSWER_PATIENCE_S", 0.01)

    async def endpoint(_: Any) -> Response:
        with otel_tts.synthesis("m") as synthesis:
            synthesis.audio(TONE, RATE)
        await asyncio.sleep(0.05)
        seen.emitter.drain()
        early.extend(seen.names())
        return Response(OPUS[:-4000], media_type="audio/ogg")

    ask(Starlette(routes=[Route("/", endpoint)]))
    assert early == ["text_to_speech m"]
    seen.drain()
    assert "AUDIO_FILE" in seen.records[-1].body and "error_type=truncated" in seen.records[-1].body


def test_raw_samples_and_what_is_not_what_it_claims(world) -> None:
    pcm = (TONE * 32767).astype("<i2").tobytes()
    for media_type, format, anomalies in (
        ("audio/pcm", "pcm", None), ("audio/L16; rate=24000", "pcm", None), ("audio/mpeg", None, ("wrong_format",)),
        ("audio/webm", None, None), ("audio/x-something", None, None),
    ):  # fmt: skip
        seen = world()
        ask(service(lambda media_type=media_type: Response(pcm, media_type=media_type)))
        attributes = root(seen).attributes
        assert attributes[names.AUDIO_SIZE] == len(pcm)
        assert attributes.get(names.AUDIO_FORMAT) == format, media_type
        assert attributes.get(names.AUDIO_ANOMALY) == anomalies, media_type


def test_an_empty_body_with_an_audio_type_is_empty(world) -> None:
    seen = world()
    ask(service(lambda: Response(b"", media_type="audio/wav")))
    assert root(seen).attributes[names.AUDIO_ANOMALY] == ("empty",)


OTHERS: dict[str, tuple[Callable[[], Response], dict[str, Any], dict[str, str]]] = {
    "no audio": (lambda: JSONResponse({"a": 1}), {}, {}),
    "an error": (lambda: Response(b"no", status_code=500, media_type="audio/wav"), {}, {}),
    "a part": (lambda: Response(WAV[:500], status_code=206, media_type="audio/wav"), {}, {}),
    "HEAD": (
        lambda: Response(b"", media_type="audio/wav", headers={"content-length": str(len(WAV))}),
        {"method": "HEAD"},
        {},
    ),
    "packed": (
        lambda: Response(WAV, media_type="audio/wav", headers={"content-encoding": "gzip"}),
        {},
        {"accept_encoding": "gzip"},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_answers_are_left_alone(world, name: str) -> None:
    seen, (make, options, headers) = world(), OTHERS[name]
    ask(service(make), **options, **headers)
    span = root(seen)
    assert names.AUDIO_SIZE not in span.attributes and span.attributes[names.OUTCOME] == "ok"
    assert events(span) == []


def test_behind_middleware_that_packs_json_audio_is_seen_as_it_is(world) -> None:
    from starlette.middleware import Middleware

    seen = world()
    app = service(lambda: JSONResponse({"a": "b" * 9000}), middleware=[Middleware(GZipMiddleware)])
    sent = ask(app, accept_encoding="gzip")
    assert any(name == b"content-encoding" for name, _ in sent[0]["headers"])
    assert names.AUDIO_SIZE not in root(seen).attributes


def test_of_several_sentences_in_one_answer_no_size_is_known(world) -> None:
    seen = world()
    ask(service(lambda: Response(OPUS[:-4000], media_type="audio/ogg"), times=2))
    first, second = (span for span in seen.drain().spans if names.OUTCOME in span.attributes)
    assert names.AUDIO_SIZE not in first.attributes and names.AUDIO_SIZE not in second.attributes
    assert (first.attributes[names.OUTCOME], second.attributes[names.OUTCOME]) == ("ok", "anomalous")


# --- excerpts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, HEAD - 1, HEAD, HEAD + 1, HEAD + TAIL, HEAD + TAIL + 1, 3 * (HEAD + TAIL)])
@pytest.mark.parametrize("piece", [997, 65536, 1 << 20])
def test_pieces_and_a_whole_give_the_same_excerpt(size: int, piece: int) -> None:
    data = random.Random(size).randbytes(size)
    passing = Passing(None)
    for start in range(0, size, piece):
        passing.add(data[start : start + piece])
        assert passing.held < HEAD + TAIL + 2 * piece, "bounded, however long it is"
    got, whole = passing.excerpt(), Excerpt.of(data)
    assert got.is_same(whole) and got.size == size
    file = got.open()
    assert file.whole == (size <= HEAD + TAIL)
    for at in (0, 1, HEAD - 5, size - 10, size - TAIL):
        if 0 <= at < size and (file.whole or at < HEAD or at >= size - TAIL):
            file.seek(at)
            assert file.read(5) in (data[at : at + 5], data[at : min(at + 5, HEAD)])


LONG = np.random.default_rng(3).normal(0, 0.2, 50 * RATE).clip(-1, 1).astype(np.float32)
LONG_ONES = {
    "wav": encoded("WAV", samples=LONG), "flac": encoded("FLAC", samples=LONG),
    "opus": encoded("OGG", "OPUS", LONG), "vorbis": encoded("OGG", "VORBIS", LONG), "mp3": encoded("MP3", samples=LONG),
}  # fmt: skip


@pytest.mark.parametrize("sort", LONG_ONES)
def test_what_is_long_is_told_by_its_ends(sort: str) -> None:
    data = LONG_ONES[sort]
    assert len(data) > HEAD + TAIL
    whole, facts = read_header(io.BytesIO(data), len(data)), read_excerpt(Excerpt.of(data))
    assert whole is not None and whole.duration == pytest.approx(50, abs=0.1)
    assert (facts.format, facts.sample_rate, facts.cut, facts.errors) == (whole.format, whole.sample_rate, False, 0)
    assert facts.duration in (whole.duration, None)
    assert facts.duration is not None or sort == "mp3"


@pytest.mark.parametrize("sort", ["wav", "opus", "vorbis"])
def test_what_is_long_and_cut_is_told_by_its_end(sort: str) -> None:
    facts = read_excerpt(Excerpt.of(LONG_ONES[sort][:-5000]))
    assert facts.cut and facts.duration is not None and facts.duration < 50


CHAINED = {"flac": ("FLAC", None), "opus": ("OGG", "OPUS"), "vorbis": ("OGG", "VORBIS"), "mp3": ("MP3", None)}


@pytest.mark.parametrize("sort", CHAINED)
def test_of_a_long_chain_nothing_is_said_that_is_not_known(sort: str) -> None:
    for seconds in (3, 45, 55):
        last = encoded(*CHAINED[sort], samples=np.resize(LONG, seconds * RATE))
        facts = read_excerpt(Excerpt.of(LONG_ONES[sort] + last))
        assert (facts.duration, facts.cut) == (None, False)
