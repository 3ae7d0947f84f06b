# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service that fails as it is told by the file `mode` beside it: `hang` in a stage, or a `full` device.

Its device is a stand-in: torch's allocator over memory that is none, and NVML in C.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import threading
import wave
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response

import otel_tts
from tests.unit.support.fakecuda import FakeCuda
from tests.unit.support.faketorch import FakeTorch
from tests.unit.support.nvml_stub import Stub

HERE = Path.cwd()
TOTAL = 80 << 30

app = FastAPI()
stub = Stub(HERE / "libnvidia-ml.so.1")
stub.reset(1)
cuda = FakeCuda()
sys.modules["torch"] = torch = FakeTorch(cuda)
empty_cache = torch.cuda.empty_cache


def tell_driver() -> None:
    stub.set(0, total=TOTAL, used=cuda.devs[0].mem.s["reserved_bytes"]["current"])


def empty_and_tell() -> None:
    empty_cache()
    tell_driver()


torch.cuda.empty_cache = empty_and_tell
tell_driver()


def mode() -> str:
    return (HERE / "mode").read_text()


def speech() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / 9))) for n in range(8000)))
    return written.getvalue()


def fill() -> None:
    """Once: an hour of work whose memory the allocator keeps."""
    memory = cuda.devs[0].mem
    if not memory.c["num_device_alloc"]:
        memory.free(memory.alloc(78 << 30))
        tell_driver()
    if memory.s["reserved_bytes"]["current"] > 0.95 * TOTAL:
        raise HTTPException(500)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/speak")
def speak(asked: dict[str, str]) -> Response:
    with otel_tts.synthesis(engine="failing", text=asked["text"]) as synthesis:
        with synthesis.stage("acoustic_model"):
            if mode() == "hang":
                threading.Event().wait()
            if mode() == "full":
                fill()
        audio = speech()
        synthesis.audio(audio[44:], 16000, encoding="pcm16")
        return Response(audio, media_type="audio/wav")
