# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Gets day files back from the store."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from otel_tts.archiving.store import Store
from otel_tts.readers import day_files


def fetch(store: Store, folder: Path, first: date, last: date) -> list[Path]:
    """Put the day files from `first` to `last` into `folder`, and return them; what is there already stays.

    Raises StoreFails, OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = [name for name in store.names() if (day := day_files.day_of(name)) is not None and first <= day <= last]
    for name in wanted:
        if not (folder / name).exists():
            unfinished = folder / f"{name}.part"
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(store.read(name))
            unfinished.replace(folder / name)
    return day_files.find(folder, first, last)
