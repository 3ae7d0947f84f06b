# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Protocol Buffers' wire format, as much of it as OTLP needs, and the attributes that everything in OTLP carries.

A message is the concatenation of its fields, so a part that is the same thousands of times over, as the attribute
``tts.engine=kokoro``, is encoded once and its bytes are put in again. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from otel_tts.breath import breathing

_logger = logging.getLogger("otel_tts.export")

T = TypeVar("T")

fixed64: Final = struct.Struct("<Q").pack
fixed32: Final = struct.Struct("<I").pack
signed64: Final = struct.Struct("<q").pack
double: Final = struct.Struct("<d").pack

LONGEST: Final = 96
"""Characters of a key, or bytes of a key with its value, up to which it is remembered."""
_MANY: Final = 2048
_DEEPEST: Final = 32
_ITSELF: Final[dict[type, Callable[[Any], Any]]] = {str: str.__str__, int: int.__int__, float: float.__float__}
_MOST_TOLD: Final = 64
_told: set[Any] = set()


def _varint(number: int) -> bytes:
    if number < 128:
        return bytes((number,))
    if number < 1 << 14:
        return bytes((number & 127 | 128, number >> 7))
    if number < 1 << 21:
        return bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14))
    four = bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14 & 127 | 128, number >> 21 & 127 | 128))
    return four + _varint(number >> 28) if number >> 28 else four[:3] + _varint(number >> 21)


_SMALL: Final = tuple(map(_varint, range(256)))
"""The lengths of most spans and of nearly all that is in them."""


def varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    return _SMALL[number] if number < 256 else _varint(number)


def field(tag: bytes, content: bytes) -> bytes:
    """Encode a field whose content has a length: a text, bytes, or a message."""
    size = len(content)
    return tag + (_SMALL[size] if size < 256 else _varint(size)) + content


def enclosed(tag: bytes, parts: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the parts of a field that holds `parts`: what is large is put together once, at the end."""
    return (tag + varint(sum(map(len, parts))), *parts)


def text(tag: bytes, content: str | None) -> bytes:
    """Encode a text, or nothing where it is empty. Half a surrogate pair, which UTF-8 has no form for, is a `?`."""
    return field(tag, content.encode("utf-8", "replace")) if content else b""


def moment(tag: bytes, nanoseconds: int | None) -> bytes:
    """Encode a time as a fixed64, or nothing where there is none."""
    return tag + fixed64(nanoseconds) if nanoseconds else b""


def count(tag: bytes, number: int) -> bytes:
    """Encode a number that is not negative, or nothing for 0."""
    return tag + varint(number) if number else b""


def each(items: Iterable[T], encode: Callable[[T], bytes], what: str) -> Iterator[tuple[T, bytes]]:
    """Encode one after the other; what cannot be encoded costs itself, not its batch, and is said."""
    for item in breathing(items):
        try:
            yield item, encode(item)
        except Exception as error:
            _logger.error("otel-tts: a %s cannot be encoded and is lost: %s", what, type(error).__name__)


class Memory:
    """Remembers up to twice `many` results. The older half goes when the younger is full, what is in use stays."""

    __slots__ = ("_many", "_old", "young")

    def __init__(self, many: int = _MANY) -> None:
        self.young: dict[Any, bytes] = {}
        self._old: dict[Any, bytes] = {}
        self._many = many

    def get(self, key: Any) -> bytes | None:
        """Return what is known under `key`."""
        found = self.young.get(key)
        return found if found is not None else self.revive(key)

    def revive(self, key: Any) -> bytes | None:
        """Return what is known under `key` and not among the young."""
        found = self._old.get(key)
        if found is not None:
            self.keep(key, found)
        return found

    def keep(self, key: Any, value: bytes) -> bytes:
        """Remember `value` and return it."""
        if len(self.young) >= self._many:
            self._old, self.young = self.young, {}
        self.young[key] = value
        return value


class Attributes:
    """Encodes attributes as KeyValue fields with one tag. Used by one thread at a time, or at worst encodes twice."""

    __slots__ = ("_doubles", "_keys", "_pairs", "_tag")

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._pairs, self._keys, self._doubles = Memory(), Memory(), Memory()

    def add(self, attributes: Mapping[str, Any] | None, out: list[bytes]) -> None:
        """Append the fields to `out`. What cannot be encoded is left out, as the SDK does, and said once."""
        if not attributes:
            return
        pairs, doubles = self._pairs.young, self._doubles.young
        add = out.append
        for item in attributes.items():
            key, value = item
            kind = value.__class__
            if kind is float:
                known = doubles.get(key)
                if known is not None:
                    add(known)
                    add(double(value))
                    continue
            elif kind is str or kind is int:
                known = pairs.get(item)
                if known is not None:
                    add(known)
                    continue
            try:
                add(self._encode(item, kind))
            except Exception as error:
                _tell(key, error)

    def encode(self, attributes: Mapping[str, Any] | None) -> bytes:
        """Return the fields."""
        out: list[bytes] = []
        self.add(attributes, out)
        return b"".join(out)

    def _encode(self, item: tuple[str, Any], kind: type) -> bytes:
        key, value = item
        if len(key) > LONGEST:
            return self._pair(key, any_value(value))
        if kind is float:
            before = self._doubles.revive(key) or self._doubles.keep(key, self._pair(key, any_value(0.0))[:-8])
            return before + double(value)
        if kind is not str and kind is not int:  # True is equal to 1
            return self._pair(key, any_value(value))
        found = self._pairs.revive(item)
        if found is None:
            found = self._pair(key, any_value(value))
            if len(found) <= 2 * LONGEST:
                self._pairs.keep(item, found)
        return found

    def _pair(self, key: str, value: bytes) -> bytes:
        name, size = self._keys.young.get(key) or self._name(key), len(value)
        inner = _SMALL[size] if size < 256 else _varint(size)
        return self._tag + varint(len(name) + len(inner) + size) + name + inner + value

    def _name(self, key: str) -> bytes:
        known = self._keys.revive(key) or _key(key) + b"\x12"
        return self._keys.keep(key, known) if len(key) <= LONGEST else known


def _tell(key: Any, error: Exception) -> None:
    """Say once of each attribute that it is left out; a stranger's exception is named, its message may quote."""
    if key not in _told and len(_told) < _MOST_TOLD:
        _told.add(key)
        _logger.error("otel-tts: the attribute %.64s cannot be encoded and is left out: %s", key, type(error).__name__)


def any_value(value: Any, depth: int = 0) -> bytes:
    """Encode an AnyValue. Raises where a value has no form in OTLP."""
    kind = value.__class__
    if kind is str:
        return field(b"\x0a", value.encode())
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        return b"\x18" + _signed(value)
    if kind is float:
        return b"\x21" + double(value)
    if value is None:
        return b""
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    for plain in (str, int, float):  # of a subclass, as an Enum, the value itself and not what its str() says
        if isinstance(value, plain):
            return any_value(_ITSELF[plain](value))
    if isinstance(value, bytes):
        return field(b"\x3a", value)
    if isinstance(value, Sequence):
        several = cast(Sequence[Any], value)
        return field(b"\x2a", b"".join(field(b"\x0a", any_value(one, depth + 1)) for one in several))
    if isinstance(value, Mapping):
        named = cast(Mapping[Any, Any], value)
        pairs = (_key(str(key)) + field(b"\x12", any_value(one, depth + 1)) for key, one in named.items())
        return field(b"\x32", b"".join(field(b"\x0a", pair) for pair in pairs))
    raise TypeError(type(value).__name__)


def _key(key: str) -> bytes:
    return field(b"\x0a", key.encode()) if key else b""


def _signed(value: int) -> bytes:
    if value < 0:
        if value < -(1 << 63):
            raise OverflowError("no int64")
        return varint(value + (1 << 64))
    if value >> 63:
        raise OverflowError("no int64")
    return varint(value)
