# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What engines hand over. Torch itself is not needed: a fake tensor has the few members that are used."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from otel_tts.audio.samples.arrays import Layout, array_of, layout_of
from otel_tts.audio.samples.meter import AudioFacts, AudioMeter

WAVE = np.linspace(-0.5, 0.5, 1000, dtype=np.float32)


def facts_of(samples: object) -> AudioFacts:
    meter = AudioMeter(24000)
    meter.add(samples)
    return meter.facts()


class FakeTensor:
    """Behaves as torch.Tensor does where reading it is concerned."""

    def __init__(
        self, values: npt.NDArray[Any], device: str = "cpu", kind: str = "float32", grad: bool = False
    ) -> None:
        self.values = values
        self.shape = values.shape
        self.device = SimpleNamespace(type=device)
        self.kind = kind
        self.requires_grad = grad

    def detach(self) -> FakeTensor:
        return FakeTensor(self.values, self.device.type, self.kind)

    def float(self) -> FakeTensor:
        return FakeTensor(self.values.astype(np.float32), self.device.type)

    def numpy(self) -> npt.NDArray[Any]:
        if self.device.type != "cpu":
            raise AssertionError("a tensor on a device was read")
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.kind == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values

    def __array__(self) -> npt.NDArray[Any]:
        raise AssertionError("converted behind the tensor's back")


@pytest.mark.parametrize("tensor", [FakeTensor(WAVE), FakeTensor(WAVE, grad=True), FakeTensor(WAVE, kind="bfloat16")])
def test_a_tensor_on_the_host_is_read(tensor: FakeTensor) -> None:
    assert facts_of(tensor) == facts_of(WAVE)


def test_a_tensor_on_the_host_is_not_copied() -> None:
    assert array_of(FakeTensor(WAVE, grad=True)) is WAVE


def test_of_a_tensor_on_a_device_only_the_length_is_known() -> None:
    facts = facts_of(FakeTensor(WAVE[None, :], device="cuda"))
    assert facts == AudioFacts(duration=1000 / 24000, sample_rate=24000, channels=1, samples=1000)


@pytest.mark.parametrize(
    "samples",
    [
        WAVE.astype(np.float64),
        WAVE[None, :],
        WAVE[:, None],
        WAVE[None, None, :],
        np.repeat(WAVE, 3)[::3],
        np.asfortranarray(WAVE[:, None]),
        tuple(WAVE.tolist()),
        [[value] for value in WAVE.tolist()],
        array.array("f", WAVE.tolist()),
        memoryview(WAVE),
    ],
)
def test_the_same_audio_in_many_shapes(samples: object) -> None:
    assert facts_of(samples) == facts_of(WAVE)


def test_a_read_only_array_is_read() -> None:
    locked = WAVE.copy()
    locked.flags.writeable = False
    assert facts_of(locked) == facts_of(WAVE)


def test_an_array_array_can_grow_afterwards() -> None:
    samples = array.array("h", [0, 1000, -1000])
    meter = AudioMeter(24000)
    meter.add(samples)
    samples.append(5)
    assert meter.facts().peak == 1000 / 32768


def test_a_single_number_is_one_sample() -> None:
    assert facts_of(np.array(0.5)).samples == 1
    assert facts_of(np.float32(0.5)).peak == 0.5


@pytest.mark.parametrize(
    "samples",
    [
        None,
        "text",
        b"\0\0\1\1",
        memoryview(b"\0\0\1\1"),
        object(),
        {"audio": [0.1]},
        np.array([None, 1.0]),
        np.array(["a"]),
        np.array([True, False]),
        np.array([1j]),
        np.array([[[1.0, 2.0]], [[3.0, 4.0]]]),
        np.zeros((20, 20)),
        [[1.0, 2.0], [3.0]],
        [0.5, "x"],
        [FakeTensor(WAVE, device="cuda")],
    ],
)
def test_what_is_no_audio_leaves_everything_unknown(samples: object) -> None:
    assert facts_of(samples) == AudioFacts(sample_rate=24000)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.uint32])
def test_of_integers_without_a_usual_scale_only_the_length_is_known(dtype: Any) -> None:
    facts = facts_of(np.ones(2400, dtype))
    assert (facts.samples, facts.duration, facts.peak) == (2400, 0.1, None)


def test_a_hostile_object_is_survived() -> None:
    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert facts_of(Hostile()) == AudioFacts(sample_rate=24000)


FRAMES_FIRST, CHANNELS_FIRST = Layout(100, 2, False), Layout(100, 2, True)


@pytest.mark.parametrize(
    "shape, before, layout",
    [
        ((100,), None, Layout(100, 1, False)),
        ((), None, Layout(1, 1, False)),
        ((100, 2), None, Layout(100, 2, False)),
        ((2, 100), None, Layout(100, 2, True)),
        ((1, 1, 100), None, Layout(100, 1, True)),
        ((1, 2, 100), None, Layout(100, 2, True)),
        ((2, 2), None, Layout(2, 2, False)),
        ((1, 2), FRAMES_FIRST, Layout(1, 2, False)),
        ((2, 1), CHANNELS_FIRST, Layout(1, 2, True)),
        ((2, 2), CHANNELS_FIRST, Layout(2, 2, True)),
        ((2, 2), FRAMES_FIRST, Layout(2, 2, False)),
        ((2, 1), Layout(9, 1, False), Layout(2, 1, False)),
        ((0, 2), None, Layout(0, 2, False)),
        ((1, 0), None, Layout(0, 1, False)),
        ((9, 100), None, None),
        ((2, 1, 100), None, None),
    ],
)
def test_layouts(shape: tuple[int, ...], before: Layout | None, layout: Layout | None) -> None:
    assert layout_of(shape, before) == layout
