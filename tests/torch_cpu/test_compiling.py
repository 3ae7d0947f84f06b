# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real TorchDynamo says when it compiles, and a request in which it does is a cold start."""

from __future__ import annotations

import pytest
import torch

import otel_tts
from otel_tts import names
from otel_tts.instrumentation.libraries.torch_compile import watch_compiling
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo


@pytest.fixture(autouse=True)
def hooked():
    watch_compiling()
    torch._dynamo.reset()
    yield
    undo(HOOKS)
    torch._dynamo.reset()


def test_compiling_in_a_request_is_a_cold_start(world) -> None:
    seen = world()
    compiled = torch.compile(lambda x: torch.sin(x) * 2, fullgraph=True, backend="eager")
    for shape in (4, 4, (4, 4)):
        with otel_tts.synthesis("m"):
            compiled(torch.ones(shape))
    kinds = [span.attributes.get(names.COLD_START_KIND) for span in seen.drain().spans]
    assert kinds == [("compile",), None, ("compile",)]


def test_compiling_before_any_request_is_none(world) -> None:
    seen = world()
    compiled = torch.compile(lambda x: torch.cos(x), fullgraph=True, backend="eager")
    assert compiled(torch.zeros(2)).tolist() == [1.0, 1.0]
    with otel_tts.synthesis("m"):
        compiled(torch.zeros(2))
    assert names.COLD_START not in seen.drain().span("text_to_speech m").attributes
