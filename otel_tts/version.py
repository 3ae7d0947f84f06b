# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The version, from the installed distribution's metadata; pyproject.toml is the only place that states it."""

from __future__ import annotations

from importlib import metadata
from typing import Final


def _installed() -> str:
    try:
        return metadata.version("otel-tts")
    except metadata.PackageNotFoundError:  # run from a checkout that is on the path but not installed
        return "0+unknown"


__version__: Final = _installed()
