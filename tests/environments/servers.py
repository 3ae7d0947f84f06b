# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`make servers`: runs the tests of every row of docs/servers.md, and writes what came of them for that page.
``servers.py tests/services/test_jobs.py`` runs, and writes anew, that file of tests alone.

The result stands in docs/servers_ran.json: when, with which Python and versions, and how many tests of each file
passed. Exit status 1 where one failed, or an environment could not be had.
"""

from __future__ import annotations

import json
import os
import platform
import runpy
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import run as environments

ROOT = environments.ROOT
RESULT = ROOT / "docs" / "servers_ran.json"
HERE = ("tests/integration/test_servers.py", "tests/integration/test_piper_http_server.py")
"""Tests that run in the development environment."""
ENVIRONMENTS = ("services", "web", "asgi", "agents")
OPTIONS = ("-q", "-rs")


def main(only: Sequence[str] = ()) -> int:
    """Run everything, or `only` some files of tests, whose rows are written anew then."""
    os.environ["OTEL_TTS_EVERY_SERVER"] = "1"
    packages = packages_of_tests()
    rows: dict[str, dict[str, Any]] = {one["test"]: one for one in read()} if only else {}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in ("development", *ENVIRONMENTS):
            if (tests := tests_in(name, only)) is None:
                continue
            report = Path(folder) / f"{name}.xml"
            failed = run(name, [*tests, *OPTIONS, f"--junit-xml={report}"]) != 0 or not report.exists() or failed
            for file, counts in sorted(count(report).items()) if report.exists() else ():
                versions = versions_in(python_of(name), packages.get(file, ()))
                told = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "versions": versions}
                rows[file] = {"test": file, **told, **counts}
    RESULT.write_text(json.dumps(list(rows.values()), indent=2) + "\n", encoding="utf-8")
    print(f"{RESULT.relative_to(ROOT)} written; `make docs` puts it into docs/servers.md")
    return int(failed)


def read() -> list[dict[str, Any]]:
    """The rows that were written last."""
    return json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else []


def tests_in(name: str, only: Sequence[str]) -> list[str] | None:
    """What of `only` runs in that environment, all where nothing is asked for; None for nothing of it."""
    folders = HERE if name == "development" else environments.ENVIRONMENTS[name].tests
    if not only:
        return list(HERE) if name == "development" else []
    return [file for file in only if any(file == one or file.startswith(f"{one}/") for one in folders)] or None


def run(name: str, arguments: list[str]) -> int:
    """Run pytest with `arguments` in that environment; return its exit status."""
    if name == "development":
        return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)
    return environments.run(name, arguments)


def python_of(name: str) -> Path:
    """The interpreter of that environment."""
    return Path(sys.executable) if name == "development" else environments.place_of(name) / "bin" / "python"


def packages_of_tests() -> dict[str, list[str]]:
    """The packages that each file of tests runs, as the rows of docs/servers.md say."""
    page = runpy.run_path(str(ROOT / "docs" / "servers_page.py"))
    packages: dict[str, list[str]] = {}
    for row in (*page["SERVERS"], *page["QUEUES"], *page["AGENTS"]):
        named = packages.setdefault(row.test, [])
        if row.package and row.package not in named:
            named.append(row.package)
    return packages


def count(report: Path) -> dict[str, dict[str, int]]:
    """How the tests of each file went, of pytest's report in the form of JUnit."""
    files: dict[str, dict[str, int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        counts = files.setdefault(file, {"passed": 0, "failed": 0, "skipped": 0})
        kinds = {child.tag for child in case}
        went = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[went] += 1
    return files


def versions_in(python: Path, packages: Iterable[str]) -> dict[str, str]:
    """The versions of `packages` in an environment; one that is not there for its Python is left out."""
    ask = "import json, sys, importlib.metadata as m\n" \
          "there = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n" \
          "print(json.dumps({n: there[n] for n in sys.argv[1:] if n in there}))"  # fmt: skip
    told = subprocess.run([str(python), "-c", ask, *packages], capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
