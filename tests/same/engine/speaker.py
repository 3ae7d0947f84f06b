# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A small engine that needs no model: three functions that make a tone, and ways to speak that real engines have."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import wave as riff
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import numpy as np

from tests.same.fixed import tick

RATE = 16_000


class Gate(threading.Semaphore):
    """A lock that says when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.awaited = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if blocking:
            self.awaited.set()
        return super().acquire(blocking, timeout)


lock = Gate()


def tone(seconds: float) -> np.ndarray:
    """A tone that nothing finds fault with."""
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def phonemize(text: str) -> list[str]:
    tick(0.003)
    return list(text)


def think(phonemes: list[str]) -> int:
    tick(0.08)
    attend(phonemes)
    return len(phonemes)


def attend(phonemes: list[str]) -> None:
    tick(0.02)


def sing(length: int) -> np.ndarray:
    tick(0.04)
    return tone(0.05 * length)


class Voice:
    def __init__(self, path: str) -> None:
        tick(1.5)
        if not path:
            raise FileNotFoundError(path)
        self.path = path

    def speak(self, text: str, voice: str = "amy", language: str = "en") -> np.ndarray:
        if not text:
            raise ValueError("nothing to say")
        return sing(think(phonemize(text)))

    def stream(self, text: str, voice: str = "amy", language: str = "en") -> Iterator[np.ndarray]:
        for word in text.split():
            yield sing(think(phonemize(word)))

    def save(self, text: str, path: str) -> None:
        sound = (32767 * sing(think(phonemize(text)))).astype("<i2")
        with riff.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(sound.tobytes())


class Reader:
    """An engine on top of another one."""

    def __init__(self) -> None:
        self.voice = Voice("amy.onnx")

    def read(self, text: str) -> np.ndarray:
        tick(0.01)
        return np.concatenate([self.voice.speak(part) for part in text.split(".") if part])


def speak_in_lines(text: str) -> np.ndarray:
    """Stages that are lines of one function, between calls that have names."""
    tokens = tokenize(text)
    tick(0.02)
    for _ in range(2):
        decode(tokens)
    tick(0.03)
    return render(len(tokens))


def tokenize(text: str) -> list[str]:
    tick(0.004)
    return text.split()


def decode(tokens: list[str]) -> None:
    tick(0.05)


def render(length: int) -> np.ndarray:
    tick(0.03)
    return tone(0.2 * length)


class Choir:
    """Everything is a generator: the entry, and its stages."""

    def sing(self, text: str) -> Iterator[np.ndarray]:
        for note in compose(text):
            tick(0.01)
            yield tone(0.1 * note)

    async def sing_async(self, text: str) -> AsyncIterator[np.ndarray]:
        async with contextlib.aclosing(compose_async(text)) as notes:  # else it ends when the collector comes by
            async for note in notes:
                tick(0.01)
                yield tone(0.1 * note)

    async def hum(self, text: str) -> np.ndarray:
        return tone(0.1 * await tune(text))


def compose(text: str) -> Iterator[int]:
    for word in text.split():
        tick(0.05)
        if word == "wrong":
            raise RuntimeError(word)
        yield len(word)


async def compose_async(text: str) -> AsyncGenerator[int, None]:
    for note in compose.__wrapped__(text):  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        yield note


async def tune(text: str) -> int:
    await asyncio.sleep(0)
    tick(0.02)
    return len(text)


class Request:
    """A job on a worker's queue."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sound: Any = None
        self.done = threading.Event()


class Desk:
    """A worker that was started before any request."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[Request | None] = queue.Queue()
        self.worker = threading.Thread(target=self._work)
        self.worker.start()

    def ask(self, text: str) -> np.ndarray:
        request = Request(text)
        tick(0.005)
        self.jobs.put(request)
        request.done.wait(60)
        return request.sound

    def _work(self) -> None:
        while (request := self.jobs.get()) is not None:
            text = request.text
            request.sound = generate(text)
            request.done.set()


def generate(text: str) -> np.ndarray:
    tick(0.07)
    return tone(0.05 * len(text))
