# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CosyVoice 1, 2 and 3: classes, generators and order of calls are upstream's, what is computed is not."""

from __future__ import annotations

from cosyvoice.cli.frontend import CosyVoiceFrontEnd
from cosyvoice.cli.model import CosyVoice2Model, CosyVoice3Model, CosyVoiceModel
from cosyvoice.flow.flow import CausalMaskedDiffWithDiT, CausalMaskedDiffWithXvec, MaskedDiffWithXvec
from cosyvoice.hifigan.generator import CausalHiFTGenerator, HiFTGenerator
from cosyvoice.llm.llm import CosyVoice3LM, Qwen2LM, TransformerLM


class CosyVoice:
    def __init__(self, model_dir):
        self.model_dir = model_dir
        self.frontend = CosyVoiceFrontEnd()
        self.sample_rate = 22050
        self.model = CosyVoiceModel(TransformerLM(), MaskedDiffWithXvec(), HiFTGenerator())

    def inference_sft(self, tts_text, spk_id, stream=False, speed=1.0, text_frontend=True):
        for part in self.frontend.text_normalize(tts_text, split=True, text_frontend=text_frontend):
            model_input = self.frontend.frontend_sft(part, spk_id)
            yield from self.model.tts(**model_input, stream=stream, speed=speed)

    def inference_zero_shot(self, tts_text, prompt_text, prompt_wav, zero_shot_spk_id="", stream=False, speed=1.0,
                            text_frontend=True):  # fmt: skip
        prompt_text = self.frontend.text_normalize(prompt_text, split=False, text_frontend=text_frontend)
        for part in self.frontend.text_normalize(tts_text, split=True, text_frontend=text_frontend):
            model_input = self.frontend.frontend_zero_shot(
                part, prompt_text, prompt_wav, self.sample_rate, zero_shot_spk_id
            )
            yield from self.model.tts(**model_input, stream=stream, speed=speed)

    def inference_cross_lingual(self, tts_text, prompt_wav, zero_shot_spk_id="", stream=False, speed=1.0,
                                text_frontend=True):  # fmt: skip
        yield from self.inference_zero_shot(tts_text, "", prompt_wav, zero_shot_spk_id, stream, speed, text_frontend)

    def inference_instruct(self, tts_text, spk_id, instruct_text, stream=False, speed=1.0, text_frontend=True):
        yield from self.inference_sft(tts_text, spk_id, stream, speed, text_frontend)

    def inference_vc(self, source_wav, prompt_wav, stream=False, speed=1.0):
        model_input = self.frontend.frontend_vc(source_wav, prompt_wav, self.sample_rate)
        yield from self.model.tts(**model_input, stream=stream, speed=speed)


class CosyVoice2(CosyVoice):
    def __init__(self, model_dir):
        self.model_dir = model_dir
        self.frontend = CosyVoiceFrontEnd()
        self.sample_rate = 24000
        self.model = CosyVoice2Model(Qwen2LM(), CausalMaskedDiffWithXvec(), HiFTGenerator())

    def inference_instruct2(self, tts_text, instruct_text, prompt_wav, zero_shot_spk_id="", stream=False, speed=1.0,
                            text_frontend=True):  # fmt: skip
        for part in self.frontend.text_normalize(tts_text, split=True, text_frontend=text_frontend):
            model_input = self.frontend.frontend_zero_shot(
                part, instruct_text, prompt_wav, self.sample_rate, zero_shot_spk_id
            )
            yield from self.model.tts(**model_input, stream=stream, speed=speed)


class CosyVoice3(CosyVoice2):
    def __init__(self, model_dir):
        self.model_dir = model_dir
        self.frontend = CosyVoiceFrontEnd()
        self.sample_rate = 24000
        self.model = CosyVoice3Model(CosyVoice3LM(), CausalMaskedDiffWithDiT(), CausalHiFTGenerator())
