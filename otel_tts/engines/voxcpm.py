# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""VoxCPM 1 and 2: a language model with a diffusion in each step makes patches of audio, a codec decodes them.

`generate` and `generate_streaming` take anything and hand it on to one generator, which is the entry; whole speech is
its only item. A result that is too long for its text is thrown away and made again, up to three times, and the last one
is returned whatever it is. The limit is lower than the caller's for a short text.
"""

from __future__ import annotations

from typing import Any

from otel_tts import names
from otel_tts.engines.table import Call, Engine, Entry, Finish, Seam, Stage


def _voice(call: Call) -> Any:
    return call.arguments.get("reference_wav_path") or call.arguments.get("prompt_wav_path")


def _source(call: Call) -> str:
    return "reference" if _voice(call) else "default"


def _model(call: Call) -> str:
    return "voxcpm2" if type(call.instance.tts_model).__name__ == "VoxCPM2Model" else "voxcpm"


def _is_whole(call: Call, item: Any) -> bool:
    return not call.arguments.get("streaming", False)


def _finish(call: Call, item: Any, items: int) -> Finish:
    """Patches: as many as the one item holds, or an item each. A stop in the last possible one counts as the limit; in
    VoxCPM 1 two patches of a recording that is gone on with are among them."""
    made = items if call.arguments.get("streaming") else item[1].shape[0]
    return Finish(min(made, call.arguments["max_len"]), call.arguments["max_len"])


def _generation(model: str) -> tuple[Seam, ...]:
    module, name = model.split(":")
    return (
        Seam(f"{name}.build_prompt_cache", Stage.REFERENCE_ENCODE, module=module),
        Seam(f"{name}._inference", Stage.ACOUSTIC_MODEL, module=module, last=_is_whole, attempts=True, finish=_finish),
    )


_CODEC = "voxcpm.modules.audiovae"

ENGINE = Engine(
    name="voxcpm",
    module="voxcpm.core",
    distribution="voxcpm",
    channels=1,
    seconds_per_character=(0.01, 1.0),
    load=("VoxCPM.__init__",),
    entries=(
        Entry("VoxCPM._generate", kinds=("generator",), voice=_voice, model=_model, device="self.tts_model.device",
              sample_rate="self.tts_model.sample_rate", facts={names.VOICE_SOURCE: _source}, last=_is_whole),
    ),
    seams=(
        Seam("TextNormalizer.normalize", Stage.TEXT_FRONTEND, module="voxcpm.utils.text_normalize", device="cpu"),
        Seam("ZipEnhancer.enhance", Stage.REFERENCE_ENCODE, module="voxcpm.zipenhancer"),
        *_generation("voxcpm.model.voxcpm2:VoxCPM2Model"),
        *_generation("voxcpm.model.voxcpm:VoxCPMModel"),
        Seam("AudioVAE.decode", Stage.VOCODER, module=f"{_CODEC}.audio_vae_v2", fold=True),
        Seam("AudioVAE.decode", Stage.VOCODER, module=f"{_CODEC}.audio_vae", fold=True),
    ),
)  # fmt: skip
