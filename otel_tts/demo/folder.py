# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a demo writes to: its own files of an earlier run are replaced, anything else is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from otel_tts.trouble import Trouble

LIST: Final = ".otel-tts-demo"  # one relative path a line: what we wrote


class Folder:
    """Files below `root`, each written down in `LIST` before it is made."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._list = self.root / LIST

    def prepare(self, names: tuple[str, ...]) -> None:
        """Make the folder, take away an earlier run's files and claim `names`.

        Raises Trouble when it cannot be written to or holds a file of one of these names that is not ours.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._remove_earlier()
            foreign = [name for name in names if (self.root / name).exists()]
            if foreign:
                raise Trouble(
                    f"{self.root / foreign[0]} exists and was not written by a demo, so it stays as it is.\n"
                    "Give another folder with --out."
                )
            self._list.touch()
            for name in names:
                self.claim(name)
        except OSError as error:
            raise Trouble(
                f"Cannot write to {self.root}: {error.strerror or error}.\nGive a folder of yours with --out."
            ) from None

    def claim(self, name: str) -> Path:
        """Return the path of `name`, a file that is about to be written, after noting it as ours."""
        path = self.root / name
        with self._list.open("a", encoding="utf-8") as known:
            known.write(name + "\n")
        path.parent.mkdir(exist_ok=True)
        return path

    def _remove_earlier(self) -> None:
        if not self._list.is_file():
            return
        for name in self._list.read_text(encoding="utf-8").splitlines():
            path = (self.root / name).resolve()
            if path.is_relative_to(self.root) and path != self.root:
                path.unlink(missing_ok=True)
        self._list.unlink()
