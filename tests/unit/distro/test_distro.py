# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.instrumentation.system_metrics import _DEFAULT_CONFIG

from otel_tts.distro import distro as module
from otel_tts.distro.distro import Distro


class Entry:
    def __init__(self, name: str, fails: type[BaseException] | None = None) -> None:
        self.name = name
        self._fails = fails
        self.given: dict[str, Any] | None = None

    def load(self) -> Any:
        return lambda **made_with: self

    def instrument(self, **kwargs: Any) -> None:
        if self._fails:
            raise self._fails("no")
        self.given = kwargs


def test_a_failing_instrumentation_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "otel_tts"):
        Distro().load_instrumentor(Entry("redis", ValueError))
    assert "'redis' failed with ValueError" in caplog.text


def test_import_errors_are_the_launchers_business() -> None:
    with pytest.raises(ImportError):
        Distro().load_instrumentor(Entry("redis", ImportError))


def test_others_get_what_the_launcher_gives() -> None:
    entry = Entry("redis")
    Distro().load_instrumentor(entry, skip_dep_check=True)
    assert entry.given == {"skip_dep_check": True}


def test_switched_off_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OTEL_TTS_ENABLED", "false"), ("OTEL_SDK_DISABLED", "True ")):
        monkeypatch.setenv(name, value)
        entry = Entry("redis")
        Distro().load_instrumentor(entry)
        assert entry.given is None
        monkeypatch.delenv(name)


def test_the_process_metrics_exist() -> None:
    assert set(module.PROCESS_METRICS) <= set(_DEFAULT_CONFIG)
    assert not any(name.startswith("system.") for name in module.PROCESS_METRICS)
