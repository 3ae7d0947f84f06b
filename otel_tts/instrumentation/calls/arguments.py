# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the facts that a table points at: in the arguments of a call, on its instance, in its result."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from otel_tts.audio.samples.arrays import rate_of
from otel_tts.engines.table import Call, Reader
from otel_tts.guard import contain

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

Where = str | int | float | Callable[[Any], Any] | None
"""A place in a result, as `Chunk` names it."""


_known: Final[WeakKeyDictionary[Any, tuple[str, ...]]] = WeakKeyDictionary()
"""Parameters by function, and not for longer than it lives: a closure may hold a model."""


def _parameters(function: Any) -> tuple[str, ...]:
    try:
        known = _known.get(function)
    except TypeError:  # compiled: it takes no weak reference
        return _look_up(function)
    if known is None:
        known = _known[function] = _look_up(function)
    return known


def _look_up(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # compiled, without a signature: what is given by name is known all the same
        return ()


_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}


def positional(wrapped: Any) -> tuple[str, ...]:
    """Return the names of the arguments that may be given by position."""
    function = getattr(wrapped, "__func__", wrapped)
    parameters = contain("reader", _parameters, function) or ()
    return parameters if function is wrapped else parameters[1:]


def bind(parameters: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """Return the arguments by name; a call that does not fit its signature fails by itself a moment later."""
    if not args:
        return kwargs or _NO_ARGUMENTS
    bound = dict(zip(parameters, args, strict=False))
    if kwargs:
        bound.update(kwargs)
    return bound


def call_of(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return one call as a `Reader` sees it."""
    return Call(instance, bind(positional(wrapped) if args else (), args, kwargs))


def read(reader: Reader | None, call: Call) -> Any:
    """Return what `reader` points at, None where it is not there."""
    if reader is None:
        return None
    if not isinstance(reader, str):
        return contain("reader", reader, call)
    if "." not in reader:
        return call.arguments.get(reader)
    return contain("reader", _follow, call, reader)


@functools.lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _follow(call: Call, path: str) -> Any:
    steps = iter(_steps(path))
    first = next(steps)
    found = call.instance if first == "self" else call.arguments.get(first)
    for part in steps:
        found = _step(found, part)
    return found


def _step(found: Any, part: str) -> Any:
    """Return the key, index or attribute `part` of `found`, or None."""
    if isinstance(found, Mapping):
        return cast("Mapping[Any, Any]", found).get(part)
    if part.isdecimal():
        return found[int(part)] if isinstance(found, (list, tuple)) and int(part) < len(found) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return getattr(found, part, None)


_PLAIN: Final = (str, bool, int, float)


def fact(reader: Reader | None, call: Call) -> Any:
    """Return what `reader` points at as an attribute's value; None for anything that is none.

    A tensor is not asked for its number, and no object for its text: that may wait for a device, or say too much.
    """
    value: Any = read(reader, call)
    if value is None or value.__class__ in _PLAIN:
        return value
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = cast("np.generic[Any]", value).item()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    return None


_LOWEST_RATE: Final = 1000
"""Hz. A smaller number in `Chunk.rate` is an index."""


def pick(result: Any, where: Where) -> Any:
    """Return the attribute, key or item `where` of `result`, a rate that is given as a number, or None."""
    if callable(where):
        return contain("reader", where, result)
    if isinstance(where, str) and "." in where:
        return contain("reader", functools.reduce, _step, _steps(where), result)
    if isinstance(where, str) and not isinstance(result, Mapping):
        return getattr(result, where, None)
    if where is None or isinstance(where, (float, np.number)) or (isinstance(where, int) and where >= _LOWEST_RATE):
        return where
    try:
        return cast("Any", result)[where]
    except (LookupError, TypeError):
        return None


_SAMPLES: Final = ("audio", "samples", "waveform", "wav")
_RATES: Final = ("sampling_rate", "sample_rate", "rate", "sr")


def self_described(result: Any) -> tuple[Any, int] | None:
    """Return samples and rate of a result that names its own rate: a pair in either order, or what has both by name."""
    if isinstance(result, np.ndarray) or hasattr(result, "dtype"):
        return None
    if isinstance(result, (tuple, list)):
        pair: tuple[Any, ...] = tuple(cast("tuple[Any, ...]", result)) if len(result) == 2 else ()  # pyright: ignore[reportUnknownArgumentType]
        for samples, rate in (pair, pair[::-1]) if pair else ():
            known = rate_of(rate)
            if known is not None and known >= _LOWEST_RATE and not _is_number(samples):
                return samples, known
        return None
    known = next((found for name in _RATES if (found := rate_of(_step(result, name))) is not None), None)
    if known is None:  # and nothing else is asked of it: a property may be work
        return None
    samples = next((found for name in _SAMPLES if (found := _step(result, name)) is not None), None)
    return (samples, known) if samples is not None else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number, str)) or value is None


def pieces_of(samples: Any) -> list[Any] | None:
    """Return a list's arrays (a batch, or one for each sentence); None for an array, and for a list of numbers."""
    if not isinstance(samples, (list, tuple)):
        return None
    pieces: list[Any] = list(cast("list[Any]", samples))
    return pieces if pieces and len(getattr(pieces[0], "shape", ())) else None


def length(text: Any) -> int | None:
    """Characters of a text, or of all texts of a list. Only the number is kept."""
    if isinstance(text, str):
        return len(text)
    if isinstance(text, (list, tuple)):
        return sum(len(part) for part in text if isinstance(part, str))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return None
