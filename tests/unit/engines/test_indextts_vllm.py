# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of index-tts-vllm on a stand-in of its structure, with one of vLLM's asynchronous engine."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otel_tts import guard, names
from otel_tts.engines.indextts import vllm
from otel_tts.instrumentation.tables import watch

TEXT = "Hello there. How are you today?"
SENTENCE = ["acoustic_model", "gpt", "remote", "gpt_forward", "s2mel", "vocoder"]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "standins" / "indextts" / "checkout")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("indextts", "vllm")]:
        del sys.modules[name]


@pytest.fixture
def voice(tmp_path: Path) -> str:
    path = tmp_path / "purpleotter.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(44100) * 0.06), 22050)
    return str(path)


def make(hooked: bool = True) -> Any:
    if hooked:
        watch(vllm.ENGINE)
    return importlib.import_module("indextts.infer_vllm_v2").IndexTTS2()


def ask(engine: Any, voice: str, text: str = TEXT, **options: Any) -> Any:
    return engine.infer(spk_audio_prompt=voice, text=text, output_path=None, **options)


def requests(seen: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if names.OUTCOME in span.attributes]
    return sorted(found, key=lambda span: span.start_time)


def stages(seen: Any, request: Any) -> list[Any]:
    found = [span for span in seen.drain().spans if span.context.trace_id == request.context.trace_id]
    found = [span for span in found if names.STAGE in span.attributes]
    return sorted(found, key=lambda span: (span.start_time, -span.end_time))


def test_the_audio_is_the_same_and_each_stage_is_where_it_belongs(world, voice) -> None:
    expected = asyncio.run(ask(make(False), voice))[1]
    seen = world()
    rate, samples = asyncio.run(ask(make(), voice))
    assert samples.tobytes() == expected.tobytes()
    (root,) = requests(seen)
    facts = root.attributes
    assert facts[names.OUTCOME] == "ok" and facts[names.TEXT_LENGTH] == len(TEXT)
    assert facts[names.AUDIO_DURATION] == pytest.approx(len(samples) / rate)
    assert facts[names.VOICE_SOURCE] == "reference" and facts[names.REFERENCE_CACHE_HIT] is False
    found = stages(seen, root)
    said = [span.attributes[names.STAGE] for span in found]
    count = said.count("acoustic_model")
    assert said == ["reference_encode", "reference_encode", "text_frontend", *SENTENCE * count]
    by_id = {span.context.span_id: span.attributes[names.STAGE] for span in found}
    around = {span.attributes[names.STAGE]: by_id.get(span.parent.span_id) for span in found}
    assert around["gpt"] == around["gpt_forward"] == around["s2mel"] == "acoustic_model"
    assert around["remote"] == "gpt" and around["vocoder"] is None
    assert {span.kind.name for span in found if span.attributes[names.STAGE] == "remote"} == {"CLIENT"}
    assert not guard.faults


def test_references_that_were_made_before(world, voice) -> None:
    made, seen = make(), world()
    spoken = ask(made, voice, spk_cache=made.precompute_speaker(voice), emo_cache=made.precompute_emotion(voice))
    asyncio.run(spoken)
    (root,) = requests(seen)
    assert root.attributes[names.REFERENCE_CACHE_HIT] is True
    assert "reference_encode" not in [span.attributes[names.STAGE] for span in stages(seen, root)]


@pytest.mark.parametrize(("most", "reason"), [(2048, "stop"), (4, "length")])
def test_the_server_says_why_it_ended(world, voice, most, reason) -> None:
    made, seen = make(), world()
    made.gpt.max_tokens = most
    asyncio.run(ask(made, voice))
    (root,) = requests(seen)
    assert root.attributes[names.FINISH_REASON] == reason
    assert root.attributes[names.GENERATION_LIMIT] == most
    assert (names.Anomaly.LIMIT_REACHED in root.attributes.get(names.AUDIO_ANOMALY, ())) is (reason == "length")


def test_requests_at_once_keep_their_stages(world, voice) -> None:
    made, seen = make(), world()

    async def both() -> None:
        await asyncio.gather(ask(made, voice), ask(made, voice, "Short."))

    asyncio.run(both())
    roots = requests(seen)
    assert len({root.context.trace_id for root in roots}) == 2
    for root in roots:
        said = [span.attributes[names.STAGE] for span in stages(seen, root)]
        assert said.count("gpt") == said.count("remote") == said.count("vocoder") >= 1


def test_a_request_that_is_cancelled(world, voice) -> None:
    made, seen = make(), world()

    async def leave() -> None:
        task = asyncio.create_task(ask(made, voice))
        for _ in range(4):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "cancelled" and root.attributes[names.FINISH_REASON] == "aborted"


def test_a_server_that_is_gone_is_an_error(world, voice, monkeypatch) -> None:
    made, seen = make(), world()
    monkeypatch.setattr(made.tokenizer, "convert_tokens_to_ids", lambda tokens: [-1])
    with pytest.raises(RuntimeError):
        asyncio.run(ask(made, voice))
    (root,) = requests(seen)
    assert root.attributes[names.OUTCOME] == "error"
    (remote,) = (span for span in stages(seen, root) if span.attributes[names.STAGE] == "remote")
    assert remote.attributes[names.ERROR_TYPE] == "RuntimeError"


def test_nothing_that_was_said_leaves(telemetry, voice) -> None:
    asyncio.run(ask(make(), voice, "Purpleotter.", use_emo_text=True, emo_text="purpleotter"))
    told = telemetry.everything()
    assert "indextts-2-vllm" in told and "purpleotter" not in told.lower()
