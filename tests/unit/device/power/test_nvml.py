# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real nvidia-ml-py over a scripted library."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otel_tts.device.power import nvml as module
from otel_tts.device.power.nvml import Nvml, Unavailable, own_memory
from tests.unit.support.nvml_stub import (
    FUNCTION_NOT_FOUND,
    GPU0,
    GPU1,
    LOST,
    NO_PERMISSION,
    NOT_LOADED,
    NOT_SUPPORTED,
    Stub,
    look,
)

GIB = 1 << 30


def test_everything_that_a_healthy_gpu_says(stub: Stub, nvml: Nvml) -> None:
    stub.set(gpu_util=87, power_mw=312_500, temp_c=61, reasons=0x4 | 0x20, ecc_corr=7, ecc_uncorr=1)
    stub.process(os.getpid(), 3 * GIB)
    stub.process(1, 9 * GIB)
    stub.advance(1000)
    seen = look(nvml)
    assert (seen.id, seen.parent, seen.mig, seen.lost) == (GPU0, None, False, False)
    assert (seen.memory_total, seen.memory_used) == (80 * GIB, GIB), "the second version: without the driver's reserve"
    assert seen.process_memory == 3 * GIB
    assert (seen.utilization, seen.power, seen.temperature) == (0.87, 312.5, 61)
    assert seen.energy == 312_500, "mJ: 312.5 W for a second"
    assert seen.throttling == 0x24
    assert (seen.ecc_corrected, seen.ecc_uncorrected) == (7, 1)
    assert nvml.rejected == 0


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND])
def test_what_is_not_supported_is_absent_and_not_asked_again(stub: Stub, nvml: Nvml, code: int) -> None:
    (gpu, *_) = nvml.gpus()
    before = stub.calls
    nvml.look(gpu)
    whole = stub.calls - before
    for name in ("PowerUsage", "Temperature", "TotalEccErrors"):
        stub.fail(f"nvmlDeviceGet{name}", code)
    seen = nvml.look(gpu)
    assert (seen.power, seen.temperature, seen.ecc_corrected, seen.ecc_uncorrected) == (None,) * 4
    assert seen.utilization == 0.0, "the rest is known"
    before = stub.calls
    assert nvml.look(gpu).power is None
    assert stub.calls - before == whole - 4


def test_a_passing_error_is_asked_again(stub: Stub, nvml: Nvml) -> None:
    timeout = 10
    stub.fail("nvmlDeviceGetPowerUsage", timeout)
    assert look(nvml).power is None
    stub.fail("nvmlDeviceGetPowerUsage", 0)
    assert look(nvml).power == 70.0


def test_a_lost_gpu_is_lost_and_its_neighbour_is_not(stub: Stub, nvml: Nvml) -> None:
    first, second = nvml.gpus()
    stub.set(0, lost=1)
    seen = nvml.look(first)
    assert seen.lost and seen.memory_used is None and seen.power is None
    assert not nvml.look(second).lost
    assert [gpu.id for gpu in nvml.gpus()] == [GPU1]


def test_a_driver_that_goes_away_says_so_in_words(stub: Stub, nvml: Nvml) -> None:
    (gpu, *_) = nvml.gpus()
    stub.fail("nvmlDeviceGetMemoryInfo_v2", NOT_LOADED)
    with pytest.raises(Unavailable, match=r"Driver Not Loaded|stub error") as raised:
        nvml.look(gpu)
    assert not raised.value.final
    assert raised.value.__cause__ is None, "NVML's own exceptions cannot be hashed"


def test_a_driver_that_is_not_loaded_at_the_start_may_come(stub: Stub) -> None:
    stub.fail("nvmlInitWithFlags", NOT_LOADED)
    with pytest.raises(Unavailable) as raised:
        Nvml()
    assert not raised.value.final
    stub.fail("nvmlInitWithFlags", 0)
    Nvml().close()


def test_each_initialisation_is_given_back(stub: Stub) -> None:
    before = stub.initialisations
    opened = Nvml()
    assert stub.initialisations == before + 1
    opened.close()
    opened.close()
    assert stub.initialisations == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"power_mw": 0xFFFFFFFF}, "power"),
        ({"temp_c": 0xFFFFFFF0}, "temperature"),
        ({"gpu_util": 4_000_000}, "utilization"),
        ({"reasons": 2**64 - 1}, "throttling"),
        ({"ecc_corr": 2**64 - 1}, "ecc_corrected"),
        ({"energy_visible_mj": 2**64 - 1}, "energy"),
        ({"used": 81 * GIB}, "memory_used"),
        ({"total": 0}, "memory_total"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_nonsense_is_absent_and_counted(stub: Stub, nvml: Nvml, wrong: dict[str, int], field: str) -> None:
    assert getattr(look(nvml), field) is not None
    stub.set(**wrong)
    assert getattr(look(nvml), field) is None
    assert nvml.rejected == 1


def test_an_energy_counter_that_leaps_is_not_believed_once(stub: Stub, nvml: Nvml) -> None:
    assert look(nvml).energy == 0
    stub.set(energy_visible_mj=10**12)
    assert look(nvml).energy is None, "a million kilojoules since a moment ago"
    assert look(nvml).energy == 10**12
    stub.set(energy_visible_mj=500)
    assert look(nvml).energy == 500, "going back is a reloaded driver"


def test_mig_instances_have_memory_and_their_parent_has_the_rest(stub: Stub, nvml: Nvml) -> None:
    stub.enable_mig(1)
    every = {gpu.id: gpu for gpu in nvml.gpus()}
    instances = [gpu for gpu in every.values() if gpu.parent is not None]
    assert len(instances) == 2 and {gpu.parent for gpu in instances} == {GPU1}
    parent = nvml.look(every[GPU1])
    assert parent.mig and parent.power == 70.0 and parent.energy is not None
    assert parent.memory_used is None and parent.utilization is None
    part = nvml.look(instances[0])
    assert (part.parent, part.memory_total, part.memory_used) == (GPU1, 20 * GIB, 256 << 20)
    assert part.power is None and part.energy is None, "nobody knows"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, [GPU0, GPU1]),
        ((), []),
        (("1",), [GPU1]),
        (("7",), []),
        ((GPU1,), [GPU1]),
        ((GPU1.removeprefix("GPU-"),), [GPU1]),
        (("GPU-00000000-0000-0000-0000-00000000000",), [GPU0, GPU1]),
        ((GPU1, GPU0), [GPU1, GPU0]),
    ],
)
def test_devices_are_found_by_uuid_its_beginning_or_index(nvml: Nvml, wanted, found) -> None:
    assert [gpu.id for gpu in nvml.gpus(wanted)] == found


def test_a_mig_instance_brings_its_parent(stub: Stub, nvml: Nvml) -> None:
    stub.enable_mig(1)
    (instance, *_) = [gpu for gpu in nvml.gpus() if gpu.parent is not None]
    assert {gpu.id for gpu in nvml.gpus((instance.id,))} == {instance.id, GPU1}


def test_in_a_container_only_a_lone_process_is_us(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nNSpid:\t4242\t{os.getpid()}\n")
    assert own_memory([(1, 5), (4242, 7)], str(status)) == 7, "the host's pid, where the kernel tells it"
    nowhere = str(tmp_path / "missing")
    assert own_memory([(1, 5)], nowhere) == 5
    assert own_memory([(1, 5), (2, 6)], nowhere) is None, "cannot be told: say nothing"
    assert own_memory([], nowhere) is None
    assert own_memory([(os.getpid(), None)], nowhere) is None


def test_eight_threads_may_ask_at_once(stub: Stub, nvml: Nvml) -> None:
    (gpu, *_) = nvml.gpus()
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.extend(nvml.look(gpu).power for _ in range(100))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [70.0] * 800


ASK = """
from otel_tts.device.power.nvml import Nvml, Unavailable
try:
    Nvml()
except Unavailable as unavailable:
    print(unavailable.final, unavailable)
"""


def ask(prelude: str = "", **environ: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", prelude + ASK], capture_output=True, text=True, timeout=30, env={**os.environ, **environ}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_without_the_package_it_is_said_and_final() -> None:
    answer = ask("import sys; sys.modules['pynvml'] = None\n")
    assert answer.startswith("True nvidia-ml-py cannot be imported (")


def test_without_a_driver_it_is_said_and_final() -> None:
    hide = "import ctypes\nold = ctypes.CDLL.__init__\ndef init(self, name, *a, **k):\n    raise OSError(name)\n"
    answer = ask(hide + "ctypes.CDLL.__init__ = init\n")
    assert answer.startswith("True NVMLError_LibraryNotFound")


def test_a_foreign_package_of_that_name_is_no_trouble() -> None:
    answer = ask("import sys, types; sys.modules['pynvml'] = types.ModuleType('pynvml')\n")
    assert answer.startswith("True AttributeError")


def test_importing_asks_for_nothing() -> None:
    code = "import sys; sys.modules['pynvml'] = None; import otel_tts.device.devices; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ended.stdout == "False\n", ended.stderr


def test_the_reasons_are_nvmls_bits() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = {
        "sw_power_cap": "SwPowerCap",
        "hw_slowdown": "HwSlowdown",
        "sync_boost": "SyncBoost",
        "sw_thermal": "SwThermalSlowdown",
        "hw_thermal": "HwThermalSlowdown",
        "hw_power_brake": "HwPowerBrakeSlowdown",
    }
    for reason, bit in module.THROTTLING.items():
        name = names[reason]
        found = getattr(pynvml, f"nvmlClocksEventReason{name}", None)
        assert (found or getattr(pynvml, f"nvmlClocksThrottleReason{name}")) == bit
    assert (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_DRIVER_NOT_LOADED) == (LOST, NOT_LOADED)
