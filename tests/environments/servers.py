# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`make servers`: runs the tests of every row of docs/servers.md, and writes what came of them for that page.

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
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import run as environments

ROOT = environments.ROOT
RESULT = ROOT / "docs" / "servers_ran.json"
HERE = ("tests/integration/test_servers.py", "tests/integration/test_piper_http_server.py")
"""Tests that run in the development environment."""
ENVIRONMENTS = ("services", "web", "asgi", "agents")
OPTIONS = ("-q", "-rs")


def main() -> int:
    os.environ["OTEL_TTS_EVERY_SERVER"] = "1"
    packages = packages_of_tests()
    found: list[dict[str, Any]] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in ("development", *ENVIRONMENTS):
            report = Path(folder) / f"{name}.xml"
            options = [*OPTIONS, f"--junit-xml={report}"]
            if name == "development":
                status = subprocess.call([sys.executable, "-m", "pytest", *HERE, *options], cwd=ROOT)
                python = Path(sys.executable)
            else:
                status = environments.run(name, options)
                python = environments.place_of(name) / "bin" / "python"
            failed = failed or status != 0 or not report.exists()
            for file, counts in sorted(count(report).items()) if report.exists() else ():
                versions = versions_in(python, packages.get(file, ()))
                found.append({"test": file, "versions": versions, **counts})
    result = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "tests": found}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{RESULT.relative_to(ROOT)} written; `make docs` puts it into docs/servers.md")
    return int(failed)


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
    sys.exit(main())
