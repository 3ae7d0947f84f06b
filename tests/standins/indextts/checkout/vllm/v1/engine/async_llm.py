# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM's asynchronous engine, as far as index-tts-vllm asks it: what is generated comes word by word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class SamplingParams:
    max_tokens: int = 16


@dataclass
class CompletionOutput:
    token_ids: list
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    outputs: list


class AsyncLLM:
    async def generate(self, prompt, sampling_params, request_id):
        wanted = prompt["prompt_token_ids"]
        if wanted and wanted[0] < 0:
            raise RuntimeError("EngineDeadError: purpleotter")
        for made in range(1, min(len(wanted), sampling_params.max_tokens) + 1):
            await asyncio.sleep(0)
            last = made == len(wanted) or made == sampling_params.max_tokens
            reason = ("stop" if made == len(wanted) else "length") if last else None
            yield RequestOutput([CompletionOutput(wanted[:made], reason)])
