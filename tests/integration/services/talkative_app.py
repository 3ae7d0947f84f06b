# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A service that says the user's sentence everywhere it can: what must not leave by our exporters is all here."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

from fastapi import FastAPI, Request
from hibari import Hibari
from opentelemetry import metrics, trace

import otel_tts

app = FastAPI()
tts = Hibari()
log = logging.getLogger("talkative")
tracer, meter = trace.get_tracer("talkative"), metrics.get_meter("talkative")
counted = meter.create_counter("said")


class NamedError(RuntimeError):
    pass


@app.get("/speak/{said}")
def speak(said: str, request: Request) -> dict[str, int]:
    log.warning("I say %s", said, extra={"text": said, said: 1})
    logging.getLogger(said).error("by that logger")
    counted.add(1, {"text": said, said: said})
    with tracer.start_as_current_span(f"say {said}", attributes={"said": said, "http.route": said, said: 1}) as span:
        span.add_event(said, {"text": said})
        span.set_status(trace.StatusCode.ERROR, said)
        span.record_exception(NamedError(said))
        trace.get_current_span().set_attribute("tts.emotion.mode", said)
        samples = tts(said)
    return {"samples": len(samples)}


@app.get("/own/{said}")
def own(said: str) -> dict[str, int]:
    """The public way, used as carelessly as possible."""
    Path("references").mkdir(exist_ok=True)
    voice = Path("references") / f"{said}.wav"
    voice.write_bytes(b"RIFF")
    with otel_tts.synthesis(
        said, engine=said, text=said, voice=str(voice), language=said, request_id=said
    ) as synthesis:
        synthesis.set(voice_source="reference", emotion=said, format=said, **{said: said})
        synthesis.add_event(said, {"text": said})
        with otel_tts.stage(said, text=said) as stage:
            stage.set_attribute("tts.stage", said)
            stage.record_exception(NamedError(said))
        subprocess.run(["ffmpeg", "-metadata", f"title={said}", "-i", f"{said}.wav"], capture_output=True, check=False)
        synthesis.audio(tts(said), 24000)
    return {}


@app.get("/fail/{said}")
def fail(said: str) -> None:
    with otel_tts.synthesis("m", text=said), otel_tts.stage("vocoder"):
        raise NamedError(said)


@app.get("/broken/{said}")
def broken(said: str) -> None:
    tts(said, speed=said)
