# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Health, energy and cost as they are exported, from the scripted library to the points."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import otel_tts
from otel_tts import guard, names
from otel_tts.device.power.nvml import THROTTLING, Snapshot
from otel_tts.device.torch.allocator import visible
from otel_tts.emit.device_metrics import DeviceMetrics
from otel_tts.privacy.policy import Policy
from otel_tts.recording import request
from otel_tts.recording.request import Request
from tests.unit.support.fakecuda import CudaError
from tests.unit.support.faketorch import Device, FakeTorch
from tests.unit.support.nvml_stub import GPU0, GPU1, Stub
from tests.unit.support.world import World

S = 1_000_000_000
GIB = 1 << 30


@pytest.fixture
def polling(stub: Stub, world: Callable[..., World]) -> Iterator[Callable[..., World]]:
    """A recorder whose NVML thread has looked once more after each call of it."""
    made: list[World] = []

    def begin(**settings: Any) -> World:
        here = world(clock="host", nvml_interval=0.01, **settings)
        made.append(here)
        here.recorder.devices.allow_polling()
        with here.synthesis():
            pass
        here.drain()
        here.emitter.look_at_gpu()
        deadline = time.monotonic() + 20
        while not here.recorder.devices.poller.snapshots():
            assert time.monotonic() < deadline, here.recorder.devices.poller.reason
            time.sleep(0.002)
        return here

    yield begin
    for here in made:
        here.recorder.devices.stop()
        here.recorder.devices.poller._thread.join(20)


def test_every_metric_of_a_gpu(polling, stub: Stub) -> None:
    stub.reset(1)
    stub.set(gpu_util=40, power_mw=250_500, temp_c=55, reasons=THROTTLING["hw_thermal"], ecc_corr=3, ecc_uncorr=0)
    stub.advance(2000)
    stub.process(1, 5 * GIB)
    here = polling()
    points = here.all_points()
    hw = {name: points[name] for name in points if name.startswith(("hw.", "tts.gpu"))}
    assert hw == {
        "hw.gpu.memory.limit": {f"hw.id={GPU0}": 80 * GIB},
        "hw.gpu.memory.usage": {f"hw.id={GPU0}": GIB},
        "hw.gpu.memory.utilization": {f"hw.id={GPU0}": 0.0125},
        "hw.gpu.utilization": {f"hw.gpu.task=general hw.id={GPU0}": 0.4},
        "hw.power": {f"hw.id={GPU0} hw.type=gpu": 250.5},
        "hw.temperature": {f"hw.id={GPU0} hw.type=gpu": 55},
        "hw.energy": {f"hw.id={GPU0} hw.type=gpu": 501.0},
        "hw.errors": {
            f"error.type=corrected hw.id={GPU0} hw.type=gpu": 3,
            f"error.type=uncorrected hw.id={GPU0} hw.type=gpu": 0,
        },
        "hw.status": {f"hw.id={GPU0} hw.state=ok hw.type=gpu": 1, f"hw.id={GPU0} hw.state=failed hw.type=gpu": 0},
        "tts.gpu.throttled": {
            f"hw.id={GPU0} reason={reason}": int(reason == "hw_thermal") for reason in sorted(THROTTLING)
        },
        "tts.gpu.process.memory": {f"hw.id={GPU0}": 5 * GIB},
    }
    policy = Policy()
    for name in hw:
        for point in here.raw_points(name):
            assert policy.labels(point.attributes, "otel_tts") == point.attributes, "the gate lets it pass whole"


def test_a_mig_instance_names_its_gpu_and_a_lost_one_is_failed(polling, stub: Stub) -> None:
    stub.enable_mig(1)
    here = polling()
    limits = here.all_points()["hw.gpu.memory.limit"]
    assert limits[f"hw.id={GPU0}"] == 80 * GIB
    assert [key for key in limits if f"hw.parent={GPU1}" in key] and len(limits) == 3
    stub.set(0, lost=1)
    deadline = time.monotonic() + 20
    while here.all_points().get("hw.status", {}).get(f"hw.id={GPU0} hw.state=failed hw.type=gpu") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert f"hw.id={GPU0} hw.type=gpu" not in here.all_points()["hw.power"], "absent, not 0"


def test_nothing_is_polled_before_the_first_request_nor_without_leave(stub: Stub, world) -> None:
    here = world(nvml_interval=0.01)
    here.recorder.devices.allow_polling()
    here.emitter.look_at_gpu()
    assert not here.recorder.devices.poller.started, "a server's master never speaks"
    other = world(nvml_interval=0.01)
    with other.synthesis():
        pass
    other.emitter.look_at_gpu()
    assert not other.recorder.devices.poller.started


def test_a_configured_process_gives_leave() -> None:
    code = (
        "import otel_tts; otel_tts.configure(); from otel_tts.recording import recorder as r; "
        "print(r.current().devices._polls)"
    )
    nowhere = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **nowhere}
    )
    assert ended.stdout == "True\n", ended.stderr


def test_another_exporter_does_it(stub: Stub, world) -> None:
    here = world(nvml_interval=0.0)
    here.recorder.devices.allow_polling()
    with here.synthesis():
        pass
    here.emitter.look_at_gpu()
    assert not here.recorder.devices.poller.started
    assert not [name for name in here.all_points() if name.startswith("hw.")]


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (None, None),
        ("", ()),
        ("-1", ()),
        ("0,2", ("0", "2")),
        ("GPU-ab, MIG-cd ,", ("GPU-ab", "MIG-cd")),
        ("1,-1,2", ("1",)),
    ],
)
def test_what_cuda_visible_devices_leaves(text: str | None, devices: Any) -> None:
    assert visible({} if text is None else {"CUDA_VISIBLE_DEVICES": text}) == devices


def test_the_devices_of_torch_come_before_the_variable(
    here: World, torch: FakeTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    gpu = here.recorder.devices
    assert gpu._wanted() == ("5",)
    with here.synthesis():
        pass
    assert gpu._wanted() == (GPU0,)


# --- energy and cost --------------------------------------------------------------------------------------------------


def speak(here: World, device: Device, seconds: float, engine: str = "e", **facts: Any) -> None:
    synthesis = here.synthesis(tts__engine__name=engine, gen_ai__request__model="m", **facts).start()
    stage = synthesis.stage("model").open()
    device.use_mib(1)
    device.clock.work(seconds * S)
    stage.close()
    synthesis.finish()


def test_time_energy_and_cost(world, torch: FakeTorch, device: Device, clock: Any) -> None:
    here = world(clock="host", gpu_price=3.6, currency="EUR")
    gpu = here.recorder.devices
    millijoules = 0

    def read() -> None:
        gpu._read_energy(Snapshot(GPU0, clock.ns, energy=millijoules))

    for second in range(60):
        read()
        speak(here, device, 0.5, "a" if second % 3 else "b")
        clock.tick(0.5)
        millijoules += 50 * 1000 + 350 * 500  # 50 W idle, 350 W more while it speaks
        here.drain()
        here.emitter.look_at_gpu()
    read()
    clock.tick(10)
    here.emitter.look_at_gpu()
    labels = [("a", "m", "timeshare_host"), ("b", "m", "timeshare_host")]
    assert here.points("tts.gpu.time") == {(m, e, how): 20.0 if e == "a" else 10.0 for e, m, how in labels}
    spent = {key[1]: value for key, value in here.points("tts.gpu.energy").items()}
    idle = here.points("tts.gpu.energy.idle")[(GPU0,)]
    windows = 59
    assert spent["a"] + spent["b"] + idle == pytest.approx(windows * 225, abs=1e-9)
    assert spent["a"] / spent["b"] == pytest.approx(2, rel=0.1)
    cost = here.points("tts.cost")
    assert {key[-3:]: value for key, value in cost.items()} and sum(cost.values()) == pytest.approx(30 / 3600 * 3.6)
    assert {point.attributes["tts.cost.currency"] for point in here.raw_points("tts.cost")} == {"EUR"}
    one = [span for span in here.spans if span.name == "text_to_speech m"][-1].attributes
    assert one["tts.cost"] == pytest.approx(0.5 / 3600 * 3.6) and one["tts.cost.currency"] == "EUR"


def leave_after(here: World, device: Device, clock: Any, heard_s: float, unheard_s: float, streams: bool) -> None:
    """One request whose listener leaves; of a stream the synthesis ends then, and its engine goes on."""
    web = Request("r", clock.ns, answers=True)
    gone = False
    web.is_gone = lambda: gone
    token = request.current.set(web)

    @otel_tts.synthesis("m", engine="e")
    def speak_on(text: str) -> None:
        nonlocal gone
        (synthesis,) = here.recorder.open.values()
        with otel_tts.stage("model"):
            device.use_mib(1)
            device.clock.work(heard_s * S)
            gone = True
            here.emitter._look_for_clients()
            if streams:
                synthesis.finish(GeneratorExit())
                here.drain()
            device.clock.work(unheard_s * S)

    try:
        speak_on("x")
    finally:
        request.current.reset(token)
    web.end(clock.ns, left=True)
    here.drain()


@pytest.mark.parametrize("streams", [False, True], ids=["answer", "stream"])
def test_work_after_the_listener_left_has_its_share(
    world, torch: FakeTorch, device: Device, clock: Any, streams: bool
) -> None:
    here = world(clock="host", gpu_price=3600.0)
    gpu, millijoules = here.recorder.devices, 0

    def read() -> None:
        gpu._read_energy(Snapshot(GPU0, clock.ns, energy=millijoules))

    for _ in range(20):
        read()
        leave_after(here, device, clock, 0.25, 0.5, streams)
        millijoules += 400 * 750
        here.emitter.look_at_gpu()
    read()
    clock.tick(10)
    here.emitter.look_at_gpu()
    total_time, total_energy = (sum(here.points(f"tts.gpu.{name}").values()) for name in ("time", "energy"))
    assert sum(here.points("tts.abandoned.gpu_time").values()) == pytest.approx(total_time * 2 / 3)
    assert sum(here.points("tts.abandoned.energy").values()) == pytest.approx(total_energy * 2 / 3, rel=0.1)
    assert sum(here.points("tts.abandoned.cost").values()) == pytest.approx(
        sum(here.points("tts.cost").values()) * 2 / 3
    )
    assert total_time == pytest.approx(15.0) and total_energy > 0
    name = "tts.abandoned" if streams else "text_to_speech m"
    told = [span for span in here.spans if span.name == name]
    assert len(told) == 20
    for span in told:
        assert span.attributes["tts.abandoned.duration"] == pytest.approx(0.5)
        assert span.attributes["tts.abandoned.gpu_time"] == pytest.approx(0.5)
        assert span.attributes["tts.abandoned.cost"] == pytest.approx(0.5)


def test_a_watchers_probe_is_charged_with_nothing(world, torch: FakeTorch, device: Device, clock: Any) -> None:
    here = world(clock="host", gpu_price=3.6)
    speak(here, device, 0.5, tts__canary=True)
    speak(here, device, 0.25)
    clock.tick(10)
    here.drain()
    here.emitter.look_at_gpu()
    assert list(here.points("tts.gpu.time").values()) == [0.25]
    assert sum(here.points("tts.cost").values()) == pytest.approx(0.25 / 3600 * 3.6)
    probe, _ = (span for span in here.spans if span.name == "text_to_speech m")
    assert "tts.cost" not in probe.attributes


def test_without_a_price_no_cost_is_told(here: World, device: Device) -> None:
    speak(here, device, 1)
    here.drain()
    assert "tts.cost" not in here.span("text_to_speech m").attributes
    assert here.points("tts.cost") == {}


def test_requests_at_the_same_time_share_it(world, torch: FakeTorch, device: Device, clock: Any) -> None:
    here = world(clock="host", gpu_price=3600.0)
    first, second = (here.synthesis(gen_ai__request__model="m").start() for _ in range(2))
    stages = [synthesis.stage("model").open() for synthesis in (first, second)]
    device.use_mib(1)
    clock.tick(4)
    for stage in stages:
        stage.close()
    for synthesis in (first, second):
        synthesis.finish()
    here.drain()
    clock.tick(10)
    here.emitter.look_at_gpu()
    assert list(here.points("tts.gpu.time").values()) == [4.0], "of the wall's four seconds, not eight"
    assert [span.attributes["tts.cost"] for span in here.spans if span.name.startswith("text")] == [4.0, 2.0], (
        "the first is told before its neighbour is known; the metric has the fair sum"
    )


def test_an_open_request_holds_the_books_open(here: World, device: Device, clock: Any) -> None:
    waiting = here.synthesis().start()
    speak(here, device, 2)
    here.drain()
    clock.tick(100)
    here.emitter.look_at_gpu()
    assert here.points("tts.gpu.time") == {}
    waiting.finish()
    here.drain()
    clock.tick(10)
    here.emitter.look_at_gpu()
    assert list(here.points("tts.gpu.time").values()) == [2.0]


def test_a_lost_device_does_not_keep_the_books_open(
    here: World, torch: FakeTorch, device: Device, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(here, device, 2)
    here.drain()
    clock.tick(10)

    def lost() -> int:
        raise CudaError("CUDA error: device lost")

    monkeypatch.setattr(torch.cuda, "device_count", lost)
    here.emitter.look_at_gpu()
    assert list(here.points("tts.gpu.time").values()) == [2.0]
    guard.faults.clear()


def test_a_mig_parents_energy_is_nobodys(here: World, clock: Any) -> None:
    gpu = here.recorder.devices
    for second in range(10):
        gpu._read_energy(Snapshot(GPU0, clock.ns, mig=True, energy=second * 1000))
        gpu._read_energy(Snapshot("MIG-1", clock.ns, parent=GPU0, energy=second * 1000))
        clock.tick(1)
    gpu.ledger.settle(clock.ns)
    assert gpu.ledger.idle == {}


def test_labels_are_bounded_and_their_sum_is_kept(world, torch: FakeTorch, device: Device, clock: Any) -> None:
    here = world(clock="host", max_label_values=2)
    for number in range(5):
        speak(here, device, 1, f"engine-{number}")
    here.drain()
    clock.tick(10)
    here.emitter.look_at_gpu()
    found = {p.attributes["tts.engine.name"]: p.value for p in here.raw_points("tts.gpu.time")}
    assert found == {"engine-0": 1.0, "engine-1": 1.0, "other": 3.0}


def test_what_is_on_the_books_at_the_end_is_shared_out(here: World, device: Device, clock: Any) -> None:
    speak(here, device, 1)
    here.emitter.close()
    assert sum(here.recorder.devices.ledger.time.values()) == S
    assert not here.recorder.devices._spans


def test_the_names_of_what_is_observed_are_in_the_table(world) -> None:
    recorder = world().recorder
    assert {metric for metric, _ in DeviceMetrics(recorder.devices, recorder.settings).all()} <= set(names.METRICS)
