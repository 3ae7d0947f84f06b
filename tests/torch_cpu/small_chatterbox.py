# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with Chatterbox, its turbo and its multilingual model, small and never trained:
``small_chatterbox.py OUT``.

T3 takes its sizes from a table of the package by name, in which a line is added; S3Gen has its in its constructor, so a
subclass makes the same parts smaller and inherits every method. The end's token is a likely one. The multilingual model
looks at attention heads of layers 9, 12 and 13, and has its tokenizer without the Chinese table, which is on a hub.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from chatterbox.models.s3gen.configs import CFM_PARAMS  # noqa: E402
from chatterbox.models.s3gen.const import S3GEN_SR  # noqa: E402
from chatterbox.models.s3gen.decoder import ConditionalDecoder  # noqa: E402
from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor  # noqa: E402
from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec  # noqa: E402
from chatterbox.models.s3gen.flow_matching import CausalConditionalCFM  # noqa: E402
from chatterbox.models.s3gen.hifigan import HiFTGenerator  # noqa: E402
from chatterbox.models.s3gen.s3gen import S3Token2Wav  # noqa: E402
from chatterbox.models.s3gen.transformer.upsample_encoder import UpsampleConformerEncoder  # noqa: E402
from chatterbox.models.s3gen.utils.mel import mel_spectrogram  # noqa: E402
from chatterbox.models.s3gen.xvector import CAMPPlus  # noqa: E402
from chatterbox.models.s3tokenizer import S3Tokenizer  # noqa: E402
from chatterbox.models.t3 import T3  # noqa: E402
from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS  # noqa: E402
from chatterbox.models.t3.modules.t3_config import T3Config  # noqa: E402
from chatterbox.models.tokenizers import EnTokenizer, MTLTokenizer  # noqa: E402
from chatterbox.models.voice_encoder import VoiceEncoder  # noqa: E402
from chatterbox.mtl_tts import ChatterboxMultilingualTTS  # noqa: E402
from chatterbox.tts import ChatterboxTTS  # noqa: E402
from chatterbox.tts_turbo import ChatterboxTurboTTS  # noqa: E402
from s3tokenizer.model_v2 import ModelConfig  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

TEXT = "Quincebread at dawnfall, whispers."
REFERENCE = "purpleotter-reference.wav"
LIKELY = 30
"""Speech tokens that are said at all."""


class SmallS3Gen(S3Token2Wav):
    def __init__(self, meanflow: bool = False) -> None:
        torch.nn.Module.__init__(self)
        self.meanflow = meanflow
        self.tokenizer = S3Tokenizer(
            "speech_tokenizer_v2_25hz", ModelConfig(n_audio_state=64, n_audio_head=1, n_audio_layer=1)
        )
        self.mel_extractor = mel_spectrogram
        self.speaker_encoder = CAMPPlus(memory_efficient=False, growth_rate=2, init_channels=8)
        encoder = UpsampleConformerEncoder(
            input_size=512,
            output_size=512,
            attention_heads=2,
            linear_units=32,
            num_blocks=1,
            dropout_rate=0.1,
            positional_dropout_rate=0.1,
            attention_dropout_rate=0.1,
            normalize_before=True,
            input_layer="linear",
            pos_enc_layer_type="rel_pos_espnet",
            selfattention_layer_type="rel_selfattn",
            use_cnn_module=False,
            macaron_style=False,
        )
        estimator = ConditionalDecoder(
            in_channels=320,
            out_channels=80,
            causal=True,
            channels=[16],
            dropout=0.0,
            attention_head_dim=8,
            n_blocks=1,
            num_mid_blocks=1,
            num_heads=2,
            act_fn="gelu",
            meanflow=meanflow,
        )
        decoder = CausalConditionalCFM(spk_emb_dim=80, cfm_params=CFM_PARAMS, estimator=estimator)
        self.flow = CausalMaskedDiffWithXvec(encoder=encoder, decoder=decoder)
        self.resamplers = {}
        self.mel2wav = HiFTGenerator(
            base_channels=16,
            sampling_rate=S3GEN_SR,
            upsample_rates=[8, 5, 3],
            upsample_kernel_sizes=[16, 11, 7],
            source_resblock_kernel_sizes=[7, 7, 11],
            source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
            f0_predictor=ConvRNNF0Predictor(cond_channels=16),
        )
        self.register_buffer("trim_fade", torch.ones(2 * (S3GEN_SR // 50)), persistent=False)
        self.estimator_dtype = "fp32"


def text_tokenizer(folder: Path) -> EnTokenizer:
    words = ["[STOP]", "[UNK]", "[SPACE]", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-"]
    words += [f"[{i}]" for i in range(len(words), 255)] + ["[START]"]  # whose number is fixed
    vocab = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[START]", "[STOP]", "[UNK]", "[SPACE]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return EnTokenizer(str(folder / "tokenizer.json"))


def small_t3() -> T3:
    LLAMA_CONFIGS["otel_tts_small"] = {
        "vocab_size": 8,
        "max_position_embeddings": 8192,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "attn_implementation": "eager",
        "model_type": "llama",
        "use_cache": True,
    }
    hp = T3Config.english_only()
    hp.llama_config_name = "otel_tts_small"
    hp.use_perceiver_resampler = False  # its width, 1024, is in its code
    hp.speech_cond_prompt_len = 20
    return with_likely_tokens(T3(hp), hp.stop_speech_token)


def small_multilingual_t3() -> T3:
    LLAMA_CONFIGS["otel_tts_small_deep"] = LLAMA_CONFIGS["otel_tts_small"] | {
        "hidden_size": 64, "num_hidden_layers": 14, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 4,
    }  # fmt: skip
    hp = T3Config.multilingual()
    hp.llama_config_name = "otel_tts_small_deep"
    hp.use_perceiver_resampler = False
    hp.speech_cond_prompt_len = 20
    return with_likely_tokens(T3(hp), hp.stop_speech_token)


def with_likely_tokens(t3: T3, end: int) -> T3:
    with torch.no_grad():
        t3.speech_emb.weight[:, 0] = 10  # a direction that all states have, and by which the likely tokens are chosen
        t3.speech_head.weight[:, 0] = -2
        t3.speech_head.weight[:LIKELY, 0] = 2
        t3.speech_head.weight[end, 0] = 1.7
    return t3


def small_turbo_t3(words: int) -> T3:
    LLAMA_CONFIGS["otel_tts_small_gpt"] = {
        "model_type": "gpt2",
        "n_embd": 32,
        "hidden_size": 32,
        "n_head": 2,
        "n_layer": 1,
        "n_positions": 4096,
        "n_ctx": 4096,
        "vocab_size": words,
        "activation_function": "gelu_new",
    }
    hp = T3Config(text_tokens_dict_size=words)
    hp.llama_config_name = "otel_tts_small_gpt"
    hp.speech_tokens_dict_size = 6563
    hp.input_pos_emb = None
    hp.speech_cond_prompt_len = 20
    hp.use_perceiver_resampler = False
    hp.emotion_adv = False
    t3 = T3(hp)
    with torch.no_grad():
        t3.speech_head.weight.mul_(0.1)
        t3.speech_head.bias.fill_(-10)
        t3.speech_head.bias[:LIKELY] = 10
        t3.speech_head.bias[hp.stop_speech_token] = 10.1  # top_p comes before the penalty
    del t3.tfmr.wte
    return t3


def make_turbo() -> ChatterboxTurboTTS:
    torch.manual_seed(1)
    vocab = {letter: i for i, letter in enumerate(["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    return ChatterboxTurboTTS(
        small_turbo_t3(len(vocab)).eval(), SmallS3Gen(meanflow=True).eval(), VoiceEncoder().eval(), words, "cpu"
    )


def make(folder: Path) -> ChatterboxTTS:
    torch.manual_seed(1)
    return ChatterboxTTS(small_t3().eval(), SmallS3Gen().eval(), VoiceEncoder().eval(), text_tokenizer(folder), "cpu")


def make_multilingual(folder: Path) -> ChatterboxMultilingualTTS:
    torch.manual_seed(1)
    tokenizer = MTLTokenizer.__new__(MTLTokenizer)
    tokenizer.tokenizer = text_tokenizer(folder).tokenizer
    return ChatterboxMultilingualTTS(
        small_multilingual_t3().eval(), SmallS3Gen().eval(), VoiceEncoder().eval(), tokenizer, "cpu"
    )


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(out: Path) -> None:
    soundfile.write(out / REFERENCE, 0.1 * np.sin(np.arange(24000 * 6) * 0.06), 24000)
    reference = str(out / REFERENCE)
    model, turbo = make(out), make_turbo()

    def save(name: str, call: Any) -> None:
        torch.manual_seed(3)
        np.save(out / f"{name}.npy", call().numpy()[0])

    unready = refusal(lambda: model.generate(TEXT))
    save("cloned", lambda: model.generate(TEXT, audio_prompt_path=reference))
    save("again", lambda: model.generate(TEXT))
    save("turbo", lambda: turbo.generate(TEXT, audio_prompt_path=reference))
    turbo.t3.inference_turbo = functools.partial(turbo.t3.inference_turbo, max_gen_len=2)  # 1000, else: half a minute
    save("limit", lambda: turbo.generate(TEXT))

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory; quincebread")

    turbo.s3gen.mel2wav.inference = exhaust
    memory = refusal(lambda: turbo.generate(TEXT))
    many = make_multilingual(out)
    save("many", lambda: many.generate(TEXT, "fr", audio_prompt_path=reference))
    strange = refusal(lambda: many.generate(TEXT, "tlh"))
    seen = {"ours_first": ours_first, "unready": unready, "memory": memory, "strange": strange}
    print(json.dumps(seen))


main(Path(sys.argv[1]))
