# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The real Alertmanager with our routes, inhibitions and messages; a WeChat Work that refuses as the real one does."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboards.rules import ALERTS
from otel_tts.stack import build, places, ports, render, servers
from tests.support import wechat
from tests.support.mail import MailServer, text_of
from tests.support.wechat import WeChatWork

if TYPE_CHECKING:
    from conftest import Backends

BY_NAME = {alert.name: alert for alert in ALERTS}
VALUES = {"service_name": "tts", "tts_engine_name": "indextts", "hw_id": "GPU-1", "instance": "127.0.0.1:1"}
SOON = {"group_wait": "1s", "group_interval": "2s"}
"""Our own are too long for a test."""


@dataclass
class Alertmanager:
    """One that runs, with its API's address."""

    url: str

    def post(self, *alerts: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/api/v2/alerts", json=alerts).raise_for_status()

    def failed(self, integration: str) -> float:
        metrics = httpx.get(f"{self.url}/metrics").text
        found = re.findall(rf'notifications_failed_total{{integration="{integration}".*}} (\S+)', metrics)
        return sum(map(float, found))


def alert(name: str, over: bool = False, service: str = "tts", **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it."""
    described, now = BY_NAME[name], datetime.now(timezone.utc)
    values = {**VALUES, **labels, "service_name": service}

    def filled(text: str) -> str:
        text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: values[found[1]], text)
        return re.sub(r"\{\{ \$value[^}]*\}\}", "7", text)

    return {
        "labels": {"alertname": name, "severity": described.severity, "service_name": service, **labels},
        "annotations": {
            "summary": filled(described.summary[0]),
            "summary_zh": filled(described.summary[1]),
            "description": described.meaning[0],
            "description_zh": described.meaning[1],
            "board": described.look,
            "runbook": described.runbook,
        },
        "startsAt": (now - timedelta(minutes=over)).isoformat(),  # older ones are sent on without the group's wait
        "endsAt": (now + timedelta(minutes=0 if over else 5)).isoformat(),
    }


@contextmanager
def running(
    folder: Path, webhook: str = render.WEBHOOK, token_file: Path = Path("/dev/null"), **environ: str
) -> Iterator[Alertmanager]:
    """An Alertmanager with our file, filled in as `otel-tts stack up` does."""
    chosen = ports.free()
    text = render.text("alertmanager.yml", render.native(chosen, Path(), webhook, environ, token_file))
    for key, value in SOON.items():
        text = re.sub(rf"{key}: \w+", f"{key}: {value}", text)
    (folder / "alertmanager.yml").write_text(text, encoding="utf-8")
    server = servers.BY_NAME["alertmanager"]
    command = servers.command(server.arguments, folder, folder, places.configurations(), chosen)
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [build.binaries()["alertmanager"] / server.binary, *command], stdout=log, stderr=log, cwd=folder
        )
    try:
        one = Alertmanager(f"http://127.0.0.1:{chosen['alertmanager']}")
        until(lambda: _is_ready(one.url), lambda: (folder / "log").read_text(encoding="utf-8"))
        yield one
    finally:
        started.terminate()
        started.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def until(true: Callable[[], object], said: Callable[[], object] = str, seconds: float = 30.0) -> None:
    patience = time.monotonic() + seconds
    while not true():
        if time.monotonic() > patience:
            pytest.fail(f"not after {seconds:.0f} s: {said()}")
        time.sleep(0.05)


@pytest.fixture
def company() -> Iterator[WeChatWork]:
    with WeChatWork() as one:
        yield one


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as one:
        yield one


def direct(company: WeChatWork, mail: MailServer, folder: Path, language: str, **other: str) -> dict[str, str]:
    secret = folder / "secret"
    secret.write_text(company.secret + "\n", encoding="utf-8")
    return {
        "STACK_ALERTS": "direct",
        "STACK_ALERTS_LANGUAGE": language,
        "STACK_WECHAT_URL": f"{company.url}/cgi-bin/",
        "STACK_WECHAT_CORP_ID": company.corp_id,
        "STACK_WECHAT_AGENT_ID": company.agent_id,
        "STACK_WECHAT_SECRET_FILE": str(secret),
        "STACK_MAIL_SMARTHOST": mail.address,
        "STACK_MAIL_FROM": "tts@example.org",
        "STACK_MAIL_TO": "night@example.org",
        "STACK_MAIL_TLS": "false",
        **other,
    }


@pytest.mark.parametrize(
    ("language", "firing", "over"), [("zh", "**告警**", "**已恢复**"), ("en", "**Firing**", "**Over**")]
)
def test_by_severity_in_one_message_a_group(
    stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer, language: str, firing: str, over: str
) -> None:
    critical = [alert("TTSErrorRatioHigh"), alert("TTSAudioInaudible")]
    warning = alert("TTSTelemetryDropped", reason="queue")
    which = ("en", "zh").index(language)
    with running(tmp_path, **direct(company, mail, tmp_path, language)) as alertmanager:
        alertmanager.post(*critical, warning)
        until(lambda: len(company.messages) == 2 and mail.mails, lambda: (company.messages, company.refused))
        both, one = sorted(company.messages, key=lambda message: len(message.content), reverse=True)
        assert both.content.startswith(firing)
        for sent in critical:
            assert sent["annotations"][("summary", "summary_zh")[which]] in both.content
        assert "TTSTelemetryDropped" in one.content and "TTSErrorRatioHigh" not in one.content
        (sent,) = mail.mails  # of the critical ones only
        assert "TTSTelemetryDropped" not in text_of(sent)
        for name in ("TTSErrorRatioHigh", "TTSAudioInaudible"):
            assert BY_NAME[name].meaning[which] in text_of(sent)
            assert BY_NAME[name].runbook in text_of(sent)
        assert "<no value>" not in both.content + text_of(sent) + str(sent["subject"])

        alertmanager.post(*(alert(one["labels"]["alertname"], over=True) for one in critical))
        until(lambda: any(over in message.content for message in company.messages), lambda: company.messages)
        assert firing not in company.messages[-1].content
    assert company.refused == []
    assert {(message.to, message.kind) for message in company.messages} == {("@all", "markdown")}


def test_what_follows_from_another_is_not_said(
    stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer
) -> None:
    with running(tmp_path, **direct(company, mail, tmp_path, "en")) as alertmanager:
        alertmanager.post(
            alert("TTSFallbackToCpu", tts_engine_name="indextts"),
            alert("TTSAcousticModelSlow", tts_engine_name="indextts"),
            alert("TTSLatencyDoubled"),
            alert("TTSAcousticModelSlow", service="another", tts_engine_name="indextts"),
            alert("TTSCollectorDown", instance="c:1"),
            alert("TTSNoRequests", service="a-third"),
        )
        until(lambda: len(company.messages) == 2, lambda: company.messages)
        time.sleep(4)  # two more of the groups' intervals
    said = "\n".join(message.content for message in company.messages)
    assert said.count("TTSFallbackToCpu") == said.count("TTSCollectorDown") == 1
    assert said.count("TTSAcousticModelSlow") == 1 and "another" in said
    assert "TTSLatencyDoubled" not in said and "TTSNoRequests" not in said


def test_many_long_ones_fit(stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer) -> None:
    """More than WeChat Work takes would be lost: Alertmanager does not try again."""
    many = [alert("TTSAudioInaudible", reason=f"r{n}") for n in range(30)]
    for one in many:
        one["annotations"]["summary_zh"] = "声" * 1000
    with running(tmp_path, **direct(company, mail, tmp_path, "zh")) as alertmanager:
        alertmanager.post(*many)
        until(lambda: company.messages, lambda: company.refused)
    assert company.refused == []
    assert "30" in company.messages[0].content
    assert 1500 < len(company.messages[0].content.encode()) <= 2048


def test_a_token_that_ends_and_a_limit_that_is_met(
    stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer
) -> None:
    with running(tmp_path, **direct(company, mail, tmp_path, "en")) as alertmanager:
        alertmanager.post(alert("TTSAudioInaudible"))
        until(lambda: company.messages)
        company.expire()
        alertmanager.post(alert("TTSErrorRatioHigh"))
        until(lambda: any("TTSErrorRatioHigh" in one.content for one in company.messages), lambda: company.refused)
        assert company.refused == [wechat.EXPIRED]
        assert len(company.tokens) == 2
        company.refuse_next.extend([wechat.TOO_OFTEN, wechat.TOO_OFTEN])
        alertmanager.post(alert("TTSGpuMemoryFull", hw_id="GPU-1"))
        until(lambda: any("TTSGpuMemoryFull" in one.content for one in company.messages), lambda: company.refused)
        assert company.refused == [wechat.EXPIRED, wechat.TOO_OFTEN, wechat.TOO_OFTEN]


def test_a_wrong_secret_is_counted(stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer) -> None:
    environ = direct(company, mail, tmp_path, "en")
    (tmp_path / "secret").write_text("another", encoding="utf-8")
    with running(tmp_path, **environ) as alertmanager:
        alertmanager.post(alert("TTSAudioInaudible"))
        until(lambda: alertmanager.failed("wechat") > 0)
        until(lambda: mail.mails)
    assert set(company.refused) == {wechat.WRONG_SECRET}
    assert "another" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_with_a_relay_nothing_else_is_told(
    stack: Backends, tmp_path: Path, company: WeChatWork, mail: MailServer
) -> None:
    got: list[dict[str, Any]] = []

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    relay = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=relay.serve_forever, args=(0.05,), daemon=True).start()
    environ = {**direct(company, mail, tmp_path, "zh"), "STACK_ALERTS": "relay"}
    try:
        with running(tmp_path, f"http://127.0.0.1:{relay.server_address[1]}/alertmanager", **environ) as alertmanager:
            alertmanager.post(alert("TTSAudioInaudible"), alert("TTSErrorRatioHigh"), alert("TTSLatencyDoubled"))
            until(lambda: len(got) == 2)
    finally:
        relay.shutdown()
        relay.server_close()
    assert sorted(len(one["alerts"]) for one in got) == [1, 2]
    assert {one["receiver"] for one in got} == {"relay-critical", "relay-warning"}
    assert company.tokens == {} and mail.mails == []


# --- that the stand-in refuses ---------------------------------------------------------------------------------------


def test_the_application_refuses(company: WeChatWork) -> None:
    def code(token: str, **body: Any) -> int:
        whole = {"agentid": company.agent_id, "touser": "@all", "msgtype": "text", "text": {"content": "x"}, **body}
        address = f"{company.url}/cgi-bin/message/send"
        answer = httpx.post(address, params={"access_token": token}, json=whole)
        assert answer.status_code == 200
        return answer.json()["errcode"]

    def token(corp: str, secret: str) -> dict[str, Any]:
        return httpx.get(f"{company.url}/cgi-bin/gettoken", params={"corpid": corp, "corpsecret": secret}).json()

    assert token("another", company.secret)["errcode"] == wechat.WRONG_CORP
    assert token(company.corp_id, "another")["errcode"] == wechat.WRONG_SECRET
    good = token(company.corp_id, company.secret)["access_token"]
    assert code("") == wechat.NO_TOKEN
    assert code("another") == wechat.WRONG_TOKEN
    assert code(good, agentid="1") == wechat.WRONG_AGENT
    assert code(good, touser="") == wechat.NOBODY
    assert code(good, msgtype="image") == wechat.WRONG_TYPE
    assert code(good, text={}) == wechat.WRONG_FORM
    assert code(good, text={"content": "声" * 683}) == wechat.TOO_LONG  # 2049 bytes
    assert code(good, text={"content": "声" * 682}) == wechat.OK
    company.expire()
    assert code(good) == wechat.EXPIRED


def test_the_robot_refuses(company: WeChatWork) -> None:
    moment = [0.0]
    company.now = lambda: moment[0]

    def code(key: str, content: str = "x", kind: str = "markdown") -> int:
        body = {"msgtype": kind, kind: {"content": content}}
        answer = httpx.post(f"{company.url}/cgi-bin/webhook/send", params={"key": key}, json=body)
        return answer.json()["errcode"]

    assert code("another") == wechat.WRONG_KEY
    assert code(company.key, "x" * 4097) == wechat.TOO_LONG
    assert code(company.key, "x" * 2049, "text") == wechat.TOO_LONG
    assert [code(company.key) for _ in range(21)] == [wechat.OK] * 20 + [wechat.TOO_OFTEN]
    moment[0] = 60.0
    assert code(company.key) == wechat.OK
    assert httpx.post(f"{company.url}/cgi-bin/webhook/send", content=b"{").json()["errcode"] == wechat.WRONG_FORM
