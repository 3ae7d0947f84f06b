# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A file is as long as a player plays it, whoever wrote it and whichever decoder is installed."""

from __future__ import annotations

import io
import subprocess
import warnings
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from otel_tts.audio.files.comparison import judge_file
from otel_tts.audio.files.file import FileFacts, open_file, read_file
from otel_tts.audio.files.header import sniff
from otel_tts.audio.samples.meter import AudioFacts
from tests.unit.support.recordings import cut, encode, spoil, tone

SECONDS = 3.0
HEARD = AudioFacts(SECONDS, 24000, 1, int(SECONDS * 24000), silence_ratio=0.0)

pytestmark = [pytest.mark.requires("ffmpeg", "ffprobe", "sox", "espeak-ng"), pytest.mark.thorough]


def facts_of(path: Path, measure: bool = True) -> FileFacts:
    opened = open_file(path)
    assert opened is not None
    return read_file(opened, measure)


def piped(path: Path, *command: str) -> Path:
    """What a program writes to a pipe, where it cannot come back to the header."""
    path.write_bytes(subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout)
    return path


def by_ffmpeg(folder: Path, format: str, *options: str) -> Path:
    source = str(tone(folder / "a.wav", seconds=SECONDS))
    return piped(folder / f"b.{format}", "ffmpeg", "-v", "error", "-i", source, *options, "-f", format, "-")


def by_sox(folder: Path, format: str, *options: str) -> Path:
    source = str(tone(folder / "a.wav", seconds=SECONDS))
    return piped(folder / f"b.{format}", "sox", "-V1", source, *options, "-t", format, "-")


class Pipe(io.BytesIO):
    """As a response is: what has been written is gone."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    def seek(self, *_: int) -> int:
        raise OSError


def by_wave(folder: Path, frames: int) -> Path:
    """As streaming services write it: a header of a length that they make up, then the samples."""
    samples = tone(folder / "a.wav", seconds=SECONDS).read_bytes()[44:]
    file = wave.open(pipe := Pipe(), "wb")  # noqa: SIM115
    file.setparams((1, 2, 24000, frames, "NONE", ""))
    file.writeframesraw(b"")
    file._file = None  # type: ignore[attr-defined]  # or closing wants to go back to the header
    (folder / "b.wav").write_bytes(pipe.getvalue() + samples)
    return folder / "b.wav"


def with_sizes(folder: Path, riff: int, data: int) -> Path:
    whole = tone(folder / "a.wav", seconds=SECONDS).read_bytes()
    sized = whole[:4] + riff.to_bytes(4, "little") + whole[8:40] + data.to_bytes(4, "little") + whole[44:]
    (folder / "b.wav").write_bytes(sized)
    return folder / "b.wav"


UNKNOWN: dict[str, Callable[[Path], Path]] = {
    "ffmpeg": lambda folder: by_ffmpeg(folder, "wav"),
    "ffmpeg, floats": lambda folder: by_ffmpeg(folder, "wav", "-c:a", "pcm_f32le"),
    "ffmpeg, RF64": lambda folder: by_ffmpeg(folder, "wav", "-rf64", "always"),
    "sox": lambda folder: by_sox(folder, "wav"),
    "sox, 24 bits": lambda folder: by_sox(folder, "wav", "-b", "24"),
    "wave, a thousand million frames": lambda folder: by_wave(folder, 1_000_000_000),
    "wave, no frames": lambda folder: by_wave(folder, 0),
    "all ones": lambda folder: with_sizes(folder, 0xFFFFFFFF, 0xFFFFFFFF),
    "nothing": lambda folder: with_sizes(folder, 0, 0),
    "the largest signed number": lambda folder: with_sizes(folder, 0x7FFFFFFF, 0x7FFFFFFF - 36),
    "a whole RIFF around nothing": lambda folder: with_sizes(folder, 36, 0),
}


@pytest.mark.parametrize("writer", UNKNOWN)
def test_wav_of_unknown_length_is_as_long_as_its_file(tmp_path: Path, only: str, writer: str) -> None:
    path = UNKNOWN[writer](tmp_path)
    for measure in (True, False):
        facts = facts_of(path, measure)
        assert facts.duration == SECONDS, writer
        assert judge_file(facts, HEARD) == ()
    measured = facts_of(path).audio
    assert measured is not None and measured.peak == pytest.approx(0.5, abs=0.01)
    assert measured.duration == SECONDS


def test_espeak_ng_to_a_pipe_is_as_long_as_to_a_file(tmp_path: Path, only: str) -> None:
    text = "A ship sails at nine."
    stream = facts_of(piped(tmp_path / "a.wav", "espeak-ng", "--stdout", text))
    subprocess.run(["espeak-ng", "-w", str(tmp_path / "b.wav"), text], check=True)
    whole = facts_of(tmp_path / "b.wav")
    assert stream.duration and whole.duration and stream.duration == pytest.approx(whole.duration, abs=0.5)
    # To a pipe it leaves the pause at the end; what both have is the same.
    assert judge_file(stream) == judge_file(whole) == ()
    assert stream.audio is not None and stream.audio.peak


def test_wav_without_sound_but_with_a_tag_behind_is_empty(tmp_path: Path, only: str) -> None:
    data = tone(tmp_path / "a.wav", seconds=0).read_bytes()
    (tmp_path / "b.wav").write_bytes(data[:40] + bytes(4) + b"LIST\x05\0\0\0hello\0LIST\4\0\0\0hell")
    assert facts_of(tmp_path / "b.wav", measure=False).duration == 0.0


def test_a_file_of_less_than_was_promised_is_cut(tmp_path: Path, only: str) -> None:
    assert judge_file(facts_of(with_sizes(tmp_path, 36 + 200_000, 200_000))) == ("truncated",)


@pytest.mark.parametrize("writer", ["ffmpeg", "sox"])
def test_flac_from_a_pipe_has_its_last_block(tmp_path: Path, only: str, writer: str) -> None:
    path = by_ffmpeg(tmp_path, "flac") if writer == "ffmpeg" else by_sox(tmp_path, "flac")
    assert soundfile.info(path).frames > 1 << 62 or writer == "sox", "the length is in no header"
    for measure in (True, False):
        facts = facts_of(path, measure)
        assert facts.duration == SECONDS
        assert judge_file(facts, HEARD) == ()
    if only != "none":
        assert facts_of(path).audio.duration == SECONDS
    assert facts_of(cut(path, 0.6)).duration < SECONDS - 0.5


def test_flac_that_was_cut_off_is_as_long_as_its_last_whole_frame(tmp_path: Path, only: str) -> None:
    path = cut(encode(tone(tmp_path / "a.wav", seconds=SECONDS), tmp_path / "b.flac"), 0.6)
    facts = facts_of(path, measure=False)
    assert facts.cut and facts.duration == pytest.approx(0.6 * SECONDS, abs=0.4)


GLUED = {
    "opus": (), "ogg": (), "flac": (), "mp3": (), "vorbis in ogg": ("-c:a", "libvorbis"),
    "mp3 without a table": ("-write_xing", "0"), "mp3 with a title": ("-metadata", "title=la"),
    "mp3 with tags of both kinds": ("-write_id3v1", "1", "-metadata", "title=la"),
}  # fmt: skip


@pytest.mark.parametrize("sort", GLUED)
def test_sentences_in_one_file_count_together(tmp_path: Path, only: str, sort: str) -> None:
    suffix = "ogg" if sort.startswith("vorbis") else sort.split()[0]
    with open(tmp_path / f"all.{suffix}", "wb") as whole:
        for number in range(3):
            part = encode(tone(tmp_path / "a.wav", seconds=1.0), tmp_path / f"{number}.{suffix}", *GLUED[sort])
            whole.write(part.read_bytes())
    facts = facts_of(tmp_path / f"all.{suffix}", measure=False)
    slack = 0.2 if "without" in sort else 0.01  # only a table says what the encoder put around the sound
    assert facts.duration == pytest.approx(SECONDS, abs=slack)
    assert judge_file(facts, HEARD) == ()
    assert facts.links == 3
    last = facts_of(cut(tmp_path / f"all.{suffix}", 0.8), measure=False)
    assert last.duration < 2.7
    assert last.cut or "without" in sort


def test_chained_ogg_of_one_writer(tmp_path: Path) -> None:
    """soundfile closes each sentence, so the container is whole although it is many."""
    whole = io.BytesIO()
    for _ in range(3):
        soundfile.write(part := io.BytesIO(), np.sin(np.arange(24000) / 9) / 2, 24000, format="OGG", subtype="OPUS")
        whole.write(part.getvalue())
    facts = sniff(whole.getvalue())
    assert facts is not None and (facts.links, facts.cut) == (3, False)
    assert facts.duration == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("options", [(), ("-q:a", "2"), ("-ar", "44100", "-ac", "2"), ("-b:a", "320k", "-ar", "48000")])
def test_mp3_without_what_the_encoder_puts_around_it(tmp_path: Path, only: str, options: tuple[str, ...]) -> None:
    path = encode(tone(tmp_path / "a.wav", seconds=SECONDS), tmp_path / "b.mp3", *options)
    assert facts_of(path, measure=False).duration == pytest.approx(SECONDS, abs=0.001)


def test_pydub_writes_what_a_player_plays(tmp_path: Path, only: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub imports audioop, which leaves in Python 3.13
        from pydub import AudioSegment

    with open(tone(tmp_path / "a.wav", seconds=1.0), "rb") as file:
        sound = AudioSegment.from_wav(file) * 3
    for format in ("wav", "mp3", "ogg", "flac"):
        sound.export(tmp_path / f"b.{format}", format).close()
        facts = facts_of(tmp_path / f"b.{format}", measure=False)
        assert facts.duration == pytest.approx(SECONDS, abs=0.001), format
        assert judge_file(facts, HEARD) == ()


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "opus"])
def test_what_cannot_be_decoded_is_left_out_and_counted(tmp_path: Path, only: str, suffix: str) -> None:
    path = spoil(encode(tone(tmp_path / "a.wav", seconds=SECONDS), tmp_path / f"b.{suffix}"), 0.2, 0.25)
    facts = facts_of(path)
    if only in ("av", "ffprobe") and suffix != "opus":
        assert facts.errors
    if only in ("av", "ffprobe"):
        assert facts.audio is not None and facts.audio.duration > 0.6 * SECONDS, "the rest is read"


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "opus", "ogg", "m4a"])
def test_silence_is_heard_by_whoever_is_there(tmp_path: Path, only: str, suffix: str) -> None:
    source = tone(tmp_path / "a.wav", seconds=SECONDS)
    soundfile.write(source, np.zeros(72000), 24000)
    facts = facts_of(encode(source, tmp_path / f"b.{suffix}"))
    assert facts.duration == pytest.approx(SECONDS, abs=0.01)
    if suffix == "wav" or only not in ("none", "soundfile" if suffix == "m4a" else "none"):
        assert facts.audio is not None and facts.audio.anomalies == ("silent",)
