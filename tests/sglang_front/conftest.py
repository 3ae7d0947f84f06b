# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""These tests need an environment of their own (tests/environments/omni.in); elsewhere they are not collected."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "wheels"))

collect_ignore_glob = [] if find_spec("pybase64") and find_spec("av") else ["test_*.py"]
