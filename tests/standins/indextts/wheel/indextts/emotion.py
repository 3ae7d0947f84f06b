# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


class QwenEmotion:
    def inference(self, text_input):
        return {"happy": (len(text_input) % 7) / 10, "calm": 0.1}
