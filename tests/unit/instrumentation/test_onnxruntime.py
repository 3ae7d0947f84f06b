# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A run of any onnxruntime session inside a synthesis is its model stage; elsewhere it is nothing."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import otel_tts
from otel_tts.instrumentation.libraries.onnxruntime import _MODULE, _RUNS, watch_onnxruntime


@pytest.fixture
def session(tts):
    """A session that the user runs himself, made before the hooks."""
    onnxruntime = pytest.importorskip("onnxruntime")
    made = onnxruntime.InferenceSession(tts.model_path, providers=["CPUExecutionProvider"])
    watch_onnxruntime()
    return made


@pytest.fixture
def feed(tts):
    return {"ids": np.array([tts.ids("həlˈO.")], np.int64), "speed": np.array([1.0], np.float32)}


def test_an_own_session_inside_an_own_synthesis_is_the_model_stage(world, session, feed) -> None:
    seen = world()
    with otel_tts.synthesis("mine"):
        inside = session.run(None, feed)
    assert seen.drain().names() == ["tts.model", "text_to_speech mine"]
    outside = session.run(None, feed)
    assert [array.tobytes() for array in inside] == [array.tobytes() for array in outside]
    assert seen.drain().names() == ["tts.model", "text_to_speech mine"]


def test_a_run_inside_a_stage_belongs_to_that_stage(world, session, feed) -> None:
    seen = world()
    with otel_tts.synthesis("mine"), otel_tts.stage("reference_encode"):
        session.run(None, feed)
    assert seen.drain().names() == ["tts.reference_encode", "text_to_speech mine"]


def test_the_other_way_of_running_a_session_is_a_stage_too(world, session, feed) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    seen = world()
    binding = session.io_binding()
    for name, value in feed.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in feed.items()}
    with otel_tts.synthesis("mine"):
        session.run_with_iobinding(binding)
        session.run_with_ort_values([session.get_outputs()[0].name], values)
    assert seen.drain().names() == ["tts.model", "tts.model", "text_to_speech mine"]
    assert seen.span("text_to_speech mine").attributes["tts.segment.count"] == 2


def test_a_run_that_fails_fails_as_it_did(world, session) -> None:
    seen = world()
    with pytest.raises(ValueError, match="ids"), otel_tts.synthesis("mine"):
        session.run(None, {})
    assert seen.drain().span("tts.model").attributes["error.type"] == "ValueError"


def test_the_path_of_the_model_leaves_nowhere(world, session, feed) -> None:
    seen = world()
    with otel_tts.synthesis("mine"):
        session.run(None, feed)
    assert session._model_path not in "".join(span.to_json() for span in seen.drain().spans)


def test_the_ways_of_running_a_session_are_there(caplog) -> None:
    """What the hook relies on in onnxruntime: the methods lie on `Session`, which InferenceSession inherits."""
    onnxruntime = pytest.importorskip("onnxruntime")
    with caplog.at_level(logging.WARNING, "otel_tts"):
        watch_onnxruntime()
    assert caplog.messages == []
    module = __import__(_MODULE, fromlist=["Session"])
    assert issubclass(onnxruntime.InferenceSession, module.Session)
    assert all(vars(module.Session)[run.removeprefix("Session.")] for run in _RUNS)
