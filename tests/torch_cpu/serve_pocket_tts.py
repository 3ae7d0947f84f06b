# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""pocket-tts' own server with the smallest network, never trained: ``serve_pocket_tts.py FOLDER PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

import pocket_tts.main as server
import torch
import uvicorn
from small_pocket_tts import build

model = build(Path(sys.argv[1]))
server.tts_model = model
server.default_voice_state = model.get_state_for_audio_prompt(0.1 * torch.randn(1, 24000))
uvicorn.run(server.web_app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
