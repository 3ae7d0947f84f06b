# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One template each for Prometheus and Alertmanager; the containers' copies are what it gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from otel_tts.stack import places, ports, render
from otel_tts.trouble import WrongUse


@pytest.mark.parametrize("name", render.TEMPLATES)
def test_committed_files_for_containers_are_what_the_template_gives(name: str) -> None:
    committed = (places.configurations() / "compose" / name).read_text(encoding="utf-8")
    assert committed == render.text(name, render.COMPOSE), "run: python -m otel_tts.stack.render"


def test_native_files_hold_the_ports_and_addresses_asked_for(tmp_path: Path) -> None:
    chosen = ports.defaults(
        {"prometheus": 1001, "alertmanager": 1002, "collector_metrics": 1003, "jaeger_metrics": 1004}
    )
    render.write(tmp_path, render.native(chosen, tmp_path, "http://127.0.0.1:1/hook", token_file=Path("/a/token")))

    prometheus = yaml.safe_load((tmp_path / "prometheus.yml").read_text(encoding="utf-8"))
    (services,) = (job for job in prometheus["scrape_configs"] if job["job_name"] == "tts")
    assert services["file_sd_configs"][0]["files"] == [str(tmp_path / "*.json")]
    targets = {
        target
        for job in prometheus["scrape_configs"]
        for group in job.get("static_configs", ())
        for target in group["targets"]
    }
    assert targets == {
        "127.0.0.1:1001",
        "127.0.0.1:1002",
        "127.0.0.1:1003",
        "127.0.0.1:1004",
        "127.0.0.1:9428",
        "127.0.0.1:1",
    }
    assert prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["127.0.0.1:1002"]
    assert prometheus["rule_files"] == [places.rules()]

    alertmanager = yaml.safe_load((tmp_path / "alertmanager.yml").read_text(encoding="utf-8"))
    (hook,) = alertmanager["receivers"][0]["webhook_configs"]
    assert hook["url"] == "http://127.0.0.1:1/hook"
    assert hook["http_config"] == {"authorization": {"credentials_file": "/a/token"}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alertmanager.yml", "prometheus.yml"]


def test_a_value_cannot_leave_its_quotes() -> None:
    value = 'http://127.0.0.1/?a="b"\\c'
    values = {**render.COMPOSE, "webhook": value}
    rendered = yaml.safe_load(render.text("alertmanager.yml", values))
    assert rendered["receivers"][0]["webhook_configs"][0]["url"] == value


def test_a_template_that_asks_for_something_unknown_is_an_error() -> None:
    with pytest.raises(KeyError):
        render.text("prometheus.yml", {})


def test_the_page_of_traces_asks_the_stack_it_belongs_to(tmp_path: Path) -> None:
    render.write_page(tmp_path, render.native(ports.defaults({"victorialogs": 1005}), tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'const LOGS = "http://127.0.0.1:1005";' in page
    assert "connect-src 'self' http://127.0.0.1:1005;" in page
    assert (tmp_path / "static").is_dir()
    # What a sender sent is set as text and never as markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", page)


DIRECT = {
    "STACK_ALERTS": "direct",
    "STACK_WECHAT_CORP_ID": "ww1",
    "STACK_WECHAT_AGENT_ID": "7",
    "STACK_WECHAT_SECRET_FILE": "/run/secret",
    "STACK_MAIL_SMARTHOST": "mail:25",
    "STACK_MAIL_FROM": "a@b",
    "STACK_MAIL_TO": "c@d",
}


def test_each_alert_goes_by_one_way() -> None:
    values = {"relay": {}, "direct": DIRECT}
    for way, environ in values.items():
        text = render.text("alertmanager.yml", render.native(ports.defaults(), Path(), environ=environ))
        route = yaml.safe_load(text)["route"]
        assert route["receiver"] == f"{way}-warning"
        assert [one["receiver"] for one in route["routes"]] == [f"{way}-critical"]
        assert not any(one.get("continue") for one in route["routes"])
        assert ("/run/secret" in text) == (way == "direct")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"STACK_ALERTS": "pigeon"}, "STACK_ALERTS=pigeon"),
        ({"STACK_ALERTS_LANGUAGE": "fr"}, "STACK_ALERTS_LANGUAGE=fr"),
        ({"STACK_MAIL_TLS": "perhaps"}, "STACK_MAIL_TLS=perhaps"),
        ({**DIRECT, "STACK_MAIL_TO": ""}, "needs STACK_MAIL_TO too"),
        ({"STACK_ALERTS": "direct"}, "STACK_WECHAT_CORP_ID, STACK_WECHAT_AGENT_ID, STACK_WECHAT_SECRET_FILE"),
    ],
)
def test_a_way_that_cannot_be_gone_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(WrongUse, match=said):
        render.native(ports.defaults(), Path(), environ=environ)
