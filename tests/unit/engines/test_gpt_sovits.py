# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""GPT-SoVITS' table on a stand-in of its structure: two module names, methods assigned anew, batches, streams."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_tts import guard, names
from otel_tts.engines import gpt_sovits
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

ROOT = Path(__file__).parents[2] / "standins" / "gpt_sovits"
TEXT = "Hello there. How are you today?"
SPELLINGS = ["TTS_infer_pack.TTS", "GPT_SoVITS.TTS_infer_pack.TTS"]
OF_CHECKOUT = ("GPT_SoVITS", "TTS_infer_pack", "AR", "module", "sv")


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both the checkout and the folder in it are on the path, as its server has it."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(ROOT / "GPT_SoVITS")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in OF_CHECKOUT]:
        del sys.modules[name]


@pytest.fixture
def voice(tmp_path: Path) -> str:
    path = tmp_path / "purpleotter.wav"
    path.write_bytes(b"RIFF")
    return str(path)


@pytest.fixture(params=SPELLINGS)
def pipeline(request: pytest.FixtureRequest) -> Any:
    watch(gpt_sovits.ENGINE)
    return importlib.import_module(request.param).TTS()


def ask(pipeline: Any, voice: str, **changes: Any) -> Any:
    return pipeline.run({"text": TEXT, "text_lang": "en", "ref_audio_path": voice, "prompt_text": "secret", **changes})


def root_of(seen: Any) -> Any:
    (root,) = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    return root


def stages(seen: Any) -> list[str]:
    return [span.attributes[names.STAGE] for span in seen.drain().spans if names.STAGE in span.attributes]


def test_nothing_of_the_table_is_missing() -> None:
    status = look(replace(gpt_sovits.ENGINE, distribution="pytest"), Installed())  # any that is installed
    assert status.lacking == ()


def test_the_server_takes_one_item_and_drops_the_generator(world, pipeline, voice) -> None:
    """It is over with that item, even where the collector never comes by, and it was not cancelled."""
    seen, generator = world(), ask(pipeline, voice)
    rate, samples = next(generator)
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "ok"
    assert root.attributes[names.AUDIO_SAMPLE_RATE] == rate == 32000
    assert root.attributes[names.AUDIO_DURATION] == pytest.approx(len(samples) / 32000)
    assert root.attributes[names.TEXT_LENGTH] == len(TEXT)
    assert root.attributes[names.TEXT_LANGUAGE] == "en"
    assert root.attributes[names.MODEL] == "gpt-sovits-v2"
    assert names.STREAM_CHUNKS not in root.attributes
    del generator
    gc.collect()
    assert pipeline.emptied == 1
    assert len([span for span in seen.drain().spans if span.name.startswith("text_to_speech")]) == 1


def test_the_page_takes_all_there_is(world, pipeline, voice) -> None:
    seen = world()
    assert len(list(ask(pipeline, voice))) == 1
    assert root_of(seen).attributes[names.OUTCOME] == "ok"
    assert pipeline.emptied == 1


@pytest.mark.parametrize(("parallel", "spans"), [(True, 1), (False, 1)])
def test_a_batch_of_sentences_is_one_stage_that_counts_them(world, pipeline, voice, parallel, spans) -> None:
    seen = world()
    list(ask(pipeline, voice, parallel_infer=parallel, batch_size=2))
    root = root_of(seen)
    (batch,) = [
        span for span in seen.spans
        if span.name == "tts.acoustic_model" and span.parent.span_id == root.context.span_id
    ]  # fmt: skip
    assert batch.attributes[names.STAGE_SEGMENTS] == 2
    assert root.attributes[names.SEGMENT_COUNT] == 2


@pytest.mark.parametrize("prompt", ["secret", ""])
@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(("most", "reason"), [(54, "stop"), (0.1, "length")])
def test_why_the_language_model_stopped(world, pipeline, voice, prompt, parallel, most, reason) -> None:
    """Steps of the longest sentence, with a prompt one of which is the end's."""
    seen = world()
    pipeline.configs.max_sec = most
    list(ask(pipeline, voice, parallel_infer=parallel, batch_size=2, prompt_text=prompt))
    facts = root_of(seen).attributes
    limit = 1500 if most == 54 else int(50 * most) + 1
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_LIMIT]) == (reason, limit)
    assert (facts[names.GENERATION_STEPS] == limit) is (reason == "length")


def test_a_stream_does_not_say_why(world, pipeline, voice) -> None:
    seen = world()
    list(ask(pipeline, voice, streaming_mode=True))
    assert names.FINISH_REASON not in root_of(seen).attributes


def test_a_generator_that_is_taken_one_item_from_is_a_stage_of_its_own(world, pipeline, voice) -> None:
    seen = world()
    list(ask(pipeline, voice, parallel_infer=False, batch_size=2))
    seen.drain()
    models = [span for span in seen.spans if span.name == "tts.acoustic_model"]
    assert len(models) == 3  # one batch, and its two sentences inside
    assert all(span.status.is_unset for span in models)


def test_a_method_that_is_assigned_anew_for_each_request_is_traced_each_time(world, pipeline, voice) -> None:
    seen = world()
    for mode in (
        {"parallel_infer": True},
        {"parallel_infer": False},
        {"streaming_mode": True},
        {"parallel_infer": True},
    ):
        list(ask(pipeline, voice, **mode))
    seen.drain()
    for root in [span for span in seen.spans if span.name.startswith("text_to_speech")]:
        inside = [span.name for span in seen.spans if span.context.trace_id == root.context.trace_id]
        assert "tts.acoustic_model" in inside
        assert "tts.vocoder" in inside


def test_a_reference_is_encoded_once(world, pipeline, voice) -> None:
    seen = world()
    list(ask(pipeline, voice))
    assert stages(seen).count("reference_encode") == 2
    assert root_of(seen).attributes[names.REFERENCE_CACHE_HIT] is False
    list(ask(pipeline, voice))
    assert stages(seen).count("reference_encode") == 2
    assert seen.spans[-1].attributes[names.REFERENCE_CACHE_HIT] is True
    assert "purpleotter" not in str([span.to_json() for span in seen.spans])
    assert "secret" not in str([span.to_json() for span in seen.spans])


@pytest.mark.parametrize("mode", ["streaming_mode", "return_fragment"])
def test_streams_are_streams(world, pipeline, voice, mode) -> None:
    seen = world()
    items = list(ask(pipeline, voice, **{mode: True}))
    root = root_of(seen)
    assert root.attributes[names.STREAM] is True
    assert root.attributes[names.STREAM_CHUNKS] == len(items) > 1
    assert root.attributes[names.AUDIO_DURATION] == pytest.approx(sum(len(samples) for _, samples in items) / 32000)
    assert root.attributes[names.OUTCOME] == "ok"


def test_more_chunks_make_no_more_spans(world, pipeline, voice) -> None:
    seen = world()
    list(ask(pipeline, voice, text="short", streaming_mode=True))
    few = len(seen.drain().spans)
    list(ask(pipeline, voice, text="a text that is many times as long", streaming_mode=True, ref_audio_path=""))
    assert len(seen.drain().spans) == 2 * few - 2  # the reference is there


def test_a_stream_that_is_dropped_is_cancelled(world, pipeline, voice) -> None:
    seen, generator = world(), ask(pipeline, voice, streaming_mode=True)
    next(generator)
    del generator
    assert root_of(seen).attributes[names.OUTCOME] == "cancelled"


def test_silence_after_an_exception_is_an_error(world, pipeline, voice) -> None:
    """The server answers with status 200 and that second of silence."""
    seen = world()
    pipeline.t2s_model.model.fail = RuntimeError("secret text")
    generator = ask(pipeline, voice)
    rate, samples = next(generator)
    assert (rate, samples.any()) == (16000, False)
    root = root_of(seen)
    assert root.attributes[names.OUTCOME] == "error"
    assert root.attributes[names.ERROR_TYPE] == "RuntimeError"
    assert [event.name for event in root.events] == ["exception"]
    assert "secret" not in root.to_json()
    with pytest.raises(RuntimeError, match="secret text"):
        next(generator)


def test_a_stream_that_goes_on_after_the_silence_raises_as_ever(world, pipeline, voice) -> None:
    seen = world()
    pipeline.t2s_model.model.fail = RuntimeError("secret text")
    with pytest.raises(RuntimeError, match="secret text"):
        list(ask(pipeline, voice, streaming_mode=True))
    root = root_of(seen)
    assert (root.attributes[names.OUTCOME], root.attributes[names.ERROR_TYPE]) == ("error", "RuntimeError")


def test_no_text_is_silence_without_an_error(world, pipeline, voice) -> None:
    seen = world()
    next(ask(pipeline, voice, text=""))
    assert root_of(seen).attributes[names.OUTCOME] == "anomalous"
    assert "silent" in root_of(seen).attributes[names.AUDIO_ANOMALY]


def test_a_wrong_request_is_refused(world, pipeline) -> None:
    seen = world()
    with pytest.raises(ValueError, match="cannot be empty"):
        next(ask(pipeline, ""))
    assert root_of(seen).attributes[names.OUTCOME] == "rejected"


def test_with_a_vocoder_of_its_own(world, pipeline, voice) -> None:
    seen = world()
    pipeline.configs.use_vocoder = True
    list(ask(pipeline, voice))
    assert "vocoder" in stages(seen)


def test_both_spellings_in_one_process_are_hooked_once(world, voice, caplog) -> None:
    seen = world()
    watch(gpt_sovits.ENGINE)
    with caplog.at_level(logging.WARNING, "otel_tts"):
        classes = [importlib.import_module(name).TTS for name in SPELLINGS]
    assert not caplog.records
    for pipeline in [cls() for cls in classes]:
        list(ask(pipeline, voice))
    names_of = [span.name.split(" ")[0] for span in seen.drain().spans]
    assert len([name for name in names_of if name == "text_to_speech"]) == 2
    assert len([name for name in names_of if name == "tts.vocoder"]) == 4  # one for each sentence
    assert not guard.faults


@pytest.mark.parametrize("mode", [{}, {"parallel_infer": False}, {"streaming_mode": True}, {"return_fragment": True}])
def test_the_audio_is_the_same_without_hooks(world, pipeline, voice, mode) -> None:
    world()
    made = list(ask(pipeline, voice, **mode))
    undo(HOOKS)
    plain = list(ask(pipeline, voice, **mode))
    assert [rate for rate, _ in made] == [rate for rate, _ in plain]
    assert np.concatenate([part for _, part in made]).tobytes() == np.concatenate([part for _, part in plain]).tobytes()
