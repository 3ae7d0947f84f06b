# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of each byte: which were read, in which piece they are, which day file was uploaded and found whole.

One small file, written beside and moved: a step is done when it is there, and a kill before that only means that the
step is done again. Files that it does not name are leftovers of such a step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from otel_tts import durable
from otel_tts.trouble import Trouble

_NAME: Final = "ledger.json"


@dataclass
class Source:
    """A file that the Collector wrote: `done` bytes of it were read, by these `runs`. `head` tells it from others."""

    head: str
    head_bytes: int
    done: int = 0
    runs: list[int] = field(default_factory=list[int])


@dataclass
class Piece:
    """Records of one day that one run read; `taken` is when (Unix seconds)."""

    day: str
    file: str
    run: int
    lines: int
    taken: float


@dataclass
class Part:
    """A day file: made of pieces, then uploaded and read back (`verified`, Unix seconds; 0 until then)."""

    day: str
    file: str
    runs: list[int]
    lines: int
    size: int
    sha256: str
    taken: float
    verified: float = 0.0


@dataclass
class Ledger:
    """All of it. `numbers` are how many day files a day has had."""

    run: int = 0
    sources: dict[str, Source] = field(default_factory=dict[str, Source])
    pieces: list[Piece] = field(default_factory=list[Piece])
    parts: list[Part] = field(default_factory=list[Part])
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    left_out: list[str] = field(default_factory=list[str])

    def unsettled(self) -> frozenset[int]:
        """The runs that read something which is not verified yet."""
        open_parts = [run for part in self.parts if not part.verified for run in part.runs]
        return frozenset([*open_parts, *(piece.run for piece in self.pieces)])


def load(folder: Path) -> Ledger:
    """What is known in `folder`; nothing where there is no ledger. Raises Trouble for one that cannot be read."""
    path = folder / _NAME
    try:
        held: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Ledger(
            int(held["run"]),
            {key: Source(**one) for key, one in held["sources"].items()},
            [Piece(**one) for one in held["pieces"]],
            [Part(**one) for one in held["parts"]],
            dict(held["numbers"]),
            list(held["left_out"]),
        )
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Trouble(
            f"{path} cannot be read ({type(error).__name__}). It says what was archived already; put back a copy "
            "of it. Without it everything that is still here would be archived once more."
        ) from None


def save(folder: Path, ledger: Ledger) -> None:
    """Make it so. Raises OSError."""
    durable.write(folder / _NAME, json.dumps(asdict(ledger), indent=1))
