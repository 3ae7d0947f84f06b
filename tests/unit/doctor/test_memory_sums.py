# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The doctor's look at the driver's two ways to count memory, over the C stub."""

from __future__ import annotations

import os

import pytest

from otel_tts.device.power.nvml import Nvml
from otel_tts.doctor.check import FAIL, PASS, SKIP, Check
from otel_tts.doctor.gpu import memory_sums
from tests.unit.support.nvml_stub import NOT_SUPPORTED, Stub

GIB = 1 << 30


def sums(nvml: Nvml, held: int = GIB) -> Check:
    return memory_sums(nvml, nvml.gpus(("0",))[0], held)


def test_both_versions_add_up(stub: Stub, nvml: Nvml) -> None:
    stub.set(used=8 * GIB, reserved=GIB)
    stub.process(os.getpid(), 3 * GIB)
    check = sums(nvml)
    assert check.status == PASS
    assert check.detail == (
        f"version 1 counts {9 * GIB} bytes used, with the driver's {GIB}; version 2 {8 * GIB}; "
        f"own {3 * GIB}, of which torch holds {GIB}"
    )


@pytest.mark.parametrize("held", [4 * GIB, 10 * GIB])
def test_a_process_that_has_less_than_its_torch_fails(stub: Stub, nvml: Nvml, held: int) -> None:
    stub.set(used=8 * GIB)
    stub.process(os.getpid(), 3 * GIB)
    check = sums(nvml, held)
    assert check.status == FAIL and f"are not between torch's {held}" in check.detail


def test_a_process_that_has_more_than_the_device_uses_fails(stub: Stub, nvml: Nvml) -> None:
    stub.set(used=GIB, reserved=0)
    stub.process(os.getpid(), 3 * GIB)
    assert sums(nvml).status == FAIL


def test_numbers_that_do_not_add_up_fail(stub: Stub, nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    real = nvml._n.nvmlDeviceGetMemoryInfo

    def more(handle, version=None):
        memory = real(handle) if version is None else real(handle, version)
        memory.free += 1
        return memory

    monkeypatch.setattr(nvml._n, "nvmlDeviceGetMemoryInfo", more)
    check = sums(nvml)
    assert check.status == FAIL
    assert "version 1: used and free" in check.detail and "version 2: used, free and reserved" in check.detail


def test_a_process_that_cannot_be_told_apart_is_not_judged(stub: Stub, nvml: Nvml) -> None:
    stub.process(1, GIB)
    stub.process(2, GIB)
    check = sums(nvml)
    assert check.status == PASS and "own None" in check.detail


def test_a_driver_without_the_second_version_is_not_judged(stub: Stub, nvml: Nvml) -> None:
    stub.fail("nvmlDeviceGetMemoryInfo_v2", NOT_SUPPORTED)
    check = sums(nvml)
    assert check.status == SKIP and "NVMLError_NotSupported" in check.detail
