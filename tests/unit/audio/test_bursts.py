# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""When the audio of a stream came: all along, or in one burst at the end."""

from __future__ import annotations

import pytest

from otel_tts.audio.samples.playout import Playout


def played(*chunks: tuple[float, float | None]) -> float | None:
    playout = Playout()
    for at, seconds in chunks:
        playout.chunk(at, seconds)
    return playout.share_after(0.0, 0.75)


def test_an_even_stream_has_a_quarter_in_its_last_quarter() -> None:
    assert played(*[(n, 1.0) for n in range(1, 101)]) == pytest.approx(0.25)


def test_a_burst_has_all_of_it() -> None:
    assert played(*[(10.0 + n / 1000, 1.0) for n in range(50)]) == 1.0


def test_most_at_once_and_a_rest_is_little() -> None:
    assert played((1.0, 9.0), (10.0, 1.0)) == pytest.approx(0.1)


@pytest.mark.parametrize("chunks", [(), ((1.0, 1.0),), ((1.0, 1.0), (2.0, None)), ((1.0, 0.0), (2.0, 0.0))])
def test_what_cannot_be_told_is_absent(chunks: tuple[tuple[float, float | None], ...]) -> None:
    assert played(*chunks) is None


def test_a_long_stream_is_kept_in_little_and_told_nearly_right() -> None:
    playout = Playout()
    for n in range(1, 100_001):
        playout.chunk(n / 100, 0.01)
    assert len(playout._arrivals) <= 256
    assert playout.share_after(0.0, 0.75) == pytest.approx(0.25, abs=0.02)
