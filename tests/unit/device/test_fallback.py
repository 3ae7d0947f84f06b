# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from otel_tts.device.fallback import FallbackWatch, Sessions, kind_of_device, sessions
from otel_tts.engines.table import Engine, Entry
from otel_tts.instrumentation.calls.entry import call_entry
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.instrumentation.libraries.onnxruntime import _make, _run
from tests.unit.support.faketorch import Device
from tests.unit.support.world import World

S = 1_000_000_000
KEY = ("e", "m", "vocoder")


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("cuda:0", "cuda"),
        ("cpu", "cpu"),
        ("CUDAExecutionProvider", "cuda"),
        (SimpleNamespace(type="mps", index=0), "mps"),
        (None, None),
        (3, None),
        ("a sentence that somebody spoke", None),
        ("显卡", None),
        ("x" * 40, None),
    ],
)
def test_kinds_of_devices(device: Any, kind: str | None) -> None:
    assert kind_of_device(device) == kind


def test_an_engine_that_says_cpu_after_it_said_cuda_fell_back() -> None:
    watch = FallbackWatch()
    assert not watch.engine(KEY, "cpu"), "it never ran elsewhere"
    assert not watch.engine(KEY, "cuda")
    assert not watch.engine(KEY, None)
    assert watch.engine(KEY, "cpu") and watch.engine(KEY, "cpu")
    assert not watch.engine(("other", "m"), "cpu")


def test_a_stage_that_left_the_device_for_good() -> None:
    watch = FallbackWatch()
    assert not any(watch.stage(KEY, True, S) for _ in range(8))
    assert [watch.stage(KEY, False, 3 * S) for _ in range(3)] == [True] * 3
    assert not watch.stage(KEY, True, S), "it is back: it goes now here, now there"
    assert not any(watch.stage(KEY, False, 3 * S) for _ in range(3))


def test_a_cache_hit_is_no_fallback() -> None:
    watch = FallbackWatch()
    for _ in range(20):
        watch.stage(KEY, True, S)
    assert not watch.stage(KEY, False, S // 10), "nothing of the device was needed, and it was fast"
    assert not watch.stage(KEY, False, 2 * S), "such a stage says nothing from then on"


def test_too_few_runs_say_nothing() -> None:
    watch = FallbackWatch()
    for _ in range(7):
        watch.stage(KEY, True, S)
    assert not watch.stage(KEY, False, 3 * S)


def speak(here: World, device: Device, on_device: bool, seconds: float = 1.0, fail: bool = False) -> None:
    synthesis = here.synthesis(gen_ai__request__model="m").start()
    stage = synthesis.stage("acoustic_model").open()
    if on_device:
        device.use_mib(10)
    device.clock.work(seconds * S)
    stage.close(ValueError() if fail else None)
    synthesis.finish()
    here.drain()


def test_through_the_recorder_the_span_says_it_and_a_metric_counts_it(here: World, device: Device) -> None:
    for _ in range(8):
        speak(here, device, on_device=True)
    speak(here, device, on_device=False, seconds=0.1, fail=True)  # broke off: that is why it was short
    assert here.points("tts.device.fallbacks") == {}
    speak(here, device, on_device=False, seconds=8)
    speak(here, device, on_device=False, seconds=8)
    said = [s.attributes.get("tts.device.fallback") for s in here.spans if s.name == "text_to_speech m"]
    assert said == [None] * 9 + [True, True]
    assert here.points("tts.device.fallbacks") == {("e",): 2}


class Speaker:
    def __init__(self, device: Any) -> None:
        self.device = device

    def speak(self, text: str) -> list[float]:
        return [0.0] * 100


def test_a_tables_device_is_read_at_each_call(here: World) -> None:
    entry = Entry("Speaker.speak", device="self.device", sample_rate=16_000)
    engine = Engine("mine", "speaker", "", (entry,))
    for device in (SimpleNamespace(type="cuda", index=0), "cpu", "cuda:1"):
        speaker = Speaker(device)
        call_entry(Plan(engine, entry), speaker.speak, speaker, ("hello",), {})
    here.drain()
    said = [(s.attributes["tts.device"], s.attributes.get("tts.device.fallback")) for s in here.spans]
    assert said == [("cuda", None), ("cpu", True), ("cuda", None)]


class Session:
    """As much of onnxruntime's as is asked: its providers change when it falls back while running."""

    def __init__(self, active: list[str]) -> None:
        self.active = active

    def get_providers(self) -> list[str]:
        return self.active

    def run(self, *_: Any) -> list[Any]:
        return []


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def test_sessions_of_onnxruntime() -> None:
    watch = Sessions()
    asked_in_vain, runs, never = Session([CPU]), Session([CUDA, CPU]), Session([CPU])
    watch.ask(asked_in_vain, [(CUDA, {"device_id": 0}), CPU])
    watch.ask(runs, None)
    watch.ask(never, [CPU])
    assert watch.fell_back(asked_in_vain) and not watch.fell_back(runs) and not watch.fell_back(never)
    runs.active = [CPU]
    assert watch.fell_back(runs)


def test_a_session_that_fell_back_marks_the_synthesis_that_runs_it(here: World) -> None:
    session = Session([CPU])
    _make(lambda *args, **kwargs: None, session, ("model.onnx", None, [CUDA, CPU]), {})
    with here.synthesis():
        _run(session.run, session, (None, {}), {})
    with here.synthesis() as synthesis, synthesis.stage("model"):
        _run(session.run, session, (None, {}), {})
    fine = Session([CPU])
    _make(lambda *args, **kwargs: None, fine, ("model.onnx",), {"providers": [CPU]})
    with here.synthesis():
        _run(fine.run, fine, (None, {}), {})
    here.drain()
    said = [s.attributes.get("tts.device.fallback") for s in here.spans if s.name == "text_to_speech"]
    assert said == [True, True, None]
    assert here.points("tts.device.fallbacks") == {("e",): 2}
    assert sessions.fell_back(session)


def test_the_real_onnxruntime_is_wrapped_where_it_makes_sessions() -> None:
    module = pytest.importorskip("onnxruntime.capi.onnxruntime_inference_collection")
    parameters = list(__import__("inspect").signature(module.InferenceSession.__init__).parameters)
    assert parameters[3] == "providers", "the third argument, as _make reads it"
