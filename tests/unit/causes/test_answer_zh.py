# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every cause is told in both languages."""

from __future__ import annotations

import copy

import pytest

from otel_tts import names
from otel_tts.causes import answer, answer_zh
from otel_tts.causes.words import Words, chinese
from tests.unit.support.languages import is_chinese

TABLES = [
    (answer.ADVICE, answer_zh.ADVICE), (answer.BY_PROPERTY, answer_zh.BY_PROPERTY),
    (names.ANOMALIES, answer_zh.ANOMALIES), (names.COLD_STARTS, answer_zh.COLD_STARTS),
]  # fmt: skip


@pytest.mark.parametrize(("english", "in_chinese"), TABLES)
def test_each_has_the_same_in_chinese(english: dict[str, object], in_chinese: dict[str, object]) -> None:
    assert list(english) == list(in_chinese)
    for key, texts in in_chinese.items():
        several = texts if isinstance(texts, tuple) else (texts,)
        assert len(several) == (len(english[key]) if isinstance(texts, tuple) else 1)  # type: ignore[arg-type]
        assert all(is_chinese(str(text)) for text in several), key


def test_words_are_text_and_stay_so_when_they_are_copied() -> None:
    made = copy.deepcopy(Words("a cold start", "冷启动"))
    assert made == "a cold start" and chinese(made) == "冷启动" and f"{made}!" == "a cold start!"
    assert chinese(Words("kokoro")) == "kokoro" and chinese("plain") == "plain"
