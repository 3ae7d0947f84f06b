# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""How the text of an environment variable becomes the value of a setting; what cannot be right raises ValueError.

The message goes on from the variable and its value: ``OTEL_TTS_CLOCK='sundial' must be one of …``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from otel_tts.commands import suggest

T = TypeVar("T")


@dataclass(frozen=True)
class Parser(Generic[T]):
    """`parse` makes a value of stripped, non-empty text; `kind` says in a word or two what may be written.

    A choice of words has them all as its kind: ``"span | logs | none"``.
    """

    parse: Callable[[str], T]
    kind: str


def choice(*allowed: str) -> Parser[str]:
    """One of the lower-case words `allowed`, in any case."""

    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value.lower()

    return Parser(parse, " | ".join(allowed))


def number(low: float, high: float, kind: str = "number") -> Parser[float]:
    """A number from `low` to `high`, both included."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValueError("must be a number") from None
        if not low <= number <= high:
            raise ValueError(f"must be from {low:g} to {high:g}")
        return number

    return Parser(parse, kind)


def integer(low: int, high: int, kind: str = "whole number") -> Parser[int]:
    """A whole number from `low` to `high`, both included."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}")
        return number

    return Parser(parse, kind)


def text(kind: str = "text") -> Parser[str]:
    """Any text, as it is."""
    return Parser(str, kind)


def _boolean(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _currency(value: str) -> str:
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise ValueError("must be three letters, as in EUR")
    return value.upper()


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _voice_names(value: str) -> tuple[str, ...]:
    """Names are never taken for a hash, a path or a field of a log line."""
    given = [(hashed.strip(), name.strip()) for hashed, _, name in (part.partition("=") for part in _names(value))]
    for hashed, name in given:
        if not _is_hash(hashed) or not _is_chosen_name(name) or _is_hash(name) or not name.isprintable():
            raise ValueError(
                f"must be hash=name,… with hashes as `{suggest('voice FILE')}` tells them and names of up to 64 "
                f"characters without = / \\, which {f'{hashed}={name}'[:100]!r} is not"
            )
    if len(dict(given)) < len(given) or len(given) > _MAX_VOICE_NAMES:
        raise ValueError(f"must have one name for each hash, and at most {_MAX_VOICE_NAMES}")
    return tuple(f"{hashed}={name}" for hashed, name in given)


_MAX_VOICE_NAMES: Final = 500
_is_hash: Final = re.compile(r"v-[0-9a-f]{16}").fullmatch
_is_chosen_name: Final = re.compile(r"[^=/\\]{1,64}").fullmatch

BOOLEAN: Final = Parser(_boolean, "boolean")
CURRENCY: Final = Parser(_currency, "three letters")
NAMES: Final = Parser(_names, "comma list")
VOICE_NAMES: Final = Parser(_voice_names, "comma list of hash=name")
