# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so: generated pages are current, examples run, links and names lead somewhere."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_tts import settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
EXAMPLE = re.compile(r"^<!-- test -->\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"\bOTEL_TTS_[A-Z]+(?:_[A-Z]+)*\b(?!_)")
TARGET = re.compile(r"(?:^|`|\$ )make ([a-z][a-z-]*)", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples() -> list[Any]:
    """Each block of Python with `<!-- test -->` in the line above it."""
    return [
        pytest.param(code, id=f"{name(page)}-{number}")
        for page in PAGES
        for number, code in enumerate(EXAMPLE.findall(page.read_text(encoding="utf-8")), 1)
    ]


@pytest.mark.parametrize("code", examples())
def test_an_example_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_example_is_found_by_its_mark() -> None:
    unmarked, first, second = "```python\nno\n```\n", "```python\nprint(1)\n\nprint(2)\n```\n", "```python\nyes\n```\n"
    page = f"{unmarked}\n<!-- test -->\n{first}{unmarked}<!-- test -->\n\n{second}"
    assert EXAMPLE.findall(page) == ["print(1)\n\nprint(2)\n", "yes\n"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_variable_that_is_named_exists(page: Path) -> None:
    known = {setting.variable for setting in settings.SETTINGS} | {"OTEL_TTS_CACHE_DIR"}
    of_compose = set(VARIABLE.findall((ROOT / "collector" / "compose.yaml").read_text(encoding="utf-8")))
    assert set(VARIABLE.findall(page.read_text(encoding="utf-8"))) <= known | of_compose


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_of_make_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(page.read_text(encoding="utf-8"))) <= targets


FILE = re.compile(r"^<!-- file: (\S+) -->\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENGINE_FIXTURES = """
import otel_tts.engines
from otel_tts.testing.fixtures import telemetry
from tests.unit.support.engine_fixtures import unhooked

otel_tts.engines.__path__.append({engines!r})
"""


def test_the_new_engine_of_the_guide_for_contributors_passes_its_test(tmp_path: Path) -> None:
    """Its files are written as the guide says, in a folder of their own instead of the checkout."""
    for path, code in FILE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        ENGINE_FIXTURES.format(engines=str(tmp_path / "otel_tts" / "engines")), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", "."],
        cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ |uv run |.*  # \S*：|.*# or: )?(?:\S+/)?otel-tts ([a-z]+)", re.MULTILINE)
MENTIONED = re.compile(r"`(?:[^`\s]*/)?otel-tts ([a-z]+)")


def commands_in(text: str) -> set[str]:
    """The commands of ours in code: blocks of lines, and `otel-tts …` inside of a sentence."""
    return {found for block in FENCE.findall(text) for found in COMMAND.findall(block)} | set(MENTIONED.findall(text))


def test_commands_are_found_in_code_only() -> None:
    text = (
        "otel-tts is\n```sh\n$ .venv/bin/otel-tts one\notel-tts two x\nx  # or: otel-tts three\n```\n"
        "see `otel-tts four --x`"
    )
    assert commands_in(text) == {"one", "two", "three", "four"}


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    from otel_tts.cli.late_commands import SAID

    assert commands_in(page.read_text(encoding="utf-8")) <= set(SAID)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES, ROOT / "Makefile"], ids=name)
def test_until_there_is_a_release_nothing_is_installed_from_an_index(page: Path) -> None:
    if "not yet released" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        return
    installs = re.findall(r"(?:pip install|uv add) ([^`\n#]*)", page.read_text(encoding="utf-8"))
    assert [line for line in installs if re.search(r"(?:^|[\s'])otel-tts(?:$|[\s'[=])", line)] == []


ARCHITECTURE = ROOT / "docs" / "architecture.md"
PLACE = re.compile(r"(?<![\w/.:-])(?:[\w.-]+/)+(?:[\w.-]*\w)?|(?<![\w/.-])\w+\.(?:py|md|toml)\b")


def places_in(text: str) -> list[str]:
    """Every path that is named in the text: with a slash, or a file by its ending."""
    return PLACE.findall(re.sub(r"https?://\S+", "", text))


def test_paths_are_found_in_code_and_in_prose() -> None:
    text = "`cli/` and `a/b.py`, docs/c.md; see [d.md](../d.toml). https://e.org/f.py is none, nor 5.5, a.b or `x`"
    assert places_in(text) == ["cli/", "a/b.py", "docs/c.md", "d.md", "../d.toml"]


def test_every_path_in_the_architecture_exists() -> None:
    bases = ROOT / "otel_tts", ROOT, ARCHITECTURE.parent
    named = places_in(ARCHITECTURE.read_text(encoding="utf-8"))
    assert len(named) > 100
    assert [place for place in named if not any((base / place).exists() for base in bases)] == []


def test_every_folder_of_the_package_is_in_the_architecture() -> None:
    package = ROOT / "otel_tts"
    folders = {file.parent.relative_to(package) for file in package.rglob("*.py")} - {Path()}
    named = {Path(place) for place in places_in(ARCHITECTURE.read_text(encoding="utf-8")) if place.endswith("/")}
    assert sorted(map(str, folders - named)) == []


@pytest.fixture
def generate() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


def test_generated_pages_are_current(generate: dict[str, Any]) -> None:
    assert generate["main"](["--check"]) == 0


def test_a_page_that_is_out_of_date_is_named(
    generate: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate["main"].__globals__["HERE"] = tmp_path
    assert generate["main"]([]) == 0
    assert generate["main"](["--check"]) == 0
    (tmp_path / "settings.md").write_text("old", encoding="utf-8")
    assert generate["main"](["--check"]) == 1
    assert capsys.readouterr().err == "docs/settings.md is not what otel_tts says now; run `make docs`\n"


def test_every_setting_is_explained_in_chinese_too() -> None:
    chinese = runpy.run_path(str(ROOT / "docs" / "settings_zh.py"))
    assert [s.variable for s in settings.SETTINGS if s.variable not in chinese["MEANINGS"]] == []
    plain = {s.kind for s in settings.SETTINGS if " | " not in s.kind}
    assert sorted(plain - set(chinese["KINDS"]) - {"dBFS", "1/s"}) == []


def test_wrong_use_of_the_generator_exits_2(generate: dict[str, Any]) -> None:
    assert generate["main"](["--chek"]) == 2


def test_every_setting_and_name_is_in_its_page(generate: dict[str, Any]) -> None:
    from otel_tts import names

    settings_page, names_page = generate["settings_page"](), generate["names_page"]()
    assert [s.variable for s in settings.SETTINGS if f"`{s.variable}`" not in settings_page] == []
    for rows in (names.ATTRIBUTES, names.METRICS):
        assert [row for row in rows if f"| {row.meaning} |" not in names_page] == []


def test_every_field_of_a_table_is_in_its_page(generate: dict[str, Any]) -> None:
    import dataclasses

    import otel_tts

    _, *sections = generate["engine_fields_page"]().split("\n## ")
    named = {section.partition("\n")[0]: re.findall(r"^\| `(\w+)`", section, re.MULTILINE) for section in sections}
    for row in ("Engine", "Entry", "Chunk", "Callback", "Seam", "Mark", "Load"):
        assert named[row] == [field.name for field in dataclasses.fields(getattr(otel_tts, row))]
