# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of delivered files: of each format, damaged, cut off, still being written, and things that are no files."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from otel_tts.audio.files import decoders
from otel_tts.audio.files import file as audio_file
from otel_tts.audio.files.file import Changed, FileFacts, count_open, open_file, read_file
from tests.unit.support.recordings import RATE, SECONDS, TONE, cut, encode, spoil, tone

LOSSY = ("mp3", "ogg", "opus", "m4a")
FORMATS = {"opus": "ogg"}


@pytest.fixture(autouse=True)
def nothing_left_open():
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert count_open() == 0
    assert len(os.listdir("/proc/self/fd")) == before


def facts_of(path: Path, measure: bool = False) -> FileFacts:
    opened = open_file(path)
    assert opened is not None
    return read_file(opened, measure)


@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", ["wav", "flac", *LOSSY])
def test_each_format_tells_its_length_rate_and_size(tmp_path, only, suffix) -> None:
    path = tone(tmp_path / "a.wav")
    if suffix != "wav":
        path = encode(path, tmp_path / f"b.{suffix}")
    facts = facts_of(path)
    assert (facts.format, facts.size) == (FORMATS.get(suffix, suffix), path.stat().st_size)
    assert facts.duration == pytest.approx(SECONDS, abs=0.1)
    assert facts.sample_rate == (48000 if suffix == "opus" else RATE)
    assert not (facts.cut or facts.errors or facts.wrong_format)
    assert facts.audio is None


@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", ["wav", "flac", *LOSSY])
def test_samples_nobody_saw_are_measured(tmp_path, only, suffix) -> None:
    path = tone(tmp_path / "a.wav")
    if suffix != "wav":
        path = encode(path, tmp_path / f"b.{suffix}")
    facts = facts_of(path, measure=True)
    able = {"soundfile": suffix != "m4a", "av": True, "ffprobe": True}
    if not (suffix == "wav" or able.get(only)):
        assert facts.audio is None and facts.duration
        return
    assert facts.audio is not None and facts.audio.anomalies == ()
    assert facts.audio.peak == pytest.approx(0.5, abs=0.05)
    assert facts.audio.duration == pytest.approx(SECONDS, abs=0.15)


@pytest.mark.parametrize("subtype, width", [("PCM_U8", 1), ("PCM_24", 3), ("PCM_32", 4), ("FLOAT", 4)])
def test_wav_of_any_width(tmp_path, only, subtype, width) -> None:
    facts = facts_of(tone(tmp_path / "a.wav", 96000, 0.5, 2, subtype), measure=True)
    assert (facts.sample_rate, facts.channels, facts.duration) == (96000, 2, 0.5)
    assert facts.audio is not None and facts.audio.peak == pytest.approx(0.5, abs=0.01)


FOUND = {
    "flac": {"soundfile", "av"},
    "mp3": {"av", "ffprobe"},
    "m4a": {"av", "ffprobe"},
}


@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", FOUND)
def test_a_spoiled_file_is_damaged_for_those_who_can_tell(tmp_path, only, suffix) -> None:
    path = spoil(encode(tone(tmp_path / "a.wav"), tmp_path / f"b.{suffix}"), 0.3, 0.5)
    facts = facts_of(path)
    if only in FOUND[suffix] and (only, suffix) != ("av", "flac"):
        assert facts.errors
    assert (facts.format, facts.wrong_format, facts.cut) == (suffix, False, False)


@pytest.mark.requires("ffmpeg", "ffprobe")
@pytest.mark.parametrize("suffix", ["flac", "mp3", "m4a", "opus"])
def test_with_all_of_them_a_spoiled_file_is_damaged(tmp_path, monkeypatch, suffix) -> None:
    monkeypatch.delitem(sys.modules, "av", raising=False)  # ffprobe sees more, where PyAV is not in use already
    assert facts_of(spoil(encode(tone(tmp_path / "a.wav"), tmp_path / f"b.{suffix}"), 0.3, 0.5)).errors


@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", ["wav", "flac", *LOSSY])
def test_a_file_that_was_cut_off(tmp_path, only, suffix) -> None:
    path = tone(tmp_path / "a.wav")
    path = cut(path if suffix == "wav" else encode(path, tmp_path / f"b.{suffix}"), 0.6)
    facts = facts_of(path, measure=True)
    assert facts.cut and not facts.wrong_format
    assert facts.duration is None or facts.duration < SECONDS - 0.2


@pytest.mark.requires("ffmpeg")
def test_a_name_that_claims_another_format(tmp_path, only) -> None:
    facts = facts_of(shutil.copy(tone(tmp_path / "a.wav"), tmp_path / "b.mp3"))
    assert (facts.format, facts.wrong_format, facts.duration) == ("wav", True, SECONDS)
    facts = facts_of(shutil.copy(encode(tmp_path / "a.wav", tmp_path / "c.mp3"), tmp_path / "d.wav"))
    assert (facts.format, facts.wrong_format) == ("mp3", True)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.ogg", "a.flac", "a.m4a"])
def test_what_is_no_audio_is_in_the_wrong_format(tmp_path, only, name) -> None:
    (tmp_path / name).write_text("<html>Internal Server Error</html>" * 50)
    facts = facts_of(tmp_path / name, measure=True)
    assert (facts.format, facts.wrong_format, facts.duration) == (None, True, None)


def test_of_a_name_that_claims_nothing_only_who_reads_everything_complains(tmp_path, only) -> None:
    (tmp_path / "answer").write_text("<html></html>" * 50)
    assert facts_of(tmp_path / "answer").wrong_format == (only in ("av", "ffprobe"))


def test_raw_samples_are_what_they_claim(tmp_path, only) -> None:
    (tmp_path / "a.pcm").write_bytes(TONE.tobytes())
    assert facts_of(tmp_path / "a.pcm") == FileFacts(TONE.nbytes, "pcm")


def test_an_empty_file_has_no_length(tmp_path) -> None:
    (tmp_path / "a.mp3").touch()
    assert facts_of(tmp_path / "a.mp3") == FileFacts(0, "mp3", 0.0)


def test_without_any_decoder_it_is_said_once_and_the_header_is_read(tmp_path, monkeypatch, caplog, requires) -> None:
    requires("ffmpeg")
    path = encode(tone(tmp_path / "a.wav"), tmp_path / "b.mp3")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(decoders, "_optional", lambda name: None)
    decoders._say_missing.cache_clear()
    assert facts_of(tmp_path / "a.wav").duration == SECONDS
    assert not caplog.records
    for _ in range(3):
        assert facts_of(path).duration == pytest.approx(SECONDS, abs=0.1)
    (record,) = caplog.records
    assert "ffprobe" in record.getMessage() and "b.mp3" not in record.getMessage()


def test_a_decoder_without_its_native_library_is_none(monkeypatch, tmp_path) -> None:
    def broken(name: str) -> Any:
        raise OSError("libsndfile.so: cannot open shared object file")

    monkeypatch.setattr(decoders, "import_module", broken)
    assert facts_of(tone(tmp_path / "a.wav"), measure=True).audio is not None  # the standard library's


def test_ffprobe_is_given_no_path(tmp_path, monkeypatch, requires) -> None:
    requires("ffprobe")
    monkeypatch.delitem(sys.modules, "av", raising=False)
    seen: list[list[str]] = []
    run = subprocess.run

    def watch(command, **options):
        seen.append(command)
        return run(command, **options)

    monkeypatch.setattr(decoders.subprocess, "run", watch)
    assert facts_of(encode(tone(tmp_path / "a.wav"), tmp_path / "what was said.mp3")).duration
    ((*_, name),) = (command for command in seen if "ffprobe" in command[0])
    assert name.startswith("/dev/fd/")
    assert not any("said" in str(word) for word in seen[-1])


def test_a_playlist_does_not_make_ffprobe_open_other_files(tmp_path, only) -> None:
    tone(tmp_path / "a.wav")
    (tmp_path / "list.m4a").write_text("#EXTM3U\n#EXTINF:2,\nfile://" + str(tmp_path / "a.wav") + "\n")
    facts = facts_of(tmp_path / "list.m4a", measure=True)
    assert (facts.duration, facts.audio, facts.wrong_format) == (None, None, True)


def test_a_slow_ffprobe_is_given_up(tmp_path, monkeypatch) -> None:
    fake = tmp_path / "ffprobe"
    fake.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(decoders, "PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(decoders, "_optional", lambda name: None)
    (tmp_path / "a.aac").write_bytes(b"\xff\xf1" * 500)
    assert facts_of(tmp_path / "a.aac").duration is None


@pytest.mark.parametrize("program", ["sleep 60", "exit 3", "head -c 1000 /dev/zero; exec sleep 60"])
def test_an_ffmpeg_that_hangs_or_fails_costs_the_samples_only(tmp_path, monkeypatch, requires, program) -> None:
    path = encode(tone(tmp_path / "a.wav"), tmp_path / "b.mp3")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffprobe").symlink_to(requires("ffprobe"))
    (tmp_path / "bin" / "ffmpeg").write_text(f"#!/bin/sh\nexec {program}\n".replace("exec head", "head"))
    (tmp_path / "bin" / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(decoders, "PROBE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(decoders, "_optional", lambda name: None)
    facts = facts_of(path, measure=True)
    assert facts.duration == pytest.approx(SECONDS, abs=0.001) and not facts.errors
    assert facts.audio is None or facts.audio.duration < 0.1


@pytest.mark.parametrize("program", ["exit 3", "echo '{'", "echo '[]'", "echo '{\"format\": {}}'"])
def test_an_ffprobe_that_talks_nonsense_does_no_harm(tmp_path, monkeypatch, program) -> None:
    fake = tmp_path / "ffprobe"
    fake.write_text(f"#!/bin/sh\n{program}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(decoders, "_optional", lambda name: None)
    (tmp_path / "a.aac").write_bytes(b"\xff\xf1" * 500)
    assert facts_of(tmp_path / "a.aac").duration is None


def test_decoding_stops_where_its_budget_ends(tmp_path, monkeypatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(audio_file.time, "monotonic", lambda: float(next(ticks)))
    facts = facts_of(tone(tmp_path / "a.wav", seconds=30), measure=True)
    assert facts.duration == 30.0 and facts.audio is not None
    assert 0 < facts.audio.duration < 10


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/", "/nowhere/at/all.wav", "", "a\0b.wav", "x" * 5000])
def test_what_is_no_regular_file_is_not_opened(path) -> None:
    assert open_file(path) is None


def test_a_pipe_and_a_link_to_one_are_not_opened(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    assert open_file(tmp_path / "a.wav") is None
    assert open_file(tmp_path / "b.wav") is None


def test_a_file_that_may_not_be_read_says_so(tmp_path) -> None:
    path = tone(tmp_path / "a.wav")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PermissionError):
        open_file(path)


def test_a_file_may_be_deleted_or_replaced_once_it_is_open(tmp_path) -> None:
    path = tone(tmp_path / "a.wav")
    gone, replaced = open_file(path), open_file(path)
    path.unlink()
    path.write_bytes(b"something else")
    for opened in (gone, replaced):
        assert opened is not None
        assert read_file(opened).duration == SECONDS


@pytest.mark.requires("ffmpeg", "ffprobe")
def test_a_deleted_file_may_be_decoded_too(tmp_path) -> None:
    path = encode(tone(tmp_path / "a.wav"), tmp_path / "b.m4a")
    opened = open_file(path)
    path.unlink()
    assert opened is not None
    assert read_file(opened).channels == 1  # which only the decoder knows


def test_a_file_that_is_being_written_is_not_believed(tmp_path, monkeypatch) -> None:
    path = tone(tmp_path / "a.wav")
    read = audio_file._read

    def write_meanwhile(*arguments):
        with open(path, "ab") as file:
            file.write(b"\0" * 100)
        return read(*arguments)

    monkeypatch.setattr(audio_file, "_read", write_meanwhile)
    opened = open_file(path)
    assert opened is not None
    with pytest.raises(Changed):
        read_file(opened)


def test_a_file_that_was_written_again_is_not_believed(tmp_path) -> None:
    opened = open_file(tone(tmp_path / "a.wav"))
    tone(tmp_path / "a.wav", seconds=1.0)
    assert opened is not None
    with pytest.raises(Changed):
        read_file(opened)


def test_an_hour_is_read_by_its_header(tmp_path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 48000, 0, "NONE", ""))
        file.writeframes(b"")
    with open(tmp_path / "a.wav", "r+b") as file:  # sparse: it takes no room on the disk
        size = 3600 * 48000 * 4
        file.seek(4), file.write((size + 36).to_bytes(4, "little"))
        file.seek(40), file.write(size.to_bytes(4, "little"))
        file.truncate(44 + size)
    opened = open_file(tmp_path / "a.wav")
    assert opened is not None
    assert read_file(opened).duration == 3600.0
