# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""torch_cpu/speak.py in a process where descript-audiotools, and with it tensorboard, uses its protobuf as well."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

alone = "otel_tts" in sys.modules and not {"google.protobuf", "requests"} & set(sys.modules)

from google.protobuf import message  # noqa: E402
from torch.utils.tensorboard import SummaryWriter  # noqa: E402

assert alone, "otel-tts has imported protobuf or requests"
assert message.Message is not None and SummaryWriter is not None
runpy.run_path(str(Path(__file__).resolve().parents[1] / "torch_cpu" / "speak.py"), run_name="__main__")
