# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``otel-tts run -- COMMAND``."""

from __future__ import annotations

from typing import Final

import typer

from otel_tts.cli.launch import launch

CONTEXT: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Context settings for the command: everything after it belongs to COMMAND."""


def run(context: typer.Context) -> None:
    """Run COMMAND with its arguments under otel-tts, whatever other OpenTelemetry distributions are installed.

    Example: otel-tts run -- uvicorn app:app --port 8000
    """
    launch(context.args)
