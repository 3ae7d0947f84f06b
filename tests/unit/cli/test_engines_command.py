# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts engines`: what is installed and what its version lacks, without running any of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_tts.cli.main import app
from otel_tts.engines import known
from otel_tts.engines.check import survey
from otel_tts.engines.check.packages import Installed
from otel_tts.engines.known import ENGINES
from otel_tts.engines.table import Engine, Entry, Seam

SOURCE = """
raise SystemExit("the engine was run")
class Engine:
    def speak(self, text): ...
"""


@pytest.fixture
def speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source checkout on the path: no distribution, and an import of it ends the process."""
    (tmp_path / "speaks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))


def shown(monkeypatch: pytest.MonkeyPatch, *tables: Engine) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, the JSON document and the table of the command where these are the tables."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(known, "ENGINES", tables)
    monkeypatch.setattr(metadata, "entry_points", lambda group: ())
    runner = CliRunner()
    told = runner.invoke(app, ["engines", "--json"])
    table = runner.invoke(app, ["engines"])
    assert told.exit_code == table.exit_code
    return told.exit_code, json.loads(told.stdout)["engines"], table.stdout


def table(*seams: str, only_with: str = "", voice: str | None = None) -> Engine:
    return Engine(
        "speaks", "speaks", "", (Entry("Engine.speak", voice=voice),), tuple(Seam(seam, "model") for seam in seams),
        only_with=only_with,
    )  # fmt: skip


def test_every_table_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found, text = shown(monkeypatch, *ENGINES)
    assert [status["name"] for status in found] == [engine.name for engine in ENGINES]
    choice = {engine.name for engine in ENGINES if all(entry.optional for entry in engine.entries)}  # of many engines
    assert {status["name"] for status in found if status["seams"] < 1} == choice
    lines = text.splitlines()[1:]
    assert all(any(line.startswith(engine.name) for line in lines) for engine in ENGINES)
    absent = [status for status in found if not status["installed"]]
    assert absent and all(status["version"] is None and status["missing"] == [] for status in absent)


def test_a_source_checkout_is_read_and_not_run(speaks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    status, (found,), text = shown(monkeypatch, table())
    assert status == 0
    assert (found["installed"], found["version"], found["missing"], found["module"]) == (True, None, [], "speaks")
    assert text.splitlines()[1].split() == ["speaks", "source", "with", "speaks", "source", "all", "found"]


def test_what_is_missing_is_named_and_the_status_says_so(speaks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    status, (found,), text = shown(monkeypatch, table("Engine.think", voice="singer"))
    assert status == 1
    assert found["missing"] == ["speaks.Engine.think"]
    assert found["facts"] == ["speaks.Engine.speak(singer): no parameter singer"]
    assert "missing: speaks.Engine.think" in text and "no parameter singer" in text


def test_another_package_with_a_module_of_that_name_is_not_the_engine(
    speaks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [s["installed"] for s in shown(monkeypatch, table(only_with="Engine.sing"))[1]] == [False]
    assert [s["installed"] for s in shown(monkeypatch, table(only_with="Engine.speak"))[1]] == [True]


def test_what_cannot_be_read_is_neither_found_nor_missing(speaks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    status, (found,), text = shown(
        monkeypatch,
        Engine("py", "sys", "", (Entry("exit", text=None),)),
    )
    assert (status, found["installed"]) == (0, False)
    status, (found,), text = shown(monkeypatch, Engine("py", "speaks", "", (Entry("f", text=None, module="sys"),)))
    assert status == 0
    assert found["missing"] == [] and len(found["unread"]) == 1
    assert "as far as can be read" in text


# --- tables that others write ---------------------------------------------------------------------------

GOOD = """
from otel_tts import Engine, Entry
ENGINE = Engine("speaks", "speaks", "", (Entry("Engine.speak"),))
"""
WRONG = """
from otel_tts import Engine, Entry
ENGINE = Engine("theirs", "speaks", "", Entry("Engine.speak"))
"""


def bring(folder: Path, **tables: str) -> None:
    """Install a package `brings` with an entry point for each of the modules."""
    info = folder / "brings-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brings\nVersion: 1.2\n")
    points = "\n".join(f"{name} = {name}:ENGINE" for name in tables)
    (info / "entry_points.txt").write_text(f"[otel_tts_engine]\n{points}\n")
    for name, source in tables.items():
        (folder / f"{name}.py").write_text(source)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with `folder` as an installed package's."""
    return subprocess.run(
        [sys.executable, "-m", "otel_tts.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400", "NO_COLOR": "1"},
        cwd=folder.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_wrong_table_is_a_row_with_message_file_and_line(speaks: None, tmp_path: Path) -> None:
    bring(tmp_path, ok_table=GOOD, wrong_table=WRONG, gone_table="import no_such_module", ends_table="exit(3)")
    done = run(tmp_path, "engines")
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "all found" in rows["speaks"] and "all found" in rows["piper"]
    assert f"({tmp_path}/wrong_table.py:3)" in rows["wrong_table"] and "a comma is missing" in rows["wrong_table"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in rows["gone_table"]
    assert "SystemExit: 3" in rows["ends_table"] and "brings 1.2" in rows["ends_table"]
    told = {row["name"]: row for row in json.loads(run(tmp_path, "engines", "--json").stdout)["engines"]}
    assert told["speaks"]["error"] is None and told["wrong_table"]["error"].startswith("entries is Entry(")
    checks = json.loads(run(tmp_path, "doctor", "--json").stdout)["checks"]
    assert len([c for c in checks if (c["name"], c["status"]) == ("engines", "fail")]) == 3


def test_a_table_that_no_entry_point_names_can_be_looked_at(speaks: None, tmp_path: Path) -> None:
    bring(tmp_path)
    (tmp_path.parent / "unnamed.py").write_text(GOOD + 'LIES = Engine("lies", "speaks", "", (Entry("Engine"),))')
    good, lies = run(tmp_path, "engines", "unnamed:ENGINE"), run(tmp_path, "engines", "unnamed:LIES")
    assert good.returncode == 0 and "speaks" in good.stdout
    assert lies.returncode == 1 and "missing: speaks.Engine (a class: name its method)" in lies.stdout


@pytest.mark.parametrize("command", ["engines", "doctor"])
def test_a_checkout_in_this_folder_is_found(tmp_path: Path, command: str) -> None:
    for module in ("cosyvoice", "cosyvoice/cli"):
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").touch()
    (tmp_path / "cosyvoice" / "cli" / "cosyvoice.py").write_text("raise SystemExit('the engine was run')")
    script = Path(sysconfig.get_path("scripts")) / "otel-tts"
    done = subprocess.run([str(script), command, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    told = json.loads(done.stdout)
    if command == "engines":
        (row,) = [row for row in told["engines"] if row["name"] == "cosyvoice"]
        assert row["installed"] and row["missing"]
    else:
        assert any("cosyvoice from source lacks" in check["detail"] for check in told["checks"])
    assert "engine was run" not in done.stderr


def test_heavy_packages_are_not_imported() -> None:
    heavy = ("torch", "transformers", "onnxruntime", "hibari", "piper")
    code = (
        "import sys\nfrom otel_tts.cli.main import app\n"
        "try: app(['engines', '--json'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert {"hibari", "piper"} <= {s["name"] for s in json.loads(done.stdout)["engines"] if s["installed"]}


def test_wrong_use_is_status_2() -> None:
    assert CliRunner().invoke(app, ["engines", "piper"]).exit_code == 2


def test_the_installed_engines_have_all_their_tables_name() -> None:
    installed = [survey.look(engine, Installed()) for engine in ENGINES]
    assert [(status.missing, status.facts) for status in installed if status.installed] == [
        ((), ()) for status in installed if status.installed
    ]
