# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every command is there when it is asked for, with what it says of itself, and no other."""

from __future__ import annotations

import pytest

from otel_tts.cli.late_commands import SAID, LateCommands


@pytest.mark.parametrize("name", SAID)
def test_it_is_made_with_its_name_and_line(name: str) -> None:
    command = LateCommands()[name]
    assert (command.name, command.short_help) == (name, SAID[name])
    assert command.help or command.get_short_help_str()


def test_there_is_no_other() -> None:
    commands = LateCommands()
    assert len(commands) == len(list(commands)) == len(SAID)
    assert "output" not in commands and commands.get("output") is None  # a module of the folder, and no command
