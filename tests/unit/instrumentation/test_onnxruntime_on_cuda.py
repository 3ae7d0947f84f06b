# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""onnxruntime with the CUDA provider: the host's clock, at the provider's own synchronisation, and said so.

The sessions are the real ones on the CPU; what they say they run on is not true.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import otel_tts
from otel_tts import names
from otel_tts.device.clocks.events import Events
from otel_tts.device.fallback import sessions
from otel_tts.device.torch.graphs import CaptureGuard
from otel_tts.engines import hibari, piper
from otel_tts.instrumentation.libraries.onnxruntime import NOT_AWAITED, PROVIDER_WAITS, _run, watch_onnxruntime
from otel_tts.instrumentation.tables import watch
from tests.unit.support.fakecuda import FakeCuda

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TEXT = "The ship sails at nine. Bring a warm coat, please."


def claim(session: Any, providers: list[str]) -> Any:
    """Let a real session say that it runs on `providers`."""
    session.get_providers = lambda: providers
    return session


@pytest.fixture
def hooks() -> None:
    pytest.importorskip("onnxruntime")
    watch(hibari.ENGINE)
    watch(piper.ENGINE)
    watch_onnxruntime()


@pytest.fixture
def seen(world: Any) -> Any:
    """A service whose events clock has a device."""
    made, device = world(clock="host"), FakeCuda()
    made.recorder.clock = Events(lambda: device, now=device.perf_ns, guard=CaptureGuard())
    return made


def statuses(seen: Any) -> dict[str, set[Any]]:
    """Of each kind of stage the clocks that were used, with what they say."""
    found: dict[str, set[Any]] = {}
    for span in seen.drain().spans:
        if span.name.startswith(names.STAGE_PREFIX):
            said = span.attributes[names.TIMING_MODE], span.attributes.get(names.TIMING_STATUS)
            found.setdefault(span.name, set()).add(said)
            assert names.GPU_ELAPSED not in span.attributes
    return found


def test_hibari_says_where_its_times_come_from(hooks, seen, tts) -> None:
    claim(tts.sess, [CUDA, CPU])
    try:
        tts(TEXT, seed=1)
    finally:
        del tts.sess.get_providers
    assert statuses(seen) == {
        "tts.text_frontend": {("host", None)},
        "tts.acoustic_model": {("host", PROVIDER_WAITS)},
        "tts.vocoder": {("host", None)},
    }
    assert seen.span("text_to_speech hibari").attributes[names.DEVICE] == "cuda"


def test_piper_says_where_its_times_come_from(hooks, seen, joe) -> None:
    claim(joe.session, [CUDA, CPU])
    try:
        assert list(joe.synthesize(TEXT))
    finally:
        del joe.session.get_providers
    assert statuses(seen) == {"tts.text_frontend": {("host", None)}, "tts.model": {("host", PROVIDER_WAITS)}}
    assert seen.span("text_to_speech piper").attributes[names.DEVICE] == "cuda"


def test_on_the_cpu_there_is_nothing_to_say(hooks, seen, tts, joe) -> None:
    tts(TEXT, seed=1)
    assert list(joe.synthesize(TEXT))
    assert set().union(*statuses(seen).values()) == {("host", None)}
    said = {s.attributes[names.DEVICE] for s in seen.spans if names.OUTCOME in s.attributes}
    assert said == {"cpu"}


def test_an_engine_whose_session_leaves_the_device_is_marked_and_counted(hooks, seen, tts, monkeypatch) -> None:
    monkeypatch.setattr(sessions, "_wanted", weakref.WeakKeyDictionary())
    session = claim(tts.sess, providers := [CUDA, CPU])
    try:
        tts("One.", seed=1)
        providers.remove(CUDA)
        tts("Two.", seed=1)
    finally:
        del session.get_providers
    roots = [s.attributes for s in seen.drain().spans if names.OUTCOME in s.attributes]
    assert [(r[names.DEVICE], r.get(names.DEVICE_FALLBACK)) for r in roots] == [("cuda", None), ("cpu", True)]
    assert seen.points("tts.device.fallbacks") == {("hibari",): 1}


def test_a_real_session_that_asks_for_cuda_in_vain(hooks, seen, tts) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnxruntime's own, and the only sign that it gives
        session = onnxruntime.InferenceSession(tts.model_path, providers=[CUDA, CPU])
    with otel_tts.synthesis("mine"):
        session.run(None, {"ids": np.array([tts.ids("həlˈO.")], np.int64), "speed": np.array([1.0], np.float32)})
    root = seen.drain().span("text_to_speech mine").attributes
    assert root[names.DEVICE_FALLBACK] is True and names.DEVICE not in root


class OnCuda:
    """Stands for a session of those providers."""

    def __init__(self, providers: list[str]) -> None:
        self._providers = providers

    def get_providers(self) -> list[str]:
        return self._providers


class Options:
    """As onnxruntime.RunOptions, whose entries raise where they are not set."""

    def __init__(self, **entries: str) -> None:
        self._entries = entries

    def get_run_config_entry(self, key: str) -> str:
        return self._entries[key]


def run(session: Any, *args: Any, **kwargs: Any) -> Any:
    return _run(lambda *_, **__: "result", session, args, kwargs)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (None, PROVIDER_WAITS),
        (Options(), PROVIDER_WAITS),
        (Options(disable_synchronize_execution_providers="0"), PROVIDER_WAITS),
        (Options(disable_synchronize_execution_providers="1"), NOT_AWAITED),
    ],
)
def test_a_run_that_does_not_wait_says_so(seen, options: Any, status: str) -> None:
    with otel_tts.synthesis("mine"):
        assert run(OnCuda([CUDA, CPU]), None, {}, options) == "result"
        assert run(OnCuda([CUDA, CPU]), None, {}, run_options=options) == "result"
    assert statuses(seen) == {"tts.model": {("host", status)}}
    assert seen.span("text_to_speech mine").attributes[names.DEVICE] == "cuda"


def test_a_stage_on_the_devices_clock_needs_no_excuse(seen) -> None:
    with otel_tts.synthesis("mine"), otel_tts.stage("model"):
        run(OnCuda([CUDA, CPU]))
    assert names.TIMING_STATUS not in seen.drain().span("tts.model").attributes


@pytest.mark.parametrize(
    ("providers", "device"),
    [
        ([CUDA, CPU], "cuda"),
        (["TensorrtExecutionProvider", CUDA, CPU], "cuda"),
        (["ROCMExecutionProvider", CPU], "rocm"),
        (["DmlExecutionProvider", CPU], "dml"),
        (["XnnpackExecutionProvider", CPU], "cpu"),
        ([CPU], "cpu"),
        ([], None),
    ],
)
def test_what_a_session_runs_on(providers: list[str], device: str | None) -> None:
    assert sessions.device(OnCuda(providers)) == device
