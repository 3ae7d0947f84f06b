# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The checks of ``otel-tts doctor --gpu`` on the device in virtual time: what is well passes, what is not fails."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from otel_tts import names
from otel_tts.device.clocks.events import Events
from otel_tts.doctor import broken_device
from otel_tts.doctor import clock as doctor_clock
from otel_tts.doctor.bench import Bench
from otel_tts.doctor.broken_device import after_breaking, bare_queries, captures, judge_sticky, sticky
from otel_tts.doctor.check import FAIL, MEASURED, PASS, SKIP, Check
from otel_tts.doctor.clock import clock, concurrent
from otel_tts.doctor.gpu import _CHECKS, _synchronisations
from otel_tts.recording.synthesis import Synthesis
from otel_tts.testing import put_clock
from tests.unit.support.clock_kit import Service
from tests.unit.support.fakecuda import MS, FakeCuda
from tests.unit.support.world import World


class FakeBench(Bench):
    """The bench on the fake device. Threads take turns, as its time is everybody's."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.backend = self.cuda = cuda
        self.now, self.sleep = cuda.perf_ns, lambda seconds: cuda.clock.work(seconds * 1e9)
        self.services: dict[Any, Service] = {}
        self.as_events = "events"
        """The clock that stands for the events clock."""
        self.shifted = 0
        """ns by which its stages are placed wrongly."""
        self.guarded = True
        self._turn, self._local = threading.Lock(), threading.local()

    def recorder(self, clock: str, memory: str = "none") -> tuple[Any, Any]:
        world = World()
        service = Service(world, self.cuda, self.as_events if clock == "events" else clock)
        if self.shifted and clock == "events":
            world.recorder.clock = Shifted(service._find, now=self.now, guard=service.guard, by=self.shifted)
        self.services[world.recorder] = service
        return world.recorder, world.span_memory

    def request(self, recorder: Any) -> None:
        stream = getattr(self._local, "stream", self.cuda.devs[0].default)
        with self._turn, self.cuda.use(stream), Synthesis(recorder, {}) as synthesis:
            for name in ("acoustic_model", "vocoder"):
                with synthesis.stage(name):
                    self.cuda.launch(2 * MS)
            self.cuda.cpu_copy()

    def finish(self, recorder: Any) -> None:
        self.services[recorder].settle(10 * MS)

    def launch(self) -> None:
        self.cuda.launch(MS)

    def wait(self) -> None:
        self.cuda.clock.work(max(s.tail for d in self.cuda.devs for s in d.streams) - self.cuda.clock.t)

    @contextmanager
    def own_stream(self) -> Iterator[None]:
        self._local.stream = self.cuda.devs[0].stream()
        yield

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        seen, before = Counter(), self.cuda.blocking_calls
        yield seen
        seen["all"] = self.cuda.blocking_calls - before

    @contextmanager
    def capture(self, mode: str) -> Iterator[None]:
        *_, service = self.services.values()
        stream = self.cuda.devs[0].stream()
        if not self.guarded:
            service.guard.begin = lambda graph: None
        with self.cuda.use(stream), service.capture(stream, mode):
            yield

    def elsewhere(self, work: Callable[[], Any]) -> Any:
        caller, self.cuda.thread = self.cuda.thread, "another"
        try:
            with self.cuda.use(self.cuda.devs[0].default):
                return work()
        finally:
            self.cuda.thread = caller

    def break_device(self) -> None:
        self.cuda.devs[0].broken = "device-side assert triggered"
        self.cuda.launch(MS)

    def close(self) -> None:
        for service in self.services.values():
            service.world.emitter._waiting.clear()
            service.world.close()


class Shifted(Events):
    """An events clock whose times are wrong, and which claims them to be exact."""

    def __init__(self, *args: Any, by: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._by = by

    def _settle(self, stage: Any) -> None:
        super()._settle(stage)
        stage.t0, stage.t1 = stage.t0 + self._by, stage.t1 + self._by
        stage.attrs[names.GPU_CLOCK_UNCERTAINTY] = 0.0


@pytest.fixture
def bench() -> Iterator[Callable[..., FakeBench]]:
    with ExitStack() as ends:

        def make(**device: Any) -> FakeBench:
            cuda = FakeCuda(**device)
            ends.enter_context(put_clock(cuda.perf_ns, cuda.wall_ns))
            made = FakeBench(cuda)
            ends.callback(made.close)
            return made

        yield make


def rows(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


# --- the clock ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ppm", [0, 40, -60])
def test_a_healthy_clock_passes_and_its_drift_is_measured(bench: Callable[..., FakeBench], ppm: int) -> None:
    here = bench(drift_ppm=ppm)
    seen = doctor_clock.sandwich(here)
    assert not seen.outside and not seen.broken and len(seen.claims) == 12 * 20
    assert seen.renewals >= 2, "bounds are carried over to a new reference"
    assert abs(seen.rate * 1e6 - ppm) <= seen.error * 1e6 + 0.01
    found = rows(clock(bench(drift_ppm=ppm)))
    assert [found[name].status for name in ("clock", "drift")] == [PASS, PASS]
    assert "0 of 240 claims did not hold" in found["clock"].detail
    assert here.cuda.blocking_calls == 0


def test_a_drift_beyond_what_is_allowed_fails(bench: Callable[..., FakeBench]) -> None:
    found = rows(clock(bench(drift_ppm=400)))
    assert found["drift"].status == FAIL and "100 ppm are allowed" in found["drift"].detail
    assert found["clock"].status == FAIL and "contradict each other" in found["clock"].detail


def test_stamps_that_are_coarser_than_claimed_fail(bench: Callable[..., FakeBench]) -> None:
    found = rows(clock(bench(resolution_ns=60_000)))
    assert found["clock"].status == FAIL


def test_a_device_that_is_busy_is_not_judged(bench: Callable[..., FakeBench]) -> None:
    found = rows(clock(bench(latency_ns=3 * MS)))
    assert [check.status for check in found.values()] == [SKIP]
    assert "something else uses the device" in found["clock"].detail


# --- synchronisations -----------------------------------------------------------------------------------


def test_nothing_is_added_and_the_sync_clock_adds(bench: Callable[..., FakeBench]) -> None:
    found = rows(_synchronisations(bench()))
    assert found["synchronisations"].status == PASS
    assert found["synchronisations"].detail == "0 added in 50 requests (sync mode: 200)"
    assert found["request"].status == MEASURED


def test_a_clock_that_waits_fails(bench: Callable[..., FakeBench]) -> None:
    here = bench()
    here.as_events = "sync"
    assert rows(_synchronisations(here))["synchronisations"].status == FAIL
    (check,) = concurrent(here)
    assert check.status == FAIL and "160 synchronisations added" in check.detail


def test_concurrent_requests_stay_in_their_times(bench: Callable[..., FakeBench]) -> None:
    (check,) = concurrent(bench())
    assert check.status == PASS, check.detail
    assert "82 stages on the device's clock, 0 of them" in check.detail


@pytest.mark.parametrize("by", [-5 * MS, 5 * MS])
def test_stages_outside_of_their_request_fail(bench: Callable[..., FakeBench], by: int) -> None:
    here = bench()
    here.shifted = by
    (check,) = concurrent(here)
    assert check.status == FAIL and " 0 of them" not in check.detail


def test_stages_without_the_devices_times_fail(bench: Callable[..., FakeBench]) -> None:
    here = bench()
    here.as_events = "host"
    (check,) = concurrent(here)
    assert check.status == FAIL and "; 0 stages on the device's clock" in check.detail


def test_an_error_of_one_thread_is_the_checks(bench: Callable[..., FakeBench]) -> None:
    here = bench()
    made, _ = here.recorder("events")
    here.cuda.devs[0].broken = "gone"
    with pytest.raises(RuntimeError, match="gone"):
        doctor_clock.in_threads(here, made)


# --- captures -------------------------------------------------------------------------------------------


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of their own say one line."""
    monkeypatch.setattr(broken_device, "apart", lambda part, name, judge: iter([judge(["as said"])]))


def test_a_capture_beside_a_request_is_whole(bench: Callable[..., FakeBench], apart: None) -> None:
    found = rows(captures(bench()))
    assert {name: check.status for name, check in found.items()} == {
        "capture, thread_local": PASS, "capture, global": PASS, "bare queries": MEASURED,
    }  # fmt: skip
    assert "captured" in found["capture, global"].detail
    assert found["bare queries"].detail == "as said"


def test_without_the_guard_the_capture_is_spoilt(bench: Callable[..., FakeBench], apart: None) -> None:
    here = bench()
    here.guarded = False
    found = rows(captures(here))
    assert found["capture, global"].status == FAIL and "the capture was spoilt" in found["capture, global"].detail


def test_bare_queries_end_with_the_one_that_spoils(
    bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench()
    here.recorder("events")
    assert bare_queries(here) == [
        "thread_local, another thread after exchanging its own mode: answered",
        "thread_local, another thread as it is: answered",
        "global, another thread after exchanging its own mode: spoils the capture",
    ], "the fake's threads have no mode of their own"
    here = bench()
    here.recorder("events")
    monkeypatch.setattr(here.cuda, "adopt_thread", lambda: here.cuda.captures[-1].update(mode="relaxed"))
    assert bare_queries(here)[2:] == [
        "global, another thread after exchanging its own mode: answered",
        "global, another thread as it is: spoils the capture",
    ]


# --- errors that stay -----------------------------------------------------------------------------------


def test_spans_come_out_of_a_broken_device(bench: Callable[..., FakeBench]) -> None:
    told = after_breaking(bench())
    assert told == {"raised": "CudaError", "ours": "", "spans": 5, "statuses": ["error:CudaError"] * 2}
    check = judge_sticky(told)
    assert check.status == PASS and "the application met CudaError" in check.detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"raised": ""}, "the device did not break"),
        ({"ours": "AcceleratorError"}, "a request without any work for the device raised AcceleratorError"),
        ({"spans": 3}, "3 of 5 spans came out"),
        ({"statuses": ["error:CudaError", None]}, "does not say that its times are not the device's"),
        ({"statuses": ["error:CudaError"]}, "does not say that its times are not the device's"),
    ],
)
def test_what_goes_wrong_on_a_broken_device_fails(change: dict[str, Any], reason: str) -> None:
    told = {"raised": "CudaError", "ours": "", "spans": 5, "statuses": ["error:CudaError"] * 2}
    check = judge_sticky({**told, **change})
    assert check.status == FAIL and reason in check.detail


def test_a_device_that_does_not_break_is_no_proof(bench: Callable[..., FakeBench]) -> None:
    here = bench()
    here.break_device = here.launch
    assert judge_sticky(after_breaking(here)).status == FAIL


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (lambda: subprocess.CompletedProcess([], 0, 'warning\n{"raised": "E", "ours": "", "spans": 5, '
                                                    '"statuses": ["error:E", "error:E"]}\n', ""), PASS, "met E"),
        (lambda: subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: torch"), FAIL, "1: ImportError"),
        (lambda: subprocess.CompletedProcess([], -6, "", ""), FAIL, "ended with -6: it said nothing"),
        (lambda: (_ for _ in ()).throw(subprocess.TimeoutExpired("x", 120)), FAIL, "did not end in 120 s"),
    ],
)  # fmt: skip
def test_the_process_with_the_broken_device_is_judged(
    monkeypatch: pytest.MonkeyPatch, outcome: Callable[[], Any], status: str, reason: str
) -> None:
    def run(command: list[str], **options: Any) -> Any:
        assert command == [sys.executable, "-m", "otel_tts.doctor.broken_device", "sticky"]
        return outcome()

    monkeypatch.setattr(broken_device.subprocess, "run", run)
    (check,) = sticky(None)  # type: ignore[arg-type]
    assert check.status == status and reason in check.detail


def test_the_process_prints_one_document(
    bench: Callable[..., FakeBench], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = bench()
    ended: list[int] = []
    monkeypatch.setattr("otel_tts.doctor.bench.Bench", lambda: here)
    monkeypatch.setattr(broken_device.os, "_exit", ended.append)
    broken_device.main("sticky")
    assert judge_sticky(json.loads(capsys.readouterr().out)).status == PASS
    assert ended == [0], "torch's own tidying up meets the broken device otherwise"


def test_every_check_has_its_place() -> None:
    assert list(_CHECKS) == [
        "calls", "events", "clock", "synchronisations", "concurrent requests", "profiler", "memory", "energy",
        "fork", "capture", "sticky error",
    ]  # fmt: skip
