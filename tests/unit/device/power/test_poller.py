# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from otel_tts import guard
from otel_tts.device.power import poller as module
from otel_tts.device.power.nvml import Nvml, Unavailable
from otel_tts.device.power.poller import Poller
from tests.unit.support.nvml_stub import GPU0, GPU1, NOT_LOADED, Stub


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.002)


@pytest.fixture
def made(stub: Stub) -> Iterator[Callable[..., Poller]]:
    pollers: list[Poller] = []

    def make(**options) -> Poller:
        pollers.append(Poller(options.pop("interval", 0.01), **options))
        return pollers[-1]

    yield make
    stub.hang("")
    for poller in pollers:
        poller.stop()
    for poller in pollers:
        if poller._thread is not None:
            poller._thread.join(20)
            assert not poller._thread.is_alive()


def test_looks_come_and_go_on(made, stub: Stub) -> None:
    heard: list[str] = []
    poller = made(reading=lambda snapshot: heard.append(snapshot.id))
    assert poller.snapshots() == () and poller.reason == "not started"
    poller.start()
    poller.start()
    until(lambda: len(heard) >= 6)
    assert set(heard) == {GPU0, GPU1}
    stub.set(power_mw=250_000)
    until(lambda: poller.snapshots()[0].power == 250.0)
    assert poller.reason == ""


def test_an_interval_of_zero_is_off(made) -> None:
    poller = made(interval=0.0)
    poller.start()
    assert not poller.started and poller.snapshots() == ()


def test_where_no_thread_can_be_had_the_next_request_tries_again(made, monkeypatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    poller = made()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        poller.start()
    assert not poller.started and poller.snapshots() == ()
    assert poller.reason == "no thread could be started"
    poller.start()
    until(lambda: poller.snapshots() != ())


def test_only_the_wanted_devices_are_looked_at_and_that_may_change(made) -> None:
    wanted: list[tuple[str, ...] | None] = [(GPU1,)]
    poller = made(wanted=lambda: wanted[0])
    poller.start()
    until(poller.snapshots)
    assert [snapshot.id for snapshot in poller.snapshots()] == [GPU1]
    wanted[0] = (GPU0,)
    until(lambda: [snapshot.id for snapshot in poller.snapshots()] == [GPU0])


def test_a_hanging_driver_makes_nobody_wait(made, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HANGS_AFTER_S", 0.05)
    monkeypatch.setattr(module, "_LEAST_AGE_S", 0.05)
    monkeypatch.setattr(module, "_FORK_WAIT_S", 0.05)
    poller = made()
    poller.start()
    until(poller.snapshots)
    stub.hang("nvmlDeviceGetPowerUsage")
    until(stub.is_hanging)
    until(lambda: not poller.snapshots())  # what is known has become old; each of these calls came back
    until(lambda: poller.snapshots() or guard.faults["nvml"])
    assert poller.hold() is False, "a fork waits for a moment only"
    poller.stop()  # and so does the end of the process
    for _ in range(100):
        poller.snapshots()
    assert guard.faults["nvml"] == 1, "counted once for each hang"
    guard.faults.clear()


def test_a_driver_that_wakes_up_is_looked_at_again(made, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_AGE_S", 0.05)
    monkeypatch.setattr(module, "_MOST_BUSY", 0)
    poller = made()
    poller.start()
    until(poller.snapshots)
    stub.hang("nvmlDeviceGetPowerUsage")
    until(stub.is_hanging)
    until(lambda: not poller.snapshots())
    stub.hang("")
    until(poller.snapshots)


def test_a_lost_gpu_is_reported_and_comes_back(made, stub: Stub) -> None:
    before = stub.initialisations
    poller = made()
    poller.start()
    until(poller.snapshots)
    stub.set(0, lost=1)
    until(lambda: poller.snapshots() and {s.id: s.lost for s in poller.snapshots()} == {GPU0: True, GPU1: False})
    time.sleep(0.05)  # through several new initialisations, in which it is not even listed
    until(lambda: poller.snapshots() and {s.id: s.lost for s in poller.snapshots()} == {GPU0: True, GPU1: False})
    stub.set(0, lost=0)
    until(lambda: poller.snapshots() and not any(s.lost for s in poller.snapshots()))
    assert stub.initialisations == before + 1, "each new initialisation gave the last one back"


def test_a_driver_that_is_reloaded_is_found_again(made, stub: Stub) -> None:
    poller = made()
    poller.start()
    until(poller.snapshots)
    stub.fail("nvmlDeviceGetMemoryInfo_v2", NOT_LOADED)
    stub.fail("nvmlInitWithFlags", NOT_LOADED)
    until(lambda: poller.reason)
    stub.fail("nvmlDeviceGetMemoryInfo_v2", 0)
    stub.fail("nvmlInitWithFlags", 0)
    until(lambda: not poller.reason)
    assert not guard.faults


def test_where_there_is_no_nvml_the_thread_ends(made) -> None:
    def connect() -> Nvml:
        raise Unavailable("no library", final=True)

    poller = made(connect=connect)
    poller.start()
    until(lambda: poller.reason == "no library")
    poller._thread.join(20)
    assert not poller._thread.is_alive()


def test_an_error_of_ours_is_contained_and_the_next_look_comes(made) -> None:
    heard: list[int] = []

    def reading(snapshot) -> None:
        heard.append(1)
        if len(heard) == 1:
            raise KeyError("ours")

    poller = made(reading=reading)
    poller.start()
    until(lambda: len(heard) > 4)
    assert guard.faults["nvml"] == 1
    guard.faults.clear()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_neither_thread_nor_looks_and_may_begin_anew(made, stub: Stub) -> None:
    poller = made()
    poller.start()
    until(poller.snapshots)
    read, write = os.pipe()
    held = poller.hold()
    child = os.fork()
    if child == 0:
        poller.renew()
        seen = [poller.started, bool(poller.snapshots())]
        poller.start()
        deadline = time.monotonic() + 10
        while not poller.snapshots() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.write(write, repr([*seen, bool(poller.snapshots())]).encode())
        os._exit(0)
    if held:
        poller.release()
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "[False, False, True]"
    os.waitpid(child, 0)
    until(poller.snapshots)
