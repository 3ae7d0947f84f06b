# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any

import numpy as np

from fish_speech.inference_engine.reference_loader import ReferenceLoader
from fish_speech.inference_engine.vq_manager import VQManager
from fish_speech.models.text2semantic.inference import GenerateRequest, GenerateResponse


@dataclass
class InferenceResult:
    code: str
    audio: Any
    error: Exception | None


class TTSInferenceEngine(ReferenceLoader, VQManager):
    def __init__(self, llama_queue, decoder_model, precision, compile):
        super().__init__()
        self.llama_queue, self.decoder_model, self.precision, self.compile = (
            llama_queue, decoder_model, precision, compile
        )  # fmt: skip

    def inference(self, req):
        prompt_tokens, prompt_texts = [], []
        if req.reference_id is not None:
            prompt_tokens, prompt_texts = self.load_by_id(req.reference_id, req.use_memory_cache)
        elif req.references:
            prompt_tokens, prompt_texts = self.load_by_hash(req.references, req.use_memory_cache)
        response_queue = self.send_Llama_request(req, prompt_tokens, prompt_texts)
        sample_rate = self.decoder_model.sample_rate
        if req.streaming:
            yield InferenceResult(code="header", audio=(sample_rate, np.array(b"RIFF")), error=None)
        segments = []
        while True:
            wrapped_result = response_queue.get()
            if wrapped_result.status == "error":
                yield InferenceResult(code="error", audio=None, error=wrapped_result.response)
                break
            result: GenerateResponse = wrapped_result.response
            if result.action == "next":
                break
            segment = self.get_audio_segment(result)
            if req.streaming:
                yield InferenceResult(code="segment", audio=(sample_rate, segment), error=None)
            segments.append(segment)
        if len(segments) == 0:
            yield InferenceResult(code="error", audio=None, error=RuntimeError("No audio generated"))
        else:
            yield InferenceResult(code="final", audio=(sample_rate, np.concatenate(segments, axis=0)), error=None)

    def send_Llama_request(self, req, prompt_tokens, prompt_texts):
        request = {
            "device": self.decoder_model.device, "max_new_tokens": req.max_new_tokens, "text": req.text,
            "top_p": req.top_p, "prompt_tokens": prompt_tokens, "prompt_text": prompt_texts,
        }  # fmt: skip
        response_queue = queue.Queue()
        self.llama_queue.put(GenerateRequest(request=request, response_queue=response_queue))
        return response_queue

    def get_audio_segment(self, result):
        return self.decode_vq_tokens(codes=result.codes)
