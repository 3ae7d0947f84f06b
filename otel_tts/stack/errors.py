# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the stack, in words for the person at the keyboard."""

from __future__ import annotations


class StackError(Exception):
    """Something about the stack failed; the message says what, why and what to do."""


class UsageError(StackError):
    """The request itself cannot be met: an unknown port, a folder that is a file."""
