# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A pipeline of pipecat whose engine is in its process: says what it is told and ends. Its tracing is on or off."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

import numpy as np
from pipecat.frames.frames import EndFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.worker import PipelineWorker
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.tracing.service_decorators import traced_tts

import otel_tts


@otel_tts.synthesis("sparrow", text_argument="text", sample_rate=24000)
def say(text: str) -> np.ndarray:
    return np.sin(np.arange(240 * len(text)) * 0.1).astype(np.float32) / 3


class Speech(TTSService):
    def __init__(self) -> None:
        settings = TTSSettings(model="sparrow", voice=None, language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, sample_rate=24000, settings=settings)

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        samples = await asyncio.to_thread(say, text)
        audio = (samples * 32767).astype(np.int16).tobytes()
        yield TTSAudioRawFrame(audio, 24000, 1, context_id=context_id)


async def main(traced: bool) -> None:
    worker = PipelineWorker(Pipeline([Speech()]), enable_tracing=traced)
    await worker.queue_frames([TTSSpeakFrame("The purple otter sleeps."), TTSSpeakFrame("It wakes."), EndFrame()])
    await PipelineRunner(handle_sigint=False).run(worker)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] == "traced"))
