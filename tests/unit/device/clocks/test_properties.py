# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Random traffic on random devices: nothing waits, nothing is lost, no claimed bound is exceeded."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_tts import guard, names
from otel_tts.device.clocks.device_clock import DeviceClock
from tests.unit.support.clock_kit import Service, Traffic, serving
from tests.unit.support.fakecuda import MS, FakeDevice

SEEDS = range(20)


@pytest.mark.thorough
@pytest.mark.parametrize("memory", [False, True], ids=["clock", "clock and memory"])
@pytest.mark.parametrize("seed", SEEDS)
def test_ten_thousand_random_requests_in_all(seed: int, memory: bool) -> None:
    requests = 10_000 // len(SEEDS)
    device = random_device(random.Random(seed))
    options = {"max_stage_spans": random.Random(seed).choice([3, 64])}
    with serving(devices=1 + seed % 2, world=options, memory=memory, **device) as here:
        traffic = Traffic(here, seed)
        traffic.run(requests)
        here.settle(40_000 * MS)
        assert here.cuda.blocking_calls == 0
        assert not guard.faults and not here.world.recorder.dropped.total()
        assert here.world.emitter.waiting == 0 and not here.world.recorder.open
        assert here.world.names().count("text_to_speech") >= requests and traffic.failed
        placed = here.clock.placed
        assert len(placed) > requests / 2
        assert sorted(bound for _, bound in placed)[len(placed) // 2] < 40_000  # useful, not only right
        statuses = {s.attributes.get(names.TIMING_STATUS) for s in here.world.spans if s.name != "text_to_speech"}
        assert statuses <= {None, "captured", "unresolved"}
        out = here.clock._pool.made - sum(map(len, here.clock._pool._free.values()))
        assert out <= sum(clock.renewals for clock in here.clock._clocks._clocks.values())  # the references
        if memory:
            check_memory(here, traffic, requests)
        else:
            assert not any(span.events for span in memory_events(here))


def memory_events(here: Service) -> list[Any]:
    return [s for s in here.world.spans if any(event.name == names.MEMORY_EVENT for event in s.events)]


def check_memory(here: Service, traffic: Traffic, requests: int) -> None:
    """Every peak is the most that was allocated in its stage; every failed allocation is marked where it failed."""
    devices = {f"GPU-{device.uuid}": device.index for device in here.cuda.devs}
    stages = [span for span in memory_events(here) if span.name != "text_to_speech"]
    seen = 0
    for span in stages:
        if names.STAGE_SEGMENTS in span.attributes:  # folded: from several windows
            continue
        for event in (event for event in span.events if event.name == names.MEMORY_EVENT):
            device = devices[event.attributes[names.HW_ID]]
            assert event.attributes[names.MEMORY_PEAK] == traffic.peaks[span.context.span_id][device]
            seen += 1
    assert seen > requests / 2
    told = [event for span in here.world.spans for event in span.events if names.MEMORY_OOM in (event.attributes or {})]
    assert bool(told) == any(device.mem.c["num_ooms"] for device in here.cuda.devs)


def random_device(choose: random.Random) -> dict[str, float]:
    return {
        "offset_ns": choose.randrange(10**15),
        "drift_ppm": choose.uniform(-90, 90),
        "resolution_ns": choose.choice([32, 500, 1000]),
        "latency_ns": choose.randrange(1_000, 20_000),
        "wake_ns": choose.randrange(1_000, 60_000),
        "record_ns": choose.randrange(1_000, 8_000),
    }


devices = st.fixed_dictionaries(
    {
        "offset_ns": st.integers(-(10**15), 10**15),
        "drift_ppm": st.floats(-90, 90),
        "resolution_ns": st.sampled_from([32, 500, 1000]),
        "latency_ns": st.integers(1_000, 20_000),
        "wake_ns": st.integers(1_000, 60_000),
        "record_ns": st.integers(1_000, 8_000),
    }
)
pauses = st.lists(st.sampled_from([0, 1, 50, 900, 4_000, 29_000, 31_000, 3_600_000]), min_size=1, max_size=25)


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(device=devices, pauses=pauses, wander=st.floats(-0.02, 0.02), seed=st.integers(0, 2**16))
def test_no_bound_is_exceeded_whatever_the_device_and_the_pauses(device, pauses, wander, seed) -> None:
    choose = random.Random(seed)
    with serving(**device) as here:
        wandering(here.cuda.devs[0], wander * 1e-6)
        for pause in pauses:
            here.pass_time(pause * MS)
            with here.synthesis() as synthesis:
                for name in ("acoustic_model", "vocoder"):
                    with synthesis.stage(name):
                        here.pass_time(choose.randrange(3 * MS))
                        here.cuda.launch(choose.randrange(1_000, 12 * MS))
                if choose.random() < 0.8:
                    here.cuda.cpu_copy()
            if choose.random() < 0.5:
                here.drain()
        here.settle(100 * MS)
        statuses = [s.attributes.get(names.TIMING_STATUS) for s in here.world.spans if s.name == "tts.vocoder"]
        assert len(statuses) == len(pauses) and set(statuses) <= {None, "unresolved"}


def wandering(device: FakeDevice, rate: float) -> None:
    """Let the device's drift change by `rate` a second, as temperature does."""
    base = device.clock.t

    def gpu_clock(at: float) -> int:
        passed = (at - base) / 1e9
        g = device.offset + at * (1 + device.drift) + 1e9 * rate * min(passed, 60.0) * passed / 2
        return int(g // device.res) * device.res

    device.gpu_clock = gpu_clock  # pyright: ignore[reportAttributeAccessIssue]


def test_the_drift_is_learnt_and_the_bound_then_small() -> None:
    for drift in (-80, 0, 80):
        with serving(drift_ppm=drift) as here:
            for _ in range(60):
                here.pass_time(300 * MS)
                with here.synthesis() as synthesis, synthesis.stage("model"):
                    here.cuda.launch(7 * MS)
                    here.cuda.cpu_copy()
                here.drain()
            clock: DeviceClock = here.clock._clocks._clocks[0]
            assert clock.epoch.scale * 1e6 == pytest.approx(-drift, abs=2)
            assert clock._drift < 20e-6
            assert max(bound for _, bound in here.clock.placed[-20:]) < 25_000


def test_without_a_new_reference_float32_would_be_coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_tts.device.clocks import device_clock

    worst: dict[bool, float] = {}
    for renews in (True, False):
        if not renews:
            monkeypatch.setattr(device_clock, "RENEW_NS", float("inf"))
        with serving() as here:
            for _ in range(400):
                here.pass_time(9_000 * MS)  # an hour in all
                with here.synthesis() as synthesis, synthesis.stage("model"):
                    here.cuda.launch(7 * MS)
                    here.cuda.cpu_copy()
                here.drain()
            worst[renews] = max(error for error, _ in here.clock.placed)
            assert (here.clock._clocks._clocks[0].renewals > 300) is renews
    assert worst[True] < 60_000 < worst[False]


@pytest.mark.parametrize("drift", [-90, 90])
def test_an_event_that_was_seen_passed_long_after_it_was_bounds_the_offset_at_its_own_time(drift: int) -> None:
    with serving(drift_ppm=drift) as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(MS)
        here.pass_time(9_000 * MS)  # nobody has looked: it may have been passed at any moment of these
        here.drain()
        here.cuda.launch(300 * MS)  # what a later stage stands behind, so that it says little by itself
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            here.cuda.launch(MS)
        here.pass_time(9_000 * MS)
        here.drain()
        assert names.TIMING_STATUS not in here.attributes("tts.vocoder")


def test_an_event_may_be_passed_before_the_first_reference_which_stands_in_another_queue() -> None:
    with serving() as here:
        other = here.cuda.devs[0].stream()
        here.cuda.launch(500 * MS)
        with here.synthesis() as synthesis, synthesis.stage("model"):
            pass
        with here.synthesis() as synthesis:
            with synthesis.stage("vocoder", streams=[other]):
                here.cuda.launch(MS, stream=other)
            here.cuda.cpu_copy(other)
        here.drain()
        assert here.world.names() == []
        here.pass_time(500 * MS)
        here.drain()
        assert here.took("tts.vocoder") == pytest.approx(1, abs=0.02)
