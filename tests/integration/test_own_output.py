# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What a program prints of itself by the logging module is the same under otel-tts, and leaves too."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAMS = {
    "a line by the module's own function": """
        import logging
        logging.warning("one")
        logging.getLogger("app").warning("two")
    """,
    "Flask": """
        import flask
        app = flask.Flask("shop")
        app.logger.handlers[0].formatter.datefmt = "now"
        app.logger.warning("spoken")
    """,
    "whoever asks for handlers first": """
        import logging
        if not logging.getLogger("rq.worker").hasHandlers():
            logging.basicConfig(format="worker: %(message)s", level=logging.INFO)
        logging.getLogger("rq.worker").info("listening")
    """,
    "handlers that are cleared": """
        import logging
        logging.getLogger().handlers.clear()
        logging.getLogger("app").warning("nobody shows this but Python's last resort")
    """,
}
OURS = ("INFO otel-tts ", "WARNING otel-tts: ", "worker: otel-tts")


@pytest.mark.parametrize("what", PROGRAMS)
def test_it_is_the_same(tmp_path: Path, what: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAMS[what]))
    env = {**os.environ, "OTEL_SERVICE_NAME": "test", "OTEL_TTS_FILE_DIR": str(tmp_path / "telemetry")}

    def lines(*launcher: str) -> list[str]:
        ended = subprocess.run([*launcher, sys.executable, str(program)], env=env, capture_output=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        return [line for line in ended.stderr.decode().splitlines() if not line.startswith(OURS)]

    plain = lines()
    assert plain
    assert lines(str(Path(sys.executable).parent / "otel-tts"), "run", "--") == plain
    (file,) = (tmp_path / "telemetry").glob("logs-*.jsonl")
    assert file.read_text().count('"severityText"') >= len(plain)
