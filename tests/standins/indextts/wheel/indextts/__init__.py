# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What differs in indextts2-inference; the models are those of the checkout's stand-in."""

from __future__ import annotations

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "checkout" / "indextts"))
