# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks Spanish with kokoro, its network with random weights: ``small_kokoro.py OUT``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import torch  # noqa: E402
from kokoro import KModel, KPipeline  # noqa: E402

TEXT = "Quincebread, purpleotter dawnfall.\nAdios whispers."
REPO = "hexgrad/Kokoro-82M"
CONFIG: dict[str, Any] = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12], "upsample_rates": [10, 6], "gen_istft_hop_size": 5, "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5]], "resblock_kernel_sizes": [3], "upsample_initial_channel": 512,
    },
    "dim_in": 64, "dropout": 0.2, "hidden_dim": 512, "max_conv_dim": 512, "max_dur": 4, "multispeaker": True,
    "n_layer": 1, "n_mels": 80, "n_token": 178, "style_dim": 128, "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 512,
        "num_hidden_layers": 1, "dropout": 0.1,
    },
    "vocab": {sign: number for number, sign in enumerate("abdefghijklmnopqrstuvwxyzðŋɐɑɔəɛɣɪɲɾʃʊʎʝʤʧˈˌ .,;:!?βθ", 1)},
}  # fmt: skip


def main(out: Path) -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.save({}, out / "nothing.pt")
    model = KModel(repo_id=REPO, config=CONFIG, model=str(out / "nothing.pt")).eval()
    pipeline = KPipeline("e", repo_id=REPO, model=model)
    pipeline.voices["ef_dora"] = 0.1 * torch.randn(510, 1, 256)
    private = out / "purpleotter-voice.pt"
    torch.save(pipeline.voices["ef_dora"], private)

    torch.manual_seed(1)
    audio = [result.audio for result in pipeline(TEXT, voice="ef_dora")]
    np.save(out / "text.npy", torch.cat(audio).numpy())
    torch.manual_seed(2)
    (result,) = pipeline.generate_from_tokens("ˈola.", voice=str(private))
    np.save(out / "phonemes.npy", result.audio.numpy())
    torch.manual_seed(3)
    _, phonemes, spoken = next(pipeline(TEXT, "ef_dora", 1, r"\n+", model))
    np.save(out / "first.npy", spoken.numpy())
    quiet = KPipeline("e", repo_id=REPO, model=False)
    results = list(quiet(TEXT))
    texts = [result.graphemes for result in results]
    torch.manual_seed(4)  # as many pages do: the pipeline makes phonemes, the network is called by hand
    sounds = results[0].phonemes
    by_hand = model(sounds, pipeline.voices["ef_dora"][len(sounds) - 1], 1.0)
    np.save(out / "by_hand.npy", by_hand.numpy())
    seen = {"ours_first": ours_first, "pieces": len(audio), "phonemes": bool(phonemes), "texts": len(texts)}
    print(json.dumps(seen))


main(Path(sys.argv[1]))
