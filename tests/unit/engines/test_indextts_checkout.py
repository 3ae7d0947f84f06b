# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of upstream's IndexTTS on stand-ins of its structure: v1.5, v2 and v2.5, which no registry has."""

from __future__ import annotations

import importlib
import inspect
import itertools
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otel_tts import guard, names
from otel_tts.engines import indextts
from otel_tts.engines.indextts import parts as indextts_parts
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

STANDINS = Path(__file__).parents[2] / "standins" / "indextts"
TEXT = "Hello there. How are you today?"
BEFORE = ["reference_encode", "text_frontend"]
V1 = ["acoustic_model", "gpt", "gpt_forward", "vocoder"]
V2 = ["acoustic_model", "gpt", "gpt_forward", "s2mel", "vocoder"]
V2_5 = ["acoustic_model", "gpt", "s2mel", "s2mel", "vocoder"]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in can be imported, and is imported anew."""
    monkeypatch.syspath_prepend(STANDINS / "checkout")
    indextts_parts._checkout.cache_clear()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "indextts"]:
        del sys.modules[name]


@pytest.fixture
def hook() -> Any:
    """Set the hooks as the launcher does."""

    def install() -> None:
        for engine in indextts.ENGINES:
            watch(engine)
        watch_postprocess()

    return install


@pytest.fixture
def voices(tmp_path: Path) -> tuple[str, str]:
    """Two recordings whose names nobody else would have."""
    paths = []
    for pitch in (0.06, 0.1):
        path = tmp_path / f"purpleotter-{pitch}.wav"
        soundfile.write(path, 0.1 * np.sin(np.arange(44100) * pitch), 22050)
        paths.append(str(path))
    return paths[0], paths[1]


def make(version: str, **options: Any) -> Any:
    """An engine of `version`, loaded now."""
    if version == "1.5":
        return importlib.import_module("indextts.infer").IndexTTS(**options)
    return importlib.import_module(f"indextts.infer_v{version.replace('.', '_')}").IndexTTS2(**options)


def ask(engine: Any, voice: str, out: str | None = None, text: str = TEXT, **options: Any) -> Any:
    """`engine.infer` as the page calls it: all by name."""
    if "IndexTTS2" not in type(engine).__name__:
        return engine.infer(audio_prompt=voice, text=text, output_path=out, **options)
    if "v2_5" in type(engine).__module__:
        options.setdefault("lang", "en")
    return engine.infer(spk_audio_prompt=voice, text=text, output_path=out, **options)


def spans_of(seen: Any, request: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if span.context.trace_id == request.context.trace_id]
    found = [span for span in found if names.STAGE in span.attributes]
    return sorted(found, key=lambda span: (span.start_time, -span.end_time))


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


def said(seen: Any, request: Any) -> list[str]:
    return [span.attributes[names.STAGE] for span in spans_of(seen, request)]


def all_audio(folder: Path, voices: tuple[str, str]) -> dict[str, bytes]:
    """Everything that the three engines can make, as bytes."""
    heard: dict[str, bytes] = {}
    first, second = voices
    for version in ("1.5", "2", "2.5"):
        engine, path = make(version), str(folder / f"{version}.wav")
        assert ask(engine, first, path) == path
        heard[f"{version} file"] = Path(path).read_bytes()
        rate, samples = ask(engine, first)
        heard[f"{version} array"] = bytes(str(rate), "ascii") + samples.tobytes()
        if version == "1.5":
            heard["fast"] = engine.infer_fast(first, TEXT * 3, None, segments_bucket_max_size=2)[1].tobytes()
            continue
        heard[f"{version} stream"] = b"|".join(part.tobytes() for part in ask(engine, first, stream_return=True))
        heard[f"{version} emotion"] = ask(engine, first, emo_audio_prompt=second, emo_alpha=0.5)[1].tobytes()
        heard[f"{version} vector"] = ask(engine, second, emo_vector=[0.1, 0.2])[1].tobytes()
        lang = ("en",) if version == "2.5" else ()
        given = engine.infer_generator(second, TEXT, None, *lang)
        heard[f"{version} generator"] = b"|".join(samples.tobytes() for _, samples in given)
    small = make("2.5", low_vram=True)
    heard["low_vram"] = ask(small, first, text=TEXT * 2)[1].tobytes()
    path = str(folder / "low.wav")
    assert ask(small, first, path, text=TEXT * 2) == path
    heard["low_vram file"] = Path(path).read_bytes()
    return heard


def test_the_audio_is_the_same_with_and_without_hooks(world, hook, voices, tmp_path) -> None:
    expected = all_audio(tmp_path, voices)
    assert min(map(len, expected.values())) > 10_000
    hook()
    assert all_audio(tmp_path, voices) == expected, "without a recorder"
    seen = world()
    assert all_audio(tmp_path, voices) == expected, "traced"
    assert [request.attributes[names.OUTCOME] for request in requests(seen)] == ["ok"] * len(expected)
    undo(HOOKS)
    assert all_audio(tmp_path, voices) == expected, "unhooked"
    assert guard.faults == {} and not seen.recorder.open


@pytest.mark.parametrize(("version", "segment"), [("1.5", V1), ("2", V2), ("2.5", V2_5)])
def test_every_part_of_the_engine_is_a_stage(world, hook, voices, tmp_path, version, segment) -> None:
    hook()
    seen, engine = world(), make(version)
    ask(engine, voices[0], str(tmp_path / "a.wav"))
    ask(engine, voices[0])
    first, second = requests(seen)
    assert said(seen, first) == [*BEFORE, *segment, *segment, "postprocess"]
    assert said(seen, second) == ["text_frontend", *segment, *segment, "postprocess"]
    for request in (first, second):
        spans = spans_of(seen, request)
        level = [span for span in spans if span.parent.span_id == request.context.span_id]
        parts = [span for span in spans if span not in level]
        assert {span.attributes[names.STAGE] for span in parts} == set(segment[1:-1])
        for earlier, later in itertools.pairwise(level):
            assert earlier.end_time <= later.start_time
        for part in parts:
            assert any(part.parent.span_id == span.context.span_id and span.start_time <= part.start_time
                       and part.end_time <= span.end_time for span in level)  # fmt: skip


def test_the_facts_of_a_request(world, hook, voices, tmp_path) -> None:
    hook()
    seen = world()
    for version in ("1.5", "2", "2.5"):
        ask(make(version), voices[0], str(tmp_path / f"{version}.wav"))
    for request, version, rate in zip(requests(seen), ("1.5", "2", "2.5"), (24000, 22050, 22050), strict=True):
        facts = request.attributes
        samples, _ = soundfile.read(tmp_path / f"{version}.wav")
        assert request.name == f"text_to_speech indextts-{version}"
        assert facts[names.ENGINE] == "indextts" and facts[names.DEVICE] == "cpu"
        assert facts[names.TEXT_LENGTH] == len(TEXT) and facts[names.SEGMENT_COUNT] == 2
        assert facts[names.VOICE].startswith("v-") and facts[names.VOICE_SOURCE] == "reference"
        assert facts[names.REFERENCE_CACHE_HIT] is False and facts[names.REFERENCE_DURATION] == 2.0
        assert facts[names.AUDIO_SAMPLE_RATE] == rate and facts[names.AUDIO_CHANNELS] == 1
        assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / rate)
        assert facts[names.AUDIO_PEAK] == pytest.approx(np.abs(samples).max(), rel=1e-3)
        assert facts.get(names.EMOTION_MODE) == (None if version == "1.5" else "speaker")
        assert facts.get(names.TEXT_LANGUAGE) == ("en" if version == "2.5" else None)
    assert sum(count for count, _ in seen.points(names.MODEL_LOAD.name).values()) == 3


def test_the_version_of_a_checkout_that_is_installed(world, hook, voices, monkeypatch) -> None:
    from importlib import metadata

    hook()
    seen, real = world(), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.0.0" if name == "indextts" else real(name))
    ask(make("2"), voices[0])
    assert requests(seen)[0].attributes[names.ENGINE_VERSION] == "2.0.0"


@pytest.mark.parametrize("version", ["2", "2.5"])
def test_emotions_and_what_is_kept_of_references(world, hook, voices, version) -> None:
    hook()
    seen, engine = world(), make(version)
    first, second = voices
    engine.qwen_emo = sys.modules[type(engine).__module__].QwenEmotion(*([""] if version == "2" else []))
    asked: list[tuple[dict[str, Any], str, bool]] = [
        ({}, "speaker", False),
        ({}, "speaker", True),
        ({"emo_audio_prompt": second, "emo_alpha": 0.6}, "reference", False),
        ({"emo_audio_prompt": second}, "reference", True),
        ({"emo_vector": [0.1] * 8}, "vector", False),
        ({"emo_vector": [0.1] * 8, "emo_audio_prompt": second}, "vector", True),
        ({"use_emo_text": True}, "text", True),
        ({"use_emo_text": True, "emo_text": "quincebread", "emo_vector": [0.2]}, "text", True),
    ]
    for options, _, _ in asked:
        ask(engine, first, **options)
    ask(engine, second, use_emo_text=True)
    found = requests(seen)
    for request, (options, mode, kept) in zip(found, asked, strict=False):
        assert request.attributes[names.EMOTION_MODE] == mode, options
        assert request.attributes[names.REFERENCE_CACHE_HIT] is kept, options
        assert ("reference_encode" in said(seen, request)) is not kept, options
        assert ("emotion_from_text" in said(seen, request)) is (mode == "text"), options
    assert said(seen, found[-1])[:4] == ["reference_encode", "emotion_from_text", *BEFORE]


@pytest.mark.parametrize(("version", "segment"), [("2", V2), ("2.5", V2_5)])
@pytest.mark.parametrize("out", [False, True])
def test_a_stream(world, hook, voices, tmp_path, version, segment, out) -> None:
    hook()
    seen, engine = world(), make(version)
    stream = ask(engine, voices[0], str(tmp_path / "a.wav") if out else None, stream_return=True)
    assert inspect.isgenerator(stream)
    parts = list(stream)
    (request,) = requests(seen)
    facts = request.attributes
    assert said(seen, request) == [*BEFORE, *segment, *segment, "postprocess"]
    assert facts[names.STREAM] is True and facts[names.STREAM_CHUNKS] == len(parts) == 4
    assert facts[names.AUDIO_DURATION] == pytest.approx(sum(part.shape[1] for part in parts) / 22050)
    assert facts[names.AUDIO_PEAK] == pytest.approx(0.3, rel=1e-2), "PCM values are floats here"


@pytest.mark.parametrize("version", ["2", "2.5"])
def test_a_stream_that_is_dropped_or_never_begun(world, hook, voices, version) -> None:
    hook()
    seen, engine = world(), make(version)
    next(ask(engine, voices[0], stream_return=True))
    ask(engine, voices[0], stream_return=True)
    outcomes = [request.attributes[names.OUTCOME] for request in requests(seen)]
    assert outcomes == ["cancelled", "cancelled"] and not seen.recorder.open


@pytest.mark.parametrize("version", ["2", "2.5"])
def test_none_is_an_error_with_the_exception_that_infer_swallowed(world, hook, voices, version) -> None:
    hook()
    seen, engine = world(), make(version)
    engine.gpt.codes_per_token = 0
    assert ask(engine, voices[0]) is None
    (request,) = requests(seen)
    assert request.attributes[names.OUTCOME] == "error" and request.attributes[names.ERROR_TYPE] == "IndexError"
    assert [event.attributes["code.function.name"] for event in request.events] == ["infer_generator"]
    bad = [span.name for span in spans_of(seen, request) if not span.status.is_unset]
    assert bad == ["tts.acoustic_model"]
    with pytest.raises(IndexError):
        list(ask(engine, voices[0], stream_return=True))
    assert requests(seen)[1].attributes[names.ERROR_TYPE] == "IndexError"


def test_an_argument_that_the_engine_does_not_know(world, hook, voices) -> None:
    """What v2 does with 2.5's ``duration_factor``, which upstream's page gives it."""
    hook()
    seen, engine = world(), make("2")
    with pytest.raises(ValueError, match="duration_factor"):
        ask(engine, voices[0], duration_factor=1.0)
    (request,) = requests(seen)
    assert request.attributes[names.OUTCOME] == "error" and request.attributes[names.ERROR_TYPE] == "ValueError"


def test_the_fast_way_counts_its_segments_and_batches(world, hook, voices) -> None:
    hook()
    seen, engine = world(), make("1.5")
    engine.infer_fast(voices[0], TEXT * 3, None, segments_bucket_max_size=4)
    (request,) = requests(seen)
    steps = said(seen, request)
    assert request.attributes[names.SEGMENT_COUNT] == 6
    assert steps[:3] == [*BEFORE, "acoustic_model"] and steps[-1] == "postprocess"
    assert [steps.count(name) for name in ("gpt", "gpt_forward", "vocoder")] == [2, 6, 3]


def test_parts_that_low_vram_joins_are_one_request(world, hook, voices, tmp_path) -> None:
    hook()
    seen, engine = world(), make("2.5", low_vram=True)
    path = str(tmp_path / "a.wav")
    ask(engine, voices[0], path, text=TEXT * 2)
    rate, samples = ask(engine, voices[0], text=TEXT * 2)
    for request in requests(seen):
        assert request.attributes[names.TEXT_LENGTH] == len(TEXT * 2)
        assert said(seen, request).count("vocoder") == request.attributes[names.SEGMENT_COUNT]
        assert request.attributes[names.AUDIO_DURATION] == pytest.approx(len(samples) / rate)
    assert soundfile.info(path).frames == len(samples)
    assert len(requests(seen)) == 2


BAD = {
    "missing": lambda path: None,
    "no audio": lambda path: path.write_bytes(b"quincebread" * 1000),
    "empty": lambda path: path.write_bytes(b""),
}
GOOD = {
    "8 bit": lambda path: soundfile.write(path, np.zeros(8000), 8000, "PCM_U8"),
    "stereo 96 kHz": lambda path: soundfile.write(path, np.zeros((96000, 2)), 96000, "PCM_24"),
    "an hour": lambda path: soundfile.write(path, np.zeros(8000 * 3600, np.int16), 8000),
}
SECONDS = {"8 bit": 1.0, "stereo 96 kHz": 1.0, "an hour": 3600.0}
RATES = {"8 bit": 8000, "stereo 96 kHz": 96000, "an hour": 8000}


@pytest.mark.parametrize("version", ["1.5", "2", "2.5"])
@pytest.mark.parametrize("kind", BAD)
def test_a_reference_that_cannot_be_read(world, hook, tmp_path, version, kind) -> None:
    hook()
    path = tmp_path / "purpleotter.wav"
    BAD[kind](path)
    seen, engine = world(), make(version)
    with pytest.raises(soundfile.LibsndfileError):
        ask(engine, str(path))
    (request,) = requests(seen)
    assert request.attributes[names.OUTCOME] == "error"
    assert request.attributes[names.ERROR_TYPE] == "soundfile.LibsndfileError"
    assert [(span.name, span.status.is_unset) for span in spans_of(seen, request)] == [("tts.reference_encode", False)]
    assert "purpleotter" not in repr(seen.shown_spans()) + repr(seen.lines())


@pytest.mark.parametrize("kind", GOOD)
def test_a_reference_is_known_by_its_header_alone(world, hook, tmp_path, kind) -> None:
    hook()
    path = tmp_path / "purpleotter.wav"
    GOOD[kind](path)
    seen, engine = world(), make("2")
    ask(engine, str(path))
    (request,) = requests(seen)
    assert request.attributes[names.REFERENCE_DURATION] == pytest.approx(SECONDS[kind])
    assert request.attributes["tts.reference.sample_rate"] == RATES[kind]
    assert request.attributes["tts.reference.size"] == path.stat().st_size
    assert "purpleotter" not in repr(seen.shown_spans()) + repr(seen.lines())


TEXTS = {
    "emoji": "😀😀. 👩‍👩‍👧!",
    "right to left": "שלום עולם. مرحبا؟",
    "control": "a\x00b\x07 \x1b[31mc.\u202e",
    "surrogate": "a \ud800 b.",
    "a million": "word. " * 170_000,
}


@pytest.mark.parametrize("version", ["1.5", "2", "2.5"])
@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_nobody_expects(world, hook, voices, monkeypatch, version, kind) -> None:
    """Of a long text the request is bounded, whatever the number of its segments."""
    hook()
    seen, engine = world(max_stage_spans=50), make(version)
    if kind == "a million":  # the front end has all of it, the models a hundred segments
        split = "split_text_by_tokens" if version == "2.5" else "split_segments"
        owner = type(engine) if version == "2.5" else type(engine.tokenizer)
        whole = vars(owner)[split]
        monkeypatch.setattr(owner, split, lambda *args, **kwargs: whole.__get__(args[0])(*args[1:], **kwargs)[:100])
    result = ask(engine, voices[0], text=TEXTS[kind])
    assert result is not None
    (request,) = requests(seen)
    assert request.attributes[names.TEXT_LENGTH] == len(TEXTS[kind])
    assert request.attributes[names.OUTCOME] in ("ok", "anomalous")
    assert len(spans_of(seen, request)) <= 60 and guard.faults == {}


@pytest.mark.parametrize("version", ["1.5", "2"])
def test_an_empty_text_fails_as_it_did(world, hook, voices, version) -> None:
    with pytest.raises(ValueError) as expected:
        ask(make(version), voices[0], text="")
    hook()
    seen = world()
    with pytest.raises(ValueError) as raised:
        ask(make(version), voices[0], text="")
    assert str(raised.value) == str(expected.value)
    assert requests(seen)[0].attributes[names.OUTCOME] == "error"


@pytest.mark.parametrize("version", ["1.5", "2", "2.5"])
def test_two_requests_at_once_share_the_engine_and_nothing_else(world, hook, voices, version) -> None:
    hook()
    seen, engine, barrier = world(), make(version), threading.Barrier(2, timeout=30)
    speak = engine.gpt.inference_speech

    def meet(*args: Any, **kwargs: Any) -> Any:
        barrier.wait()
        return speak(*args, **kwargs)

    engine.gpt.inference_speech = meet
    with ThreadPoolExecutor(2) as pool:
        assert None not in list(pool.map(ask, [engine] * 2, voices))
    found = requests(seen)
    assert len({request.context.trace_id for request in found}) == 2
    for request in found:
        steps = said(seen, request)
        assert steps[-1] == "postprocess" and steps.count("vocoder") == 2 and steps.count("acoustic_model") == 2
        spans = {span.context.span_id for span in spans_of(seen, request)} | {request.context.span_id}
        assert all(span.parent.span_id in spans for span in spans_of(seen, request))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", ["subclass", "class", "instance"])
def test_an_engine_that_its_user_has_changed(world, hook, voices, when, way) -> None:
    """A page that counts its requests, before our hooks are set or after; both see each request once."""
    calls: list[str] = []

    def change() -> Any:
        module = importlib.import_module("indextts.infer_v2")
        original = module.IndexTTS2.infer

        def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append("infer")
            return original.__get__(self)(*args, **kwargs)

        if way == "subclass":
            return type("Mine", (module.IndexTTS2,), {"infer": counted})()
        if way == "class":
            module.IndexTTS2.infer = counted
            return module.IndexTTS2()
        engine = module.IndexTTS2()
        engine.infer = counted.__get__(engine)
        return engine

    seen = world()
    if when == "before":
        engine = change()
        hook()
    else:
        hook()
        importlib.import_module("indextts.infer_v2")
        engine = change()
    assert engine.infer(spk_audio_prompt=voices[0], text=TEXT, output_path=None) is not None
    assert calls == ["infer"]
    (request,) = requests(seen)
    assert said(seen, request) == [*BEFORE, *V2, *V2, "postprocess"]


def test_the_progress_bar_of_a_page_still_moves(world, hook, voices) -> None:
    hook()
    world()
    seen: list[tuple[float, str]] = []
    engine = make("2.5")
    engine.gr_progress = lambda value, desc: seen.append((value, desc))
    ask(engine, voices[0])
    assert [value for value, _ in seen] == pytest.approx([0, 0.1, 0.2, 0.55, 0.9])


def test_the_package_of_the_same_module_has_a_table_of_its_own(world, hook, voices, tmp_path, monkeypatch) -> None:
    """indextts2-inference: ``indextts.infer_v2`` too, without marks, with floats of full scale 1."""
    monkeypatch.syspath_prepend(STANDINS / "wheel")
    first, second = voices

    def speak() -> list[bytes]:
        engine, path = make("2"), str(tmp_path / "a.wav")
        assert ask(engine, first, path) == path
        parts = list(ask(engine, first, stream_return=True))
        whole = ask(engine, first, emo_audio_prompt=second)[1]
        return [Path(path).read_bytes(), *(part.tobytes() for part in parts), whole.tobytes()]

    expected = speak()
    hook()
    seen = world()
    assert speak() == expected
    ask(make("2"), first, use_emo_text=True)
    written, streamed, emotional, guessed = requests(seen)
    said_in = [said(seen, request) for request in (written, streamed, emotional)]
    encode = ["reference_encode"]
    assert said_in == [
        [*encode * 2, "text_frontend", *V2, *V2, "postprocess"],
        ["text_frontend", *V2, *V2],
        [*encode, "text_frontend", *V2, *V2],
    ]
    assert said(seen, guessed)[:3] == ["emotion_from_text", "reference_encode", "reference_encode"]
    for request in (written, streamed, emotional):
        facts = request.attributes
        assert facts[names.AUDIO_PEAK] == pytest.approx(0.3, rel=1e-2) and facts[names.OUTCOME] == "ok"
        assert facts[names.SEGMENT_COUNT] == 2
    engine = make("2")
    engine.gpt.codes_per_token = 0
    assert ask(engine, first) is None
    assert requests(seen)[-1].attributes[names.ERROR_TYPE] == "IndexError"
    assert guard.faults == {}


@pytest.mark.parametrize("version", ["1.5", "2", "2.5"])
def test_codes_at_the_limit_were_cut(world, hook, voices, version) -> None:
    hook()
    engine, seen = make(version), world()
    ask(engine, voices[0])
    ask(engine, voices[0], max_mel_tokens=7)
    if version == "1.5":
        engine.infer_fast(voices[0], TEXT, None, max_mel_tokens=7)
    whole, *cut = requests(seen)
    assert whole.attributes[names.FINISH_REASON] == "stop"
    assert 7 < whole.attributes[names.GENERATION_STEPS] < whole.attributes[names.GENERATION_LIMIT]
    for request in cut:
        assert request.attributes[names.FINISH_REASON] == "length"
        assert request.attributes[names.GENERATION_STEPS] == request.attributes[names.GENERATION_LIMIT] == 7
        assert names.Anomaly.LIMIT_REACHED in request.attributes[names.AUDIO_ANOMALY]
        assert {span.attributes.get(names.FINISH_REASON) for span in spans_of(seen, request)} == {None, "length"}
