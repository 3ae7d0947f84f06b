# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the texts tell people to type is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from otel_tts.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*", "collector/*.y*ml", "collector/compose/*", "dashboards/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
# A command as code: after a prompt, a path to it, a backtick, or at a line's beginning.
_TYPED = re.compile(r"(?:^|`|\$ |/bin/|or: |&& )otel-tts ((?:[a-z]+ ?)+|--?[a-z]+)", re.MULTILINE)


def typed(path: Path) -> Iterator[list[str]]:
    """What follows `otel-tts` wherever `path` shows it as something to type."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console|bash|text)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shown = [*blocks, *re.findall(r"`[^`\n]+`", text)] if path.suffix == ".md" else [text]
    for piece in shown:
        yield from (found.split() for found in _TYPED.findall(piece))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(path: Path) -> None:
    for words in typed(path):
        group = get_command(app)
        for word in words:
            commands = getattr(group, "commands", None)
            if commands is None or word.startswith("-"):
                break
            assert word in commands, f"{path.name}: otel-tts {' '.join(words)}"
            group = commands[word]


def test_the_search_finds_commands_at_all(tmp_path: Path) -> None:
    shown = tmp_path / "x.md"
    shown.write_text(
        "Type `otel-tts stack up`, or\n```sh\notel-tts run x\n.venv/bin/otel-tts relay --port 1\n```\notel-tts is so\n"
    )
    assert list(typed(shown)) == [["run", "x"], ["relay"], ["stack", "up"]]
