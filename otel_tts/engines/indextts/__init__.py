# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""IndexTTS 1 to 2.5, from upstream's checkout and from PyPI: one engine to whoever looks at it, a table for each."""

from __future__ import annotations

from otel_tts.engines.indextts import pypi, v1, v2, vllm

ENGINES = (v1.ENGINE, v2.V2, v2.V2_5, pypi.V2, pypi.V2_5, vllm.ENGINE)
