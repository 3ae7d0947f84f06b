# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a process that spoke left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECRET = "purpleotter"
"""Part of names of voices and files that must not leave."""


@dataclass(frozen=True)
class Run:
    """What one process said of itself, where its audio is, and what it exported."""

    seen: dict[str, Any]
    out: Path
    stderr: str
    sink: Any = None
    spans: list[Any] = field(default_factory=list[Any])
    raw: bytes = b""

    def audio(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.out.iterdir()}

    def requests(self) -> list[Any]:
        """The syntheses, in the order of their start."""
        found = [span for span in self.spans if "tts.outcome" in span.attributes]
        return sorted(found, key=lambda span: span.start)

    def stages(self, request: Any) -> list[Any]:
        found = [span for span in self.spans if span.trace_id == request.trace_id and "tts.stage" in span.attributes]
        return sorted(found, key=lambda span: span.start)

    def stage_names(self, request: Any) -> list[str]:
        return [stage.attributes["tts.stage"] for stage in self.stages(request)]


def speak(script: str, inputs: Path, out: Path, sink: Any = None) -> Run:
    """Run `script` beside this file with the folders `inputs` and `out`: plain, or under the launcher into `sink`."""
    launcher = [] if sink is None else [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
    env = os.environ | {"OMP_NUM_THREADS": "1"} | ({} if sink is None else sink.env(OTEL_SERVICE_NAME="speech"))
    command = [*launcher, sys.executable, str(HERE / script), str(inputs), str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    if sink is None:
        return Run(seen, out, done.stderr)
    return Run(seen, out, done.stderr, sink, sink.spans(), sink.raw_bytes())
