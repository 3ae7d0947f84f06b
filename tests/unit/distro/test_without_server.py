# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""OTEL_TTS_FILE_DIR switches the exporters to files on: alone, or beside a server that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.distro import defaults, without_server

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
BOTH, FILE, OTLP = "otlp,otel_tts_file", "otel_tts_file", "otlp"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (FILE, FILE, FILE)),
        (ENDPOINT, (BOTH, BOTH, BOTH)),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c/v1/logs"}, (FILE, FILE, BOTH)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, (BOTH, BOTH, BOTH)),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console,otel_tts_file", FILE, FILE)),
        ({"OTEL_METRICS_EXPORTER": "none", **ENDPOINT}, (BOTH, "none", BOTH)),
        ({"OTEL_TRACES_EXPORTER": "otel_tts_file"}, (FILE, FILE, FILE)),
        ({"OTEL_METRICS_EXPORTER": " prometheus , otlp "}, (BOTH, "prometheus,otlp,otel_tts_file", BOTH)),
    ],
)
def test_where_each_signal_goes(given: dict[str, str], expected: tuple[str, ...], tmp_path: Path) -> None:
    environ = {**given, "OTEL_TTS_FILE_DIR": str(tmp_path)}
    before = dict(environ)
    defaults.lend(environ)
    assert tuple(environ[f"OTEL_{signal}_EXPORTER"] for signal in ("TRACES", "METRICS", "LOGS")) == expected
    defaults.take_back(environ)
    assert environ == {**before, **defaults.STAYING}, "a child decides for itself"


def test_without_a_folder_nothing_changes() -> None:
    assert without_server.exporters({}) == {f"OTEL_{s}_EXPORTER": OTLP for s in ("TRACES", "METRICS", "LOGS")}
    assert without_server.exporters({f"OTEL_{s}_EXPORTER": "x, y" for s in ("TRACES", "METRICS", "LOGS")}) == {}
