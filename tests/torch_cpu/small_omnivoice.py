# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with OmniVoice, small and never trained: ``small_omnivoice.py OUT``."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from omnivoice.models.omnivoice import OmniVoice, OmniVoiceConfig  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    DacFeatureExtractor,
    HiggsAudioV2TokenizerConfig,
    HiggsAudioV2TokenizerModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

TEXT = "Quincebread at dawnfall, whispers."
REFERENCE = "purpleotter-reference.wav"
CODES, BOOKS, HOP, RATE = 32, 2, 960, 24000
WORDS = [
    "<|denoise|>",
    "<|lang_start|>",
    "<|lang_end|>",
    "<|instruct_start|>",
    "<|instruct_end|>",
    "<|text_start|>",
    "<|text_end|>",
    "<|endoftext|>",
]


def text_tokenizer(folder: Path) -> None:
    letters = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(WORDS)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)


def audio_tokenizer(folder: Path) -> None:
    config = HiggsAudioV2TokenizerConfig(
        codebook_size=CODES,
        codebook_dim=8,
        target_bandwidths=[BOOKS * (RATE // HOP) * 5 / 1000],  # five bits a code; the number of codebooks comes from it
        acoustic_model_config={
            "model_type": "dac",
            "encoder_hidden_size": 4,
            "decoder_hidden_size": 32,
            "hidden_size": 16,
            "downsampling_ratios": [8, 5, 4, 6],
            "upsampling_ratios": [8, 5, 4, 6],
        },
        semantic_model_config={
            "model_type": "hubert",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "conv_dim": [8] * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        },
    )
    model = HiggsAudioV2TokenizerModel(config)
    with torch.no_grad():
        for name, buffer in model.named_buffers():  # codebooks are zero until they are trained
            if name.endswith("codebook.embed"):
                buffer.normal_()
        for name, weight in model.named_parameters():  # as loud as speech: of silence nothing is left, see generate
            if name.startswith("acoustic_decoder.") and weight.dim() == 3:
                weight.normal_(std=(0.3 if weight.shape[0] == 1 else 1) * weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    DacFeatureExtractor(sampling_rate=RATE, hop_length=HOP).save_pretrained(folder)


def make(folder: Path) -> str:
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    text_tokenizer(folder)
    llm = Qwen3Config(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
    )
    config = OmniVoiceConfig(
        audio_vocab_size=CODES + 1,
        audio_mask_id=CODES,
        num_audio_codebook=BOOKS,
        audio_codebook_weights=[1] * BOOKS,
        llm_config=llm,
    )
    OmniVoice(config).save_pretrained(folder)
    audio_tokenizer(folder / "audio_tokenizer")
    return str(folder)


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(out: Path) -> None:
    model = OmniVoice.from_pretrained(make(out / "purpleotter-model"))
    soundfile.write(out / REFERENCE, 0.3 * np.sin(np.arange(24000) * 0.06), 24000)
    reference = str(out / REFERENCE)
    few = {"num_step": 2, "duration": 1.0}

    def save(name: str, *given: Any, **options: Any) -> None:
        torch.manual_seed(2)
        np.save(out / f"{name}.npy", np.concatenate(model.generate(*given, **few | options)))

    save("auto", TEXT, language="English")
    save("batch", [TEXT, "Dawnfall."], language="de")
    save("design", TEXT, instruct="female, whisper")
    clone = {"ref_text": "Quincebread whispers."}
    save("clone", TEXT, ref_audio=reference, **clone)
    save("prompt", TEXT, voice_clone_prompt=model.create_voice_clone_prompt(reference, **clone))
    save("chunks", "Quincebread at dawnfall. " * 8, duration=6.0, audio_chunk_threshold=3.0, audio_chunk_duration=2.0)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda text: len(model.generate(text, **few)), ("One.", ["Two.", "Three."])))
    seen = {
        "ours_first": ours_first,
        "both": both,
        "missing": refusal(lambda: model.generate(TEXT, ref_audio=str(out / "whispers.wav"), **clone, **few)),
        "instruct": refusal(lambda: model.generate(TEXT, instruct="purpleotter", **few)),
    }

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory; quincebread")

    model.audio_tokenizer.decode = exhaust
    seen["memory"] = refusal(lambda: model.generate(TEXT, **few))
    print(json.dumps(seen))


main(Path(sys.argv[1]))
