# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine refuses any command, in words: room on a disk, a working folder that has been removed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def told() -> Generator[None]:
    """Turn such a refusal into its message and exit status 1. Other errors pass."""
    try:
        yield
    except OSError as error:
        if (message := _message(error)) is None:
            raise
        print(f"otel-tts: {message}", file=sys.stderr)
        _forget_what_is_not_printed()
        raise SystemExit(1) from None


def _message(error: OSError) -> str | None:
    if error.errno in _NO_ROOM:
        return (
            f"{error.filename or 'a file, or what is printed,'} cannot be written: {error.strerror}. Make room there."
        )
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the folder that this was typed in is gone. Go to one that is there: cd"
    return None


def _forget_what_is_not_printed() -> None:
    """Python tries once more at its end, and would say so."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
