# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for the person at the keyboard, in words: a command prints the message and nothing else."""

from __future__ import annotations


class Trouble(Exception):
    """A command cannot go on (exit status 1); the message says what happened, why and what to do."""


class WrongUse(Trouble):
    """What was asked for cannot be met (exit status 2): an unknown port, a folder that is a file."""
