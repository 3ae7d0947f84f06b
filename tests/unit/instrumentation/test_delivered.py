# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that requests deliver: their facts on the span, or as a log record where the span has left by then."""

from __future__ import annotations

import gc
import importlib
import io
import os
import subprocess
import sys
import threading
import time
import warnings
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import otel_tts
from otel_tts import guard, names
from otel_tts.audio.files import file as audio_file
from otel_tts.emit.later import files
from otel_tts.engines.table import Engine, Entry
from otel_tts.instrumentation.libraries.encoders import watch_postprocess
from otel_tts.instrumentation.tables import watch
from otel_tts.instrumentation.wrapping import HOOKS
from otel_tts.patches import undo
from otel_tts.recording import request
from otel_tts.recording.delivered import note_file
from otel_tts.recording.request import Request

RATE = 24000
SECRET = "what-nobody-may-read"
TONE = (0.4 * np.sin(np.arange(2 * RATE) / 9)).astype(np.float32)


@pytest.fixture(autouse=True)
def hooked():
    watch_postprocess()
    yield
    assert guard.faults == {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name must not leave."""
    (tmp_path / SECRET).mkdir()
    return tmp_path / SECRET


def root(seen: Any) -> Any:
    (span,) = [span for span in seen.drain().spans if span.name.startswith("text_to_speech")]
    return span


def said(seen: Any) -> str:
    """Everything that left, as one text."""
    points = seen.reader.get_metrics_data()
    return "".join(
        [
            *(span.to_json() for span in seen.spans),
            *(record.to_json() for record in seen.log_memory.get_finished_logs()),
            points.to_json() if points else "",
        ]
    )


def file_event(span: Any) -> dict[str, Any]:
    ((event),) = [event for event in span.events if event.name == names.FILE_EVENT]
    return dict(event.attributes)


def write_soundfile(path: Path, samples: Any = TONE, rate: int = RATE) -> None:
    soundfile.write(path, samples, rate)


def write_chunks(path: Path, samples: Any = TONE, rate: int = RATE) -> None:
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for part in np.array_split(samples, 7):
            file.write(part)


def write_wave(path: Path, samples: Any = TONE, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


WRITERS = (write_soundfile, write_chunks, write_wave)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("heard", [True, False], ids=["samples seen", "only the file"])
def test_a_file_written_in_a_synthesis_gives_its_facts(world, folder, write, heard) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        if heard:
            synthesis.audio(TONE, RATE)
        write(folder / f"{SECRET}.wav")
    attributes = root(seen).attributes
    assert attributes[names.AUDIO_FORMAT] == "wav"
    assert attributes[names.AUDIO_SIZE] == (folder / f"{SECRET}.wav").stat().st_size
    assert (attributes[names.AUDIO_DURATION], attributes[names.AUDIO_SAMPLE_RATE]) == (2.0, RATE)
    assert attributes[names.AUDIO_PEAK] == pytest.approx(0.4, abs=0.01)
    assert names.AUDIO_ANOMALY not in attributes and attributes[names.OUTCOME] == "ok"
    assert file_event(root(seen)) == {
        names.AUDIO_FORMAT: "wav", names.AUDIO_SIZE: attributes[names.AUDIO_SIZE], names.AUDIO_DURATION: 2.0,
        names.AUDIO_SAMPLE_RATE: RATE, names.AUDIO_CHANNELS: 1,
    }  # fmt: skip
    assert SECRET not in said(seen)


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_written_just_after_the_engine_is_on_the_span_too(world, folder, write) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
    write(folder / "a.wav")  # outside of any request: nobody's
    assert note_file(synthesis, folder / "a.wav", returned=True)
    assert root(seen).attributes[names.AUDIO_FORMAT] == "wav"
    assert len([event for event in root(seen).events if event.name == names.FILE_EVENT]) == 1


def test_a_file_read_after_the_span_has_left_is_a_log_record_of_its_trace(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m", request_id="r7") as synthesis:
        synthesis.audio(TONE, RATE)
    span = root(seen)
    write_wave(folder / f"{SECRET}.wav", TONE[: RATE // 2])
    assert note_file(synthesis, folder / f"{SECRET}.wav", returned=True)
    seen.drain()
    record = seen.records[-1]
    assert record.body.startswith("AUDIO_FILE request_id=r7 ")
    assert "format=wav" in record.body and "audio_duration=0.5" in record.body and "error_type=truncated" in record.body
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert (record.severity_text, record.attributes[names.AUDIO_FORMAT]) == ("WARN", "wav")
    assert list(seen.points("tts.audio.anomalies").values()) == [1]
    assert SECRET not in said(seen)


def test_a_late_file_that_is_fine_is_no_warning_and_the_same_one_is_told_once(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
    seen.drain()
    write_wave(folder / "a.wav")
    for _ in range(3):
        assert note_file(Request("r", 0, synthesis=synthesis), folder / "a.wav", returned=True)
        seen.drain()
    (record,) = [record for record in seen.records if record.body.startswith("AUDIO_FILE")]
    assert record.severity_text == "INFO"
    assert seen.points("tts.audio.anomalies") == {}


def test_a_late_file_of_audio_that_nobody_heard_is_judged_by_itself(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        pass
    seen.drain()
    write_wave(folder / "a.wav", np.zeros(RATE))
    note_file(synthesis, folder / "a.wav")
    seen.drain()
    assert "error_type=silent" in seen.records[-1].body


def test_a_silent_file_of_an_engine_that_shows_no_samples_is_anomalous(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav", np.zeros(RATE))
    span = root(seen)
    assert span.attributes[names.AUDIO_ANOMALY] == ("silent",)
    assert span.attributes[names.OUTCOME] == "anomalous"


def test_the_same_samples_at_a_wrong_rate(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        write_wave(folder / "a.wav", TONE, 16000)
    span = root(seen)
    assert span.attributes[names.AUDIO_ANOMALY] == ("wrong_sample_rate",)
    assert (span.attributes[names.AUDIO_SAMPLE_RATE], file_event(span)[names.AUDIO_SAMPLE_RATE]) == (RATE, 16000)
    assert span.attributes[names.OUTCOME] == "ok"
    assert list(seen.points("tts.audio.anomalies").values()) == [1]


def test_a_file_that_lacks_its_end_makes_a_request_anomalous(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        write_wave(folder / "a.wav", TONE[:RATE])
    span = root(seen)
    assert span.attributes[names.AUDIO_ANOMALY] == ("truncated",)
    assert span.attributes[names.OUTCOME] == "anomalous"


def test_segments_in_files_of_their_own_are_parts(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        for number, part in enumerate(np.array_split(TONE, 4)):
            synthesis.audio(part, RATE)
            write_wave(folder / f"{number}.wav", part)
    assert names.AUDIO_ANOMALY not in root(seen).attributes


def test_the_answer_goes_before_what_was_only_written(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        write_soundfile(folder / "a.flac")
        note_file(None, folder / "a.flac", returned=True)
        write_wave(folder / "scratch.wav", TONE[:1000])
    assert root(seen).attributes[names.AUDIO_FORMAT] == "flac"


@pytest.mark.requires("ffmpeg")
@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "m4a"])
def test_ffmpeg_as_a_process_writes_what_is_delivered(world, folder, suffix) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        write_wave(folder / "a.wav")
        command = [
            "ffmpeg",
            "-loglevel",
            "error",
            "-y",
            "-i",
            str(folder / "a.wav"),
            str(folder / f"{SECRET}.{suffix}"),
        ]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    span = root(seen)
    assert span.attributes[names.AUDIO_FORMAT] == suffix
    assert span.attributes[names.AUDIO_SIZE] == (folder / f"{SECRET}.{suffix}").stat().st_size
    assert file_event(span)[names.AUDIO_DURATION] == pytest.approx(2.0, abs=0.1)
    assert names.AUDIO_ANOMALY not in span.attributes
    assert SECRET not in said(seen)


@pytest.mark.requires("ffmpeg", "ffprobe")
def test_a_codec_error_and_a_wrong_name(world, folder) -> None:
    seen = world()
    write_wave(folder / "a.wav")
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", str(folder / "a.wav"), str(folder / "a.mp3")], check=True)
    data = bytearray((folder / "a.mp3").read_bytes())
    data[3000:5000] = os.urandom(2000)
    (folder / "a.ogg").write_bytes(data)
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        note_file(None, folder / "a.ogg", returned=True)
    assert root(seen).attributes[names.AUDIO_ANOMALY] == ("wrong_format", "codec_error")


def test_a_temporary_file_that_is_deleted_at_once_is_read_all_the_same(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav")
        (folder / "a.wav").unlink()
    assert root(seen).attributes[names.AUDIO_DURATION] == 2.0


def test_pipes_and_folders_are_left_alone(world, folder) -> None:
    seen = world()
    os.mkfifo(folder / "pipe.wav")
    with otel_tts.synthesis("m"):
        for path in (folder / "pipe.wav", "/dev/zero", folder, folder / "none.wav"):
            assert not note_file(None, path)
    assert names.FILE_EVENT not in {event.name for event in root(seen).events}
    assert not note_file(None, folder / "pipe.wav")


def soundfile_in_memory(format: str = "WAV", subtype: str | None = None, samples: Any = TONE) -> bytes:
    soundfile.write(buffer := io.BytesIO(), samples, RATE, format=format, subtype=subtype)
    return buffer.getvalue()


def wave_in_memory(samples: Any = TONE) -> bytes:
    with wave.open(buffer := io.BytesIO(), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def pydub_in_memory() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub imports audioop, which leaves in Python 3.13
        from pydub import AudioSegment
    watch_postprocess()
    sound = AudioSegment((TONE * 32767).astype("<i2").tobytes(), sample_width=2, frame_rate=RATE, channels=1)
    return sound.export(io.BytesIO(), "wav").getvalue()


IN_MEMORY: dict[str, tuple[Any, str]] = {
    "soundfile": (soundfile_in_memory, "wav"),
    "soundfile, flac": (lambda: soundfile_in_memory("FLAC"), "flac"),
    "soundfile, opus": (lambda: soundfile_in_memory("OGG", "OPUS"), "ogg"),
    "soundfile, mp3": (lambda: soundfile_in_memory("MP3"), "mp3"),
    "wave": (wave_in_memory, "wav"),
    "pydub": (pydub_in_memory, "wav"),
}


@pytest.mark.parametrize("writer", IN_MEMORY)
@pytest.mark.parametrize("heard", [True, False], ids=["samples seen", "only the buffer"])
def test_what_is_encoded_in_memory_gives_format_and_size(world, writer, heard) -> None:
    seen, (write, format) = world(), IN_MEMORY[writer]
    with otel_tts.synthesis("m") as synthesis:
        if heard:
            synthesis.audio(TONE, RATE)
        data = write()
    span = root(seen)
    assert (span.attributes[names.AUDIO_FORMAT], span.attributes[names.AUDIO_SIZE]) == (format, len(data))
    if writer != "soundfile, mp3":  # libsndfile's LAME writes no table: what it put around the sound stays
        assert span.attributes[names.AUDIO_DURATION] == pytest.approx(2.0, abs=0.001)
    assert file_event(span)[names.AUDIO_DURATION] == pytest.approx(2.0, abs=0.1)
    assert names.AUDIO_ANOMALY not in span.attributes and span.attributes[names.OUTCOME] == "ok"
    assert wave_in_memory() == wave_in_memory(), "the same bytes as ever"


def test_the_size_of_samples_is_no_size_of_audio(world) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
    assert names.AUDIO_SIZE not in root(seen).attributes
    assert "audio_size" not in seen.records[-1].body


def test_of_many_pieces_in_memory_only_the_format_is_known(world) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        for part in np.array_split(TONE, 40):
            synthesis.audio(part, RATE)
            wave_in_memory(part)
    attributes = root(seen).attributes
    assert attributes[names.AUDIO_FORMAT] == "wav" and attributes[names.OUTCOME] == "ok"
    assert names.AUDIO_SIZE not in attributes
    assert names.FILE_EVENT not in {event.name for event in seen.span("text_to_speech m").events}
    assert seen.recorder.dropped == {}


def test_pieces_encoded_after_the_span_has_left_say_nothing(world) -> None:
    seen = world()
    made = Request("r", 0)
    token = request.current.set(made)
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
    seen.drain()
    for _ in range(3):
        wave_in_memory()
        seen.drain()
    request.current.reset(token)
    assert not [record for record in seen.records if record.body.startswith("AUDIO_FILE")]


def test_a_header_that_is_made_in_memory_for_a_stream_is_no_empty_audio(world) -> None:
    seen = world()
    with otel_tts.synthesis("m") as synthesis:
        wave_in_memory(TONE[:0])
        synthesis.audio(TONE, RATE)
    assert root(seen).attributes[names.OUTCOME] == "ok"


def test_a_buffer_can_be_written_to_closed_and_used_on(world) -> None:
    world()
    with otel_tts.synthesis("m"):
        soundfile.write(buffer := io.BytesIO(), TONE, RATE, format="WAV")
        buffer.seek(0, 2), buffer.write(b"more")
        buffer.close()
        assert not note_file(None, buffer)


def test_outside_of_any_request_nothing_is_opened(world, folder) -> None:
    world()
    write_wave(folder / "a.wav")
    assert not note_file(None, folder / "a.wav")
    assert audio_file.count_open() == 0


def test_a_disk_that_hangs_delays_no_span_and_no_service(world, folder, monkeypatch) -> None:
    seen, go = world(), threading.Event()
    read = files.read_file
    monkeypatch.setattr(files, "read_file", lambda *arguments: go.wait(30) and read(*arguments))
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    with otel_tts.synthesis("m") as synthesis:
        synthesis.audio(TONE, RATE)
        write_wave(folder / "a.wav")
    seen.emitter.drain()
    time.sleep(0.1)
    assert seen.emitter.drain()
    assert seen.names() == ["tts.postprocess", "text_to_speech m"]
    assert names.AUDIO_FORMAT not in seen.span("text_to_speech m").attributes
    go.set()
    seen.drain()
    assert seen.records[-1].body.startswith("AUDIO_FILE"), "what comes late is not lost"


def test_what_waits_is_bounded_and_counted(world, folder, monkeypatch) -> None:
    seen = world()
    monkeypatch.setattr(files, "MAX_FILES", 3)
    with otel_tts.synthesis("m"):
        for number in range(5):
            write_wave(folder / f"{number}.wav")
    seen.drain()
    monkeypatch.setattr(files, "MAX_FILES", 16)
    monkeypatch.setattr(files, "MAX_OPEN", 2)
    with otel_tts.synthesis("m"):
        for number in range(5):
            write_wave(folder / f"{number}.wav")
    seen.drain()
    assert seen.recorder.dropped == {"file_limit": 2 + 3}
    assert audio_file.count_open() == 0


def test_a_writer_that_is_collected_while_another_file_is_taken(world, folder, monkeypatch) -> None:
    """It is closed in the middle of that, in the same thread; so may a signal's handler flush."""
    seen, count = world(), audio_file.count_open

    class Forgotten:
        def __init__(self) -> None:
            self.me, self.file = self, soundfile.SoundFile(folder / "b.wav", "w", RATE, 1)
            self.file.write(TONE)

    def collect_and_count() -> int:
        gc.collect()
        return count()

    def request() -> None:
        with otel_tts.synthesis("m"):
            Forgotten()
            write_wave(folder / "a.wav")

    gc.disable()
    monkeypatch.setattr(files, "count_open", collect_and_count)
    asked = threading.Thread(target=request, daemon=True)
    asked.start()
    asked.join(20)
    gc.enable()
    assert not asked.is_alive(), "the request waits for itself"
    assert root(seen).attributes[names.AUDIO_FORMAT] == "wav" and gc.isenabled()
    assert audio_file.count_open() == 0


def test_where_no_thread_can_be_had_the_next_file_tries_again(world, folder, monkeypatch) -> None:
    seen, start = world(), threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert guard.faults.pop("files") == 1
    with otel_tts.synthesis("n"):
        write_wave(folder / "b.wav")
    seen.drain()
    assert [names.AUDIO_FORMAT in seen.span(f"text_to_speech {model}").attributes for model in "mn"] == [True, True]


def test_a_file_that_has_changed_is_counted(world, folder, monkeypatch) -> None:
    def change(*_: Any) -> Any:
        raise audio_file.Changed

    seen = world()
    monkeypatch.setattr(files, "read_file", change)
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav")
    assert names.AUDIO_FORMAT not in root(seen).attributes
    assert seen.recorder.dropped == {"file_changed": 1}


def test_a_fault_in_reading_is_contained_and_counted(world, folder, monkeypatch) -> None:
    seen = world()
    monkeypatch.setattr(files, "read_file", lambda *_: 1 / 0)
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav")
    assert root(seen).attributes[names.OUTCOME] == "ok"
    assert guard.faults == {"files": 1}
    guard.faults.clear()
    assert seen.recorder.dropped == {"fault": 1}
    assert audio_file.count_open() == 0


def test_writing_gives_the_same_bytes_and_errors_as_ever(world, folder) -> None:
    world()
    for write in WRITERS:
        write(folder / "before.wav")
        with otel_tts.synthesis("m"):
            write(folder / "inside.wav")
        assert (folder / "before.wav").read_bytes() == (folder / "inside.wav").read_bytes()
    with otel_tts.synthesis("m"), pytest.raises(soundfile.LibsndfileError):
        soundfile.write(folder / "none" / "a.wav", TONE, RATE)


def test_after_the_recorder_has_closed_a_file_is_counted_as_not_read(world, folder) -> None:
    seen = world()
    with otel_tts.synthesis("m"):
        write_wave(folder / "a.wav")
        seen.emitter.close()
    assert seen.recorder.dropped == {"file_not_read": 1, "open_at_end": 1}
    assert audio_file.count_open() == 0


ENGINE_SOURCE = """
import struct
import numpy as np

TONE = (0.4 * np.sin(np.arange(48000) / 9) * 32767).astype("<i2").tobytes()

def _write(path):  # as native code does: through nothing that is hooked
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(TONE), b"WAVE", b"fmt ", 16, 1, 1, 24000, 48000, 2, 16,
                       b"data", len(TONE))
    with open(path, "wb") as file:
        file.write(head + TONE)

def to_path(text, path):
    _write(path)
    return str(path)

def to_argument(text, path):
    _write(path)

def to_text(text, path=None):
    return "not a path but " + text
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    (tmp_path / "file_engine.py").write_text(ENGINE_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    watch(
        Engine(
            name="filer", module="file_engine", distribution="", seconds_per_character=(0.05, 0.1),
            entries=(Entry("to_path"), Entry("to_argument", chunk=None, file="path"), Entry("to_text")),
        )
    )  # fmt: skip
    yield importlib.import_module("file_engine")
    undo(HOOKS)
    sys.modules.pop("file_engine")


@pytest.mark.parametrize("entry", ["to_path", "to_argument"])
def test_an_engine_that_answers_with_a_file(world, engine, folder, entry) -> None:
    seen = world()
    getattr(engine, entry)("x" * 25, folder / f"{SECRET}.wav")
    attributes = root(seen).attributes
    assert (attributes[names.AUDIO_DURATION], attributes[names.AUDIO_FORMAT]) == (2.0, "wav")
    assert attributes[names.AUDIO_PEAK] == pytest.approx(0.4, abs=0.01)
    assert names.REAL_TIME_FACTOR in attributes and names.AUDIO_ANOMALY not in attributes
    assert (names.TIME_TO_FIRST_AUDIO in attributes) == (entry == "to_path")
    assert SECRET not in said(seen)


@pytest.mark.parametrize("characters, anomaly", [(100, "truncated"), (5, "too_long")])
def test_a_files_length_is_compared_with_the_text(world, engine, folder, characters, anomaly) -> None:
    seen = world()
    engine.to_path("x" * characters, folder / "a.wav")
    assert root(seen).attributes[names.AUDIO_ANOMALY] == (anomaly,)


def test_an_engine_that_answers_with_text_opens_nothing(world, engine) -> None:
    seen = world()
    assert engine.to_text("hello") == "not a path but hello"
    assert names.FILE_EVENT not in {event.name for event in root(seen).events}
    assert "hello" not in said(seen)
