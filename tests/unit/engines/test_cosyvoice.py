# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""CosyVoice's table on a stand-in of its structure: a language model in its own thread under chunks of a stream."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_tts import guard, names
from otel_tts.engines import cosyvoice
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.check.survey import look
from otel_tts.instrumentation.calls import seam as seams
from otel_tts.instrumentation.libraries import threads
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

CHECKOUT = Path(__file__).parents[2] / "standins" / "cosyvoice"
TEXT = "Hello there. How are you today?"
CLASSES = ["CosyVoice", "CosyVoice2", "CosyVoice3"]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in can be imported, and is imported anew; threads carry the trace as under the launcher."""
    monkeypatch.syspath_prepend(CHECKOUT)
    threads.install()
    yield
    threads.uninstall()
    for name in [name for name in sys.modules if name.partition(".")[0] == "cosyvoice"]:
        del sys.modules[name]


@pytest.fixture(params=CLASSES)
def engine(request: pytest.FixtureRequest) -> Any:
    watch(cosyvoice.ENGINE)
    return getattr(importlib.import_module("cosyvoice.cli.cosyvoice"), request.param)("models")


def chunks(generator: Any) -> list[np.ndarray]:
    return [item["tts_speech"] for item in generator]


def stages(seen: Any) -> list[str]:
    """Stages of the newest trace by their start."""
    spans = [span for span in seen.drain().spans if names.STAGE in span.attributes]
    return [span.attributes[names.STAGE] for span in sorted(spans, key=lambda span: (span.start_time, span.name))]


def test_nothing_of_the_table_is_missing() -> None:
    status = look(replace(cosyvoice.ENGINE, distribution="pytest"), Installed())  # any that is installed
    assert status.lacking == ()


def test_a_call_has_a_language_model_for_each_segment(world, engine) -> None:
    seen = world()
    made = np.concatenate(chunks(engine.inference_sft(TEXT, "anna")), axis=1)
    assert stages(seen).count("acoustic_model") == 2
    assert set(stages(seen)) == {"text_frontend", "acoustic_model", "llm", "flow", "vocoder"}
    (root,) = [span for span in seen.spans if span.name.startswith("text_to_speech")]
    assert root.attributes[names.SEGMENT_COUNT] == 2
    assert root.attributes[names.MODEL] == type(engine).__name__.lower()
    assert root.attributes[names.TEXT_LENGTH] == len(TEXT)
    assert root.attributes[names.VOICE_SOURCE] == "preset"
    assert root.attributes[names.AUDIO_SAMPLE_RATE] == engine.sample_rate
    assert root.attributes[names.AUDIO_DURATION] == pytest.approx(made.shape[1] / engine.sample_rate)
    assert root.attributes[names.DEVICE] == "cpu"
    parents = {root.context.span_id, *(each.context.span_id for each in seen.spans if "acoustic" in each.name)}
    assert {span.parent.span_id for span in seen.spans if span is not root} == parents
    assert {span.context.trace_id for span in seen.spans} == {root.context.trace_id}


def test_a_reference_is_encoded_and_its_name_does_not_leave(world, engine) -> None:
    seen = world()
    chunks(engine.inference_zero_shot(TEXT, "secret words", "/voices/purpleotter.wav"))
    assert stages(seen).count("reference_encode") == 3 * 2
    assert "purpleotter" not in str([span.to_json() for span in seen.spans])
    assert "secret" not in str([span.to_json() for span in seen.spans])


def test_while_the_model_thinks_in_its_thread_chunks_are_made(world, engine) -> None:
    """The thread holds its last token back until the caller has the first chunk: the stages must overlap."""
    seen, first = world(), threading.Event()
    text = "twelve chars"
    engine.model.between_tokens = lambda number: first.wait(10) if number == len(text) - 1 else None
    stream = engine.inference_sft(text, "anna", stream=True)
    next(stream)
    first.set()
    rest = chunks(stream)
    assert len(rest) == 3
    assert engine.model.threads != [threading.get_ident()]
    seen.drain()
    model, flow, vocoder = (seen.span(f"tts.{stage}") for stage in ("acoustic_model", "flow", "vocoder"))
    (root,) = [span for span in seen.spans if span.name.startswith("text_to_speech")]
    assert model.parent.span_id == flow.parent.span_id == vocoder.parent.span_id == root.context.span_id
    assert flow.attributes[names.STAGE_SEGMENTS] == vocoder.attributes[names.STAGE_SEGMENTS] == 4
    assert root.attributes[names.STREAM_CHUNKS] == 4
    assert root.attributes[names.TIME_TO_FIRST_BYTE] * 1e9 + root.start_time < model.end_time
    assert root.attributes[names.OUTCOME] == "ok"


def test_more_chunks_make_no_more_spans(world, engine) -> None:
    seen = world()
    chunks(engine.inference_sft("short text", "anna", stream=True))
    few = len(seen.drain().spans)
    chunks(engine.inference_sft("a text that is many times as long as the one before it", "anna", stream=True))
    assert len(seen.drain().spans) == 2 * few


def test_what_the_thread_raises_is_the_requests_error(world, engine, monkeypatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    seen, engine.model.fail_at = world(), 3
    assert chunks(engine.inference_sft("twelve chars", "anna"))[0].shape[1] == 3 * 240
    assert raised == [RuntimeError]
    seen.drain()
    assert seen.span("tts.acoustic_model").attributes[names.ERROR_TYPE] == "RuntimeError"
    (root,) = [span for span in seen.spans if span.name.startswith("text_to_speech")]
    assert root.attributes[names.OUTCOME] == "error"
    assert root.attributes[names.ERROR_TYPE] == "RuntimeError"
    assert not guard.faults


def test_a_stream_that_is_closed_is_cancelled_and_its_thread_still_belongs_to_it(world, engine) -> None:
    seen, go_on = world(), threading.Event()
    engine.model.between_tokens = lambda number: go_on.wait(10) if number == 8 else None
    stream = engine.inference_sft("twelve chars", "anna", stream=True)
    next(stream)
    stream.close()
    go_on.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "llm_job" in thread.name:
            thread.join()
    seen.drain()
    (root,) = [span for span in seen.spans if span.name.startswith("text_to_speech")]
    assert root.attributes[names.OUTCOME] == "cancelled"
    assert seen.span("tts.acoustic_model").context.trace_id == root.context.trace_id


def test_requests_at_once_do_not_meet(world, engine) -> None:
    seen = world()
    together = threading.Barrier(3)

    def ask() -> None:
        together.wait(10)
        chunks(engine.inference_sft("twelve chars", "anna", stream=True))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    seen.drain()
    traces: dict[int, list[str]] = {}
    for span in seen.spans:
        traces.setdefault(span.context.trace_id, []).append(span.name.split(" ")[0])
    each = "acoustic_model", "llm", "flow", "vocoder", "text_frontend", "text_frontend"
    expected = sorted(["text_to_speech", *(f"tts.{stage}" for stage in each)])
    assert [sorted(trace) for trace in traces.values()] == [expected] * 3


@pytest.mark.parametrize(("stops", "reason"), [(True, "stop"), (False, "length")])
@pytest.mark.parametrize("stream", [True, False])
def test_why_the_language_model_stopped(world, engine, stops, reason, stream) -> None:
    seen = world()
    engine.model.llm.stops = stops
    chunks(engine.inference_sft("twelve chars", "anna", stream=stream))
    (root,) = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    facts = root.attributes
    assert (facts[names.FINISH_REASON], facts[names.GENERATION_LIMIT]) == (reason, 12 * 20)
    assert facts[names.GENERATION_STEPS] == (12 if stops else 12 * 20)


def test_text_that_is_a_stream_itself_is_not_consumed(world, engine) -> None:
    if type(engine).__name__ == "CosyVoice":
        pytest.skip("version 1 takes no text in pieces")
    seen = world()
    made = chunks(engine.inference_sft((part for part in ("twelve", " chars")), "anna"))
    assert sum(chunk.shape[1] for chunk in made) == 12 * 240
    (root,) = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    assert names.TEXT_LENGTH not in root.attributes and names.FINISH_REASON not in root.attributes


def test_the_audio_is_the_same_without_hooks(world, engine) -> None:
    world()
    streamed, whole = (chunks(engine.inference_sft(TEXT, "anna", stream=stream)) for stream in (True, False))
    undo(HOOKS)
    for made, stream in ((streamed, True), (whole, False)):
        plain = chunks(engine.inference_sft(TEXT, "anna", stream=stream))
        assert np.concatenate(made, axis=1).tobytes() == np.concatenate(plain, axis=1).tobytes()


def test_a_cuda_stream_of_the_models_own_is_where_its_time_is_taken(world, engine, monkeypatch) -> None:
    seen, wheres = world(), []
    ours = object()
    run = seams.run_stage
    monkeypatch.setattr(seams, "run_stage", lambda *a, **k: wheres.append((a[0], k["device"])) or run(*a, **k))

    class Context:
        stream = ours

        def __enter__(self) -> None: ...

        def __exit__(self, *args: object) -> None: ...

    engine.model.llm_context = Context()
    chunks(engine.inference_sft("twelve chars", "anna"))
    assert ("acoustic_model", (ours,)) in wheres
    seen.drain()
