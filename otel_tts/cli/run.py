# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``otel-tts run -- COMMAND``."""

from __future__ import annotations

from typing import Final

import typer

from otel_tts.cli.launch import launch

OPTIONS: Final = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
    "options_metavar": "-- COMMAND [ARGUMENTS]",
}
"""Of the command: everything after it belongs to COMMAND."""


def run(context: typer.Context) -> None:
    """Run COMMAND with its arguments under otel-tts, whatever other OpenTelemetry distributions are installed.

    Example: otel-tts run -- uvicorn app:app --port 8000
    """
    launch(context.args)
