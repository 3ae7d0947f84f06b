# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``otel_tts.names`` of this checkout without otel-tts: whoever records by hand, or with another library, has not
imported it, and pays for none of it.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_tts import names
else:

    def _load() -> ModuleType:
        spec = spec_from_file_location(
            "tests.bench.names", Path(__file__).resolve().parents[2] / "otel_tts" / "names.py"
        )
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    names = _load()

__all__ = ["names"]
