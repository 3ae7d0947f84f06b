# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest

import otel_tts.distro.configure as module


def test_arguments_become_variables_for_the_time_of_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}
    monkeypatch.setattr(module, "_set_up", lambda: seen.update(os.environ))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "before")
    module.configure(
        service_name="s",
        endpoint="http://x",
        clock="sync",
        enabled=False,
        voices=["a", "b"],
        stuck_after=5,
        file_dir=None,
    )
    assert seen["OTEL_SERVICE_NAME"] == "s" and seen["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://x"
    assert seen["OTEL_TTS_CLOCK"] == "sync" and seen["OTEL_TTS_ENABLED"] == "false"
    assert seen["OTEL_TTS_VOICES"] == "a,b" and seen["OTEL_TTS_STUCK_AFTER"] == "5"
    assert "OTEL_TTS_FILE_DIR" not in seen
    assert os.environ["OTEL_SERVICE_NAME"] == "before"
    assert not any(name.startswith("OTEL_TTS_") for name in os.environ if name != "OTEL_TTS_CACHE_DIR")


def test_a_setting_that_does_not_exist_is_the_programs_mistake() -> None:
    with pytest.raises(TypeError, match="colour"):
        module.configure(colour="red")
