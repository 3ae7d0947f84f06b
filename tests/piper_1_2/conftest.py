# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "integration"))


def _is_here() -> bool:
    try:
        return version("piper-tts") == "1.2.0"
    except PackageNotFoundError:
        return False


collect_ignore_glob = [] if _is_here() else ["test_*.py"]
