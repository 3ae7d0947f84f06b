# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What outlives the watcher: when it acted, until when nothing is judged, and the breaker, which only a person resets.

Written before each action, so that one in whose middle the watcher ends counts too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from otel_tts import alone, durable
from otel_tts.own_files import not_own_folder
from otel_tts.trouble import Trouble, WrongUse

_MOST_ACTIONS: Final = 1000


class Books:
    """The folder of one watcher's state. Raises WrongUse for a folder that is not this user's own."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WrongUse(f"The watcher's state cannot be kept in {folder}: {error.strerror}") from None
        if (reason := not_own_folder(folder)) is not None:
            raise WrongUse(f"The watcher's state is nobody else's: {reason}")
        self.folder = folder
        self._state, self._breaker = folder / "state.json", folder / "breaker.json"
        self._reset = folder / "reset"
        self._held: int | None = None
        self.broken = ""
        """Why the breaker is open where it cannot be written down, or what was written cannot be read."""
        self.actions: list[float] = []
        """Unix times of the actions, the oldest first."""
        self.quiet_until: float = 0.0
        """Unix time until which nothing is judged after a start."""

    # --- one watcher ------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Be the only watcher of this state until the process ends. Raises Trouble where there is another one."""
        self._held = alone.hold(self.folder / "lock", "watcher")

    def release(self) -> None:
        """Let another watcher take over."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    # --- what is written --------------------------------------------------------------------------------------------

    def read(self, wall: float) -> None:
        """Take over what the watcher before has left. Times in the future were written before the clock was set back:
        they count as now, so that a limit of a rate holds."""
        try:
            said = json.loads(self._state.read_bytes())
            self.actions = sorted(min(float(at), wall) for at in said["actions"])[-_MOST_ACTIONS:]
            self.quiet_until = float(said["quiet_until"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            self.broken = "what was written of earlier actions cannot be read"

    def write(self) -> bool:
        """Write it down; False where that cannot be done."""
        return _write(self._state, {"actions": self.actions[-_MOST_ACTIONS:], "quiet_until": self.quiet_until})

    # --- the breaker ------------------------------------------------------------------------------------------------

    def open_breaker(self, wall: float, why: str) -> None:
        """Act no more until a person says so."""
        if not _write(self._breaker, {"at": wall, "why": why}):
            self.broken = why

    def why_open(self) -> str:
        """Return why the breaker is open; empty where it is not."""
        try:
            return str(json.loads(self._breaker.read_bytes())["why"])
        except FileNotFoundError:
            return self.broken
        except (OSError, ValueError, KeyError, TypeError):
            return "it is open, and nothing can be read of why"

    def reset(self) -> str:
        """A person has looked: forget the actions and close the breaker. Return why it was open. Raises Trouble."""
        why = self.why_open()
        try:
            self._reset.touch(mode=0o600)
            self._state.unlink(missing_ok=True)
            self._breaker.unlink(missing_ok=True)
        except OSError as error:
            raise Trouble(f"The breaker cannot be reset: {error}") from None
        return why

    def was_reset(self) -> bool:
        """Whether a person has reset it since this was asked last; then this forgets the actions too."""
        try:
            self._reset.unlink()
        except OSError:
            return False
        self.actions, self.broken = [], ""
        return True


def _write(path: Path, said: Any) -> bool:
    """Put it in the place of what was there; False where that cannot be done."""
    try:
        durable.write(path, json.dumps(said))
    except OSError:
        return False
    return True
