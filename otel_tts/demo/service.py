# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# pyright: basic
"""A small speech service, written as anyone would write it. Nothing in here knows of telemetry."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from fastapi import FastAPI, HTTPException
from fastapi.responses import Response, StreamingResponse
from hibari import Hibari
from pydantic import BaseModel, Field

MAX_CHARACTERS = 5000
UNKNOWN_SIZE = 0xFFFFFFFF  # what a WAV header says while the end is not known

app = FastAPI(title="A small speech service")
voices = {"heart": Hibari(voice="heart")}


class Speech(BaseModel):
    input: str
    voice: str = "heart"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream: bool = False


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/audio/speech")
def speak(speech: Speech) -> Response:
    if len(speech.input) > MAX_CHARACTERS:
        raise HTTPException(413, f"at most {MAX_CHARACTERS} characters")
    if speech.voice not in voices:
        raise HTTPException(404, f"voices: {', '.join(voices)}")
    engine = voices[speech.voice]
    if speech.stream:
        return StreamingResponse(stream(engine, speech), media_type="audio/wav")
    samples = engine(speech.input, speed=speech.speed)
    if not len(samples):
        raise HTTPException(422, "nothing in the input could be spoken")
    sound = pcm(samples)
    return Response(wav_header(engine.sample_rate, len(sound)) + sound, media_type="audio/wav")


def stream(engine: Hibari, speech: Speech) -> Iterator[bytes]:
    yield wav_header(engine.sample_rate, UNKNOWN_SIZE)
    for samples in engine.stream(speech.input, speed=speech.speed):
        yield pcm(samples)


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def wav_header(rate: int, size: int) -> bytes:
    riff = min(size + 36, UNKNOWN_SIZE)
    form = (b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)  # PCM, one channel, 16 bits
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", *form, b"data", size)
