# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Alerts and objectives as they are described: names that are sent, limits on edges, a page each, both languages."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

import dashboards
from dashboards import lint, objectives, pages, thresholds
from dashboards.boards import BOARDS
from dashboards.objectives import OBJECTIVES
from dashboards.rules import ALERTS, GROUPS
from dashboards.rules.alert import Alert, Recording

FOLDER = Path(dashboards.__file__).resolve().parent
RULES = [rule for group in GROUPS for rule in group.rules]
EACH = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
CHINESE = re.compile("[\u4e00-\u9fff]")


def read(name: str) -> list[dict[str, object]]:
    text = (FOLDER / "alerts" / name).read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_names_and_limits(rule: Alert | Recording) -> None:
    assert list(lint.faults_of(promql_parser.parse(rule.promql))) == []


def test_what_is_recorded_is_what_is_asked_for() -> None:
    recorded = {rule.name for rule in RULES if isinstance(rule, Recording)}
    asked = {name for rule in RULES for name in re.findall(r"\btts:[\w:]+", rule.promql)}
    assert asked == recorded


def test_the_file_has_them_all() -> None:
    found = {str(rule["alert"]): rule for rule in read("tts.yml") if "alert" in rule}
    assert found.keys() == {alert.name for alert in ALERTS}
    assert len(found) >= 14
    for alert in ALERTS:
        written = promql_parser.parse(str(found[alert.name]["expr"])).prettify()
        assert written == promql_parser.parse(alert.promql).prettify()
        assert found[alert.name].get("for", "0s") == alert.lasts


def test_objectives_have_an_alert_of_each_kind() -> None:
    assert objectives.is_current()
    found = [(rule["alert"], rule["labels"]["severity"]) for rule in read("objectives.yml") if "alert" in rule]  # type: ignore[index]
    assert sorted(found) == sorted((one.alert, kind) for one in OBJECTIVES for kind in ("critical", "warning"))


def test_another_objective_is_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", OBJECTIVES[:-1])
    assert not objectives.is_current()


@EACH
def test_it_says_what_and_where(alert: Alert) -> None:
    assert alert.look in {board.uid for board in BOARDS}
    assert alert.ask is not None or alert.show
    assert alert.remedies
    for english, chinese in (alert.summary, alert.meaning, *alert.remedies):
        assert english and not CHINESE.search(english)
        assert CHINESE.search(chinese)
    for used in re.findall(r"\$labels\.(\w+)", "".join(alert.summary)):
        assert re.search(rf"by \([^)]*\b{used}\b", alert.promql) or used == "service_name"


@pytest.mark.parametrize("name", [*(alert.name for alert in ALERTS), *(one.alert for one in OBJECTIVES)])
@pytest.mark.parametrize("folder", pages.FOLDERS.values())
def test_each_has_a_page(name: str, folder: str) -> None:
    text = (FOLDER.parent / folder / "runbooks" / f"{name}.md").read_text(encoding="utf-8")
    assert f"# {name}" in text
    assert "$" not in text.replace('$"', "")


def test_pages_point_to_alerts_that_there_are() -> None:
    known = {alert.name for alert in ALERTS} | {one.alert for one in OBJECTIVES}
    for path, text in pages.render().items():
        assert set(re.findall(r"\bTTS[A-Z]\w+", text)) <= known, path


def test_limits_stand_once() -> None:
    """A number of thresholds.py is written nowhere else in the descriptions."""
    for path in [*FOLDER.glob("boards/*.py"), *FOLDER.glob("rules/*.py"), FOLDER / "objectives.py"]:
        text = path.read_text(encoding="utf-8")
        compared = re.findall(r"(?<![<>])[<>]=? (\d[\d.]*)(?![\w.])", re.sub(r'"""|#.*', "", text))
        assert set(compared) <= {"0"}, path
    assert thresholds.percent(0.05) == "5 %"


def test_prometheus_loads_only_rules() -> None:
    """It loads alerts/*.yml and refuses to start on any other file there."""
    for path in (FOLDER / "alerts").iterdir():
        assert "groups" in yaml.safe_load(path.read_text(encoding="utf-8")), path
