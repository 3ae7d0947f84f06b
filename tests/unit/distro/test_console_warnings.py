# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator
from logging.config import dictConfig
from pathlib import Path

import pytest
from opentelemetry.instrumentation.logging.handler import LoggingHandler

from otel_tts.distro import console_warnings


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger without handlers: pytest's own, put there for each test's call, show everything."""
    root = logging.getLogger()
    console_warnings.install()
    console_warnings.install()
    yield root
    console_warnings.uninstall()
    root.handlers.clear()


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_opentelemetrys_own_troubles_are_shown_once(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    root.handlers.clear()
    logging.getLogger("opentelemetry.sdk.x").warning("trouble")
    assert shown(capsys) == ["WARNING opentelemetry.sdk.x: trouble"]


def test_with_somebody_elses_handler_ours_is_silent(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    root.handlers.clear()
    root.addHandler(logging.NullHandler())
    logging.getLogger("opentelemetry.sdk.x").warning("trouble")
    logging.getLogger("otel_tts").info("started")
    assert shown(capsys) == []


def test_beside_the_exporting_handler_ours_speaks(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    root.handlers.clear()
    root.addHandler(LoggingHandler())
    logging.getLogger("otel_tts").warning("ours")
    assert shown(capsys) == ["WARNING ours"]


def test_basic_config_works_beside_it(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    root.handlers.clear()
    logging.basicConfig(format="own: %(message)s")
    logging.getLogger("app").warning("shown")
    assert shown(capsys) == ["own: shown"]


@pytest.mark.parametrize("name", ["otel_tts", "otel_tts.export", "opentelemetry.sdk.x"])
def test_it_outlives_a_configuration_that_does_not_name_it(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """`disable_existing_loggers` is true unless it is said otherwise."""
    root.handlers.clear()
    logger, other = logging.getLogger(name), logging.getLogger("shop")
    file = tmp_path / "logging.ini"
    file.write_text("[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n")
    others = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [one.disabled for one in others]
    try:
        for configure in (lambda: dictConfig({"version": 1}), lambda: logging.config.fileConfig(file)):
            configure()
            assert other.disabled
            logger.warning("trouble")
            assert [line.rpartition(" ")[2] for line in shown(capsys)] == ["trouble"]
    finally:
        for one, disabled in zip(others, before, strict=True):
            one.disabled = disabled


def test_a_closed_stderr_is_no_error(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    root.handlers.clear()
    import io
    import sys

    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        logging.getLogger("otel_tts").warning("x")
