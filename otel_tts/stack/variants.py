# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the Collector does otherwise than otelcol.yaml says: files laid over it, by the names in STACK_COLLECTOR."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from otel_tts.stack import places
from otel_tts.trouble import WrongUse


def known() -> dict[str, Path]:
    """The variants by name, as in `sampling`."""
    return {file.stem: file for file in sorted((places.configurations() / "variants").glob("*.yaml"))}


def options(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The Collector's options for what STACK_COLLECTOR asks for, as in `sampling,files`. Raises WrongUse."""
    asked = [name.strip() for name in environ.get("STACK_COLLECTOR", "").split(",") if name.strip()]
    files = known()
    if unknown := [name for name in asked if name not in files]:
        raise WrongUse(f"STACK_COLLECTOR={','.join(unknown)}: there is {', '.join(files)} (docs/collector.md).")
    return [f"--config={files[name]}" for name in asked]
