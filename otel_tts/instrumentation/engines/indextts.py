# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 1 to 2.5, from upstream's checkout and from PyPI: one engine to whoever looks at it, a table for each."""

from __future__ import annotations

from otel_tts.instrumentation.engines import indextts_pypi, indextts_v1, indextts_v2

ENGINES = (indextts_v1.ENGINE, indextts_v2.V2, indextts_v2.V2_5, indextts_pypi.V2, indextts_pypi.V2_5)
