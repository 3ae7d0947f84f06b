# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""edge-tts without its service: MP3 of 24 ms for each character. Its own code runs in tests/onnx_cpu."""

from __future__ import annotations

from types import SimpleNamespace

FRAME = b"\xff\xf3\x64\xc4" + bytes(140)


class Communicate:
    def __init__(self, text, voice="en-US-EmmaMultilingualNeural", *, rate="+0%", volume="+0%", pitch="+0Hz",
                 proxy=None):  # fmt: skip
        language, _, name = voice.rpartition("-")
        long_name = f"Microsoft Server Speech Text to Speech Voice ({language}, {name})"
        self.tts_config = SimpleNamespace(voice=long_name)
        self.state = {"chunk_audio_bytes": 0}
        self._text = text

    async def __stream(self):
        if "gone" in self._text:
            raise ConnectionError(self._text)
        for _ in self._text:
            yield {"type": "audio", "data": FRAME}

    async def stream(self):
        async for message in self.__stream():
            yield message

    def stream_sync(self):
        yield from ()
