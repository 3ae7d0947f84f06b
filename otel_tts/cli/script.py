# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The console script: ``run`` goes its own short way, every other command through the parser of options."""

from __future__ import annotations

import sys
from typing import Final

from otel_tts.cli.encoding import write_anything
from otel_tts.cli.launch import arguments_of, launch

_INTERRUPTED: Final = 130


def run() -> None:
    """Do what the command line says."""
    try:
        _run()
    except KeyboardInterrupt:  # while it starts: commands see to it themselves
        raise SystemExit(_INTERRUPTED) from None


def _run() -> None:
    if (arguments := arguments_of(sys.argv[1:])) is not None:
        write_anything()
        launch(arguments)
    from otel_tts.cli.main import run as run_commands

    run_commands()
