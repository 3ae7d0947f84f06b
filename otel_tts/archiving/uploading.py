# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Brings day files to the store and reads them back; only what came back the same counts as verified."""

from __future__ import annotations

import time
from pathlib import Path

from otel_tts.archiving import ledger as ledgers
from otel_tts.archiving.ledger import Ledger, Part
from otel_tts.archiving.packing import DAYS, fingerprint
from otel_tts.archiving.store import Store
from otel_tts.trouble import Trouble


def upload(home: Path, ledger: Ledger, store: Store) -> int:
    """Upload what is not verified; return how many files that were. Raises StoreFails, Trouble, OSError.

    A name is never given to another content: what is there already is either this file, of a run that was killed
    before it noted so, or somebody else's.
    """
    count = 0
    for part in [one for one in ledger.parts if not one.verified]:
        _upload(home / DAYS / part.file, part, store)
        part.verified = time.time()
        ledgers.save(home, ledger)
        count += 1
    return count


def _upload(path: Path, part: Part, store: Store) -> None:
    wanted = (part.size, part.sha256)
    there = store.fingerprint(part.file)
    if there == wanted:
        return
    if there is not None:
        raise Trouble(
            f"{store.shown} has another {part.file} already: does another archive use this address? Give each its own "
            "prefix. Nothing was overwritten."
        )
    if fingerprint(path) != wanted:
        raise Trouble(f"{path} is not what it was when it was made: its disk does not keep what is written.")
    store.put(part.file, path)
    if store.fingerprint(part.file) != wanted:
        raise Trouble(f"{store.shown} gives back another {part.file} than it was given. Nothing was removed here.")
