# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with F5-TTS, small and never trained: ``small_f5_tts.py OUT``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import f5_tts.infer.utils_infer as infer  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
import torchaudio  # noqa: E402
import yaml  # noqa: E402
from f5_tts.api import F5TTS  # noqa: E402
from f5_tts.model import CFM, DiT  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from vocos import Vocos  # noqa: E402

TEXT = "Quincebread at dawnfall, whispers."
SAID = "Purpleotter whispers."
REFERENCE = "purpleotter-reference.wav"
VOCABULARY = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"-"
ARCHITECTURE = {
    "dim": 32,
    "depth": 1,
    "heads": 1,
    "ff_mult": 1,
    "text_dim": 16,
    "text_mask_padding": True,
    "qk_norm": None,
    "conv_layers": 1,
    "pe_attn_head": None,
    "attn_backend": "torch",
    "attn_mask_enabled": False,
    "checkpoint_activations": False,
}
MEL = {"target_sample_rate": 24000, "n_mel_channels": 100, "hop_length": 256, "win_length": 1024, "n_fft": 1024}


def vocos(directory: Path) -> None:
    size = {"n_fft": 1024, "hop_length": 256, "padding": "center"}
    parts = {
        "feature_extractor": (
            "feature_extractors.MelSpectrogramFeatures",
            {"sample_rate": 24000, "n_mels": 100} | size,
        ),
        "backbone": (
            "models.VocosBackbone",
            {"input_channels": 100, "dim": 16, "intermediate_dim": 32, "num_layers": 1},
        ),
        "head": ("heads.ISTFTHead", {"dim": 16} | size),
    }
    settings = {part: {"class_path": f"vocos.{path}", "init_args": values} for part, (path, values) in parts.items()}
    (directory / "config.yaml").write_text(yaml.safe_dump(settings))
    torch.manual_seed(1)
    torch.save(Vocos.from_hparams(str(directory / "config.yaml")).state_dict(), directory / "pytorch_model.bin")


def make(directory: Path) -> Path:
    (directory / "vocos").mkdir(parents=True, exist_ok=True)
    vocos(directory / "vocos")
    (directory / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    mel = {**MEL, "mel_spec_type": "vocos"}
    model = {"name": "tiny", "tokenizer": "pinyin", "backbone": "DiT", "arch": ARCHITECTURE, "mel_spec": mel}
    (directory / "tiny.yaml").write_text(yaml.safe_dump({"model": model}))
    torch.manual_seed(0)
    network = CFM(
        transformer=DiT(**ARCHITECTURE, text_num_embeds=len(VOCABULARY), mel_dim=100),
        mel_spec_kwargs={**MEL, "mel_spec_type": "vocos"},
        vocab_char_map={},
    )
    weights = {f"ema_model.{name}": value.clone().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, str(directory / "tiny.safetensors"))
    return directory


def arguments(directory: Path) -> dict[str, str]:
    """Return what `F5TTS` is given: its configuration is looked for beside the package's own, by name."""
    directory = directory.resolve()
    beside = Path(str(resources.files("f5_tts").joinpath("configs"))).resolve()  # a namespace package
    return {
        "model": os.path.relpath(directory / "tiny", beside),
        "ckpt_file": str(directory / "tiny.safetensors"),
        "vocab_file": str(directory / "vocab.txt"),
        "vocoder_local_path": str(directory / "vocos"),
        "device": "cpu",
    }


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def speak(out: Path) -> dict[str, Any]:
    model = F5TTS(**arguments(make(out / "purpleotter-model")))
    # What is below -42 dBFS is cut off at its ends.
    soundfile.write(out / REFERENCE, 0.3 * np.sin(np.arange(36000) * 0.06), 24000)
    reference = str(out / REFERENCE)
    few = {"nfe_step": 2, "seed": 1}

    def save(name: str, text: str, **options: Any) -> None:
        np.save(out / f"{name}.npy", model.infer(reference, SAID, text, **few, **options)[0])

    save("whole", TEXT)
    save("pieces", "Quincebread at dawnfall. " * 20)
    save("filed", TEXT, file_wave=str(out / "file.wav"))
    torch.manual_seed(1)
    given = (torchaudio.load(reference), SAID + " ", [TEXT], model.ema_model, model.vocoder)
    stream = infer.infer_batch_process(*given, nfe_step=2, streaming=True, progress=None, device="cpu")
    chunks = [chunk for chunk, _ in stream]
    np.save(out / "stream.npy", np.concatenate(chunks))
    left = infer.infer_batch_process(*given, nfe_step=2, streaming=True, progress=None, device="cpu")
    next(left)
    left.close()
    seen = {
        "chunks": len(chunks),
        "empty": refusal(lambda: model.infer(reference, SAID, "", **few)),
        "missing": refusal(lambda: model.infer(str(out / "whispers.wav"), SAID, TEXT, **few)),
    }

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory; quincebread")

    model.vocoder.head.forward = exhaust
    return seen | {"memory": refusal(lambda: model.infer(reference, SAID, TEXT, **few))}


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the text
        told = speak(Path(sys.argv[1]))
    print(json.dumps(told | {"ours_first": ours_first}))
