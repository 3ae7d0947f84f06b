# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Write what is made from the descriptions in this folder, or say with --check what is out of date.

`python -m dashboards.build [--check]` from the repository's root: the boards for each pair of stores in each language
(generated/), the alert rules and their objectives (alerts/), and the pages in docs/ that are about them.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOARDS = "dashboards/generated"
RULES = "dashboards/alerts/tts.yml"
FOLDERS = {BOARDS: "*.json", "docs/runbooks": "*.md", "docs/zh-CN/runbooks": "*.md"}
"""Folders in which nothing else may be, with the files that count."""


def render() -> dict[str, str]:
    """Every generated file, by its path from the repository's root."""
    from dashboards import pages, rules
    from dashboards.rules.alert import render as render_rules

    return {**boards(), RULES: render_rules(rules.GROUPS, rules.HEAD), **pages.render()}


def boards() -> dict[str, str]:
    """Every board as JSON."""
    with warnings.catch_warnings():
        # At import the SDK asks for schema v2, which Grafana 10 and 11 do not read.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder

        from dashboards.boards import BOARDS as described
        from dashboards.drawing import Drawing
        from dashboards.questions import LANGUAGES
        from dashboards.stores import PAIRS

    texts: dict[str, str] = {}
    titles = {board.uid: board.title for board in described}
    for stores in PAIRS:
        for language in LANGUAGES:
            drawing = Drawing(stores, language, titles)
            for described_board in described:
                board = drawing.board(described_board).build()
                # The builders leave ids out, and Grafana then gives new ones at each load: links would break.
                for number, panel in enumerate(board.panels or [], start=1):
                    panel.id_val = number
                text = JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(board)
                texts[f"{BOARDS}/{stores.name}/{language}/{described_board.uid}.json"] = text + "\n"
    return texts


def compare(texts: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """What differs between `texts` and the files below `root`, one sentence each."""
    present = {path: (root / path).read_text(encoding="utf-8") for path in _present(root, texts)}
    missing = [f"{path} is missing" for path in texts.keys() - present.keys()]
    stale = [
        f"{path} is not what is made from its description"
        for path in texts.keys() & present.keys()
        if texts[path] != present[path]
    ]
    orphans = [f"{path} has no description" for path in present.keys() - texts.keys()]
    return sorted(missing + stale + orphans)


def write(texts: Mapping[str, str], root: Path = ROOT) -> None:
    """Make the files below `root` what `texts` says, and take away what has no description any more."""
    for path in _present(root, texts):
        if path not in texts:
            (root / path).unlink()
    for path, text in texts.items():
        if path.endswith(".json"):
            json.loads(text)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _present(root: Path, texts: Iterable[str]) -> set[str]:
    """Generated files that are there, and what lies where only generated ones belong."""
    inside = {found for folder, form in FOLDERS.items() for found in (root / folder).rglob(form)}
    return {str(path.relative_to(root)) for path in {*inside, *(root / text for text in texts)} if path.is_file()}


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
    from dashboards import objectives

    differences = compare(texts)
    if not objectives.is_current():
        print(
            "dashboards/alerts/objectives.yml is of other objectives; run `python -m dashboards.objectives`.",
            file=sys.stderr,
        )
    for difference in differences:
        print(f"{difference}; run `python -m dashboards.build`.", file=sys.stderr)
    return 1 if differences or not objectives.is_current() else 0


if __name__ == "__main__":
    sys.exit(main())
