# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from neutts.neutts import NeuTTS
from neutts.neutts_2e import NeuTTS2E

__all__ = ["NeuTTS", "NeuTTS2E"]
