# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
# numpy's stubs leave parts of reshape, view and ufunc.reduce unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""What an engine hands over, as an array of numbers: a view where possible, and never from a device."""

from __future__ import annotations

import array
import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[Any]
else:
    from otel_tts.late_numpy import np

    Numbers = Any

MAX_CHANNELS = 8
_HIGHEST_RATE = 1_000_000

ENCODINGS = {"pcm16": ("<i2", 2), "float32": ("<f4", 4)}
"""What may be in samples that are bytes: numpy's type, and the bytes of one."""


class Layout(NamedTuple):
    """How the axes of a chunk are to be read."""

    frames: int
    channels: int
    channels_first: bool


class Level(NamedTuple):
    """The sample value that means silence, and the distance from it that means full scale."""

    zero: float
    full_scale: float


# Integers carry their full scale in their width; 8 bit samples without sign are centred on 128, as in WAV files.
_INTEGER_LEVELS = {
    ("i", 1): Level(0.0, 2.0**7),
    ("u", 1): Level(128.0, 2.0**7),
    ("i", 2): Level(0.0, 2.0**15),
    ("i", 4): Level(0.0, 2.0**31),
}


def level_of(dtype: np.dtype[Any], scale: float | None) -> Level | None:
    """The level of a sample type; None when nothing says what its numbers mean.

    `scale` is the full scale of floats (1.0 unless given) and of 64 bit integers, which have no usual one.
    """
    if dtype.kind == "f":
        return Level(0.0, scale or 1.0)
    if dtype.kind == "i" and dtype.itemsize == 8:
        return Level(0.0, scale) if scale else None
    return _INTEGER_LEVELS.get((dtype.kind, dtype.itemsize))


def array_of(samples: object) -> Numbers | None:
    """The samples as an array on the host, a view where possible; None when they are not readable without harm."""
    if isinstance(samples, np.ndarray):
        return cast("Numbers", samples)
    try:
        if hasattr(samples, "detach"):
            return _host_tensor(samples)
        if isinstance(samples, array.array):
            # A copy: an array.array cannot grow while a view of it is held.
            return np.frombuffer(samples.tobytes(), dtype=samples.typecode)
        if isinstance(samples, memoryview):
            # Format B is what a view of bytes has: raw bytes, and nothing says what is in them.
            return None if samples.format == "B" else np.asarray(samples)
        if isinstance(samples, (list, tuple)):
            return _array_of_list(cast("list[object]", samples))
        if isinstance(samples, (np.number, float)):
            return np.asarray(samples)
    except Exception:  # ragged lists, sparse or quantised tensors, whatever a foreign type does: not readable
        return None
    return None


def _host_tensor(tensor: Any) -> Numbers | None:
    # Reading a tensor that lies on a device would wait for the device.
    if tensor.device.type != "cpu":
        return None
    tensor = tensor.detach()
    try:
        values = tensor.numpy()
    except TypeError:  # bfloat16 has no counterpart in numpy
        values = tensor.float().numpy()
    return cast("Numbers", values) if isinstance(values, np.ndarray) else None


def _array_of_list(samples: list[object]) -> Numbers | None:
    first: object = samples
    while isinstance(first, (list, tuple)):
        first = first[0] if first else 0.0
    # Only plain numbers: a list of tensors would be fetched from their device one by one.
    return np.asarray(samples) if isinstance(first, (int, float, np.number)) else None


def shape_of(samples: object) -> tuple[int, ...] | None:
    """The shape of something that is not read (a tensor on a device), or None where it has none."""
    if isinstance(samples, memoryview):  # its shape counts bytes
        return None
    try:
        return tuple(int(size) for size in cast(Any, samples).shape)
    except Exception:
        return None


def layout_of(shape: tuple[int, ...], before: Layout | None = None) -> Layout | None:
    """Tells frames from channels; None when a shape does not look like one piece of audio.

    One axis is mono. Of two, the shorter is the channels, up to 8 of them; two equal axes are [frames, channels], as
    soundfile has it. The layout of the chunk before goes first, so that a chunk of one or two frames reads like the
    others. Leading axes of length 1 (a batch of one) are ignored.
    """
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) < 2:
        return Layout(shape[0] if shape else 1, 1, False)
    if len(shape) > 2:
        return None
    rows, columns = shape
    if not rows or not columns:
        width = rows or columns
        return Layout(0, width if 0 < width <= MAX_CHANNELS else 1, False)
    channels_first = rows < columns
    if before is not None and before.channels in shape:
        channels_first = before.channels_first if rows == columns else before.channels == rows
    width = rows if channels_first else columns
    if width > MAX_CHANNELS:
        return None
    return Layout(columns if channels_first else rows, width, channels_first)


def arrange(values: Numbers, layout: Layout) -> Numbers:
    """A view of the values as [channels, frames]."""
    if layout.channels_first:
        return values.reshape(layout.channels, layout.frames)
    return values.reshape(layout.frames, layout.channels).T


def array_of_pcm(data: bytes, width: int, channels: int) -> Numbers | None:
    """Interleaved little-endian PCM as in WAV files, `width` bytes a sample, as [channels, frames]."""
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        return padded.view("<i4").reshape(-1, channels).T
    name = {1: "u1", 2: "<i2", 4: "<i4"}.get(width)
    return None if name is None else np.frombuffer(data, dtype=name).reshape(-1, channels).T


def rate_of(value: object) -> int | None:
    """A sample rate in Hz, or None where the value cannot be one."""
    if type(value) is int:  # as it is as a rule
        return value if 1 <= value <= _HIGHEST_RATE else None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = cast(object, value.item())
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    rate = float(cast(float, value))
    return int(rate) if math.isfinite(rate) and 1 <= rate <= _HIGHEST_RATE else None
