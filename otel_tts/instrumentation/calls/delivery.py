# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What comes out of an entry's call, and how it is read: results, a stream's items, what a callback is given, files."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.context import Context

from otel_tts import names
from otel_tts.audio.files.excerpt import Passing
from otel_tts.audio.samples.arrays import rate_of
from otel_tts.audio.samples.unread import is_bytes, say_unread
from otel_tts.device.fallback import kind_of_device
from otel_tts.engines.table import Call, Callback, Chunk
from otel_tts.guard import contain
from otel_tts.instrumentation.callables import ASYNC_GENERATOR, GENERATOR
from otel_tts.instrumentation.calls import mark
from otel_tts.instrumentation.calls.arguments import pick, pieces_of, read, self_described
from otel_tts.instrumentation.calls.ending import Ending
from otel_tts.instrumentation.calls.plan import Plan
from otel_tts.otel_private.context import enter_context, leave_context
from otel_tts.record import now
from otel_tts.recording.delivered import note_encoded, note_file, note_passed
from otel_tts.recording.streaming import LAST, Take
from otel_tts.recording.synthesis import Synthesis, entries_around

if TYPE_CHECKING:
    import numpy as np
else:
    from otel_tts.late_numpy import np

_CLIENT_ERRORS: Final = (400, 500)
"""HTTP statuses, the last one no more."""

_NO_AUDIO: Final = -1
"""Frames of a result or item that has no samples and is not meant to have any."""


class Delivery:
    """What one call of an entry gives to `synthesis`, which is the call's own or another one's.

    `around`: in how many entries it runs. `delivers`: the caller gets it from this entry, not from an outer one.
    """

    def __init__(self, plan: Plan, call: Call, synthesis: Synthesis, own: bool, around: int) -> None:
        entry = plan.entry
        self._plan, self._entry, self._call = plan, entry, call
        self._synthesis, self._own = synthesis, own
        self.delivers = own or not around
        self._chunk = chunk = entry.chunk
        self._given = call.arguments if chunk is not None and chunk.given else None
        rate = entry.sample_rate
        self._rate = plan.rate
        if isinstance(rate, str) or callable(rate):
            self._rate = rate_of(read(rate, call)) or plan.rate
        self._heard = False
        self._ending = Ending(synthesis, entry.finish, call) if entry.finish is not None else None
        self._items, self._newest = 0, None
        hears = plan.claim is not None and (self.delivers or (synthesis.mute and around == 1))
        self._passing = Passing(plan.claim) if hears else None
        """A file that comes in pieces."""
        self._pieces = 0
        self.hears_each = self._passing is not None or self._ending is not None
        """Each item of a stream is looked at, and not only those with samples."""

    def item(self, item: Any, at: int) -> Take | None:
        """A chunk of a stream: its samples, and its delivery where the caller gets it from this entry."""
        if item is None:
            return None
        entry, synthesis = self._entry, self._synthesis
        if self._ending is not None:
            self._items += 1
            self._newest = item
        if entry.error is not None:
            self._look_for_error(item)
        frames = self._read_samples(item)
        if self._chunk is not None and self._chunk.segment:
            contain("chunk", self._end_segment, self._chunk, item)
        if self.delivers and frames != _NO_AUDIO:
            mark.stop(synthesis)
            synthesis.delivered(at, frames)
        if entry.last is not None:
            return LAST if self._own and entry.last(self._call, item) else None
        if not self.delivers or frames == _NO_AUDIO:
            return None
        recording, chunk = synthesis.recording, self._chunk
        if (
            self._ending is not None
            or recording is None
            or chunk is None
            or synthesis.source is not entry
            or synthesis.first_byte is None
        ):
            return None
        return recording.taker(item) if chunk.samples is None and chunk.rate is None else None

    def _end_segment(self, chunk: Chunk, item: Any) -> None:
        recording = self._synthesis.recording
        if recording is not None and self._synthesis.source is self._entry and self._synthesis.t1 is None:
            text = pick(item, chunk.text) if chunk.text is not None else None
            recording.end_segment(len(text) if isinstance(text, str) else None)

    def _look_for_error(self, result: Any) -> bool:
        """Note an error that was handed over instead of raised; say whether it is one."""
        found = pick(result, self._entry.error)
        if isinstance(found, BaseException):
            self._synthesis.swallow(found)
        elif not found:
            return False
        if type(found) is int and _CLIENT_ERRORS[0] <= found < _CLIENT_ERRORS[1]:
            self._synthesis.refuse_unseen()
        else:
            self._synthesis.fail_unseen()
        return True

    def tap(
        self, names_given: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any], outside: Context
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with a callable of ours in the callback's place; None where the caller gave none.

        `names_given` are the names of what is given by position, `outside` is the caller's context.
        """
        callback = self._entry.callback
        if callback is None:
            return None
        name = callback.argument
        if callable(kwargs.get(name)):
            return args, {**kwargs, name: self._tapped(callback, kwargs[name], outside)}
        given = names_given[: len(args)]
        if name not in given or not callable(args[given.index(name)]):
            return None
        at = given.index(name)
        return (*args[:at], self._tapped(callback, args[at], outside), *args[at + 1 :]), kwargs

    def _tapped(self, callback: Callback, given: Callable[..., Any], outside: Context) -> Callable[..., Any]:
        synthesis = self._synthesis

        def tapped(*args: Any, **kwargs: Any) -> Any:
            at = now()
            contain("chunk", self._piece, callback, args, at)
            token = contain("chunk", enter_context, outside)  # the caller's code, as between the steps of a generator
            try:
                answer = given(*args, **kwargs)
            finally:
                if token is not None:
                    contain("chunk", leave_context, outside, token)
                synthesis.busy -= now() - at
            if callback.stops is not None and contain("chunk", callback.stops, answer, *args):
                synthesis.set_attribute(names.OUTCOME, names.Outcome.CANCELLED)
            return answer

        return tapped

    def _piece(self, callback: Callback, args: tuple[Any, ...], at: int) -> None:
        self._heard, self._chunk = True, callback.chunk
        self._synthesis.set_attribute(names.STREAM, True)
        frames = self._read_samples(args[0])
        if self.delivers:
            self._synthesis.delivered(at, frames)

    def returned(self, result: Any) -> None:
        """The result of a plain call. None where audio was to come counts as no audio."""
        if self.delivers:
            mark.stop(self._synthesis)
        if self._ending is not None:
            contain("reader", self._ending.note, None, result, 1)
        if self._heard or (self._entry.kinds and self._entry.kinds[0] in (GENERATOR, ASYNC_GENERATOR)):
            return  # piece by piece, or what was to give pieces is of another kind in this version
        if self._entry.required and result is None:
            self._synthesis.fail_unseen()
            return
        if self._entry.error is not None and self._look_for_error(result):
            return
        if self._answers_with_file(result):
            return
        if self._given is not None:
            frames = self._read_samples(self._given)
        elif self._chunk is None or self._chunk.optional or result is not None:
            frames = self._read_samples(result)
        else:
            frames = self._synthesis.audio((), self._rate, source=self._entry)
        if self.delivers and self._synthesis.recording is not None and frames != _NO_AUDIO:
            self._synthesis.delivered(now(), frames)

    def _answers_with_file(self, result: Any) -> bool:
        """A path in place of samples, or the file that the call was told to write: what is in it is read later."""
        if self._entry.file is None and result.__class__ is np.ndarray:
            return False
        path = None if self._entry.file is None else read(self._entry.file, self._call)
        written = path is not None and note_file(self._synthesis, path, returned=self.delivers)
        if is_bytes(result):
            if (self._chunk is not None and self._chunk.encoding) or not note_encoded(
                self._synthesis, result, returned=self.delivers
            ):  # pyright: ignore[reportUnknownArgumentType]
                return False
        elif not isinstance(result, (str, os.PathLike, io.BytesIO)):
            return written and (result is None or self._chunk is None)
        elif not note_file(self._synthesis, result, returned=self.delivers):  # pyright: ignore[reportUnknownArgumentType]
            return False
        if self.delivers:
            self._synthesis.delivered(now(), None)
        return True

    def ended(self) -> None:
        """A stream came to its end; one that never yielded made empty audio."""
        if self._passing is not None and self._passing.size:
            pass
        elif self._chunk is not None and not self._chunk.optional and self._synthesis.recording is None:
            self._synthesis.audio((), self._rate, source=self._entry)
        if self._ending is not None:
            newest, self._newest = self._newest, None
            contain("reader", self._ending.note, None, newest, self._items)
        if self._passing is not None and self._passing.size:
            note_passed(self._synthesis, self._passing)
            self._count_pieces()

    def left(self, error: BaseException) -> None:
        """The caller left a generation before its end; what else ends it says so as an error."""
        newest, self._newest = self._newest, None
        if self._ending is not None and isinstance(error, (GeneratorExit, asyncio.CancelledError)):
            self._ending.broken(None, newest, self._items)
        if self._passing is not None and self._passing.size:
            self._synthesis.set_attribute(names.AUDIO_SIZE, self._passing.size)
            self._count_pieces()

    def _count_pieces(self) -> None:
        if self.delivers:
            self._synthesis.set_attribute(names.STREAM_CHUNKS, self._pieces)

    def _read_samples(self, result: Any) -> int | None:
        chunk = self._chunk
        if chunk is None:
            return None
        if self._plan.is_plain and result.__class__ is np.ndarray:
            frames = self._take(result, self._rate)
            return frames if frames is not None else self._note_frames([frames], result, result)
        rate, samples = rate_of(pick(result, chunk.rate)) or self._rate, result
        described = None
        if chunk.samples is None and chunk.select is None:
            described = contain("reader", self_described, result)
        if described is not None:
            samples, rate = described[0], described[1] if chunk.rate is None else rate
        elif chunk.optional:
            return None
        elif chunk.select is not None:
            samples = contain("reader", chunk.select, self._call, result)
        elif chunk.samples is not None:
            samples = pick(result, chunk.samples)
        if samples is None and (chunk.select is not None or callable(chunk.samples)):
            return _NO_AUDIO
        if self._passing is not None and is_bytes(samples):
            self._passing.add(bytes(cast("bytes", samples)))
            self._pieces += 1
            return None
        pieces = pieces_of(samples)
        if not chunk.inner_on_device and entries_around() > 1 and _is_on_device(pieces[0] if pieces else samples):
            return _NO_AUDIO
        taken = [self._take(piece, rate) for piece in ([samples] if pieces is None else pieces)]
        return self._note_frames(taken, samples, result)

    def _note_frames(self, taken: list[int | None], samples: Any, result: Any) -> int | None:
        """Return the frames that were `taken` together, None where samples could not be read: that is said once."""
        if None not in taken:
            return sum(cast("list[int]", taken))
        if self._synthesis.source is self._entry and self._synthesis.t1 is None:
            shown, chunk = result if samples is None else samples, self._chunk
            where = f"{self._plan.engine.name}: {self._entry.target}"
            asked = chunk.samples if samples is None and chunk is not None else None
            contain("chunk", say_unread, where, shown, asked)
        return None

    def _take(self, samples: Any, rate: int | None) -> int | None:
        encoding = self._chunk.encoding if self._chunk is not None else None
        return self._synthesis.audio(samples, rate, encoding=encoding, source=self._entry)


def _is_on_device(samples: Any) -> bool:
    return kind_of_device(getattr(samples, "device", None)) not in (None, "cpu")
