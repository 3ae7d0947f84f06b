# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`make matrix`: holds every table against the newest published version of its package.

Not a part of `make test`: what somebody else publishes does not turn it red. Exit status: 1 where a seam moved, 2 where
nothing could be looked at.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import wheel_cache
from draft_seams import DRAFTS, SERVERS
from holding import held_draft, moved, normal, opened
from rich.console import Console
from rich.table import Table
from rich.text import Text

from otel_tts.engines.check.fit import Finding, check
from otel_tts.engines.check.packages import Packages
from otel_tts.engines.known import ENGINES


def main() -> int:
    console = Console(highlight=False, width=max(Console().width, 120))
    with tempfile.TemporaryDirectory() as folder:
        try:
            lock = wheel_cache.newest(Path(folder))
            found = opened(wheel_cache.wheels(lock))
        except wheel_cache.Unavailable as unavailable:
            console.print(f"make matrix: {unavailable}")
            return 2
        newest = {name: pin.version for name, pin in wheel_cache.pins(lock).items()}
        rows = list(_engines(found))
        console.print(_table(rows, newest))
    for what, reason in wheel_cache.NO_WHEEL.items():
        console.print(f"not read: {what}: {reason}")
    lost = [f"{name}: {finding.name}: {finding.why}" for name, _, findings in rows for finding in findings]
    for line in lost:
        console.print(Text(f"moved: {line}", style="bold red"))
    return 1 if lost else 0


def _engines(packages: Packages) -> Iterator[tuple[str, str, list[Finding]]]:
    """Yield engine, package and what moved, of tables and then of drafts."""
    for engine in ENGINES:
        if normal(engine.distribution) in wheel_cache.pins():
            yield engine.name, normal(engine.distribution), list(filter(moved, check(engine, packages)))
    for kind, drafts in (("draft", DRAFTS), ("server", SERVERS)):
        for distribution, lines in drafts.items():
            yield f"{distribution} ({kind})", distribution, list(filter(moved, held_draft(lines, packages)))


def _table(rows: Iterable[tuple[str, str, list[Finding]]], newest: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("engine", "package", "locked", "newest", "seams"):
        table.add_column(title, overflow="fold")
    locked = wheel_cache.pins()
    for name, distribution, findings in rows:
        result = Text(f"{len(findings)} moved", style="bold red") if findings else Text("all found", style="green")
        table.add_row(name, distribution, locked[distribution].version, newest[distribution], result)
    return table


if __name__ == "__main__":
    sys.exit(main())
