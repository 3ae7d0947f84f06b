# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of stages through the real recorder, on the device in virtual time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from otel_tts import guard
from otel_tts.device.clocks.events import Events
from otel_tts.device.memory import readings
from otel_tts.privacy.policy import Policy
from tests.unit.support.faketorch import Device, FakeTorch
from tests.unit.support.world import World, shown

MIB = 1 << 20
UUID = "GPU-00000000-0000-0000-0000-000000000000"


def memory_of(here: World, name: str) -> list[dict[str, Any]]:
    return [attributes for event, _, attributes in shown(here.span(name)).get("events", []) if event == "gpu.memory"]


def test_an_exclusive_stage(here: World, device: Device) -> None:
    with here.synthesis() as synthesis:
        with synthesis.stage("acoustic_model"):
            kept, gone = device.alloc(50), device.alloc(30)
            device.free(gone)
        with synthesis.stage("vocoder"):
            device.free(kept)
            device.use_mib(8)
    here.drain()
    assert memory_of(here, "tts.acoustic_model") == [
        {
            "gpu.memory.allocated": 50 * MIB,
            "gpu.memory.reserved": 80 * MIB,
            "gpu.memory.peak": 80 * MIB,
            "gpu.memory.allocated.delta": 50 * MIB,
            "gpu.memory.reserved.delta": 80 * MIB,
            "gpu.memory.slack_ratio": 0.375,
            "gpu.memory.attribution": "exclusive",
            "gpu.memory.num_device_alloc": 2,
            "hw.id": UUID,
        }
    ]
    (vocoder,) = memory_of(here, "tts.vocoder")
    assert vocoder["gpu.memory.peak"] == 50 * MIB, "what was there at its start"
    assert vocoder["gpu.memory.allocated.delta"] == -50 * MIB
    assert "gpu.memory.reserved.delta" not in vocoder and "gpu.memory.num_device_alloc" not in vocoder
    stage = here.span("tts.acoustic_model").attributes
    assert (stage["gpu.memory.peak"], stage["hw.id"]) == (80 * MIB, UUID)
    assert here.span("text_to_speech").attributes["gpu.memory.peak"] == 80 * MIB
    (line,) = [line for line in here.lines() if "REQ_SUCCESS" in line]
    assert f"gpu_memory_peak={80 * MIB} " in line
    peaks = here.raw_points("tts.gpu.memory.peak")
    assert {point.attributes["tts.stage"]: point.sum for point in peaks} == {
        "acoustic_model": 80 * MIB,
        "vocoder": 50 * MIB,
    }
    assert not guard.faults


def test_the_event_passes_the_privacy_gate_whole(here: World, device: Device) -> None:
    device.devs[0].mem.capacity = 64 * MIB
    with pytest.raises(RuntimeError), here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(1)
        device.alloc(1000)
    here.drain()
    for name in ("tts.vocoder", "text_to_speech"):
        (event,) = memory_of(here, name)
        assert Policy().event("gpu.memory", event) == ("gpu.memory", event)


def test_a_stage_that_touched_nothing_has_no_event(here: World, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("text_frontend"):
        pass
    here.drain()
    assert memory_of(here, "tts.text_frontend") == []
    assert "gpu.memory.peak" not in here.span("tts.text_frontend").attributes


def test_nested_stages_and_attribution_within_one_request(here: World, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("model"):
        device.use_mib(100)
        with synthesis.stage("vocoder"):
            device.use_mib(10)
    here.drain()
    (outer,), (inner,) = memory_of(here, "tts.model"), memory_of(here, "tts.vocoder")
    assert (outer["gpu.memory.peak"], inner["gpu.memory.peak"]) == (100 * MIB, 10 * MIB)
    assert outer["gpu.memory.attribution"] == inner["gpu.memory.attribution"] == "exclusive"


def test_overlapping_requests_share(here: World, device: Device) -> None:
    first, second, third = here.synthesis().start(), here.synthesis(), here.synthesis()
    around = first.stage("acoustic_model").open()
    device.use_mib(1)
    second.start()  # begins and ends inside the first one's stage
    device.use_mib(99)
    second.finish()
    around.close()
    alone = first.stage("vocoder").open()
    device.use_mib(5)
    alone.close()
    third.start()
    beside = first.stage("postprocess").open()
    device.use_mib(5)
    beside.close()
    third.finish()
    first.finish()
    here.drain()
    said = {span.name: span.events[0].attributes for span in here.spans if span.events}
    assert {name: event["gpu.memory.attribution"] for name, event in said.items()} == {
        "tts.acoustic_model": "shared",
        "tts.vocoder": "exclusive",
        "tts.postprocess": "shared",
    }
    assert said["tts.acoustic_model"]["gpu.memory.peak"] == 99 * MIB, "the process's, and it says so"


def test_out_of_memory_is_marked_on_stage_and_root_with_the_devices_numbers(here: World, device: Device) -> None:
    memory = device.devs[0].mem
    memory.capacity = 64 * MIB
    with pytest.raises(RuntimeError), here.synthesis() as synthesis:
        with synthesis.stage("acoustic_model"):
            kept = device.alloc(40)
        with synthesis.stage("vocoder"):
            device.alloc(1000)
    device.free(kept)
    here.drain()
    (stage,) = memory_of(here, "tts.vocoder")
    assert stage["gpu.memory.oom"] is True
    assert stage["gpu.memory.num_ooms"] == stage["gpu.memory.num_alloc_retries"] == 1
    assert stage["gpu.memory.requested"] == 1000 * MIB
    assert (stage["gpu.memory.device.free"], stage["gpu.memory.device.total"]) == (24 * MIB, 64 * MIB)
    (root,) = memory_of(here, "text_to_speech")
    assert root["gpu.memory.oom"] is True
    assert root["gpu.memory.peak"] == 40 * MIB, "the request's own"
    assert root["gpu.memory.device.free"] == 24 * MIB
    assert memory_of(here, "tts.acoustic_model")[0].get("gpu.memory.oom") is None
    assert here.span("text_to_speech").attributes["error.type"] == "tests.unit.support.fakecuda.OutOfMemoryError"


def test_out_of_memory_outside_of_any_stage_is_marked_on_the_root(here: World, device: Device) -> None:
    device.devs[0].mem.capacity = 64 * MIB
    with pytest.raises(RuntimeError), here.synthesis():
        device.alloc(1000)
    here.drain()
    assert memory_of(here, "text_to_speech") == [
        {
            "gpu.memory.oom": True,
            "gpu.memory.requested": 1000 * MIB,
            "gpu.memory.device.free": 64 * MIB,
            "gpu.memory.device.total": 64 * MIB,
            "hw.id": UUID,
        }
    ]


def test_one_that_is_caught_and_tried_again_is_counted_and_fails_nobody(here: World, device: Device) -> None:
    device.devs[0].mem.capacity = 64 * MIB
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        try:
            device.alloc(1000)
        except RuntimeError:
            device.use_mib(32)
    here.drain()
    (event,) = memory_of(here, "tts.vocoder")
    assert event["gpu.memory.num_ooms"] == 1 and "gpu.memory.oom" not in event
    assert memory_of(here, "text_to_speech") == []


@pytest.mark.parametrize(
    ("where", "on_span", "on_logs"), [("span", 1, 0), ("logs", 0, 1), ("both", 1, 1), ("none", 0, 0)]
)
def test_one_setting_says_where_the_event_goes(
    world: Callable[..., World], torch: FakeTorch, device: Device, where: str, on_span: int, on_logs: int
) -> None:
    here = world(clock="host", memory_events=where)
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(10)
    here.drain()
    assert len(memory_of(here, "tts.vocoder")) == on_span
    records = [record for record in here.records if record.event_name == "gpu.memory"]
    assert len(records) == on_logs
    for record in records:
        span = here.span("tts.vocoder")
        assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
        assert record.body == "gpu.memory" and record.attributes["gpu.memory.peak"] == 10 * MIB
        assert span.start_time <= record.timestamp <= span.end_time + 1000
    assert ("gpu.memory.peak" in here.span("tts.vocoder").attributes) == (where != "none")
    assert (here.recorder.memory is None) == (where == "none"), "nobody who wants none pays for it"


def test_cuda_that_is_not_initialised_is_left_alone(here: World, device: Device) -> None:
    device.initialized = False
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        pass
    assert here.recorder.memory is None and device.devs[0].mem.reads == 0
    device.initialized = True  # by the application, at last
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(3)
    here.drain()
    assert [span.attributes.get("gpu.memory.peak") for span in here.spans if span.name == "tts.vocoder"] == [
        None,
        3 * MIB,
    ]


def test_a_stage_declared_to_be_on_the_cpu_costs_no_read(here: World, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(1)
    reads = device.devs[0].mem.reads
    with here.synthesis() as synthesis:
        stage = synthesis.stage("text_frontend")
        stage.where = "cpu"
        with stage:
            pass
    assert device.devs[0].mem.reads == reads


def test_repetitions_that_fold_into_one_span_have_one_event(
    world: Callable[..., World], torch: FakeTorch, device: Device
) -> None:
    here = world(clock="host", max_stage_spans=2)
    with here.synthesis() as synthesis:
        for mib in (10, 20, 30, 70, 40):
            with synthesis.stage("vocoder"):
                device.use_mib(mib)
    here.drain()
    spans = [span for span in here.spans if span.name == "tts.vocoder"]
    assert [span.attributes.get("tts.stage.segments") for span in spans] == [None, None, 3]
    assert [span.attributes["gpu.memory.peak"] for span in spans] == [10 * MIB, 20 * MIB, 70 * MIB]
    assert [len(span.events) for span in spans] == [1, 1, 1]


def test_several_devices_each_say_what_was_done_on_them(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    device = Device(clock, devices=3)
    monkeypatch.setitem(sys.modules, "torch", FakeTorch(device))
    kept = [device.alloc(1, 0), device.alloc(1, 2)]
    here = world(clock="host")
    with here.synthesis() as synthesis:
        with synthesis.stage("acoustic_model"):
            device.use_mib(10, 2)
        with synthesis.stage("vocoder"):
            device.use_mib(10, 0)
            device.use_mib(20, 2)
    here.drain()
    assert len(kept) == 2
    said = {e["hw.id"][-1]: e["gpu.memory.peak"] for e in memory_of(here, "tts.vocoder")}
    assert said == {"0": 11 * MIB, "2": 21 * MIB}
    assert [e["hw.id"][-1] for e in memory_of(here, "tts.acoustic_model")] == ["2"]
    assert here.span("tts.acoustic_model").attributes["hw.id"].endswith("2")


def test_an_allocator_that_fails_costs_the_event_only(here: World, torch: FakeTorch, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(1)
    here.drain()
    for windows in here.recorder.memory._watched:
        windows._stats = lambda index: {}
    with here.synthesis() as synthesis, synthesis.stage("model"):
        device.use_mib(1)
    here.drain()
    assert memory_of(here, "tts.model") == [] and here.span("tts.model").status.is_unset
    assert guard.faults["gpu.memory"] == 1
    guard.faults.clear()


def test_a_torch_that_is_not_as_expected_switches_memory_off_once(
    world: Callable[..., World], torch: FakeTorch, device: Device
) -> None:
    del torch.cuda.memory.memory_stats_as_nested_dict
    here = world(clock="host")
    for _ in range(3):
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            pass
    here.drain()
    assert len(here.spans) == 6 and guard.faults["gpu.memory"] == 1
    guard.faults.clear()


def test_on_the_devices_clock_the_time_is_the_devices_and_nothing_waits(
    world: Callable[..., World], torch: FakeTorch, device: Device, clock: Any
) -> None:
    here = world(clock="events")
    here.recorder.clock = Events(find=lambda: device, now=clock.read)
    with here.synthesis(gen_ai__request__model="m") as synthesis:
        with synthesis.stage("acoustic_model"):
            clock.tick(0.002)
            device.use_mib(40)
            device.launch(40e6)
        with synthesis.stage("vocoder"):  # a captured graph, say: it allocates nothing
            clock.tick(0.002)
            device.launch(15e6)
        device.cpu_copy()
    here.drain()
    assert device.blocking_calls == 0
    assert [len(memory_of(here, f"tts.{name}")) for name in ("acoustic_model", "vocoder")] == [1, 1]
    spans = {span.name: (span.end_time - span.start_time) / 1e6 for span in here.spans}
    assert spans["tts.vocoder"] == pytest.approx(15, abs=0.1)
    clock.tick(10)
    here.emitter.look_at_gpu()
    ((labels, seconds),) = here.points("tts.gpu.time").items()
    assert labels == ("m", "e", "timeshare") and seconds == pytest.approx(0.057, abs=0.001)
    assert not guard.faults


def test_a_device_that_is_lost_in_a_stage_costs_the_service_nothing_more(here: World, device: Device) -> None:
    """A sticky error: every call to the device fails from now on, and the allocator's books are all that is left."""
    with (
        pytest.raises(RuntimeError, match="unspecified launch failure"),
        here.synthesis() as synthesis,
        synthesis.stage("acoustic_model"),
    ):
        device.use_mib(5)
        device.devs[0].broken = "unspecified launch failure"
        device.launch(1e6)
    with pytest.raises(RuntimeError), here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.launch(1e6)
    here.drain()
    assert here.span("tts.acoustic_model").attributes["gpu.memory.peak"] == 5 * MIB
    assert [span.attributes["tts.outcome"] for span in here.spans if span.name == "text_to_speech"] == ["error"] * 2
    assert not guard.faults


def test_readings_that_wait_are_cut_down_beyond_a_bound_and_say_the_same(
    here: World, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_MOST_WHOLE", 2)
    marks = []
    with here.synthesis() as synthesis:
        for _ in range(4):
            with synthesis.stage("vocoder") as stage:
                device.use_mib(7)
            marks.append(stage.memory)
    assert ["allocation" in mark.before for mark in marks] == [True, True, False, False]
    here.drain()
    events = [span.events[0].attributes for span in here.spans if span.name == "tts.vocoder"]
    assert events[1] == events[2] == events[3] and events[3]["gpu.memory.peak"] == 7 * MIB
    with here.synthesis() as synthesis, synthesis.stage("vocoder") as stage:
        pass
    assert "allocation" in stage.memory.before, "the recorder keeps up again"


def test_after_the_end_nothing_is_read(here: World, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(1)
    open_stage = here.synthesis().start().stage("model").open()
    here.emitter.close()
    reads = device.devs[0].mem.reads
    open_stage.close()
    open_stage.root.finish()
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        pass
    assert device.devs[0].mem.reads == reads and not guard.faults


def test_a_leak_is_told_in_bytes_a_request(here: World, device: Device) -> None:
    leaked = []
    for _ in range(130):
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model"):
                device.use_mib(40)
                leaked.append(device.alloc(1))
            with synthesis.stage("vocoder"):
                device.use_mib(80)
        here.drain()
    ((labels, rise),) = here.points("tts.gpu.memory.leak").items()
    assert labels == (UUID,) and rise == pytest.approx(MIB, rel=0.01)


def test_no_leak_is_told_where_memory_comes_back(here: World, device: Device) -> None:
    for number in range(130):
        with here.synthesis() as synthesis, synthesis.stage("acoustic_model"):
            device.use_mib(40 + number % 7)
        here.drain()
    assert list(here.points("tts.gpu.memory.leak").values()) == [0.0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_after_cuda_was_used_leaves_it_alone(here: World, torch: FakeTorch, device: Device) -> None:
    with here.synthesis() as synthesis, synthesis.stage("vocoder"):
        device.use_mib(1)
    here.drain()
    open_stage = here.synthesis().start().stage("model").open()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        device.forked = True
        reads = device.devs[0].mem.reads
        open_stage.close()
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            pass
        here.drain()
        torch.cuda.reset_peak_memory_stats()
        said = [here.recorder.memory is None, device.devs[0].mem.reads - reads, sum(guard.faults.values())]
        os.write(write, repr(said).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "[True, 0, 0]"
    os.waitpid(child, 0)
    device.use_mib(2)
    open_stage.close()
    open_stage.root.finish()
    here.drain()
    assert here.span("tts.model").attributes["gpu.memory.peak"] == 2 * MIB
