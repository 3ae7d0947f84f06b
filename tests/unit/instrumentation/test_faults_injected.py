# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""otel-tts fails at every line that a request comes by: the caller gets the same audio and the same exceptions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import io
import threading
import wave
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from otel_tts.engines import hibari, piper
from otel_tts.engines.table import Chunk, Engine, Entry, Seam
from otel_tts.instrumentation.edges import every
from otel_tts.instrumentation.edges.answer import HEADER
from otel_tts.instrumentation.libraries import threads
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.libraries.onnxruntime import watch_onnxruntime
from otel_tts.instrumentation.tables import watch
from tests.unit.support.faults import Outcome, check, outcome

ENGINE = """
    import numpy as np

    class Engine:
        def __init__(self):
            self.voice, self.device = "heart", "cpu"

        def frontend(self, text):
            return [ord(letter) for letter in text]

        def sentences(self, text):
            yield from text.split(".")

        async def acoustic(self, codes):
            return np.array(codes, dtype=np.float32)

        async def pieces(self, codes):
            for code in codes:
                yield code

        def vocoder(self, codes):
            if not codes:
                raise KeyError("no codes")
            return np.sin(np.array(codes, dtype=np.float32))

        def say(self, text, language="en"):
            return self.vocoder(self.frontend(text))

        def outer(self, text):
            return self.say(text)

        def stream(self, text):
            for sentence in self.sentences(text):
                yield self.vocoder(self.frontend(sentence))

        def later(self, text, stream=True):
            return (self.vocoder(self.frontend(sentence)) for sentence in text.split("."))

        async def asay(self, text):
            return np.sin(await self.acoustic(self.frontend(text)))

        async def astream(self, text):
            async for code in self.pieces(self.frontend(text)):
                yield np.full(3, code / 128, dtype=np.float32)

        async def alater(self, text):
            return self.asay(text)

        def inside(self, call, *args):
            return call(*args)
"""
RATE = 24000
KINDS = ("say", "stream", "later", "asay", "astream")

TEXT = "Hello. You"


@pytest.fixture
def engine(module: Callable[[str], str], world: Any) -> Any:
    """An instance of a hooked engine that has every kind of callable."""
    name = module(ENGINE)
    facts: dict[str, Any] = {"voice": "self.voice", "device": "self.device", "sample_rate": RATE}
    watch(
        Engine(
            name="made", module=name, distribution="", load=("Engine.__init__",),
            entries=(*(Entry(f"Engine.{kind}", **facts) for kind in KINDS),
                     Entry("Engine.outer", chunk=None), Entry("Engine.inside", chunk=None),
                     Entry("Engine.alater", chunk=Chunk())),
            seams=(Seam("Engine.frontend", "text_frontend", device="cpu"), Seam("Engine.sentences", "text_frontend"),
                   Seam("Engine.acoustic", "acoustic_model"), Seam("Engine.pieces", "acoustic_model", fold=True),
                   Seam("Engine.vocoder", "vocoder", fold=True)),
        )
    )  # fmt: skip
    seen = world()
    made = importlib.import_module(name).Engine()
    yield made
    seen.drain()


def sound(result: Any) -> list[bytes]:
    return [piece.tobytes() for piece in ([result] if isinstance(result, np.ndarray) else result)]


async def collect(stream: Any) -> list[Any]:
    return [piece async for piece in stream]


def speak(engine: Any) -> list[Outcome]:
    """Every kind of entry: to its end, left half way, and failing."""
    half, later = engine.stream(TEXT), engine.later(TEXT)
    return [
        outcome(lambda: sound(engine.say(TEXT))),
        outcome(lambda: sound(engine.outer(TEXT))),
        outcome(lambda: sound(engine.stream(TEXT))),
        outcome(lambda: sound(engine.later(TEXT, stream=True))),
        outcome(lambda: sound(asyncio.run(engine.asay(TEXT)))),
        outcome(lambda: sound(asyncio.run(nested(engine)))),
        outcome(lambda: sound(asyncio.run(collect(engine.astream(TEXT))))),
        outcome(lambda: (next(half).tobytes(), half.close())),
        outcome(lambda: (next(later).tobytes(), later.close())),
        outcome(lambda: engine.say("")),
        outcome(lambda: sound(engine.stream("a..b"))),
        outcome(lambda: engine.say()),
    ]


async def nested(engine: Any) -> Any:
    return await (await engine.alater(TEXT))


@pytest.mark.thorough
def test_a_fault_at_any_line_changes_no_audio_and_no_exception(engine) -> None:
    check(lambda: speak(engine))


def write_file(samples: np.ndarray) -> bytes:
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def test_writing_a_file(engine) -> None:
    watch_postprocess()
    check(lambda: [outcome(lambda: write_file(engine.say(TEXT)))])


def test_handing_over_to_threads(engine) -> None:
    threads.install()
    try:
        check(lambda: [outcome(partial(engine.inside, call, engine)) for call in (in_a_thread, in_a_pool)])
    finally:
        threads.uninstall()


def in_a_thread(engine: Any) -> list[bytes]:
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.extend(sound(engine.stream(TEXT))))
    thread.start()
    thread.join()
    return got


def in_a_pool(engine: Any) -> list[bytes]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return sound(pool.submit(engine.say, TEXT).result())


def test_running_a_session_of_onnxruntime(world, tts) -> None:
    watch(hibari.ENGINE)
    watch_onnxruntime()
    seen = world()
    check(lambda: [outcome(lambda: sound(tts("Hi.", seed=1)))], only=("onnxruntime", "fallback"))
    seen.drain()


@pytest.mark.thorough
def test_a_generator_of_piper(world, joe) -> None:
    from piper import SynthesisConfig

    watch(piper.ENGINE)
    watch_onnxruntime()
    seen = world()
    calm = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    check(
        lambda: [outcome(lambda: [piece.audio_int16_bytes for piece in joe.synthesize("Hi.", calm)])],
        only=("delivery.item", "delivery._read_samples", "entry.begin"),
    )
    seen.drain()


@pytest.mark.thorough
def test_answers_of_a_web_service(engine, monkeypatch) -> None:
    app = Starlette(routes=[
        Route("/whole", lambda request: Response(engine.say(TEXT).tobytes(), media_type="audio/l16")),
        Route("/stream", lambda request: StreamingResponse(piece.tobytes() for piece in engine.stream(TEXT))),
        Route("/fails", lambda request: Response(engine.say("").tobytes())),
    ])  # fmt: skip
    every.instrument()
    try:
        check(lambda: [outcome(partial(answer, app, path)) for path in ("/whole", "/stream", "/fails")])
    finally:
        every.uninstrument()


def answer(app: Any, path: str) -> list[Any]:
    return asyncio.run(get(app, path))


async def get(app: Any, path: str) -> list[Any]:
    """The messages of the answer, without the id in its head: a fault may cost that."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0 if not sent else 60)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        headers = [header for header in message.get("headers", ()) if header[0] != HEADER]
        sent.append({**message, "headers": headers})

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent
