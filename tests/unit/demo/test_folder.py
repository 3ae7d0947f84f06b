# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo replaces what it wrote and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_tts.demo.folder import LIST, Folder
from otel_tts.trouble import Trouble


def test_an_earlier_runs_files_are_replaced(tmp_path: Path) -> None:
    root = tmp_path / "new" / "demo"
    first = Folder(root)
    first.prepare(("traces.jsonl",))
    (root / "traces.jsonl").write_text("old")
    first.claim("wav/one.wav").write_text("old")
    (root / "wav" / "mine.wav").write_text("mine")

    Folder(root).prepare(("traces.jsonl",))

    assert not (root / "traces.jsonl").exists()
    assert [path.name for path in (root / "wav").iterdir()] == ["mine.wav"]


def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text("mine")

    with pytest.raises(Trouble, match=r"traces\.jsonl exists and was not written by a demo.*\n.*--out"):
        Folder(tmp_path).prepare(("service.log", "traces.jsonl"))
    assert (tmp_path / "traces.jsonl").read_text() == "mine"


def test_a_list_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    root = tmp_path / "demo"
    root.mkdir()
    (root / LIST).write_text(f"../outside\n{outside}\n.\n\n")

    Folder(root).prepare(("traces.jsonl",))

    assert outside.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Trouble, match=r"Cannot write to .*file/demo: .*\n.*--out"):
        Folder(tmp_path / "file" / "demo").prepare(())
