# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads delivered files on a thread of its own: a disk that hangs then costs their facts, and nothing else.

A file is handed over open (see `open_file`), audio that was never a file as an `Excerpt` of it, and read once its
synthesis has ended. The finished record waits a moment for it, and for the answer that is still being sent, so that its
facts get on the span; what is read later leaves as a log record of the same trace. An excerpt cannot hang: as a rule it
is read by who makes the span, and nobody is woken for it while its request is on its way.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

from otel_tts import names
from otel_tts.audio.files.excerpt import Excerpt
from otel_tts.audio.files.file import Changed, FileFacts, OpenFile, count_open, open_file, read_excerpt, read_file
from otel_tts.background import Worker
from otel_tts.guard import contain
from otel_tts.record import LateSpan
from otel_tts.recording.recorder import Recorder
from otel_tts.recording.synthesis import Synthesis

PATIENCE_S: Final = 2.0
"""Seconds that a finished request waits for its files to be read."""
MAX_OPEN: Final = 64
"""Files that may be held open in the process; further ones are not read."""
MAX_FILES: Final = 16
"""Files of one request."""
MOST_LEFT: Final = 64
"""Syntheses whose excerpts may wait for who makes their spans; those of further ones are read at once."""
MAX_QUEUED: Final = 256
"""Files and excerpts of the process that may wait to be read."""


_Identity = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file that was read."""

    facts: FileFacts
    returned: bool
    """The engine, the page or the server gave this as its answer; the others it only wrote."""
    part: bool = False
    """One of several that were encoded in memory: nothing says what all of them together are."""
    shared: bool = False
    """It holds the audio of other syntheses, too."""


class _Noted(NamedTuple):
    """A file or excerpt that is to be read."""

    file: OpenFile | Excerpt
    returned: bool
    shared: bool = False


class _Job:
    """One file that waits to be read, as its reader's worker does it."""

    __slots__ = ("_reader", "_synthesis", "noted")

    def __init__(self, reader: FileReader, synthesis: Synthesis, noted: _Noted) -> None:
        self._reader, self._synthesis, self.noted = reader, synthesis, noted

    def __call__(self) -> None:
        self._reader.take(self._synthesis, self.noted)


class Files:
    """The files of one synthesis. Touched under the reader's lock only."""

    __slots__ = ("__weakref__", "emitted", "encoded", "in_memory", "read", "reading", "seen", "waiting")

    def __init__(self) -> None:
        self.waiting: list[_Noted] = []
        """Noted while the synthesis runs; excerpts until its span is made."""
        self.in_memory: Excerpt | None = None
        """What was encoded in memory last."""
        self.encoded = 0
        """How often something was."""
        self.reading = 0
        self.read: list[Delivered] = []
        self.seen: dict[_Identity, Delivered] = {}
        """By device, inode, size and time: one file may be written, returned and delivered."""
        self.emitted = False
        """The span has left: what comes now is late."""

    def add(self, identity: _Identity, file: Delivered) -> None:
        """Take a file that was read for the first time, or again."""
        before = self.seen.get(identity)
        if before is None:
            self.read.append(file)
        elif before.returned or not file.returned:
            return
        else:
            file = replace(before, returned=True)
            self.read[self.read.index(before)] = file
        self.seen[identity] = file

    def parts(self, file: Delivered) -> float:
        """Seconds in the other files."""
        return sum(other.facts.duration or 0.0 for other in self.read if other is not file)

    def answer(self) -> Delivered | None:
        """Return what was delivered: the last that was returned, else the last that was written."""
        return next((file for file in reversed(self.read) if file.returned), self.read[-1] if self.read else None)

    def encode(self, excerpt: Excerpt) -> bool:
        """Take what was encoded in memory in place of what was before it; False where it is the same once more."""
        before, self.in_memory = self.in_memory, excerpt
        if before is not None and before.is_same(excerpt):
            return False
        self.encoded += 1
        self.waiting = [noted for noted in self.waiting if noted.file is not before]
        return True


_NONE: Final = Files()
"""What a synthesis without files has once its span has left."""


class FileReader:
    """Takes files from any thread; `dropped` counts, by reason, those that it could not read."""

    def __init__(self, recorder: Recorder, emit_late: Callable[[Synthesis, Delivered], None]) -> None:
        self._recorder, self._emit_late = recorder, emit_late
        self._worker = Worker("otel-tts-files", "files")
        # A collection in the middle of taking a file may close another one, and a signal's handler may flush.
        self._lock = threading.RLock()
        self._reading: OpenFile | Excerpt | None = None
        self._left: weakref.WeakSet[Files] = weakref.WeakSet()
        """Of ended syntheses, those with excerpts that wait."""

    def renew(self) -> None:
        """Begin anew in a forked child: nobody there would ever let go of its parent's files."""
        for job in self._worker.renew():
            cast("_Job", job).noted.file.close()
        if self._reading is not None:
            self._reading.close()
        self._lock, self._reading = threading.RLock(), None
        self._left.clear()

    def note(self, synthesis: Synthesis, path: str | bytes | os.PathLike[str], returned: bool = False) -> bool:
        """Take a finished file of `synthesis`, in any thread; False where `path` is no regular file."""
        try:
            file = open_file(path)
        except OSError:
            self._recorder.dropped["file_unreadable"] += 1
            return False
        if file is None:
            return False
        self._note(synthesis, _Noted(file, returned), count_open() > MAX_OPEN)
        return True

    def note_excerpt(
        self, synthesis: Synthesis, excerpt: Excerpt, returned: bool = False, shared: bool = False
    ) -> None:
        """Take audio of `synthesis` that was never a file: encoded in memory, or (`returned`) the answer itself."""
        self._note(synthesis, _Noted(excerpt, returned, shared), self._worker.open >= MAX_QUEUED)

    def _note(self, synthesis: Synthesis, noted: _Noted, too_many: bool) -> None:
        file = noted.file
        with self._lock:
            files: Files | None = synthesis.files
            if files is None or files is _NONE:
                emitted = files is _NONE or synthesis.inside is None  # pyright: ignore[reportUnnecessaryComparison]
                files = synthesis.files = Files()
                files.emitted = emitted
            if isinstance(file, Excerpt) and not noted.returned and not files.encode(file):
                return
            if too_many or len(files.waiting) + len(files.read) + files.reading >= MAX_FILES:
                self._recorder.dropped["file_limit"] += 1
            elif synthesis.t1 is None:
                files.waiting.append(noted)
            else:
                self._put(synthesis, files, noted)

    def start(self, record: LateSpan) -> None:
        """A synthesis has ended: let its files be read."""
        if (synthesis := _with_files(record)) is not None:
            contain("files", self._start, synthesis)

    def _start(self, synthesis: Synthesis) -> None:
        with self._lock:
            self._put(synthesis, synthesis.files)

    def _put(self, synthesis: Synthesis, files: Files, *noted: _Noted) -> None:
        """Let all that waits be read, in its order: excerpts alone by who makes the span."""
        if not (waiting := [*files.waiting, *noted]):
            return
        leaves = not files.emitted and all(isinstance(each.file, Excerpt) for each in waiting)
        if leaves and len(self._left) < MOST_LEFT:
            files.waiting = waiting
            self._left.add(files)
            return
        files.waiting = []
        for each in waiting:
            files.reading += 1
            self._worker.put(_Job(self, synthesis, each))

    def is_ready(self, record: LateSpan, give_up: bool = False) -> bool:
        """Whether the files noted by now have been read, or have had their time."""
        synthesis = _with_files(record)
        if give_up or synthesis is None or not synthesis.files.reading:
            return True
        return time.perf_counter_ns() - (synthesis.t1 or 0) > PATIENCE_S * 1e9

    def settle(self, synthesis: Synthesis) -> tuple[Delivered | None, float]:
        """Return the delivered file, and the seconds in the others. From now on files of this synthesis are late."""
        while (noted := self._take_left(synthesis)) is not None:
            contain("files", self._read_left, synthesis, noted)
        with self._lock:
            files: Files = synthesis.files
            if files.waiting:  # it ended after the reader had closed
                self._recorder.dropped["file_not_read"] += len(files.waiting)
                files.waiting = []
            answer = files.answer()
            return answer, files.parts(answer) if answer is not None else 0.0

    def _take_left(self, synthesis: Synthesis) -> _Noted | None:
        """Return the next excerpt that was left; where none is, all is late from now on."""
        with self._lock:
            files: Files | None = synthesis.files
            if files is None:
                synthesis.files = _NONE
                return None
            if files.waiting and isinstance(files.waiting[0].file, Excerpt):
                return files.waiting.pop(0)
            files.emitted = True
            self._left.discard(files)
            return None

    def _read_left(self, synthesis: Synthesis, noted: _Noted) -> None:
        files: Any = synthesis.files
        try:
            found = self._read(synthesis, files, noted)
        except Exception:
            self._recorder.dropped["fault"] += 1
            raise
        if found is not None:
            with self._lock:
                files.add(noted.file.state, found)

    def wait(self, timeout: float) -> None:
        """Wait until nothing is being read, for at most `timeout` seconds."""
        self._worker.idle(timeout)

    # --- the thread ----------------------------------------------------------------------------------------------

    def take(self, synthesis: Synthesis, noted: _Noted) -> None:
        """Read one file, on the reader's own thread."""
        try:
            self._take(synthesis, noted)
        except Exception:
            self._recorder.dropped["fault"] += 1
            raise

    def _take(self, synthesis: Synthesis, noted: _Noted) -> None:
        files: Any = synthesis.files
        found = late = None
        file = self._reading = noted.file
        try:
            found = self._read(synthesis, files, noted)
        finally:
            self._reading = None
            file.close()
            with self._lock:
                files.reading -= 1
                if found is not None:
                    known = file.state in files.seen
                    files.add(file.state, found)
                    told = known or (isinstance(file, Excerpt) and not noted.returned)  # a stream's pieces are many
                    late = None if told or not files.emitted else files.seen[file.state]
        if late is not None:
            self._emit_late(synthesis, late)

    def _read(self, synthesis: Synthesis, files: Files, noted: _Noted) -> Delivered | None:
        file = noted.file
        if (known := files.seen.get(file.state)) is not None:
            return Delivered(known.facts, noted.returned)
        if isinstance(file, Excerpt):
            facts = read_excerpt(file)
            if not noted.returned and not facts.duration:  # a header for what is streamed, or nothing that we know
                return None
            return Delivered(facts, noted.returned, not noted.returned and files.encoded > 1, noted.shared)
        try:
            return Delivered(read_file(file, not _is_heard(synthesis), self._recorder.thresholds), noted.returned)
        except Changed:
            self._recorder.dropped["file_changed"] += 1
        except OSError:
            self._recorder.dropped["file_unreadable"] += 1
        return None


def _with_files(record: Any) -> Synthesis | None:
    """Return the record where it is a synthesis with delivered files."""
    return record if getattr(record, "files", None) is not None else None


def _is_heard(synthesis: Synthesis) -> bool:
    """Whether the engine's own samples were seen: then the file's need not be measured."""
    recording = synthesis.recording
    return bool(recording is not None and recording.heard) or names.AUDIO_PEAK in synthesis.attrs
