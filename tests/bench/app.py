# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""hibari behind FastAPI, the same for every kind of server that is compared. Nothing in here knows of telemetry."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from fastapi.responses import Response
from hibari import Hibari
from pydantic import BaseModel

app = FastAPI()
voice = Hibari(voice="heart")


class Speech(BaseModel):
    input: str


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/audio/speech")
def speak(speech: Speech) -> Response:
    samples = np.clip(voice(speech.input), -1.0, 1.0) * 32767.0
    return Response(samples.astype("<i2").tobytes(), media_type="audio/pcm")
