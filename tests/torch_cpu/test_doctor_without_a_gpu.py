# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What ``otel-tts doctor --gpu`` needs of torch is there, and without a device it says what it left out."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.cuda._gpu_trace as gpu_trace
import torch.profiler

from otel_tts.doctor.check import SKIP
from otel_tts.doctor.gpu import _CHECKS, examine_gpu

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def test_without_a_device_every_check_is_named_as_skipped() -> None:
    (check,) = examine_gpu()
    assert check.status == SKIP and "PyTorch sees no CUDA device" in check.detail
    assert [name for name in _CHECKS if name not in check.detail] == []
    assert not torch.cuda.is_initialized()


@pytest.mark.parametrize("what", ["device", "stream", "event"])
def test_torch_counts_synchronisations(what: str) -> None:
    """The callbacks take what torch hands them: the handle of a stream or an event, nothing for the device."""
    heard: list[tuple[int, ...]] = []
    registry = getattr(gpu_trace, f"{what.capitalize()}SynchronizationCallbacks")
    getattr(gpu_trace, f"register_callback_for_{what}_synchronization")(lambda *handle: heard.append(handle))
    registry.fire_callbacks(*(() if what == "device" else (7,)))
    registry.callback_list.pop()
    assert heard == [() if what == "device" else (7,)]


def test_the_private_names_that_the_checks_use_are_there() -> None:
    assert callable(torch._C._activate_gpu_trace)
    assert callable(torch.cuda._sleep)
    assert callable(torch.cuda.memory.memory_stats_as_nested_dict)
    assert "capture_error_mode" in inspect.signature(torch.cuda.graph.__init__).parameters
    assert "enable_timing" in inspect.signature(torch.cuda.Event.__new__).parameters
    assert torch.profiler.ProfilerActivity.CUDA is not None
