# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What `otel-tts --help` says: every command in a line, all on one screen of 24 lines and 80 columns."""

from __future__ import annotations

from typing import Any, Final, cast

from typer.core import TyperGroup

from otel_tts.cli.late_commands import SAID, LateCommands

_ABOUT: Final = "OpenTelemetry for speech synthesis: a trace of every request, and tools for it."
_MORE: Final = "otel-tts COMMAND --help says more. Also: --version, --install-completion."


class Overview(TyperGroup):
    """The group of all commands; what it says of itself is short."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(Any, LateCommands())

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names; none is made for that."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write what `--help` shows."""
        broad = max(map(len, SAID))
        formatter.write(f"Usage: otel-tts COMMAND [OPTIONS]\n\n{_ABOUT}\n\n")
        for name, said in SAID.items():
            formatter.write(f"  {name:<{broad}}  {said}\n")
        formatter.write(f"\n{_MORE}\n")
