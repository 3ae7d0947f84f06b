# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""WAV headers: good, streamed, cut off, and rubbish. Good ones are written by the standard library."""

from __future__ import annotations

import io
import os
import random
import struct
import wave
from pathlib import Path

import pytest

from otel_tts.audio.files.header import ContainerFacts, sniff


def wav(frames: int = 24000, rate: int = 24000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(b"\0" * (frames * channels * width))
    return file.getvalue()


def with_data_size(data: bytes, size: int) -> bytes:
    return data[:40] + struct.pack("<I", size) + data[44:]


@pytest.mark.parametrize("rate, channels, width", [(24000, 1, 2), (44100, 2, 2), (48000, 2, 3), (8000, 1, 1)])
def test_a_header_tells_length_rate_and_channels(rate: int, channels: int, width: int) -> None:
    data = wav(rate * 3 // 2, rate, channels, width)
    assert sniff(data) == ContainerFacts("wav", 1.5, rate, channels, len(data))


def test_a_file_is_read_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav())
    expected = ContainerFacts("wav", 1.0, 24000, 1, 48044)
    assert sniff(path) == expected
    assert sniff(str(path)) == expected


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_is_as_long_as_what_follows(size: int) -> None:
    data = with_data_size(wav(), size)
    assert sniff(data) == ContainerFacts("wav", 1.0, 24000, 1, 48044)
    assert sniff(data[:44], complete=False) == ContainerFacts("wav", None, 24000, 1, None)


def test_the_head_of_a_stream_may_promise_a_length() -> None:
    assert sniff(wav()[:44], complete=False) == ContainerFacts("wav", 1.0, 24000, 1, None)


def test_a_file_that_was_cut_off_is_as_long_as_what_is_there() -> None:
    assert sniff(wav()[: 44 + 24000]) == ContainerFacts("wav", 0.5, 24000, 1, 24044, cut=True)


def test_audio_of_no_length_has_length_zero() -> None:
    assert sniff(wav(0)) == ContainerFacts("wav", 0.0, 24000, 1, 44)


def test_other_chunks_are_passed_over() -> None:
    data = wav()
    listed = data[:12] + b"LIST" + struct.pack("<I", 5) + b"hello\0" + data[12:]
    assert sniff(listed) == ContainerFacts("wav", 1.0, 24000, 1, len(listed))


def test_of_compressed_audio_the_length_is_not_guessed() -> None:
    data = wav()
    assert sniff(data[:20] + struct.pack("<H", 0x55) + data[22:]) == ContainerFacts("wav", None, 24000, 1, len(data))


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"OggS" + b"\0" * 100, b"ID3" * 50])
def test_what_is_no_wav_has_no_facts(data: bytes) -> None:
    assert sniff(data) is None


def test_a_path_that_cannot_be_read_has_no_facts(tmp_path: Path) -> None:
    assert sniff(tmp_path / "missing.wav") is None
    assert sniff(tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert sniff(tmp_path / "pipe.wav") is None


def test_rubbish_is_survived() -> None:
    dice = random.Random(11)
    good = wav(100)
    known = 0
    for _ in range(3000):
        data = bytearray(good[: dice.randrange(len(good))])
        for _ in range(dice.randrange(1, 6)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        facts = sniff(bytes(data))
        if facts is not None:
            known += 1
            assert facts.duration is None or 0.0 <= facts.duration <= len(good)
    assert known > 100
