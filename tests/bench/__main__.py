# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench``: what otel-tts costs. See docs/overhead.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.bench import against, plots, report
from tests.bench.builds import HERE, ROOT, InstallError, this_and
from tests.bench.parts import measure, parts
from tests.bench.report import Row


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    if options.write and (options.only or options.against):
        parser.error("--write needs all parts of this checkout: neither --only nor --against")
    if options.times < 1 or options.idle < 1 or options.limit < 0:
        parser.error("--times and --idle are at least 1, --limit is not negative")
    if options.against and (reason := against.why_not(options.against)):
        parser.error(reason)
    chosen = parts(options.quick or options.against is not None, options.idle, peers=options.against is None)
    if unknown := set(options.only or ()) - set(chosen):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(chosen)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.against is None:
            (rows,) = measure(chosen, options.only or (), (HERE,), folder)
        else:
            print(f"installing this checkout and {options.against.name} …", file=sys.stderr, flush=True)
            try:
                new, old = this_and(options.against, folder)
            except InstallError as error:
                parser.error(str(error))
            rows = against.compare(new, old, chosen, options.only or (), folder, options.times, options.limit)
    print(json.dumps(report.as_json(rows), indent=1, ensure_ascii=False) if options.json else report.table(rows))
    if options.write:
        _write(rows, options.quick)
    missed = [row for row in rows if row.met is False]
    if missed and not options.json:
        of = f"{len(missed)} of {sum(row.met is not None for row in rows)}"
        what = "figures worse than the earlier build's" if options.against else "targets missed"
        print(f"\n{of} {what} on this machine, this time")
    return 1 if missed and (options.check or options.against) else 0


def _write(rows: list[Row], quick: bool) -> None:
    """Renew the table and the charts of docs/overhead.md."""
    docs = ROOT / "docs"
    written = plots.write(docs / "overhead", rows)
    charts = "".join(f"![{plot.title}]({path.relative_to(docs)})\n\n" for plot, path in written)
    report.write(docs / "overhead.md", rows, quick, charts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what otel-tts costs.")
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of ten; rougher numbers")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--write", action="store_true", help="put table and charts into docs/overhead.md")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--only", nargs="+", metavar="PART", help="of the measurements, by name")
    parser.add_argument("--idle", type=int, default=60, metavar="SECONDS", help="how long to do nothing (default 60)")
    parser.add_argument(
        "--against", type=Path, metavar="WHEEL",
        help="measure this checkout and the wheel of an earlier commit in turn; each figure is the ratio new / old. "
        "Exits with 1 when the median of one is worse by more than the limit",
    )  # fmt: skip
    parser.add_argument(
        "--times", type=int, default=against.TIMES, metavar="N", help="runs of --against, each quick (default 5)"
    )
    parser.add_argument(
        "--limit", type=float, default=against.LIMIT_PERCENT, metavar="PERCENT",
        help="how much worse a figure may be with --against (default 5)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
