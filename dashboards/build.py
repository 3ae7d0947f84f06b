# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Write dashboards/generated/ from the builders, or say with --check what is out of date.

`python -m dashboards.build [--check]` from the repository's root.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

GENERATED = Path(__file__).resolve().parent / "generated"


def render() -> dict[str, str]:
    """Every dashboard as JSON, by file name."""
    with warnings.catch_warnings():
        # At import the SDK asks for schema v2, which Grafana 10 and 11 do not read.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder

        from dashboards import overview

    texts: dict[str, str] = {}
    for builder in (overview,):
        board = builder.build().build()
        # The builders leave ids out, and Grafana then gives new ones at each load: links to a panel would break.
        for number, panel in enumerate(board.panels or [], start=1):
            panel.id_val = number
        texts[f"{builder.UID}.json"] = JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(board) + "\n"
    return texts


def compare(texts: dict[str, str], folder: Path = GENERATED) -> list[str]:
    """What differs between `texts` and the files in `folder`, one sentence each."""
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    missing = [f"{name} is missing" for name in texts.keys() - present.keys()]
    stale = [
        f"{name} is not what its builder makes"
        for name in texts.keys() & present.keys()
        if texts[name] != present[name]
    ]
    orphans = [f"{name} has no builder" for name in present.keys() - texts.keys()]
    return sorted(missing + stale + orphans)


def write(texts: dict[str, str], folder: Path = GENERATED) -> None:
    """Make `folder` hold `texts` and no other dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        json.loads(text)
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 1 when --check found a difference, 2 when the Grafana Foundation SDK is missing."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only say what is out of date")
    check = parser.parse_args(arguments).check
    try:
        texts = render()
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith("grafana_foundation_sdk"):
            raise
        print(
            "dashboards.build needs the Grafana Foundation SDK, for Python 3.11 or later: "
            "pip install 'grafana-foundation-sdk==0.0.21'. Without that pin pip takes a release for Grafana 10.1.",
            file=sys.stderr,
        )
        return 2
    if not check:
        write(texts)
        return 0
    differences = compare(texts)
    for difference in differences:
        print(f"dashboards/generated: {difference}; run `python -m dashboards.build`.", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
