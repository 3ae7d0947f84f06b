# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The language model's thread fills a list by the request's uuid; `tts` watches it and makes chunks meanwhile."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Generator
from contextlib import nullcontext

import numpy as np

HOP = 4
NOTHING = np.zeros((1, 0))


class CosyVoiceModel:
    def __init__(self, llm, flow, hift):
        self.device = "cpu"
        self.llm, self.flow, self.hift = llm, flow, hift
        self.llm_context = nullcontext()
        self.lock = threading.Lock()
        self.tts_speech_token_dict, self.llm_end_dict, self.hift_cache_dict = {}, {}, {}
        self.threads, self.between_tokens, self.fail_at = [], lambda number: None, None

    def load(self, llm_model, flow_model, hift_model):
        pass

    def llm_job(self, text, prompt_text, llm_prompt_speech_token, llm_embedding, uuid):
        self.threads.append(threading.get_ident())
        with self.llm_context:
            prompts = {
                "prompt_text": prompt_text, "prompt_text_len": 0, "prompt_speech_token": llm_prompt_speech_token,
                "prompt_speech_token_len": 0, "embedding": llm_embedding,
            }  # fmt: skip
            if isinstance(text, Generator):
                tokens = self.llm.inference_bistream(text=text, **prompts)
            else:
                tokens = self.llm.inference(text=text, text_len=text.shape[1], **prompts, uuid=uuid)
            for number, token in enumerate(tokens):
                self.between_tokens(number)
                if number == self.fail_at:
                    raise RuntimeError("out of tokens")
                self.tts_speech_token_dict[uuid].append(int(token))
        self.llm_end_dict[uuid] = True

    def vc_job(self, source_speech_token, uuid):
        self.tts_speech_token_dict[uuid] = source_speech_token.flatten().tolist()
        self.llm_end_dict[uuid] = True

    def token2wav(self, token, prompt_token, prompt_feat, embedding, token_offset, uuid, stream=False, finalize=False,
                  speed=1.0):  # fmt: skip
        mel, _ = self.flow.inference(token=token[:, token_offset:], embedding=embedding, finalize=finalize)
        speech, _ = self.hift.inference(speech_feat=mel)
        return speech

    def tts(self, text=NOTHING, flow_embedding=None, llm_embedding=None, prompt_text=None,
            llm_prompt_speech_token=None, flow_prompt_speech_token=None, prompt_speech_feat=None,
            source_speech_token=NOTHING, stream=False, speed=1.0, **kwargs):  # fmt: skip
        this_uuid = str(uuid.uuid1())
        with self.lock:
            self.tts_speech_token_dict[this_uuid], self.llm_end_dict[this_uuid] = [], False
            self.hift_cache_dict[this_uuid] = None
        if source_speech_token.shape[1] == 0:
            p = threading.Thread(
                target=self.llm_job, args=(text, prompt_text, llm_prompt_speech_token, llm_embedding, this_uuid)
            )
        else:
            p = threading.Thread(target=self.vc_job, args=(source_speech_token, this_uuid))
        p.start()
        offset = 0
        if stream:
            while True:
                time.sleep(0.001)
                if len(self.tts_speech_token_dict[this_uuid]) - offset >= HOP:
                    yield {"tts_speech": self._wave(this_uuid, offset, offset + HOP, flow_embedding, False, speed)}
                    offset += HOP
                if self.llm_end_dict[this_uuid] and len(self.tts_speech_token_dict[this_uuid]) - offset < HOP:
                    break
        p.join()
        yield {"tts_speech": self._wave(this_uuid, offset, None, flow_embedding, True, speed)}
        with self.lock:
            for kept in (self.tts_speech_token_dict, self.llm_end_dict, self.hift_cache_dict):
                kept.pop(this_uuid)

    def _wave(self, this_uuid, offset, until, embedding, finalize, speed):
        tokens = np.array(self.tts_speech_token_dict[this_uuid][:until], np.float32)[None]
        return self.token2wav(token=tokens, prompt_token=None, prompt_feat=None, embedding=embedding,
                              token_offset=offset, uuid=this_uuid, finalize=finalize, speed=speed)  # fmt: skip


class CosyVoice2Model(CosyVoiceModel):
    def token2wav(self, token, prompt_token, prompt_feat, embedding, token_offset, uuid, stream=False, finalize=False,
                  speed=1.0):  # fmt: skip
        mel, _ = self.flow.inference(token=token[:, token_offset:], embedding=embedding, finalize=finalize)
        speech, _ = self.hift.inference(speech_feat=mel, cache_source=None)
        return speech


class CosyVoice3Model(CosyVoice2Model):
    def token2wav(self, token, prompt_token, prompt_feat, embedding, token_offset, uuid, stream=False, finalize=False,
                  speed=1.0):  # fmt: skip
        mel, _ = self.flow.inference(token=token[:, token_offset:], embedding=embedding, finalize=finalize)
        speech, _ = self.hift.inference(speech_feat=mel, finalize=finalize)
        return speech
