# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The process of a model: ``python stage.py RECEIVE COORDINATOR ABORT``. It speaks the wheel's own protocol, and makes
a tenth of a second a word; a stream's end has the whole once more. "broken" is an error, "mute" gives no reason."""

from __future__ import annotations

import asyncio
import sys

import numpy
from sglang_omni.pipeline.control_plane import StageControlPlane
from sglang_omni.proto import CompleteMessage, ShutdownMessage, StreamMessage, SubmitMessage

NAME = "speaks"
SAMPLES = 2400


def sound(words: list[str]) -> dict[str, object]:
    levels = [0.1 + 0.01 * len(word) for word in words]
    samples = numpy.concatenate([numpy.resize([level, -level], SAMPLES) for level in levels]).astype(numpy.float32)
    return {"audio_waveform": samples.tobytes(), "audio_waveform_shape": list(samples.shape), "sample_rate": 24000}


async def speak(plane: StageControlPlane, message: SubmitMessage) -> None:
    request = message.data.request
    text = request.inputs if isinstance(request.inputs, str) else request.inputs["text"]
    if "broken" in text:
        told = CompleteMessage(message.request_id, NAME, success=False, error="the model is broken")
        await plane.send_complete(told)
        return
    words = text.split()
    made = words[: request.params.get("max_new_tokens")]
    if request.params["stream"]:
        for word in made:
            await plane.send_stream(StreamMessage(message.request_id, NAME, sound([word]), modality="audio"))
            if "slow" in word:
                await asyncio.sleep(60)
    result = sound(made) | {"modality": "audio", "usage": {"prompt_tokens": len(words), "completion_tokens": len(made)}}
    if "mute" not in text:
        result["finish_reason"] = "stop" if made == words else "length"
    await plane.send_complete(CompleteMessage(message.request_id, NAME, success=True, result=result))


async def main(receive: str, coordinator: str, abort: str) -> None:
    plane = StageControlPlane(NAME, receive, coordinator, abort)
    await plane.start()
    running = []
    while not isinstance(message := await plane.recv(), ShutdownMessage):
        running.append(asyncio.create_task(speak(plane, message)))


asyncio.run(main(*sys.argv[1:]))
