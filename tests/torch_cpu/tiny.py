# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny IndexTTS-2.5 checkpoint with random weights, which the package's own loader takes: real code, 70 MB, a CPU."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from indextts25.codec.models import EnhancedCodec
from indextts25.gpt.model_v2 import UnifiedVoice
from indextts25.s2mel.modules.bigvgan.bigvgan import AttrDict, BigVGAN
from indextts25.s2mel.modules.campplus.DTDNN import CAMPPlus
from indextts25.s2mel.modules.commons import MyModel
from omegaconf import OmegaConf
from safetensors.torch import save_file
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

RATE = 22050
CODES = 64
START, STOP = CODES, CODES + 1
MELS, CHANNELS, WIDTH, STYLE, EMOTIONS = 80, 1024, 64, 192, 8
"""CHANNELS: what the GPT's emotion encoder takes, which no configuration changes."""

CONFIG: dict[str, Any] = {
    "version": "tiny",
    "gpt_checkpoint": "gpt.pth",
    "w2v_stat": "wav2vec2bert_stats.pt",
    "s2mel_checkpoint": "s2mel.pth",
    "emo_matrix": "feat2.pt",
    "spk_matrix": "feat1.pt",
    "emo_num": [1] * EMOTIONS,
    "gpt": {
        "layers": 2, "model_dim": WIDTH, "heads": 4, "max_text_tokens": 602, "max_mel_tokens": 256,
        "number_text_tokens": 4000, "number_mel_codes": CODES + 2, "start_mel_token": START, "stop_mel_token": STOP,
        "start_text_token": 0, "stop_text_token": 1,
        "emo_condition_module": {
            "output_size": 32, "linear_units": 32, "attention_heads": 2, "num_blocks": 1, "input_layer": "conv2d2",
            "perceiver_mult": 1,
        },
    },
    "semantic_codec": {
        "codebook_size": CODES, "hidden_size": CHANNELS, "codebook_dim": 8, "vocos_dim": 32,
        "vocos_intermediate_dim": 64, "vocos_num_layers": 1,
    },
    "s2mel": {
        "preprocess_params": {
            "sr": RATE,
            "spect_params": {
                "n_fft": 1024, "win_length": 1024, "hop_length": 256, "n_mels": MELS, "fmin": 0, "fmax": "None",
            },
        },
        "dit_type": "DiT",
        "style_encoder": {"dim": STYLE},
        "length_regulator": {
            "channels": WIDTH, "is_discrete": False, "in_channels": CHANNELS, "content_codebook_size": CODES,
            "sampling_ratios": [1, 1], "vector_quantize": False, "n_codebooks": 1, "quantizer_dropout": 0.0,
            "f0_condition": False, "n_f0_bins": 512,
        },
        "DiT": {
            "hidden_dim": WIDTH, "num_heads": 4, "depth": 2, "class_dropout_prob": 0.1, "block_size": 8192,
            "in_channels": MELS, "style_condition": True, "final_layer_type": "wavenet", "target": "mel",
            "content_dim": WIDTH, "content_codebook_size": CODES, "content_type": "discrete", "f0_condition": False,
            "n_f0_bins": 512, "content_codebooks": 1, "is_causal": False, "long_skip_connection": True,
            "zero_prompt_speech_token": False, "time_as_token": False, "style_as_token": False,
            "uvit_skip_connection": True, "add_resblock_in_transformer": False,
        },
        "wavenet": {
            "hidden_dim": WIDTH, "num_layers": 2, "kernel_size": 5, "dilation_rate": 1, "p_dropout": 0.2,
            "style_condition": True,
        },
    },
}  # fmt: skip

VOCODER: dict[str, Any] = {
    "resblock": "1", "num_mels": MELS, "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4], "upsample_initial_channel": 64, "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]], "use_tanh_at_final": False, "use_bias_at_final": False,
    "activation": "snakebeta", "snake_logscale": True, "sampling_rate": RATE,
}  # fmt: skip


def build(folder: Path) -> Path:
    """Write the checkpoint into `folder` and return it."""
    torch.manual_seed(0)
    cache = folder / "hf_cache"
    (cache / "bigvgan").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    config: Any = OmegaConf.create(CONFIG)
    torch.save(_gpt(config).state_dict(), folder / "gpt.pth")
    torch.save({"model": EnhancedCodec(**config.semantic_codec).state_dict()}, folder / "codec.pth")
    parts = {name: part.state_dict() for name, part in MyModel(config.s2mel).models.items()}
    torch.save({"net": parts}, folder / "s2mel.pth")
    torch.save(CAMPPlus(feat_dim=MELS, embedding_size=STYLE).state_dict(), cache / "campplus_cn_common.bin")
    (cache / "bigvgan" / "config.json").write_text(json.dumps(VOCODER))
    torch.save({"generator": BigVGAN(AttrDict(VOCODER)).state_dict()}, cache / "bigvgan" / "bigvgan_generator.pt")
    _save_reference_encoder(cache / "w2v-bert-2.0")
    torch.save({"mean": torch.randn(CHANNELS), "var": torch.ones(CHANNELS)}, folder / "wav2vec2bert_stats.pt")
    torch.save(torch.randn(EMOTIONS, STYLE), folder / "feat1.pt")
    torch.save(torch.randn(EMOTIONS, WIDTH), folder / "feat2.pt")
    tokens = [f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256)]
    (folder / "multilingual_zh_ja_yue_char_del.tiktoken").write_text("".join(tokens))
    return folder


def _gpt(config: Any) -> UnifiedVoice:
    """A GPT that samples neither the start token, which has no code, nor the end: each segment is as long as asked."""
    gpt = UnifiedVoice(**config.gpt)
    with torch.no_grad():
        gpt.mel_head.bias[START] = gpt.mel_head.bias[STOP] = -1e4
    return gpt


def _save_reference_encoder(folder: Path) -> None:
    # One hidden channel: subtracting the mean over CHANNELS broadcasts it to as many.
    config = Wav2Vec2BertConfig(
        hidden_size=1, num_hidden_layers=17, num_attention_heads=1, intermediate_size=2,
        feature_projection_input_dim=2 * MELS, conv_depthwise_kernel_size=3, left_max_position_embeddings=4,
        right_max_position_embeddings=2,
    )  # fmt: skip
    config.save_pretrained(folder)
    save_file(Wav2Vec2BertModel(config).state_dict(), folder / "model.safetensors")
    extractor = SeamlessM4TFeatureExtractor(
        feature_size=MELS, sampling_rate=16000, num_mel_bins=MELS, padding_value=0.0, stride=2
    )
    extractor.save_pretrained(folder)


if __name__ == "__main__":
    import sys

    build(Path(sys.argv[1]))
