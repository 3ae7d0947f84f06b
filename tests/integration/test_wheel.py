# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is built carries all that it needs and nothing else, and works where there is no checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from fresh import ROOT, Installed, build_wheel, clean, install

JUNK = ("__pycache__", ".pyc", ".pytest_cache", ".ruff_cache", ".venv", ".git/", ".import_linter_cache", "node_modules")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=clean(), timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, sys.executable, tmp_path_factory.mktemp("installed"))


def files(folder: str) -> set[str]:
    """What the checkout has below `folder`, less what running it leaves there."""
    found = (str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {name for name in found if not any(junk in name for junk in JUNK)}


def contents(archive: Path) -> set[str]:
    """The names in a wheel or an sdist, those of an sdist without its top folder."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {member.name.partition("/")[2] for member in opened.getmembers()}


def test_the_wheel_is_the_package_with_collector_and_dashboards(wheel: Path) -> None:
    bundled = {f"otel_tts/_bundled/{name}" for folder in ("collector", "dashboards") for name in files(folder)}
    found = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert found == files("otel_tts") | bundled
    assert any(name.endswith("/go.sum") for name in found)


def test_the_sdist_can_be_tested_and_built(sdist: Path) -> None:
    needed = {"pyproject.toml", "LICENSE", "README.md", "Makefile", "dev.lock", "demo.lock", "otel_tts/py.typed"}
    assert needed | files("otel_tts") | files("tests") | files("collector") | files("dashboards") <= contents(sdist)


def test_nothing_that_running_leaves_behind_is_packed(wheel: Path, sdist: Path) -> None:
    for archive in (wheel, sdist):
        assert [name for name in contents(archive) if any(junk in name for junk in JUNK)] == []


def test_the_installed_copy_is_the_one_that_runs(installed: Installed) -> None:
    for expression in ("otel_tts.__file__", "bundled.find('collector')", "bundled.find('dashboards')"):
        found = installed.python(f"import otel_tts; from otel_tts import bundled; print({expression})")
        assert Path(found).is_relative_to(installed.venv)


def test_the_version_is_that_of_the_wheel(installed: Installed, wheel: Path) -> None:
    done = installed.run("otel-tts", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"otel-tts {wheel.name.split('-')[1]}")
    assert installed.python("from otel_tts.version import __version__; print(__version__)") == wheel.name.split("-")[1]


def test_the_stack_is_there(installed: Installed, tmp_path: Path) -> None:
    help_text = installed.run("otel-tts", "stack", "--help")
    assert help_text.returncode == 0, help_text.stderr
    assert all(command in help_text.stdout for command in ("build", "up", "status", "down"))
    done = installed.run("otel-tts", "stack", "status", "--json", XDG_STATE_HOME=str(tmp_path))
    servers = json.loads(done.stdout)["servers"]
    assert done.returncode == 1, "no server runs"
    assert {server["name"] for server in servers} == {"otelcol", "jaeger", "victorialogs", "prometheus", "alertmanager"}
    assert not any(server["running"] for server in servers)


def test_the_demo_runs(installed: Installed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    installed.demo(out)
    for signal in ("traces", "metrics", "logs"):
        (path,) = out.glob(f"{signal}-*.jsonl")
        assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(list((out / "wav").glob("*.wav"))) >= 2
    assert list(installed.cwd.iterdir()) == []
