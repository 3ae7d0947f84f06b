# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A reference recording by its header: how long, at what rate, how large. Never its name, never its sound."""

from __future__ import annotations

import os
from dataclasses import dataclass

from otel_tts.audio.files.file import open_file
from otel_tts.audio.files.header import read_header


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """None is unknown: a file that is no audio that we know has only its size."""

    size: int
    """The file's length in bytes."""
    duration: float | None = None
    """Length of the sound in seconds."""
    sample_rate: int | None = None
    channels: int | None = None


def read_reference(path: object) -> ReferenceFacts | None:
    """Return the facts of a reference file, or None where there is no regular file that can be read.

    Reads a few blocks, however long the recording; yet it opens a file, so it belongs off the request's path.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    try:
        file = open_file(path)  # pyright: ignore[reportUnknownArgumentType]
        if file is None:
            return None
        with open(file.fd, "rb", closefd=False) as opened:
            size = os.fstat(file.fd).st_size
            header = read_header(opened, size, deep=False)
    except (OSError, ValueError):
        return None
    if header is None:
        return ReferenceFacts(size)
    return ReferenceFacts(size, header.duration, header.sample_rate, header.channels)
