# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reference recordings as people give them: by their header, whatever they are."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from otel_tts.audio.files import reference
from otel_tts.audio.files.header import read_header
from otel_tts.audio.files.reference import ReferenceFacts, read_reference
from tests.unit.support.recordings import cut, tone


def test_missing_and_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "none.wav", tmp_path, tmp_path / "pipe.wav", "/dev/zero", "", "a\0b", None, 7, b"\xff"):
        assert read_reference(path) is None


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 5000, b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_audio_has_only_its_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert read_reference(tmp_path / "a.wav") == ReferenceFacts(len(content))


def test_eight_bits_and_stereo_at_96_khz(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav", 8000, 1.5, 1, "PCM_U8")
    assert read_reference(path) == ReferenceFacts(path.stat().st_size, 1.5, 8000, 1)
    path = tone(tmp_path / "b.wav", 96000, 1.5, 2, "PCM_24")
    assert read_reference(path) == ReferenceFacts(path.stat().st_size, 1.5, 96000, 2)


class Counted(io.FileIO):
    """A file that knows how much of it was read."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        Counted.taken += len(data)
        return data


@pytest.mark.thorough
@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "opus"])
def test_of_an_hour_only_the_header_is_read(tmp_path: Path, monkeypatch, suffix: str) -> None:
    path, silence = tmp_path / f"a.{suffix}", ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "3600")
    subprocess.run(["ffmpeg", "-loglevel", "error", *silence, "-b:a", "16k", str(path)], check=True)
    monkeypatch.setattr(
        reference,
        "read_header",
        lambda file, size, deep: read_header(Counted(file.fileno(), closefd=False), size, deep),
    )
    monkeypatch.setattr(Counted, "taken", 0)
    facts = read_reference(path)
    assert facts is not None and facts.size == path.stat().st_size
    assert facts.duration == pytest.approx(3600, abs=2)
    assert Counted.taken <= 1 << 20


@pytest.mark.requires("ffmpeg")
def test_a_cut_off_recording_tells_what_is_left(tmp_path: Path) -> None:
    facts = read_reference(cut(tone(tmp_path / "a.wav", seconds=4.0), 0.5))
    assert facts is not None and facts.duration == pytest.approx(2.0, abs=0.01)
