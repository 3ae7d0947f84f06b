# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with pocket-tts' smallest network, never trained: ``small_pocket_tts.py OUT``."""

from __future__ import annotations

import json
import string
import sys
import threading
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from pocket_tts import TTSModel  # noqa: E402
from pocket_tts.utils.config import CONFIGS_DIR  # noqa: E402
from tokenizers import Tokenizer, models  # noqa: E402

TEXT = "Quincebread at dawnfall. Purpleotter whispers."
NAME = "english_2m_2026-10"


def build(folder: Path) -> Any:
    letters = {letter: number for number, letter in enumerate(["?", *string.ascii_letters, " ", ".", ","])}
    Tokenizer(models.BPE(vocab=letters, merges=[], unk_token="?")).save(str(folder / "letters.json"))
    config = yaml.safe_load((CONFIGS_DIR / f"{NAME}.yaml").read_text())
    del config["weights_path"], config["weights_path_without_voice_cloning"]
    config["flow_lm"]["lookup_table"] |= {
        "tokenizer": "tokenizers", "tokenizer_path": str(folder / "letters.json"), "n_bins": len(letters),
    }  # fmt: skip
    (folder / "purpleotter.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    model = TTSModel.load_model(config=folder / "purpleotter.yaml")
    for parameter in model.parameters():  # some are made without values
        torch.nan_to_num_(parameter.data, posinf=0.0, neginf=0.0)
    model.max_decoder_frames_per_call = 1  # else chunks are as long as the other thread was slow
    return model


def main(out: Path) -> None:
    model = build(out)
    voice = model.get_state_for_audio_prompt(0.1 * torch.randn(1, 24000))
    torch.manual_seed(1)
    np.save(out / "whole.npy", model.generate_audio(voice, TEXT, max_tokens=30).numpy())
    model.origin = CONFIGS_DIR / f"{NAME}.yaml"
    torch.manual_seed(2)
    chunks = list(model.generate_audio_stream(voice, TEXT, max_tokens=30))
    np.save(out / "stream.npy", torch.cat(chunks).numpy())
    torch.manual_seed(3)
    stream = model.generate_audio_stream(voice, TEXT, max_tokens=30)
    np.save(out / "first.npy", next(stream).numpy())
    stream.close()
    for thread in threading.enumerate():  # its threads do not hear of it, and Python's end would meet them
        if "run_generation" in thread.name or "_decode_audio_worker" in thread.name:
            thread.join()
    try:
        model.generate_audio(voice, " ")
    except Exception as error:
        refused = type(error).__name__
    for threshold in (torch.inf, -torch.inf):  # of the end's logit: never, as soon as it may
        model.eos_threshold = threshold
        torch.manual_seed(4)
        model.generate_audio(voice, "Quince.", max_tokens=30)
    print(json.dumps({"ours_first": ours_first, "chunks": len(chunks), "refused": refused}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
