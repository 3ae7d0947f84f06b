# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of an engine that has a table."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from pathlib import Path
from typing import Any

import otel_tts
from tests.same.fixed import tick
from tests.same.scenes.scene import SECRET, flush, scene, voice


@scene()
def table() -> None:
    """An engine with a table: a load that fails and one that succeeds, a cold request, a warm one, one with a voice
    that may not be named."""
    import speaker

    with contextlib.suppress(FileNotFoundError):
        speaker.Voice("")
    flush()
    tick(1)
    loaded = voice()
    for name in ("amy", "amy", "/home/somebody/her voice.wav"):
        tick(1)
        loaded.speak("Hello there", voice=name)
        flush()


@scene()
def failing() -> None:
    """An error in each stage, and one that the engine's caller makes good for."""
    import speaker

    loaded = voice()
    for stage in ("phonemize", "think", "sing"):

        def fail(*_: Any) -> None:
            tick(0.025)
            raise RuntimeError(f"cannot say {SECRET}")

        inside = getattr(speaker, stage)
        body, inside.__wrapped__ = inside.__wrapped__, fail
        try:
            loaded.speak(SECRET)
        except RuntimeError:
            pass
        inside.__wrapped__ = body
        flush()
        tick(1)
    with otel_tts.synthesis("own-model", engine="own", request_id="good-1"):
        flush()
        try:
            with otel_tts.stage("model"):
                raise TimeoutError(SECRET)
        except TimeoutError:
            loaded.speak("Instead")


@scene()
def rejected() -> None:
    """A request that the engine refuses before any work, one that own code refuses, and one with a client's error."""
    try:
        voice().speak("")
    except ValueError:
        pass
    flush()
    tick(1)
    with otel_tts.synthesis("own-model", engine="own", request_id="rejected-1") as s:
        tick(0.001)
        s.reject()
    flush()

    class Refused(Exception):
        status_code = 422

    try:
        with otel_tts.synthesis("own-model", engine="own", request_id="rejected-2"):
            raise Refused(SECRET)
    except Refused:
        pass


@scene()
def inside() -> None:
    """An engine inside another one, inside own code: one synthesis."""
    import speaker

    reader = speaker.Reader()
    flush()
    reader.read("One.Two")
    flush()
    tick(1)
    with otel_tts.synthesis("own-model", engine="own", request_id="inside-1"):
        flush()
        tick(0.001)
        reader.read("One.Two")


@scene()
def file() -> None:
    """Audio that leaves as a file: it is read afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        voice().save(SECRET, str(Path(folder, f"{SECRET}.wav")))
        flush()


@scene()
def lines() -> None:
    """An engine whose stages are lines of one function: one goes on until the next begins."""
    import speaker

    speaker.speak_in_lines("One two three")


@scene()
def generators() -> None:
    """Entries and stages that are generators: to the end, left early, broken, with an error thrown in."""
    import speaker

    choir = speaker.Choir()

    def begun(text: str) -> Any:
        stream = choir.sing(text)
        next(stream)
        tick(0.001)
        return stream

    list(choir.sing("One three"))
    flush()
    tick(1)
    begun("One three").close()
    flush()
    tick(1)
    with contextlib.suppress(RuntimeError):
        list(begun("Something wrong"))
    flush()
    tick(1)
    with contextlib.suppress(KeyError):
        begun("One three").throw(KeyError(SECRET))


@scene()
def generators_async() -> None:
    """As generators, and a coroutine."""
    import speaker

    choir = speaker.Choir()

    async def begun(text: str) -> Any:
        stream = choir.sing_async(text)
        await anext(stream)
        tick(0.001)
        return stream

    async def play() -> None:
        await choir.hum("Hello")
        flush()
        tick(1)
        async for _ in choir.sing_async("One three"):
            tick(0.002)
        flush()
        tick(1)
        await (await begun("One three")).aclose()
        flush()
        tick(1)
        with contextlib.suppress(RuntimeError):
            async for _ in await begun("Something wrong"):
                pass
        flush()
        tick(1)
        with contextlib.suppress(KeyError):
            await (await begun("One three")).athrow(KeyError(SECRET))

    asyncio.run(play())


@scene()
def job() -> None:
    """A worker that was started before any request takes jobs from a queue."""
    import speaker

    desk = speaker.Desk()
    desk.ask("First")
    flush()
    tick(1)
    desk.ask("Second")
    flush()
    desk.jobs.put(None)
    desk.worker.join()


@scene()
def locked() -> None:
    """Two threads want the engine: waiting for its lock is a stage of the second one."""
    import speaker

    loaded = voice()

    def second() -> None:
        with otel_tts.synthesis("own-model", engine="own", request_id="locked-1"):
            flush()
            with speaker.lock:
                loaded.speak("Second")

    assert speaker.lock.acquire(blocking=False)
    thread = threading.Thread(target=second)
    thread.start()
    assert speaker.lock.awaited.wait(60)
    tick(0.3)
    speaker.lock.release()
    thread.join()
