# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with small, untrained models of transformers: ``small_transformers.py OUT``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

lazy = not any(name.startswith("transformers.models.vits.modeling") for name in sys.modules)

from transformers import (  # noqa: E402
    BarkCoarseConfig,
    BarkConfig,
    BarkFineConfig,
    BarkModel,
    BarkSemanticConfig,
    EncodecConfig,
    SpeechT5Config,
    SpeechT5ForTextToSpeech,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    TextToAudioPipeline,
    VitsConfig,
    VitsModel,
    VitsTokenizer,
)
from transformers.models.bark.generation_configuration_bark import BarkGenerationConfig  # noqa: E402

TEXT = "quincebread at dawnfall, purpleotter whispers"


def quieter(model: Any, last: str) -> Any:
    """What an untrained network says is clipped."""
    model.get_parameter(last).data *= 0.1
    return model


def build_vits() -> Any:
    config = VitsConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1, wavenet_kernel_size=3,
        duration_predictor_num_flows=1, duration_predictor_filter_channels=16, depth_separable_num_layers=1,
    )  # fmt: skip
    return quieter(VitsModel(config).eval(), "decoder.conv_post.weight")


def build_tokenizer(folder: Path) -> Any:
    letters = {letter: number for number, letter in enumerate("_abcdefghijklmnopqrstuvwxyz ,")}
    (folder / "vocab.json").write_text(json.dumps(letters))
    return VitsTokenizer(str(folder / "vocab.json"), pad_token="_", unk_token=" ", phonemize=False)


def build_speecht5() -> tuple[Any, Any]:
    config = SpeechT5Config(
        vocab_size=40, hidden_size=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, num_mel_bins=8, speech_decoder_prenet_units=16,
        speech_decoder_postnet_units=16, speech_decoder_postnet_layers=1, speaker_embedding_dim=4,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
    )  # fmt: skip
    return SpeechT5ForTextToSpeech(config).eval(), quieter(SpeechT5HifiGan(vocoder).eval(), "conv_post.weight")


def build_bark() -> Any:
    size = {"block_size": 1024, "num_layers": 1, "num_heads": 2, "hidden_size": 16}
    model = BarkModel(
        BarkConfig(
            semantic_config=BarkSemanticConfig(input_vocab_size=129600, output_vocab_size=10048, **size),
            coarse_acoustics_config=BarkCoarseConfig(input_vocab_size=12096, output_vocab_size=12096, **size),
            fine_acoustics_config=BarkFineConfig(input_vocab_size=1056, output_vocab_size=1056, **size),
            codec_config=EncodecConfig(hidden_size=8, num_filters=2, codebook_dim=8, num_lstm_layers=1),
        )
    )
    settings = BarkGenerationConfig()
    for part in ("semantic_config", "coarse_acoustics_config", "fine_acoustics_config"):  # as it is in the files
        setattr(settings, part, getattr(settings, part).to_dict())
    model.generation_config = settings
    return model.eval()


def main(out: Path) -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    vits, tokenizer, (speecht5, vocoder), bark = build_vits(), build_tokenizer(out), build_speecht5(), build_bark()
    vits_pipeline = TextToAudioPipeline(model=vits, tokenizer=tokenizer)
    speecht5_pipeline = TextToAudioPipeline(model=speecht5, tokenizer=tokenizer, vocoder=vocoder)
    embedding = torch.randn(1, 4)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    padded = torch.nn.functional.pad(ids, (0, 256 - ids.shape[1]))

    def save(name: str, seed: int, speak: Any) -> None:
        torch.manual_seed(seed)
        np.save(out / f"{name}.npy", np.concatenate([np.asarray(piece).ravel() for piece in speak()]))

    speaker = {"speaker_embeddings": embedding}
    long = {"minlenratio": 1.0, "maxlenratio": 1.0}
    save("pipeline", 1, lambda: [vits_pipeline(TEXT)["audio"]])
    save("batch", 2, lambda: [one["audio"] for one in vits_pipeline([TEXT, "whispers"])])
    save("vits", 3, lambda: [vits(ids).waveform.detach()])
    save("lazy", 4, lambda: [one["audio"] for one in vits_pipeline(text for text in (TEXT, "whispers"))])
    save(
        "speecht5",
        5,
        lambda: [speecht5.generate_speech(ids, embedding, vocoder=vocoder, **long)],
    )
    save("speecht5_pipeline", 6, lambda: [
        speecht5_pipeline(TEXT, forward_params=speaker, generate_kwargs=long)["audio"]
    ])  # fmt: skip
    save("bark", 7, lambda: bark.generate(padded, semantic_max_new_tokens=20))
    save("speecht5_batch", 8, lambda: [
        speecht5.generate_speech(
            ids.repeat(2, 1), embedding.repeat(2, 1), vocoder=vocoder, threshold=0.0, minlenratio=0.5, maxlenratio=1.0
        )
    ])  # fmt: skip
    print(
        json.dumps({"ours_first": ours_first, "lazy": lazy, "ids": ids.shape[1], "version": transformers.__version__})
    )


main(Path(sys.argv[1]))
