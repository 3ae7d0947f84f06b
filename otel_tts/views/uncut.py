# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Tables on a terminal that is too narrow for them: nothing is cut, the terminal wraps the lines."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST: Final = 1000
"""Characters of a line; what is wider is wrapped within its column."""


def print_uncut(console: Console, table: Table) -> None:
    """Print `table` as wide as it has to be: half an id, or half a number, is none."""
    needed = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    table.width = needed if needed > console.width else None
    console.print(table, soft_wrap=True)
