# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-made spans."""

from __future__ import annotations

from support.spans import request_spans, span

__all__ = ["request_spans", "span"]
