# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the demo, in words for the person at the keyboard."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the message says what happened, why and what to do."""
