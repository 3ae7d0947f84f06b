# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What `otel-tts --help` says: every command in a line, all on one screen of 24 lines and 80 columns."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup

_WIDTH: Final = 79
_ABOUT: Final = "OpenTelemetry for speech synthesis: a trace of every request, and tools for it."
_MORE: Final = "otel-tts COMMAND --help says more. Also: --version, --install-completion."


class Overview(TyperGroup):
    """The group of all commands; what it says of itself is short."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write what `--help` shows."""
        names = self.list_commands(ctx)
        broad = max(map(len, names))
        formatter.write(f"Usage: otel-tts COMMAND [OPTIONS]\n\n{_ABOUT}\n\n")
        for name in names:
            command = self.get_command(ctx, name)
            said = "" if command is None else command.get_short_help_str(_WIDTH - broad - 4)
            formatter.write(f"  {name:<{broad}}  {said}\n")
        formatter.write(f"\n{_MORE}\n")
