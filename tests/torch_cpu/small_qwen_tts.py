# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with Qwen3-TTS, small and never trained: ``small_qwen_tts.py OUT``."""

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
from qwen_tts import Qwen3TTSModel  # noqa: E402
from qwen_tts.core.models.configuration_qwen3_tts import Qwen3TTSConfig  # noqa: E402
from qwen_tts.core.models.modeling_qwen3_tts import Qwen3TTSForConditionalGeneration  # noqa: E402
from qwen_tts.core.tokenizer_12hz.configuration_qwen3_tts_tokenizer_v2 import Qwen3TTSTokenizerV2Config  # noqa: E402
from qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2 import Qwen3TTSTokenizerV2Model  # noqa: E402
from tokenizers import pre_tokenizers  # noqa: E402
from transformers import EncodecFeatureExtractor, Qwen2Tokenizer, Qwen2TokenizerFast  # noqa: E402

TEXT = "Quincebread at dawnfall, whispers."
REFERENCE = "purpleotter-reference.wav"
CODES = 32  # entries of each codebook
GROUPS = 2  # codebooks
HIDDEN = 32
SPEAKER = {
    "enc_dim": HIDDEN,
    "enc_channels": [8, 8, 8, 8, 24],
    "enc_attention_channels": 8,
    "enc_res2net_scale": 2,
    "enc_se_channels": 8,
}
WORDS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_bos>", "<tts_eos>", "assistant", "user"]


def text_tokenizer(folder: Path) -> dict[str, int]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    slow = Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    slow.add_tokens(WORDS, special_tokens=True)
    slow.save_pretrained(folder)
    Qwen2TokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return {word: slow.convert_tokens_to_ids(word) for word in WORDS}


def speech_tokenizer(folder: Path) -> None:
    config = Qwen3TTSTokenizerV2Config(
        encoder_config={
            "hidden_size": 16,
            "num_filters": 4,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 16,
            "codebook_size": CODES,
            "codebook_dim": 8,
            "vector_quantization_hidden_dimension": 8,
            "num_quantizers": GROUPS,
            "num_semantic_quantizers": 1,
            "upsample_groups": 16,
            "sliding_window": 32,
        },
        decoder_config={
            "codebook_size": CODES,
            "codebook_dim": 16,
            "hidden_size": 16,
            "latent_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 16,
            "num_quantizers": GROUPS,
            "decoder_dim": 32,
            "sliding_window": 32,
        },
        encoder_valid_num_quantizers=GROUPS,
    )
    model = Qwen3TTSTokenizerV2Model(config)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("embedding_sum", "embed_sum")):  # codebooks are zero until they are trained
                tensor.normal_()
            elif name.startswith("decoder.") and tensor.dim() == 3:
                tensor.normal_(std=(0.05 if tensor.shape[0] == 1 else 1) * tensor[0].numel() ** -0.5)
    model.save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=1, sampling_rate=24000).save_pretrained(folder)


def make(folder: Path, kind: str) -> Path:
    """Write a checkpoint of `kind`: ``base`` (it clones), ``custom_voice`` or ``voice_design``."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    ids = text_tokenizer(folder)
    first = CODES  # the talker's own tokens follow the codes; its last 1024 are never sampled, but for the end
    config = Qwen3TTSConfig(
        tokenizer_type="qwen3_tts_tokenizer_12hz",
        tts_model_size="1b7",
        tts_model_type=kind,
        im_start_token_id=ids["<|im_start|>"],
        im_end_token_id=ids["<|im_end|>"],
        tts_pad_token_id=ids["<tts_pad>"],
        tts_bos_token_id=ids["<tts_bos>"],
        tts_eos_token_id=ids["<tts_eos>"],
        talker_config={
            "vocab_size": CODES + 1024,
            "hidden_size": HIDDEN,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "num_code_groups": GROUPS,
            "text_hidden_size": 24,
            "text_vocab_size": 512,
            "max_position_embeddings": 4096,
            "rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3], "interleaved": True},
            "codec_eos_token_id": first,
            "codec_pad_id": first + 1,
            "codec_bos_id": first + 2,
            "codec_think_id": first + 3,
            "codec_nothink_id": first + 4,
            "codec_think_bos_id": first + 5,
            "codec_think_eos_id": first + 6,
            "codec_language_id": {"english": first + 7, "chinese": first + 8},
            "spk_id": {"vivian": first + 9, "purpleotter": first + 10},
            "spk_is_dialect": {"vivian": False, "purpleotter": False},
            "pad_token_id": None,
            "code_predictor_config": {
                "vocab_size": CODES,
                "hidden_size": HIDDEN,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "head_dim": 16,
                "num_code_groups": GROUPS,
                "max_position_embeddings": 64,
            },
        },
        speaker_encoder_config=SPEAKER,
    )
    Qwen3TTSForConditionalGeneration(config).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())  # this class takes no **kwargs: its own keys only
    saved["speaker_encoder_config"] = {**SPEAKER, "sample_rate": 24000}
    (folder / "config.json").write_text(json.dumps(saved))
    speech_tokenizer(folder / "speech_tokenizer")
    (folder / "generation_config.json").write_text(json.dumps({"max_new_tokens": 40, "do_sample": True}))
    return folder


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(out: Path) -> None:
    kinds = ("custom_voice", "voice_design", "base")
    own, design, base = (Qwen3TTSModel.from_pretrained(str(make(out / f"purpleotter-{kind}", kind))) for kind in kinds)
    soundfile.write(out / REFERENCE, 0.1 * np.sin(np.arange(24000) * 0.06), 24000)
    reference = str(out / REFERENCE)

    def save(name: str, call: Any) -> None:
        torch.manual_seed(2)
        waves, rate = call()
        assert rate == 24000
        np.save(out / f"{name}.npy", np.concatenate(waves))

    save("preset", lambda: own.generate_custom_voice(TEXT, "Vivian", language="English"))
    save("limit", lambda: own.generate_custom_voice(TEXT, "purpleotter", max_new_tokens=5))
    save("batch", lambda: own.generate_custom_voice([TEXT, "Dawnfall."], ["vivian", "purpleotter"], "Chinese"))
    save("design", lambda: design.generate_voice_design(TEXT, "A purpleotter that whispers", "english"))
    clone = {"ref_text": "Quincebread whispers."}
    save("clone", lambda: base.generate_voice_clone(TEXT, "english", reference, **clone))
    samples = 0.1 * np.sin(np.arange(12000) * 0.06).astype(np.float32)
    save("samples", lambda: base.generate_voice_clone(TEXT, ref_audio=(samples, 24000), x_vector_only_mode=True))
    prompt = base.create_voice_clone_prompt(reference, **clone)
    save("prompt", lambda: base.generate_voice_clone(TEXT, voice_clone_prompt=prompt))
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda most: own.generate_custom_voice(TEXT, "vivian", max_new_tokens=most), (6, 9)))
    save("empty", lambda: own.generate_custom_voice("", "vivian", max_new_tokens=6))
    seen = {
        "ours_first": ours_first,
        "both": len(both),
        "kind": refusal(lambda: own.generate_voice_design(TEXT, "purpleotter")),
        "nobody": refusal(lambda: own.generate_custom_voice(TEXT, "quincebread")),
        "missing": refusal(lambda: base.generate_voice_clone(TEXT, ref_audio=str(out / "whispers.wav"))),
    }

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB; quincebread")

    own.model.speech_tokenizer.model.decode = exhaust
    seen["memory"] = refusal(lambda: own.generate_custom_voice(TEXT, "vivian", max_new_tokens=6))
    print(json.dumps(seen))


main(Path(sys.argv[1]))
