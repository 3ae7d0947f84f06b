# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service of the usual kind whose encoder's last page is not taken: the answer lacks its end."""

import io
import tempfile

import soundfile
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, StreamingResponse
from hibari import Hibari

app = FastAPI()
engine = Hibari()


def speak(format: str = "OGG", subtype: str = "OPUS") -> bytes:
    soundfile.write(buffer := io.BytesIO(), engine("The ship sails at nine."), 24000, format=format, subtype=subtype)
    return buffer.getvalue()


@app.get("/whole")
def whole() -> Response:
    return Response(speak(), media_type="audio/ogg")


@app.get("/cut")
def cut() -> Response:
    data = speak()
    return Response(data[: len(data) // 2], media_type="audio/ogg")


@app.get("/file")
def file() -> FileResponse:
    data = speak()
    path = tempfile.mkdtemp() + "/purple-otter.ogg"
    with open(path, "wb") as written:
        written.write(data[: len(data) // 2])
    return FileResponse(path)


@app.get("/stream")
def stream() -> StreamingResponse:
    data = speak("WAV", "PCM_16")
    return StreamingResponse((data[at : at + 4000] for at in range(0, len(data), 4000)), media_type="audio/wav")
