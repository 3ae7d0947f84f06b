# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""NeuTTS: classes, kinds of callables and order of calls are the package's, what is computed is not.

`gguf` stands for llama.cpp as the backbone, which alone can stream; "Mute" has no codes, and `stops` none for the end.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np

CODE = re.compile(r"<\|speech_(\d+)\|>")
END = "<|SPEECH_GENERATION_END|>"


class NeuTTS:
    def __init__(self, backbone_repo="neuphonic/neutts-nano", backbone_device="cpu", codec_repo="neuphonic/neucodec",
                 codec_device="cpu", language=None, seed=None):  # fmt: skip
        self.sample_rate, self.max_context, self.hop_length = 24_000, 2048, 480
        self.streaming_frames_per_chunk = 25
        self._is_quantized_model = backbone_repo.endswith("gguf")
        self.backbone = SimpleNamespace() if self._is_quantized_model else SimpleNamespace(device=backbone_device)
        self.stops = True

    def infer(self, text, ref_codes, ref_text, emotion=None, temperature=1.0, top_k=50):
        if self._is_quantized_model:
            made = self._infer_ggml(ref_codes, ref_text, text, emotion, temperature, top_k)
        else:
            made = self._infer_torch(self._apply_chat_template(ref_codes, ref_text, text, emotion), temperature, top_k)
        return self._decode(made)

    def infer_stream(self, text, ref_codes, ref_text, emotion=None, temperature=1.0, top_k=50):
        if self._is_quantized_model:
            return self._infer_stream_ggml(ref_codes, ref_text, text, emotion, temperature, top_k)
        raise NotImplementedError("only with llama.cpp")

    def encode_reference(self, ref_audio_path):
        return np.arange(100)

    def _to_phones(self, text):
        return text.lower()

    def _apply_chat_template(self, ref_codes, ref_text, input_text, emotion=None):
        return [*f"{self._to_phones(ref_text)} {self._to_phones(input_text)}", *ref_codes]

    def _infer_torch(self, prompt_ids, temperature=1.0, top_k=50):
        room = self.max_context - len(prompt_ids)
        codes = self._codes(prompt_ids, room)
        return "".join(codes) + (END if len(codes) < room else "")

    def _infer_ggml(self, ref_codes, ref_text, input_text, emotion=None, temperature=1.0, top_k=50):
        prompt = [*f"{self._to_phones(ref_text)} {self._to_phones(input_text)}"]
        return "".join(self._codes(prompt, self.max_context))

    def _infer_stream_ggml(self, ref_codes, ref_text, input_text, emotion=None, temperature=1.0, top_k=50):
        codes = CODE.findall(self._infer_ggml(ref_codes, ref_text, input_text))
        for i in range(0, len(codes), self.streaming_frames_per_chunk):
            some = codes[i : i + self.streaming_frames_per_chunk]
            yield self._decode("".join(f"<|speech_{code}|>" for code in some))

    def _codes(self, prompt, room):
        """Three for each character and reference code, or all that there is room for."""
        if "".join(str(part) for part in prompt).endswith("mute"):
            return []
        count = min(3 * len(prompt), room) if self.stops else room
        return [f"<|speech_{number}|>" for number in range(count)]

    def _decode(self, codes):
        found = CODE.findall(codes)
        if not found:
            raise ValueError("no codes")
        return np.resize([0.2, -0.2], self.hop_length * len(found)).astype(np.float32)
