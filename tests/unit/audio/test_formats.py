# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Headers of files that ffmpeg made, against what ffprobe says of them; and rubbish."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest

from otel_tts.audio.files.formats import View
from otel_tts.audio.files.header import sniff
from tests.unit.support.recordings import cut, encode, tone

SORTS = {
    "flac": ("flac", ()),
    "vorbis": ("ogg", ("-c:a", "libvorbis")),
    "opus": ("opus", ()),
    "flac in ogg": ("oga", ("-c:a", "flac")),
    "mp3": ("mp3", ()),
    "mp3 at 44.1 kHz stereo": ("mp3", ("-ar", "44100", "-ac", "2")),
    "mp3 at 11 kHz": ("mp3", ("-ar", "11025")),
    "mp3 of variable rate": ("mp3", ("-q:a", "2")),
    "mp3 without a table at 48 kHz": ("mp3", ("-write_xing", "0", "-ar", "48000")),
    "mp3 with a title": ("mp3", ("-metadata", "title=" + "la" * 700)),
    "m4a": ("m4a", ()),
    "m4a with its index first": ("m4a", ("-movflags", "+faststart")),
}
FORMATS = {"opus": "ogg", "oga": "ogg"}

pytestmark = pytest.mark.requires("ffmpeg", "ffprobe")


def probe(path: Path) -> tuple[float, int]:
    shown = "stream=sample_rate:format=duration"
    command = ["ffprobe", "-v", "error", "-show_entries", shown, "-of", "json", str(path)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return float(said["format"]["duration"]), int(said["streams"][0]["sample_rate"])


@pytest.mark.parametrize("sort", SORTS)
def test_a_header_says_what_ffprobe_says(tmp_path: Path, sort: str) -> None:
    suffix, options = SORTS[sort]
    path = encode(tone(tmp_path / "a.wav"), tmp_path / f"b.{suffix}", *options)
    facts = sniff(path)
    assert facts is not None
    duration, rate = probe(path)
    assert facts.format == FORMATS.get(suffix, suffix)
    # Of an MP3 ffprobe shows what the encoder put around the sound, too, which players leave out.
    assert facts.duration == pytest.approx(2.0 if suffix == "mp3" else duration, abs=0.06)
    assert (facts.sample_rate, facts.size, facts.cut) == (rate, path.stat().st_size, False)
    assert facts.channels == (2 if "stereo" in sort else 1)


@pytest.mark.parametrize("sort", ["vorbis", "opus", "mp3", "m4a"])
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, sort: str) -> None:
    suffix, options = SORTS[sort]
    path = cut(encode(tone(tmp_path / "a.wav"), tmp_path / f"b.{suffix}", *options), 0.6)
    facts = sniff(path)
    assert facts is not None and facts.cut
    assert facts.duration is None or facts.duration < 1.9


def test_an_mp4_with_its_index_first_is_cut_off_all_the_same(tmp_path: Path) -> None:
    facts = sniff(cut(encode(tone(tmp_path / "a.wav"), tmp_path / "b.m4a", "-movflags", "+faststart"), 0.6))
    assert facts is not None and facts.cut and facts.duration == pytest.approx(2.0, abs=0.06)


def test_an_mp3_stream_of_unknown_length_is_counted(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav")
    command = ["ffmpeg", "-loglevel", "error", "-i", str(source), "-f", "mp3", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    facts = sniff(data)
    assert facts is not None and facts.duration == pytest.approx(2.0, abs=0.1)
    assert sniff(data[:4000], complete=False) is not None


@pytest.mark.parametrize("sort", SORTS)
def test_no_damage_raises(tmp_path: Path, sort: str) -> None:
    suffix, options = SORTS[sort]
    data = encode(tone(tmp_path / "a.wav", seconds=0.3), tmp_path / f"b.{suffix}", *options).read_bytes()
    dice = random.Random(5)
    for size in [*range(64), *range(64, len(data), 97)]:
        sniff(data[:size])
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(dice.randrange(1, 40)):
            broken[dice.randrange(min(len(data), 600))] = dice.randrange(256)
        sniff(bytes(broken))
        sniff(bytes(broken), complete=False)


@pytest.mark.parametrize(
    "mark", [b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90\x64", b"\0\0\0\x20ftypM4A ", b"RIFF\0\0\0\0WAVE"]
)
def test_noise_behind_a_mark_does_no_harm(mark: bytes) -> None:
    dice = random.Random(9)
    for _ in range(200):
        sniff(mark + dice.randbytes(dice.randrange(0, 3000)))


@pytest.mark.parametrize(
    "mark", [b"fLaC\0\0\0\x22", b"OggS\0\2", b"\xff\xfb\x90\x64", b"ID3\4\0\0\0\0\0\0", b"\xff\xf8"]
)
@pytest.mark.parametrize("sort", ["flac", "opus", "mp3"])
def test_marks_without_end_behind_a_good_file_take_a_bounded_number_of_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: str, mark: bytes
) -> None:
    looks = itertools.count()
    at = View.at
    monkeypatch.setattr(View, "at", lambda *asked: (next(looks), at(*asked))[1])
    suffix, options = SORTS[sort]
    data = encode(tone(tmp_path / "a.wav", seconds=0.3), tmp_path / f"b.{suffix}", *options).read_bytes()
    sniff(data + mark * (4_000_000 // len(mark)))
    assert next(looks) < 200_000
