# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The events clock through the real recorder: what the spans say, what a request pays, what goes wrong."""

from __future__ import annotations

import gc

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import StatusCode

from otel_tts import guard, names
from otel_tts.device.clocks.events import KEEP, MOST
from otel_tts.instrumentation.calls.seam import run_stage
from tests.unit.support.clock_kit import four_stages, serving
from tests.unit.support.fakecuda import MS, CudaError, FakeCuda, OutOfMemoryError


def test_the_four_stages_of_the_manual() -> None:
    rows: dict[str, list[float]] = {}
    for clock in ("host", "sync", "events"):
        with serving(clock) as here:
            four_stages(here)  # the first request of a process learns the clock
            here.settle().world.span_memory.clear()
            here.cuda.truth.clear()
            four_stages(here)
            here.drain()
            rows[clock] = [round(here.took(f"tts.{name}"), 2) for name in here.cuda.truth]
            rows[clock].append(round(here.took("text_to_speech"), 2))
            assert here.cuda.blocking_calls == (16 if clock == "sync" else 0)
            truth = [round((end - start) / MS, 2) for start, end in here.cuda.truth.values()]
    assert truth == [8.0, 40.0, 15.0, 6.0]
    assert rows["host"] == [2.05, 2.24, 2.09, 2.04, 71.02]
    assert rows["sync"] == pytest.approx([10.02, 42.02, 17.02, 8.02, 77.12], abs=0.02)
    assert rows["events"] == pytest.approx([10.01, 40.0, 15.0, 6.0, 71.03], abs=0.011)
    assert rows["events"][-1] - rows["host"][-1] < 0.05 < 5.5 < rows["sync"][-1] - rows["host"][-1]


def test_a_stage_says_what_took_its_times() -> None:
    with serving() as here:
        four_stages(here)
        here.drain()
        said = here.attributes("tts.vocoder")
        assert said[names.TIMING_MODE] == "events" and names.TIMING_STATUS not in said
        assert said[names.GPU_ELAPSED] == pytest.approx(0.015, abs=2e-6)
        assert said[names.GPU_QUEUE_DELAY] == pytest.approx(
            (here.ms("tts.vocoder")[0] - here.ms("text_to_speech")[0] - 2.05 - 2.24) / 1e3, abs=5e-5
        )
        assert said[names.STAGE_HOST_DURATION] == pytest.approx(0.00209, abs=2e-5)
        assert 0 < said[names.GPU_CLOCK_UNCERTAINTY] < 60e-6


def test_device_times_tile_on_a_stream_and_stay_inside_the_request() -> None:
    with serving() as here:
        for _ in range(5):
            here.world.span_memory.clear()
            four_stages(here)
            here.drain()
        starts, ends = zip(
            *(here.ms(f"tts.{n}") for n in ("speaker", "acoustic_model", "vocoder", "enhance")), strict=True
        )
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
        whole = here.ms("text_to_speech")
        assert whole[0] <= starts[0] and ends[-1] <= whole[1]


def test_metrics_and_the_stage_line_have_the_devices_times() -> None:
    with serving() as here:
        four_stages(here)
        here.drain()
        durations = here.world.points("tts.stage.duration")
        assert durations["e", "acoustic_model"] == (1, pytest.approx(0.040, abs=2e-5))
        (line,) = [line for line in here.world.lines() if "STAGE_TIME" in line]
        assert "acoustic_model=0.04" in line and "vocoder=0.015" in line


def test_parts_of_a_stage_have_the_devices_times_in_the_stage_line_and_all_adds_up() -> None:
    with serving() as here:
        four_stages(here)  # the first request of a process learns the clock
        here.settle().world.log_memory.clear()
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model"):
                for name, ms in (("gpt", 30), ("flow", 10)):
                    with synthesis.stage(name):
                        here.cuda.launch(ms * MS)
            with synthesis.stage("vocoder"):
                here.cuda.launch(15 * MS)
            here.cuda.cpu_copy()
        here.drain()
        (line,) = [line for line in here.world.lines() if "STAGE_TIME" in line]
        times = {name: float(spent) for name, spent in (word.split("=") for word in line.split()[3:])}
        assert times["acoustic_model.gpt"] == pytest.approx(0.03, rel=0.01)
        assert times["acoustic_model.flow"] == pytest.approx(0.01, rel=0.01)
        assert times["acoustic_model"] == pytest.approx(0.04, rel=0.01)
        assert times["acoustic_model"] + times["vocoder"] + times["other"] == pytest.approx(times["total"], rel=0.001)


def test_a_stage_on_the_cpu_and_the_queue_keep_the_hosts_times() -> None:
    with serving() as here:
        with here.synthesis() as synthesis:
            for name, device in (("text_frontend", "cpu"), ("queue", None)):
                with synthesis.stage(name, device=device):
                    here.pass_time(2 * MS)
        here.drain()
        for name in ("tts.text_frontend", "tts.queue"):
            assert here.attributes(name)[names.TIMING_MODE] == "host" and here.took(name) == 2.0
        assert not here.cuda.calls


def test_a_device_that_the_application_initialises_later() -> None:
    with serving() as here:
        here.cuda.initialized = False
        assert here.clock.mode == "host"
        with here.synthesis() as synthesis:
            with synthesis.stage("model"):
                here.pass_time(MS)
            here.cuda.initialized = True
            with synthesis.stage("vocoder"):
                here.cuda.launch(5 * MS)
            here.cuda.cpu_copy()
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_MODE] == "host"
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "events" == here.clock.mode


def test_a_request_that_does_not_wait_for_its_device_is_told_later() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            here.cuda.launch(50 * MS, "v")
        here.drain()
        assert here.world.names() == [] and here.world.emitter.waiting == 1
        here.pass_time(60 * MS)
        here.drain()
        assert here.world.emitter.waiting == 0
        assert here.took("tts.vocoder") == pytest.approx(50, abs=0.02)
        assert here.ms("tts.vocoder")[1] > here.ms("text_to_speech")[1]  # the device was still at work: that is so


def test_a_stuck_stream_does_not_hold_up_others() -> None:
    with serving() as here:
        hung = here.cuda.devs[0].stream()
        with here.synthesis() as synthesis, synthesis.stage("model", streams=[hung]):
            here.cuda.launch(10**6 * MS, stream=hung)
        four_stages(here)
        here.drain()
        assert "tts.vocoder" in here.world.names() and "tts.model" not in here.world.names()


def test_events_that_never_complete_leave_host_times_after_thirty_seconds() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(10**6 * MS)
        here.drain()
        here.pass_time(29_900 * MS)
        here.drain()
        assert here.world.names() == []
        here.pass_time(200 * MS)
        here.drain()
        said = here.attributes("tts.model")
        assert said[names.TIMING_STATUS] == "unresolved" and said[names.TIMING_MODE] == "host"
        assert names.GPU_ELAPSED not in said and here.took("tts.model") < 1


def test_at_the_end_of_the_process_what_the_device_has_not_done_leaves_with_host_times() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(10**6 * MS)
        assert here.world.emitter.close(timeout=0.05)
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "unresolved"
        with here.synthesis() as synthesis, synthesis.stage("vocoder"):
            here.cuda.launch(MS)
        assert here.attributes("tts.vocoder")[names.TIMING_STATUS] == "unresolved"  # nobody would come back for it


def test_more_waiting_requests_than_are_kept() -> None:
    with serving(world={"queue_size": 16}) as here:
        hung = here.cuda.devs[0].stream()
        for _ in range(20):
            with here.synthesis() as synthesis, synthesis.stage("model", streams=[hung]):
                here.cuda.launch(10**6 * MS, stream=hung)
            here.drain()
        assert here.world.emitter.waiting == 16 and len(here.world.names()) == 8


def test_a_stuck_request_shows_the_stages_that_are_over() -> None:
    with serving(world={"stuck_after": 10}) as here:
        with here.synthesis() as synthesis:
            with synthesis.stage("model"):
                here.cuda.launch(5 * MS)
            here.cuda.cpu_copy()
            with synthesis.stage("vocoder"):
                here.cuda.launch(10**5 * MS)
                here.pass_time(20_000 * MS)
                here.world.emitter.report_stuck()
                assert here.attributes("tts.model")[names.TIMING_MODE] == "events"
        here.settle(10**5 * MS)
        assert here.attributes("tts.vocoder")[names.GPU_ELAPSED] == pytest.approx(100, abs=0.01)


def test_nested_stages_and_the_applications_own_spans_between_them() -> None:
    with serving() as here:
        tracer = here.world.tracers.get_tracer("app")
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model") as outer:
                with synthesis.stage("encoder"):
                    here.cuda.launch(5 * MS)
                with tracer.start_as_current_span("cache"):
                    pass
                with synthesis.stage("decoder"):
                    here.cuda.launch(9 * MS)
            here.cuda.cpu_copy()
        here.drain()
        inside = outer.get_span_context().span_id
        for name in ("tts.encoder", "cache", "tts.decoder"):
            assert here.world.span(name).parent.span_id == inside
        start, end = here.ms("tts.acoustic_model")
        assert start <= here.ms("tts.encoder")[0] and here.ms("tts.decoder")[1] <= end


def test_the_same_kind_nested_counts_once() -> None:
    with serving() as here:
        with here.synthesis() as synthesis:
            with synthesis.stage("model"):
                here.cuda.launch(5 * MS)
                with synthesis.stage("model"):
                    here.cuda.launch(20 * MS)
            here.cuda.cpu_copy()
        here.drain()
        assert here.world.points("tts.stage.duration")["e", "model"] == (1, pytest.approx(0.025, abs=3e-5))


def test_several_streams_and_stages_side_by_side() -> None:
    with serving() as here:
        llm, flow = here.cuda.devs[0].stream("llm"), here.cuda.devs[0].stream("flow")
        with here.synthesis() as synthesis:
            with synthesis.stage("model", streams=[llm, flow]):
                here.cuda.launch(10 * MS, "a", llm)
                here.cuda.launch(30 * MS, "b", flow)
            with synthesis.stage("acoustic_model", streams=[llm]):
                here.cuda.launch(40 * MS, "c", llm)
            here.cuda.cpu_copy(llm)
            here.cuda.cpu_copy(flow)
        here.drain()
        assert here.attributes("tts.model")[names.GPU_ELAPSED] == pytest.approx(0.04, abs=1e-4)
        assert here.took("tts.model") == pytest.approx(30, abs=0.1)
        assert here.ms("tts.acoustic_model")[0] < here.ms("tts.model")[1]


def test_a_stage_ends_on_the_stream_that_it_began_on() -> None:
    with serving() as here:
        side = here.cuda.devs[0].stream()
        with here.synthesis() as synthesis:
            with here.cuda.use(side):
                stage = synthesis.stage("model").__enter__()
                here.cuda.launch(30 * MS)
            stage.__exit__(None, None, None)
            here.cuda.cpu_copy(side)
        here.drain()
        assert here.took("tts.model") == pytest.approx(30, abs=0.02)


def test_two_devices_have_clocks_of_their_own() -> None:
    with serving(devices=2) as here:
        here.cuda.devs[1].offset = 5 * 10**12
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model"):
                here.cuda.launch(8 * MS)
            with here.cuda.use(here.cuda.devs[1].default), synthesis.stage("vocoder"):
                here.cuda.launch(8 * MS)
            with synthesis.stage("model", streams=[d.default for d in here.cuda.devs]):
                for device in here.cuda.devs:
                    here.cuda.launch(8 * MS, stream=device.default)
            for device in here.cuda.devs:
                here.cuda.cpu_copy(device.default)
        here.drain()
        assert here.attributes("tts.model")[names.GPU_ELAPSED] == pytest.approx(0.016, abs=2e-4)


def test_a_generator_is_timed_while_it_runs_and_gives_its_events_back() -> None:
    with serving() as here:

        def vocoder():
            for number in range(100):
                here.cuda.launch(2 * MS)
                here.cuda.cpu_copy()
                yield number

        with here.synthesis() as synthesis:
            for _ in run_stage("vocoder", vocoder, (), {}):
                assert trace.get_current_span() is synthesis
                here.pass_time(30 * MS)  # a slow client
        here.drain()
        said = here.attributes("tts.vocoder")
        assert said[names.GPU_ELAPSED] == pytest.approx(0.2, abs=3e-3)
        assert said[names.STAGE_HOST_DURATION] < 0.3 and here.took("tts.vocoder") > 2900
        assert here.world.points("tts.stage.duration")["e", "vocoder"] == (1, pytest.approx(0.2, abs=3e-3))
        assert here.clock._pool.made <= 2 * (KEEP + 3)


def test_a_generator_that_is_dropped_half_way() -> None:
    with serving() as here:

        def vocoder():
            while True:
                here.cuda.launch(MS)
                here.cuda.cpu_copy()
                yield

        with here.synthesis():
            stream = run_stage("vocoder", vocoder, (), {})
            for _ in range(3):
                next(stream)
            del stream
            gc.collect()
        here.drain()
        assert here.attributes("tts.vocoder")[names.GPU_ELAPSED] == pytest.approx(0.003, abs=1e-4)


def test_folded_stages_add_up() -> None:
    with serving(world={"max_stage_spans": 5}) as here:
        with here.synthesis() as synthesis:
            for _ in range(300):
                with synthesis.stage("model"):
                    here.cuda.launch(2 * MS)
                here.cuda.cpu_copy()
        here.drain()
        spans = [span for span in here.world.spans if span.name == "tts.model"]
        assert len(spans) == 6
        folded = spans[-1].attributes
        assert folded[names.STAGE_SEGMENTS] == 295 and folded[names.TIMING_MODE] == "events"
        assert folded[names.GPU_ELAPSED] == pytest.approx(295 * 0.002, rel=0.01)
        assert here.world.points("tts.stage.duration")["e", "model"] == (1, pytest.approx(0.6, rel=0.01))
        assert here.clock._pool.made <= 2 * (KEEP + 8)


def test_a_stage_of_more_steps_than_are_kept() -> None:
    with serving(world={"max_stage_spans": 1}) as here:
        with here.synthesis() as synthesis:
            for _ in range(MOST + 10):
                with synthesis.stage("model"):
                    here.cuda.launch(10**5 * MS)
        here.drain()
        assert here.world.emitter.waiting == 1  # the first, which has a span of its own
        here.settle(10**9 * MS)
        assert [s.attributes.get(names.TIMING_STATUS) for s in here.world.spans[:2]] == [None, "overflow"]


def test_more_events_than_may_exist() -> None:
    with serving() as here:
        four_stages(here)
        here.clock._pool._limit = here.clock._pool.made
        with here.synthesis() as synthesis:
            stages = [synthesis.stage(f"s{n}").__enter__() for n in range(9)]
            for stage in reversed(stages):
                stage.__exit__(None, None, None)
            here.cuda.cpu_copy()
        here.drain()
        assert here.attributes("tts.s8")[names.TIMING_STATUS] == "overflow"
        four_stages(here)
        here.drain()  # the events are back
        assert here.world.spans[-2].attributes[names.TIMING_MODE] == "events"


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_an_exception_in_a_stage_keeps_its_device_times() -> None:
    with serving() as here:
        with pytest.raises(ZeroDivisionError), here.synthesis() as synthesis, synthesis.stage("vocoder"):
            here.cuda.launch(4 * MS)
            here.cuda.cpu_copy()
            raise ZeroDivisionError
        here.drain()
        span = here.world.span("tts.vocoder")
        assert span.status.status_code is StatusCode.ERROR and span.events[-1].name == "exception"
        assert span.attributes[names.GPU_ELAPSED] >= 0.004


@pytest.mark.parametrize("memory", [False, True], ids=["clock", "clock and memory"])
@pytest.mark.parametrize("breaks", ["before", "inside", "after"])
def test_a_device_that_is_lost_never_raises_from_us(breaks: str, memory: bool) -> None:
    with serving(memory=memory) as here:
        four_stages(here)
        here.drain().world.span_memory.clear()
        device = here.cuda.devs[0]
        with here.synthesis() as synthesis:
            if breaks == "before":
                device.broken = "CUDA error: device-side assert triggered"
            with synthesis.stage("model"):
                if breaks == "inside":
                    device.broken = "CUDA error: an illegal memory access was encountered"
            if breaks == "after":
                device.broken = "CUDA error: unspecified launch failure"
        here.drain()
        said = here.attributes("tts.model")
        assert said[names.TIMING_STATUS] == "error:CudaError" and said[names.TIMING_MODE] == "host"
        assert not guard.faults  # the application's error, and it learns of it by itself
        with here.synthesis() as synthesis, synthesis.stage("vocoder"), pytest.raises(CudaError):
            here.cuda.launch(MS)  # sticky: so it goes on
        here.drain()
        assert here.attributes("tts.vocoder")[names.TIMING_STATUS] == "error:CudaError"


def test_an_error_that_is_reported_once_and_to_us_is_on_the_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as here:
        four_stages(here)
        here.drain().world.span_memory.clear()
        record, told = here.cuda.record, []

        def late(event: object, stream: object) -> None:
            if not told:
                told.append(True)
                raise CudaError("CUDA error: an earlier kernel failed")
            record(event, stream)

        monkeypatch.setattr(here.cuda, "record", late)
        with here.synthesis() as synthesis:
            for name in ("model", "vocoder"):
                with synthesis.stage(name):
                    here.cuda.launch(MS)
            here.cuda.cpu_copy()
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "error:CudaError"
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "events"
        assert not guard.faults


def test_out_of_memory_inside_a_stage_on_the_devices_clock() -> None:
    with serving(memory=True) as here:
        with pytest.raises(OutOfMemoryError), here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(4 * MS)
            here.cuda.alloc(2**20)
        here.pass_time(10 * MS)
        here.drain()
        stage = here.world.span("tts.model")
        assert stage.attributes[names.GPU_ELAPSED] >= 0.004
        (told,) = [event.attributes for event in stage.events if event.name == names.MEMORY_EVENT]
        assert told[names.MEMORY_OOM] is True and told[names.MEMORY_REQUESTED] == 2**40


def test_a_device_that_is_lost_while_requests_wait_for_it() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(1000 * MS)
        here.drain()
        here.cuda.devs[0].broken = "CUDA error: device lost"
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "error:CudaError"


def test_a_fault_of_our_own_is_contained_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: object) -> None:
        raise AttributeError("device_index")

    monkeypatch.setattr(FakeCuda, "device_of", changed)
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            pass
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "error:AttributeError"
        assert guard.faults["clock"] == 1


def test_during_a_capture_nothing_is_recorded_or_asked() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(2 * MS)
        stream = here.cuda.devs[0].stream()
        here.pass_time(5 * MS)  # passed, and not yet read
        with here.cuda.use(stream), here.capture(stream) as capture:
            with here.synthesis() as synthesis, synthesis.stage("vocoder"):
                here.cuda.launch(MS)
            here.drain()
            here.pass_time(100_000 * MS)
            here.drain()
        assert capture["ops"] == [("kernel", MS)]
        here.drain()
        assert here.attributes("tts.vocoder")[names.TIMING_STATUS] == "captured"


@pytest.mark.parametrize("memory", [False, True], ids=["clock", "clock and memory"])
def test_a_capture_that_another_thread_begins_inside_a_stage(memory: bool) -> None:
    with serving(memory=memory) as here:
        stream = here.cuda.devs[0].stream()
        with here.synthesis() as synthesis:
            with synthesis.stage("model"):
                here.cuda.launch(2 * MS)
                capturing = here.capture(stream, thread="other")
                capturing.__enter__()
                calls = list(here.cuda.calls)
            with synthesis.stage("vocoder"):
                here.cuda.launch(2 * MS)
        here.drain()
        assert here.cuda.calls == calls
        capturing.__exit__(None, None, None)  # raises where it was broken
        here.settle()
        for name in ("tts.model", "tts.vocoder"):
            assert here.attributes(name)[names.TIMING_STATUS] == "captured"
        assert here.clock._pool.made == 0


def test_without_the_guard_the_recorders_question_breaks_the_capture() -> None:
    with serving() as here:
        with here.synthesis() as synthesis, synthesis.stage("model"):
            here.cuda.launch(2 * MS)
        stream = here.cuda.devs[0].stream()
        here.cuda.begin_capture(stream)
        here.cuda.thread = "recorder"
        here.drain()
        with pytest.raises(CudaError):
            here.cuda.end_capture(stream)


def test_the_parents_events_are_not_touched_in_a_forked_child() -> None:
    with serving() as here:
        four_stages(here)
        with here.synthesis() as synthesis:
            with synthesis.stage("model"):
                here.cuda.launch(2 * MS)
                here.cuda.forked = True
                here.world.emitter._renew()
                calls = len(here.cuda.calls)
            with synthesis.stage("vocoder"):
                here.pass_time(MS)
        here.drain()
        assert here.attributes("tts.model")[names.TIMING_STATUS] == "forked"
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "host" and here.took("tts.vocoder") == 1.0
        assert len(here.cuda.calls) == calls


def test_the_time_of_day_may_be_set_inside_a_request() -> None:
    with serving() as here:
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model"):
                here.cuda.launch(5 * MS)
            here.cuda.clock.step = -3_600_000 * MS
            with synthesis.stage("vocoder"):
                here.cuda.launch(5 * MS)
            here.cuda.cpu_copy()
        here.drain()
        whole, model, vocoder = (here.ms(n) for n in ("text_to_speech", "tts.acoustic_model", "tts.vocoder"))
        assert whole[0] <= model[0] <= model[1] <= vocoder[0] <= vocoder[1] <= whole[1]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_suspended_machine_or_a_reset_clock_gives_no_wrong_time(seconds: float) -> None:
    with serving() as here:
        for _ in range(3):
            four_stages(here)
            here.pass_time(500 * MS)
        here.drain().world.span_memory.clear()
        with here.synthesis() as synthesis:
            with synthesis.stage("acoustic_model"):
                here.cuda.launch(5 * MS)
            here.cuda.cpu_copy()
            here.cuda.devs[0].offset += int(seconds * 1e9)  # the device's clock went on, the host's did not
            with synthesis.stage("vocoder"):
                here.cuda.launch(5 * MS)
            here.cuda.cpu_copy()
        here.drain()
        assert here.attributes("tts.vocoder")[names.TIMING_STATUS] == "clock_step"
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "host"
        here.world.span_memory.clear()
        four_stages(here)
        here.drain()
        assert here.attributes("tts.vocoder")[names.TIMING_MODE] == "events"


def test_an_unsampled_request_still_measures() -> None:
    with serving(world={"sampler": ParentBased(ALWAYS_OFF)}) as here:
        four_stages(here)
        here.drain()
        assert not here.world.spans
        assert here.world.points("tts.stage.duration")["e", "acoustic_model"] == (1, pytest.approx(0.04, abs=2e-5))


def test_a_request_asks_once_a_stage_and_polls_a_moment() -> None:
    with serving() as here:
        four_stages(here)
        here.drain()
        here.cuda.calls.clear()
        began = here.cuda.clock.t
        with here.synthesis() as synthesis:
            for name in ("a", "b", "c"):
                with synthesis.stage(name):
                    here.cuda.launch(10 * MS)
        asked = here.cuda.calls.count("query")
        assert here.cuda.clock.t - began < 3 * 6_000 + 6 * 3_000 + 20_000 + 2_000  # launches, records, the poll
        assert 1 <= asked <= 21
        here.settle()
        here.cuda.calls.clear()
        with here.synthesis() as synthesis:
            for name in ("a", "b", "c"):
                with synthesis.stage(name):
                    here.cuda.launch(10 * MS)
            here.cuda.cpu_copy()
            here.clock._clocks._clocks[0].calibrate_after = float("inf")
        assert here.cuda.calls.count("query") == 3


def test_the_clock_that_was_asked_for_and_is_not_there_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    from otel_tts.device.clocks.events import Events

    with serving() as here:
        clock = here.world.recorder.clock = Events(lambda: None, wanted=True)
        for _ in range(3):
            with here.synthesis() as synthesis, synthesis.stage("model"):
                pass
        assert [r.message for r in caplog.records].count(caplog.records[0].message) == 1
        assert clock.mode == "host"


def test_the_end_of_a_request_is_when_the_clock_is_learnt() -> None:
    with serving() as here:
        four_stages(here)
        here.pass_time(20_000 * MS)  # nobody looks for long: what was seen at the end is what counts
        here.drain()
        assert here.attributes("tts.vocoder")[names.GPU_CLOCK_UNCERTAINTY] < 20e-6


def test_calls_that_fold_stand_where_the_last_was() -> None:
    with serving() as here:
        with here.synthesis():
            for _ in range(40):
                run_stage("postprocess", here.cuda.launch, (3 * MS,), {}, fold=True)
                here.cuda.cpu_copy()
                here.pass_time(50 * MS)
        here.drain()
        assert here.took("tts.postprocess") == pytest.approx(3, abs=0.05)
        assert here.attributes("tts.postprocess")[names.GPU_ELAPSED] == pytest.approx(0.12, abs=1e-3)
        assert here.ms("tts.postprocess")[1] == pytest.approx(here.ms("text_to_speech")[1] - 50, abs=0.1)


def test_what_was_learnt_about_the_drift_outlives_a_pause() -> None:
    with serving(drift_ppm=80) as here:
        for pause in (*[300] * 60, 600_000, 300):
            here.pass_time(pause * MS)
            four_stages(here)
            here.drain()
        clock = here.clock._clocks._clocks[0]
        assert clock.renewals == 0  # begun anew after the pause
        assert clock.epoch.scale * 1e6 == pytest.approx(-80, abs=2)
