# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-made spans, in milliseconds."""

from __future__ import annotations

from tests.unit.support.span_fixtures import request_spans, span

__all__ = ["request_spans", "span"]
