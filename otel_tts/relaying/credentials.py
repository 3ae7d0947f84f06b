# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and tokens: from the environment, or from a file that nobody else may read. Never from a command line."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from otel_tts.trouble import WrongUse


def read(variable: str, path: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """What the file at `path` holds, without one what `variable` does; empty where neither says anything.

    Raises WrongUse for a file that cannot be read, that is empty, or that others may read.
    """
    if path is None:
        return environ.get(variable, "").strip()
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise WrongUse(f"{path} is no file.")
            if mode & 0o077:
                raise WrongUse(f"{path} may be read by others; keep it to yourself: chmod 600 {path}")
            held = file.read().strip()
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path} is no text.") from None
    if not held:
        raise WrongUse(f"{path} is empty.")
    return held
