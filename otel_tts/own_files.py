# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a file or a folder is the user's own: what others may write is not believed, and not run."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def not_own_folder(path: Path) -> str | None:
    """Return why `path` is no folder that only this user may enter; None where it is one. Raises nothing."""
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{path} is no folder"
    if status.st_uid != os.geteuid():
        return f"{path} belongs to another user"
    if status.st_mode & 0o077:
        return f"{path} may be entered by others (mode {stat.S_IMODE(status.st_mode):04o}); it takes chmod 700"
    return changeable_by_others(path.parent)


def changeable_by_others(path: Path) -> str | None:
    """Return why others than this user and root may change what is at `path`; None where nobody may.

    The folders above count: who may write there can put another file in its place. Links are followed.
    """
    try:
        real = Path(os.path.realpath(path, strict=True))
        for place in (real, *real.parents):
            if (reason := _why_not(place, os.stat(place))) is not None:
                return reason
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def _why_not(place: Path, status: os.stat_result) -> str | None:
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user, who may change it"
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & 0o022 and not sticky:  # in /tmp each may remove only what is his
        return f"{place} may be written by others (mode {stat.S_IMODE(status.st_mode):04o}); it takes chmod go-w"
    return None
