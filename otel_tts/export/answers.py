# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a receiver answers: how much it took, why not, when to come again. Whatever it sends, reading never raises."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import responses
from typing import Any, Final

MOST_BYTES: Final = 64_000
"""Bytes of an answer that are read, and into which it is unpacked."""
_LONGEST: Final = 200
_DAY_S: Final = 86_400.0
_RETRIED: Final = frozenset((429, 502, 503, 504))
_RETRIED_SELDOM: Final = frozenset((408, 500))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. What the receiver says in its own words is on one line and short; `rejected` counts items."""

    status: int
    said: str = ""
    rejected: int = 0
    asked: float | None = None
    """Seconds after which the receiver wants the batch again."""
    content_type: str = ""
    location: str = ""
    """Where a redirect leads to; nobody follows."""
    phrase: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the receiver has the batch, but for what it rejected."""
        return 200 <= self.status < 300

    @property
    def tries(self) -> int:
        """How often a batch that is answered so may be sent in all."""
        return 6 if self.status in _RETRIED else 3 if self.status in _RETRIED_SELDOM else 1

    @property
    def words(self) -> str:
        """The status in words: the receiver's, or else the standard's."""
        return self.phrase or responses.get(self.status, "")

    @property
    def reason(self) -> str:
        """The status in words, and what the receiver said."""
        words = self.words
        if 300 <= self.status < 400:
            words += "; redirects are not followed, since headers may be secret"
        elif self.status == 413:
            words += "; lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE and OTEL_BLRP_MAX_EXPORT_BATCH_SIZE, or its limit"
        return f"{words}: {self.said}" if self.said else words


def read(status: int, headers: Any, body: bytes, phrase: str = "") -> Answer:
    """Return what an answer says. `body` is no longer than MOST_BYTES, maybe cut."""
    body = _unpacked(body, (headers.get("content-encoding") or "").strip().lower())
    asked = _seconds(headers.get("retry-after")) if status in _RETRIED else None
    rejected, said, content_type = 0, "", (headers.get("content-type") or "").strip().lower()
    if 200 <= status < 300:
        rejected, said = _partial_success(body)
    elif content_type.startswith("application/x-protobuf"):
        said = _line(_message(body))
    location = (headers.get("location") or "")[:_LONGEST]
    return Answer(status, said, rejected, asked, content_type, location, _line(phrase.encode("utf-8", "replace")))


def _unpacked(body: bytes, coding: str) -> bytes:
    if coding not in ("gzip", "deflate"):
        return body
    try:
        return zlib.decompressobj(47).decompress(body, MOST_BYTES)  # 47: gzip or zlib, by its first bytes
    except zlib.error:
        return b""


def _partial_success(body: bytes) -> tuple[int, str]:
    """Return what Export…ServiceResponse.partial_success says: how many were rejected, and why."""
    for number, value in _fields(body):
        if number == 1 and isinstance(value, bytes):
            inner = dict(_fields(value))
            rejected, said = inner.get(1, 0), inner.get(2, b"")
            return rejected if isinstance(rejected, int) else 0, _line(said if isinstance(said, bytes) else b"")
    return 0, ""


def _message(body: bytes) -> bytes:
    """Return google.rpc.Status.message."""
    found = dict(_fields(body)).get(2, b"")
    return found if isinstance(found, bytes) else b""


def _line(said: bytes) -> str:
    """Return the receiver's words as one short line of printable characters."""
    words = "".join(c if c.isprintable() else " " for c in said.decode("utf-8", "replace"))
    return " ".join(words.split())[:_LONGEST]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of the fields of a message until it ends or is no message any more."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            if at <= end:
                yield number, value
        elif kind == 2:
            size, at = _varint(message, at)
            if at + size > end:
                return
            yield number, message[at : at + size]
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends; beyond the message's end where it is cut, or too long."""
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number if number < 1 << 63 else 0, at  # an int64 below zero rejects nothing
    return 0, len(message) + 1


def _seconds(header: str | None) -> float | None:
    """Return what Retry-After asks for, seconds or a date, a day at most; None where it cannot be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header.strip()).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _DAY_S) if math.isfinite(seconds) else None
