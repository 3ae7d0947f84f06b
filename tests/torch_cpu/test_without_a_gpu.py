# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What torch's CUDA build does where there is no GPU: the clocks and the memory events are written for this."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.skipif(not torch.version.cuda, reason="this torch is not built with CUDA"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
]


@pytest.fixture(autouse=True)
def never_initialised() -> Iterator[None]:
    assert not torch.cuda.is_initialized()
    yield
    assert not torch.cuda.is_initialized()


def test_memory_stats_are_empty() -> None:
    assert torch.cuda.memory_stats() == {}


@pytest.mark.parametrize("call", [torch.accelerator.current_stream, torch.accelerator.synchronize])
def test_the_accelerator_interface_raises(call: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError):
        call()


def test_an_event_of_the_cpu_cannot_be_recorded() -> None:
    with pytest.raises(RuntimeError, match="support events"):
        torch.Event(device="cpu").record()


def test_an_event_that_was_never_recorded_is_complete_and_has_no_time() -> None:
    first, second = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    assert first.query()
    with pytest.raises(ValueError, match="recorded"):
        first.elapsed_time(second)


SET_UP = """
import sys
import otel_tts
otel_tts.configure(clock="auto", memory_events="span")
assert "torch" not in sys.modules, "otel-tts imports torch"
with otel_tts.synthesis("early") as synthesis, synthesis.stage("vocoder"):
    pass
assert "torch" not in sys.modules, "a request imports torch"
import torch
with otel_tts.synthesis("late") as synthesis, synthesis.stage("vocoder"):
    torch.zeros(8).sum()
print(torch.cuda.is_initialized(), torch.cuda.memory_stats() == {}, torch.cuda.is_initialized())
"""


def test_our_set_up_neither_imports_torch_nor_initialises_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    done = subprocess.run([sys.executable, "-c", SET_UP], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "True", "False"]
