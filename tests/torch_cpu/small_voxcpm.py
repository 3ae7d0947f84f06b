# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with VoxCPM 1 and 2, small and never trained: ``small_voxcpm.py OUT``."""

from __future__ import annotations

import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402
from voxcpm import VoxCPM  # noqa: E402

TEXT = "Quincebread at dawnfall, whispers."
REFERENCE = "purpleotter-reference.wav"
PATCH, FEATURES, HIDDEN = 2, 8, 32


def text_tokenizer(folder: Path) -> None:
    vocab = {f"<extra_{i}>": i for i in range(110)}  # 101 to 104 are the engine's own marks
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[letter] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<extra_0>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<extra_1>", eos_token="<extra_2>", unk_token="<extra_0>"
    ).save_pretrained(folder)


def settings(version: int) -> dict[str, Any]:
    block = {"hidden_dim": HIDDEN, "ffn_dim": 32, "num_heads": 2, "num_layers": 1, "kv_channels": 16}
    vae = {
        "encoder_dim": 4,
        "encoder_rates": [2, 5, 8, 8],
        "latent_dim": FEATURES,
        "decoder_dim": 64,
        "decoder_rates": [8, 6, 5, 2, 2, 2] if version == 2 else [8, 8, 5, 2],
        "sample_rate": 16000,
    }
    if version == 2:
        vae |= {"out_sample_rate": 48000, "cond_dim": 8}
    return {
        "architecture": "voxcpm2" if version == 2 else "voxcpm",
        "lm_config": {
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_size": HIDDEN,
            "intermediate_size": 32,
            "max_position_embeddings": 1024,
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "num_key_value_heads": 1,
            "rms_norm_eps": 1e-5,
            "vocab_size": 512,
            "use_mup": False,
            "scale_emb": 1.0,
            "dim_model_base": HIDDEN,
            "scale_depth": 1.0,
            "rope_theta": 10000.0,
            "kv_channels": 16,
            "rope_scaling": {
                "type": "longrope",
                "long_factor": [1.0] * 8,
                "short_factor": [1.0] * 8,
                "original_max_position_embeddings": 1024,
            },
        },
        "patch_size": PATCH,
        "feat_dim": FEATURES,
        "residual_lm_num_layers": 1,
        "scalar_quantization_latent_dim": 8,
        "scalar_quantization_scale": 9,
        "encoder_config": block,
        "dit_config": {**block, "cfm_config": {}},
        "audio_vae_config": vae,
        "max_length": 1024,
        "device": "cpu",
        "dtype": "float32",
    }


def make(folder: Path, version: int = 2, stops: bool = True) -> str:
    """Write a checkpoint whose stop head always says stop, or never."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    text_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(settings(version)))
    if version == 2:
        from voxcpm.model.voxcpm2 import AudioVAEV2 as AudioVAE
        from voxcpm.model.voxcpm2 import VoxCPM2Model as Model
        from voxcpm.model.voxcpm2 import VoxCPMConfig
    else:
        from voxcpm.model.voxcpm import AudioVAE, VoxCPMConfig
        from voxcpm.model.voxcpm import VoxCPMModel as Model
    config = VoxCPMConfig.model_validate(settings(version))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = Model(config, tokenizer, AudioVAE(config.audio_vae_config), device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2 and not parameter.isfinite().all():
                parameter.normal_(std=0.1)  # some weights are left as the memory they were made in
        model.stop_proj.weight.zero_()
        model.stop_proj.bias.fill_(1)
        model.stop_head.weight.zero_()
        model.stop_head.weight[1 if stops else 0].fill_(1)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(
        {n.removeprefix("audio_vae."): v for n, v in weights.items() if n.startswith("audio_vae.")},
        folder / "audiovae.safetensors",
    )
    save_file({n: v for n, v in weights.items() if not n.startswith("audio_vae.")}, folder / "model.safetensors")
    return str(folder)


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(out: Path) -> None:
    warnings.simplefilter("ignore")  # streaming, it says that it will not try again
    soundfile.write(out / REFERENCE, 0.1 * np.sin(np.arange(16000) * 0.06), 16000)
    reference = str(out / REFERENCE)

    def load(name: str, **options: Any) -> VoxCPM:
        return VoxCPM(make(out / f"purpleotter-{name}", **options), enable_denoiser=False, optimize=False, device="cpu")

    ends, never, first = load("ends"), load("never", stops=False), load("first", version=1)

    def save(name: str, call: Any) -> None:
        torch.manual_seed(2)
        np.save(out / f"{name}.npy", call())

    few = {"inference_timesteps": 2}
    save("whole", lambda: ends.generate(TEXT, min_len=5, **few))
    save("stream", lambda: np.concatenate(list(ends.generate_streaming(TEXT, min_len=5, **few))))
    save("reference", lambda: ends.generate(text=TEXT, reference_wav_path=reference, **few))
    save("first", lambda: first.generate(TEXT, prompt_wav_path=reference, prompt_text="Dawnfall.", **few))
    save("limit", lambda: never.generate(TEXT, max_len=6, retry_badcase=False, **few))
    save("retried", lambda: never.generate("hi", max_len=300, **few))
    save("cut", lambda: np.concatenate(list(never.generate_streaming(TEXT, max_len=6, **few))))
    left = never.generate_streaming(TEXT, max_len=50, **few)
    torch.manual_seed(2)
    np.save(out / "left.npy", np.concatenate([next(left), next(left)]))
    left.close()
    with ThreadPoolExecutor(2) as pool:  # an engine each: one keeps the state of the other
        both = list(pool.map(lambda engine: engine.generate(TEXT, **few).size, (ends, first)))
    seen = {
        "ours_first": ours_first,
        "both": both,
        "rates": [ends.tts_model.sample_rate, first.tts_model.sample_rate],
        "empty": refusal(lambda: ends.generate("  ")),
        "missing": refusal(lambda: ends.generate(TEXT, reference_wav_path="/quincebread.wav")),
        "unable": refusal(lambda: first.generate(TEXT, reference_wav_path=reference)),
    }

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory; quincebread")

    ends.tts_model.feat_decoder.forward = exhaust
    seen["memory"] = refusal(lambda: ends.generate(TEXT, **few))
    print(json.dumps(seen))


main(Path(sys.argv[1]))
