# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio noted on the path and measured later gives the same facts, in bounded memory."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from otel_tts.audio.samples import sound
from otel_tts.audio.samples.meter import AudioMeter
from otel_tts.audio.samples.sound import Sound, pending

RATE = 24000
SPEECH = np.concatenate([
    np.zeros(RATE // 5), 0.4 * np.sin(np.arange(RATE) / 15), np.zeros(RATE // 10), [0.9, -0.9], np.full(500, 1.0),
]).astype(np.float32)  # fmt: skip


def meter_facts(samples: np.ndarray):
    meter = AudioMeter(RATE)
    meter.add(samples)
    return meter.facts()


def splits(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[at : at + size] for at in range(0, len(samples), size)]


@pytest.fixture(autouse=True)
def nothing_pending():
    gc.collect()
    pending.renew()
    yield
    gc.collect()
    assert pending.bytes == 0


@pytest.mark.parametrize("size", [7, 240, 1000, 20000, len(SPEECH)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("short", [True, False], ids=["short way", "long way"])
def test_cut_anyhow_the_facts_are_those_of_one_array(size: int, dtype, short: bool) -> None:
    samples = SPEECH.astype(dtype) if dtype is not np.int16 else (SPEECH * 32000).astype(np.int16)
    recording = Sound(RATE)
    deliver(recording, splits(samples, size), short)
    assert recording.facts() == meter_facts(samples)
    assert recording.deliveries == len(splits(samples, size))


def deliver(recording: Sound, chunks: list, short: bool) -> None:
    """As a stream does: by the short way where there is one, until its room is used up."""
    take, room = None, 0
    for at, chunk in enumerate(chunks):
        if room and type(chunk) is take.kind and chunk.dtype is take.dtype and chunk.ndim == 1:
            take.keep(chunk.tobytes())
            take.note(at)
            room -= 1
            continue
        recording.delivered(at, recording.add(chunk))
        take = recording.taker(chunk) if short else None
        room = take.room if take is not None else 0


@pytest.mark.parametrize("short", [True, False], ids=["short way", "long way"])
def test_chunks_of_changing_kinds_keep_their_order(short: bool) -> None:
    parts = splits(SPEECH, 2000)
    mixed = [part if number % 3 else part.reshape(1, -1) for number, part in enumerate(parts)]
    mixed[4] = mixed[4].tolist()
    mixed[5] = mixed[5].astype(np.float64)
    recording = Sound(RATE)
    deliver(recording, mixed, short)
    assert recording.facts() == meter_facts(SPEECH)


def test_the_callers_array_is_copied() -> None:
    buffer = SPEECH.copy()
    recording = Sound(RATE)
    recording.add(buffer)
    buffer[:] = 0
    recording.add(buffer[:0])
    assert recording.facts() == meter_facts(SPEECH)
    assert not buffer.any()


def test_facts_may_be_asked_for_in_between() -> None:
    recording = Sound(RATE)
    for part in splits(SPEECH, 3000):
        recording.add(part)
        recording.facts()
    assert recording.facts() == meter_facts(SPEECH)


def test_beyond_the_bound_audio_is_measured_at_once(monkeypatch) -> None:
    monkeypatch.setattr(sound, "MAX_PENDING", SPEECH.nbytes // 3)
    recording = Sound(RATE)
    for part in splits(SPEECH, 1000):
        recording.add(part)
        assert pending.bytes <= SPEECH.nbytes // 3
    assert recording.facts() == meter_facts(SPEECH)


def test_the_bound_is_over_all_recordings(monkeypatch) -> None:
    monkeypatch.setattr(sound, "MAX_PENDING", 2 * SPEECH.nbytes)
    recordings = [Sound(RATE) for _ in range(5)]
    for recording in recordings:
        recording.add(SPEECH)
    assert pending.bytes == 2 * SPEECH.nbytes
    assert [recording.facts() for recording in recordings] == [meter_facts(SPEECH)] * 5
    assert pending.bytes == 0


def test_small_chunks_join_and_count_against_the_bound() -> None:
    recording = Sound(RATE)
    deliver(recording, splits(np.tile(SPEECH, 3), 20), short=True)
    assert len(recording._pieces) <= sound._MAX_PIECES
    assert pending.bytes + sum(map(len, recording._pieces)) == 3 * SPEECH.nbytes
    recording.facts()


def test_a_recording_that_is_dropped_gives_its_memory_back() -> None:
    recording = Sound(RATE)
    recording.add(SPEECH)
    assert pending.bytes == SPEECH.nbytes
    del recording
    gc.collect()
    assert pending.bytes == 0


def test_a_recording_collected_while_its_thread_holds_the_lock_does_not_hang() -> None:
    recording = Sound(RATE)
    recording.add(SPEECH)
    done = threading.Event()

    def collect() -> None:
        nonlocal recording
        with pending._lock:
            del recording
        done.set()

    threading.Thread(target=collect, daemon=True).start()
    assert done.wait(10)


def test_a_recording_that_could_not_be_made_is_dropped_quietly(monkeypatch) -> None:
    monkeypatch.setattr(sound, "Playout", None)
    with pytest.raises(TypeError):
        Sound(RATE)


def test_after_a_fork_nothing_is_pending() -> None:
    recording = Sound(RATE)
    recording.add(SPEECH)
    pending.renew()
    assert pending.bytes == 0
    del recording
    gc.collect()
    assert pending.bytes == 0


def test_many_threads_leave_the_count_right() -> None:
    def work() -> None:
        for _ in range(200):
            recording = Sound(RATE)
            recording.add(SPEECH[:500])
            recording.facts()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pending.bytes == 0


def test_the_player_hears_what_was_delivered() -> None:
    recording = Sound(10)
    for at, frames in ((0, 10), (1_500_000_000, 10), (3_000_000_000, 10)):
        recording.delivered(at, frames)
    assert recording.playout().underrun == pytest.approx(1.0)
    assert recording.deliveries == 3


def test_a_chunk_of_unknown_length_leaves_the_underrun_unknown() -> None:
    recording = Sound(10)
    recording.delivered(0, 10)
    recording.delivered(1, None)
    assert recording.playout().underrun is None


@pytest.mark.parametrize("chunk", [[0.1, 0.2], (0.1,), SPEECH.reshape(1, -1), np.zeros(100_000), None, "x"])
def test_not_every_chunk_has_a_short_way(chunk) -> None:
    recording = Sound(RATE)
    recording.add(chunk)
    assert recording.taker(chunk) is None
