# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A player that starts with the first audio."""

from __future__ import annotations

import random

import pytest

from otel_tts.audio.samples.playout import Playout


def play(*chunks: tuple[float, float | None]) -> Playout:
    playout = Playout()
    for t, seconds in chunks:
        playout.chunk(t, seconds)
    return playout


def test_nothing_played_is_unknown() -> None:
    playout = play()
    assert (playout.chunks, playout.first_chunk_at, playout.underrun, playout.continuous) == (0, None, None, None)


def test_one_chunk_cannot_run_dry() -> None:
    playout = play((5.0, 1.0))
    assert (playout.chunks, playout.first_chunk_at, playout.underrun, playout.continuous) == (1, 5.0, 0.0, True)


def test_chunks_ahead_of_the_player_leave_no_gap() -> None:
    assert play((0.0, 1.0), (0.9, 1.0), (2.0, 1.0)).underrun == 0.0


@pytest.mark.parametrize("late, continuous", [(0.0625, True), (0.125, False)])
def test_a_late_chunk_leaves_a_gap(late: float, continuous: bool) -> None:
    playout = play((10.0, 1.0), (11.0 + late, 1.0))
    assert playout.underrun == late
    assert playout.continuous is continuous


def test_the_worst_deficit_counts_and_later_audio_does_not_heal_it() -> None:
    assert play((0.0, 0.25), (0.5, 0.25), (1.0, 4.0), (1.5, 1.0)).underrun == 0.5


def test_a_header_without_audio_does_not_start_the_player() -> None:
    playout = play((0.0, 0.0), (3.0, 1.0), (4.0, 1.0))
    assert (playout.chunks, playout.first_chunk_at, playout.first_audio_at, playout.underrun) == (3, 0.0, 3.0, 0.0)


def test_a_chunk_of_unknown_length_leaves_the_underrun_unknown() -> None:
    playout = play((0.0, 1.0), (1.0, None), (9.0, 1.0))
    assert (playout.chunks, playout.underrun, playout.continuous) == (3, None, None)


def test_the_limit_is_settable() -> None:
    playout = Playout(limit=1.0)
    playout.chunk(0.0, 0.1)
    playout.chunk(0.9, 0.1)
    assert playout.continuous is True


def test_agrees_with_the_definition_over_all_chunks() -> None:
    dice = random.Random(3)
    for _ in range(50):
        times = sorted(dice.uniform(100, 110) for _ in range(20))
        lengths = [dice.uniform(0.01, 0.6) for _ in times]
        worst = max(t - (times[0] + sum(lengths[:index])) for index, t in enumerate(times) if index)
        assert play(*zip(times, lengths, strict=True)).underrun == pytest.approx(max(0.0, worst), abs=1e-9)


def test_the_longest_gap_is_between_two_chunks_whatever_is_in_them() -> None:
    assert play().gap is play((3.0, 1.0)).gap is None
    assert play((3.0, 0.0), (3.5, 1.0), (3.75, None), (5.0, 1.0), (5.0, 1.0)).gap == 1.25


def test_a_sentence_at_a_time_and_a_token_at_a_time_are_the_same_audio() -> None:
    sentences = play((0.0, 2.0), (1.5, 2.0), (4.5, 2.0))
    tokens = play(*((start + n / 40, 0.05) for start in (0.0, 1.5, 4.5) for n in range(40)))
    assert sentences.underrun == 0.5 and tokens.underrun == pytest.approx(0.5)
    assert (sentences.chunks, tokens.chunks, sentences.gap) == (3, 120, 3.0)
    assert tokens.gap == pytest.approx(3.0 - 39 / 40)


def test_waiting_counts_up_to_a_position() -> None:
    playout = play((10.0, 0.5), (10.75, 0.5), (11.5, 0.5), (11.75, 0.5))
    assert [playout.waited_before(position) for position in (0.0, 0.25, 0.5, 0.75, 1.0, 9.0)] == [
        0.0, 0.0, 0.25, 0.25, 0.5, 0.5,
    ]  # fmt: skip
    assert play((0.0, 0.5), (9.0, None)).waited_before(5.0) == 0.0


def test_a_stream_that_is_always_late_stays_bounded() -> None:
    playout = Playout()
    for number in range(100_000):
        playout.chunk(number * 0.02, 0.01)
    assert len(playout._waits) == 64
    assert playout.underrun == pytest.approx(99_999 * 0.01)
