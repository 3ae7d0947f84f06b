# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""pocket-tts: a small language model makes latents in one thread, while another decodes those that are ready.

Whether a generation has come to its limit nothing returns: how far its cache is filled tells it, where that is on the
CPU. On a device nobody waits for the number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from otel_tts.engines.languages import tag
from otel_tts.engines.table import Call, Chunk, Engine, Entry, Finish, Seam, Stage


def _model(call: Call) -> str | None:
    """The name of one of the package's own configurations; that of the user's file is the user's."""
    origin = call.instance.origin
    own = isinstance(origin, Path) and origin.parent.parts[-2:] == ("pocket_tts", "config")
    return origin.stem if own else None


def _language(call: Call) -> str | None:
    return tag((_model(call) or "").partition("_")[0])


def _filled(call: Call) -> int | None:
    """Steps in the cache, a tensor of one number for each text of a batch."""
    for state in call.arguments["model_state"].values():
        if (offset := state.get("offset")) is not None:
            return int(offset.reshape(-1)[0]) if offset.device.type == "cpu" else None
    return None


def _finish(call: Call, result: Any, items: int) -> Finish | None:
    filled, given = _filled(call), call.arguments
    if filled is None or call.before is None:
        return None
    return Finish(filled - call.before, given["max_gen_len"], "aborted" if given["stop"].is_set() else None)


def _entry(target: str, kind: str) -> Entry:
    return Entry(
        f"TTSModel.{target}", text="text_to_generate", chunk=Chunk(), kinds=(kind,), model=_model, language=_language,
        device="self.device", sample_rate="self.sample_rate",
    )  # fmt: skip


ENGINE = Engine(
    name="pocket-tts",
    module="pocket_tts.models.tts_model",
    distribution="pocket-tts",
    model="pocket-tts",
    channels=1,
    seconds_per_character=(0.01, 0.6),
    load=("TTSModel.load_model",),
    entries=(_entry("generate_audio", "function"), _entry("generate_audio_stream", "generator")),
    seams=(
        Seam("split_into_best_sentences", Stage.TEXT_FRONTEND, device="cpu"),
        Seam("LUTConditioner.prepare", Stage.TEXT_FRONTEND, module="pocket_tts.modules.text_conditioner", device="cpu"),
        Seam("TTSModel.get_state_for_audio_prompt", Stage.REFERENCE_ENCODE),
        Seam("TTSModel._autoregressive_generation", Stage.ACOUSTIC_MODEL, before=_filled, finish=_finish),
        Seam("MimiModel.decode_from_latent", Stage.VOCODER, module="pocket_tts.models.mimi", fold=True),
    ),
)
