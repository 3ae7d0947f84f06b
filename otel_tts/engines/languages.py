# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Languages that engines call by their English names, as the tags that telemetry has."""

from __future__ import annotations

from typing import Any, Final

TAGS: Final = {
    "arabic": "ar", "cantonese": "yue", "chinese": "zh", "dutch": "nl", "english": "en", "french": "fr", "german": "de",
    "hindi": "hi", "italian": "it", "japanese": "ja", "korean": "ko", "polish": "pl", "portuguese": "pt",
    "russian": "ru", "spanish": "es", "turkish": "tr",
}  # fmt: skip

_LONGEST_TAG: Final = 3
"""Characters of a tag without region: ``en``, ``yue``."""


def tag(name: Any) -> str | None:
    """Return the tag of a language's name, a tag as it is; None for anything else, such as ``"Auto"``.

    Of several, one for each text of a batch, it is the one that all of them have.
    """
    if isinstance(name, (list, tuple)):
        tags = {tag(one) for one in name}  # pyright: ignore[reportUnknownVariableType]
        return tags.pop() if len(tags) == 1 else None
    if not isinstance(name, str):
        return None
    return TAGS.get(name.lower()) or (name.lower() if 1 < len(name) <= _LONGEST_TAG and name.isalpha() else None)
