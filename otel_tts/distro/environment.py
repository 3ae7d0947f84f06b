# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of our environment variables, as the launcher wants them: it makes a flag of each attribute of this module.

``opentelemetry-instrument --tts_clock sync python app.py`` sets OTEL_TTS_CLOCK.
"""

from __future__ import annotations

from otel_tts.settings import SETTINGS

globals().update({setting.variable: setting.variable for setting in SETTINGS})
