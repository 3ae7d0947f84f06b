# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The language model in its thread: the order of calls is the checkout's, what is computed is not."""

from __future__ import annotations

import queue
import re
import threading
from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from fish_speech.conversation import Conversation

CODEBOOKS = 10


def generate(*, model, prompt, max_new_tokens, audio_masks, audio_parts, decode_one_token, num_samples=1,
             **sampling_kwargs):  # fmt: skip
    T = prompt.shape[1]
    if model.config.max_seq_len <= T:
        raise ValueError(f"Input sequence length {T} exceeds max_seq_len {model.config.max_seq_len}")
    if max_new_tokens:
        if T + max_new_tokens > model.config.max_seq_len:
            max_new_tokens = model.config.max_seq_len - T
    else:
        max_new_tokens = model.config.max_seq_len - T
    made = min(model.wants, max_new_tokens)
    return np.concatenate([prompt, np.ones((CODEBOOKS + 1, made), np.int64)], axis=1)


def init_model(checkpoint_path, device, precision, compile=False):
    return SimpleNamespace(
        config=SimpleNamespace(max_seq_len=256, num_codebooks=CODEBOOKS), wants=8, tokenizer=None
    ), None


@dataclass
class GenerateResponse:
    action: str
    codes: Any = None
    text: str | None = None


def split_text_by_speaker(text):
    return [turn for turn in re.split(r"(?=<\|speaker:\d+\|>)", text) if turn.startswith("<|speaker:")]


def generate_long(*, model, device, decode_one_token, text, num_samples=1, max_new_tokens=0, top_p=0.9, top_k=30,
                  repetition_penalty=1.1, temperature=1.0, compile=False, iterative_prompt=True, chunk_length=512,
                  prompt_text=None, prompt_tokens=None):  # fmt: skip
    assert 0 < top_p <= 1, "top_p must be in (0, 1]"
    base_conversation = Conversation()
    base_conversation.append("convert the provided text to speech")
    for _ in range(num_samples):
        conversation = deepcopy(base_conversation)
        for batch_text in split_text_by_speaker(text) or [text]:
            conversation.append(batch_text)
            encoded, audio_masks, audio_parts = conversation.encode_for_inference(model.tokenizer, CODEBOOKS)
            y = generate(
                model=model, prompt=encoded, max_new_tokens=max_new_tokens, audio_masks=audio_masks,
                audio_parts=audio_parts, decode_one_token=decode_one_token,
            )  # fmt: skip
            codes = y[1:, encoded.shape[1] : -1]
            if codes.shape[1]:
                yield GenerateResponse(action="sample", codes=codes, text=batch_text)
        yield GenerateResponse(action="next")


@dataclass
class WrappedGenerateResponse:
    status: str
    response: Any = None


@dataclass
class GenerateRequest:
    request: dict
    response_queue: queue.Queue


def launch_thread_safe_queue(checkpoint_path, device, precision, compile=False):
    input_queue = queue.Queue()
    init_event = threading.Event()

    def worker():
        model, decode_one_token = init_model(checkpoint_path, device, precision, compile=compile)
        input_queue.model = model
        init_event.set()
        while True:
            item = input_queue.get()
            if item is None:
                break
            kwargs = item.request
            response_queue = item.response_queue
            try:
                for chunk in generate_long(model=model, decode_one_token=decode_one_token, **kwargs):
                    response_queue.put(WrappedGenerateResponse(status="success", response=chunk))
            except Exception as e:
                response_queue.put(WrappedGenerateResponse(status="error", response=e))

    threading.Thread(target=worker, daemon=True).start()
    init_event.wait()
    return input_queue
