# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of known signals, against values worked out on paper or by plain loops over the whole signal."""

from __future__ import annotations

import itertools
import math
import random
import warnings
import weakref
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from otel_tts.audio.samples.meter import AudioFacts, AudioMeter, judge
from otel_tts.audio.thresholds import Thresholds

RATE = 24000


def sine(seconds: float, amplitude: float = 0.5, hertz: float = 200.0, rate: int = RATE) -> npt.NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def silence(seconds: float, rate: int = RATE) -> npt.NDArray[np.float64]:
    return np.zeros(round(seconds * rate))


def measure(samples: object, rate: int | None = RATE, **options: Any) -> AudioFacts:
    meter = AudioMeter(rate, **options)
    meter.add(samples)
    return meter.facts()


def test_sine_has_the_rms_and_peak_of_a_sine() -> None:
    facts = measure(sine(1.0).astype(np.float32))
    assert facts.duration == 1.0
    assert (facts.sample_rate, facts.channels, facts.samples) == (RATE, 1, RATE)
    assert facts.peak == pytest.approx(0.5, abs=1e-7)
    assert facts.rms == pytest.approx(0.5 / math.sqrt(2), abs=1e-7)
    assert facts.dc_offset == pytest.approx(0.0, abs=1e-7)
    assert (facts.silence_ratio, facts.leading_silence, facts.trailing_silence) == (0.0, 0.0, 0.0)
    assert (facts.clipping_ratio, facts.clicks, facts.has_nan, facts.silent) == (0.0, 0, False, False)
    assert facts.anomalies == ()


def test_silence_around_speech_is_measured() -> None:
    facts = measure(np.concatenate([silence(0.3), sine(0.5), silence(0.2)]))
    assert facts.leading_silence == pytest.approx(0.3)
    assert facts.trailing_silence == pytest.approx(0.2)
    assert facts.silence_ratio == pytest.approx(0.5)
    assert facts.anomalies == ()


@pytest.mark.parametrize("seconds, sound", [(0.04, False), (0.05, True)])
def test_a_burst_ends_silence_only_when_sustained(seconds: float, sound: bool) -> None:
    facts = measure(np.concatenate([silence(0.2), sine(seconds), silence(0.3), sine(0.2), silence(0.1)]))
    assert facts.leading_silence == pytest.approx(0.2 if sound else 0.5 + seconds)
    assert facts.trailing_silence == pytest.approx(0.1)


@pytest.mark.parametrize("dbfs, silent", [(-39.9, False), (-40.1, True)])
def test_silence_is_an_rms_under_40_dbfs(dbfs: float, silent: bool) -> None:
    facts = measure(sine(1.0, amplitude=math.sqrt(2) * 10 ** (dbfs / 20)))
    assert facts.silent is silent
    assert facts.anomalies == (("silent",) if silent else ())
    assert (facts.leading_silence is None) is silent


def test_thresholds_are_settable() -> None:
    quiet = sine(1.0, amplitude=0.001)
    assert measure(quiet).silent is True
    assert measure(quiet, thresholds=Thresholds(silence_dbfs=-70.0)).silent is False


def test_a_constant_has_an_offset_and_no_sound() -> None:
    facts = measure(np.full(RATE, 0.25))
    assert facts.dc_offset == pytest.approx(0.25)
    assert facts.rms == pytest.approx(0.25)
    assert facts.anomalies == ("silent", "dc_offset")


def test_opposite_offsets_of_two_channels_do_not_cancel() -> None:
    facts = measure(np.stack([sine(1.0) + 0.1, sine(1.0) - 0.2], axis=1))
    assert facts.dc_offset == pytest.approx(-0.2)
    assert facts.anomalies == ("dc_offset",)


def test_clipping_counts_samples_at_full_scale() -> None:
    wave = np.clip(sine(1.0, amplitude=2.0), -1.0, 1.0)
    expected = sum(1 for value in wave.tolist() if abs(value) >= 0.999) / len(wave)
    assert expected > 0.5
    facts = measure(wave)
    assert facts.clipping_ratio == expected
    assert facts.peak == 1.0
    assert facts.anomalies == ("clipped",)


def test_an_impulse_is_two_jumps_and_clipped_jumps_do_not_count() -> None:
    wave = sine(1.0, amplitude=0.1)
    wave[[1000, 6000, 12000]] = 0.8  # 6000: the first sample of a block of a quarter second
    assert measure(wave).clicks == 6
    assert measure(wave).anomalies == ("clicks",)
    wave[[1000, 6000, 12000]] = 1.0
    assert measure(wave).clicks == 0


def test_clicks_are_judged_by_the_second() -> None:
    wave = sine(2.0, amplitude=0.1)
    wave[[1000, 6000, 12000]] = 0.8
    assert measure(wave).clicks == 6
    assert measure(wave).anomalies == ()


def test_steps_between_channels_are_no_clicks() -> None:
    assert measure(np.stack([np.full(RATE, 0.9), np.full(RATE, -0.9)], axis=1)).clicks == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_no_numbers_are_left_out(bad: float) -> None:
    clean = sine(1.0)
    wave = clean.copy()
    spoiled = [0, 5999, 6000, 11999, RATE - 1]
    wave[spoiled] = bad
    facts = measure(wave)
    rest = np.delete(clean, spoiled)
    assert facts.has_nan is True
    assert facts.rms == pytest.approx(math.sqrt(float(np.mean(rest**2))), abs=1e-12)
    assert facts.peak == float(np.max(np.abs(rest)))
    assert facts.clicks == 0
    assert facts.silent is False
    assert facts.anomalies == ("nan",)


def test_nothing_but_nan_has_no_level() -> None:
    facts = measure(np.full(RATE, math.nan, dtype=np.float32))
    assert (facts.peak, facts.rms, facts.dc_offset, facts.clipping_ratio) == (None, None, None, None)
    assert facts.anomalies == ("silent", "nan")


def test_numbers_too_large_to_square_give_no_infinite_facts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = measure(np.array([1e300, -1e300] * 1000))
    assert facts.rms is None
    assert facts.peak == 1e300


def test_empty_audio_is_empty_and_nothing_else() -> None:
    for samples in (np.zeros(0), np.zeros((0, 1)), np.zeros((1, 0), np.int16), []):
        facts = measure(samples)
        assert (facts.samples, facts.duration, facts.peak, facts.silent) == (0, 0.0, None, None)
        assert facts.anomalies == ("empty",)


def test_a_meter_that_saw_nothing_can_be_told_from_empty_audio() -> None:
    meter = AudioMeter(RATE)
    assert meter.chunks == 0
    meter.add(np.zeros(0))
    assert meter.chunks == 1


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: (x * 32768).astype(np.int16),
        lambda x: (x * 32768).astype(">i2"),
        lambda x: (x * 2**31).astype(np.int32),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.longdouble),
        lambda x: x.tolist(),
    ],
)
def test_sample_types_agree(convert: Any) -> None:
    expected = measure(sine(0.5))
    facts = measure(convert(sine(0.5)))
    assert facts.rms == pytest.approx(expected.rms, abs=1e-3)
    assert facts.peak == pytest.approx(expected.peak, abs=1e-3)
    assert facts.anomalies == ()


def test_eight_bits_without_sign_are_centred_on_128() -> None:
    facts = measure(np.round(sine(0.5) * 128 + 128).astype(np.uint8))
    assert facts.peak == pytest.approx(0.5, abs=0.01)
    assert facts.dc_offset == pytest.approx(0.0, abs=0.01)
    assert measure(np.full(RATE, 128, np.uint8)).silent is True
    assert measure(np.round(sine(0.5) * 128).astype(np.int8)).peak == pytest.approx(0.5, abs=0.01)


def test_scale_is_the_full_scale_of_floats_and_not_of_pcm() -> None:
    assert measure(sine(0.5) * 32767, scale=32767.0).peak == pytest.approx(0.5, abs=1e-9)
    assert measure((sine(0.5) * 32768).astype(np.int16), scale=32767.0).peak == pytest.approx(0.5, abs=1e-4)
    assert measure((sine(0.5) * 32767).astype(np.int64), scale=32767.0).peak == pytest.approx(0.5, abs=1e-4)


def test_full_scale_pcm_is_clipped() -> None:
    square = np.repeat(np.array([32767, -32768] * 50, np.int16), 120)
    assert measure(square).clipping_ratio == 1.0
    assert measure(square).clicks == 0


@pytest.mark.parametrize("shape", ["frames first", "channels first"])
def test_stereo_both_ways(shape: str) -> None:
    stereo = np.stack([sine(0.5, 0.5), sine(0.5, 0.25)], axis=1)
    facts = measure(stereo if shape == "frames first" else np.ascontiguousarray(stereo.T))
    assert (facts.channels, facts.samples, facts.duration) == (2, 12000, 0.5)
    assert facts.peak == pytest.approx(0.5)
    assert facts.rms == pytest.approx(math.sqrt((0.125 + 0.03125) / 2))


def test_one_silent_channel_does_not_silence_the_other() -> None:
    assert measure(np.stack([sine(0.5), silence(0.5)], axis=1)).silent is False


def test_opposite_channels_are_not_mixed_away() -> None:
    assert measure(np.stack([sine(0.5), -sine(0.5)], axis=1)).silent is False


def signals() -> dict[str, npt.NDArray[Any]]:
    noise = np.random.default_rng(7)
    speech = np.concatenate([silence(0.11), sine(0.9), silence(0.07), noise.normal(0, 0.4, 7001), silence(0.123)])
    spoiled = speech.copy()
    spoiled[::1709] = math.nan
    spoiled[::2503] = math.inf
    return {
        "speech": speech,
        "float32": speech.astype(np.float32),
        "int16": (np.clip(speech, -1, 1) * 32767).astype(np.int16),
        "stereo": np.stack([speech, speech[::-1]], axis=1),
        "channels first": np.stack([speech, speech[::-1]]),
        "not finite": spoiled,
        "constant at the threshold": np.full(9001, 0.01),
    }


@pytest.mark.parametrize("name", signals())
@pytest.mark.parametrize("rate", [24000, 22050, None])
def test_where_the_audio_is_cut_makes_no_difference(name: str, rate: int | None) -> None:
    signal = signals()[name]
    axis = 1 if name == "channels first" else 0
    whole = measure(signal, rate)
    for seed in range(6):
        dice = random.Random(seed)
        meter = AudioMeter(rate)
        start = 0
        while start < signal.shape[axis]:
            # The first chunk is long enough to tell channels from frames.
            end = start + (dice.choice([1, 2, 7, 240, 480, 4800, 6000, 20000]) if start else 10)
            meter.add(signal[start:end] if axis == 0 else signal[:, start:end])
            if dice.random() < 0.1:
                meter.facts()
            start = end
        facts = asdict(meter.facts())
        for fact, value in asdict(whole).items():
            assert facts[fact] == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value), fact


def test_facts_agree_with_plain_loops() -> None:
    signal = signals()["speech"]
    values = signal.tolist()
    facts = measure(signal)
    assert facts.peak == max(abs(value) for value in values)
    assert facts.rms == pytest.approx(math.sqrt(math.fsum(value * value for value in values) / len(values)), abs=1e-12)
    assert facts.dc_offset == pytest.approx(math.fsum(values) / len(values), abs=1e-12)
    jumps = [(a, b) for a, b in itertools.pairwise(values) if abs(b - a) > 0.5 and abs(a) < 0.999 and abs(b) < 0.999]
    assert facts.clicks == len(jumps) > 100
    windows = [values[start : start + 240] for start in range(0, len(values), 240)]
    means = [math.fsum(window) / len(window) for window in windows]
    powers = [math.fsum((v - m) ** 2 for v in w) / len(w) for w, m in zip(windows, means, strict=True)]
    quiet = sum(len(window) for window, power in zip(windows, powers, strict=True) if power < 1e-4)
    assert facts.silence_ratio == pytest.approx(quiet / len(values), abs=1e-12)


def test_facts_may_be_asked_at_any_time() -> None:
    meter = AudioMeter(RATE)
    meter.add(np.concatenate([sine(0.3), [math.nan]]))
    assert meter.facts() == meter.facts()
    meter.add(sine(0.2))
    assert meter.facts().samples == round(0.5 * RATE) + 1


def test_the_rate_may_come_with_the_chunk() -> None:
    meter = AudioMeter()
    meter.add(sine(0.5), 24000)
    assert meter.facts() == measure(sine(0.5))


def test_without_a_rate_nothing_is_said_about_time() -> None:
    facts = measure(silence(1.0), rate=None)
    assert (facts.duration, facts.sample_rate, facts.silence_ratio, facts.silent) == (None, None, None, None)
    assert (facts.samples, facts.peak, facts.rms) == (RATE, 0.0, 0.0)
    assert facts.anomalies == ()


@pytest.mark.parametrize("rate", [0, -1, math.nan, "24000", True, 10**9])
def test_a_rate_that_is_none_is_unknown(rate: Any) -> None:
    assert measure(sine(0.5), rate).sample_rate is None


def test_a_change_of_rate_is_an_anomaly() -> None:
    meter = AudioMeter()
    meter.add(sine(1.0, rate=24000), 24000)
    meter.add(sine(1.0, rate=22050), 22050)
    facts = meter.facts()
    assert facts.duration == 2.0
    assert facts.sample_rate == 24000
    assert facts.leading_silence is None
    assert facts.anomalies == ("wrong_sample_rate",)


def test_a_change_of_channels_is_an_anomaly() -> None:
    meter = AudioMeter(RATE)
    meter.add(sine(1.0))
    meter.add(np.stack([sine(1.0), sine(1.0)], axis=1))
    facts = meter.facts()
    assert (facts.channels, facts.duration, facts.peak) == (1, 2.0, None)
    assert facts.anomalies == ("wrong_channels",)


def test_one_chunk_that_is_not_read_hides_the_quality_of_all() -> None:
    meter = AudioMeter(RATE)
    meter.add(sine(1.0))
    meter.add(np.array([object(), object()]))
    meter.add(sine(1.0))
    assert meter.facts() == AudioFacts(sample_rate=RATE, channels=1)


def test_the_callers_array_is_neither_changed_nor_kept() -> None:
    class Samples(np.ndarray[Any, Any]):
        """An array that can be referred to weakly."""

    wave = sine(0.6)
    wave[100] = math.nan
    chunk = wave.view(Samples)
    watch = weakref.ref(chunk)
    before = chunk.tobytes()
    meter = AudioMeter(RATE)
    meter.add(chunk)
    meter.facts()
    assert chunk.tobytes() == before
    del chunk
    assert watch() is None
    expected = meter.facts()
    wave[:] = 0.9
    assert meter.facts() == expected


def test_what_is_kept_is_bounded() -> None:
    meter = AudioMeter(RATE)
    for _ in range(20):
        meter.add(sine(1.0))
    assert meter._levels is not None
    assert meter._levels._buffer.shape == (1, RATE // 4 + 1)


def pcm(wave: npt.NDArray[np.float64], width: int) -> bytes:
    top = 2 ** (8 * width - 1)
    values = [round(value * (top - 1)) for value in wave.tolist()]
    if width == 1:
        return bytes(value + 128 for value in values)
    return b"".join(value.to_bytes(width, "little", signed=True) for value in values)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_may_be_cut_within_a_sample(width: int) -> None:
    data = pcm(sine(0.5), width)
    meter = AudioMeter()
    for start in range(0, len(data), 1001):
        meter.add_pcm(bytearray(data[start : start + 1001]), width, 1, RATE)
    facts = meter.facts()
    assert (facts.samples, facts.duration) == (12000, 0.5)
    assert facts.rms == pytest.approx(0.5 / math.sqrt(2), abs=0.01)
    assert facts.dc_offset == pytest.approx(0.0, abs=0.01)


def test_pcm_of_two_channels_is_interleaved() -> None:
    both = np.stack([sine(0.5), silence(0.5)], axis=1).reshape(-1)
    meter = AudioMeter()
    meter.add_pcm(pcm(both, 2), 2, 2, RATE)
    facts = meter.facts()
    assert (facts.channels, facts.samples) == (2, 12000)
    assert facts.rms == pytest.approx(0.25, abs=1e-3)


def test_no_pcm_is_empty() -> None:
    meter = AudioMeter()
    meter.add_pcm(b"", 2, 1, RATE)
    assert meter.facts().anomalies == ("empty",)


def test_pcm_of_a_width_that_does_not_exist_is_unknown() -> None:
    meter = AudioMeter()
    meter.add_pcm(b"\0" * 100, 5, 1, RATE)
    assert meter.facts() == AudioFacts(sample_rate=RATE)


SPOKEN = AudioFacts(duration=2.0, sample_rate=24000, channels=1, samples=48000)


@pytest.mark.parametrize("length, verdict", [(5, ("too_long",)), (20, ()), (100, ("truncated",)), (0, ()), (None, ())])
def test_pace_is_judged_against_the_engines_range(length: int | None, verdict: tuple[str, ...]) -> None:
    assert judge(SPOKEN, text_length=length, seconds_per_character=(0.04, 0.25)) == verdict


def test_expectations_are_judged() -> None:
    assert judge(SPOKEN, expected_rate=24000, expected_channels=1) == ()
    assert judge(SPOKEN, expected_rate=22050, expected_channels=2) == ("wrong_sample_rate", "wrong_channels")
    assert judge(AudioFacts(), expected_rate=22050, text_length=9, seconds_per_character=(0.1, 0.2)) == ()


def test_judgement_follows_its_thresholds() -> None:
    facts = replace(SPOKEN, clipping_ratio=0.01, clicks=10, dc_offset=-0.05)
    assert judge(facts) == ("clipped", "clicks", "dc_offset")
    assert judge(facts, Thresholds(clip_ratio=0.02, clicks_per_second=5.0, dc_offset=0.05)) == ()
