# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""torch.compile(fullgraph=True) takes networks whose methods are hooked, and they speak as they do without us."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import otel_tts
from otel_tts import guard
from otel_tts.engines import transformers
from otel_tts.engines.table import Engine, Seam
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo

Compile = Callable[[Any], Any]


@pytest.fixture(params=["eager", "aot_eager"])
def compiled(request: pytest.FixtureRequest) -> Iterator[Compile]:
    torch._dynamo.reset()
    yield lambda module: torch.compile(module, fullgraph=True, backend=request.param)
    torch._dynamo.reset()


@pytest.fixture
def hook() -> Iterator[Callable[[], None]]:
    from transformers.models.vits import modeling_vits

    yield lambda: watch(transformers.ENGINE)
    assert inspect.unwrap(modeling_vits.VitsHifiGan.forward) is not modeling_vits.VitsHifiGan.forward
    undo(HOOKS)
    assert inspect.unwrap(modeling_vits.VitsHifiGan.forward) is modeling_vits.VitsHifiGan.forward


def build() -> tuple[Any, Any]:
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(0)
    config = VitsConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1, wavenet_kernel_size=3,
        duration_predictor_num_flows=1, duration_predictor_filter_channels=16, depth_separable_num_layers=1,
    )  # fmt: skip
    return VitsModel(config).eval(), torch.randint(1, 38, (1, 20))


def speak(model: Any, ids: Any) -> bytes:
    torch.manual_seed(1)
    with torch.inference_mode():
        return model(ids).waveform.numpy().tobytes()


@pytest.mark.parametrize("hooked", ["before", "after"])
def test_a_part_is_compiled(world: Any, compiled: Compile, hook: Callable[[], None], hooked: str) -> None:
    model, ids = build()
    alone = speak(model, ids)
    if hooked == "before":
        hook()
    model.decoder = compiled(model.decoder)
    model.flow = compiled(model.flow)
    if hooked == "after":
        assert speak(model, ids) == alone
        hook()
    seen = world()
    assert [speak(model, ids) for _ in range(2)] == [alone] * 2
    found = seen.drain().names()
    assert found == ["tts.acoustic_model", "tts.duration", "text_to_speech vits"] * 2, "nothing from inside the graphs"
    assert guard.faults == {}


def test_a_network_that_holds_hooked_ones_is_compiled(world: Any, compiled: Compile, hook: Callable[[], None]) -> None:
    class Around(torch.nn.Module):
        def __init__(self, decoder: Any) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, spectrogram: Any) -> Any:
            return self.decoder(spectrogram) * 2

    around = Around(build()[0].decoder)
    spectrogram = torch.randn(1, 16, 12)
    with torch.inference_mode():
        alone = around(spectrogram)
        hook()
        seen = world()
        with otel_tts.synthesis("own"):
            assert torch.equal(compiled(around)(spectrogram), alone)
            assert torch.equal(around(spectrogram), alone)
    assert seen.drain().names() == ["tts.vocoder", "text_to_speech own"], "only the call that was not compiled"


def test_a_network_is_exported(world: Any, hook: Callable[[], None]) -> None:
    decoder = build()[0].decoder
    spectrogram = torch.randn(1, 16, 12)
    hook()
    world()
    with torch.inference_mode(), otel_tts.synthesis("own"):
        exported = torch.export.export(decoder, (spectrogram,)).module()
        assert torch.allclose(exported(spectrogram), decoder(spectrogram))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_hooked_network_is_scripted() -> None:
    """torch.jit.script reads the method's source; the names in it are those of its own module."""
    network, given = torch.nn.Linear(2, 2), torch.ones(1, 2)
    seam = Seam("Linear.forward", "vocoder")
    try:
        watch(Engine("made", "torch.nn.modules.linear", "", entries=(), seams=(seam,)))
        assert inspect.unwrap(torch.nn.Linear.forward) is not torch.nn.Linear.forward
        scripted = torch.jit.script(network)
    finally:
        undo(HOOKS)
    assert torch.equal(scripted(given), network(given))
