# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the top-level folders collector/ and dashboards/ are: in the checkout, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from otel_tts.commands import installing

_PACKAGE = Path(__file__).resolve().parent


def find(name: str) -> Path:
    """Return the folder `name` (``collector`` or ``dashboards``) that belongs to this copy of otel-tts.

    Raises FileNotFoundError when neither the wheel nor the checkout has it.
    """
    for candidate in (_PACKAGE / "_bundled" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"otel-tts: the folder {name}/ is missing beside {_PACKAGE}; {installing()}")
