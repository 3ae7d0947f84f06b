# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is told to people, in English and in Chinese: a page shows either."""

from __future__ import annotations


class Words(str):
    """A text in English, with the same in Chinese beside it as `zh`."""

    zh: str

    def __new__(cls, en: str, zh: str = "") -> Words:
        made = super().__new__(cls, en)
        made.zh = zh or en
        return made


def chinese(text: str) -> str:
    """The Chinese for a text; the text itself where it has none."""
    return getattr(text, "zh", text)
