# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Values as strings of a query language: whatever is in them, they mean only themselves."""

from __future__ import annotations

import json


def quoted(value: str) -> str:
    """`value` as a double-quoted string. JSON's escapes are Go's, which PromQL, LogQL, LogsQL and TraceQL all read."""
    return json.dumps(value, ensure_ascii=False)
