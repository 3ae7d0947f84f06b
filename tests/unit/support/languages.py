# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what is told to people is told in Chinese too, with the same numbers."""

from __future__ import annotations

import re

from otel_tts.causes.answer import Cause
from otel_tts.causes.words import chinese

_NUMBER = re.compile(r"\d[\d.,]*(?:e-?\d+)?")


def same_numbers(en: str, zh: str) -> bool:
    """Whether both texts tell the same numbers, in whichever order."""
    one, other = (sorted(found.rstrip(".,") for found in _NUMBER.findall(text)) for text in (en, zh))
    return one == other


def is_chinese(text: str) -> bool:
    """Whether there is a Chinese character in it."""
    return re.search("[\u4e00-\u9fff]", text) is not None


def said_in_both_languages(cause: Cause) -> None:
    """Fails where a text of `cause` has no Chinese beside it, or other numbers. Evidence may be a name alone."""
    for text in (cause.title, cause.remedy, cause.check):
        assert is_chinese(chinese(text)) and not is_chinese(text), text
    assert not is_chinese(cause.evidence)
    assert same_numbers(cause.evidence, chinese(cause.evidence)), (cause.evidence, chinese(cause.evidence))
