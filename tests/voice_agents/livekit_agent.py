# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A session of livekit-agents without a room, whose engine is in its process: says one sentence and ends."""

from __future__ import annotations

import asyncio

import numpy as np
from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, AgentSession, tts
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

import otel_tts


@otel_tts.synthesis("sparrow", text_argument="text", sample_rate=24000)
def say(text: str) -> np.ndarray:
    return np.sin(np.arange(240 * len(text)) * 0.1).astype(np.float32) / 3


class Speech(tts.TTS):
    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24000, num_channels=1)

    def synthesize(self, text: str, *, conn_options: object = None) -> tts.ChunkedStream:
        return Spoken(tts=self, input_text=text, conn_options=DEFAULT_API_CONNECT_OPTIONS)


class Spoken(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id="r", sample_rate=24000, num_channels=1, mime_type="audio/pcm")
        samples = await asyncio.to_thread(say, self.input_text)
        output_emitter.push((samples * 32767).astype(np.int16).tobytes())
        output_emitter.flush()


class Heard(AudioOutput):
    """Plays at once."""

    def __init__(self) -> None:
        super().__init__(label="heard", capabilities=AudioOutputCapabilities(pause=False), sample_rate=24000)
        self._seconds = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._seconds:
            self.on_playback_finished(playback_position=self._seconds, interrupted=False)
            self._seconds = 0.0

    def clear_buffer(self) -> None:
        self._seconds = 0.0


async def main() -> None:
    session = AgentSession(tts=Speech())
    session.output.audio = Heard()
    await session.start(Agent(instructions=""))
    await session.say("The purple otter sleeps.")
    await session.aclose()


if __name__ == "__main__":
    asyncio.run(main())
