# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What `make servers` writes of its run is what pytest has reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "environments"
TESTS = """
import pytest
def test_a(): pass
@pytest.mark.parametrize("n", range(3))
def test_b(n): assert n
@pytest.mark.skip(reason="x")
def test_c(): pass
@pytest.fixture
def broken(): raise LookupError
def test_d(broken): pass
"""


def test_each_files_results_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import servers  # pyright: ignore[reportMissingImports]

    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", "tests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout
    assert servers.count(report) == {"tests/test_it.py": {"passed": 3, "failed": 2, "skipped": 1}}
    assert servers.versions_in(Path(sys.executable), ["pytest", "no-such-package"]) == {"pytest": pytest.__version__}
    assert "tests/services/test_celery_edge.py" in servers.packages_of_tests()
