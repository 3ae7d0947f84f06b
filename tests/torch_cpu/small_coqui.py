# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks with Coqui's VITS and XTTS, small and never trained: ``small_coqui.py OUT``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ours_first = "otel_tts" in sys.modules and "torch" not in sys.modules

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from TTS.api import TTS  # noqa: E402
from TTS.config.shared_configs import BaseAudioConfig  # noqa: E402
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig  # noqa: E402
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig  # noqa: E402
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer  # noqa: E402
from TTS.tts.models.vits import Vits  # noqa: E402
from TTS.tts.models.xtts import Xtts  # noqa: E402

TEXT = "Quincebread at dawnfall. Whispers."
REFERENCE = "purpleotter-reference.wav"
WIDTH = 64
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()"


def vocabulary(path: Path) -> None:
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]"]
    tokens = {token: number for number, token in enumerate([*special, *LETTERS])}
    added = [
        {"id": tokens[token], "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for token in special
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "[UNK]",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "vocab": tokens,
        "merges": [],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    path.write_text(json.dumps(whole))


def make_xtts(folder: Path, stop: float) -> Path:
    """Its token for the end is made likely, or impossible. What is big in the code is not made smaller: 90 MB."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    vocabulary(folder / "vocab.json")
    codes = 32
    arguments = XttsArgs(
        gpt_layers=1, gpt_n_model_channels=WIDTH, gpt_n_heads=1, gpt_max_audio_tokens=30,
        gpt_max_text_tokens=200, gpt_max_prompt_tokens=10, gpt_num_audio_tokens=codes + 2,
        gpt_start_audio_token=codes, gpt_stop_audio_token=codes + 1, gpt_use_perceiver_resampler=True,
        decoder_input_dim=WIDTH, d_vector_dim=512,
    )  # fmt: skip
    config = XttsConfig(model_args=arguments, languages=["en", "de"])
    config.save_json(str(folder / "config.json"))
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    with torch.no_grad():
        model.gpt.mel_head.bias[codes + 1] = stop
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    return folder


def make_vits(folder: Path) -> Path:
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    hop, window = 256, 1024
    arguments = VitsArgs(
        out_channels=window // 2 + 1,
        hidden_channels=16,
        hidden_channels_ffn_text_encoder=32,
        num_heads_text_encoder=2,
        num_layers_text_encoder=1,
        num_layers_flow=1,
        num_layers_posterior_encoder=1,
        upsample_rates_decoder=[8, 8, 4],
        upsample_initial_channel_decoder=16,
        upsample_kernel_sizes_decoder=[16, 16, 8],
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3, 5]],
        use_sdp=False,
        init_discriminator=False,
    )
    audio = BaseAudioConfig(sample_rate=22050, hop_length=hop, win_length=window, fft_size=window, num_mels=80)
    config = VitsConfig(
        model_args=arguments, audio=audio, use_phonemes=False, text_cleaner="basic_cleaners", run_eval=False
    )  # fmt: skip
    model = Vits.init_from_config(config)
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    return folder


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def main(out: Path) -> None:
    soundfile.write(out / REFERENCE, 0.3 * np.sin(np.arange(44100) * 0.06), 22050)
    reference = str(out / REFERENCE)
    folder = make_vits(out / "purpleotter-vits")
    vits = TTS(model_path=str(folder / "model.pth"), config_path=str(folder / "config.json"), progress_bar=False)

    def load(name: str, stop: float) -> TTS:
        made = make_xtts(out / f"purpleotter-{name}", stop)
        return TTS(model_path=str(made), config_path=str(made / "config.json"), progress_bar=False)

    def save(name: str, call: Any) -> None:
        torch.manual_seed(2)
        np.save(out / f"{name}.npy", np.asarray(call(), np.float32))

    save("vits", lambda: vits.tts(TEXT))
    vits.tts_to_file(TEXT, file_path=str(out / "file.wav"))
    never, ends = load("never", -1e4), load("ends", 2.0)
    save("xtts", lambda: never.tts(TEXT, speaker_wav=reference, language="en"))
    save("ends", lambda: ends.tts("Dawnfall.", speaker_wav=[reference], language="de"))
    xtts = never.synthesizer.tts_model
    latents, embedding = xtts.get_conditioning_latents(audio_path=[reference])
    by_hand = ("Dawnfall", "en", latents, embedding)
    save("hand", lambda: xtts.inference(*by_hand)["wav"])
    torch.manual_seed(2)
    chunks = list(xtts.inference_stream(*by_hand, stream_chunk_size=10))
    np.save(out / "stream.npy", torch.cat(chunks).numpy())
    torch.manual_seed(2)
    stream = xtts.inference_stream(*by_hand, stream_chunk_size=10)
    np.save(out / "left.npy", next(stream).numpy())
    stream.close()
    seen = {
        "ours_first": ours_first,
        "chunks": len(chunks),
        "empty": refusal(lambda: vits.tts("")),
        "unknown": refusal(lambda: vits.tts("123")),
        "long": refusal(lambda: list(xtts.inference_stream("a b " * 150, *by_hand[1:]))),
    }

    def exhaust(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory; quincebread")

    xtts.gpt.gpt_inference.generate = exhaust
    seen["memory"] = refusal(lambda: never.tts("Dawnfall.", speaker_wav=reference, language="en"))
    print(json.dumps(seen))


main(Path(sys.argv[1]))
