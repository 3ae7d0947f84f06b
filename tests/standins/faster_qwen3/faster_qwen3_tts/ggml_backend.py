# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled backend: the same methods, and nothing of Python inside."""

from __future__ import annotations

from .model import decode


class GGMLQwen3TTS:
    @classmethod
    def from_pretrained(cls, model_name):
        return cls()

    def generate_voice_clone(self, text, language, ref_audio=None, ref_text="", max_new_tokens=2048, xvec_only=False,
                             append_silence=True, voice_clone_prompt=None):  # fmt: skip
        return [decode(text)], 24000

    def generate_voice_clone_streaming(self, text, language, ref_audio=None, ref_text="", max_new_tokens=2048,
                                       chunk_size=12, xvec_only=False, append_silence=True,
                                       voice_clone_prompt=None):  # fmt: skip
        yield from self._stream(text)

    def generate_custom_voice(self, text, speaker, language, max_new_tokens=2048):
        return [decode(text)], 24000

    def generate_custom_voice_streaming(self, text, speaker, language, max_new_tokens=2048, chunk_size=12):
        yield from self._stream(text)

    def generate_voice_design(self, text, instruct, language, max_new_tokens=2048):
        return [decode(text)], 24000

    def generate_voice_design_streaming(self, text, instruct, language, max_new_tokens=2048, chunk_size=12):
        yield from self._stream(text)

    def _stream(self, text):
        for word in text.split():
            yield decode(word), 24000, {"is_final": False}
