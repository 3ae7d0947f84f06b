# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads files of OTLP JSON lines, also gzipped ones, back into plain values.

A file may still be growing or may have lost its end with the process that wrote it: a last line without a line feed
that does not parse is torn and left out; any other line that does not parse is left out as well. Both are reported
with their number, so that nothing disappears unseen. Files are read in blocks, never whole and never mapped.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, cast

from otel_tts.readers import file_index, file_search, otlp_json
from otel_tts.readers.file_search import Search
from otel_tts.readers.model import LogLine, Point, Span

_logger = logging.getLogger(__name__)

TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"

ARCHIVED: Final = "tts-*.jsonl.gz"
"""Log records as `otel-tts archive` keeps them, see `day_files`."""

UNFINISHED: Final = (".part", ".tmp")
"""What a file is called while it is being packed."""

BLOCK: Final = 256 * 1024
"""Bytes that are read at once."""

LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes of a line that is read; a longer one is none that an exporter writes."""


@dataclass(frozen=True)
class BadLine:
    """A line that was left out: `torn` when it is an unfinished last one, else it is broken."""

    path: Path
    number: int
    torn: bool
    reason: str

    def __str__(self) -> str:
        what = "is torn: its writer ended or is still at it" if self.torn else f"is broken: {self.reason}"
        return f"{self.path}, line {self.number} {what}"


def warn(bad: BadLine) -> None:
    """The default for `on_bad`: a warning to the log."""
    _logger.warning("left out: %s", bad)


OnBad = Callable[[BadLine], None]
T = TypeVar("T")


def find(folder: Path, signal: str) -> list[Path]:
    """Return the files of `signal` in `folder`, whatever their writers add to the name; rotated and packed ones too.

    Of a file that is there packed as well one is left out: the plain one is whole, as long as it is there. Raises
    OSError when the folder cannot be read.
    """
    patterns = (f"{signal}*.jsonl*", ARCHIVED) if signal == LOGS else (f"{signal}*.jsonl*",)
    there = (path for pattern in patterns for path in folder.glob(pattern))
    found = {path for path in there if path.suffix not in UNFINISHED and path.is_file()}
    return sorted(path for path in found if path.suffix != ".gz" or path.with_suffix("") not in found)


def read_spans(path: Path, on_bad: OnBad = warn) -> Iterator[Span]:
    """Yield the spans of `path`, in the order written. Raises OSError when the file cannot be read."""
    for batch in read_batches(path, otlp_json.spans, on_bad):
        yield from batch


def read_logs(path: Path, on_bad: OnBad = warn) -> Iterator[LogLine]:
    """Yield the log records of `path`, in the order written. Raises OSError when the file cannot be read."""
    for batch in read_batches(path, otlp_json.logs, on_bad):
        yield from batch


def read_points(path: Path, on_bad: OnBad = warn) -> Iterator[Point]:
    """Yield the data points of `path`, in the order written. Raises OSError when the file cannot be read."""
    for batch in read_batches(path, otlp_json.points, on_bad):
        yield from batch


def read_batches(
    path: Path,
    take: Callable[[Any], Iterator[T]],
    on_bad: OnBad,
    search: Search | None = None,
    wants: Callable[[bytes], bool] | None = None,
) -> Generator[list[T], None, None]:
    """Yield what `take` finds in each line of `path`.

    With `search` only in lines that contain what it looks for, with `wants` in those of which it is true.
    """
    with _open(path) as file:
        for line, number, ended in _lines(file, path, on_bad) if search is None else _found(file, path, on_bad, search):
            if not line.strip() or (wants is not None and not wants(line)):
                continue
            found, reason = parse(line, take)
            if found is None:
                on_bad(BadLine(path, number(), not ended, reason))
            else:
                yield found


def read_part(path: Path, take: Callable[[Any], Iterator[T]], begin: int, end: int) -> Iterator[T]:
    """Yield what `take` finds in the lines of a plain file that begin from `begin` to before `end`, as far as they can
    be read: who reads a part does not tell what is broken. `begin` is where a line begins. Raises OSError."""
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (line := file.readline(LONGEST_LINE)):
            begin += len(line)
            yield from parse(line, take)[0] or ()


def read_lines(path: Path, on_bad: OnBad) -> Iterator[bytes]:
    """Yield the lines of `path` as they are, without empty ones."""
    with _open(path) as file:
        yield from (line for line, _, _ in _lines(file, path, on_bad) if line.strip())


def parse(line: bytes, take: Callable[[Any], Iterator[T]]) -> tuple[list[T] | None, str]:
    """What `take` finds in one line, or None and why it is not read."""
    try:
        return list(take(json.loads(line))), ""
    except otlp_json.BROKEN as error:
        return None, _why(error)


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        packed = path.with_name(path.name + ".gz")
        if not packed.exists():
            raise
        return cast(BinaryIO, gzip.open(packed, "rb"))  # it was packed since it was found


_Line = tuple[bytes, Callable[[], int], bool]
"""A line, its number, and whether it has its line feed."""


def _found(file: BinaryIO, path: Path, on_bad: OnBad, search: Search) -> Iterator[_Line]:
    """Yield the lines that contain what is looked for; with an index only its places are looked at."""
    packed = isinstance(file, gzip.GzipFile)
    places = file_index.places(path, file, search.ids) if search.ids else None
    if places == []:
        return
    if packed:
        needle = search.needle(_peek(file))
        yield from (one for one in _lines(file, path, on_bad) if needle.first(one[0], 0, len(one[0])) >= 0)
        return
    handle = file.fileno()
    needle = search.needle(file_search.head(file))
    for begin, end in [(0, None)] if places is None else places:
        for found in file_search.lines_with(file, needle, LONGEST_LINE, begin, end):
            if found.line is None:
                on_bad(_too_long(path, _number_at(handle, found.begin)))
            else:
                yield found.line, partial(_number_at, handle, found.begin), found.ended


def _number_at(handle: int, begin: int) -> int:
    return file_search.count_lines(handle, begin) + 1


def _peek(file: gzip.GzipFile) -> bytes:
    try:
        return file.peek(BLOCK)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""  # told when it is read


def _too_long(path: Path, number: int) -> BadLine:
    return BadLine(path, number, False, f"longer than {LONGEST_LINE} bytes")


def _lines(file: BinaryIO, path: Path, on_bad: OnBad) -> Iterator[_Line]:
    """Yield each line."""
    number, rest, too_long = 1, b"", False
    while (block := _read(file, path, number, on_bad)) != b"":
        if block is None:
            return
        text, feed, begun = block.rpartition(b"\n")
        if not feed:
            rest += block
        else:
            whole, rest = rest + text, begun
            if too_long:  # its end has come
                _, feed, whole = whole.partition(b"\n")
                number, too_long = number + 1, False
                if not feed:
                    continue
            lines = whole.split(b"\n")
            for place, line in enumerate(lines, number):
                yield line, partial(int, place), True
            number += len(lines)
        if len(rest) > LONGEST_LINE:
            if not too_long:
                on_bad(_too_long(path, number))
            rest, too_long = b"", True
    if rest and not too_long:
        yield rest, partial(int, number), False


def _read(file: BinaryIO, path: Path, number: int, on_bad: OnBad) -> bytes | None:
    """The next block, empty at the end; None where a packed file breaks off, which `on_bad` is told."""
    try:
        # read1 gives what a compressed file has before the place where it was cut; read would not.
        return file.read1(BLOCK) if isinstance(file, gzip.GzipFile) else file.read(BLOCK)
    except EOFError:
        on_bad(BadLine(path, number, True, ""))
    except (zlib.error, gzip.BadGzipFile):
        on_bad(BadLine(path, number, False, "not gzip from here on"))
    return None


def _why(error: Exception) -> str:
    # Not the message of every error: a broken line's own content has no place in a report.
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at character {error.pos + 1}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return f"not OTLP JSON ({type(error).__name__})"
