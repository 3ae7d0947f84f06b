# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenAI's speech endpoint with FastAPI: the whole sound at once, or sentence by sentence while it is made.

    pip install .. hibari-tts fastapi uvicorn
    otel-tts run -- uvicorn openai_speech:app --port 8000
    curl localhost:8000/v1/audio/speech -H 'content-type: application/json' \
         -d '{"model": "hibari", "voice": "heart", "input": "Hello there."}' -o hello.wav

`"stream": true` sends 16 bit PCM at 24 kHz as it comes. Nothing in here knows of telemetry.
"""

from __future__ import annotations

import io
import itertools
import wave

import numpy as np
from fastapi import FastAPI, HTTPException
from fastapi.responses import Response, StreamingResponse
from hibari import Hibari
from pydantic import BaseModel, Field

app = FastAPI(title="Speech")
voices = {"heart": Hibari("heart")}

UNSPEAKABLE = HTTPException(422, "nothing in the input can be spoken")


class Speech(BaseModel):
    model: str = "hibari"
    input: str = Field(max_length=4096)
    voice: str = "heart"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream: bool = False


@app.post("/v1/audio/speech")
def speak(speech: Speech) -> Response:
    if speech.voice not in voices:
        raise HTTPException(404, f"there is no such voice; there are: {', '.join(voices)}")
    tts = voices[speech.voice]
    if speech.stream:
        chunks = tts.stream(speech.input, speed=speech.speed)
        first = next(chunks, None)  # what is wrong with the input is said before the headers are sent
        if first is None:
            raise UNSPEAKABLE
        return StreamingResponse(map(to_pcm, itertools.chain([first], chunks)), media_type="audio/pcm")
    samples = tts(speech.input, speed=speech.speed)
    if not len(samples):
        raise UNSPEAKABLE
    return Response(to_wav(samples), media_type="audio/wav")


def to_pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def to_wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(to_pcm(samples))
    return buffer.getvalue()
