# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests in the words of `otel_tts`: blocks and decorators."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

import otel_tts
from tests.same.fixed import tick
from tests.same.scenes.scene import SECRET, flush, scene, speak, voice


class Watching(SpanProcessor):
    """A processor that looks at a span's start, so that spans have to be the SDK's own."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        assert span.is_recording()


@scene(OTEL_TTS_ALLOW_ATTRIBUTES="kept")
def ok() -> None:
    """Own code: stages one inside the other, an attribute that may leave and one that may not, a line of the
    application."""
    speak("ok-1")


@scene(OTEL_TTS_ALLOW_ATTRIBUTES="kept")
def ok_through_the_sdk() -> None:
    """As ok, below a span of the application, where a processor wants to see spans begin."""
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(Watching())
    with trace.get_tracer("application").start_as_current_span("handle", attributes={"note": SECRET}):
        speak("ok-2")


@scene(OTEL_TRACES_SAMPLER="always_off")
def sampled_out() -> None:
    """Spans are not wanted: metrics and lines are the same."""
    speak("unsampled-1")


@scene(OTEL_TTS_LOG_FORMAT="json")
def streamed() -> None:
    """A generator whose listener is slow once, so that playing falls behind. Lines are JSON."""

    @otel_tts.synthesis("own-model", engine="own", text_argument="text", sample_rate=16000)
    def stream(text: str) -> Any:
        from speaker import tone

        for took in (0.1, 0.05, 0.9):
            with otel_tts.stage("model"):
                tick(took)
            yield tone(0.2)

    for _ in stream(SECRET):
        tick(0.01)


@scene()
def silent() -> None:
    """Audio that nobody can hear is an anomaly."""
    speak("silent-1", loudness=0.0)


@scene(OTEL_TTS_MAX_STAGE_SPANS="3")
def folded() -> None:
    """More stages than spans are wanted: those beyond share one."""
    with otel_tts.synthesis("own-model", engine="own", request_id="folded-1") as s:
        for _ in range(6):
            with otel_tts.stage("model"):
                tick(0.02)
            tick(0.001)
        s.chunk(b"\x00\x20" * 8000, 16000, encoding="pcm16")


@scene()
def late() -> None:
    """A stage that ends after its synthesis, and two that only begin then."""
    with otel_tts.synthesis("own-model", engine="own", request_id="late-1") as s:
        tick(0.02)
        overlong = s.stage("postprocess").__enter__()
        tick(0.02)
    overlong.__exit__(None, None, None)
    flush()
    for _ in range(2):
        with s.stage("postprocess"):
            tick(0.01)


@scene()
def batch() -> None:
    """Two requests whose model runs once for both."""

    async def one(name: str, joined: list[Any], done: asyncio.Event) -> None:
        async with otel_tts.synthesis("own-model", engine="own", request_id=name) as s:
            joined.append(s)
            await done.wait()
            s.audio([0.25, -0.25] * 4000, 16000)

    async def both() -> None:
        joined: list[Any] = []
        done = asyncio.Event()
        tasks = [asyncio.create_task(one(name, joined, done)) for name in ("batch-1", "batch-2")]
        await asyncio.sleep(0)
        with otel_tts.batch("acoustic_model", joined):
            tick(0.12)
        done.set()
        await asyncio.gather(*tasks)

    asyncio.run(both())


@scene()
def cancelled() -> None:
    """A task that is cancelled in a stage, a stream whose listener leaves, and one that is only dropped."""

    async def wait() -> None:
        async with otel_tts.synthesis("own-model", engine="own", request_id="cancelled-1"), otel_tts.stage("model"):
            tick(0.05)
            await asyncio.sleep(60)

    async def leave() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    flush()
    tick(1)
    speaker = voice()
    stream = speaker.stream(SECRET)
    next(stream)
    tick(0.2)
    stream.close()
    flush()
    tick(1)
    next(speaker.stream(SECRET))
    gc.collect()


@scene(OTEL_TTS_STUCK_AFTER="30")
def stuck() -> None:
    """A request that is open for too long says so before it ends."""
    said = threading.Event()
    write = sys.stderr.write
    sys.stderr.write = lambda text: (write(text), said.set() if "REQ_STUCK" in text else None)[0]  # type: ignore
    with otel_tts.synthesis("own-model", engine="own", request_id="stuck-1"):
        with otel_tts.stage("text_frontend"):
            tick(1)
        with otel_tts.stage("model"):
            tick(40)
            assert said.wait(60)
            tick(1)
